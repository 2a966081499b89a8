//! Runs the rivet binary as its users do, and reads what it wrote with other software.
//! Must not know any crate of the product: it sees a program, its plugin libraries and files.

mod built;
mod canary;
pub mod every_way;
pub mod hints;
mod mount;
mod output;
mod program;

pub use built::{PLUGINS, copy_plugins, library, plugin_dir, rivet, rivet_linked};
pub use canary::{CANARY, no_canary, no_secret};
pub use mount::Mount;
pub use output::{Exported, files_below, holds};
pub use program::{Ran, Workspace, finish, finish_within};
