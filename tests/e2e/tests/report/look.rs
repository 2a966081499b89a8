//! The page of `rivet report` in a browser: light, dark, narrow and on paper, without a complaint or a request.
//! Must not know the words on the page.

use anyhow::{Context, Result, ensure};
use rivet_test_servers::browser::{Browser, Screen};
use serde_json::Value;

use super::page::workspace;

/// Width that is wider than the screen, the background, whether a hostile name ran, drawn attempts, height of the curves, what a
/// closed table shows.
const EXPRESSIONS: [&str; 5] = [
    "document.documentElement.scrollWidth - innerWidth",
    "getComputedStyle(document.body).backgroundColor",
    "document.querySelectorAll('svg[role=img]:not([aria-label])').length",
    "document.querySelectorAll('rect.read').length",
    "Math.max(0, ...[...document.querySelectorAll('.curve path')].map(path => path.getBoundingClientRect().height))",
];

#[test]
fn the_page_is_whole_on_every_screen() -> Result<()> {
    let workspace = workspace()?;
    workspace.rivet(&["run"])?.expect(1)?;
    workspace.rivet(&["report"])?.expect(0)?;
    let file = workspace.path().join("report.html").canonicalize()?;
    let mut browser = Browser::start()?;
    let mut grounds = Vec::new();
    for (width, dark, print) in
        [(1200, false, false), (1200, true, false), (360, false, false), (360, true, false), (800, false, true)]
    {
        let seen = browser.look(&file, Screen { width, dark, print }, &EXPRESSIONS)?;
        let screen = format!("{width} px, dark: {dark}, print: {print}");
        ensure!(seen.complaints.is_empty(), "{screen}: {:?}", seen.complaints);
        assert_eq!(seen.requests, [format!("file://{}", file.display())], "{screen}");
        let [overflow, ground, unnamed, attempts, curve] = seen.values.as_slice() else {
            anyhow::bail!("{:?}", seen.values)
        };
        ensure!(overflow.as_i64().is_some_and(|px| px <= 0), "{screen}: {overflow} px are cut off");
        assert_eq!(unnamed, 0, "{screen}: pictures without a name");
        ensure!(attempts.as_u64() >= Some(2), "{screen}: {attempts} attempts");
        ensure!(curve.as_f64() > Some(10.0), "{screen}: a curve of {curve} px");
        ensure!(seen.png.starts_with(b"\x89PNG") && seen.png.len() > 10_000, "{screen}: {} bytes", seen.png.len());
        grounds.push(brightness(ground).with_context(|| screen)?);
    }
    ensure!(grounds[0] > 600 && grounds[2] > 600 && grounds[4] == 765, "light is light: {grounds:?}");
    ensure!(grounds[1] < 150 && grounds[3] < 150, "dark is dark: {grounds:?}");
    Ok(())
}

/// The sum of `rgb(…, …, …)`.
fn brightness(colour: &Value) -> Result<u32> {
    let text = colour.as_str().context("a colour")?;
    let inner = text.strip_prefix("rgb(").and_then(|text| text.strip_suffix(')')).context("rgb")?;
    inner.split(", ").map(|part| part.parse::<u32>().context("a number")).sum()
}
