//! Answers that are not what they seem, and a disk that fills while parts are sent: waited out or given up, nothing published by half.
//! Must not know how requests are made.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{finish, holds};
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request, Response, Server};

use crate::place::{Kind, Place};
use crate::refused::{ensure_said, through};
use crate::{config, data};

/// What S3 says when it finds out too late.
const LATE: &str = "\n <?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>canary</Message></Error>";

fn completes(request: &Request) -> bool {
    request.method == "POST" && request.parameter("uploadId").is_some()
}

fn copies(request: &Request) -> bool {
    request.header("x-amz-copy-source").is_some()
}

fn visible(place: &Place) -> Result<Vec<String>> {
    Ok(place.keys()?.into_iter().filter(|key| !key.ends_with(".rivet.staged")).collect())
}

#[test]
fn an_error_with_the_status_of_a_success_is_one() -> Result<()> {
    for is_it in [completes, copies] {
        for times in [1, u32::MAX] {
            let n_refused = AtomicU32::new(0);
            let decide: Decide = Arc::new(move |request: &Request, _: &Server| {
                if is_it(request) && n_refused.fetch_add(1, Ordering::Relaxed) < times {
                    return Fate::Answer(Response::new(200, LATE));
                }
                Fate::Pass
            });
            let (ran, place, workspace) = through(Kind::S3, 60_000, decide)?;
            if times == 1 {
                ran.expect(0)?;
                workspace.rivet(&["validate", "--depth", "full"])?.expect(0)?;
                place.ensure_clean()?;
                continue;
            }
            let ran = ran.expect(2)?;
            ensure_said(&ran, &["503 SlowDown", "the store asks for fewer requests"])?;
            ensure!(!ran.stderr.contains("canary") && !ran.stderr.contains("credentials"), "{}", ran.stderr);
            assert_eq!(visible(&place)?, [""; 0]);
        }
    }
    Ok(())
}

/// Each object's bytes, and each list, break off the first time.
#[test]
fn what_breaks_off_is_asked_for_again() -> Result<()> {
    for kind in Kind::ALL {
        let asked: Mutex<BTreeMap<String, u32>> = Mutex::default();
        let n_broken = Arc::new(AtomicU32::new(0));
        let counter = n_broken.clone();
        let decide: Decide = Arc::new(move |request: &Request, _: &Server| {
            if request.method != "GET" {
                return Fate::Pass;
            }
            let what = format!("{} {:?}", request.target, request.header("range"));
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let n = asked.entry(what).or_default();
            *n += 1;
            if *n > 1 {
                return Fate::Pass;
            }
            counter.fetch_add(1, Ordering::Relaxed);
            Fate::Break
        });
        let (ran, place, workspace) = through(kind, 20_000, decide)?;
        ran.expect(0).with_context(|| format!("{kind:?}"))?;
        workspace.rivet(&["validate", "--depth", "full"])?.expect(0).with_context(|| format!("{kind:?}"))?;
        ensure!(n_broken.load(Ordering::Relaxed) > 5, "{kind:?}: hardly anything broke off");
        place.ensure_clean()?;
    }
    Ok(())
}

/// From the second look on the store has something else under the staged key.
#[test]
fn another_tag_than_that_of_the_upload_is_never_published() -> Result<()> {
    for kind in Kind::ALL {
        let n_looks = AtomicU32::new(0);
        let decide: Decide = Arc::new(move |request: &Request, server: &Server| {
            let looks = matches!(&*request.method, "GET" | "HEAD") && request.path().ends_with(".rivet.staged");
            if !looks || n_looks.fetch_add(1, Ordering::Relaxed) == 0 {
                return Fate::Pass;
            }
            let Ok(mut answer) = server.ask(request) else { return Fate::Drop };
            for (_, value) in answer.headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("etag")) {
                *value = "\"0123456789abcdef\"".to_owned();
            }
            if let Ok(text) = String::from_utf8(answer.body.clone()) {
                answer.body = text.replacen("\"etag\":\"", "\"etag\":\"other", 1).into_bytes();
            }
            Fate::Answer(answer)
        });
        let (ran, place, _) = through(kind, 100, decide)?;
        let ran = ran.expect(3).with_context(|| format!("{kind:?}"))?;
        ensure_said(&ran, &["is not what was uploaded"])?;
        assert_eq!(place.keys()?, [""; 0], "{kind:?}");
    }
    Ok(())
}

/// Azurite compares the checksum, and has another word for it than Azure.
fn as_azure_says(mut answer: Response) -> Response {
    for (_, value) in answer.headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("x-ms-error-code")) {
        *value = value.replace("InvalidOperation", "Md5Mismatch");
    }
    answer
}

/// One bit of a piece, of a large part and of a small one, is another one when it arrives; and of each piece, of no use.
#[test]
fn a_piece_that_arrives_otherwise_is_sent_again() -> Result<()> {
    for (kind, keys) in [(Kind::S3, ""), (Kind::S3, ", checksum: md5"), (Kind::Gcs, ""), (Kind::Azure, "")] {
        for (n_rows, times, code) in [(60_000, 1, 0), (100, 1, 0), (100, u32::MAX, 2)] {
            let n_flipped = Arc::new(AtomicU32::new(0));
            let counter = n_flipped.clone();
            let decide: Decide = Arc::new(move |request: &Request, server: &Server| {
                let is_piece = ["PUT", "POST"].contains(&&*request.method) && request.body.len() > 8_000;
                if !is_piece || counter.fetch_add(1, Ordering::Relaxed) >= times {
                    return Fate::Pass;
                }
                let mut other = request.clone();
                let middle = other.body.len() / 2;
                other.body[middle] ^= 1;
                server.ask(&other).map_or(Fate::Drop, |answer| Fate::Answer(as_azure_says(answer)))
            });
            let (_folder, file) = data(n_rows)?;
            let mut place = Place::new(kind)?;
            let proxy = HttpProxy::start(place.port, decide)?;
            place.port = proxy.port();
            let workspace = place.workspace(&config(&file, "compression: none,", &place.destination(keys)))?;
            let label = format!("{kind:?}{keys}, {n_rows} rows, {times} times");
            let ran = workspace.run()?.expect(code).with_context(|| label.clone())?;
            ensure!(n_flipped.load(Ordering::Relaxed) > 0, "{label}: nothing was flipped");
            if code == 0 {
                workspace.rivet(&["validate", "--depth", "full"])?.expect(0).with_context(|| label.clone())?;
            } else {
                ensure_said(&ran, &["look at"]).context(label.clone())?;
                assert_eq!(place.keys()?, [""; 0], "{label}");
            }
            place.ensure_clean()?;
        }
    }
    Ok(())
}

/// The disk of the state is full as soon as a part is on its way, and has room again for a second run.
#[test]
fn a_full_disk_under_the_state_publishes_nothing() -> Result<()> {
    const TWICE: &str = "mkdir small && mount -t tmpfs -o size=2m tmpfs small && \"$@\"; echo $? > codes\n\
                         rm -f small/filler; \"$@\" > again 2>&1; echo $? >> codes";
    let (_folder, file) = data(100)?;
    for kind in Kind::ALL {
        let (filled, small) = (AtomicBool::new(false), Arc::new(Mutex::new(PathBuf::new())));
        let (seen, folder) = (Arc::new(Mutex::new(None)), small.clone());
        let mut place = Place::new(kind)?;
        let (noted, looked) = (seen.clone(), Place { bucket: place.bucket.clone(), ..place });
        let decide: Decide = Arc::new(move |request: &Request, _: &Server| {
            let is_part = request.target.contains(".rivet.staged") || holds(&request.body, ".rivet.staged");
            if is_part && !request.body.is_empty() && !filled.swap(true, Ordering::Relaxed) {
                // Ends when there is no room any more.
                let small = folder.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = fs::write(small.join("filler"), vec![1; 4 << 20]);
            }
            // The second run begins: what is to be seen of the first.
            if filled.load(Ordering::Relaxed) && !folder.lock().is_ok_and(|small| small.join("filler").exists()) {
                noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| looked.keys());
            }
            Fate::Pass
        });
        let proxy = HttpProxy::start(place.port, decide)?;
        place.port = proxy.port();
        let text = config(&file, "compression: none,", &place.destination(""));
        let workspace = place.workspace(&format!("{text}state: {{url: small/state.db}}\n"))?;
        let child = workspace.spawn_under(&["unshare", "-rm", "sh", "-c", TWICE, "sh"], &["run"])?;
        let root = PathBuf::from(format!("/proc/{}/root", child.id()));
        let below = workspace.path().strip_prefix("/")?.join("small");
        *small.lock().unwrap_or_else(PoisonError::into_inner) = root.join(below);
        let ran = finish(child)?;
        let codes = fs::read_to_string(workspace.path().join("codes"))?;
        let again = fs::read_to_string(workspace.path().join("again"))?;
        ensure!(codes == "2\n0\n", "{kind:?}: {codes}{}{again}", ran.stderr);
        ensure_said(&ran, &["state", "full"]).with_context(|| format!("{kind:?}"))?;
        let between = seen.lock().unwrap_or_else(PoisonError::into_inner).take().context("a second run")??;
        ensure!(between.iter().all(|key| key.ends_with(".rivet.staged")), "{kind:?}: {between:?}");
        workspace.rivet(&["validate", "--depth", "full"])?.expect(0)?;
        place.ensure_clean()?;
    }
    Ok(())
}
