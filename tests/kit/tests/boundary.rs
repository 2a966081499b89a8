//! The boundary under misbehaviour: panics, blocked calls, structured errors, logs; linked and loaded alike.
//! It must not know how the boundary is made.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rivet_plugin_api::wire::{Connector, Origin};
use rivet_plugin_api::{CancelToken, Cx, ErrorKind, RecordBatch, Relation, Retry, Scan, SessionGroup};
use rivet_test_hostile as _;
use rivet_test_kit::linked_and_loaded;
use serde_json::{Value, json};

fn both() -> Result<[Connector; 2]> {
    linked_and_loaded("rivet-test-hostile", "hostile")
}

fn open(connector: &Connector, options: &Value, cx: &Cx) -> rivet_plugin_api::Result<SessionGroup> {
    connector.open_group(&json!({ "options": options, "n_sessions": 1 }), cx)
}

fn scan() -> Scan {
    let relation = Relation::Table { schema: None, name: "any".to_owned() };
    Scan { max_batch_rows: 10, ..Scan::new(relation, rivet_test_hostile::columns()) }
}

fn read_all(connector: &Connector, options: &Value) -> Result<Vec<RecordBatch>> {
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(connector, options, &cx)?;
    let session = group.sessions.first_mut().context("one session")?;
    let mut stream = session.scan(&scan(), &cx)?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(&cx)? {
        batches.push(batch);
    }
    Ok(batches)
}

#[test]
fn linked_and_loaded_deliver_the_same_batches_and_descriptions() -> Result<()> {
    let [linked, loaded] = both()?;
    assert_eq!(linked.info(), loaded.info());
    assert!(matches!((linked.origin(), loaded.origin()), (Origin::Linked, Origin::Library(_))));
    let options = json!({ "n_batches": 3, "batch_rows": 1000 });
    let batches = read_all(&linked, &options)?;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3000);
    assert_eq!(batches, read_all(&loaded, &options)?);
    Ok(())
}

#[test]
fn batches_outlive_stream_and_session() -> Result<()> {
    for connector in both()? {
        let batches = read_all(&connector, &json!({ "n_batches": 1, "batch_rows": 5 }))?;
        let last = batches[0].column(0).as_any().downcast_ref::<arrow_array::Int64Array>().context("numbers")?.value(4);
        assert_eq!(last, 4);
    }
    Ok(())
}

#[test]
fn a_panic_is_an_error_and_poisons_the_object_alone() -> Result<()> {
    for connector in both()? {
        let token = CancelToken::new();
        let cx = token.cx();
        let options = json!({ "at": "second_batch", "n_batches": 3, "batch_rows": 1 });
        let mut group = open(&connector, &options, &cx)?;
        let session = group.sessions.first_mut().context("one session")?;
        let mut stream = session.scan(&scan(), &cx)?;
        assert!(stream.next(&cx)?.is_some());
        let error = stream.next(&cx).expect_err("it panics");
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert!(error.message().contains("asked to panic"), "{error}");
        if matches!(connector.origin(), Origin::Library(_)) {
            assert!(error.get("location").is_some_and(|l| l.contains("hostile")), "{error:?}");
        }
        let again = stream.next(&cx).expect_err("it is poisoned");
        assert_eq!((again.kind(), again.code()), (ErrorKind::Panicked, "plugin.poisoned"));
        drop(stream);
        assert!(session.describe(&scan().relation, &cx).is_ok(), "the session did not panic");
    }
    Ok(())
}

#[test]
fn panics_while_opening_describing_and_dropping_stay_inside() -> Result<()> {
    for connector in both()? {
        let token = CancelToken::new();
        let cx = token.cx();
        let error = open(&connector, &json!({ "at": "open" }), &cx).err().context("it panics")?;
        assert_eq!(error.kind(), ErrorKind::Panicked);
        let mut group = open(&connector, &json!({ "at": "describe" }), &cx)?;
        let error = group.sessions[0].describe(&scan().relation, &cx).expect_err("it panics");
        assert_eq!(error.kind(), ErrorKind::Panicked);
        read_all(&connector, &json!({ "at": "drop", "n_batches": 1, "batch_rows": 1 }))?;
    }
    Ok(())
}

#[test]
fn who_was_not_cancelled_and_says_so_has_failed() -> Result<()> {
    for connector in both()? {
        for at in ["open", "describe", "second_batch"] {
            let options = json!({ "at": at, "how": "cancelled", "n_batches": 3, "batch_rows": 1 });
            let token = CancelToken::new();
            let cx = token.cx();
            let error = open(&connector, &options, &cx).and_then(|mut group| {
                let session = group.sessions.first_mut().expect("one session");
                session.describe(&scan().relation, &cx)?;
                let mut stream = session.scan(&scan(), &cx)?;
                while stream.next(&cx)?.is_some() {}
                Ok(())
            });
            let error = error.err().with_context(|| at.to_owned())?;
            assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "wire.not_cancelled"), "{at}: {error:?}");
            assert!(error.message().starts_with("plugin 'hostile': "), "{error}");
        }
    }
    Ok(())
}

#[test]
fn words_that_are_no_utf_8_are_shown_as_far_as_they_are_text() -> Result<()> {
    for connector in both()? {
        let token = CancelToken::new();
        token.keep_warnings();
        let error =
            open(&connector, &json!({ "at": "open", "how": "no_text" }), &token.cx()).err().context("it fails")?;
        let says = "a\u{fffd}\u{fffd}b";
        assert_eq!((error.code(), error.message(), error.get(says)), (says, says, Some(says)), "{error:?}");
        // A message that cannot be read says nothing.
        assert_eq!(token.take_warnings(), [""; 0]);
    }
    Ok(())
}

#[test]
fn what_a_thread_says_last_does_no_harm() -> Result<()> {
    let [_, loaded] = both()?;
    let options = json!({ "at": "second_batch", "how": "log_last", "n_batches": 2, "batch_rows": 1 });
    assert_eq!(read_all(&loaded, &options)?.len(), 2);
    Ok(())
}

#[test]
fn every_field_of_an_error_arrives() -> Result<()> {
    for connector in both()? {
        let token = CancelToken::new();
        let error = open(&connector, &json!({ "at": "open", "how": "fail" }), &token.cx()).err().context("it fails")?;
        assert_eq!((error.kind(), error.retry_class()), (ErrorKind::Capacity, Retry::NewSession));
        assert_eq!((error.after_ms(), error.vendor(), error.state()), (1_500, Some(-1_040), Some("53300")));
        assert_eq!((error.code(), error.get("host"), error.hint_text()), ("hostile.full", Some("db1"), Some("wait")));
        assert_eq!(error.to_string(), "asked to fail: too many connections");
    }
    Ok(())
}

#[test]
fn cancelling_wakes_a_blocked_call_within_a_second() -> Result<()> {
    for connector in both()? {
        let token = CancelToken::new();
        let cx = token.cx();
        let options = json!({ "at": "second_batch", "how": "block", "n_batches": 3, "batch_rows": 1 });
        let mut group = open(&connector, &options, &cx)?;
        let mut stream = group.sessions[0].scan(&scan(), &cx)?;
        stream.next(&cx)?;
        let cancelled_at = Arc::new(Mutex::new(None));
        let canceller = std::thread::spawn({
            let (token, at) = (token.clone(), cancelled_at.clone());
            move || {
                std::thread::sleep(Duration::from_millis(100));
                *at.lock().expect("not poisoned") = Some(Instant::now());
                token.cancel();
            }
        });
        let error = stream.next(&cx).expect_err("it is cancelled");
        let woken = Instant::now();
        canceller.join().expect("no panic");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let at = cancelled_at.lock().expect("not poisoned").context("it was cancelled")?;
        assert!(woken.duration_since(at) < Duration::from_secs(1));
    }
    Ok(())
}

#[test]
fn unknown_options_are_refused_without_echoing_values() -> Result<()> {
    for connector in both()? {
        let token = CancelToken::new();
        let options = json!({ "passwort": "canary" });
        let error = open(&connector, &options, &token.cx()).err().context("it is refused")?;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("passwort") && !format!("{error:?}").contains("canary"), "{error:?}");
        let wrong_type = json!({ "n_batches": "canary" });
        let error = open(&connector, &wrong_type, &token.cx()).err().context("it is refused")?;
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    Ok(())
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One test, because a subscriber is for the whole process.
#[test]
fn events_of_a_loaded_plugin_arrive_in_the_hosts_subscriber() -> Result<()> {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_writer(move || writer.clone())
        .json()
        .init();
    let [_, loaded] = both()?;
    read_all(&loaded, &json!({ "at": "second_batch", "how": "log", "n_batches": 2, "batch_rows": 1 }))?;
    let text = String::from_utf8(captured.0.lock().expect("not poisoned").clone())?;
    let line = text.lines().find(|l| l.contains("fetched a page")).with_context(|| format!("no event in {text}"))?;
    let event: Value = serde_json::from_str(line)?;
    assert_eq!((&event["level"], &event["target"]), (&json!("INFO"), &json!("plugin")));
    assert_eq!(event["fields"]["origin"], "rivet_test_hostile");
    assert_eq!(event["fields"]["span"], "page");
    let fields: Value = serde_json::from_str(event["fields"]["fields"].as_str().context("fields")?)?;
    assert_eq!(fields, json!({ "table": "orders", "rows": 7 }));
    Ok(())
}
