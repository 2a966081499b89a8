//! Configs that are wrong before anything is contacted.
//! Must not know how a config is read.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;

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
