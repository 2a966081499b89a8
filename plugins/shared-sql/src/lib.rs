//! What sources of SQL engines share: filters as conditions, names in quotes, columns that must be as they were planned.
//! It must not know any engine: how one writes a value is told.

#![forbid(unsafe_code)]

mod conditions;
mod planned;

pub use conditions::{Conditions, between, identifier, key_sql};
pub use planned::as_planned;
