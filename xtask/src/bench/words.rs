//! The rows of `content_items`: long texts of about the entropy of written language, the same on every machine.
//! It must not know where the rows go.

use std::fmt::Write;

/// Columns of the table, in the order of [`Rows`].
pub const COLUMNS: &str = "id bigint primary key, external_id uuid not null, title text not null, slug text not null, \
     body text not null, body_html text, meta jsonb not null, tags jsonb, author_id integer not null, status text not null, \
     score double precision, view_count bigint not null, is_featured boolean not null, published_at timestamptz, \
     created_at timestamptz not null, updated_at timestamp not null";

/// Different words; how often each occurs falls with its rank (Zipf), as in any language.
const N_WORDS: usize = 12_000;
/// Words of the two long texts of a row, on average.
const WORDS_PER_TEXT: u64 = 960;

/// Different turns of phrase.
const N_PHRASES: usize = 6000;
/// Of so many runs of words one is new; the others are turns of phrase.
const NEW_OF: u64 = 3;

/// Makes rows in the text format of COPY, a line each.
pub struct Rows {
    words: Vec<String>,
    /// For a number from 0 to its length, the rank of a word: ranks that are likely stand often in it.
    ranks: Vec<u16>,
    /// Turns of phrase, which come back as in any body of texts by few authors.
    phrases: Vec<String>,
    random: Random,
}

impl Rows {
    /// The one sequence of rows there is.
    pub fn new() -> Self {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let words = (0..N_WORDS).map(|rank| word(rank, &mut random)).collect();
        let mut ranks = Vec::new();
        for rank in 0..N_WORDS {
            let times = 60_000 / (rank + 3) + 1;
            ranks.extend(std::iter::repeat_n(u16::try_from(rank).unwrap_or(u16::MAX), times));
        }
        let mut rows = Self { words, ranks, phrases: Vec::new(), random };
        for _ in 0..N_PHRASES {
            let (mut phrase, n_words) = (String::new(), 3 + rows.random.below(10));
            rows.sentence(n_words, &mut phrase);
            rows.phrases.push(phrase);
        }
        rows
    }

    /// Appends the row with this id.
    pub fn push(&mut self, id: u64, line: &mut String) {
        let (a, b) = (self.random.next(), self.random.next());
        let _ = write!(
            line,
            "{id}\t{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}\t",
            a >> 32,
            a & 0xffff,
            b & 0xfff,
            b >> 52,
            a >> 16
        );
        self.sentence(8, line);
        let _ = write!(line, "\titem-{id}-{}\t", self.words[(a % 4000) as usize]);
        self.text("", line);
        if self.random.below(12) == 0 {
            line.push_str("\t\\N\t");
        } else {
            line.push('\t');
            self.text("p", line);
            line.push('\t');
        }
        self.meta(line);
        let (day, second) = (self.random.below(700), self.random.below(86_400));
        let status = ["draft", "review", "published", "archived"][self.random.below(4) as usize];
        let score = self.random.below(1_000_000) as f64 / 997.0;
        let _ = write!(
            line,
            "\t{}\t{status}\t{score}\t{}\t{}\t",
            self.random.below(5000),
            b % 1_000_000,
            u8::from(b % 9 == 0)
        );
        let (hour, minute, rest) = (second / 3600, second / 60 % 60, second % 60);
        let date = |offset: u64| {
            let n = day + offset;
            format!(
                "20{:02}-{:02}-{:02} {hour:02}:{minute:02}:{rest:02}.{:06}",
                20 + n / 336,
                n / 28 % 12 + 1,
                n % 28 + 1,
                a % 1_000_000
            )
        };
        let published = if status == "draft" { "\\N".to_owned() } else { format!("{}+00", date(3)) };
        let _ = writeln!(line, "{published}\t{}+00\t{}", date(0), date(9));
    }

    /// A text of some paragraphs, each in a tag when one is named.
    fn text(&mut self, tag: &str, line: &mut String) {
        let mut left = WORDS_PER_TEXT / 2 + self.random.below(WORDS_PER_TEXT);
        while left > 0 {
            let n = left.min(40 + self.random.below(120));
            left -= n;
            if !tag.is_empty() {
                let _ = write!(line, "<{tag} class=\"c{}\">", self.random.below(30));
            }
            let mut rest = n;
            while rest > 0 {
                let words = rest.min(4 + self.random.below(16));
                rest -= words;
                if self.random.below(NEW_OF) == 0 {
                    self.sentence(words, line);
                } else {
                    // The smaller of two: some phrases are heard more often.
                    let n = self.phrases.len() as u64;
                    let (one, other) = (self.random.below(n), self.random.below(n));
                    line.push_str(&self.phrases[one.min(other) as usize]);
                }
                line.push_str(". ");
            }
            if !tag.is_empty() {
                let _ = write!(line, "</{tag}>");
            }
            // A line feed in the text format of COPY.
            line.push_str("\\n");
        }
    }

    fn sentence(&mut self, n_words: u64, line: &mut String) {
        for i in 0..n_words {
            if i > 0 {
                line.push_str(if self.random.below(11) == 0 { ", " } else { " " });
            }
            if self.random.below(40) == 0 {
                let _ = write!(line, "{}", self.random.below(100_000));
            } else {
                let rank = self.ranks[self.random.below(self.ranks.len() as u64) as usize];
                line.push_str(&self.words[rank as usize]);
            }
        }
    }

    fn meta(&mut self, line: &mut String) {
        let a = self.random.next();
        let _ = write!(
            line,
            "{{\"source\": \"feed-{}\", \"words\": {}, \"lang\": \"{}\", \"checksum\": \"{:016x}\", \"seo\": {{\"title\": \"",
            a % 50,
            a % 1500,
            ["en", "de", "fr", "es"][(a % 4) as usize],
            self.random.next()
        );
        self.sentence(6, line);
        line.push_str("\"}}\t[");
        for i in 0..a % 6 {
            let comma = if i > 0 { ", " } else { "" };
            let _ = write!(line, "{comma}\"{}\"", self.words[self.random.below(600) as usize]);
        }
        line.push(']');
    }
}

/// A word that can be spoken; frequent words are short.
fn word(rank: usize, random: &mut Random) -> String {
    const STARTS: [&str; 20] =
        ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "ch", "sh", ""];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "ou", "io"];
    const ENDS: [&str; 10] = ["", "", "n", "r", "s", "t", "ng", "l", "nd", "m"];
    let n_syllables = 1 + (rank / 60).min(1) + usize::from(rank > 900) + (random.below(3) / 2) as usize;
    let mut word = String::new();
    for _ in 0..n_syllables {
        word.push_str(STARTS[random.below(20) as usize]);
        word.push_str(VOWELS[random.below(8) as usize]);
        word.push_str(ENDS[random.below(10) as usize]);
    }
    word
}

/// xorshift64*: small, fast, good enough to fill a table.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_wide_and_the_same_each_time() {
        let rows = |n: u64| {
            let (mut rows, mut lines) = (Rows::new(), String::new());
            (0..n).for_each(|id| rows.push(id, &mut lines));
            lines
        };
        let lines = rows(200);
        assert_eq!(lines, rows(200));
        let n_columns = COLUMNS.split(',').count();
        assert!(lines.lines().all(|line| line.split('\t').count() == n_columns), "{n_columns} columns");
        assert!((11_000..17_000).contains(&(lines.len() / 200)), "{} bytes a row", lines.len() / 200);
        assert!(lines.contains("\t\\N\t"), "some NULLs");
    }
}
