//! How a word ends that a number stands before.
//! It must not know irregular words: a message says such a thing in another way.

/// Nothing after one, else an `s`.
pub fn s<N: PartialEq + From<u8>>(n: N) -> &'static str {
    if n == N::from(1) { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_has_no_s() {
        assert_eq!([s(0_usize), s(1_usize), s(2_usize)], ["s", "", "s"]);
        assert_eq!([s(1_u64), s(u64::MAX)], ["", "s"]);
    }
}
