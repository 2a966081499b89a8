//! A text for people or machines, built line by line.
//! It must not know what is said. A line is one whatever is in it: see `outside`.

use std::fmt::Display;
use std::io::IsTerminal;

use serde::Serialize;

use super::outside::{json, shown};
use super::status::is_dumb;
use super::streams::stdout_is_terminal;

/// A colour of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// What failed.
    Red,
    /// What went well.
    Green,
    /// What deserves a look.
    Yellow,
    /// What leads on.
    Bold,
}

/// Lines that can be written as they are.
#[derive(Debug, Clone, Default)]
pub struct Text {
    text: String,
    coloured: bool,
    /// Each line is JSON, or all of them are.
    is_json: bool,
}

impl Text {
    /// Nothing yet, for stdout.
    pub fn for_stdout() -> Self {
        Self { coloured: colours(stdout_is_terminal()), ..Self::default() }
    }

    /// Nothing yet, for stderr.
    pub fn for_stderr() -> Self {
        Self { coloured: colours(std::io::stderr().is_terminal()), ..Self::default() }
    }

    /// Lines with nothing in them that came from outside, such as what clap makes of our own definitions.
    pub fn ours(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// JSON on a line of its own, keys in the order of the type.
    pub fn json(value: &impl Serialize) -> Self {
        serde_json::to_string(value).map_or_else(|_| Self::default(), Self::of_json)
    }

    /// A line that is JSON already.
    pub fn json_line(&mut self, line: &str) {
        self.is_json |= self.text.is_empty();
        self.text.push_str(&json(line).replace('\n', " "));
        self.text.push('\n');
    }

    /// JSON for people.
    pub fn pretty_json(value: &impl Serialize) -> Self {
        serde_json::to_string_pretty(value).map_or_else(|_| Self::default(), Self::of_json)
    }

    fn of_json(text: String) -> Self {
        Self { is_json: true, ..Self::ours(json(&text) + "\n") }
    }

    /// Whether all of it is JSON.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// A line.
    pub fn line(&mut self, text: impl Display) {
        self.spans(&[(&text.to_string(), None)]);
    }

    /// A line of several texts, each in its colour where there are colours.
    pub fn spans(&mut self, spans: &[(&str, Option<Colour>)]) {
        self.is_json = false;
        for (text, colour) in spans {
            let text = shown(text);
            match colour.filter(|_| self.coloured).map(code) {
                Some(code) => self.text.push_str(&format!("\x1b[{code}m{text}\x1b[0m")),
                None => self.text.push_str(&text),
            }
        }
        self.text.push('\n');
    }

    /// All of them, an empty line between two.
    pub fn apart(texts: &[Self]) -> Self {
        let texts: Vec<&str> = texts.iter().map(Self::as_str).collect();
        Self::ours(texts.join("\n"))
    }

    /// Both, one after the other.
    pub fn append(&mut self, other: &Self) {
        self.is_json = other.is_json && (self.is_json || self.text.is_empty());
        self.text.push_str(&other.text);
    }

    /// What is to be written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn code(colour: Colour) -> u8 {
    match colour {
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Bold => 1,
    }
}

/// Colour on a terminal that has any, unless `NO_COLOR` is set (no-color.org).
pub fn colours(is_terminal: bool) -> bool {
    is_terminal && !is_dumb() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_and_only_our_own_colours_are_there() {
        let mut text = Text { coloured: true, ..Text::default() };
        text.line("a\nerror: \x1b[31mb");
        text.spans(&[("c\x1b[0m", Some(Colour::Red)), (" d", None)]);
        assert_eq!(text.as_str(), "a\\nerror: \\u{1b}[31mb\n\x1b[31mc\\u{1b}[0m\x1b[0m d\n");
    }
}
