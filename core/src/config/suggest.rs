//! "Did you mean": the known word nearest to an unknown one.
//! It must not know where words come from.

/// The nearest of `known`, if it is near enough to be what was meant.
fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A transposed pair is one slip of the fingers, so the distance counts it as one.
    let most = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), k), k))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// The hint that goes with the nearest of `known`, if it is near enough to be what was meant.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    // Long words are no slips; comparing them would only take time.
    if word.len() > 64 {
        return None;
    }
    nearest(word, known).map(|k| format!("did you mean '{k}'?"))
}

/// `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.as_slice() {
        [firsts @ .., last] if !firsts.is_empty() => format!("{} or {last}", firsts.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["format", "name", "url", "url_env", "table", "mode"];
        let cases = [
            ("formatt", Some("format")),
            ("fromat", Some("format")),
            ("Format", Some("format")),
            ("ulr", Some("url")),
            ("url_evn", Some("url_env")),
            ("tables", Some("table")),
            ("x", None),
            ("quality", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
