//! Sizes and durations: whole numbers with a unit.
//! It must not know which key they are for.

/// Bytes of one MiB, the unit of keys that end in `_mb`.
pub(super) const MIB: u64 = 1 << 20;

const BYTES: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const MILLISECONDS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What a number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes; a plain number counts so many bytes each.
    Bytes(u64),
    /// Milliseconds; a plain number counts so many ms each.
    Ms(u64),
}

impl Unit {
    /// What is called so in the schema of a key.
    pub(super) fn called(name: &str) -> Option<Self> {
        Some(match name {
            "bytes" => Self::Bytes(1),
            "MiB" => Self::Bytes(MIB),
            "ms" => Self::Ms(1),
            "s" => Self::Ms(1000),
            _ => return None,
        })
    }

    /// What a plain number counts, in bytes or ms.
    pub(super) fn each(self) -> u64 {
        let (Self::Bytes(each) | Self::Ms(each)) = self;
        each
    }

    /// What belongs there, for messages.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Bytes(1) => "a whole number of bytes, or a size such as 256MB or 1GiB".to_owned(),
            Self::Bytes(_) => "a whole number of MiB, or a size such as 256MB or 1GiB".to_owned(),
            Self::Ms(1) => "a whole number of milliseconds, or a time such as 500ms or 5m".to_owned(),
            Self::Ms(_) => "a whole number of seconds, or a time such as 30s or 5m".to_owned(),
        }
    }

    /// What a plain number counts.
    pub(super) fn plain_name(self) -> &'static str {
        match self {
            Self::Bytes(1) => "bytes",
            Self::Bytes(_) => "MiB",
            Self::Ms(1) => "ms",
            Self::Ms(_) => "s",
        }
    }

    /// A plain number in bytes or ms; `None` when it is too large for any use.
    pub(super) fn plain(self, n: u64) -> Option<u64> {
        n.checked_mul(self.each())
    }

    /// A number with or without a unit, in bytes or ms.
    pub(super) fn parse(self, text: &str) -> Option<u64> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let n: u64 = text[..end].parse().ok()?;
        let unit = text[end..].trim_start();
        if unit.is_empty() {
            return self.plain(n);
        }
        let units = match self {
            Self::Bytes(_) => BYTES.as_slice(),
            Self::Ms(_) => MILLISECONDS.as_slice(),
        };
        let each = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1;
        n.checked_mul(each)
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn sizes_and_times_take_units() {
        let cases = [
            (Unit::Bytes(1), "1000", Some(1000)),
            (Unit::Bytes(1), "256MB", Some(256_000_000)),
            (Unit::Bytes(1), "256 mb", Some(256_000_000)),
            (Unit::Bytes(1), "1GiB", Some(1 << 30)),
            (Unit::Bytes(1 << 20), "64", Some(64 << 20)),
            (Unit::Bytes(1 << 20), "64MB", Some(64_000_000)),
            (Unit::Ms(1), "500", Some(500)),
            (Unit::Ms(1000), "5", Some(5000)),
            (Unit::Ms(1000), "5m", Some(300_000)),
            (Unit::Ms(1000), "250ms", Some(250)),
            (Unit::Ms(1), "1h", Some(3_600_000)),
            (Unit::Ms(1), "5MB", None),
            (Unit::Bytes(1), "5m", None),
            (Unit::Bytes(1), "", None),
            (Unit::Bytes(1), "MB", None),
            (Unit::Bytes(1), "-1", None),
            (Unit::Bytes(1), "1.5GB", None),
            (Unit::Bytes(1), "99999999999999999999", None),
            (Unit::Bytes(1), "18446744073709551615KB", None),
        ];
        for (unit, text, expected) in cases {
            assert_eq!(unit.parse(text), expected, "{unit:?} {text}");
        }
    }
}
