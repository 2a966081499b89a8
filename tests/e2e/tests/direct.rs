//! `rivet run URL …`: an export without a config file, and the config file that stands for it.
//! Must not know any crate of the product.

use std::fs;

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below, holds};
use rivet_test_servers::oracle;

const CANARY: &str = "c4nary-51b7";

/// A folder with `data.db` and without a config.
fn workspace() -> Result<Workspace> {
    let workspace = Workspace::new("")?;
    fs::remove_file(workspace.path().join("rivet.yaml"))?;
    const SCRIPT: &str = "import sqlite3, sys\ncon = sqlite3.connect(sys.argv[1])\ncon.executescript(sys.argv[2])\n";
    let sql = "create table orders (id integer primary key, v text); \
               insert into orders values (1, 'a$b'), (2, 'b'), (3, '${x}'); create table \"od d\" as select 7 x, 8 y";
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string(), sql])?;
    Ok(workspace)
}

#[test]
fn a_table_is_exported_without_a_file() -> Result<()> {
    let place = workspace()?;
    place.rivet(&["run", "sqlite:data.db", "--table", "orders", "--to", "./out"])?.expect(0)?;
    let read = Exported::read(&place.path().join("out"))?;
    assert_eq!((read.n_rows(), read.manifest["export"].as_str()), (3, Some("orders")));
    ensure!(place.path().join(".rivet_state.db").exists(), "the state is where the config would be");
    ensure!(!place.path().join("rivet.yaml").exists(), "no file was asked for");
    Ok(())
}

#[test]
fn conditions_queries_formats_and_names_are_taken_as_they_are() -> Result<()> {
    let place = workspace()?;
    let cases: [(&[&str], u64, &str, &str); 5] = [
        (&["--table", "orders", "--where", "v = '${x}' or v = 'a$b'"], 2, "orders", "parquet"),
        (&["--query", "select 1 as a union all select 2", "--name", "two"], 2, "two", "parquet"),
        (&["--query", "select ${n} as a", "--param", "n=5"], 1, "query", "parquet"),
        (&["--table", "od d", "--format", "csv"], 1, "od_d", "csv"),
        (&["--table", "orders", "--format", "arrow", "--validate"], 3, "orders", "arrow"),
    ];
    for (i, (words, rows, name, extension)) in cases.into_iter().enumerate() {
        let to = format!("out{i}");
        let all = [&["run", "sqlite:data.db", "--to", &to], words].concat();
        place.rivet(&all)?.expect(0)?;
        let read = Exported::read(&place.path().join(&to))?;
        assert_eq!((read.n_rows(), read.manifest["export"].as_str()), (rows, Some(name)), "{words:?}");
        ensure!(read.parts[0].extension().is_some_and(|e| e == extension), "{:?}", read.parts);
    }
    let piped = place.rivet(&["run", "sqlite:data.db", "--table", "orders", "--format", "csv", "--to", "-"])?;
    assert_eq!(piped.expect(0)?.text()?.replace("\r\n", "\n"), "id,v\n1,a$b\n2,b\n3,${x}\n");
    Ok(())
}

#[test]
fn the_saved_config_is_what_ran() -> Result<()> {
    let place = workspace()?;
    fs::create_dir(place.path().join("conf"))?;
    for file in ["rivet.yaml", "conf/my.yaml"] {
        let to = format!("to-{}", file.len());
        let words =
            ["run", "sqlite:data.db", "--table", "orders", "--where", "v <> '${x}'", "--to", &to, "--save", file];
        let ran = place.rivet(&words)?;
        // A relative file of the URL starts where the config is.
        if file == "conf/my.yaml" {
            fs::copy(place.path().join("data.db"), place.path().join("conf/data.db"))?;
        } else {
            ran.expect(0)?;
        }
        let saved = fs::read_to_string(place.path().join(file))?;
        ensure!(saved.starts_with('#') && saved.contains("table: orders"), "{saved}");
        place.rivet(&["run", "--config", file, "--validate"])?.expect(0)?;
        assert_eq!(Exported::read(&place.path().join(&to))?.n_rows(), 2, "{saved}");
        let folder = place.path().join(file).with_file_name(".rivet_state.db");
        ensure!(folder.exists(), "the state is beside {file}");
        // Never overwritten, and nothing runs when it cannot be saved.
        let before = files_below(&place.path().join(&to))?;
        let again = place.rivet(&words)?.expect(1)?;
        ensure!(again.stderr.contains("exists already") && again.stderr.contains("hint:"), "{}", again.stderr);
        assert_eq!(fs::read_to_string(place.path().join(file))?, saved);
        assert_eq!(files_below(&place.path().join(&to))?, before);
    }
    Ok(())
}

#[test]
fn a_password_on_the_command_line_is_refused() -> Result<()> {
    let place = workspace()?;
    let url = format!("postgres://u:{CANARY}@127.0.0.1:1/d");
    let words = ["run", &url, "--table", "t", "--to", "out", "--save", "saved.yaml"];
    for more in [&[][..], &["--output", "json"], &["-vvv"]] {
        let ran = place.rivet(&[&words[..], more].concat())?.expect(1)?;
        let said = ran.stderr.clone() + ran.text()?;
        ensure!(said.contains("password") && said.contains("--url-env"), "{said}");
        ensure!(!said.contains(CANARY), "the secret is said again: {said}");
    }
    for file in files_below(place.path())? {
        ensure!(!holds(&fs::read(&file)?, CANARY), "the secret is in {}", file.display());
    }
    ensure!(!place.path().join("saved.yaml").exists() && !place.path().join("out").exists(), "nothing is made");
    Ok(())
}

#[test]
fn wrong_usage_is_named() -> Result<()> {
    let place = workspace()?;
    let cases: [(&[&str], &str); 9] = [
        (&["sqlite:data.db", "--table", "orders"], "--to"),
        (&["sqlite:data.db", "--to", "out"], "--table"),
        (&["--table", "orders", "--to", "out"], "URL"),
        (&["sqlite:data.db", "--table", "a", "--query", "select 1", "--to", "out"], "cannot be used with"),
        (&["sqlite:data.db", "--table", "a", "--to", "out", "--config", "x.yaml"], "cannot be used with"),
        (&["sqlite:data.db", "--url-env", "X", "--table", "a", "--to", "out"], "cannot be used with"),
        (&["mysqll://h/d", "--table", "a", "--to", "out"], "there is postgres, sqlite"),
        (&["--url-env", "RIVET_TEST_UNSET", "--table", "a", "--to", "out"], "--url-env"),
        (&["rivet.yaml"], "--config"),
    ];
    for (words, says) in cases {
        let ran = place.rivet(&[&["run"], words].concat())?.expect(1)?;
        ensure!(ran.stdout.is_empty() && ran.stderr.contains(says), "{words:?}: {says} in {}", ran.stderr);
    }
    ensure!(!place.path().join("out").exists(), "nothing is made");
    Ok(())
}
