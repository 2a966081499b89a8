//! All that this process writes to stdout and stderr: texts made of lines, and the two streams that take nothing else.
//! It must not know what is said.

mod outside;
pub mod secrets;
pub mod status;
pub mod streams;
pub mod table;
mod text;

pub use outside::{bounded, shown};
pub use streams::Streams;
pub use text::{Colour, Text, colours};
