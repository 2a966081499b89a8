//! The nearest known word to a misspelt one.
//! It must not know what the words stand for.

/// `; did you mean 'x'?`, or nothing when no word is near.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = known.into_iter().map(|k| (distance(word, k), k)).min();
    let limit = word.chars().count().div_ceil(3).max(1);
    near.filter(|(far, _)| *far <= limit).map(|(_, k)| format!("; did you mean '{k}'?")).unwrap_or_default()
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
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
