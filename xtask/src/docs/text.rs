//! Markdown: tables, escapes, and where two texts part.
//! It must not know what is written.

use serde_json::Value;

/// A table; empty when it has no rows.
pub fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.join(" | "));
    let rows: String = rows.into_iter().map(|cells| line(cells.map(|cell| one_line(&cell)))).collect();
    if rows.is_empty() {
        return rows;
    }
    format!("{}|{}\n{rows}\n", line(heads.map(str::to_owned)), "---|".repeat(N))
}

/// Text in one line that does not end a cell.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// What stands in backticks.
pub fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// The text of a JSON value: of a string what it says, of anything else its JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A doc comment without its links into the code: `[`A`](b)` is `A`, and a group of nothing but links is left out.
pub fn prose(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(from) = text.find(" ([`") {
        let Some(length) = text[from..].find("`])") else { break };
        text.replace_range(from..from + length + 3, "");
    }
    let mut rest = text.as_str();
    let mut plain = String::new();
    while let Some(from) = rest.find("[`") {
        plain.push_str(&rest[..from]);
        let Some(length) = rest[from..].find("`]") else { break };
        plain.push_str(&rest[from + 1..=from + length]);
        rest = &rest[from + length + 2..];
        if rest.starts_with('(') {
            rest = rest.split_once(')').map_or("", |(_, after)| after);
        }
    }
    plain + rest
}

/// A sentence with its full stop.
pub fn sentence(text: &str) -> String {
    let text = prose(text);
    if text.is_empty() || text.ends_with(['.', ':', '!']) { text } else { text + "." }
}

/// The first line in which two texts differ, as `line: what there is instead of what`.
pub fn difference(there: &str, wanted: &str) -> Option<String> {
    if there == wanted {
        return None;
    }
    if there.is_empty() {
        return Some(" is missing".to_owned());
    }
    let (mut a, mut b) = (there.lines(), wanted.lines());
    for line in 1.. {
        match (a.next(), b.next()) {
            (Some(one), Some(other)) if one == other => {}
            (None, None) => return Some(format!("{line}: the ends differ")),
            (one, other) => {
                let shown = |text: Option<&str>| text.map_or_else(|| "the end".to_owned(), |t| format!("{t:?}"));
                return Some(format!("{line}: {} instead of {}", shown(one), shown(other)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_into_the_code_are_left_out() {
        for (doc, shown) in [
            ("Reads [`A`](crate::a) and\n[`B`].", "Reads `A` and `B`."),
            ("Piece by piece ([`ReadMode::Fetch`]).", "Piece by piece."),
            ("By key ([`A`], [`B`]), always", "By key, always"),
            ("Version: 1 ([`V`]).", "Version: 1."),
            ("A [list], as `x`.", "A [list], as `x`."),
        ] {
            assert_eq!(prose(doc), shown);
        }
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("", "a\n").as_deref(), Some(" is missing"));
        assert_eq!(difference("a\nb\n", "a\nc\n").as_deref(), Some("2: \"b\" instead of \"c\""));
        assert_eq!(difference("a\n", "a\nc\n").as_deref(), Some("2: the end instead of \"c\""));
        assert_eq!(difference("a", "a\n").as_deref(), Some("2: the ends differ"));
    }

    #[test]
    fn a_cell_is_one_line_and_ends_where_it_should() {
        let made = table(["A", "B"], [["a\nb".to_owned(), "c|d".to_owned()]]);
        assert_eq!(made, "| A | B |\n|---|---|\n| a b | c\\|d |\n\n");
        assert_eq!(table(["A"], []), "");
    }
}
