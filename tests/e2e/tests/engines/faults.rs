//! A network between a run and its server that is late, cuts, swallows and stays away.
//! Must not know how a client of ours notices.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, files_below};
use rivet_test_servers::toxiproxy::Proxy;
use serde_json::json;

use crate::{N, sites};

#[test]
fn a_faulty_network_ends_whole_or_told() -> Result<()> {
    for site in sites("network")? {
        let upstream = format!("127.0.0.1:{}", site.port);
        // The name, the fault, whether the run succeeds, and the tuning.
        for (name, toxic, whole, tuning) in [
            (
                "late",
                Some(json!({"type": "latency", "attributes": {"latency": 40, "jitter": 20}})),
                true,
                "max_retries: 0",
            ),
            (
                "in pieces",
                Some(json!({"type": "slicer", "attributes": {"average_size": 700, "size_variation": 300}})),
                true,
                "max_retries: 0",
            ),
            (
                "cut",
                Some(json!({"type": "limit_data", "attributes": {"bytes": 90_000}})),
                false,
                "max_retries: 1, retry_backoff_ms: 100",
            ),
            ("reset", Some(json!({"type": "reset_peer", "attributes": {"timeout": 0}})), false, "max_retries: 0"),
            ("away", None, false, "max_retries: 1, retry_backoff_ms: 100"),
        ] {
            let mut way = Proxy::start(site.engine, "127.0.0.1:0", &upstream)?;
            let url = site.url.replace(&format!(":{}/", site.port), &format!(":{}/", way.port()?));
            match &toxic {
                Some(toxic) => drop(way.add(toxic)?),
                None => way.set_enabled(false)?,
            }
            let place = site.workspace("mode: full", tuning)?.with_variable("TEST_URL", &url);
            let ran = place.rivet(&["run", "--output", "json"])?;
            let said = || format!("{} {name}: {:?} {} {}", site.engine, ran.code, ran.text().unwrap_or(""), ran.stderr);
            if whole {
                ensure!(ran.code == Some(0), "{}", said());
                let found = Exported::read(&place.path().join("out"))?.rows("count(distinct id) as ids", "")?;
                ensure!(found == [json!({"ids": N})], "{}", said());
            } else {
                ensure!(ran.code == Some(2), "{}", said());
                ensure!(files_below(&place.path().join("out"))?.is_empty(), "half-written: {}", said());
                way.clear();
                way.set_enabled(true)?;
                place.run()?.expect(0).with_context(|| format!("{} {name}: once more", site.engine))?;
            }
        }
    }
    Ok(())
}
