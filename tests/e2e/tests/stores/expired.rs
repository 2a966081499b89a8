//! Credentials that end in the middle of a run: fetched once more, and the run goes on, or it ends as one that was not let in.
//! Must not know how they are fetched.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace, no_secret};
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request, Response};
use rivet_test_servers::{gcs, s3};
use tempfile::TempDir;

use crate::credentials::bare;
use crate::place::{Kind, Place};
use crate::stand_in::{self, StandIn};
use crate::{config, data};

/// Rows of a part of several pieces.
const N_ROWS: u64 = 150_000;

/// Whether this is a piece of a part.
fn is_piece(request: &Request) -> bool {
    request.method == "PUT" && request.body.len() > 1 << 20
}

fn expired() -> Fate {
    Fate::Answer(Response::new(400, "<Error><Code>ExpiredToken</Code><Message>hunter2-message</Message></Error>"))
}

/// Keys of a profile, as its file has them.
fn profile([access, secret]: [&str; 2]) -> String {
    format!("[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
}

/// A run to S3 by a profile whose keys end when the third piece is sent; `renewed` are then in its file.
fn by_profile(renewed: [&str; 2]) -> Result<(Workspace, Ran, Place, u32)> {
    let (_folder, file) = data(N_ROWS)?;
    let mut place = Place::new(Kind::S3)?;
    let dir = TempDir::new()?;
    let credentials = dir.path().join("credentials");
    let old = [s3::shared().access_key(), s3::shared().secret_key()];
    fs::write(&credentials, profile(old))?;
    let (n_pieces, n_expired) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
    let (ended, counter) = (AtomicBool::new(false), n_expired.clone());
    let (by_old, renewed, to) = (format!("Credential={}/", old[0]), profile(renewed), credentials.clone());
    let decide: Decide = Arc::new(move |request: &Request, _: &_| {
        if is_piece(request) && n_pieces.fetch_add(1, Ordering::SeqCst) == 2 {
            fs::write(&to, &renewed).expect("written");
            ended.store(true, Ordering::SeqCst);
        }
        let is_old = request.header("authorization").is_some_and(|signature| signature.contains(&by_old));
        if !(is_old && ended.load(Ordering::SeqCst)) {
            return Fate::Pass;
        }
        counter.fetch_add(1, Ordering::SeqCst);
        expired()
    });
    let proxy = HttpProxy::start(place.port, decide)?;
    place.port = proxy.port();
    let config = config(&file, "compression: none,", &bare(&place, ""));
    let workspace =
        Workspace::new(&config)?.with_variable("AWS_SHARED_CREDENTIALS_FILE", &credentials.display().to_string());
    let ran = workspace.rivet(&["run", "-v", "--output", "json"])?;
    for secret in [old[1], s3::shared().other_keys()[1], "hunter2-message"] {
        no_secret(&workspace, &ran, secret)?;
    }
    Ok((workspace, ran, place, n_expired.load(Ordering::SeqCst)))
}

#[test]
fn keys_of_a_profile_that_end_are_read_again() -> Result<()> {
    let (workspace, ran, place, n_expired) = by_profile(s3::shared().other_keys())?;
    let ran = ran.expect(0)?;
    ensure!(ran.stderr.contains("the credentials have expired: they are fetched again"), "{}", ran.stderr);
    // Two pieces are on their way at once.
    ensure!((1..=3).contains(&n_expired), "the old keys were used {n_expired} times more");
    assert_eq!(ran.json()?["exports"][0]["retries"], 0, "the split was not begun anew");
    let out = workspace.path().join("out");
    place.download(&out)?;
    assert_eq!(Exported::read(&out)?.n_rows(), N_ROWS);
    place.ensure_clean()
}

#[test]
fn keys_that_have_ended_for_good_end_the_run() -> Result<()> {
    let old = [s3::shared().access_key(), s3::shared().secret_key()];
    let (_, ran, place, n_expired) = by_profile(old)?;
    let ran = ran.expect(1)?;
    let document = ran.json()?;
    let error = document["exports"][0]["error"].to_string();
    for words in ["s3.expired", "fetch new credentials and run again"] {
        ensure!(error.contains(words) || document.to_string().contains(words), "{words}: {document}");
    }
    // Each request is sent once more, and none for longer.
    ensure!(n_expired <= 30, "the old keys were used {n_expired} times more");
    let visible: Vec<String> = place.keys()?.into_iter().filter(|key| !key.ends_with(".staged")).collect();
    assert_eq!(visible, [""; 0], "nothing is published");
    Ok(())
}

/// A run to Google by a machine's token that ends when the third piece is sent; the machine's service then answers so often
/// with this status before it gives out another one.
fn by_machine(n_away: u32, status: u16) -> Result<(Workspace, Ran, Place, u32)> {
    let (_folder, file) = data(N_ROWS)?;
    let mut place = Place::new(Kind::Gcs)?;
    // What the store takes now; what it took before has ended.
    let current = Arc::new(Mutex::new("canary-token-1".to_owned()));
    let (given, away) = (current.clone(), AtomicU32::new(n_away));
    let giving = stand_in::machine_of_google(move || given.lock().expect("not poisoned").clone());
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = ended.clone();
    let machine = StandIn::start(Box::new(move |request| {
        let less = |n: u32| n.checked_sub(1);
        let is_away =
            has_ended.load(Ordering::SeqCst) && away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        if is_away { Some(Response::new(status, "")) } else { giving(request) }
    }))?;
    let (n_pieces, n_refused) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
    let counter = n_refused.clone();
    let decide: Decide = Arc::new(move |request: &Request, server: &_| {
        if is_piece(request) && n_pieces.fetch_add(1, Ordering::SeqCst) == 2 {
            *current.lock().expect("not poisoned") = "canary-token-2".to_owned();
            ended.store(true, Ordering::SeqCst);
        }
        // Who knows the address of an upload may go on with it.
        if request.parameter("upload_id").is_some() {
            return Fate::Pass;
        }
        let wanted = format!("Bearer {}", current.lock().expect("not poisoned"));
        if request.header("authorization") != Some(&wanted) {
            counter.fetch_add(1, Ordering::SeqCst);
            return Fate::Answer(Response::new(
                401,
                r#"{"error": {"code": 401, "errors": [{"reason": "authError"}]}}"#,
            ));
        }
        let mut known = request.clone();
        known.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        known.headers.push(("authorization".to_owned(), format!("Bearer {}", gcs::shared().token())));
        Fate::Answer(server.ask(&known).unwrap_or_else(|_| Response::new(500, "")))
    });
    let proxy = HttpProxy::start(place.port, decide)?;
    place.port = proxy.port();
    let workspace = Workspace::new(&config(&file, "compression: none,", &bare(&place, "")))?
        .with_variable("GCE_METADATA_HOST", &format!("127.0.0.1:{}", machine.port()));
    let ran = workspace.rivet(&["run", "-v", "--output", "json"])?;
    for token in ["canary-token-1", "canary-token-2", gcs::shared().token()] {
        no_secret(&workspace, &ran, token)?;
    }
    Ok((workspace, ran, place, n_refused.load(Ordering::SeqCst)))
}

fn ensure_whole(workspace: &Workspace, place: &Place) -> Result<()> {
    let out = workspace.path().join("out");
    place.download(&out)?;
    assert_eq!(Exported::read(&out).context("what was exported")?.n_rows(), N_ROWS);
    place.ensure_clean()
}

#[test]
fn a_token_of_a_machine_that_ends_is_fetched_again() -> Result<()> {
    let (workspace, ran, place, n_refused) = by_machine(0, 200)?;
    let ran = ran.expect(0)?;
    ensure!((1..=3).contains(&n_refused), "the old token was used {n_refused} times more");
    assert_eq!(ran.json()?["exports"][0]["retries"], 0, "the split was not begun anew");
    ensure_whole(&workspace, &place)
}

#[test]
fn a_provider_that_is_away_for_a_moment_is_asked_again_and_one_that_refuses_is_not() -> Result<()> {
    // As often as a request is sent.
    let (workspace, ran, place, _) = by_machine(5, 503)?;
    let ran = ran.expect(0)?;
    assert_eq!(ran.json()?["exports"][0]["retries"], 1, "the split was begun anew: {}", ran.stderr);
    ensure_whole(&workspace, &place)?;
    let (_, ran, place, _) = by_machine(1_000, 403)?;
    let ran = ran.expect(1)?;
    assert_eq!(ran.json()?["exports"][0]["retries"], 0);
    // The upload that was begun could not be ended either.
    let keys = gcs::shared().keys(&place.bucket)?;
    ensure!(keys.iter().all(|key| key.starts_with(".parts/") || key.ends_with(".staged")), "{keys:?}");
    Ok(())
}
