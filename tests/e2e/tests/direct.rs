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
    for command in ["metrics", "journal", "report"] {
        let ran = place.rivet(&[command])?.expect(1)?;
        ensure!(ran.stderr.contains("--state .rivet_state.db"), "{command}: {}", ran.stderr);
    }
    let journal = place.rivet(&["journal", "--state", ".rivet_state.db"])?.expect(0)?;
    ensure!(journal.text()?.contains("of export 'orders': success"), "{}", journal.text()?);
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
fn pace_workers_compression_and_state_are_taken() -> Result<()> {
    let place = workspace()?;
    let words = ["run", "sqlite:data.db", "--table", "orders", "--to", "out", "--profile", "safe", "--parallel", "2"];
    let more = ["--compression", "gzip", "--format", "csv", "--format-option", "header=false", "--state", "kept.db"];
    let ran = place.rivet(&[&words[..], &more, &["--save", "all.yaml", "--output", "json"]].concat())?.expect(0)?;
    assert_eq!(ran.json()?["exports"][0]["profile"], "safe");
    let read = Exported::read(&place.path().join("out"))?;
    ensure!(read.parts.iter().all(|part| part.to_string_lossy().ends_with(".csv.gz")), "{:?}", read.parts);
    ensure!(
        place.path().join("kept.db").exists() && !place.path().join(".rivet_state.db").exists(),
        "state is where it was asked for"
    );
    let saved = fs::read_to_string(place.path().join("all.yaml"))?;
    for line in
        ["parallel: 2", "compression: gzip", "tuning: {profile: safe}", "header: false", "state: {url: kept.db}"]
    {
        ensure!(saved.contains(line), "{line} in\n{saved}");
    }
    place.rivet(&["run", "--config", "all.yaml"])?.expect(0)?;
    for (flag, value, says) in [("--profile", "quick", "fast, balanced, safe"), ("--parallel", "0", "parallel")] {
        let ran = place.rivet(&["run", "sqlite:data.db", "--table", "orders", "--to", "x", flag, value])?.expect(1)?;
        ensure!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_query_may_begin_with_a_comment() -> Result<()> {
    let place = workspace()?;
    for (i, query) in
        ["-- the first\nselect 1 as a", "/* the first */ select 1 as a", "--\n-- x\n\nselect 1 as a -- end"]
            .iter()
            .enumerate()
    {
        let to = format!("out{i}");
        place.rivet(&["run", "sqlite:data.db", "--query", query, "--to", &to])?.expect(0)?;
        assert_eq!(Exported::read(&place.path().join(&to))?.n_rows(), 1, "{query}");
    }
    let condition = ["run", "sqlite:data.db", "--table", "orders", "--where", "-id < -1", "--to", "where"];
    place.rivet(&condition)?.expect(0)?;
    assert_eq!(Exported::read(&place.path().join("where"))?.n_rows(), 2);
    Ok(())
}

#[test]
fn what_goes_to_stdout_needs_no_folder_and_leaves_no_state() -> Result<()> {
    let place = workspace()?;
    let url = format!("sqlite:{}", place.path().join("data.db").display());
    // Nobody can write there, not even root.
    let elsewhere = ["/bin/sh", "-c", "cd /proc && exec \"$@\"", "sh"];
    let child = place.spawn_under(&elsewhere, &["run", &url, "--table", "orders", "--format", "csv", "--to", "-"])?;
    let ran = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 4);
    place.rivet(&["run", &url, "--table", "orders", "--format", "csv", "--to", "-"])?.expect(0)?;
    let left = files_below(place.path())?;
    ensure!(left == [place.path().join("data.db")], "{left:?}");
    place.rivet(&["run", &url, "--table", "orders", "--format", "csv", "--to", "-", "--state", "s.db"])?.expect(0)?;
    ensure!(place.path().join("s.db").exists(), "unless it is asked for");
    Ok(())
}

#[test]
fn check_and_doctor_take_what_run_takes() -> Result<()> {
    let place = workspace()?;
    let export = ["sqlite:data.db", "--table", "orders", "--format", "csv", "--profile", "fast", "--parallel", "2"];
    let checked =
        place.rivet(&[&["check", "--strict", "--output", "json"], &export[..]].concat())?.expect(0)?.json()?;
    assert_eq!(checked["exports"][0]["export"], "orders");
    let to = place.rivet(&[&["check"], &export[..], &["--to", "there"]].concat())?.expect(0)?;
    ensure!(to.text()?.contains("orders"), "{}", to.text()?);
    let doctor = place.rivet(&[&["doctor"], &export[..]].concat())?.expect(0)?;
    ensure!(doctor.text()?.contains("orders") && !doctor.text()?.contains("[FAIL]"), "{}", doctor.text()?);
    let doctor = place.rivet(&[&["doctor"], &export[..], &["--to", "there"]].concat())?.expect(0)?;
    ensure!(doctor.text()?.contains("[OK]   write and delete"), "{}", doctor.text()?);
    let left: Vec<_> = files_below(place.path())?;
    ensure!(left == [place.path().join("data.db")], "{left:?}");
    for command in ["check", "doctor"] {
        let ran = place.rivet(&[command, "sqlite:data.db", "--table", "orders", "-c", "x.yaml"])?.expect(1)?;
        ensure!(ran.stderr.contains("cannot be used with"), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn init_writes_a_config_that_runs_as_it_stands() -> Result<()> {
    let place = workspace()?;
    let sql = "create table t_log (id integer primary key, at datetime not null); insert into t_log values (1, '2024-01-01');\n\
               create table touched (id integer primary key, updated_at datetime not null); create index u on touched(updated_at);\n\
               insert into touched values (1, '2024-01-01 10:00:00'), (2, '2024-01-02 10:00:00');\n\
               create table hollow (x); create view seen as select * from orders; create table \"a.b\" (u uuid, n numeric);\n\
               insert into \"a.b\" values ('x', 1.5);";
    const SCRIPT: &str = "import sqlite3, sys\ncon = sqlite3.connect(sys.argv[1])\ncon.executescript(sys.argv[2])\n";
    oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string(), sql])?;
    let init = ["init", "sqlite:data.db", "--append-only", "*_log"];
    let ran = place.rivet(&init)?.expect(0)?;
    ensure!(ran.stderr.contains("wrote rivet.yaml: 6 exports (2 incremental, 4 full)"), "{}", ran.stderr);
    ensure!(ran.stderr.contains("beside it rivet.schema.json, by which editors"), "{}", ran.stderr);
    ensure!(ran.stderr.contains("left out, since no table: 1, such as views"), "{}", ran.stderr);
    ensure!(place.path().join("rivet.schema.json").exists());
    let yaml = fs::read_to_string(place.path().join("rivet.yaml"))?;
    ensure!(yaml.contains("#   main.seen") && yaml.contains("u (uuid), n (numeric)"), "{yaml}");
    place.rivet(&["check", "--strict"])?.expect(0)?;
    let expected =
        [("a.b", 1, 1), ("hollow", 0, 0), ("od_d", 1, 1), ("orders", 3, 3), ("t_log", 1, 0), ("touched", 2, 0)];
    let rows = || -> Result<Vec<(String, u64)>> {
        let document = place.run()?.expect(0)?.json()?;
        let of = |one: &serde_json::Value| {
            (one["export"].as_str().unwrap_or_default().to_owned(), one["rows"].as_u64().unwrap_or(99))
        };
        Ok(document["exports"].as_array().map(|all| all.iter().map(of).collect()).unwrap_or_default())
    };
    assert_eq!(rows()?, expected.map(|(name, first, _)| (name.to_owned(), first)));
    assert_eq!(rows()?, expected.map(|(name, _, again)| (name.to_owned(), again)));
    // Nothing is overwritten, unless it is meant.
    let again = place.rivet(&init)?.expect(1)?;
    ensure!(again.stderr.contains("exists already") && again.stderr.contains("--force"), "{}", again.stderr);
    let some = [
        "init",
        "sqlite:data.db",
        "--include",
        "o*",
        "--table",
        "seen",
        "--exclude",
        "od*",
        "--format",
        "csv",
        "-o",
        "-",
    ];
    let ran = place.rivet(&some)?.expect(0)?;
    let names: Vec<&str> = ran.text()?.lines().filter_map(|line| line.strip_prefix("  - name: ")).collect();
    assert_eq!((names, ran.text()?.contains("format: csv")), (vec!["orders", "seen"], true));
    assert_eq!(fs::read_to_string(place.path().join("rivet.yaml"))?, yaml);
    place.rivet(&[&init[..], &["--force", "--to", "elsewhere"]].concat())?.expect(0)?;
    ensure!(fs::read_to_string(place.path().join("rivet.yaml"))?.contains("elsewhere/{export}"), "it is overwritten");
    for (words, says) in [
        (&["--include", "ordrs"][..], "did you mean 'orders'?"),
        (&["--schema", "mian"], "did you mean 'main'?"),
        (&["--include", "a.b.c"], "more than two parts"),
        (&["-c", "rivet.yaml"], "cannot be used with"),
    ] {
        let ran = place.rivet(&[&["init", "sqlite:data.db", "-o", "x.yaml"], words].concat())?.expect(1)?;
        ensure!(ran.stderr.contains(says), "{words:?}: {}", ran.stderr);
    }
    let none = place.rivet(&["init", "-o", "x.yaml"])?.expect(1)?;
    ensure!(none.stderr.contains("no database to look at"), "{}", none.stderr);
    ensure!(!place.path().join("x.yaml").exists(), "nothing is written");
    Ok(())
}

/// Runs a program on a terminal of its own, types each line when it is asked for one, and prints what was shown.
const TERMINAL: &str = "\
import os, pty, sys
answers = sys.argv[1].split('|')
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b''
while True:
    try:
        read = os.read(fd, 4096)
    except OSError:
        break
    if not read:
        break
    shown += read
    if answers and shown.endswith(b']: '):
        os.write(fd, (answers.pop(0) + '\\n').encode())
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn who_sits_at_a_terminal_is_asked() -> Result<()> {
    let place = workspace()?;
    let under = ["/usr/bin/env", "python3", "-c", TERMINAL, "sqlite:data.db|o*||csv||mine.yaml"];
    let ran = place.spawn_under(&under, &["init"])?.wait_with_output()?;
    let shown = String::from_utf8_lossy(&ran.stdout);
    ensure!(ran.status.success(), "{shown} {}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(shown.matches("]: ").count(), 6, "{shown}");
    let yaml = fs::read_to_string(place.path().join("mine.yaml"))?;
    ensure!(
        yaml.contains("format: csv") && yaml.contains("out/{export}") && yaml.contains("table: main.orders"),
        "{yaml}"
    );
    place.rivet(&["check", "--strict", "-c", "mine.yaml"])?.expect(0)?;
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
        (&["mysqll://h/d", "--table", "a", "--to", "out"], "did you mean 'mysql'?"),
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

#[test]
fn a_file_name_means_its_format_and_one_file() -> Result<()> {
    let place = workspace()?;
    let to = |name: &str| place.rivet(&["run", "sqlite:data.db", "--table", "orders", "--to", name]);
    for _ in 0..2 {
        to("leads.csv")?.expect(0)?;
        let text = fs::read_to_string(place.path().join("leads.csv"))?;
        assert_eq!(text.replace("\r\n", "\n"), "id,v\n1,a$b\n2,b\n3,${x}\n", "the second run replaces it");
    }
    to("sub/leads.parquet")?.expect(0)?;
    ensure!(fs::read(place.path().join("sub/leads.parquet"))?.starts_with(b"PAR1"));
    to("leads.csv.gz")?.expect(0)?;
    ensure!(fs::read(place.path().join("leads.csv.gz"))?.starts_with(&[0x1f, 0x8b]));
    let gone = place.rivet(&["run", "sqlite:data.db", "--table", "nowhere", "--to", "leads.csv"])?.expect(1)?;
    ensure!(gone.stderr.contains("nowhere"), "{}", gone.stderr);
    let mut left: Vec<_> = files_below(place.path())?.iter().filter_map(|f| Some(f.file_name()?.to_owned())).collect();
    left.retain(|name| !name.to_string_lossy().starts_with(".rivet_state.db") && !name.to_string_lossy().contains('@'));
    left.sort();
    assert_eq!(left, ["data.db", "leads.csv", "leads.csv.gz", "leads.parquet"], "and nothing beside it");
    let home = place.rivet(&["run", "sqlite:data.db", "--table", "orders", "--to", "~/here"])?.expect(0)?;
    ensure!(place.path().join("here/_SUCCESS").exists(), "the home folder is this one: {}", home.stderr);
    Ok(())
}

#[test]
fn what_is_written_starts_where_the_command_runs() -> Result<()> {
    let place = workspace()?;
    fs::create_dir(place.path().join("conf"))?;
    fs::rename(place.path().join("data.db"), place.path().join("conf/data.db"))?;
    let config = "source: {type: sqlite, path: data.db}\nexports:\n\
                  - {name: here, table: orders, destination: {type: local, path: out}}\n\
                  - {name: there, table: orders, destination: {type: local, path: '{config_dir}/out'}}\n\
                  - {name: also, table: orders, destination: {type: local, path: out}}\n";
    fs::write(place.path().join("conf/rivet.yaml"), config)?;
    place.rivet(&["run", "-c", "conf/rivet.yaml"])?.expect(0)?;
    let pointers = |dir: &str| -> Result<Vec<String>> {
        let mut found: Vec<_> = files_below(&place.path().join(dir))?
            .iter()
            .filter_map(|f| f.file_name()?.to_str().filter(|n| n.starts_with("_SUCCESS")).map(str::to_owned))
            .collect();
        found.sort();
        Ok(found)
    };
    // Exports that share a folder have a pointer each.
    assert_eq!(pointers("out")?, ["_SUCCESS", "_SUCCESS.also", "_SUCCESS.here"]);
    assert_eq!(pointers("conf/out")?, ["_SUCCESS", "_SUCCESS.there"]);
    for export in ["here", "also"] {
        let read = |name: &str| -> Result<String> { Ok(fs::read_to_string(place.path().join("out").join(name))?) };
        let pointer = read(&format!("_SUCCESS.{export}"))?;
        ensure!(pointer.contains(&format!("_manifest-{export}-")), "{pointer}");
        ensure!(export == "here" || pointer == read("_SUCCESS")?, "the common one is that of the last");
    }
    place.rivet(&["run", "-c", "conf/rivet.yaml"])?.expect(0)?;
    Ok(())
}
