//! What a batch costs to cross the boundary, through the vtable of a plugin that is linked and of one that is loaded.
//! It must not know how the boundary is made.

use divan::Bencher;
use rivet_plugin_api::{CancelToken, Relation, Scan};
use rivet_test_hostile as _;
use rivet_test_kit::linked_and_loaded;
use serde_json::json;

/// Batches of one stream.
const N_BATCHES: usize = 1000;

fn main() {
    divan::main();
}

/// A source that makes its batches without work; divide by the number of batches.
#[divan::bench(args = ["linked", "loaded"], sample_count = 20)]
fn stream_of_1000_batches(bencher: Bencher<'_, '_>, how: &str) {
    let [linked, loaded] = linked_and_loaded("rivet-test-hostile", "hostile").expect("the test plugin is built");
    let connector = if how == "linked" { linked } else { loaded };
    let (token, options) = (CancelToken::new(), json!({ "n_batches": N_BATCHES, "batch_rows": 1 }));
    let cx = token.cx();
    let relation = Relation::Table { schema: None, name: "any".to_owned() };
    let scan = Scan { max_batch_rows: 10, ..Scan::new(relation, rivet_test_hostile::columns()) };
    bencher.bench_local(|| {
        let request = json!({ "options": options, "n_sessions": 1 });
        let mut group = connector.open_group(&request, &cx).expect("it opens");
        let session = group.sessions.first_mut().expect("one session");
        let mut stream = session.scan(&scan, &cx).expect("it scans");
        let mut n = 0;
        while let Some(batch) = stream.next(&cx).expect("it reads") {
            n += batch.num_rows();
        }
        n
    });
}
