//! Exit codes: the one place where a class of failure becomes a number.
//! It must not know messages. The numbers are frozen by a test.

use std::process::ExitCode;

use rivet_core::error::FailureClass;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Ok,
    /// Config or usage.
    Config,
    /// Retryable failure, budget spent.
    Retryable,
    /// Data integrity.
    Integrity,
    /// Schema drift.
    Drift,
    /// Failures of different classes.
    Several,
    /// The export is running already.
    Locked,
    /// Plugin fault.
    Plugin,
    /// Lost snapshot.
    LostSnapshot,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Config => 1,
            Self::Retryable => 2,
            Self::Integrity => 3,
            Self::Drift => 4,
            Self::Several => 5,
            Self::Locked => 6,
            Self::Plugin => 7,
            Self::LostSnapshot => 8,
            Self::Interrupted => 130,
        }
    }

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Config,
        Self::Retryable,
        Self::Integrity,
        Self::Drift,
        Self::Several,
        Self::Locked,
        Self::Plugin,
        Self::LostSnapshot,
        Self::Interrupted,
    ];

    /// What it means, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "all good",
            Self::Config => "the config, the command line, a name or a login is wrong: trying again changes nothing",
            Self::Retryable => "something outside failed and may work later; all retries are spent",
            Self::Integrity => "data is not what it must be",
            Self::Drift => "the schema changed, and `on_schema_drift` is `fail`, or it changed during the run",
            Self::Several => "several exports failed in different ways, none of which is 3, 4, 7, 8 or 130",
            Self::Locked => "the export is running already",
            Self::Plugin => "a plugin, or rivet itself, is at fault",
            Self::LostSnapshot => {
                "the snapshot that is read was lost, or older than a change of the table, again and again"
            }
            Self::Interrupted => {
                "interrupted; the next run completes it if it had passed its verdict, else keeps its finished chunks and discards the rest"
            }
        }
    }

    /// What a caller does about it, in one line.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Ok => "read the files that the manifest lists",
            Self::Config => "read the hint; `rivet doctor` probes the source and each destination",
            Self::Retryable => "run it again later; `rivet doctor` says what cannot be reached",
            Self::Integrity => "read the message: it names the table, the column and the row, or the file",
            Self::Drift => "if the change is meant, run once with `on_schema_drift: continue`",
            Self::Several => "read the message of each export",
            Self::Locked => "wait for the run that the message names",
            Self::Plugin => "report it, with what `rivet plugin list` prints",
            Self::LostSnapshot => "check what ends long transactions on the server, and who alters the table",
            Self::Interrupted => "run it again",
        }
    }

    /// As [`of`](Self::of), of the exports that were begun: an interrupt that left others out is a failure too.
    pub fn of_begun(failures: &[FailureClass], n_begun: usize, n_asked: usize) -> Self {
        let left_out = (n_begun < n_asked).then_some(FailureClass::Interrupted);
        Self::of(&failures.iter().copied().chain(left_out).collect::<Vec<_>>())
    }

    /// The exit of several exports: one class of failure has its own code, several the gravest that is present.
    pub fn of(failures: &[FailureClass]) -> Self {
        let mut classes: Vec<Self> = failures.iter().map(|c| Self::from(*c)).collect();
        classes.dedup();
        match classes.as_slice() {
            [] => Self::Ok,
            [one] => *one,
            many if many.iter().all(|c| *c == many[0]) => many[0],
            many => {
                let gravest = [Self::Interrupted, Self::Integrity, Self::LostSnapshot, Self::Drift, Self::Plugin];
                gravest.into_iter().find(|g| many.contains(g)).unwrap_or(Self::Several)
            }
        }
    }
}

/// All codes with their meanings, for help.
pub fn listed() -> String {
    let line = |exit: Exit| format!("\n  {:<4} {}", exit.code(), exit.meaning());
    format!("Exit codes:{}", Exit::ALL.map(line).concat())
}

impl From<FailureClass> for Exit {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Config => Self::Config,
            FailureClass::Retryable => Self::Retryable,
            FailureClass::Integrity => Self::Integrity,
            FailureClass::Drift => Self::Drift,
            FailureClass::Locked => Self::Locked,
            FailureClass::Plugin => Self::Plugin,
            FailureClass::LostSnapshot => Self::LostSnapshot,
            FailureClass::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureClass::{Config, Drift, Integrity, Interrupted, Locked, LostSnapshot, Plugin, Retryable};

    #[test]
    fn the_codes_are_frozen() {
        let classes = [Config, Retryable, Integrity, Drift, Locked, Plugin, LostSnapshot, Interrupted];
        let codes = classes.map(|c| Exit::of(&[c]).code());
        assert_eq!(codes, [1, 2, 3, 4, 6, 7, 8, 130]);
        assert_eq!(Exit::of(&[]).code(), 0);
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
        assert_eq!(i32::from(Exit::Retryable.code()), rivet_plugin_api::wire::heap::OUT_OF_MEMORY_EXIT);
    }

    #[test]
    fn several_failures_give_the_gravest_or_five() {
        let begun = |failures: &[FailureClass], n| Exit::of_begun(failures, n, 3).code();
        assert_eq!([begun(&[], 3), begun(&[], 2), begun(&[], 0)], [0, 130, 130], "exports that were left out");
        assert_eq!(begun(&[FailureClass::Integrity], 2), 130);
        assert_eq!(begun(&[FailureClass::Integrity], 3), 3);
        let code = |classes: &[FailureClass]| Exit::of(classes).code();
        assert_eq!(code(&[Retryable, Retryable]), 2);
        assert_eq!(code(&[Retryable, Config, Retryable]), 5);
        assert_eq!(code(&[Locked, Retryable]), 5);
        assert_eq!(code(&[Config, Integrity, LostSnapshot]), 3);
        assert_eq!(code(&[Plugin, Drift]), 4);
        assert_eq!(code(&[LostSnapshot, Drift]), 8);
        assert_eq!(code(&[Integrity, Interrupted]), 130);
        assert_eq!(code(&[Config, Plugin]), 7);
    }
}
