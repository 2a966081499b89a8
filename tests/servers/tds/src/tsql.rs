//! From T-SQL to PostgreSQL: as much of it as the tests' statements have.
//! Must not know who asks.

use crate::tokens::{Token, tokens};

/// The statements of a batch.
pub fn statements(batch: &str) -> Vec<Vec<Token>> {
    tokens(batch).split(|t| t.is_sign(";")).filter(|s| !s.is_empty()).map(<[Token]>::to_vec).collect()
}

/// A statement as PostgreSQL has it.
pub fn translate(statement: &[Token]) -> String {
    let (mut out, mut limits, mut i) = (String::new(), vec![String::new()], 0);
    while let Some(token) = statement.get(i) {
        i += 1;
        let next = statement.get(i);
        let calls = next.is_some_and(|t| t.is_sign("("));
        match token {
            Token::Sign(sign) if sign == "(" => {
                limits.push(String::new());
                out.push_str(" (");
            }
            Token::Sign(sign) if sign == ")" => {
                out.push_str(&limits.pop().unwrap_or_default());
                out.push_str(") ");
            }
            Token::Sign(sign) if sign == "." => {
                // Methods of CLR types: what is stored is what they return.
                let method = |name: &str| next.is_some_and(|t| t.is_word(name));
                if method("ToString") {
                    // An expression, so that it is not described as the column.
                    out.push_str("|| '' ");
                    i += 3;
                } else if method("AsTextZM") {
                    out.push_str("::text");
                    i += 3;
                } else {
                    while out.ends_with(' ') {
                        out.pop();
                    }
                    out.push('.');
                }
            }
            Token::Name(name) if let Some((part, n_tokens)) = part_of_geometry(&statement[i..]) => {
                out.push_str(&format!("substr(\"{}\", {part}) ", name.replace('"', "\"\"")));
                i += n_tokens;
            }
            Token::Sign(sign) => out.push_str(&format!("{sign} ")),
            Token::Text(text) => out.push_str(&format!("{} ", literal(text))),
            Token::Name(name) => out.push_str(&format!("\"{}\" ", name.replace('"', "\"\""))),
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "cast" if calls => out.push_str(&cast(&arguments(statement, &mut i))),
                "convert" if calls => out.push_str(&convert(&arguments(statement, &mut i))),
                "dateadd" | "datediff_big" if calls => {
                    let arguments = arguments(statement, &mut i);
                    let unit = literal(&plain(&arguments[0]));
                    let rest: Vec<String> = arguments[1..].iter().map(|a| translate(a)).collect();
                    out.push_str(&format!("sys.{}({unit}, {}) ", word.to_ascii_lowercase(), rest.join(", ")));
                }
                "top" => {
                    let n = if calls { plain(&arguments(statement, &mut i)[0]) } else { plain(&statement[i..=i]) };
                    i += usize::from(!calls);
                    if let Some(limit) = limits.last_mut() {
                        *limit = format!(" LIMIT {n}");
                    }
                }
                "collate" => i += 1,
                "with" if calls => drop(arguments(statement, &mut i)),
                "count_big" => out.push_str("count"),
                "len" if calls => out.push_str("length"),
                "isnull" if calls => out.push_str("coalesce"),
                "@@version" => out.push_str("sys.version() "),
                "@@spid" => out.push_str("pg_backend_pid() "),
                _ => out.push_str(&format!("{word} ")),
            },
        }
    }
    out.push_str(&limits.pop().unwrap_or_default());
    out
}

/// Which part of the bytes that stand for a geometry follows its name, and in how many tokens: its spatial reference, in four
/// bytes, or its well-known binary behind them.
fn part_of_geometry(behind: &[Token]) -> Option<(&'static str, usize)> {
    match behind {
        [dot, property, ..] if dot.is_sign(".") && property.is_word("STSrid") => Some(("1, 4", 2)),
        [dot, method, _, _, ..] if dot.is_sign(".") && method.is_word("AsBinaryZM") => Some(("5", 4)),
        _ => None,
    }
}

/// The arguments in brackets that begin at `i`, which goes behind them.
fn arguments(statement: &[Token], i: &mut usize) -> Vec<Vec<Token>> {
    let (mut all, mut depth) = (vec![Vec::new()], 0);
    while let Some(token) = statement.get(*i) {
        *i += 1;
        if token.is_sign("(") {
            depth += 1;
            if depth == 1 {
                continue;
            }
        }
        if token.is_sign(")") {
            depth -= 1;
            if depth == 0 {
                break;
            }
        }
        if depth == 1 && token.is_sign(",") {
            all.push(Vec::new());
        } else if let Some(last) = all.last_mut() {
            last.push(token.clone());
        }
    }
    all
}

fn cast(arguments: &[Vec<Token>]) -> String {
    let inner = arguments.iter().map(|a| a.as_slice()).collect::<Vec<_>>().join(&Token::Sign(",".to_owned()));
    let at = inner.iter().rposition(|t| t.is_word("as")).unwrap_or(inner.len());
    let (what, kind) = (translate(&inner[..at]), plain(inner.get(at + 1..).unwrap_or_default()));
    expression(&what, &kind)
}

/// A cast that is one to PostgreSQL too where it changes nothing: else the column itself would be described.
fn expression(what: &str, kind: &str) -> String {
    format!("CAST(coalesce({what}) AS {}) ", stored(kind))
}

fn convert(arguments: &[Vec<Token>]) -> String {
    let (kind, what) = (plain(&arguments[0]), translate(arguments.get(1).map_or(&[], Vec::as_slice)));
    let style = arguments.get(2).map(|a| plain(a)).unwrap_or_default();
    match (kind.split('(').next().unwrap_or_default(), style.as_str()) {
        ("nvarchar" | "varchar", "1") => format!("('0x' || upper(encode({what}, 'hex'))) "),
        ("binary" | "varbinary", "1") => format!("decode(substr({what}, 3), 'hex') "),
        _ => expression(&what, &kind),
    }
}

fn plain(tokens: &[Token]) -> String {
    let text = |t: &Token| match t {
        Token::Word(w) => w.to_ascii_lowercase(),
        Token::Name(s) | Token::Text(s) | Token::Sign(s) => s.clone(),
    };
    tokens.iter().map(text).collect()
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The type that holds what a type of T-SQL holds: dates and times are texts, which have all their digits and are in order.
pub fn stored(declared: &str) -> String {
    let (base, rest) = declared.split_once('(').unwrap_or((declared, ""));
    let arguments = rest.trim_end_matches(')');
    match base {
        "bit" => "boolean".to_owned(),
        "tinyint" => "smallint".to_owned(),
        "smallint" | "int" | "bigint" | "real" => base.to_owned(),
        "float" => "float8".to_owned(),
        "decimal" | "numeric" if !arguments.is_empty() => format!("numeric({arguments})"),
        "decimal" | "numeric" => "numeric(18,0)".to_owned(),
        "money" => "numeric(19,4)".to_owned(),
        "smallmoney" => "numeric(10,4)".to_owned(),
        "uniqueidentifier" => "uuid".to_owned(),
        "binary" | "varbinary" | "image" | "timestamp" | "rowversion" | "geometry" | "geography" => "bytea".to_owned(),
        "nvarchar" | "nchar" if arguments.parse::<u16>().is_ok() => format!("varchar({arguments})"),
        "date" | "time" | "datetime" | "datetime2" | "smalldatetime" | "datetimeoffset" => "sys.moment".to_owned(),
        _ => "text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_become_those_of_postgresql() {
        for (from, to) in [
            ("SELECT TOP (1) [a]]b] FROM t ORDER BY 1", r#"SELECT "a]b" FROM t ORDER BY 1 LIMIT 1"#),
            ("select count_big(*) from t with (nolock)", "select count (* ) from t"),
            ("SELECT CAST(N'it''s' AS nvarchar(max)) AS x", "SELECT CAST(coalesce('it''s') AS text) AS x"),
            ("CONVERT(nvarchar(max), \"b\", 1)", "('0x' || upper(encode(\"b\" , 'hex')))"),
            ("\"h\".ToString() AS \"h\"", "\"h\" || '' AS \"h\""),
            (
                "CAST(\"g\".STSrid AS binary(4)) + \"g\".AsBinaryZM()",
                "CAST(coalesce(substr(\"g\", 1, 4)) AS bytea) + substr(\"g\", 5)",
            ),
            ("CAST(N'x' COLLATE Latin1_General_CI_AS AS varchar(8000))", "CAST(coalesce('x') AS text)"),
            ("DATEADD(day, -7, SYSUTCDATETIME())", "sys.dateadd('day', - 7 , SYSUTCDATETIME ( ) )"),
        ] {
            let found: String = statements(from).iter().map(|s| translate(s)).collect();
            let squeezed = |s: &str| s.split_whitespace().collect::<Vec<_>>().join("");
            assert_eq!(squeezed(&found), squeezed(to), "{found}");
        }
    }
}
