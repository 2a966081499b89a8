//! Splits along keys of all types, over random relations: each row is in exactly one. The server's own client judges their
//! conditions; some are read.
//! It must not know how borders are found.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::{CancelToken, Cx, KeyCut, KeyStep, KeyValue, Relation, Scan, Session, Split, SplitRequest};
use rivet_shared_sql::{Dialect, KeyRows};
use rivet_test_servers::mariadb::{self, MyServer};
use rivet_test_servers::mysql;

use super::{count, open, query, scan};

/// Relations, and cuts of each relation.
const N_RELATIONS: u64 = 100;
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
    ("i", "int", &["-2147483648", "-7", "-1", "0", "1", "2", "3", "1000000", "2147483647"]),
    ("b", "bigint", &["-9223372036854775808", "-500000000", "0", "1", "9223372036854775807"]),
    ("w", "bigint unsigned", &["0", "1", "9223372036854775808", "18446744073709551615"]),
    ("m", "decimal(10,2)", &["-1.25", "0.10", "0.20", "99999999.99"]),
    ("n", "decimal(65,30)", &["-1.5", "0", "0.000000000000000000000000000001", "99999999999999999999999999999999999"]),
    ("f", "double", &["-1e300", "0", "0.1", "1e-300", "3", "0.30000000000000004"]),
    ("g", "float", &["-1e30", "0", "0.1", "16777217", "3.4e38"]),
    (
        "d",
        "date",
        &[
            "'0000-00-00'",
            "'2024-00-00'",
            "'1969-12-31'",
            "'2024-02-29'",
            "'2024-02-31'",
            "'2024-03-01'",
            "'2024-03-09'",
        ],
    ),
    (
        "s",
        "datetime(6)",
        &[
            "'0000-00-00 00:00:00'",
            "'1999-12-31 23:59:59.999999'",
            "'2024-02-29'",
            "'2024-02-31 10:00:00'",
            "'2024-03-01 12:00:00'",
            "'2024-03-05'",
        ],
    ),
    (
        "z",
        "timestamp(3)",
        &["'0000-00-00 00:00:00'", "'2024-03-01 00:00:00.5'", "'2024-02-29 23:30:00'", "'2038-01-01'"],
    ),
    ("h", "time(6)", &["'-838:59:59'", "'00:00:00'", "'12:34:56.000001'", "'838:59:59'"]),
    (
        "t",
        "varchar(20)",
        &["''", "' '", "'a'", "'A'", "'ä'", "'b'", "'it''s'", "'a\\\\b'", "'Z'", "'10'", "'9'", "'😀'"],
    ),
    ("c", "varchar(20) collate utf8mb4_bin", &["''", "'a'", "'A'", "'ä'", "'B'", "'_'", "'~'"]),
    ("k", "char(4) collate utf8mb4_unicode_ci", &["'a'", "'A'", "'b'", "'ß'", "'ss'", "'a '"]),
    ("l", "varchar(9) character set latin1", &["'a'", "'Ä'", "'ä'", "'z'"]),
    // They differ behind what servers look at by default.
    (
        "p",
        "varchar(1200) character set latin1",
        &["'p'", "repeat('p', 1100)", "concat(repeat('p', 1100), 'b')", "concat(repeat('p', 1100), 'a')"],
    ),
    ("y", "varbinary(5)", &["X''", "X'00'", "X'ff00'", "'a'", "'A'"]),
    ("e", "enum('sad','ok','happy','9','10')", &["'sad'", "'ok'", "'happy'", "'9'", "'10'", "0"]),
    ("r", "set('x','a','m')", &["''", "'x'", "'a'", "'x,m'", "'a,m'"]),
    ("j", "year", &["0", "1999", "2024"]),
    ("q", "bit(9)", &["0", "1", "255", "256", "511"]),
];

/// A table of some rows, with keys that are few or many, NULL or not, with an index or without.
fn table(name: &str, random: &mut Random) -> String {
    let n_rows = *random.one(&[0, 1, 2, 5, 9, 17, 40]);
    let mut sql = format!("CREATE TABLE {name} (id int PRIMARY KEY");
    let mut not_null = Vec::new();
    for (column, native_type, _) in COLUMNS {
        let is_not_null = random.below(3) == 0;
        not_null.push(is_not_null);
        let _ = write!(sql, ", {column} {native_type}{}", if is_not_null { " NOT NULL" } else { " NULL" });
    }
    for (column, ..) in COLUMNS {
        if random.below(2) == 0 {
            let _ = write!(sql, ", INDEX ({column}, id)");
        }
    }
    sql.push_str(");\n");
    let n_values: Vec<usize> = COLUMNS.iter().map(|(.., values)| 1 + random.below(values.len())).collect();
    for id in 0..n_rows {
        let _ = write!(sql, "INSERT INTO {name} VALUES ({id}");
        for (i, (.., values)) in COLUMNS.iter().enumerate() {
            match !not_null[i] && random.below(4) == 0 {
                true => sql.push_str(", NULL"),
                false => {
                    let _ = write!(sql, ", {}", values[random.below(n_values[i])]);
                }
            }
        }
        sql.push_str(");\n");
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

/// Literals as this test writes them, and rows compared as rows.
struct Cast;

impl Dialect for Cast {
    fn column(&self, name: &str) -> String {
        if ["e", "r", "q"].contains(&name) { format!("({name} + 0)") } else { name.to_owned() }
    }

    fn value(&mut self, value: &KeyValue) -> rivet_plugin_api::Result<String> {
        Ok(match value.native_type.as_str() {
            "integer" | "decimal" | "double" => value.text.clone(),
            "binary" => format!("X'{}'", value.text),
            "date" => format!("CAST('{}' AS DATE)", value.text),
            "datetime" => format!("CAST('{}' AS DATETIME(6))", value.text),
            "time" => format!("CAST('{}' AS TIME(6))", value.text),
            _ => format!("'{}'", value.text.replace('\\', "\\\\").replace('\'', "''")),
        })
    }
}

/// SQL that is 1 for a row in exactly one of the splits.
fn times_held(splits: &[Split]) -> Result<String> {
    let one = |split: &Split| -> Result<String> {
        let conditions = KeyRows::of(split).context("a split of a key")?.conditions(&mut Cast)?;
        let holds = conditions.to_string().trim_start().trim_start_matches("WHERE").to_owned();
        Ok(if holds.is_empty() { "1".to_owned() } else { format!("(({holds}) IS TRUE)") })
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
    ensure!(splits.iter().all(|s| s.stable), "keys mean the same in every snapshot");
    if random.below(4) == 0 {
        let whole = splits.swap_remove(random.below(splits.len()));
        let within = SplitRequest { within: Some(whole), ..SplitRequest::new(relation.clone(), 3) };
        splits.extend(session.split(&within, cx)?);
    }
    Ok((along, splits))
}

fn each_row_is_in_one_split(server: &MyServer, n_relations: u64, seed: u64) -> Result<usize> {
    let mut random = Random(seed);
    let database = server.fresh_database("keys")?;
    let names: Vec<String> = (0..n_relations).map(|i| format!("r{i}")).collect();
    let tables: String = names.iter().map(|name| table(name, &mut random)).collect();
    server.sql(&database, &format!("SET SESSION sql_mode = 'ALLOW_INVALID_DATES';\nBEGIN;\n{tables}COMMIT;"))?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&server.url(&database), &cx)?;
    let session = &mut *group.sessions[0];
    let mut n_cases = 0;
    for name in &names {
        let relation = match random.below(4) {
            0 => query(&format!("SELECT *, e + 0 AS e0 FROM {name}")),
            _ => Relation::Table { schema: None, name: name.clone() },
        };
        let (mut checks, mut cuts) = (Vec::new(), Vec::new());
        for _ in 0..N_CUTS {
            let (along, splits) =
                splits(session, &relation, &mut random, &cx).with_context(|| format!("seed {seed}, {name}"))?;
            let held = times_held(&splits)?;
            checks.push(format!("SELECT {} FROM {name} WHERE {held} <> 1;", cuts.len()));
            cuts.push((along, splits));
        }
        let wrong =
            server.sql(&database, &format!("SET SESSION sql_mode = 'ALLOW_INVALID_DATES';\n{}", checks.join("\n")))?;
        if let Some(i) = wrong.lines().next() {
            let (along, splits) = &cuts[i.trim().parse::<usize>()?];
            anyhow::bail!("seed {seed}, {name}: a row is not in exactly one split of {along:?}: {splits:#?}");
        }
        let mut whole = scan(session, relation.clone(), &cx)?;
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
    let n_cases = each_row_is_in_one_split(mariadb::shared(), N_RELATIONS, SEED)?;
    ensure!(n_cases >= 10_000, "{n_cases} cases");
    Ok(())
}

#[test]
fn and_by_mysql_itself() -> Result<()> {
    let Some(server) = mysql::shared() else { return Ok(()) };
    each_row_is_in_one_split(server, 3, SEED + 1).map(drop)
}

#[test]
fn chunks_are_of_the_size_that_was_asked_for() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("sizes")?;
    server.sql(
        &database,
        "CREATE TABLE t (id bigint PRIMARY KEY, day date NOT NULL, skew int NOT NULL, j json, INDEX (day));\n\
         INSERT INTO t SELECT seq * 100000, '2024-01-01' + INTERVAL seq DIV 100 DAY, least(seq % 7, 1), '1' FROM seq_0_to_4999;\n\
         UPDATE t SET day = '1970-01-01' WHERE id = 0; ANALYZE TABLE t;",
    )?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&server.url(&database), &cx)?;
    let session = &mut *group.sessions[0];
    let relation = Relation::Table { schema: None, name: "t".to_owned() };
    let whole = scan(session, relation.clone(), &cx)?;
    let mut sizes = |along: Option<KeyCut>, n_splits| -> Result<Vec<usize>> {
        let splits = session.split(&SplitRequest { along, ..SplitRequest::new(relation.clone(), n_splits) }, &cx)?;
        let read = |split: Split| count(session, &Scan { split: Some(split), ..whole.clone() }, &cx);
        splits.into_iter().map(read).collect()
    };
    let along = |key: &str, step| Some(KeyCut { key: vec![key.to_owned()], step });
    assert_eq!(sizes(along("id", KeyStep::Rows(100_000)), 1)?, [5000]);
    assert_eq!(sizes(along("id", KeyStep::Exactly(1500)), 1)?, [1500, 1500, 1500, 500]);
    assert_eq!(sizes(along("id", KeyStep::Even), 4)?, [1250; 4]);
    assert_eq!(sizes(None, 4)?, [1250; 4]);
    // The first has one row of 1970, and nothing stands for the years that nobody has.
    assert_eq!(sizes(along("day", KeyStep::Days(10)), 1)?, [1, 699, 1000, 1000, 1000, 1000, 300]);
    assert_eq!(sizes(along("skew", KeyStep::Even), 10)?.iter().sum::<usize>(), 5000);
    let error = sizes(along("j", KeyStep::Exactly(10)), 1).expect_err("json has no order");
    assert!(error.to_string().contains("cannot order"), "{error:#}");
    Ok(())
}
