//! A query as the server describes its result, without running it.
//! It must not know the catalogue.

use mysql_async::Column as Described;
use mysql_async::consts::{ColumnFlags, ColumnType};
use rivet_plugin_api::{Choices, Cx, Relation, Result};

use crate::connect::Client;
use crate::sql::from_item;
use crate::types::{CatalogType, ColumnPlan};

/// The character set of what is none: bytes.
const BINARY: u16 = 63;

/// The columns of a query. Nothing says that they cannot be NULL: an outer join describes the base column and returns
/// NULL.
///
/// # Errors
/// The server's; `Unsupported` for columns that cannot be what was chosen.
pub(super) fn describe(
    client: &mut Client,
    relation: &Relation,
    choices: &Choices,
    cx: &Cx,
) -> Result<super::Described> {
    let described = client.prepare(&format!("SELECT * FROM {} LIMIT 0", from_item(relation)), cx)?;
    let plan = |column: &Described| ColumnPlan::chosen(&column.name_str(), true, &catalog_type(column), choices);
    let columns = described.iter().map(plan).collect::<Result<Vec<_>>>()?;
    Ok(super::Described { columns, ..super::Described::default() })
}

/// What the description of a result says about the type of a column, in the words of the catalogue.
fn catalog_type(column: &Described) -> CatalogType {
    let flags = column.flags();
    let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let is_text = column.character_set() != BINARY;
    let (length, scale) = (column.column_length(), u32::from(column.decimals()));
    let kind = match column.column_type() {
        ColumnType::MYSQL_TYPE_TINY => "tinyint",
        ColumnType::MYSQL_TYPE_SHORT => "smallint",
        ColumnType::MYSQL_TYPE_INT24 => "mediumint",
        ColumnType::MYSQL_TYPE_LONG => "int",
        ColumnType::MYSQL_TYPE_LONGLONG => "bigint",
        ColumnType::MYSQL_TYPE_YEAR => "year",
        ColumnType::MYSQL_TYPE_FLOAT => "float",
        ColumnType::MYSQL_TYPE_DOUBLE => "double",
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => "decimal",
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => "date",
        ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATETIME2 => "datetime",
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => "timestamp",
        ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2 => "time",
        ColumnType::MYSQL_TYPE_BIT => "bit",
        ColumnType::MYSQL_TYPE_JSON => "json",
        ColumnType::MYSQL_TYPE_GEOMETRY => "geometry",
        // The labels are not part of a description.
        _ if flags.contains(ColumnFlags::ENUM_FLAG) => "enum",
        _ if flags.contains(ColumnFlags::SET_FLAG) => "set",
        ColumnType::MYSQL_TYPE_NULL => "null",
        _ if is_text => "text",
        _ => "blob",
    };
    let mut t = CatalogType { name: kind.to_owned(), full: kind.to_owned(), unsigned, ..CatalogType::default() };
    t.is_text = is_text || kind == "null";
    match kind {
        "decimal" => {
            // A sign and a point are part of the length.
            let precision = length.saturating_sub(u32::from(scale > 0)).saturating_sub(u32::from(!unsigned));
            (t.precision, t.scale) = (Some(precision.clamp(1, 65)), Some(scale));
            t.full = format!("decimal({},{scale})", precision.clamp(1, 65));
        }
        "bit" => (t.precision, t.full) = (Some(length), format!("bit({length})")),
        "tinyint" => t.full = format!("tinyint({length})"),
        _ => {}
    }
    if unsigned && kind != "year" {
        t.full += " unsigned";
    }
    t
}
