//! What a server, its names and its messages hold does not act on the terminal of whoever reads it.
//! Must not know how a text is escaped.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{CANARY, Ran, Workspace, holds};
use rivet_test_servers::postgres::{self, Postgres};

/// Sets the title, writes the clipboard, begins a line of its own, turns the direction, hides: as a literal `E'…'`.
const HOSTILE: &str = r"x\x1b]0;title\x07\x1b]52;c;aGk=\x07\nFORGED: \u202e\u2066\u200b\u2028\u009b31m\u0085\r";

/// A database whose names, types and messages are hostile, with a role that has the canary as its password.
fn url_of_site(server: &Postgres, name: &str) -> Result<String> {
    let database = server.fresh_database(name)?;
    // Names cannot be written with escapes as they are, so that the server makes the statements.
    server.psql(
        &database,
        &format!(
            "create role {database} login password '{CANARY}'; grant usage on schema public to {database};\n\
             do $do$ declare bad text := E'{HOSTILE}'; begin\n\
             execute format('create type %I as enum (%L)', 'e' || bad, bad);\n\
             execute format('create table %I (id int primary key, %I text, %I %I)', 't' || bad, 'c' || bad, 'e', 'e' || bad);\n\
             execute format('insert into %I values (1, %L, %L)', 't' || bad, bad, bad);\n\
             execute format('create view v as select * from %I', 't' || bad);\n\
             execute format('grant select on %I to {database}', 't' || bad);\n\
             end $do$;\n\
             grant select on v to {database};\n\
             create function boom(long bool) returns int language plpgsql as $f$ begin\n\
             raise notice '%', E'notice {HOSTILE} {CANARY}';\n\
             raise exception '%', E'{HOSTILE} {CANARY}' || repeat('y', case when long then 50000000 else 1 end)\n\
               using hint = E'hint {HOSTILE}', detail = E'detail {HOSTILE}';\n\
             end $f$;"
        ),
    )?;
    Ok(format!("postgres://{database}:{CANARY}@{}:{}/{database}", server.host(), server.port()))
}

fn workspace(url: &str, relation: &str) -> Result<Workspace> {
    let text = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\n\
         exports:\n- {{name: t, {relation}, destination: {{type: local, path: 'out/{{export}}'}}}}\n"
    );
    Ok(Workspace::new(&text)?.with_variable("TEST_URL", url))
}

/// Nothing acts, no line is forged, no secret is shown, and what was hostile is there to be read. What is printed as JSON has
/// its escapes within.
fn harmless(ran: &Ran, shows: bool) -> Result<()> {
    let stdout = ran.text()?;
    for text in [stdout, ran.stderr.as_str()] {
        let acts = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let found: Vec<char> = text.chars().filter(|c| acts(*c)).collect();
        ensure!(found.is_empty(), "{found:?} in {text:?}");
        ensure!(text.lines().all(|line| !line.starts_with("FORGED")), "{text}");
        ensure!(!holds(text.as_bytes(), CANARY), "the secret is shown: {text}");
    }
    let seen = |text: &str| text.contains("u{1b}]0;title") || text.contains("u001b]0;title");
    ensure!(!shows || seen(stdout) || seen(&ran.stderr), "it is not shown at all: {stdout} {}", ran.stderr);
    Ok(())
}

#[test]
fn names_do_not_act_on_a_terminal() -> Result<()> {
    let server = postgres::shared();
    let url = url_of_site(server, "hostile_names")?;
    // A config names no such table, but its columns are there in a view, and the table is where a pattern finds it.
    let place = workspace(&url, "table: v")?;
    for words in [
        &["check", "--type-report"][..],
        &["run", "--dry-run"],
        &["run", "-vvv"],
        &["run", "-vvv", "--log-format", "json"],
        &["doctor"],
        &["state", "show"],
        &["metrics"],
        &["journal", "--last"],
    ] {
        for output in ["text", "json", "ndjson"] {
            let ran =
                place.rivet(&[words, &["--output", output]].concat())?.expect(0).with_context(|| words.join(" "))?;
            let shows = words[0] == "check" || words.contains(&"--dry-run");
            harmless(&ran, shows).with_context(|| format!("{words:?} {output}"))?;
        }
    }
    let place = workspace(&url, "tables: ['*']")?;
    for words in [&["run", "-vvv"][..], &["check"], &["run", "--dry-run"], &["state", "show"], &["metrics"]] {
        for output in ["text", "json", "ndjson"] {
            let ran = place.rivet(&[words, &["--output", output]].concat())?;
            harmless(&ran, words[0] == "check").with_context(|| format!("{words:?} {output}"))?;
        }
    }
    Ok(())
}

#[test]
fn messages_do_not_act_on_a_terminal_and_end() -> Result<()> {
    let server = postgres::shared();
    let url = url_of_site(server, "hostile_messages")?;
    for long in [false, true] {
        let place = workspace(&url, &format!("query: 'select boom({long})'"))?;
        for output in ["text", "json", "ndjson"] {
            for logs in ["text", "json"] {
                let ran = place.rivet(&["run", "-vvv", "--output", output, "--log-format", logs])?;
                ensure!(ran.code != Some(0), "{ran:?}");
                harmless(&ran, true).with_context(|| format!("{output}, logs as {logs}"))?;
                let n_bytes = ran.stdout.len() + ran.stderr.len();
                ensure!(n_bytes < 200_000, "{n_bytes} bytes are printed");
                ensure!(
                    !long || holds(&ran.stdout, " more)") || ran.stderr.contains(" more)"),
                    "it is not said what was cut"
                );
            }
        }
        let told = place.rivet(&["journal", "--last"])?.expect(0)?;
        harmless(&told, true)?;
    }
    Ok(())
}
