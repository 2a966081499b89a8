//! What a dead run had staged or published is changed or lost before the next run: it is never vouched for, and the export
//! goes on.
//! Must not know how the damage is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

use crate::reader::Seen;
use crate::settled::{ensure_rows, ids_up_to, phases};

const N: u64 = 40_000;

/// An incremental export of table `t` in several parts.
const CONFIG: &str = "\
source: {type: sqlite, path: data.db, tuning: {profile: fast, batch_size: 5000}}
exports:
- {name: t, table: t, mode: incremental, cursor_column: id, max_file_size: 256KB, destination: {type: local, path: out}}
";

const FILL: &str = "
import hashlib, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table if not exists t (id integer primary key, h text)')
first, last = int(sys.argv[2]), int(sys.argv[3])
con.executemany('insert into t values (?, ?)',
    ((i, hashlib.sha256(str(i).encode()).hexdigest()) for i in range(first, last + 1)))
con.commit()
";

fn fill(workspace: &Workspace, first: u64, last: u64) -> Result<()> {
    let file = workspace.path().join("data.db").display().to_string();
    oracle::run(FILL, &[&file, &first.to_string(), &last.to_string()]).map(drop)
}

/// A workspace whose run died at this point.
fn dead(point: &str) -> Result<Workspace> {
    let workspace = Workspace::new(CONFIG)?;
    fill(&workspace, 1, N)?;
    let ran = workspace.rivet(&["run", "--fault", point])?;
    ensure!(ran.code.is_none(), "the fault kills: {}", ran.stderr);
    Ok(workspace)
}

fn out(workspace: &Workspace) -> PathBuf {
    workspace.path().join("out")
}

fn with_ending(workspace: &Workspace, ending: &str) -> Result<Vec<PathBuf>> {
    with_ending_in(&out(workspace), ending)
}

/// Flips one bit in the middle of a file.
fn damage(file: &Path) -> Result<()> {
    let mut bytes = fs::read(file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))?;
    fs::write(file, bytes).context("write the damaged file")
}

/// The next run withdraws the dead one, says so, reads all its rows again and leaves nothing else; then all goes on.
fn goes_on(workspace: &Workspace, says: &str) -> Result<()> {
    let summary = workspace.run()?.expect(0)?.json()?;
    let export = &summary["exports"][0];
    assert_eq!(export["rows"], json!(N), "{export}");
    let warnings: Vec<&str> = export["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let told =
        warnings.iter().any(|w| w.contains("cannot be completed") && w.contains(says) && w.contains("withdrawn"));
    ensure!(told, "{says:?} is not said: {warnings:?}");
    let seen = Seen::look(&out(workspace))?;
    ensure!(seen.manifests.len() == 1 && seen.loose.is_empty() && seen.staged.is_empty(), "{seen:?}");
    ensure!(seen.unfinished.is_empty(), "{seen:?}");
    ensure_rows(&[("the next run", &seen.parts)], &ids_up_to(N))?;
    let state = workspace.path().join(".rivet_state.db");
    assert_eq!(phases(&state)?, ["rejected", "finished"]);
    fill(workspace, N + 1, N + 10)?;
    let summary = workspace.run()?.expect(0)?.json()?;
    assert_eq!((&summary["exports"][0]["rows"], &summary["exports"][0]["warnings"]), (&json!(10), &json!([])));
    Ok(())
}

#[test]
fn a_staged_part_with_another_byte_is_never_published() -> Result<()> {
    for point in ["judged", "part_published:2"] {
        let workspace = dead(point)?;
        let staged = with_ending(&workspace, ".staged")?;
        ensure!(staged.len() > 1, "{point}: several parts are staged: {staged:?}");
        let before = fs::metadata(&staged[0])?.len();
        damage(&staged[0])?;
        ensure!(fs::metadata(&staged[0])?.len() == before, "the size tells nothing");
        goes_on(&workspace, "holds other bytes than were written").context(point)?;
    }
    Ok(())
}

#[test]
fn a_published_part_with_another_byte_is_never_vouched_for() -> Result<()> {
    for point in ["part_published:2", "manifest_written", "success_written"] {
        let workspace = dead(point)?;
        damage(with_ending(&workspace, ".parquet")?.first().context("a published part")?)?;
        goes_on(&workspace, "holds other bytes than were written").context(point)?;
    }
    Ok(())
}

#[test]
fn parts_that_are_lost_after_the_verdict_block_nothing() -> Result<()> {
    for point in ["judged", "part_published:2", "manifest_written", "success_written"] {
        let workspace = dead(point)?;
        fs::remove_dir_all(out(&workspace))?;
        goes_on(&workspace, "is not there as it was written").context(point)?;
    }
    let workspace = dead("part_published")?;
    fs::remove_file(with_ending(&workspace, ".staged")?.last().context("a staged part")?)?;
    goes_on(&workspace, "is not there as it was written")
}

#[test]
fn a_manifest_that_was_changed_blocks_nothing() -> Result<()> {
    let workspace = dead("manifest_written")?;
    damage(with_ending(&workspace, ".json")?.first().context("a manifest")?)?;
    goes_on(&workspace, "is not what was written")
}

/// A single file has neither manifest nor pointers to withdraw.
#[test]
fn a_single_file_is_replaced_by_a_whole_one_or_not_at_all() -> Result<()> {
    let single =
        CONFIG.replace("mode: incremental, cursor_column: id, max_file_size: 256KB", "mode: full, format: csv");
    let single = single.replace("{type: local, path: out}", "{type: file, path: leads.csv}");
    let workspace = Workspace::new(&single)?;
    fill(&workspace, 1, N)?;
    fs::write(workspace.path().join("leads.csv"), "old")?;
    let ran = workspace.rivet(&["run", "--fault", "judged"])?;
    ensure!(ran.code.is_none(), "the fault kills: {}", ran.stderr);
    let staged = with_ending_in(workspace.path(), ".rivet.staged")?;
    ensure!(staged.len() == 1, "{staged:?}");
    fs::OpenOptions::new().write(true).open(&staged[0])?.set_len(7)?;
    assert_eq!(fs::read_to_string(workspace.path().join("leads.csv"))?, "old");
    let summary = workspace.run()?.expect(0)?.json()?;
    let warnings = summary["exports"][0]["warnings"].to_string();
    for said in ["cannot be completed", "is not as it was written", "withdrawn"] {
        ensure!(warnings.contains(said), "{said:?} in {warnings}");
    }
    assert_eq!(fs::read_to_string(workspace.path().join("leads.csv"))?.lines().count() as u64, N + 1);
    ensure!(with_ending_in(workspace.path(), ".rivet.staged")?.is_empty());
    assert_eq!(phases(&workspace.path().join(".rivet_state.db"))?, ["rejected", "finished"]);
    // Without rows the file stays, and that is told.
    workspace.configure(&single.replace("mode: full", "skip_empty: true, mode: full, where: id < 0"))?;
    let skipped = workspace.run()?.expect(0)?;
    assert_eq!(skipped.json()?["exports"][0]["status"], "skipped");
    ensure!(
        skipped.stderr.contains("no file is written, as `skip_empty` says: one that is there is of an earlier run")
    );
    assert_eq!(fs::read_to_string(workspace.path().join("leads.csv"))?.lines().count() as u64, N + 1);
    workspace.configure(&single.replace("mode: full", "mode: incremental, cursor_column: id"))?;
    let refused = workspace.rivet(&["run"])?.expect(1)?;
    ensure!(refused.stderr.contains("is incremental, but file holds one run"), "{}", refused.stderr);
    Ok(())
}

fn with_ending_in(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    Ok(files_below(folder)?.into_iter().filter(|f| f.to_string_lossy().ends_with(ending)).collect())
}
