//! What uploads take of the memory that a config allows: workers that it does not hold are left out, which is said.
//! Must not know how pieces are buffered.

use anyhow::{Result, ensure};
use rivet_test_servers::postgres;

use crate::place::{Kind, Place};

#[test]
fn workers_whose_uploads_do_not_fit_are_left_out() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("budget")?;
    let sql = "create table t as select i::bigint as id, repeat(md5(i::text), 8) as h from generate_series(1, 400000) i;\n\
               alter table t add primary key (id);\nanalyze t";
    server.psql(&database, sql)?;
    let place = Place::new(Kind::S3)?;
    let config = |memory_mib: u32| {
        format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, memory_mb: {memory_mib}}}}}\n\
             exports:\n  - {{name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 20000, parallel: 16, \
             compression: none, destination: {}}}\n",
            place.destination("")
        )
    };
    let workspace = place.workspace(&config(128))?.with_variable("TEST_URL", &server.url(&database));
    let ran = workspace.rivet(&["run"])?.expect(0)?;
    let said = "`parallel: 16`: 3 workers read, since 128 MiB of memory (`memory_mb`) hold no more uploads to a store";
    ensure!(ran.stderr.contains(said), "{}", ran.stderr);
    // The program itself is larger than what is delivered.
    ensure!(ran.peak_rss_bytes < 200 << 20, "{} MiB", ran.peak_rss_bytes >> 20);
    workspace.configure(&config(1024))?;
    let ran = workspace.rivet(&["run"])?.expect(0)?;
    ensure!(!ran.stderr.contains("hold no more uploads"), "{}", ran.stderr);
    eprintln!("16 workers took {} MiB", ran.peak_rss_bytes >> 20);
    Ok(())
}
