//! `rivet demo`: what its files hold is what its sample holds, read by software that is not ours.
//! Must not know any crate of the product.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;

#[test]
fn the_demo_writes_what_its_sample_holds() -> Result<()> {
    let place = Workspace::new("")?;
    let demo = place.path().join("demo");
    let ran = place.rivet(&["demo", "--dir", "demo"])?.expect(0)?;
    ensure!(ran.stderr.contains("100 000 rows") && ran.stderr.contains("duckdb"), "{}", ran.stderr);
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
    Ok(())
}
