//! A stand-in for SQL Server: its protocol, its types on the wire, and the little of its SQL and catalogue that tests ask
//! for, backed by a real PostgreSQL. What is tested against it is tested at the level of TDS, never "on SQL Server".
//! Must not know any crate of the product.

#![allow(clippy::print_stderr, reason = "what fails in a connection has nowhere else to go")]

mod answer;
mod frozen;
mod moments;
pub mod mssql;
mod rpc;
mod session;
mod shell;
mod tokens;
mod tsql;
mod types;
mod wire;
