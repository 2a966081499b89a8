//! Keys of a table, and the columns that a cursor could go by: what constraints, indexes, defaults and triggers say.
//! It must not know data, nor what is made of a column.

use rivet_plugin_api::{Column, CursorColumn, Cx, LogicalType, Result, SetOn};

use crate::catalogue::unexpected;
use crate::connect::Client;

/// Keys whose columns are never NULL, the primary key first, and whether it is one of them.
///
/// # Errors
/// The server's.
pub fn keys(client: &mut Client, table_oid: u32, columns: &[Column], cx: &Cx) -> Result<(Vec<Vec<String>>, bool)> {
    let (mut keys, mut has_primary_key): (Vec<Vec<String>>, _) = (Vec::new(), false);
    for row in client.query(&keys_sql(table_oid), cx)?.rows {
        let [Some(names), Some(is_primary)] = row.as_slice() else { return Err(unexpected()) };
        let key: Vec<String> = serde_json::from_str(names).map_err(|_| unexpected())?;
        let never_null = |name: &String| columns.iter().any(|c| c.name == *name && !c.nullable);
        if key.iter().all(never_null) && !keys.contains(&key) {
            has_primary_key |= is_primary == "t";
            keys.push(key);
        }
    }
    Ok((keys, has_primary_key))
}

/// Moments and days, and whole numbers that a sequence gives or that are the primary key.
///
/// # Errors
/// The server's.
pub fn cursors(client: &mut Client, table_oid: u32, columns: &[Column], cx: &Cx) -> Result<Vec<CursorColumn>> {
    let mut cursors = Vec::new();
    for row in client.query(&cursors_sql(table_oid), cx)?.rows {
        let [Some(name), Some(indexed), Some(by_default), Some(by_trigger), Some(is_key)] = row.as_slice() else {
            return Err(unexpected());
        };
        let is = |said: &String| said == "t";
        let Some(column) = columns.iter().find(|c| c.name == *name) else { continue };
        let grows = match column.logical {
            LogicalType::Timestamp { .. } | LogicalType::Date => true,
            LogicalType::Int { .. } => is(by_default) || is(is_key),
            _ => false,
        };
        if grows {
            let set_on = match (is(by_trigger), is(by_default)) {
                (true, _) => SetOn::Change,
                (false, true) => SetOn::Insert,
                (false, false) => SetOn::Unknown,
            };
            cursors.push(CursorColumn { indexed: is(indexed), set_on, ..CursorColumn::new(name) });
        }
    }
    Ok(cursors)
}

/// Unique indexes that hold for every row. A constraint that is checked at the end of a transaction holds for what is
/// committed, which is all that is read.
fn keys_sql(table_oid: u32) -> String {
    format!(
        "SELECT pg_catalog.json_agg(a.attname::pg_catalog.text ORDER BY k.place), i.indisprimary \
         FROM pg_catalog.pg_index i \
         CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, place) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
         WHERE i.indrelid = {table_oid} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
           AND i.indexprs IS NULL AND k.place <= i.indnkeyatts \
         GROUP BY i.indexrelid, i.indisprimary ORDER BY i.indisprimary DESC, i.indexrelid"
    )
}

/// Name; whether an index of all rows begins with it, whether the clock or a sequence gives its value by default, whether a
/// trigger seems to give it anew on each update, and whether it alone is the primary key. The index of a parent of plain
/// inheritance does not have the rows of its children.
fn cursors_sql(table_oid: u32) -> String {
    const CLOCK: &str =
        r"\m(now|(clock|statement|transaction)_timestamp)\(|\m(CURRENT_(TIMESTAMP|DATE)|LOCALTIMESTAMP)\M";
    format!(
        "SELECT a.attname, \
           EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
             JOIN pg_catalog.pg_am m ON m.oid = x.relam \
             WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum \
               AND m.amname = 'btree' AND NOT (c.relkind = 'r' AND c.relhassubclass)), \
           a.attidentity <> '' OR (a.attgenerated = '' AND coalesce( \
             pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ E'^nextval\\\\(|{clock}', false)), \
           EXISTS (SELECT FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
             WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 19 = 19 \
               AND (pg_catalog.lower(p.prosrc) ~ ('\\mnew\\.\"?' || pg_catalog.regexp_replace( \
                      pg_catalog.lower(a.attname::pg_catalog.text), '(\\W)', '\\\\\\1', 'g') || '\"?\\s*:?=') \
                 OR pg_catalog.encode(t.tgargs, 'escape') = a.attname::pg_catalog.text || '\\000')), \
           EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary \
             AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
         WHERE c.oid = {table_oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        clock = CLOCK.replace('\\', r"\\")
    )
}
