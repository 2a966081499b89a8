//! What every run against an enemy has in common: how it may end, how soon, how large it grows and what it may print.
//! Must not know who the enemy was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace, files_below, finish_within, no_canary};

/// What a process may take beyond the limit that its config sets.
pub const SLACK: Duration = Duration::from_secs(5);
/// What a client adds to the limit of a statement before it takes the server for lost, 30 s; and many of them begin at once.
pub const STATEMENT_SLACK: Duration = Duration::from_secs(35);
/// Most memory that an enemy gets, bytes.
const MAX_RSS_BYTES: u64 = 100 << 20;
/// A word that no line of ours begins with: who prints it lets others write its lines.
pub const FORGED: &str = "FORGED";

/// How a case is to end.
#[derive(Debug, Clone, Copy)]
pub struct Expect {
    /// One of these exit codes.
    pub exits: &'static [i32],
    /// Beginnings of the error's code, one of which fits; any code when there is none.
    pub codes: &'static [&'static str],
}

/// Ends with one of these codes.
pub const fn fails(exits: &'static [i32], codes: &'static [&'static str]) -> Expect {
    Expect { exits, codes }
}

/// Runs the binary; who is far beyond the limit is killed.
pub fn run(place: &Workspace, words: &[&str], limit: Duration) -> Result<Ran> {
    finish_within(place.spawn(words)?, limit + 2 * SLACK)
}

/// A run that an enemy met: over in time, small, silent about secrets, with lines of its own only, and nothing written.
pub fn ended(place: &Workspace, ran: &Ran, limit: Duration, expect: Expect) -> Result<()> {
    ensure!(ran.code.is_some_and(|code| expect.exits.contains(&code)), "{} instead of {:?}", shown(ran), expect.exits);
    ensure!(ran.took <= limit + SLACK, "it took {:?}, not {limit:?} and a little; {}", ran.took, shown(ran));
    ensure!(ran.peak_rss_bytes <= MAX_RSS_BYTES, "it grew to {} MiB", ran.peak_rss_bytes >> 20);
    no_canary(place, ran)?;
    own_lines(&ran.stderr).context("on stderr")?;
    own_lines(ran.text()?).context("on stdout")?;
    let left = files_below(&place.path().join("out"))?;
    ensure!(left.is_empty(), "half-written: {left:?}");
    if !expect.codes.is_empty() && ran.stdout.starts_with(b"{") {
        let document = ran.json()?;
        let error = if document["error"].is_object() { &document["error"] } else { &document["exports"][0]["error"] };
        let code = error["code"].as_str().with_context(|| format!("no code: {document}"))?;
        ensure!(expect.codes.iter().any(|c| code.starts_with(c)), "{code} instead of {:?}: {error}", expect.codes);
    }
    Ok(())
}

/// No control character but the end of a line, nothing that turns the direction of text, and no line of somebody else.
pub fn own_lines(text: &str) -> Result<()> {
    for line in text.split('\n') {
        let foreign = line.chars().find(|c| c.is_control() || turns(*c));
        ensure!(foreign.is_none(), "a raw {foreign:?} in {line:?}");
        ensure!(!line.trim_start().starts_with(FORGED), "a forged line {line:?}");
    }
    Ok(())
}

/// Unicode's explicit directional marks, and its separators of lines and paragraphs.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How a run ended, in a line: its error's code and message, or the beginning of what it printed.
pub fn shown(ran: &Ran) -> String {
    let (document, code) = (ran.json().unwrap_or_default(), ran.code);
    let export = &document["exports"][0];
    let error = if document["error"].is_object() { &document["error"] } else { &export["error"] };
    let printed = match (error.is_object(), export["rows"].as_u64()) {
        (true, _) => format!("{} {}", error["code"], error["message"]),
        (false, Some(n)) => format!("{n} rows"),
        (false, None) => {
            let from = ran.stderr.find("error: ").unwrap_or(0);
            format!("{:?}", &ran.stderr[from..])
        }
    };
    format!("exit {code:?}: {}", printed.chars().take(400).collect::<String>())
}
