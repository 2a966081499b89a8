//! Servers that lie, streams that tamper, signals at any moment: how a run ends, how soon, and what it lets out.
//! Must not know any crate of the product: it sees a program, its files and what the other side was told.
//!
//! The closing measurement of signals is this test with `RIVET_SIGNAL_MOMENTS=200`: see `signals.rs`.

#![allow(clippy::print_stdout, reason = "a measurement says what it has measured")]

mod absent;
mod cases;
mod engines;
mod hostile;
mod judge;
mod signals;
mod tampered;
