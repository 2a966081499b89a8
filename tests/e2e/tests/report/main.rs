//! Who is told how runs went, and what they get to see: messages to Slack, and the page of `rivet report`.
//! Must not know any crate of the product.

mod chat;
mod look;
mod page;
mod web;
