//! What the keys become that say which rows and columns are read, and as what.
//! It must not test messages.

use expect_test::expect;

use super::values::{export, fields};

#[test]
fn rows_and_columns_of_an_incremental_export() {
    let export = export(
        "table: t, mode: incremental, cursor_column: at, cursor_fallback_column: made, lookback: 90s, null_cursor: include, \
         exclude: [secret], where: 'a = 1;', meta_columns: [row_hash], policies: {nan: null}, \
         columns: {amount: 'decimal(18,2)', id: {type: text, lossy: true, out_of_range: clamp}}",
    );
    expect![[r#"
        (Incremental(Incremental { key: ["at"
        "made"]
        lookback: Some(Ms(90000))
        nulls: Include })
        Except(["secret"])
        Some("a = 1")
        Choices { policies: Policies { numeric_unbounded: None
        sub_microsecond: None
        invalid_text: None
        out_of_range: None
        nan: Some(Null)
        infinity_timestamp: None
        zero_date: None
        tinyint1: None }
        columns: {"amount": ColumnChoice { logical: Some(Decimal { precision: 18
        scale: 2 })
        lossy: false
        policies: Policies { numeric_unbounded: None
        sub_microsecond: None
        invalid_text: None
        out_of_range: None
        nan: None
        infinity_timestamp: None
        zero_date: None
        tinyint1: None } }
        "id": ColumnChoice { logical: Some(Text)
        lossy: true
        policies: Policies { numeric_unbounded: None
        sub_microsecond: None
        invalid_text: None
        out_of_range: Some(Clamp)
        nan: None
        infinity_timestamp: None
        zero_date: None
        tinyint1: None } }}
        wanted: All }
        MetaColumns { exported_at: false
        row_hash: true })"#]]
    .assert_eq(&fields(&(export.mode(), export.select(), &export.condition, export.choices(), export.meta_columns)));
}
