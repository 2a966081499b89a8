//! What publishing costs where the store takes its time: parts are copied side by side, and not too many at once.
//! Must not know how that is arranged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request};

use crate::place::{Kind, Place};
use crate::{config, data};

/// What each answer takes on its way.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// What a copy takes.
const COPY: Duration = Duration::from_millis(500);
/// Longest time of publishing.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Seen {
    running: usize,
    most: usize,
    n_copies: usize,
    begun: Option<Instant>,
    /// When each pointer came.
    pointers: BTreeMap<String, Instant>,
}

fn is_copy(request: &Request) -> bool {
    let copies = ["x-amz-copy-source", "x-ms-copy-source"].iter().any(|name| request.header(name).is_some());
    copies || request.target.contains("/rewriteTo/")
}

#[test]
fn many_parts_are_copied_side_by_side() -> Result<()> {
    let (_folder, file) = data(4_100)?;
    for kind in Kind::ALL {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = seen.clone();
        let decide: Decide = Arc::new(move |request, server| {
            let note = || noted.lock().unwrap_or_else(PoisonError::into_inner);
            std::thread::sleep(ROUND_TRIP);
            if !is_copy(request) {
                if request.method != "GET" && request.method != "HEAD" && request.target.contains("_SUCCESS") {
                    note().pointers.insert(request.target.clone(), Instant::now());
                }
                return Fate::Pass;
            }
            {
                let mut seen = note();
                seen.begun.get_or_insert_with(Instant::now);
                seen.running += 1;
                seen.n_copies += 1;
                seen.most = seen.most.max(seen.running);
            }
            std::thread::sleep(COPY);
            let answered = server.ask(request);
            note().running -= 1;
            answered.map_or(Fate::Drop, Fate::Answer)
        });
        let mut place = Place::new(kind)?;
        let proxy = HttpProxy::start(place.port, decide)?;
        place.port = proxy.port();
        let text = config(&file, "compression: none, max_file_size: 15kB,", &place.destination(""));
        let text = text.replace("batch_size: 5000", "batch_size: 100");
        let workspace = place.workspace(&text)?;
        workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        workspace.rivet(&["validate"])?.expect(0)?;
        place.ensure_clean()?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(seen.n_copies >= 40, "{kind:?}: {} parts", seen.n_copies);
        ensure!((8..=16).contains(&seen.most), "{kind:?}: {} copies at once", seen.most);
        let took = seen.begun.zip(seen.pointers.values().max()).map(|(begun, end)| *end - begun);
        eprintln!("{kind:?}: {} copies, {} at once, published after {took:?}", seen.n_copies, seen.most);
        ensure!(kind == Kind::Gcs || took.is_some_and(|took| took < LIMIT), "{kind:?}: {took:?}");
    }
    Ok(())
}
