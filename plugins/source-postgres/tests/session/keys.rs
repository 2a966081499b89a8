//! Splits along keys of all types, over random relations: each row is in exactly one. PSQL judges their conditions; some are read.
//! It must not know how borders are found.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::{CancelToken, Cx, ErrorKind, KeyCut, KeyStep, KeyValue, Relation, Session, Split, SplitRequest};
use rivet_shared_sql::{Dialect, KeyRows};
use rivet_test_servers::postgres::{self, Postgres as Server};

use super::{ReadMode, Scan, count, open, query, scan};

/// Relations of each database, and cuts of each relation.
const N_RELATIONS: u64 = 50;
const N_CUTS: usize = 100;
/// Fixed, so that a failure is found again; it is part of every message.
const SEED: u64 = 20_261_130;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }

    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

/// Name, type and values of the columns that are keys.
const COLUMNS: &[(&str, &str, &[&str])] = &[
    ("i", "integer", &["-2147483648", "-7", "-1", "0", "1", "2", "3", "1000000", "2147483647"]),
    ("b", "bigint", &["-9223372036854775808", "-500000000", "0", "1", "500000000", "9223372036854775807"]),
    ("n", "numeric", &["-1.5", "-0.0001", "0", "0.00", "0.25", "1.0", "1.00", "1e30", "NaN", "Infinity"]),
    ("m", "numeric(10,2)", &["-1.25", "0.10", "0.20", "99999999.99"]),
    ("f", "double precision", &["-Infinity", "-1e300", "-0", "0", "0.1", "1e-300", "3", "Infinity", "NaN"]),
    ("d", "date", &["-infinity", "0044-03-15 BC", "1969-12-31", "2024-02-29", "2024-03-01", "2024-03-09", "infinity"]),
    (
        "s",
        "timestamp",
        &["1999-12-31 23:59:59.999999", "2024-02-29 00:00:00", "2024-03-01 12:00:00", "2024-03-05", "infinity"],
    ),
    (
        "z",
        "timestamptz",
        &["2024-03-01 00:00:00+02", "2024-03-01 00:00:00-02", "2024-02-29 23:30:00+00", "2024-12-31 23:59:59+00"],
    ),
    ("t", "text", &["", " ", "a", "A", "ä", "b", "it''s", "a\\b", "Z", "zz", "10", "9", "\u{1F600}"]),
    ("c", "text COLLATE \"C\"", &["", "a", "A", "ä", "B", "_", "~"]),
    ("k", "text COLLATE caseless", &["a", "A", "b", "B", "ß", "ss"]),
    ("v", "varchar(5)", &["", "a", "abcde", "b  "]),
    ("p", "char(4)", &["", "a", "ab", "b"]),
    (
        "u",
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "7fffffff-0000-0000-0000-000000000001",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
    ),
    ("o", "boolean", &["true", "false"]),
    ("e", "mood", &["sad", "ok", "happy"]),
    ("y", "bytea", &["\\x", "\\x00", "\\xff00"]),
    ("l", "positive", &["1", "2", "900"]),
];
const PRELUDE: &str = "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);\n\
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN positive AS bigint CHECK (value > 0);\n";

/// A table of some rows, with keys that are few or many, NULL or not, with an index or without.
fn table(name: &str, random: &mut Random) -> String {
    let n_rows = *random.one(&[0, 1, 2, 5, 9, 17, 40]);
    let mut sql = format!("CREATE TABLE {name} (id integer PRIMARY KEY");
    let mut not_null = Vec::new();
    for (column, native_type, _) in COLUMNS {
        let is_not_null = random.below(3) == 0;
        not_null.push(is_not_null);
        let _ = write!(sql, ", {column} {native_type}{}", if is_not_null { " NOT NULL" } else { "" });
    }
    sql.push_str(");\n");
    let n_values: Vec<usize> = COLUMNS.iter().map(|(.., values)| 1 + random.below(values.len())).collect();
    for id in 0..n_rows {
        let _ = write!(sql, "INSERT INTO {name} VALUES ({id}");
        for (i, (.., values)) in COLUMNS.iter().enumerate() {
            match !not_null[i] && random.below(4) == 0 {
                true => sql.push_str(", NULL"),
                false => {
                    let _ = write!(sql, ", '{}'", values[random.below(n_values[i])]);
                }
            }
        }
        sql.push_str(");\n");
    }
    for (column, ..) in COLUMNS {
        if random.below(2) == 0 {
            let _ = writeln!(sql, "CREATE INDEX ON {name} ({column}, id);");
        }
    }
    if random.below(3) == 0 {
        let _ = writeln!(sql, "ANALYZE {name};");
    }
    sql
}

fn cut(random: &mut Random) -> (KeyCut, usize) {
    let n_columns = *random.one(&[1, 1, 1, 2, 3]);
    let mut key: Vec<String> = Vec::new();
    while key.len() < n_columns {
        let name = if random.below(6) == 0 { "id" } else { random.one(COLUMNS).0 };
        if !key.iter().any(|known| known == name) {
            key.push(name.to_owned());
        }
    }
    let size = 1 + random.below(6);
    let has_days = matches!(key.as_slice(), [one] if ["d", "s", "z"].contains(&one.as_str()));
    let step = match random.below(if has_days { 6 } else { 3 }) {
        0 => KeyStep::Even,
        1 => KeyStep::Rows(size as u64),
        2 => KeyStep::Exactly(size as u64),
        _ => KeyStep::Days(u32::try_from(1 + random.below(40)).unwrap_or(1)),
    };
    (KeyCut { key, step }, size)
}

/// Literals as this test writes them.
struct Cast;

impl Dialect for Cast {
    fn value(&mut self, value: &KeyValue) -> rivet_plugin_api::Result<String> {
        let native_type = if value.native_type == "character" { "bpchar" } else { &value.native_type };
        Ok(format!("E'{}'::{native_type}", value.text.replace('\\', "\\\\").replace('\'', "\\'")))
    }
}

/// SQL that is 1 for a row in exactly one of the splits.
fn times_held(splits: &[Split]) -> Result<String> {
    let one = |split: &Split| -> Result<String> {
        let conditions = KeyRows::of(split).context("a split of a key")?.conditions(&mut Cast)?;
        let holds = conditions.to_string().trim_start().trim_start_matches("WHERE").to_owned();
        Ok(if holds.is_empty() { "1".to_owned() } else { format!("(({holds}) IS TRUE)::int") })
    };
    Ok(splits.iter().map(one).collect::<Result<Vec<_>>>()?.join(" + "))
}

/// The splits of a cut, one of them cut again.
fn splits(
    session: &mut dyn Session,
    relation: &Relation,
    random: &mut Random,
    cx: &Cx,
) -> Result<(KeyCut, Vec<Split>)> {
    let (along, n_splits) = cut(random);
    let request = SplitRequest { along: Some(along.clone()), ..SplitRequest::new(relation.clone(), n_splits) };
    let mut splits = session.split(&request, cx).with_context(|| format!("{along:?} into {n_splits}"))?;
    if let (KeyStep::Exactly(rows), 1) = (along.step, along.key.len()) {
        ensure!(splits.iter().all(|s| s.estimated_rows.is_none_or(|n| n == rows)), "{splits:?}");
    }
    ensure!(splits.iter().all(|s| s.stable), "keys mean the same in every snapshot");
    if random.below(4) == 0 {
        let whole = splits.swap_remove(random.below(splits.len()));
        let within = SplitRequest { within: Some(whole), ..SplitRequest::new(relation.clone(), 3) };
        splits.extend(session.split(&within, cx)?);
    }
    Ok((along, splits))
}

fn each_row_is_in_one_split(server: &Server, database: &str, seed: u64) -> Result<usize> {
    let mut random = Random(seed);
    let names: Vec<String> = (0..N_RELATIONS).map(|i| format!("r{i}")).collect();
    let tables: String = names.iter().map(|name| table(name, &mut random)).collect();
    server.psql(database, &format!("{PRELUDE}{tables}"))?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&server.url(database), 1, &cx)?;
    let session = &mut *group.sessions[0];
    let mut n_cases = 0;
    for name in &names {
        let relation = match random.below(4) {
            0 => query(&format!("SELECT * FROM {name}")),
            _ => Relation::Table { schema: None, name: name.clone() },
        };
        let mut checks = Vec::new();
        let mut cuts = Vec::new();
        for _ in 0..N_CUTS {
            let (along, splits) =
                splits(session, &relation, &mut random, &cx).with_context(|| format!("seed {seed}, {name}"))?;
            checks.push(format!(
                "SELECT {} AS i WHERE EXISTS (SELECT FROM {name} WHERE {} <> 1)",
                cuts.len(),
                times_held(&splits)?
            ));
            cuts.push((along, splits));
        }
        let wrong = server.psql(database, &checks.join(" UNION ALL "))?;
        if let Some(i) = wrong.lines().next() {
            let (along, splits) = &cuts[i.trim().parse::<usize>()?];
            anyhow::bail!("seed {seed}, {name}: a row is not in exactly one split of {along:?}: {splits:#?}");
        }
        let mut whole = scan(session, relation.clone(), ReadMode::Stream, &cx)?;
        whole.columns.retain(|column| column.name == "id");
        let all = count(session, &whole, &cx)?;
        let mut read = 0;
        for split in &cuts[0].1 {
            read += count(session, &Scan { split: Some(split.clone()), ..whole.clone() }, &cx)?;
        }
        ensure!(read == all, "seed {seed}, {name}: {read} rows of {all} by {:?}", cuts[0]);
        n_cases += cuts.len();
    }
    Ok(n_cases)
}

#[test]
fn each_row_is_in_one_split_of_any_key() -> Result<()> {
    let server = postgres::shared();
    let by_passes = server.fresh_database("keys")?;
    let by_hops = server.fresh_database("hops")?;
    server.psql(
        "postgres",
        &format!("ALTER DATABASE {by_hops} SET enable_sort = off; ALTER DATABASE {by_hops} SET jit = off; ALTER DATABASE {by_hops} SET enable_seqscan = off"),
    )?;
    let n_cases =
        each_row_is_in_one_split(server, &by_passes, SEED)? + each_row_is_in_one_split(server, &by_hops, SEED + 1)?;
    ensure!(n_cases >= 10_000, "{n_cases} cases");
    Ok(())
}

fn n_rows_of(splits: &[Split], session: &mut dyn Session, relation: &Relation, cx: &Cx) -> Result<Vec<usize>> {
    let mut all = Vec::new();
    for split in splits {
        let mut scan = scan(session, relation.clone(), ReadMode::Stream, cx)?;
        scan.split = Some(split.clone());
        all.push(count(session, &scan, cx)?);
    }
    Ok(all)
}

#[test]
fn chunks_are_of_the_size_that_was_asked_for() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("sizes")?;
    server.psql(
        &database,
        "CREATE TABLE t (id bigint PRIMARY KEY, day date NOT NULL, skew int NOT NULL, j json);\n\
         INSERT INTO t SELECT i * 100000, '2024-01-01'::date + (i / 100)::int, least(i % 7, 1), '1' FROM generate_series(0, 4999) i;\n\
         UPDATE t SET day = '1970-01-01' WHERE id = 0; CREATE INDEX ON t (day); ANALYZE t;",
    )?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&server.url(&database), 1, &cx)?;
    let session = &mut *group.sessions[0];
    let relation = Relation::Table { schema: None, name: "t".to_owned() };
    let mut cut = |key: &str, step, n_splits| -> rivet_plugin_api::Result<Vec<Split>> {
        let along = Some(KeyCut { key: vec![key.to_owned()], step });
        session.split(&SplitRequest { along, ..SplitRequest::new(relation.clone(), n_splits) }, &cx)
    };
    let (few, exact) = (cut("id", KeyStep::Rows(100_000), 1)?, cut("id", KeyStep::Exactly(1500), 1)?);
    let (even, by_days) = (cut("id", KeyStep::Even, 4)?, cut("day", KeyStep::Days(10), 1)?);
    let skewed = cut("skew", KeyStep::Even, 10)?;
    let about = cut("id", KeyStep::Rows(500), 1)?;
    let error = cut("j", KeyStep::Exactly(10), 1).expect_err("json has no order");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "postgres.no_order"));
    drop(group);
    let mut group = open(&server.url(&database), 1, &cx)?;
    let session = &mut *group.sessions[0];
    let mut rows = |splits: &[Split]| n_rows_of(splits, session, &relation, &cx);
    assert_eq!(rows(&few)?, [5000]);
    assert_eq!(rows(&exact)?, [1500, 1500, 1500, 500]);
    let even = rows(&even)?;
    ensure!(even.len() == 4 && even.iter().all(|n| (1100..1400).contains(n)), "{even:?}");
    let about = rows(&about)?;
    ensure!(about.len() == 10 && about.iter().all(|n| (300..700).contains(n)), "{about:?}");
    // The first has one row of 1970, and nothing stands for the years that nobody has.
    assert_eq!(rows(&by_days)?, [1, 699, 1000, 1000, 1000, 1000, 300]);
    ensure!(
        rows(&skewed)?.iter().sum::<usize>() == 5000 && skewed.len() <= 3,
        "two values have one border each: {skewed:?}"
    );
    Ok(())
}

#[test]
fn statistics_part_a_table_without_looking_at_it() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("statistics")?;
    server.psql(
        &database,
        "CREATE TABLE t (id bigint PRIMARY KEY, name text COLLATE \"und-x-icu\", kind int);\n\
         INSERT INTO t SELECT i * i, (ARRAY['a', 'B', 'ä', 'Z'])[1 + i % 4] || i, nullif(least(i % 40, 3), 2) FROM generate_series(1, 20000) i;\n\
         ANALYZE t;",
    )?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&server.url(&database), 1, &cx)?;
    let session = &mut *group.sessions[0];
    let relation = Relation::Table { schema: None, name: "t".to_owned() };
    for (key, step, n_splits) in
        [("id", KeyStep::Rows(2000), 1), ("name", KeyStep::Even, 8), ("kind", KeyStep::Even, 2)]
    {
        let along = Some(KeyCut { key: vec![key.to_owned()], step });
        let splits = session.split(&SplitRequest { along, ..SplitRequest::new(relation.clone(), n_splits) }, &cx)?;
        let sizes = n_rows_of(&splits, session, &relation, &cx)?;
        assert_eq!(sizes.iter().sum::<usize>(), 20_000, "{key}: {sizes:?}");
        let fair = sizes.iter().filter(|n| (1_000..4_000).contains(*n)).count();
        ensure!(key == "kind" || fair >= 7, "{key}: {sizes:?}");
    }
    Ok(())
}
