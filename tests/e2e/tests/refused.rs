//! Bad input: one clear error with a hint, the right exit code, nothing half-written, no secret anywhere.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::place::Place;
use rivet_test_servers::postgres;

const CANARY: &str = "c4nary-pa55word";

/// Runs a config and checks what every refusal has in common.
fn refused(config: &str, url: &str, code: i32, says: &[&str]) -> Result<Place> {
    let place = Place::new(config)?;
    let run = place.run(None, url)?;
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    ensure!(run.status.code() == Some(code), "expected exit {code}: {run:?}");
    for word in says.iter().chain(&["error: "]) {
        ensure!(text.contains(word), "'{word}' is missing in: {text}");
    }
    // "must be …" says what to do by itself.
    ensure!(text.contains("hint: ") || text.contains("must be"), "no hint in: {text}");
    ensure!(run.stdout.is_empty(), "{run:?}");
    ensure!(place.files().is_empty(), "half-written: {:?}", place.files());
    for entry in std::fs::read_dir(place.dir.path())? {
        let path = entry?.path();
        if path.is_file() && path.file_name().is_some_and(|n| n != "rivet.yaml") {
            let bytes = std::fs::read(&path)?;
            ensure!(
                !bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()),
                "the canary is in {}",
                path.display()
            );
        }
    }
    ensure!(!text.contains(CANARY), "the canary is in: {text}");
    Ok(place)
}

fn export(keys: &str) -> String {
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{max_retries: 0}}}}\nexports:\n  \
         - {{destination: {{type: local, path: out}}, {keys}}}\n"
    )
}

#[test]
fn what_the_config_gets_wrong() -> Result<()> {
    let url = format!("postgres://postgres:{CANARY}@127.0.0.1:1/d");
    refused(&export("name: t, tabel: t"), &url, 1, &["exports.t.tabel", "did you mean 'table'"])?;
    refused(&export("name: ../../x, table: t"), &url, 1, &["name"])?;
    refused(&export("name: t, table: t, mode: nonsense"), &url, 1, &["mode", "must be 'full'"])?;
    let unset = "source: {type: postgres, url: '${RIVET_TEST_UNSET}'}\nexports: [{name: t, table: t, destination: {type: local, path: out}}]";
    refused(unset, &url, 1, &["RIVET_TEST_UNSET"])?;
    let unknown = export("name: t, table: t").replace("type: postgres", "type: oracle");
    refused(&unknown, &url, 1, &["oracle", "postgres, sqlite"])?;
    Ok(())
}

#[test]
fn what_the_server_refuses() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("refused")?;
    server.psql(
        &database,
        "CREATE TABLE secret (a int); CREATE TABLE nan AS SELECT 'NaN'::numeric(5,2) AS \"odd name\"; \
         CREATE TABLE huge AS SELECT 1 AS id, convert_to(repeat('x', 200000000), 'utf8') AS payload",
    )?;
    let url = server.url(&database);
    let wrong = format!("postgres://postgres:{CANARY}@{}:{}/{database}", server.host(), server.port());
    let started = std::time::Instant::now();
    refused(&export("name: t, table: t"), &wrong, 1, &["password authentication failed"])?;
    ensure!(started.elapsed() < std::time::Duration::from_secs(5), "a wrong password is tried once");
    let closed = format!("postgres://postgres:{CANARY}@127.0.0.1:1/d");
    refused(&export("name: t, table: t"), &closed, 2, &["127.0.0.1:1"])?;
    let remote = format!("postgres://postgres:{CANARY}@db.example.com/d");
    refused(&export("name: t, table: t"), &remote, 1, &["tls"])?;
    refused(&export("name: t, table: missing"), &url, 1, &["table missing does not exist"])?;
    refused(
        &export("name: t, table: secret"),
        &server.url_as("reader", &database),
        1,
        &["permission denied", "secret"],
    )?;
    refused(&export("name: t, table: nan"), &url, 3, &["column 'odd name'", "row 1", "NaN"])?;
    refused(&export("name: t, table: huge"), &url, 3, &["column 'payload'", "190.7 MiB", "max_value_mb"])?;
    refused(&export("name: t, query: SELECT 1 AS a FROM nowhere"), &url, 1, &["nowhere"])?;
    refused(&export("name: t, query: 'SELECT 1 AS a, 2 AS a'"), &url, 1, &["two columns are called 'a'"])?;
    Ok(())
}

#[test]
fn a_200_mb_cell_is_refused_before_it_is_in_memory() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("huge")?;
    server.psql(
        &database,
        "CREATE TABLE huge AS SELECT 1 AS id, convert_to(repeat('x', 200000000), 'utf8') AS payload",
    )?;
    let place = Place::new(&export("name: t, table: huge"))?;
    let mut rivet = std::process::Command::new(rivet_test_e2e::place::target_dir()?.join("rivet"));
    rivet.args(["run", "--output", "json", "--plugin-dir"]).arg(&place.plugins).current_dir(place.dir.path());
    let run = rivet.env("TEST_URL", server.url(&database)).output()?;
    let summary: serde_json::Value = serde_json::from_slice(&run.stdout)?;
    let peak = summary["exports"][0]["peak_rss_bytes"].as_u64().context("a peak")?;
    ensure!(peak > 0 && peak < 120 << 20, "peak memory {peak}");
    ensure!(summary["exports"][0]["error"]["code"] == "postgres.value_too_large", "{summary}");
    Ok(())
}

#[test]
fn what_plugin_folders_get_wrong() -> Result<()> {
    let place = Place::new(&export("name: t, table: t"))?;
    let list = || -> Result<(Option<i32>, String)> {
        let mut rivet = std::process::Command::new(rivet_test_e2e::place::target_dir()?.join("rivet"));
        let run = rivet.args(["plugin", "list", "--plugin-dir"]).arg(&place.plugins).output()?;
        Ok((run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned()))
    };
    ensure!(list()?.0 == Some(0));
    let text = place.plugins.join("libnotes.so");
    std::fs::write(&text, "not a library")?;
    let (code, said) = list()?;
    ensure!(code == Some(7) && said.contains("libnotes.so") && said.contains("a text file"), "{code:?} {said}");
    std::fs::copy(place.plugins.join("librivet_dest_local.so"), &text)?;
    let (code, said) = list()?;
    ensure!(code == Some(7) && said.contains("two destination plugins are called 'local'"), "{code:?} {said}");
    ensure!(
        said.contains("libnotes.so") && said.contains("librivet_dest_local.so") && said.contains("0.1.0"),
        "{said}"
    );
    std::fs::remove_file(&text)?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&place.plugins, std::fs::Permissions::from_mode(0o777))?;
    let (code, said) = list()?;
    ensure!(code == Some(1) && said.contains("writable by everyone"), "{code:?} {said}");
    Ok(())
}
