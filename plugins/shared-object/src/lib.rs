//! What destinations in object stores share: parts under staged keys, published by a copy within the store.
//! It must not know which store it is, nor where its credentials come from: both are told.
#![forbid(unsafe_code)]

mod answer;
mod checksum;
mod credentials;
mod document;
mod endpoint;
mod environment;
mod error;
mod leftovers;
mod names;
mod publish;
mod read;
mod runtime;
mod sign;
mod store;
mod talk;
mod upload;

pub use answer::Answer;
pub use credentials::{Candidate, Candidates, Provider, context};
pub use endpoint::{Consent, endpoint};
pub use environment::{found, pair, variable};
pub use error::Refused;
pub use leftovers::OpenUploads;
pub use names::root;
pub use publish::PublishMode;
pub use runtime::Talks;
pub use store::{ObjectStore, Target, capabilities};
