//! What a plugin says is shown on lines of ours: harmless, cut, and with the plugin's name.
//! Must not know where a text is escaped.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{FOLDER, both, config};

/// Sets the title, rings, ends a string of C, begins a line, turns the direction of writing.
const HOSTILE: &str = "x\u{1b}]0;title\u{7}\u{0}\nerror: forged\r\u{9b}31m\u{202e}y";
/// As many make 400 KB.
const TIMES: usize = 16_000;

fn acts(c: char) -> bool {
    c.is_control() && c != '\n' || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
}

#[test]
fn what_a_plugin_says_does_nothing_and_is_cut() -> Result<()> {
    let says = HOSTILE.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>();
    let says = format!("\"{says}\"");
    for (how, code) in [("fail", 1), ("panic", 7), ("warn", 0), ("later", 2)] {
        for at in ["open", "describe", "batch"] {
            for place in both(&config(&format!("at: {at}, how: {how}, says: {says}, times: {TIMES}"), FOLDER))? {
                let place = place.workspace;
                for words in [
                    &["run"][..],
                    &["run", "-vv", "--log-format", "json"],
                    &["run", "--output", "json"],
                    &["run", "--output", "ndjson"],
                    &["check"],
                    &["doctor"],
                    &["metrics"],
                ] {
                    let ran = place.rivet(words)?;
                    ensure!(words[0] != "run" || ran.code == Some(code), "{how} {at} {words:?}: {ran:?}");
                    for text in [ran.text()?, &ran.stderr] {
                        ensure!(
                            !text.contains(acts) && !text.contains("\nerror: forged"),
                            "{how} {at} {words:?}: {text:?}"
                        );
                        ensure!(text.len() < 64 << 10, "{how} {at} {words:?}: {} bytes", text.len());
                    }
                    ensure!(
                        words[0] != "run" || ran.stderr.contains("bytes more)") || ran.text()?.contains("bytes more)"),
                        "{how} {at} {words:?}: {ran:?}"
                    );
                }
                let state = std::fs::metadata(place.path().join(".rivet_state.db"))?.len();
                ensure!(state < 1 << 20, "{how} {at}: the state has {state} bytes");
            }
        }
    }
    Ok(())
}

#[test]
fn a_warning_of_a_plugin_is_one_and_names_it() -> Result<()> {
    for place in both(&config("at: batch, how: warn, says: 'slow today'", FOLDER))? {
        let ran = place.workspace.rivet(&["run"])?.expect(0)?;
        let says = "warning: source 'rude': page: slow today rows=7 table=\"slow today\"";
        ensure!(ran.stderr.lines().any(|line| line.ends_with(says)), "{}", ran.stderr);
        ensure!(!place.workspace.rivet(&["run", "-q"])?.expect(0)?.stderr.contains("slow"), "it is no error");
    }
    Ok(())
}

#[test]
fn how_far_a_call_is_can_be_heard() -> Result<()> {
    for place in both(&config("at: nowhere", FOLDER))? {
        let ran = place.workspace.rivet(&["run", "-v"])?.expect(0)?;
        let told: Vec<&str> = ran.stderr.lines().filter(|line| line.ends_with(" of 3 done")).collect();
        ensure!(told.len() == 1 && told[0].ends_with("Z  INFO source 'rude': 0 of 3 done"), "{}", ran.stderr);
        ensure!(!place.workspace.rivet(&["run"])?.expect(0)?.stderr.contains("done"), "nobody asked");
    }
    Ok(())
}

#[test]
fn a_log_line_of_a_plugin_has_its_fields_as_they_are() -> Result<()> {
    for place in both(&config("at: batch, how: inform, says: 'a page'", FOLDER))? {
        let ran = place.workspace.rivet(&["run", "-v"])?.expect(0)?;
        let line = ran.stderr.lines().find(|l| l.contains("a page")).context("the line is there")?;
        ensure!(line.ends_with("Z  INFO source 'rude': page: a page rows=7 table=orders"), "{line}");
        let ran = place.workspace.rivet(&["run", "-v", "--log-format", "json"])?.expect(0)?;
        let line = ran.stderr.lines().find(|l| l.contains("a page")).context("the line is there")?;
        let line: Value = serde_json::from_str(line)?;
        let fields = serde_json::json!({ "message": "a page", "rows": 7, "table": "orders" });
        assert_eq!((&line["level"], &line["fields"]), (&"INFO".into(), &fields));
        assert_eq!((&line["plugin"], &line["span"]), (&"source 'rude'".into(), &"page".into()));
        ensure!(line["target"].as_str().is_some_and(|t| t.starts_with("rivet_test_rude")), "{line}");
    }
    Ok(())
}
