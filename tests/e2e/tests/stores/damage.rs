//! Each damage to what was exported has a code of its own, on the local disk and in a bucket.
//! Must not know how the damage is found.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

use crate::place::{Kind, Place};
use crate::{config, data};

/// What is done to the folder `at` of a run, in Python; `part`, `manifest`, `pointer` are names there, `other` is one of an
/// earlier run.
const DAMAGES: [(&str, &str); 15] = [
    ("part_missing", "remove(part)"),
    ("part_truncated", "write(part, read(part)[:-1])"),
    ("part_flipped", "write(part, bytes([read(part)[0] ^ 1]) + read(part)[1:])"),
    ("part_unlisted", "write(part.replace('part00000', 'part00077'), read(part))"),
    ("part_orphaned", "write('t_20200101T000000Z-000000_s00000_a00_part00000.parquet', read(part))"),
    ("part_foreign", "write(manifest, read(manifest).replace(part.encode(), other.encode()))"),
    ("manifest_edited", "write(manifest, read(manifest).replace(b'\"rows\": 100', b'\"rows\": 101'))"),
    ("manifest_missing", "remove(manifest)"),
    ("pointer_stale", "write('_manifest-t-29991231T000000Z-000000.json', read(manifest))"),
    ("pointer_unreadable", "write('_SUCCESS.t', b'hello')"),
    ("pointer_unreadable", "write('_SUCCESS', read('_SUCCESS')[:40])"),
    ("pointer_missing", "remove('_SUCCESS')"),
    ("pointer_missing", "remove('_SUCCESS.t')"),
    (
        "pointer_stale",
        "write('_SUCCESS', read('_SUCCESS').replace(part.split('_')[1].encode(), b'20200101T000000Z-000000'))",
    ),
    ("manifest_edited", "write('_SUCCESS.t', read('_SUCCESS.t').replace(b'\"rows\": 100', b'\"rows\": 99'))"),
];

/// Names of the newest run's part and manifest, and of an earlier run's part.
fn names(keys: &[String], run_id: &str) -> Result<[String; 3]> {
    let find = |what: &dyn Fn(&str) -> bool| keys.iter().find(|key| what(key)).cloned().context("an object");
    Ok([
        find(&|key| key.ends_with(".parquet") && key.contains(run_id))?,
        find(&|key| key.starts_with("_manifest-") && key.contains(run_id))?,
        find(&|key| key.ends_with(".parquet") && !key.contains(run_id))?,
    ])
}

fn ensure_found(workspace: &Workspace, code: &str) -> Result<()> {
    let ran = workspace.rivet(&["validate", "--depth", "full", "--output", "json"])?;
    let ran = ran.expect(3).with_context(|| code.to_owned())?;
    let json = ran.json()?;
    let codes: Vec<_> = json["exports"][0]["findings"].as_array().into_iter().flatten().map(|f| &f["code"]).collect();
    let n_found = codes.iter().filter(|found| **found == code).count();
    ensure!(n_found > 0, "{code} is not among {codes:?}");
    ensure!(n_found == 1 || code != "manifest_edited", "one cause is told {n_found} times");
    Ok(())
}

/// Runs twice, checks that all is well, and returns the newest run.
fn twice(workspace: &Workspace) -> Result<String> {
    let schema = workspace.rivet(&["schema", "validate"])?.expect(0)?.text()?.to_owned();
    workspace.run()?.expect(0)?;
    let ran = workspace.run()?.expect(0)?.json()?;
    for depth in ["light", "sample", "full"] {
        let all_well = workspace.rivet(&["validate", "--depth", depth, "--output", "json"])?.expect(0)?.json()?;
        let errors = oracle::schema_errors(&schema, &[all_well.to_string()])?.concat();
        ensure!(errors.is_empty(), "{errors:#?}");
        ensure!(all_well["exports"][0]["rows"] == 100 && all_well["valid"] == true, "{all_well}");
        ensure!(all_well["exports"][0]["parts_read"] == u64::from(depth != "light"), "{depth}: {all_well}");
    }
    Ok(ran["exports"][0]["run_id"].as_str().context("a run")?.to_owned())
}

#[test]
fn in_a_folder() -> Result<()> {
    let (_folder, file) = data(100)?;
    for (code, damage) in DAMAGES {
        let workspace = Workspace::new(&config(&file, "", "{type: local, path: out}"))?;
        let run_id = twice(&workspace)?;
        let out = workspace.path().join("out");
        let keys: Vec<String> = files_below(&out)?.iter().map(|path| name(path)).collect();
        let [part, manifest, other] = names(&keys, &run_id)?;
        let script = format!(
            "import os, sys\nos.chdir(sys.argv[1])\nremove = os.remove\n\
             read = lambda name: open(name, 'rb').read()\n\
             write = lambda name, data: open(name, 'wb').write(data)\n\
             part, manifest, other = sys.argv[2:5]\n{damage}\n"
        );
        let out = out.display().to_string();
        oracle::run(&script, &[&out, &part, &manifest, &other])?;
        ensure_found(&workspace, code)?;
        // The earlier run is as it was.
        let earlier = other.split('_').nth(1).context("a run")?.to_owned();
        let words = ["validate", "--depth", "full", "--run-id", &earlier];
        workspace.rivet(&words)?.expect(if code == "pointer_unreadable" { 3 } else { 0 })?;
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Waits until the clock shows another second: of runs that began in one, neither is known to be the newer.
fn next_second() {
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let before = second();
    while second() == before {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn in_any_run_of_an_incremental_export() -> Result<()> {
    let (_folder, file) = data(10)?;
    let workspace =
        Workspace::new(&config(&file, "mode: incremental, cursor_column: id,", "{type: local, path: out}"))?;
    let mut runs = Vec::new();
    for i in 0..3 {
        next_second();
        const FILL: &str = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute(sys.argv[2])\nc.commit()";
        oracle::run(FILL, &[&file, &format!("insert into t values (2{i}, 'new', 0)")])?;
        let ran = workspace.run()?.expect(0)?.json()?;
        runs.insert(0, ran["exports"][0]["run_id"].as_str().context("a run")?.to_owned());
    }
    let out = workspace.path().join("out");
    let validated = |code| workspace.rivet(&["validate", "--depth", "full", "--output", "json"])?.expect(code)?.json();
    let ids = |document: &Value| {
        let rows = document["exports"].as_array().into_iter().flatten();
        rows.map(|row| row["run_id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let all_well = validated(0)?;
    assert_eq!((ids(&all_well), &all_well["runs"]), (runs.clone(), &json!(3)));
    let text = workspace.rivet(&["validate"])?.expect(0)?;
    ensure!(text.text()?.contains("3 runs looked at"), "{}", text.text()?);
    let one = workspace.rivet(&["validate", "--run-id", &runs[2], "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(ids(&one), runs[2..]);
    // What is done to the first and the second run is told of each.
    let of = |run_id: &str| {
        let is_part = |path: &&std::path::PathBuf| name(path).starts_with(&format!("t_{run_id}_"));
        files_below(&out)?.iter().find(is_part).cloned().context("a part")
    };
    let first = of(&runs[2])?;
    let mut bytes = fs::read(&first)?;
    bytes[0] ^= 1;
    fs::remove_file(&first)?;
    fs::write(&first, bytes)?;
    fs::remove_file(of(&runs[1])?)?;
    let found = validated(3)?;
    let codes: Vec<_> = (0..3).map(|i| &found["exports"][i]["findings"][0]["code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("part_missing"), &json!("part_flipped")]);
    // Without its manifest a part is of no run; without pointers all the same all runs are looked at.
    fs::remove_file(out.join(format!("_manifest-t-{}.json", runs[2])))?;
    let found = validated(3)?;
    assert_eq!(
        (ids(&found), &found["exports"][0]["findings"][0]["code"]),
        (runs[..2].to_vec(), &json!("part_orphaned"))
    );
    // The one after it begins where none ends.
    let missing = &found["exports"][1]["findings"][1];
    assert_eq!(missing["code"], "run_missing", "{found:#}");
    ensure!(missing["object"].as_str().is_some_and(|name| name.contains(&runs[1])), "{missing}");
    fs::remove_file(out.join("_SUCCESS"))?;
    fs::remove_file(out.join("_SUCCESS.t"))?;
    let found = validated(3)?;
    runs.truncate(2);
    runs.sort_by(|a, b| b.cmp(a));
    assert_eq!(ids(&found), ["", &runs[0], &runs[1]]);
    assert_eq!(found["exports"][0]["findings"][0]["code"], "pointer_missing");
    Ok(())
}

/// Does each damage, looks whether it is found, and mends it.
fn each_in(kind: Kind) -> Result<()> {
    let (_folder, file) = data(100)?;
    let place = Place::new(kind)?;
    let workspace = place.workspace(&config(&file, "", &place.destination("")))?;
    let run_id = twice(&workspace)?;
    // Neither the state nor the source is asked.
    fs::remove_file(workspace.path().join(".rivet_state.db"))?;
    fs::remove_file(&file)?;
    for (code, damage) in DAMAGES {
        let [part, manifest, other] = names(&place.keys()?, &run_id)?;
        let script = format!("part, manifest, other = '{part}', '{manifest}', '{other}'\n");
        let kept = "kept = {name: read(name) for name in (part, manifest, '_SUCCESS', '_SUCCESS.t')}\n";
        let saved = place.python(&format!(
            "{script}{kept}{damage}\nprint(json.dumps({{name: data.hex() for name, data in kept.items()}}))"
        ))?;
        ensure_found(&workspace, code)?;
        let added: Vec<String> =
            place.keys()?.into_iter().filter(|key| !saved.contains(&format!("\"{key}\"")) && *key != other).collect();
        let earlier = other.split('_').nth(1).context("a run")?;
        let added: Vec<&String> = added.iter().filter(|key| !key.contains(earlier)).collect();
        let restored = format!(
            "[remove(name) for name in {added:?}]\n\
             [write(name, bytes.fromhex(data)) for name, data in {}.items()]\n",
            saved.trim()
        );
        place.python(&format!("{script}{restored}"))?;
        workspace.rivet(&["validate", "--depth", "full"])?.expect(0).with_context(|| format!("after {code}"))?;
        if code == "part_flipped" {
            workspace.rivet(&["validate", "--depth", "full", "--run-id", earlier])?.expect(0)?;
        }
    }
    Ok(())
}

#[test]
fn in_s3() -> Result<()> {
    each_in(Kind::S3)
}

#[test]
fn in_gcs() -> Result<()> {
    each_in(Kind::Gcs)
}

#[test]
fn in_azure() -> Result<()> {
    each_in(Kind::Azure)
}

/// What lies below another folder is looked at where `--prefix` says, in any store.
#[test]
fn below_a_prefix() -> Result<()> {
    let (_folder, file) = data(100)?;
    for kind in Kind::ALL {
        let place = Place::new(kind)?;
        let below = place.destination("").replace("prefix: lake/t/", "prefix: lake/t/deeper");
        let workspace = place.workspace(&config(&file, "", &below))?;
        workspace.run()?.expect(0)?;
        workspace.configure(&config(&file, "", &place.destination("")))?;
        let words = ["validate", "--depth", "full", "--prefix", "deeper", "--output", "json"];
        let found = workspace.rivet(&words)?.expect(0).with_context(|| format!("{kind:?}"))?.json()?;
        ensure!(found["exports"][0]["rows"] == 100, "{found}");
        let nothing = workspace.rivet(&["validate", "--prefix", "elsewhere"])?;
        ensure!(nothing.code.is_some_and(|code| code != 0), "{kind:?}: {}", nothing.stderr);
        let part = place.keys()?.into_iter().find(|key| key.ends_with(".parquet")).context("a part")?;
        place.python(&format!("remove('{part}')"))?;
        let ended = workspace.rivet(&words)?.expect(3)?.json()?;
        assert_eq!(ended["exports"][0]["findings"][0]["code"], "part_missing", "{kind:?}");
    }
    Ok(())
}

/// A store that flips a byte of a part: sizes say nothing, the content does, before a pointer names the run.
#[test]
fn while_it_is_written() -> Result<()> {
    let (_folder, file) = data(1_000)?;
    for kind in Kind::ALL {
        for (key, flag, exit) in
            [("verify: size,", None, 0), ("verify: content,", None, 3), ("", Some("--validate"), 3)]
        {
            let mut place = Place::new(kind)?;
            let decide: Decide = Arc::new(|request: &Request, server: &_| {
                let Ok(mut answer) = server.ask(request) else { return Fate::Drop };
                let is_part = request.method == "GET" && request.path().ends_with(".parquet");
                let middle = answer.body.len() / 2;
                if is_part && middle > 4_000 {
                    answer.body[middle] ^= 1;
                }
                Fate::Answer(answer)
            });
            let proxy = HttpProxy::start(place.port, decide)?;
            place.port = proxy.port();
            let workspace = place.workspace(&config(&file, key, &place.destination("")))?;
            let words: Vec<&str> = ["run"].into_iter().chain(flag).collect();
            workspace.rivet(&words)?.expect(exit).with_context(|| format!("{kind:?} {key} {flag:?}"))?;
            let pointed = place.keys()?.iter().any(|key| key.starts_with("_SUCCESS"));
            assert_eq!(pointed, exit == 0, "{kind:?} {key}: {:?}", place.keys()?);
        }
    }
    Ok(())
}
