//! A server that is there and falls silent in the midst of a statement.
//! Must not know where it does. First of all by name, so that its waiting goes on beside everything else.

use anyhow::Result;

#[test]
fn who_falls_silent_is_given_up_in_time() -> Result<()> {
    crate::tampered::silent()
}
