//! Types as the catalogue knows them: domains down to their base, arrays down to their elements, enums with their labels.
//! It must not know relations, nor what becomes of a type.

use std::collections::HashMap;

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Retry};

use crate::connect::Client;
use crate::types::CatalogType;

/// Types lead from one to the next at most this often.
const MAX_DEPTH: usize = 32;
/// The first version with infinite intervals.
const INFINITE_INTERVALS_VERSION: u32 = 170_000;

/// The type of one column: identifier, modifier, dimensions declared.
#[derive(Debug, Clone)]
pub struct TypeOf {
    pub oid: u32,
    pub typmod: i32,
    pub n_dims: usize,
    /// `format_type` of them.
    pub formatted: String,
}

/// One row of `pg_type`.
struct Row {
    typtype: char,
    name: String,
    base: u32,
    base_typmod: i32,
    base_dims: usize,
    element: u32,
    labels: Vec<Vec<u8>>,
    to_wkb: Option<String>,
}

/// Everything the catalogue says about these types, in their order.
///
/// # Errors
/// The server's; `Connection` when a type is not in the catalogue.
pub fn types(client: &mut Client, of: &[TypeOf], cx: &Cx) -> Result<Vec<CatalogType>> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<String> = of.iter().map(|t| t.oid.to_string()).collect();
    let found = client.query(&sql(&oids.join(",")), cx)?;
    let rows = found.rows.into_iter().map(row).collect::<Result<HashMap<_, _>>>()?;
    let has_infinity = client.server_version_num() >= INFINITE_INTERVALS_VERSION;
    of.iter().map(|t| build(&rows, has_infinity, t.clone(), 0)).collect()
}

/// The types, and those they are made of. An array type is one that its element type names as such.
fn sql(oids: &str) -> String {
    format!(
        "WITH RECURSIVE known(oid) AS ( \
           SELECT pg_catalog.unnest('{{{oids}}}'::pg_catalog.oid[]) \
           UNION SELECT part.oid FROM known JOIN pg_catalog.pg_type t ON t.oid = known.oid \
             CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) AS part(oid) WHERE part.oid <> 0) \
         SELECT t.oid, t.typtype, t.typname, t.typbasetype, t.typtypmod, t.typndims, \
           (SELECT e.oid FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid), \
           (SELECT pg_catalog.json_agg(pg_catalog.encode(pg_catalog.convert_to(l.enumlabel::pg_catalog.text, \
                pg_catalog.current_setting('client_encoding')::pg_catalog.name), 'hex') ORDER BY l.enumsortorder) \
              FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid), \
           (SELECT pg_catalog.quote_ident(n.nspname) || '.st_asbinary' \
              FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace \
              WHERE t.typname IN ('geometry', 'geography') AND f.pronamespace = t.typnamespace \
                AND f.proname = 'st_asbinary' AND f.pronargs = 1 AND f.proargtypes[0] = t.oid \
                AND f.prorettype = 'pg_catalog.bytea'::pg_catalog.regtype) \
         FROM known JOIN pg_catalog.pg_type t ON t.oid = known.oid"
    )
}

fn row(fields: Vec<Option<String>>) -> Result<(u32, Row)> {
    let [Some(oid), Some(typtype), Some(name), Some(base), Some(typmod), Some(dims), element, labels, to_wkb] =
        <[Option<String>; 9]>::try_from(fields).map_err(|_| unexpected())?
    else {
        return Err(unexpected());
    };
    let labels: Option<Vec<String>> =
        labels.map(|json| serde_json::from_str(&json)).transpose().map_err(|_| unexpected())?;
    let labels = labels.unwrap_or_default().iter().map(|hex| bytes(hex)).collect::<Option<_>>();
    let row = Row {
        typtype: typtype.chars().next().unwrap_or('b'),
        name,
        base: number(&base)?,
        base_typmod: number(&typmod)?,
        base_dims: number(&dims)?,
        element: element.map_or(Ok(0), |oid| number(&oid))?,
        labels: labels.ok_or_else(unexpected)?,
        to_wkb,
    };
    Ok((number(&oid)?, row))
}

/// The bytes that hex digits stand for. A label need not be text in any encoding that we know.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok()).collect()
}

fn build(rows: &HashMap<u32, Row>, has_infinity: bool, t: TypeOf, depth: usize) -> Result<CatalogType> {
    let row = rows.get(&t.oid).filter(|_| depth < MAX_DEPTH).ok_or_else(unexpected)?;
    let part = |oid: u32, typmod: i32, n_dims: usize| {
        let part = || build(rows, has_infinity, TypeOf { oid, typmod, n_dims, formatted: String::new() }, depth + 1);
        (oid != 0).then(part).transpose().map(|part| part.map(Box::new))
    };
    Ok(CatalogType {
        oid: t.oid,
        typmod: t.typmod,
        typtype: row.typtype,
        name: row.name.clone(),
        formatted: t.formatted,
        base: part(row.base, row.base_typmod, row.base_dims)?,
        element: part(row.element, t.typmod, 0)?,
        n_dims: t.n_dims,
        labels: row.labels.clone(),
        has_infinity,
        to_wkb: row.to_wkb.clone(),
    })
}

/// A number in an answer of the catalogue.
///
/// # Errors
/// `Connection` when it is none.
pub fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| unexpected())
}

/// The catalogue answered in a form that no known server has.
pub fn unexpected() -> PluginError {
    PluginError::new(ErrorKind::Connection, "postgres.catalogue", "the catalogue answered in an unknown form")
        .retry(Retry::NewSession)
        .hint("is this a PostgreSQL server, with nothing in between that changes the protocol?")
}
