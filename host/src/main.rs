//! The `rivet` binary: the library with the plugins of its features.
//! It must not know anything else.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rivet::main(0)
}
