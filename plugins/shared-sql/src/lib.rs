//! What sources of SQL engines share: filters as conditions, names in quotes, splits along a key, columns that must be as they
//! were planned.
//! It must not know any engine: how one writes a value is told.

#![forbid(unsafe_code)]

mod conditions;
pub mod ewkb;
pub mod hint;
mod keys;
mod planned;
mod refusal;
mod rows;
mod suggest;

pub use conditions::{Conditions, between, identifier, key_sql, range_sql};
pub use keys::{Calendar, Dialect, Key, KeyAnswers, KeyRows, Share, alias, along, within};
pub use planned::as_planned;
pub use refusal::No;
pub use rows::{Rows, from_item};
pub use suggest::nearest;
