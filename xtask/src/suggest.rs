//! The nearest known word to a misspelt one.
//! It must not know what the words stand for.

/// `; did you mean 'x'?`, or nothing when no word is near.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = known.into_iter().map(|k| (strsim::osa_distance(word, k), k)).min();
    let limit = word.chars().count().div_ceil(3).max(1);
    near.filter(|(far, _)| *far <= limit).map(|(_, k)| format!("; did you mean '{k}'?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn near_words_are_offered_and_far_ones_not() {
        let known = ["postgres", "parquet", "local"];
        for (word, offer) in [
            ("postgre", "; did you mean 'postgres'?"),
            ("praquet", "; did you mean 'parquet'?"),
            ("loca", "; did you mean 'local'?"),
            ("oracle", ""),
        ] {
            assert_eq!(did_you_mean(word, known), offer, "{word}");
        }
    }
}
