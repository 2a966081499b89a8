//! What the server's error numbers mean: kind, whether to try again, and what to do.
//! It must not know what was being read, nor texts of errors.

use rivet_plugin_api::{ErrorKind, Retry};

/// Severity from which the server ends the connection.
const FATAL_CLASS: u8 = 20;
/// Severity from which the server lacks something.
const RESOURCE_CLASS: u8 = 17;

/// Kind, retry and least pause (ms) of an error (SQL Server documentation, "Database engine errors").
pub fn classify(number: u32, class: u8) -> (ErrorKind, Retry, u64) {
    match number {
        // Logins, and what a login may do.
        18_450..=18_489 | 229 | 230 | 262 | 297 | 300 | 371 | 916 | 6_004 | 15_247 => {
            (ErrorKind::Auth, Retry::Never, 0)
        }
        4_060 | 4_063 | 4_064 | 911 | 207 | 208 | 2_812 | 4_104 | 15_009 => (ErrorKind::NotFound, Retry::Never, 0),
        // The victim of a deadlock, and of changes that a snapshot cannot show.
        1_205 | 3_960 | 3_961 | 3_958 | 3_966 => (ErrorKind::Conflict, Retry::NewSession, 1_000),
        1_222 => (ErrorKind::Timeout, Retry::NewSession, 1_000),
        596 | 6_104 | 6_106 => (ErrorKind::Conflict, Retry::NewSession, 0),
        // Memory, disk, sessions, the version store; then what a cloud allows.
        701
        | 802
        | 1_101
        | 1_105
        | 3_959
        | 3_967
        | 8_645
        | 8_651
        | 8_657
        | 9_002
        | 10_928
        | 10_929
        | 17_809
        | 40_501
        | 40_544
        | 40_549
        | 40_550
        | 40_551
        | 40_552
        | 40_553
        | 49_918..=49_920 => (ErrorKind::Capacity, Retry::NewSession, 15_000),
        // A database that is not there now: it starts, recovers, fails over or moves.
        233 | 904 | 921 | 922 | 927 | 942 | 945 | 952 | 983 | 4_221 | 6_005 | 6_006 | 10_053 | 10_054 | 10_060
        | 40_143 | 40_197 | 40_540 | 40_613 | 42_108 | 42_109 => (ErrorKind::Connection, Retry::NewSession, 1_000),
        // Values that do not convert, divide or fit; damaged pages.
        220 | 232 | 236 | 241 | 242 | 244 | 245 | 248 | 295 | 296 | 517 | 535 | 2_628 | 3_621 | 6_522 | 8_114
        | 8_115 | 8_134 | 8_152 | 8_169 | 9_420 | 601 | 605 | 823 | 824 | 825 => (ErrorKind::Data, Retry::Never, 0),
        3_952 => (ErrorKind::Unsupported, Retry::Never, 0),
        _ if class >= FATAL_CLASS => (ErrorKind::Connection, Retry::NewSession, 0),
        _ if class >= RESOURCE_CLASS => (ErrorKind::Capacity, Retry::NewSession, 15_000),
        _ => (ErrorKind::Config, Retry::Never, 0),
    }
}

/// What to do about an error.
pub fn hint(number: u32, kind: ErrorKind) -> &'static str {
    match number {
        18_456 => "check user and password; the server's log says which of them it was",
        18_470 | 18_486 => "the login is disabled or locked: ask who administers the server",
        18_487 | 18_488 => "the password has expired: set another one",
        18_450..=18_489 => "the server takes no such login: a SQL login is needed, and mixed mode on the server",
        4_060 | 4_063 | 4_064 | 911 => "check the database's name, and that the login may use it",
        916 => "the login has no user in that database: create one",
        207 | 208 | 2_812 | 4_104 => "check the spelling, and name the schema",
        229 | 230 | 262 | 297 | 300 | 371 => "grant the login the right to read this",
        1_205 => "others change the same rows: allow snapshot isolation in the database, so that readers lock nothing",
        1_222 => "something holds a lock on the table: wait, or raise `lock_timeout_s`",
        3_960 | 3_961 | 3_958 => "the schema changed while it was read: run the export again",
        3_966 | 3_959 | 3_967 => "tempdb has no room for the versions of rows that changed meanwhile: enlarge it",
        596 | 6_104 | 6_106 => "somebody ended the session on the server: ask who did, then run it again",
        156 | 1_033 | 319 => {
            "a query that begins with WITH, or ends in ORDER BY, cannot be read as a part of another one: write \
             `${rivet.filter}` where its WHERE belongs"
        }
        8_155 | 8_156 => "give each column of the query a name of its own with AS",
        102 | 105 | 170 => "check the query's text",
        601 | 605 | 823 | 824 | 825 => "the server met damage: look into its log, and run DBCC CHECKDB",
        6_522 => "a method of a CLR type failed: look at the values, or leave the column out",
        3_952 => "the database does not allow snapshot isolation",
        _ => match kind {
            ErrorKind::Auth => "check the login and what it is granted",
            ErrorKind::Capacity => "the server is short of memory, disk or sessions: look into its log",
            ErrorKind::Connection => "the database is not available now: look into the server's log, then run it again",
            ErrorKind::Data => "change the query so that it does not meet this value",
            ErrorKind::Conflict => "others change the same rows: run it again at a quieter time",
            _ => "check the query and the source's options",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_class() {
        for (number, class, kind, retry) in [
            (18_456, 14, ErrorKind::Auth, Retry::Never),
            (4_060, 11, ErrorKind::NotFound, Retry::Never),
            (208, 16, ErrorKind::NotFound, Retry::Never),
            (229, 14, ErrorKind::Auth, Retry::Never),
            (1_205, 13, ErrorKind::Conflict, Retry::NewSession),
            (1_222, 16, ErrorKind::Timeout, Retry::NewSession),
            (8_134, 16, ErrorKind::Data, Retry::Never),
            (40_613, 17, ErrorKind::Connection, Retry::NewSession),
            (12_345, 21, ErrorKind::Connection, Retry::NewSession),
            (12_345, 17, ErrorKind::Capacity, Retry::NewSession),
            (50_000, 16, ErrorKind::Config, Retry::Never),
        ] {
            let (found, again, _) = classify(number, class);
            assert_eq!((found, again), (kind, retry), "{number}");
            assert!(!hint(number, found).is_empty());
        }
    }
}
