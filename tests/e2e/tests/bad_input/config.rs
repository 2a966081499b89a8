//! Configs that are wrong before anything is contacted.
//! Must not know how a config is read.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;

use crate::{CANARY, refused};

/// A right config whose parts are replaced to make it wrong.
fn right() -> String {
    format!(
        "source:\n\
         \x20 type: postgres\n\
         \x20 url: postgres://u:{CANARY}@127.0.0.1:1/d\n\
         exports:\n\
         \x20 - name: orders\n\
         \x20   table: public.orders\n\
         \x20   destination: {{type: local, path: out}}\n"
    )
}

#[test]
fn each_slip_is_named() -> Result<()> {
    let cases: [(&str, &str, &[&str]); 10] = [
        ("    table:", "    tabel:", &["exports.orders.tabel", "did you mean 'table'"]),
        ("  type: postgres", "  tpye: postgres", &["source.type", "is missing"]),
        ("  url:", "  ulr:", &["source.ulr", "did you mean 'url'"]),
        ("type: postgres", "type: postgers", &["postgers", "postgres"]),
        ("@127", "@${RIVET_TEST_UNSET}", &["RIVET_TEST_UNSET"]),
        ("name: orders", "name: ../../x", &["exports[0].name (line 5)", "may only have"]),
        ("name: orders", "name: /x", &["exports[0].name (line 5)", "may only have"]),
        ("type: local", "type: locale", &["locale", "local"]),
        ("    table: public.orders", "    table: public.orders\n    query: select 1", &["orders", "table", "query"]),
        ("  url:", "  user: u\n  url:", &["url", "user"]),
    ];
    for (from, to, says) in cases {
        let wrong = right().replacen(from, to, 1);
        ensure!(wrong != right(), "{from:?} is in the config");
        let place = Workspace::new(&wrong)?;
        refused(&place, 1, says).map_err(|e| e.context(format!("{from:?} became {to:?}")))?;
        ensure!(!place.path().join("../../x").exists(), "nothing outside");
    }
    Ok(())
}

#[test]
fn a_missing_config_is_named() -> Result<()> {
    let place = Workspace::new("")?;
    let ran = place.rivet(&["run", "--config", "nowhere.yaml"])?.expect(1)?;
    ensure!(ran.stderr.contains("nowhere.yaml") && ran.stderr.contains("hint:"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn wrong_usage_is_exit_1() -> Result<()> {
    let place = Workspace::new("")?;
    for words in [&["rnu"][..], &["run", "--nonsense"], &["run", "--output", "xml"]] {
        let ran = place.rivet(words)?.expect(1)?;
        ensure!(ran.stdout.is_empty() && ran.stderr.contains("error:"), "{words:?}: {}", ran.stderr);
    }
    Ok(())
}

/// A config as bytes, and its export's rows where it is right, else what is said about it.
fn bytes(text: &[u8], says: Option<&str>) -> Result<()> {
    let place = Workspace::new("")?;
    oracle::run(
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('create table t (id integer)'); c.commit()",
        &[&place.path().join("data.db").display().to_string()],
    )?;
    std::fs::write(place.path().join("rivet.yaml"), text)?;
    match says {
        Some(says) => refused(&place, 1, &[says]).map(drop),
        None => place.run()?.expect(0).map(drop),
    }
}

#[test]
fn odd_bytes_are_named_or_harmless() -> Result<()> {
    let right = "source: {type: sqlite, path: data.db}\nexports:\n- name: t\n  table: t\n  destination: {type: local, path: out}\n";
    let with = |from: &str, to: &str| right.replacen(from, to, 1).into_bytes();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(right.bytes().flat_map(|b| [b, 0])).collect();
    let mut broken = right.as_bytes().to_vec();
    broken.splice(70..70, [0xc3, 0x28]);
    let cases: [(&str, Vec<u8>, Option<&str>); 16] = [
        ("as it is", right.into(), None),
        ("byte order mark", format!("\u{feff}{right}").into_bytes(), None),
        ("CRLF", right.replace('\n', "\r\n").into_bytes(), None),
        ("no newline at the end", right.trim_end().into(), None),
        ("two byte order marks", format!("\u{feff}\u{feff}{right}").into_bytes(), Some("YAML")),
        ("NUL", with("name: t", "name: t\0"), Some("(line 3) is no valid YAML: it holds a control character")),
        ("NUL at the end", format!("{right}\0").into_bytes(), Some("(line 6) is no valid YAML")),
        ("escaped NUL in a table", with("table: t", "table: \"t\\0\""), Some("exports.t.table (line 4)")),
        ("escaped NUL in a name", with("name: t", "name: \"t\\0\""), Some("exports[0].name (line 3)")),
        ("invalid UTF-8", broken, Some("(line 5) is not UTF-8")),
        ("UTF-16", utf16, Some("(line 1) is not UTF-8")),
        ("tab", with("  table: t", "\ttable: t"), Some("(line 4) is no valid YAML")),
        ("duplicate key", with("  table: t", "  table: t\n  table: u"), Some("exports.t.table (line 5) is set twice")),
        ("duplicate block", format!("{right}source: {{}}\n").into_bytes(), Some("source (line 6) is set twice")),
        ("empty", Vec::new(), Some("the config is empty")),
        ("a comment alone", "# nothing\n---\n".into(), Some("the config is empty")),
    ];
    for (what, text, says) in cases {
        bytes(&text, says).map_err(|e| e.context(what))?;
    }
    Ok(())
}
