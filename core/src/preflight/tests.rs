//! Judgements of what is known, at each limit and just beyond.
//! They must not need a source.

use rivet_plugin_api::Column;

use super::*;
use crate::config::{Incremental, NullCursor, Params, parse};

fn tuning() -> Tuning {
    let yaml = "source: {type: s, path: p}\nexports: [{name: e, table: t, destination: {type: local, path: o}}]";
    parse(yaml, std::path::Path::new(""), &|_| None, &Params::new()).expect("it is right").exports[0].tuning.clone()
}

fn incremental() -> Mode {
    Mode::Incremental(Incremental { key: vec!["at".into()], lookback: None, nulls: NullCursor::Error })
}

/// Judged with these facts alone.
fn judged(mode: &Mode, rows: Option<u64>, explained: &Explained, schema: &TableSchema) -> Judgement {
    judge(Facts {
        relation: &Relation::Table { schema: None, name: "t".into() },
        schema,
        has_condition: false,
        whole: &Estimate { rows, bytes: None, splittable: true },
        explained,
        health: &Health::default(),
        mode,
        tuning: &tuning(),
        n_workers: 1,
        key_is_indexed: None,
    })
}

#[test]
fn verdicts_and_profiles_follow_rows_and_index() {
    use Verdict::{Acceptable, Degraded, Efficient, Unsafe};
    for (rows, by_index, partial_index, verdict, profile) in [
        (Some(999_999), true, false, Some(Efficient), Some(Profile::Fast)),
        (Some(9_999_999), true, false, Some(Efficient), Some(Profile::Balanced)),
        (Some(10_000_000), true, false, Some(Acceptable), Some(Profile::Safe)),
        (Some(10), true, true, Some(Acceptable), Some(Profile::Fast)),
        (Some(0), false, false, Some(Efficient), Some(Profile::Fast)),
        (Some(5), false, false, Some(Efficient), Some(Profile::Fast)),
        (Some(99_999), false, false, Some(Efficient), Some(Profile::Fast)),
        (Some(100_000), false, false, Some(Degraded), Some(Profile::Balanced)),
        (Some(50_000_000), false, false, Some(Degraded), Some(Profile::Safe)),
        (Some(50_000_001), false, false, Some(Unsafe), Some(Profile::Safe)),
        (None, false, false, None, None),
    ] {
        let explained = Explained { by_index: Some(by_index), partial_index, ..Default::default() };
        let judged = judged(&Mode::Full, rows, &explained, &TableSchema::default());
        assert_eq!((judged.verdict, judged.profile), (verdict, profile), "{rows:?} {by_index}");
        assert!(!judged.reason.is_empty());
    }
}

#[test]
fn a_few_rows_that_no_index_finds_cost_a_scan_of_all() {
    let explained =
        Explained { rows: Some(3), by_index: Some(false), scanned_rows: Some(60_000_000), ..Default::default() };
    let found = judged(&incremental(), Some(60_000_000), &explained, &TableSchema::default());
    assert_eq!(found.verdict, Some(Verdict::Unsafe));
    assert_eq!(found.reason, "no index finds what is new: each run goes through about 60 million rows");
    assert!(found.suggestions[0].contains("index on at"), "{:?}", found.suggestions);
    let statements = vec!["CREATE INDEX x;".to_owned()];
    let told = Explained { index_statements: statements, ..explained };
    let found = judged(&incremental(), Some(60_000_000), &told, &TableSchema::default());
    assert!(found.suggestions[0].ends_with("CREATE INDEX x;"), "{:?}", found.suggestions);
    let index = Explained { rows: Some(3), by_index: Some(true), ..Default::default() };
    let found = judged(&incremental(), Some(60_000_000), &index, &TableSchema::default());
    assert_eq!((found.verdict, found.suggestions), (Some(Verdict::Efficient), vec![]));
}

#[test]
fn a_large_table_read_whole_is_told_which_column_could_be_its_cursor() {
    let at = |name: &str| Column::new(name, "timestamp", LogicalType::Timestamp { utc: true, nanos: false });
    let schema = TableSchema::of(vec![at("created_at"), at("Updated_At")]);
    let scan = Explained { by_index: Some(false), ..Default::default() };
    let found = judged(&Mode::Full, Some(9_000_000), &scan, &schema);
    assert_eq!(found.reason, "each run reads all of about 9 million rows");
    assert!(found.suggestions[0].contains("`cursor_column: Updated_At`"), "{:?}", found.suggestions);
    assert!(found.suggestions[1].contains("`parallel: 4`"), "{:?}", found.suggestions);
    assert_eq!(judged(&Mode::Full, Some(5), &scan, &schema).suggestions, Vec::<String>::new());
}

#[test]
fn what_may_go_wrong_is_said() {
    let judged = judge(Facts {
        relation: &Relation::Query { sql: "select 1".into() },
        schema: &TableSchema::default(),
        has_condition: false,
        whole: &Estimate { rows: Some(60_000_000), bytes: None, splittable: false },
        explained: &Explained { by_index: Some(false), ..Default::default() },
        health: &Health { pooler: Some("pgbouncer".into()), standby: true, ..Default::default() },
        mode: &incremental(),
        tuning: &tuning(),
        n_workers: 2,
        key_is_indexed: None,
    });
    assert_eq!(judged.warnings.len(), 3, "{:?}", judged.warnings);
    assert!(judged.suggestions[0].contains("index what at comes from"), "{:?}", judged.suggestions);
    assert_eq!(judged.parallel, None);
}

fn chunked(keys: &str) -> Mode {
    let yaml = format!(
        "source: {{type: s, path: p}}\nexports: [{{name: e, table: t, mode: chunked, chunk_column: k, {keys}, destination: \
         {{type: local, path: o}}}}]"
    );
    parse(&yaml, std::path::Path::new(""), &|_| None, &Params::new()).expect("it is right").exports[0].mode()
}

#[test]
fn a_sort_of_all_rows_is_told_and_nothing_that_costs_nothing() {
    let (counted, by_rows) = (chunked("chunk_dense: true"), chunked("chunk_size: 1000"));
    let warned = |mode: &Mode, rows, key_is_indexed| {
        let judged = judge(Facts {
            relation: &Relation::Table { schema: None, name: "t".into() },
            schema: &TableSchema::default(),
            has_condition: false,
            whole: &Estimate { rows: Some(rows), bytes: None, splittable: false },
            explained: &Explained { by_index: Some(false), ..Default::default() },
            health: &Health::default(),
            mode,
            tuning: &tuning(),
            n_workers: 1,
            key_is_indexed,
        });
        judged.warnings.iter().any(|warning| warning.starts_with("no index has k in its order"))
    };
    assert!(warned(&counted, SMALL_ROWS, Some(false)));
    // With an index, few rows, borders by statistics, or where nobody knows, there is nothing to warn of.
    assert!(!warned(&counted, SMALL_ROWS, Some(true)) && !warned(&counted, SMALL_ROWS - 1, Some(false)));
    assert!(!warned(&counted, SMALL_ROWS, None) && !warned(&by_rows, SMALL_ROWS, Some(false)));
    assert!(!warned(&Mode::Full, SMALL_ROWS, Some(false)));
}

#[test]
fn workers_follow_rows_and_what_the_server_has_room_for() {
    for (rows, free, expected) in [
        (0, None, (1, "about 0 rows are read fast enough by one worker")),
        (1_999_999, None, (1, "about 1.9 million rows are read fast enough by one worker")),
        (2_000_000, None, (2, "about 2 million rows")),
        (7_999_999, Some(90), (2, "about 7.9 million rows")),
        (8_000_000, Some(4), (4, "about 8 million rows")),
        (8_000_000, Some(3), (2, "the server has room for 3 more connections")),
        (8_000_000, Some(0), (1, "the server has room for 0 more connections")),
        (5, Some(0), (1, "about 5 rows are read fast enough by one worker")),
    ] {
        let (n, why) = workers(rows, free);
        assert_eq!((n, why.as_str()), expected, "{rows} {free:?}");
    }
}

#[test]
fn connections_and_lag_are_told_when_they_are_too_few_and_too_long() {
    let warned = |n_workers, free_connections, behind_ms| {
        let health = Health { free_connections, behind_ms, ..Default::default() };
        let judged = judge(Facts {
            relation: &Relation::Table { schema: None, name: "t".into() },
            schema: &TableSchema::default(),
            has_condition: false,
            whole: &Estimate { rows: Some(5), bytes: None, splittable: true },
            explained: &Explained::default(),
            health: &health,
            mode: &Mode::Full,
            tuning: &tuning(),
            n_workers,
            key_is_indexed: None,
        });
        judged.warnings
    };
    assert_eq!(warned(4, Some(4), Some(BEHIND_MS - 1)), Vec::<String>::new());
    assert_eq!(warned(1, Some(0), None), Vec::<String>::new(), "the session that asks is enough");
    assert_eq!(
        warned(4, Some(3), Some(61_000)),
        [
            "the standby is 61 s behind: what is newer is not read",
            "4 workers need 4 more connections, and the server has room for 3: lower `parallel`, or set \
             `max_connections` in `tuning`",
        ]
    );
}

#[test]
fn memory_poolers_and_standbys_are_told_where_they_matter_alone() {
    let warned = |n_workers, rows, health: Health| {
        let judged = judge(Facts {
            relation: &Relation::Table { schema: None, name: "t".into() },
            schema: &TableSchema::default(),
            has_condition: false,
            whole: &Estimate { rows: Some(rows), bytes: None, splittable: true },
            explained: &Explained::default(),
            health: &health,
            mode: &Mode::Full,
            tuning: &tuning(),
            n_workers,
            key_is_indexed: None,
        });
        judged.warnings
    };
    for (n_workers, rows) in [(1, PARALLEL_ROWS + 1), (2, PARALLEL_ROWS), (8, 5)] {
        assert_eq!(warned(n_workers, rows, Health::default()), Vec::<String>::new(), "{n_workers} {rows}");
    }
    let memory = warned(2, PARALLEL_ROWS + 1, Health::default());
    assert_eq!(memory, ["2 workers share 256 MiB: give `memory_mb` more if parts get small"]);
    let pooled = warned(1, 5, Health { pooler: Some("a pooler".to_owned()), ..Health::default() });
    assert!(matches!(&pooled[..], [one] if one.starts_with("a pooler is in between")), "{pooled:?}");
    let standby = warned(1, 5, Health { standby: true, behind_ms: Some(0), ..Health::default() });
    assert!(matches!(&standby[..], [one] if one.contains("is a standby")), "{standby:?}");
}

#[test]
fn large_numbers_are_rounded() {
    let cases =
        [(0, "about 0"), (9_999, "about 9999"), (20_000, "about 20 thousand"), (1_234_567, "about 1.2 million")];
    for (n, text) in cases {
        assert_eq!(about(n), text);
    }
    assert_eq!(about(3_000_000_000), "about 3 billion");
}
