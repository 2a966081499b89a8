//! What a store refuses, is silent about or loses: said plainly, waited out, or given up without a trace.
//! Must not know how requests are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, no_secret};
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request, Response};
use rivet_test_servers::s3;

use crate::place::{Kind, Place};
use crate::{config, data};

/// Runs an export of a few rows with this in between; returns how it ended, with its place.
pub fn through(kind: Kind, n_rows: u64, decide: Decide) -> Result<(Ran, Place, rivet_test_e2e::Workspace)> {
    let (_folder, file) = data(n_rows)?;
    let mut place = Place::new(kind)?;
    let proxy = HttpProxy::start(place.port, decide)?;
    place.port = proxy.port();
    let workspace = place.workspace(&config(&file, "compression: none,", &place.destination("")))?;
    let ran = workspace.run()?;
    no_secret(&workspace, &ran, place.secret())?;
    Ok((ran, place, workspace))
}

/// All these words are in what it printed.
pub fn ensure_said(ran: &Ran, words: &[&str]) -> Result<()> {
    let all = format!("{}{}", ran.stderr, String::from_utf8_lossy(&ran.stdout));
    for word in words {
        ensure!(all.contains(word), "{word:?} is not in:\n{all}");
    }
    Ok(())
}

#[test]
fn wrong_keys_places_and_rights_are_told_apart() -> Result<()> {
    let (_folder, file) = data(10)?;
    let place = Place::new(Kind::S3)?;
    let right = config(&file, "", &place.destination(""));
    let [reader, reader_secret] = s3::shared().reader_keys();
    let (name, secret) = (s3::shared().access_key(), s3::shared().secret_key());
    let elsewhere = right.replace(&place.bucket, "no-such-bucket-of-ours");
    for (config, name, secret, words) in [
        (&right, name, "canary-wrong-secret", &["SignatureDoesNotMatch", "check key and secret"][..]),
        (&right, "NOBODY", secret, &["InvalidAccessKeyId", "check key and secret"]),
        (&right, reader, reader_secret, &["403 AccessDenied", "let these credentials read, write"]),
        (&elsewhere, name, secret, &["NoSuchBucket", "rivet makes no buckets"]),
        (&right, name, "", &["`secret_key_env` names the environment variable 'STORE_SECRET', which is not set"]),
    ] {
        for command in [&["run"][..], &["doctor"]] {
            let workspace = rivet_test_e2e::Workspace::new(config)?
                .with_variable("STORE_NAME", name)
                .with_variable("STORE_SECRET", secret);
            let ran = workspace.rivet(command)?;
            ensure!(ran.code.is_some_and(|code| code != 0), "{command:?} succeeds with {words:?}");
            ensure_said(&ran, words).with_context(|| format!("{command:?}"))?;
            if !secret.is_empty() {
                no_secret(&workspace, &ran, secret)?;
            }
        }
    }
    assert_eq!(place.keys()?, [""; 0]);
    Ok(())
}

#[test]
fn a_wrong_key_is_no_damage_of_what_is_there() -> Result<()> {
    let (_folder, file) = data(10)?;
    for (kind, wrong, said) in [
        (Kind::S3, "canary-wrong-secret", "check key and secret"),
        (Kind::Azure, "Y2FuYXJ5LXdyb25nLXNlY3JldA==", "check the account key or SAS"),
    ] {
        let place = Place::new(kind)?;
        let config = config(&file, "", &place.destination(""));
        let mut workspace = place.workspace(&config)?;
        workspace.run()?.expect(0)?;
        let keys = place.keys()?;
        workspace = workspace.with_variable("STORE_SECRET", wrong);
        for words in [&["run"][..], &["run", "--output", "json"], &["validate"]] {
            let ran = workspace.rivet(words)?.expect(1).with_context(|| format!("{kind:?} {words:?}"))?;
            ensure_said(&ran, &["403", said])?;
            let all = format!("{}{}", ran.stderr, String::from_utf8_lossy(&ran.stdout));
            ensure!(!all.contains("integrity") && !all.contains("move it away"), "{kind:?}: {all}");
            no_secret(&workspace, &ran, wrong)?;
        }
        assert_eq!(place.keys()?, keys);
    }
    Ok(())
}

#[test]
fn a_storm_that_ends_is_waited_out() -> Result<()> {
    let n_refused = Arc::new(AtomicU32::new(0));
    let counter = n_refused.clone();
    let decide: Decide = Arc::new(move |request: &Request, _: &_| {
        // Each upload and each small object is refused once.
        let is_write = request.method == "PUT" && counter.load(Ordering::Relaxed) < 3;
        if !is_write {
            return Fate::Pass;
        }
        counter.fetch_add(1, Ordering::Relaxed);
        Fate::Answer(Response::new(503, "<Error><Code>SlowDown</Code></Error>").with("retry-after", "1"))
    });
    for kind in Kind::ALL {
        n_refused.store(0, Ordering::Relaxed);
        let (ran, place, _) = through(kind, 1_000, decide.clone())?;
        ran.expect(0).with_context(|| format!("{kind:?}"))?;
        place.ensure_clean()?;
    }
    Ok(())
}

#[test]
fn a_storm_that_does_not_end_is_exit_2_and_leaves_nothing() -> Result<()> {
    for kind in Kind::ALL {
        let decide: Decide = Arc::new(|request: &Request, _: &_| match &*request.method {
            "PUT" | "POST" => Fate::Answer(Response::new(503, "<Error><Code>SlowDown</Code></Error>")),
            _ => Fate::Pass,
        });
        let (ran, place, _) = through(kind, 1_000, decide)?;
        let ran = ran.expect(2).with_context(|| format!("{kind:?}"))?;
        ensure_said(&ran, &["503", "the store asks for fewer requests"])?;
        assert_eq!(place.keys()?, [""; 0], "{kind:?}");
        place.ensure_clean()?;
    }
    Ok(())
}

/// The third piece of a part is lost on its way once, and its answer another time.
#[test]
fn a_torn_upload_is_sent_again() -> Result<()> {
    for kind in Kind::ALL {
        let n_pieces = Arc::new(AtomicU32::new(0));
        let counter = n_pieces.clone();
        let decide: Decide = Arc::new(move |request: &Request, _: &_| {
            if request.method != "PUT" || request.body.len() < 1 << 20 {
                return Fate::Pass;
            }
            match counter.fetch_add(1, Ordering::Relaxed) {
                1 => Fate::Drop,
                3 => Fate::Lose,
                _ => Fate::Pass,
            }
        });
        let (ran, place, workspace) = through(kind, 150_000, decide)?;
        ran.expect(0).with_context(|| format!("{kind:?}"))?;
        ensure!(n_pieces.load(Ordering::Relaxed) > 4, "{kind:?}: the upload had too few pieces");
        let out = workspace.path().join("out");
        place.download(&out)?;
        assert_eq!(Exported::read(&out)?.n_rows(), 150_000, "{kind:?}");
        place.ensure_clean()?;
    }
    Ok(())
}
