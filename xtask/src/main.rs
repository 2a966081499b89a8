//! Every chore of the repository: `cargo xtask <chore>`.
//! It must not know the product beyond the names of its packages and features.

mod build;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <chore>

  demo [ARGS…]               build, then export a built-in sample through loaded plugins
  test [--no-servers] [-- FILTER…]
                             format, lints, tidy, build, then all tests
  ci                         what CI runs: test, then a slim binary that does an export
  tidy                       dependency edges, budgets, unsafe, banned words
  plugins                    build the plugin libraries into target/plugins
  services run [ARGS…]       start a test server in the foreground and print its address
  services install           install everything the test servers need
  slim --with A,B,… [--out FILE]
                             one release binary with just these plugins linked in
  dist                       release host and plugins in target/dist
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((chore, rest)) = arguments.split_first() else {
        eprint!("{HELP}");
        return ExitCode::FAILURE;
    };
    let result = match chore.as_str() {
        "demo" => build::demo(rest),
        "test" => test::test(rest),
        "ci" => test::ci(),
        "tidy" => tidy::tidy(),
        "plugins" => build::plugins().map(|dir| println!("{}", dir.display())),
        "services" => test::services(rest),
        "slim" => build::slim_command(rest),
        "dist" => build::dist(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(anyhow::anyhow!("there is no chore '{other}'; `cargo xtask help` lists them")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
