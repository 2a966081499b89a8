//! `rivet demo`: what its files hold is what its sample holds, read by software that is not ours.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;

#[test]
fn the_demo_writes_what_its_sample_holds() -> Result<()> {
    let place = Workspace::new("")?;
    let demo = place.path().join("demo");
    let ran = place.rivet(&["demo", "--dir", "demo"])?.expect(0)?;
    ensure!(ran.stderr.contains("rows:        100,000") && ran.stderr.contains("duckdb"), "{}", ran.stderr);
    // Compared by the sqlite3 module of Python and DuckDB, which share no code with us.
    let script = r#"
import sys, sqlite3, duckdb
db = sqlite3.connect(sys.argv[1] + '/shop.db')
for table in ['orders', 'customers']:
    ours = duckdb.sql(f"select * from '{sys.argv[1]}/out/{table}/*.parquet' order by id")
    names = [d[0] for d in ours.description]
    theirs = db.execute(f"select {','.join(names)} from {table} order by id").fetchall()
    ours = ours.fetchall()
    assert len(ours) == len(theirs), (table, len(ours), len(theirs))
    for a, b in zip(ours, theirs):
        for name, x, y in zip(names, a, b):
            if name == 'total': y = round(y * 100); x = int(x * 100)
            elif name == 'vip': x = int(x)
            elif name in ('joined', 'ordered_at'): x = str(x)
            assert x == y, (table, name, x, y)
print('equal')
"#;
    let said = oracle::run(script, &[&demo.to_string_lossy()])?;
    ensure!(said.trim() == "equal", "{said}");
    // The second demo writes beside the first one, and its hints read what it wrote alone.
    let again = place.rivet(&["demo", "--dir", "demo", "--rows", "1000"])?.expect(0)?;
    let line = |start: &str| again.stderr.lines().find(|line| line.trim_start().starts_with(start)).map(str::to_owned);
    let (_, query) =
        line("duckdb -c").and_then(|l| Some((l.clone(), l.split('"').nth(1)?.to_owned()))).context("a query")?;
    let (script, n_rows) = ("import sys, duckdb; print(sum(r[1] for r in duckdb.sql(sys.argv[1]).fetchall()))", "1000");
    let in_place = format!("import os; os.chdir({:?}); {script}", place.path());
    ensure!(oracle::run(&in_place, &[&query])?.trim() == n_rows, "{query}");
    let hint = line("python3 -c").context("a hint for Python")?;
    let code = hint.split('"').nth(1).context("its code")?.replace(".to_table()", ".count_rows()");
    let in_place = format!("import os; os.chdir({:?}); {code}", place.path());
    ensure!(oracle::run(&in_place, &[])?.trim() == "50", "{code}");
    Ok(())
}
