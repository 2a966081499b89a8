//! Two runs from two states into one prefix: neither harms the other, and whoever reads what the pointer names sees each row once.
//! Must not know what they tell each other.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace};
use rivet_test_servers::oracle;

use crate::place::{Kind, Place};
use crate::{config, data};

/// Rows of the table; they make many parts.
const N_ROWS: u64 = 20_000;

fn signal(pid: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status()?;
    ensure!(sent.success(), "kill {name} {pid}");
    Ok(())
}

/// The rows are there once by the pointer, each manifest's parts are there, and no part is of anything else.
fn ensure_whole(place: &Place, by: &Workspace) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    place.download(&out)?;
    let exported = Exported::read(&out)?;
    let found = oracle::duckdb(&format!("select count(*) n, count(distinct id) d from {}", exported.relation()?))?;
    ensure!(found.trim() == format!(r#"{{"n": {N_ROWS}, "d": {N_ROWS}}}"#), "{found}");
    by.rivet(&["validate", "--depth", "full"])?.expect(0)?;
    place.ensure_clean()
}

/// Two runs, of which the second did all while the first stood still.
struct Met {
    place: Place,
    first: Workspace,
    second: Workspace,
    ran: Ran,
    slow: Output,
}

/// None where the first was done before it stood still.
fn meet(file: &str, kind: Kind) -> Result<Option<Met>> {
    let place = Place::new(kind)?;
    let text = config(file, "compression: none, max_file_size: 15kB,", &place.destination(""));
    let (first, second) = (place.workspace(&text)?, place.workspace(&text)?);
    let mut slow = first.spawn(&["run", "--output", "json"])?;
    let begun = Instant::now();
    while !place.keys()?.iter().any(|key| key.ends_with(".parquet")) {
        ensure!(begun.elapsed() < Duration::from_secs(60) && slow.try_wait()?.is_none(), "{kind:?}: too early");
    }
    signal(slow.id(), "-STOP")?;
    let stopped_in_time = !place.keys()?.iter().any(|key| key == "_SUCCESS.t");
    let ran = if stopped_in_time { Some(second.run()?) } else { None };
    signal(slow.id(), "-CONT")?;
    let slow = slow.wait_with_output()?;
    Ok(ran.map(|ran| Met { place, first, second, ran, slow }))
}

/// The first stands still after it has looked at the pointer and published its first part; the second does all of its own.
#[test]
fn who_comes_second_with_its_pointer_takes_its_parts_back() -> Result<()> {
    let (_folder, file) = data(N_ROWS)?;
    for kind in Kind::ALL {
        // Parts are published side by side: the moment is short.
        let met = (0..10).find_map(|_| meet(&file, kind).transpose()).transpose()?;
        let Met { place, first, second, ran, slow } =
            met.with_context(|| format!("{kind:?}: the first was done too soon"))?;
        ran.expect(0).with_context(|| format!("{kind:?}: the second"))?;
        let told = String::from_utf8_lossy(&slow.stdout).into_owned() + &String::from_utf8_lossy(&slow.stderr);
        ensure!(!slow.status.success() && told.contains("_SUCCESS.t"), "{kind:?}: {:?} {told}", slow.status);
        ensure_whole(&place, &second).with_context(|| format!("{kind:?}: {told}"))?;
        // From now on it knows of the other.
        let again = first.run()?;
        ensure!(again.code != Some(0), "{kind:?}: {}", again.stderr);
        ensure_whole(&place, &second).with_context(|| format!("{kind:?}, again"))?;
    }
    Ok(())
}

#[test]
fn both_at_once() -> Result<()> {
    let (_folder, file) = data(N_ROWS)?;
    for kind in Kind::ALL {
        for _ in 0..3 {
            let place = Place::new(kind)?;
            let text = config(&file, "compression: none, max_file_size: 1MB,", &place.destination(""));
            let rivals = [place.workspace(&text)?, place.workspace(&text)?];
            let running = [rivals[0].spawn(&["run"])?, rivals[1].spawn(&["run"])?];
            let ended = running.map(std::process::Child::wait_with_output);
            let (mut won, mut lost) = (Vec::new(), Vec::new());
            for (rival, ended) in rivals.iter().zip(ended) {
                if ended?.status.success() { won.push(rival) } else { lost.push(rival) }
            }
            ensure!(won.len() == 1, "{kind:?}: {} won", won.len());
            won[0].rivet(&["validate", "--depth", "full"])?.expect(0).with_context(|| format!("{kind:?}"))?;
            // Of what it has prepared nothing is left; one word lets it begin again.
            place.ensure_clean().with_context(|| format!("{kind:?}, of the other"))?;
            lost[0].rivet(&["run", "--force"])?.expect(0)?;
            ensure_whole(&place, lost[0]).with_context(|| format!("{kind:?}, forced"))?;
        }
    }
    Ok(())
}
