//! Configs that are made to exhaust whoever reads them.
//! Must not know how a config is read.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;

use crate::refused;

/// Time and memory that the refusal of a config may take: next to nothing, whatever its size.
const MOST_TIME: Duration = Duration::from_secs(10);
const MOST_RSS_BYTES: u64 = 200 << 20;

fn refused_cheaply(place: &Workspace, says: &[&str]) -> Result<()> {
    let ran = refused(place, 1, says)?;
    ensure!(ran.took < MOST_TIME, "{:?}", ran.took);
    ensure!(ran.peak_rss_bytes < MOST_RSS_BYTES, "{} bytes", ran.peak_rss_bytes);
    Ok(())
}

#[test]
fn a_gigabyte_is_refused_unread() -> Result<()> {
    let place = Workspace::new("source: {type: sqlite, path: data.db}\n")?;
    let config = place.path().join("rivet.yaml");
    // A hole: it takes no room on the disk.
    File::options().write(true).open(&config)?.set_len(1 << 30)?;
    refused_cheaply(&place, &["the config is larger than"])?;
    // What never ends is no larger to us than what is too large.
    std::fs::remove_file(&config)?;
    std::os::unix::fs::symlink("/dev/zero", &config)?;
    refused_cheaply(&place, &["the config is larger than"])
}

/// One that looks right for long, and is of text to its end.
#[test]
fn gigabytes_of_right_lines_are_refused_unread() -> Result<()> {
    let place = Workspace::new("source: {type: sqlite, path: data.db}\nexports:\n")?;
    let mut config = File::options().append(true).open(place.path().join("rivet.yaml"))?;
    let lines = "- {name: t, table: t, destination: {type: local, path: out}}\n".repeat(1 << 14);
    for _ in 0..1100 {
        config.write_all(lines.as_bytes())?;
    }
    ensure!(config.metadata()?.len() > 1 << 30);
    refused_cheaply(&place, &["the config is larger than"])
}

#[test]
fn deep_nesting_is_refused() -> Result<()> {
    let blocks: String = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level + 2))).collect();
    let aliases: String = (1..30).map(|i| format!("  a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1)).collect();
    let quadratic = |n: usize| format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(n), "*a, ".repeat(n));
    for config in [
        "[".repeat(100_000),
        format!("a: {}1{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        "? ".repeat(100_000),
        format!("{}x\n", "- ".repeat(100_000)),
        quadratic(30_000),
        "source: &a {<<: *a}\n".to_owned(),
        "source: &a [*a]\n".to_owned(),
        "[".repeat(1_000_000),
        "{a: ".repeat(200_000),
        "- ".repeat(500_000),
        format!("source:\n{blocks}"),
        format!("source:\n  a0: &a0 [x, x]\n{aliases}"),
        format!("source: {{type: sqlite, path: {}x{}}}\n", "[".repeat(500), "]".repeat(500)),
    ] {
        let start = config.chars().take(40).collect::<String>();
        let place = Workspace::new(&config)?;
        refused_cheaply(&place, &["config"]).map_err(|e| e.context(start))?;
    }
    Ok(())
}
