//! What is allowed for a while, by name and with a reason: a list that may only shrink.
//! It must not know what a rule is about.

use std::collections::BTreeMap;

use super::{EXCEPTIONS, Violation};

/// A line of the list: `rule path amount reason…`, or `rule path::item amount reason…`.
struct Exception<'a> {
    line: usize,
    place: &'a str,
    amount: usize,
}

/// Takes away what the list allows. What has grown beyond its entry stays; an entry that allows more than there is, and
/// a line that is no entry, is a violation itself.
pub fn apply(found: Vec<Violation>, list: &str) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let mut allowed = BTreeMap::new();
    for (i, line) in list.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
        match parse(i + 1, line) {
            Some((rule, exception)) => drop(allowed.insert((rule.to_owned(), exception.place.to_owned()), exception)),
            None => {
                let advice = "write `rule path amount reason`, or `rule path::item amount reason`";
                wrong.push(Violation::new(EXCEPTIONS, i + 1, "exception", advice));
            }
        }
    }
    let mut places: BTreeMap<_, Vec<Violation>> = BTreeMap::new();
    for violation in found {
        let place = match violation.item.as_str() {
            "" => violation.path.clone(),
            item => format!("{}::{item}", violation.path),
        };
        places.entry((violation.rule.to_owned(), place)).or_default().push(violation);
    }
    for (key, violations) in places {
        let amount: usize = violations.iter().map(|v| v.amount).sum();
        match allowed.remove(&key) {
            Some(exception) if amount == exception.amount => {}
            Some(exception) if amount < exception.amount => {
                let advice = format!("{} {} is down to {amount}: lower the entry", key.0, key.1);
                wrong.push(Violation::new(EXCEPTIONS, exception.line, "exception", advice));
            }
            _ => wrong.extend(violations),
        }
    }
    wrong.extend(allowed.into_iter().map(|((rule, place), exception)| {
        let advice = format!("{rule} {place} needs no exception any more: remove the entry");
        Violation::new(EXCEPTIONS, exception.line, "exception", advice)
    }));
    wrong
}

fn parse(line: usize, text: &str) -> Option<(&str, Exception<'_>)> {
    let mut words = text.split_whitespace();
    let (rule, place, amount) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    words.next()?;
    Some((rule, Exception { line, place, amount }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(item: &str, amount: usize) -> Violation {
        Violation { item: item.into(), amount, ..Violation::new("a.rs", 7, "function-length", "split it") }
    }

    #[test]
    fn an_entry_allows_exactly_what_it_says() {
        let list = "# why\nfunction-length a.rs::f 90 a table of types\n";
        for (found, left) in [
            (vec![long("f", 90)], vec![]),
            (vec![long("f", 91)], vec!["a.rs:7: function-length: split it"]),
            (vec![long("f", 90), long("g", 90)], vec!["a.rs:7: function-length: split it"]),
            (
                vec![long("f", 85)],
                vec!["xtask/tidy-exceptions.txt:2: exception: function-length a.rs::f is down to 85: lower the entry"],
            ),
            (
                vec![],
                vec![
                    "xtask/tidy-exceptions.txt:2: exception: function-length a.rs::f needs no exception any more: remove the entry",
                ],
            ),
        ] {
            let texts: Vec<_> = apply(found.clone(), list).iter().map(ToString::to_string).collect();
            assert_eq!(texts, left, "{found:?}");
        }
    }

    #[test]
    fn occurrences_of_a_file_are_counted_and_a_reason_is_needed() {
        let word = || Violation::new("b.rs", 1, "word", "say it otherwise");
        assert_eq!(apply(vec![word(), word()], "word b.rs 2 quoted from the standard"), []);
        let left = apply(vec![word(), word()], "word b.rs 2");
        assert_eq!(left.iter().map(|v| v.rule).collect::<Vec<_>>(), ["exception", "word", "word"]);
    }
}
