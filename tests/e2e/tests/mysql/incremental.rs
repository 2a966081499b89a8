//! Mode incremental: cursors of every type, ties at the boundary, nothing lost and nothing doubled.
//! Must not know any crate of the product.

use anyhow::{Context, Result};
use rivet_test_e2e::Exported;
use serde_json::json;

use crate::{servers, workspace};

/// The cursor's type, its value for the n-th moment.
const CURSORS: [(&str, &str); 8] = [
    ("int", "@"),
    ("bigint unsigned", "18446744073709551000 + @"),
    ("decimal(30,10)", "@ + 0.0000000001"),
    ("date", "'2024-01-01' + interval @ day"),
    ("datetime(6)", "cast('2024-01-01 00:00:00.000001' as datetime(6)) + interval @ microsecond"),
    ("timestamp(3) null", "cast('2024-01-01 00:00:00.5' as datetime(3)) + interval @ second"),
    ("varchar(20)", "concat('k', lpad(@, 5, '0'))"),
    ("varchar(20) collate utf8mb4_bin", "concat('K', lpad(@, 5, '0'))"),
];

#[test]
fn rows_at_the_boundary_come_once() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("cursor")?;
        let url = server.url(&database);
        for (n, (sql_type, value)) in CURSORS.into_iter().enumerate() {
            let insert = |id: u32, at: u32| {
                let value = value.replace('@', &at.to_string());
                format!("insert into t{n} values ({id}, {value});")
            };
            server.sql(
                &database,
                &format!(
                    "create table t{n} (id int primary key, c {sql_type}, index (c)); {}{}{}",
                    insert(1, 1),
                    insert(2, 2),
                    insert(3, 2)
                ),
            )?;
            let place = workspace(&url, &format!("mode: incremental\ntable: t{n}\ncursor_column: c"))?;
            let mut ids = Vec::new();
            for (step, more) in
                [String::new(), insert(4, 2) + &insert(5, 3), insert(6, 3), String::new()].into_iter().enumerate()
            {
                server.sql(&database, &more)?;
                place.run()?.expect(0).with_context(|| format!("{sql_type}, run {step}"))?;
                let read = Exported::read(&place.path().join("out"))?;
                if step < 3 {
                    let rows = read.rows("string_agg(id::varchar, ',' order by id) s", "")?;
                    ids.push(rows[0]["s"].clone());
                }
            }
            assert_eq!(ids, [json!("1,2,3"), json!("4,5"), json!("6")], "{sql_type}");
        }
    }
    Ok(())
}
