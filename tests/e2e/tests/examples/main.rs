//! Every config under `dev/examples` is run as it stands, and does what it says.
//! Must not know any crate of the product.

mod commands;
mod guide;
mod tested;
mod uat;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace, files_below};
use rivet_test_servers::oracle;
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::{Value, json};

/// A config, what its runs need beside it, and what must come of them.
struct Example {
    file: &'static str,
    words: &'static [&'static str],
    verify: fn(&Place<'_>, &Ran) -> Result<()>,
}

const EXAMPLES: &[Example] = &[
    Example { file: "full.yaml", words: &[], verify: full },
    Example { file: "several.yaml", words: &[], verify: several },
    Example { file: "query-file.yaml", words: &["-p", "since=2026-01-02", "-p", "country=DE"], verify: query_file },
    Example { file: "csv.yaml", words: &[], verify: csv },
    Example { file: "arrow.yaml", words: &[], verify: arrow },
    Example { file: "types.yaml", words: &[], verify: types },
    Example { file: "parallel.yaml", words: &[], verify: parallel },
    Example { file: "busy-server.yaml", words: &[], verify: busy_server },
    Example { file: "tables.yaml", words: &[], verify: tables },
    Example { file: "meta-columns.yaml", words: &[], verify: meta_columns },
    Example { file: "quality.yaml", words: &[], verify: quality },
    Example { file: "native.yaml", words: &[], verify: native },
    Example { file: "stdout.yaml", words: &[], verify: stdout },
    Example { file: "tls.yaml", words: &[], verify: tls },
    Example { file: "sqlite.yaml", words: &[], verify: sqlite },
    // It changes the tables, so it is the last.
    Example { file: "incremental.yaml", words: &[], verify: incremental },
];

/// What the configs need, and no configs themselves.
const BESIDE: [&str; 3] = ["README.md", "queries/revenue.sql", "tables.sql"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev/examples")
}

/// Where an example runs.
struct Place<'a> {
    workspace: Workspace,
    server: &'a Postgres,
    database: &'a str,
}

impl Place<'_> {
    fn out(&self, below: &str) -> PathBuf {
        self.workspace.path().join("out").join(below)
    }

    fn read(&self, below: &str) -> Result<Exported> {
        Exported::read(&self.out(below))
    }

    /// The one folder below another: that of a run or a day.
    fn only_folder(&self, below: &str) -> Result<PathBuf> {
        let folders = fs::read_dir(self.out(below))?.collect::<std::io::Result<Vec<_>>>()?;
        ensure!(folders.len() == 1, "one folder in {below}: {folders:?}");
        Ok(folders[0].path())
    }

    fn psql(&self, sql: &str) -> Result<String> {
        Ok(self.server.psql(self.database, sql)?.trim_end().to_owned())
    }
}

#[test]
fn every_example_is_known_here_and_accepted_by_the_schema() -> Result<()> {
    let found = files_below(&folder())?;
    let names = found.iter().map(|f| Ok(f.strip_prefix(folder())?.to_string_lossy().into_owned()));
    let names = names.collect::<Result<BTreeSet<_>>>()?;
    let known = EXAMPLES.iter().map(|e| e.file).chain(BESIDE).map(str::to_owned).collect::<BTreeSet<_>>();
    ensure!(names == known, "files in dev/examples: {names:?}\nexamples that this test runs: {known:?}");
    let schema = Workspace::new("")?.rivet(&["schema", "config"])?.expect(0)?.text()?.to_owned();
    let configs = EXAMPLES.iter().map(|e| fs::read_to_string(folder().join(e.file)).context(e.file));
    let configs = configs.collect::<Result<Vec<_>>>()?;
    for (example, errors) in EXAMPLES.iter().zip(oracle::schema_errors(&schema, &configs)?) {
        ensure!(errors.is_empty(), "{}: {errors:#?}", example.file);
    }
    Ok(())
}

#[test]
fn every_example_runs_and_does_what_it_says() -> Result<()> {
    let server = postgres::shared();
    let database = database(server)?;
    for example in EXAMPLES {
        let place = place(example, server, &database)?;
        let words = [&["run"], example.words].concat();
        let ran = place.workspace.rivet(&words).and_then(|ran| ran.expect(0)).context(example.file)?;
        (example.verify)(&place, &ran).with_context(|| format!("{}\n{}", example.file, ran.stderr))?;
    }
    Ok(())
}

/// A database with what the examples read.
fn database(server: &Postgres) -> Result<String> {
    let tables = fs::read_to_string(folder().join("tables.sql"))?;
    let database = server.fresh_database("examples")?;
    server.psql(&database, &tables)?;
    server.psql(&database, "grant select on all tables in schema public to app")?;
    Ok(database)
}

/// A folder as a user has it: config, queries, certificates, an SQLite file; the URL in a variable.
fn place<'a>(example: &Example, server: &'a Postgres, database: &'a str) -> Result<Place<'a>> {
    let config = fs::read_to_string(folder().join(example.file))?;
    let workspace = Workspace::new(&config)?
        .with_variable("DATABASE_URL", &server.url(database))
        .with_variable("SHOP_HOST", server.host())
        .with_variable("SHOP_PORT", &server.port().to_string())
        .with_variable("SHOP_DATABASE", database);
    let (queries, certs) = (workspace.path().join("queries"), workspace.path().join("certs"));
    fs::create_dir(&queries)?;
    fs::create_dir(&certs)?;
    fs::copy(folder().join("queries/revenue.sql"), queries.join("revenue.sql"))?;
    for (from, name) in
        [(server.ca_file(), "ca.pem"), (server.client_cert(), "client.pem"), (server.client_key(), "client.key")]
    {
        fs::copy(&from, certs.join(name)).with_context(|| format!("copy {}", from.display()))?;
    }
    let sql = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('create table orders (id integer primary key, amount real)')\n\
               c.execute('insert into orders values (1, 99.5), (2, 100.5), (3, 200)')\nc.commit()";
    oracle::run(sql, &[&workspace.path().join("shop.db").to_string_lossy()])?;
    Ok(Place { workspace, server, database })
}

fn full(place: &Place<'_>, _: &Ran) -> Result<()> {
    let read = Exported::read(&place.only_folder("orders")?)?;
    let sums = read.rows("count(*)::int n, sum(amount)::varchar amount", "")?;
    ensure!(sums == [json!({ "n": 5000, "amount": place.psql("select sum(amount) from orders")? })], "{sums:?}");
    Ok(())
}

fn incremental(place: &Place<'_>, _: &Ran) -> Result<()> {
    ensure!(place.read("orders")?.n_rows() == 5000, "the first run reads all");
    place.psql(
        "update orders set status = 'paid', updated_at = timestamptz '2026-02-01 00:00+00' where id in (1, 10);
         insert into orders select 6000, 1, 'new', 1, timestamptz '2026-02-02 00:00+00', null",
    )?;
    place.workspace.run()?.expect(0)?;
    let new = place.read("orders")?.rows("id::int id", "order by id")?;
    ensure!(new == [json!({ "id": 1 }), json!({ "id": 10 }), json!({ "id": 6000 })], "{new:?}");
    let none = place.workspace.run()?.expect(0)?.json()?;
    ensure!(none["exports"][0]["status"] == "skipped", "{none}");
    Ok(())
}

fn several(place: &Place<'_>, _: &Ran) -> Result<()> {
    let customers = place.read("customers")?.schema()?;
    ensure!(customers.contains("country") && !customers.contains("name:"), "{customers}");
    let orders = place.read("orders")?.rows("distinct status s", "order by s")?;
    ensure!(orders == [json!({ "s": "paid" }), json!({ "s": "shipped" })], "{orders:?}");
    let recent = place.read("recent_orders")?;
    ensure!(fs::read_to_string(&recent.parts[0])?.starts_with("id,status,amount\n"), "a CSV file");
    let counted = place.psql("select count(*) from orders where created_at >= timestamptz '2026-01-03 00:00+00'")?;
    ensure!(recent.n_rows().to_string() == counted, "{} rows, not {counted}", recent.n_rows());
    Ok(())
}

fn query_file(place: &Place<'_>, _: &Ran) -> Result<()> {
    let read = Exported::read(&place.only_folder("revenue")?)?;
    let rows = read.rows("country, orders::int n, revenue::varchar revenue, typeof(revenue) t", "")?;
    let sql = "select count(*) || ' ' || sum(amount) from orders join customers c on c.id = customer_id \
               where created_at >= date '2026-01-02' and country = 'DE'";
    let expected = place.psql(sql)?;
    let (n, revenue) = expected.split_once(' ').context("two values")?;
    let expected = json!({ "country": "DE", "n": n.parse::<i64>()?, "revenue": revenue, "t": "DECIMAL(18,2)" });
    ensure!(rows == [expected.clone()], "{rows:?} instead of {expected}");
    Ok(())
}

fn csv(place: &Place<'_>, _: &Ran) -> Result<()> {
    let read = place.read("products")?;
    let file = read.parts[0].to_str().context("a path")?;
    ensure!(file.ends_with(".csv.gz"), "{file}");
    let text = oracle::run("import gzip, sys\nsys.stdout.write(gzip.open(sys.argv[1]).read().hex())", &[file])?;
    let starts = |line: &str| text.contains(&line.bytes().map(|b| format!("{b:02x}")).collect::<String>());
    ensure!(starts("\"sku\";\"title\";\"price\";\"valid_until\"\r\n\"P-1\";\"Product; no. 1\";"), "the header");
    ensure!(starts(";\\N;\"0.875\";\"2027-01-01\"\r\n"), "NULL is \\N");
    ensure!(starts(";\"0.250\";\\N\r\n"), "a date that no calendar has is NULL");
    Ok(())
}

fn arrow(place: &Place<'_>, _: &Ran) -> Result<()> {
    let script = "import sys, pyarrow as pa\npa.set_cpu_count(1)\n\
                  a = pa.ipc.open_file(sys.argv[1]).read_all()\nb = pa.ipc.open_stream(sys.argv[2]).read_all()\n\
                  print(a.num_rows, b.num_rows, b.schema.field('at').type)";
    let (customers, events) = (place.read("customers")?, place.read("events")?);
    let paths = [&customers.parts[0], &events.parts[0]].map(|p| p.to_string_lossy().into_owned());
    ensure!(paths[0].ends_with(".arrow") && paths[1].ends_with(".arrows"), "{paths:?}");
    let printed = oracle::run(script, &[&paths[0], &paths[1]])?;
    ensure!(printed.trim_end() == "300 220000 timestamp[us, tz=UTC]", "{printed}");
    Ok(())
}

fn types(place: &Place<'_>, _: &Ran) -> Result<()> {
    let read = place.read("products")?;
    let what = "typeof(price) price, typeof(stock) stock, typeof(weight) weight, typeof(attributes) attributes";
    let held = &read.rows(what, "limit 1")?[0];
    let wanted = json!({
        "price": "DECIMAL(38,9)", "stock": "DECIMAL(18,0)", "weight": "DECIMAL(10,1)", "attributes": "VARCHAR",
    });
    ensure!(*held == wanted, "{held}");
    let nulls = read.rows("count(*)::int n", "where valid_until is null")?;
    ensure!(nulls == [json!({ "n": 50 })], "{nulls:?}");
    let hits = &read.manifest["policy_hits"];
    ensure!(hits == &json!([["valid_until", "infinity_timestamp", 50]]), "{hits}");
    Ok(())
}

fn parallel(place: &Place<'_>, ran: &Ran) -> Result<()> {
    let read = place.read("events")?;
    let rows = read.rows("count(distinct id)::int n", "")?;
    ensure!(rows == [json!({ "n": 220000 })] && read.n_rows() == 220000, "{rows:?}");
    let strategy = read.manifest["strategy"].as_str().unwrap_or_default();
    ensure!(strategy.starts_with("full-parallel(2)"), "{strategy}");
    let splits: BTreeSet<_> =
        read.manifest["parts"].as_array().context("parts")?.iter().map(|p| p["split"].as_u64()).collect();
    ensure!(splits.len() > 1, "several splits: {splits:?}\n{}", ran.stderr);
    Ok(())
}

fn busy_server(place: &Place<'_>, ran: &Ran) -> Result<()> {
    parallel(place, ran)?;
    ensure!(ran.stderr.contains("profile=safe"), "{}", ran.stderr);
    Ok(())
}

fn tables(place: &Place<'_>, _: &Ran) -> Result<()> {
    for (table, n_rows) in [("customers", 300), ("devices", 2), ("orders", 5000)] {
        ensure!(place.read(table)?.n_rows() == n_rows, "{table}");
    }
    let folders = fs::read_dir(place.out(""))?.count();
    ensure!(folders == 3, "{folders} tables");
    Ok(())
}

fn meta_columns(place: &Place<'_>, _: &Ran) -> Result<()> {
    let what = "count(distinct _rivet_row_hash)::int hashes, count(distinct _rivet_exported_at)::int times";
    let seen = place.read("customers")?.rows(what, "")?;
    ensure!(seen == [json!({ "hashes": 300, "times": 1 })], "{seen:?}");
    Ok(())
}

fn quality(place: &Place<'_>, ran: &Ran) -> Result<()> {
    ensure!(ran.stderr.contains("quality:     pass"), "{}", ran.stderr);
    let manifest = place.read("orders")?.manifest;
    let rules = manifest["quality"].as_array().context("the rules")?;
    let figures: Vec<String> = rules.iter().map(|rule| format!("{} {}", rule["rule"], rule["figure"])).collect();
    let expected = [
        r#""row_count_min" 5000"#,
        r#""row_count_max" 5000"#,
        r#""null_ratio_max" 0.1"#,
        r#""unique_columns" 0"#,
        r#""unique_columns" 0"#,
    ];
    assert_eq!(figures, expected);
    Ok(())
}

fn native(place: &Place<'_>, _: &Ran) -> Result<()> {
    let schema = place.read("devices")?.schema()?;
    let state = "state: dictionary<values=string, indices=int32, ordered=0> not null\n";
    ensure!(schema == format!("id: extension<arrow.uuid> not null\n{state}"), "{schema}");
    Ok(())
}

fn stdout(_: &Place<'_>, ran: &Ran) -> Result<()> {
    let text = ran.text()?;
    ensure!(text.starts_with("id,amount\n1,1.01\n4,4.04\n") && text.lines().count() == 1668, "{}", &text[..200]);
    Ok(())
}

fn tls(place: &Place<'_>, _: &Ran) -> Result<()> {
    ensure!(place.read("customers")?.n_rows() == 300, "all customers");
    // Who logs in without a certificate is refused: it was the certificate that did it.
    let config = fs::read_to_string(folder().join("tls.yaml"))?;
    let without = |line: &&str| !line.contains("cert_file") && !line.contains("key_file");
    place.workspace.configure(&config.lines().filter(without).collect::<Vec<_>>().join("\n"))?;
    place.workspace.rivet(&["run"])?.expect(1).map(drop)
}

fn sqlite(place: &Place<'_>, _: &Ran) -> Result<()> {
    let rows: Vec<Value> = place.read("orders")?.rows("id::int id", "order by id")?;
    ensure!(rows == [json!({ "id": 2 }), json!({ "id": 3 })], "{rows:?}");
    Ok(())
}
