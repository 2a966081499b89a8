//! One export to every kind of store: the same bytes, the same promises, and what goes wrong with each said plainly.
//! Must not know any crate of the product: it sees a program, and stores through clients of others.

mod answers;
mod budget;
mod crash;
mod credentials;
mod damage;
mod every;
mod expired;
mod late;
mod leftovers;
mod original;
mod partitions;
mod place;
mod publish;
mod readers;
mod refused;
mod rivals;
mod same;
mod same_place;
mod stand_in;
mod statuses;
mod ways;

use anyhow::Result;
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;

/// Makes table `t` of so many rows in a file of SQLite; its text columns do not compress away.
fn table(file: &str, n_rows: u64) -> Result<()> {
    const FILL: &str = "
import hashlib, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, h text, n real)')
digest = lambda i: hashlib.sha512(str(i).encode()).hexdigest()
rows = ((i, digest(i), i / 3) for i in range(1, int(sys.argv[2]) + 1))
con.executemany('insert into t values (?, ?, ?)', rows)
con.commit()
";
    oracle::run(FILL, &[file, &n_rows.to_string()]).map(drop)
}

/// A config that exports table `t` of `data.db` to a destination; `keys` are further keys of the export.
fn config(file: &str, keys: &str, destination: &str) -> String {
    format!(
        "source: {{type: sqlite, path: '{file}', tuning: {{profile: fast, batch_size: 5000, max_retries: 1}}}}\n\
         exports:\n  - {{name: t, table: t, {keys} destination: {destination}}}\n"
    )
}

/// A folder with table `t` of so many rows in `data.db`; the path of the file.
fn data(n_rows: u64) -> Result<(Workspace, String)> {
    let folder = Workspace::new("")?;
    let file = folder.path().join("data.db").display().to_string();
    table(&file, n_rows)?;
    Ok((folder, file))
}
