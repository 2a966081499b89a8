//! A page of hostile texts: all of them stay text, wherever they stand.
//! And what the state keeps of a run is on its page. It must not test what a page looks like.

use rivet_core::run::timeline::{Samples, Span, Timeline};

use rivet_core::state::{NewRun, State};
use serde_json::{Value, json};

use super::model::{Column, Event, Failure, Figures, File, Report, Rule, Run, Shown, Tone};
use super::page::page;
use crate::out::secrets::Secrets;

const EVIL: &str =
    "</title></style><script>alert(1)</script><img src=x onerror=\"a()\"> ' \" & \u{202e}\u{1b}[31m\nhunter2-hunter2";

fn evil() -> Shown {
    let secrets = Secrets::default();
    secrets.add(["hunter2-hunter2".to_owned()]);
    Shown::of(EVIL, &secrets)
}

fn run() -> Run {
    let span = |split, attempt, from_ms, to_ms, rows| Span { split, attempt, from_ms, to_ms, rows };
    let samples = Samples { at_ms: vec![10, 20], rows: vec![5, 50], rss_bytes: vec![1 << 20, 2 << 20] };
    let spans = vec![span(0, 0, 0, 10, None), span(0, 1, 15, 20, Some(50))];
    Run {
        export: evil(),
        run_id: evil(),
        status: evil(),
        tone: Tone::Bad,
        source: evil(),
        destination: evil(),
        started_at_ms: 0,
        duration_ms: 30,
        figures: Figures { verdict: evil(), consistency: evil(), ..Figures::default() },
        error: Some(Failure { code: evil(), message: evil(), hint: Some(evil()) }),
        notes: vec![evil()],
        schema_changes: vec![evil(), evil()],
        quality: vec![Rule { rule: evil(), column: evil(), limit: evil(), figure: evil(), passed: false }],
        columns: vec![Column {
            name: evil(),
            native_type: evil(),
            written_as: evil(),
            nullable: true,
            fidelity: evil(),
            is_exact: false,
            hits: vec![(evil(), 1)],
        }],
        files: vec![File { name: evil(), split: 0, rows: 1, bytes: 1, digest: evil() }],
        settings: vec![("Strategy", evil())],
        planned_ms: Some(1),
        timeline: Some(Timeline { began_at_ms: 0, samples, spans, n_left_off: 3 }),
        events: vec![Event { at_ms: 1, tone: Tone::Warning, text: evil() }],
    }
}

#[test]
fn hostile_texts_stay_text() {
    let made_at = "2026-11-21T04:55:12.345Z".to_owned();
    for runs in [vec![run()], vec![run(), run()]] {
        let page = page(&Report { made_at: made_at.clone(), runs });
        for forbidden in ["<script", "<img", "\u{202e}", "\u{1b}", "hunter2", "\"a()\""] {
            assert!(!page.contains(forbidden), "{forbidden:?} is in the page");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert_eq!(page.matches("</title>").count(), 1 + page.matches("<title>").count() - 1);
        assert_eq!(page.matches("</style>").count(), 1);
        for loaded in ["src=", "url(", "http://", "https://", "@import", "<link"] {
            let ours = page.replace("src=x", "");
            assert!(!ours.contains(loaded), "{loaded:?} would be loaded");
        }
    }
}

#[test]
fn what_the_state_keeps_of_a_run_is_on_its_page() {
    let state = State::in_memory().expect("there is memory");
    let run = NewRun {
        run_id: "r1".to_owned(),
        export: "orders".to_owned(),
        plan_json: Value::Null,
        source: "db.example/shop".to_owned(),
        destination: "out".to_owned(),
        started_at_ms: 5_000,
    };
    let summary = json!({
        "duration_ms": 1_500, "rows": 12_345, "retries": 2, "verdict": "UNSAFE", "validated": true,
        "error": {"code": "x.y", "message": "no room", "hint": "make some"},
        "warnings": ["the schema changed: 'a' was added", "a second thing"],
        "schema_changes": ["'a' was added"],
        "quality": [
            {"rule": "row_count_min", "limit": 10, "figure": 12_345, "passed": true},
            {"rule": "null_ratio_max", "column": "email", "limit": 0.05, "figure": 0.07, "passed": false},
            {"rule": "unique_columns", "column": "id", "limit": 0, "figure": 0, "proved": true, "passed": true},
        ],
    });
    state.journal("r1", 4_000, "run_started", &json!({ "command": "rivet run" })).expect("appended");
    state
        .journal("r1", 4_700, "retrying", &json!({ "split": "s7", "cause": "lost", "after_ms": 300 }))
        .expect("appended");
    state.record_failed_start(&run, &summary).expect("recorded");
    let runs = vec![state.run("r1").expect("read").expect("it is there")];
    let page = super::page(&runs, &state, &Secrets::default()).expect("the state can be read");
    for said in [
        "orders",
        "r1",
        "db.example/shop",
        "1970-01-01 00:00:04 UTC",
        "12,345",
        "1.5 s",
        "UNSAFE",
        "no room",
        "make some",
        "x.y",
        "&#39;a&#39; was added",
        "a second thing",
        "row_count_min",
        "0.07",
        "FAIL",
        "proved by a constraint",
        "s7 is tried again after 300 ms: lost",
    ] {
        assert!(page.contains(&said.replace("&#39;", "'")), "{said:?} is not in {page}");
    }
    assert!(!page.contains("the schema changed:"), "what changed is said once");
}
