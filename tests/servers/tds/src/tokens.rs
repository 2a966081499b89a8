//! T-SQL in tokens: names, texts, numbers, signs.
//! Must not know what they mean.

/// A token as it will be written for PostgreSQL, and how it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word that is not quoted; compared in lower case.
    Word(String),
    /// A name in brackets or double quotes.
    Name(String),
    /// A text.
    Text(String),
    /// A number or a sign.
    Sign(String),
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found.eq_ignore_ascii_case(word))
    }

    pub fn is_sign(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(found) if found == sign)
    }
}

/// The tokens of a batch, without comments.
pub fn tokens(sql: &str) -> Vec<Token> {
    let chars: Vec<char> = sql.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut all = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match at(i) {
            c if c.is_whitespace() => i += 1,
            '-' if at(i + 1) == '-' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                i += 2;
                while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                    i += 1;
                }
                i += 2;
            }
            'N' | 'n' if at(i + 1) == '\'' => all.push(Token::Text(quoted(&chars, &mut i, 2, '\''))),
            '\'' => all.push(Token::Text(quoted(&chars, &mut i, 1, '\''))),
            '"' => all.push(Token::Name(quoted(&chars, &mut i, 1, '"'))),
            '[' => all.push(Token::Name(quoted(&chars, &mut i, 1, ']'))),
            c if c.is_alphabetic() || matches!(c, '_' | '@' | '#') => {
                let from = i;
                while at(i).is_alphanumeric() || matches!(at(i), '_' | '@' | '#' | '$') {
                    i += 1;
                }
                all.push(Token::Word(chars[from..i].iter().collect()));
            }
            c if c.is_ascii_digit() => {
                let from = i;
                while at(i).is_ascii_alphanumeric() || at(i) == '.' {
                    i += 1;
                }
                all.push(Token::Sign(chars[from..i].iter().collect()));
            }
            c => {
                let two = matches!((c, at(i + 1)), ('<' | '>' | '!', '=') | ('<', '>'));
                let n = if two { 2 } else { 1 };
                all.push(Token::Sign(chars[i..i + n].iter().collect()));
                i += n;
            }
        }
    }
    all
}

/// What is in quotes, which are written twice within; `i` goes behind it.
fn quoted(chars: &[char], i: &mut usize, opening: usize, end: char) -> String {
    let mut text = String::new();
    *i += opening;
    while let Some(c) = chars.get(*i) {
        *i += 1;
        if *c == end {
            if chars.get(*i) != Some(&end) {
                break;
            }
            *i += 1;
        }
        text.push(*c);
    }
    text
}
