//! What happens to a value that has no exact place: the run stops, or something stands for it and is counted.
//! It must not know the layout of any type.

use rivet_plugin_api::{InvalidText, Nan, OutOfRange, Policies};

use super::fault::Fault;

/// A policy that can change values, as messages and counts call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    InvalidText,
    Nan,
    InfinityTimestamp,
    OutOfRange,
}

impl Policy {
    const ALL: [(Self, &str); 4] = [
        (Self::InvalidText, "invalid_text"),
        (Self::Nan, "nan"),
        (Self::InfinityTimestamp, "infinity_timestamp"),
        (Self::OutOfRange, "out_of_range"),
    ];
}

/// How often each policy changed a value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hits([u64; Policy::ALL.len()]);

impl Hits {
    /// Counts `n` values.
    pub(super) fn add(&mut self, policy: Policy, n: u64) {
        self.0[policy as usize] += n;
    }

    /// The policies that changed a value, by name.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Policy::ALL.iter().map(|(policy, name)| (*name, self.0[*policy as usize])).filter(|(_, n)| *n > 0)
    }
}

/// What stands for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Substitute {
    /// NULL.
    Null(Policy),
    /// The nearest value that the column holds.
    Nearest(Policy),
}

/// What stands for a value with this fault; none when the run stops.
pub(super) fn substitute(fault: Fault, policies: &Policies) -> Option<Substitute> {
    let range = |policy, choice: Option<OutOfRange>| match choice {
        Some(OutOfRange::Null) => Some(Substitute::Null(policy)),
        Some(OutOfRange::Clamp) => Some(Substitute::Nearest(policy)),
        Some(OutOfRange::Error) | None => None,
    };
    match fault {
        Fault::NotANumber | Fault::InfiniteNumber => {
            (policies.nan == Some(Nan::Null)).then_some(Substitute::Null(Policy::Nan))
        }
        Fault::NotUtf8 => replaces_text(policies).then_some(Substitute::Nearest(Policy::InvalidText)),
        Fault::InfiniteTime => range(Policy::InfinityTimestamp, policies.infinity_timestamp),
        Fault::TimeOverflow | Fault::EndOfDay | Fault::TooManyDigits | Fault::OutOfRange => {
            range(Policy::OutOfRange, policies.out_of_range)
        }
        _ => None,
    }
}

/// Whether U+FFFD stands for what cannot be read.
pub(super) fn replaces_text(policies: &Policies) -> bool {
    policies.invalid_text == Some(InvalidText::Replace)
}
