//! One file per command.
//! It must not know how an export is run.

pub mod demo;
pub mod plugin;
pub mod run;
