//! The plugin against real databases, made here and read through its traits; the sqlite3 tool is the oracle.
//! It must not know the plugin's inside.

mod connecting;
mod cutting;
mod describing;
mod ends;
mod fixture;
mod keys;
mod splitting;
mod streaming;
mod values;
