//! A table per type.
