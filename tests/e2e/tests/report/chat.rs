//! Messages to Slack: what is in them and what is not, and when none is sent.
//! Must not know how a server may misbehave.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{CANARY, Workspace, no_secret};
use rivet_test_servers::oracle;
use rivet_test_servers::web::{Answer, Web};
use serde_json::{Value, json};

/// The part of the URL that opens the channel.
pub const TOKEN: &str = "T0SECRET1/B0SECRET2/x0secretsecret3";

/// Two exports, of which `gone` fails, and this in the block of Slack beside the URL.
pub fn workspace(url: &str, more: &str) -> Result<Workspace> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table a (id integer primary key, v text)')
con.executemany('insert into a values (?, ?)', [(i, sys.argv[2]) for i in range(20)])
con.commit()
";
    let config = format!(
        "source: {{type: sqlite, path: data.db}}\n\
         notifications: {{slack: {{webhook_url_env: SLACK_URL, {more}}}}}\n\
         defaults: {{destination: {{type: local, path: 'out/{{export}}'}}}}\n\
         exports:\n- {{name: a, table: a}}\n- {{name: gone, table: gone}}\n"
    );
    let workspace = Workspace::new(&config)?.with_variable("SLACK_URL", url);
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string(), CANARY])?;
    Ok(workspace)
}

/// An answer as Slack gives it.
pub fn ok() -> Answer {
    Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec())
}

/// The body of the only request.
fn told(web: &Web) -> Result<Value> {
    let requests = web.requests();
    ensure!(requests.len() == 1, "one request: {requests:?}");
    let (head, body) = requests[0].split_once("\r\n\r\n").context("a head and a body")?;
    ensure!(head.starts_with(&format!("POST /services/{TOKEN} HTTP/1.1\r\n")), "{head}");
    ensure!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
    serde_json::from_str(body).context("the body is JSON")
}

fn url(web: &Web) -> String {
    format!("http://{}/services/{TOKEN}", web.address())
}

fn field<'m>(attachment: &'m Value, title: &str) -> Option<&'m str> {
    attachment["fields"].as_array()?.iter().find(|field| field["title"] == title)?["value"].as_str()
}

#[test]
fn a_failure_is_told_without_secrets_and_data() -> Result<()> {
    let web = Web::start(ok())?;
    let workspace = workspace(&url(&web), "on: [failure]")?;
    let ran = workspace.rivet(&["run", "-vvv", "--output", "json"])?.expect(1)?;
    ensure!(!ran.stderr.contains("could not be delivered"), "{}", ran.stderr);
    let message = told(&web)?;
    let summaries = ran.json()?;
    let failed = &summaries["exports"][1];
    assert_eq!(message["text"], "Rivet: 1 export failed");
    let [attachment] = message["attachments"].as_array().context("attachments")?.as_slice() else {
        anyhow::bail!("one attachment: {message}")
    };
    assert_eq!((&attachment["title"], &attachment["color"]), (&json!("gone: failed"), &json!("#c4314b")));
    let error = &failed["error"];
    let error_text =
        format!("{}: {}", error["code"].as_str().context("a code")?, error["message"].as_str().context("a message")?);
    for (title, value) in [
        ("Export", "gone"),
        ("Status", "failed"),
        ("Run", failed["run_id"].as_str().context("a run id")?),
        ("Rows", "0"),
        ("Error", &error_text),
        ("Next step", error["hint"].as_str().context("a hint")?),
    ] {
        assert_eq!(field(attachment, title), Some(value), "{title} of {attachment}");
    }
    ensure!(!message.to_string().contains(CANARY), "a value of the data is in the message");
    // Not in logs, in the state, in the manifest, nor anywhere else.
    for secret in [TOKEN, "x0secretsecret3"] {
        no_secret(&workspace, &ran, secret)?;
    }
    let dry = workspace.rivet(&["run", "--dry-run", "--output", "json"])?.expect(1)?;
    no_secret(&workspace, &dry, TOKEN)?;
    assert_eq!(web.requests().len(), 1, "what only looks tells nobody");
    Ok(())
}

#[test]
fn a_schema_that_changed_is_told() -> Result<()> {
    let web = Web::start(ok())?;
    let workspace = workspace(&url(&web), "on: [schema_change]")?;
    workspace.rivet(&["run", "-e", "a"])?.expect(0)?;
    workspace.rivet(&["run", "-e", "gone"])?.expect(1)?;
    assert_eq!(web.requests(), [""; 0], "nobody asked to hear of success and failure");
    let data = workspace.path().join("data.db").display().to_string();
    oracle::run(
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('alter table a add column w real')",
        &[&data],
    )?;
    let ran = workspace.rivet(&["run", "-e", "a", "--output", "json"])?.expect(0)?;
    let changes = &ran.json()?["exports"][0]["schema_changes"];
    ensure!(changes[0].as_str().is_some_and(|change| change.contains("'w'")), "{changes}");
    let message = told(&web)?;
    assert_eq!(message["text"], "Rivet: 1 export with a changed schema");
    let attachment = &message["attachments"][0];
    assert_eq!((&attachment["title"], &attachment["color"]), (&json!("a: schema changed"), &json!("#b7791f")));
    assert_eq!((field(attachment, "Schema"), field(attachment, "Rows")), (changes[0].as_str(), Some("20")));
    Ok(())
}

#[test]
fn a_run_that_was_hard_on_the_source_is_told_to_those_who_ask() -> Result<()> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('drop table a')
con.execute('create table a (id integer primary key, v text)')
con.execute('with recursive n (i) as (select 1 union all select i + 1 from n where i < 100001) insert into a select i, 1 from n')
con.commit()
";
    for (on, expected) in [("on: [degraded]", 1), ("", 0)] {
        let web = Web::start(ok())?;
        let workspace = workspace(&url(&web), on)?;
        oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string()])?;
        workspace.rivet(&["run", "-e", "a"])?.expect(0)?;
        assert_eq!(web.requests().len(), expected, "{on}");
        if expected == 1 {
            let message = told(&web)?;
            assert_eq!(message["text"], "Rivet: 1 export degraded");
            let why = field(&message["attachments"][0], "Degraded").context("why")?;
            ensure!(why.contains("DEGRADED"), "{why}");
        }
    }
    Ok(())
}

#[test]
fn a_run_that_cannot_begin_is_told_too() -> Result<()> {
    let web = Web::start(ok())?;
    let workspace = workspace(&url(&web), "on: [failure]")?;
    std::fs::remove_file(workspace.path().join("data.db"))?;
    let config = std::fs::read_to_string(workspace.path().join("rivet.yaml"))?;
    workspace.configure(&config.replace("table: gone", "tables: ['*']"))?;
    let ran = workspace.rivet(&["run", "-e", "gone"])?;
    let code = ran.code.context("an exit code")?;
    ensure!(code != 0, "{}", ran.stderr);
    let message = told(&web)?;
    assert_eq!(message["text"], "Rivet: the run failed before its first export");
    let said = field(&message["attachments"][0], "Exit code").context("the exit code")?;
    ensure!(said.starts_with(&format!("{code}: ")), "{said}");
    Ok(())
}

#[test]
fn a_webhook_that_is_none_is_refused_without_being_shown() -> Result<()> {
    let workspace = workspace("ftp://x0secretsecret3", "on: [failure]")?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    ensure!(
        ran.stderr.contains("notifications.slack.webhook_url_env") && ran.stderr.contains("https://"),
        "{}",
        ran.stderr
    );
    ensure!(!ran.stderr.contains("x0secretsecret3"), "{}", ran.stderr);
    Ok(())
}
