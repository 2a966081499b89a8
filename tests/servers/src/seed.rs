//! The tables of the acceptance plan, filled by rule: users, orders, events, page_views, content_items, orders_sparse.
//! Must not know what reads them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::mariadb::MyServer;
use crate::{command, postgres};

/// Where the configs of `dev/` look for a server.
const DEFAULT_URL: &str = "postgresql://rivet:rivet@localhost:5432/rivet";

/// Each size by its option, its name in the SQL, and what it is when nobody says.
const SIZES: [(&str, &str, u64); 7] = [
    ("--users", "users", 10_000),
    ("--orders-per-user", "orders_per_user", 3),
    ("--events-per-user", "events_per_user", 2),
    ("--page-views", "page_views", 20_000),
    ("--content-items", "content_items", 200_000),
    ("--sparse-chunk-rows", "sparse_rows", 5_000),
    ("--sparse-chunk-id-gap", "sparse_gap", 100_000),
];

/// Runs the statements of a file that ends them with lines; sizes are parameters.
const RUN_SQLITE: &str = "
import hashlib, json, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.create_function('md5', 1, lambda value: hashlib.md5(str(value).encode()).hexdigest())
for statement in sys.stdin.read().split(';\\n'):
    con.execute(statement, json.loads(sys.argv[2]))
con.commit()
";

/// How many rows there are.
#[derive(Debug, Clone)]
pub struct Sizes {
    all: [u64; SIZES.len()],
    /// Only `orders_sparse` is made.
    only_sparse: bool,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { all: SIZES.map(|(_, _, n)| n), only_sparse: false }
    }
}

impl Sizes {
    /// The same with another value for an option such as `--users`.
    ///
    /// # Errors
    /// When there is no such option.
    pub fn with(mut self, option: &str, n: u64) -> Result<Self> {
        let Some(at) = SIZES.iter().position(|(name, _, _)| *name == option) else {
            bail!("read the option '{option}': there is none of this name");
        };
        self.all[at] = n;
        Ok(self)
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SIZES.iter().zip(self.all).map(|((_, name, _), n)| (*name, n))
    }
}

/// As the words of a command line say: `--target postgres|sqlite`, where it is, and sizes.
///
/// # Errors
/// When a word is not known, or the tables cannot be made.
pub fn seed(words: &[&str]) -> Result<()> {
    let (mut sizes, mut target, mut url, mut path) = (Sizes::default(), "", DEFAULT_URL.to_owned(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if *word == "--only-sparse-chunk-demo" {
            sizes.only_sparse = true;
            continue;
        }
        let value = *words.next().with_context(|| format!("read {word}: it needs a value"))?;
        match *word {
            "--target" => target = value,
            "--url-env" => url = std::env::var(value).with_context(|| format!("read the variable {value}"))?,
            "--path" => path = Some(value),
            option => sizes = sizes.with(option, value.parse().with_context(|| format!("read {option} {value}"))?)?,
        }
    }
    match (target, path) {
        ("postgres" | "pg", None) => postgres(&url, &sizes),
        ("sqlite", Some(path)) => sqlite(Path::new(path), &sizes),
        ("sqlite", None) => bail!("seed sqlite: name the file with --path"),
        ("postgres" | "pg", Some(_)) => bail!("seed postgres: --path is for sqlite"),
        ("", _) => bail!("seed: name a target, --target postgres or --target sqlite"),
        (other, _) => bail!("seed '{other}': only postgres and sqlite are known"),
    }
}

/// Makes the tables in the database of this URL; those that are there are replaced.
///
/// # Errors
/// When the server refuses.
pub fn postgres(url: &str, sizes: &Sizes) -> Result<()> {
    let set = |(name, n): (&str, u64)| format!("\\set {name} {n}\n");
    let sets: String = sizes.named().map(set).collect();
    let sql = format!("{sets}\\set only_sparse {}\n{}", sizes.only_sparse, include_str!("seed/postgres.sql"));
    postgres::run_psql(url, None, &sql).map(drop).context("seed postgres")
}

/// Makes users and orders, and a database and a login for them, on a server that has none of these.
///
/// # Errors
/// When the server refuses.
pub fn mysql(server: &MyServer, sizes: &Sizes) -> Result<()> {
    let size = |wanted: &str| sizes.named().find(|(name, _)| *name == wanted).map_or(0, |(_, n)| n);
    let orders = size("users") * size("orders_per_user");
    let sql = include_str!("seed/mysql.sql")
        .replace(":users", &size("users").to_string())
        .replace(":orders", &orders.to_string());
    server.sql("", &sql).map(drop).context("seed mysql")
}

/// Makes the tables in this file; those that are there are replaced.
///
/// # Errors
/// When it cannot be written.
pub fn sqlite(path: &Path, sizes: &Sizes) -> Result<()> {
    let whole = include_str!("seed/sqlite.sql");
    let sparse = whole.split_once("-- from here: the sparse demo").map_or(whole, |(_, sparse)| sparse);
    let parameters: serde_json::Map<_, _> = sizes.named().map(|(name, n)| (name.to_owned(), n.into())).collect();
    let mut python = Command::new("python3");
    python.args(["-c", RUN_SQLITE]).arg(path).arg(serde_json::Value::Object(parameters).to_string());
    command::output(&mut python, if sizes.only_sparse { sparse } else { whole }).map(drop).context("seed sqlite")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::random_hex;

    fn counts(path: &Path) -> Result<String> {
        const COUNT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
for table in 'users orders events page_views content_items orders_sparse'.split():
    print(*con.execute(f'select count(*), max(id) from {table}').fetchone())
print(*con.execute('select product, price, status, ordered_at from orders where id = 7').fetchone())
";
        command::output(Command::new("python3").args(["-c", COUNT]).arg(path), "")
    }

    #[test]
    fn tables_of_a_file_have_the_sizes_that_were_asked_for_and_are_replaced() -> Result<()> {
        let path = std::env::temp_dir().join(format!("rivet-seed-{}.db", random_hex(6)?));
        let file = path.display().to_string();
        let first = "--users 10 --page-views 20 --content-items 0 --sparse-chunk-rows 4 --sparse-chunk-id-gap 1000";
        for (words, rest) in [
            (first, "30 30\n20 20\n20 20\n0 None\n4 4000"),
            ("--only-sparse-chunk-demo --sparse-chunk-rows 2", "30 30\n20 20\n20 20\n0 None\n2 200000"),
        ] {
            let words: Vec<&str> =
                ["--target", "sqlite", "--path", &file].into_iter().chain(words.split(' ')).collect();
            seed(&words)?;
            assert_eq!(counts(&path)?, format!("10 10\n{rest}\nProduct 7 2.59 returned 2025-01-01 00:07:00\n"));
        }
        Ok(std::fs::remove_file(path)?)
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for (words, says) in [
            (&["--target", "mysql"][..], "only postgres and sqlite are known"),
            (&["--target", "sqlite"], "name the file with --path"),
            (&["--users", "3"], "name a target"),
            (&["--usres", "3"], "there is none of this name"),
            (&["--users"], "it needs a value"),
        ] {
            let error = seed(words).expect_err("it is refused");
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
