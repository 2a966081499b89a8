//! What the place is and what is only the way there: other credentials, checksums or commits make it no other place.
//! Must not know what is in the files.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Exported;
use rivet_test_servers::oracle;

use crate::place::{Kind, Place};
use crate::{config, data};

/// Rows of the table; they make several parts.
const N_ROWS: u64 = 3_000;

/// Options that are changed between two runs, the same ones for each store.
fn another_way(kind: Kind) -> &'static str {
    match kind {
        Kind::S3 => ", checksum: md5, addressing: path, publish: direct",
        Kind::Gcs | Kind::Azure => ", publish: direct",
    }
}

/// The config with other names of the variables that hold the credentials.
fn rotated(text: &str) -> String {
    text.replace("STORE_NAME", "OTHER_NAME").replace("STORE_SECRET", "OTHER_SECRET")
}

#[test]
fn a_run_is_completed_and_a_cursor_is_kept_when_only_the_way_there_is_another() -> Result<()> {
    let (_folder, file) = data(N_ROWS)?;
    for kind in Kind::ALL {
        let place = Place::new(kind)?;
        let keys = "mode: incremental, cursor_column: id, compression: none, max_file_size: 100kB,";
        let workspace = place.workspace(&config(&file, keys, &place.destination("")))?;
        let died = workspace.rivet(&["run", "--fault", "part_published:2"])?;
        ensure!(died.code.is_none(), "{kind:?}: it was killed: {:?}", died.code);
        let workspace = workspace
            .with_variable("OTHER_NAME", rivet_test_servers::s3::shared().access_key())
            .with_variable("OTHER_SECRET", place.secret());
        workspace.configure(&rotated(&config(&file, keys, &place.destination(another_way(kind)))))?;
        let ran = workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        ensure!(!ran.stderr.contains("another destination"), "{kind:?}: {}", ran.stderr);
        place.ensure_clean()?;
        let folder = tempfile::tempdir()?;
        let out = folder.path().join("out");
        place.download(&out)?;
        // Whoever reads all files there are sees each row once.
        let exported = Exported::read(&out)?;
        let all = format!("read_parquet('{}/**/*.parquet')", out.display());
        for relation in [exported.relation()?, all] {
            let found = oracle::duckdb(&format!("select count(*) n, count(distinct id) d from {relation}"))?;
            ensure!(found.trim() == format!(r#"{{"n": {N_ROWS}, "d": {N_ROWS}}}"#), "{kind:?}: {found}");
        }
    }
    Ok(())
}
