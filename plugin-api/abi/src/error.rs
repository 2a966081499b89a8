//! The structured error that crosses the boundary field by field.
//! It must not know how a host retries: it carries the instruction, it does not carry it out.

use abi_stable::{
    StableAbi,
    std_types::{RResult, RString, RVec, Tuple2},
};

/// What went wrong, as an open enumeration: an unknown value reads as `INTERNAL`.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorKind(pub u32);

impl ErrorKind {
    /// An option is missing, malformed or contradicts another.
    pub const CONFIG: Self = Self(1);
    /// Login, permission or credentials refused.
    pub const AUTH: Self = Self(2);
    /// A table, column, file, bucket or host name does not exist.
    pub const NOT_FOUND: Self = Self(3);
    /// The engine or plugin cannot do this.
    pub const UNSUPPORTED: Self = Self(4);
    /// The connection could not be made or was lost.
    pub const CONNECTION: Self = Self(5);
    /// A time limit elapsed.
    pub const TIMEOUT: Self = Self(6);
    /// The other side is full or overloaded.
    pub const CAPACITY: Self = Self(7);
    /// Deadlock, serialization failure, or an object that exists already.
    pub const CONFLICT: Self = Self(8);
    /// The relation is not what was described.
    pub const SCHEMA: Self = Self(9);
    /// A value has no exact place in the column's type.
    pub const DATA: Self = Self(10);
    /// Reading or writing a file or stream failed.
    pub const IO: Self = Self(11);
    /// The host cancelled the call.
    pub const CANCELLED: Self = Self(12);
    /// The plugin panicked; its instance is poisoned.
    pub const PANICKED: Self = Self(13);
    /// A defect in plugin or host.
    pub const INTERNAL: Self = Self(14);
}

/// What the host should do about it, as an open enumeration: an unknown value reads as `NEVER`.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry(pub u32);

impl Retry {
    /// Trying again cannot help.
    pub const NEVER: Self = Self(0);
    /// Roll back and try again in the same session.
    pub const SAME_SESSION: Self = Self(1);
    /// Drop the session and try again in a new one.
    pub const NEW_SESSION: Self = Self(2);
    /// Try again with a smaller split.
    pub const SMALLER_SPLIT: Self = Self(3);
}

/// An error, by value. It never changes shape: new facts go into `details`.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct AbiError {
    /// Category.
    pub kind: ErrorKind,
    /// Instruction to the host.
    pub retry: Retry,
    /// Least time to wait before a retry, ms; 0 = the host's own backoff.
    pub retry_after_ms: u64,
    /// The engine's own number, 0 when it has none.
    pub vendor_code: i64,
    /// SQLSTATE, five ASCII characters, or zeros.
    pub sqlstate: [u8; 5],
    /// Stable dotted code, such as `postgres.auth`.
    pub code: RString,
    /// One sentence without a full stop.
    pub message: RString,
    /// Context by name: `hint`, `table`, `column`, `row`, `cause` and whatever comes later.
    pub details: RVec<Tuple2<RString, RString>>,
}

/// Result of every fallible function of the ABI.
pub type AbiResult<T> = RResult<T, AbiError>;
