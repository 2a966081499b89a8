//! PostgreSQL as a source.
//! placeholder
#![forbid(unsafe_code)]

pub mod decode;
pub mod types;
