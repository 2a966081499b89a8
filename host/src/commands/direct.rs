//! `rivet run URL --table … --to …`: the config that stands for these arguments.
//! It must not know how a config is read or run, nor any plugin but by the name that the URL gives.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rivet_core::config::{literal, quoted};
use rivet_core::error::RunError;

use crate::cli::direct::{DirectArgs, ShapeArgs, SourceArgs};

/// Why there is no config: a sentence and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl From<Refused> for RunError {
    fn from(refused: Refused) -> Self {
        Self::Impossible { what: refused.message, hint: refused.hint }
    }
}

/// A refusal.
pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Refused {
    Refused { message: message.into(), hint: hint.into() }
}

/// A config, and the file that it would be.
#[derive(Debug, PartialEq, Eq)]
pub struct Direct {
    /// YAML.
    pub text: String,
    /// Where it is saved, or would be: its folder is where relative paths start and where the state is.
    pub file: PathBuf,
}

/// Makes the config; `to` is the folder to write to, or `-` for stdout; `env` answers for variables.
///
/// # Errors
/// A password in the URL, a URL that names no plugin, something that is missing.
pub fn config(args: &DirectArgs, to: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<Direct, Refused> {
    let file = args.save.clone().unwrap_or_else(|| PathBuf::from("rivet.yaml"));
    let source = source(&args.source, env)?;
    let to = to.ok_or_else(|| refused("there is no destination", "name a folder with --to, or --to - for stdout"))?;
    let destination = match to {
        "-" => "{type: stdout}".to_owned(),
        folder => format!("{{type: local, path: {}}}", literal(&from_folder_of(&file, folder))),
    };
    let relation = match (&args.table, &args.query) {
        (Some(table), _) => format!("table: {}", literal(table)),
        // In a query `${key}` is a parameter, and a dollar of SQL stays one.
        (None, Some(query)) => format!("query: {}", quoted(query)),
        (None, None) => return Err(refused("there is nothing to read", "name a table with --table, or use --query")),
    };
    let name = args.name.clone().unwrap_or_else(|| name_of(args.table.as_deref()));
    let mut text = String::from("# A config of Rivet, made of the arguments of `rivet run`.\n");
    text.push_str("# Variables such as ${NAME} come from the environment; keep passwords there.\n");
    let _ = write!(text, "source:\n{source}\n");
    if let Some(state) = &args.shape.state {
        let state = from_folder_of(&file, &state.to_string_lossy());
        let _ = writeln!(text, "state: {{url: {}}}", literal(&state));
    }
    let _ = write!(text, "exports:\n  - name: {}\n    {relation}\n", literal(&name));
    if let Some(condition) = &args.condition {
        let _ = writeln!(text, "    # A condition in the source's own language.\n    where: {}", literal(condition));
    }
    let _ =
        writeln!(text, "    # The whole relation, every run; `incremental` with a `cursor_column` reads what is new.");
    text.push_str("    mode: full\n");
    if let Some(n) = args.parallel {
        let _ = writeln!(text, "    parallel: {n}");
    }
    for line in shape(&args.shape)? {
        let _ = writeln!(text, "    {line}");
    }
    let _ = writeln!(text, "    destination: {destination}");
    Ok(Direct { text, file })
}

/// The keys of an export that say how files look and at which pace they are made, one a line.
///
/// # Errors
/// An option of the format that is given twice.
pub fn shape(args: &ShapeArgs) -> Result<Vec<String>, Refused> {
    let mut lines = vec![format!("format: {}", format(args)?)];
    lines.extend(args.compression.iter().map(|codec| format!("compression: {}", literal(codec))));
    lines.extend(args.profile.iter().map(|profile| format!("tuning: {{profile: {profile}}}")));
    Ok(lines)
}

/// The format, with options where there are any.
fn format(args: &ShapeArgs) -> Result<String, Refused> {
    let name = literal(args.format.as_deref().unwrap_or("parquet"));
    let options = crate::cli::params(&args.format_option)
        .map_err(|_| refused("an option of the format is given twice", "give each --format-option once"))?;
    if options.is_empty() {
        return Ok(name);
    }
    let one = |(key, value): (&String, &String)| format!(", {}: {}", literal(key), option_value(value));
    Ok(format!("{{type: {name}{}}}", options.iter().map(one).collect::<String>()))
}

/// A number or a truth value as such, anything else as a text that means itself.
fn option_value(text: &str) -> String {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.len() < 19 && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number || matches!(text, "true" | "false") { text.to_owned() } else { literal(text) }
}

/// Writes the config.
///
/// # Errors
/// When there is such a file, or it cannot be written.
pub fn save(direct: &Direct) -> Result<(), Refused> {
    let path = direct.file.display();
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(&direct.file);
    let written = opened.and_then(|mut file| file.write_all(direct.text.as_bytes()));
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            refused(format!("{path} exists already"), "choose another name for --save, or run the file with --config")
        }
        kind => refused(format!("failed to write {path}: {kind}"), "choose another place for --save"),
    })
}

/// The lines of the `source` block.
///
/// # Errors
/// A password in the URL, a variable that is not set, a URL that names no plugin.
pub fn source(args: &SourceArgs, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Refused> {
    if let Some(url) = &args.url {
        let plugin = plugin_of(url)?;
        if holds_password(url) {
            return Err(refused(
                "the url holds a password, which everybody on this machine can see on the command line",
                "put the url into an environment variable and name it: --url-env DATABASE_URL",
            ));
        }
        return Ok(format!("  type: {plugin}\n  url: {}", literal(url)));
    }
    let variable = args.url_env.as_deref().unwrap_or_default();
    let value = env(variable).filter(|v| !v.is_empty());
    // The name may be the URL itself, put there by mistake: it is not shown.
    let value = value.ok_or_else(|| {
        refused("--url-env names a variable that is not set", "it takes the name of a variable that holds the url")
    })?;
    Ok(format!(
        "  type: {}\n  # The URL, password and all, stays in the environment.\n  url_env: {}",
        plugin_of(&value)?,
        literal(variable)
    ))
}

/// The plugin that a URL's scheme names. The URL is shown in no error: it may hold a password.
pub fn plugin_of(url: &str) -> Result<&str, Refused> {
    const HINT: &str = "write postgres://user@host/database or sqlite:FILE; a config file goes after --config";
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'.');
    match scheme {
        Some(word) if !word.is_empty() && word.bytes().all(plain) => {
            // libpq's two schemes are one.
            Ok(if word == "postgresql" { "postgres" } else { word })
        }
        _ => Err(refused("the url does not begin with the name of a source", HINT)),
    }
}

/// Whether a URL may hold a password. A URL that is no good counts too: better refused than shown.
pub fn holds_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return names_secret(url) };
    let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
    user.split_once(':').is_some_and(|(_, password)| !password.is_empty()) || names_secret(rest)
}

/// Whether a parameter of the URL is a secret by its name.
fn names_secret(url: &str) -> bool {
    let Some((_, parameters)) = url.split_once('?') else { return false };
    parameters.split(['&', ';', '#']).any(|parameter| {
        let key = parameter.split('=').next().unwrap_or_default().to_ascii_lowercase();
        // A key with `%` hides its name.
        key.contains('%') || ["pass", "pwd", "secret", "token"].iter().any(|word| key.contains(word))
    })
}

/// `orders` of `public.orders`, with `_` for what a name cannot have.
fn name_of(table: Option<&str>) -> String {
    let Some(table) = table else { return "query".to_owned() };
    let last = table.trim_end_matches('"').rsplit(['.', '"']).next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = last.chars().take(100).map(plain).collect();
    if name.is_empty() { "table".to_owned() } else { name }
}

/// A path as the config beside which it is read must say it: what the user wrote starts in the current folder.
fn from_folder_of(file: &Path, path: &str) -> String {
    let here = file.parent().is_none_or(|dir| dir.as_os_str().is_empty() || dir == Path::new("."));
    if here || Path::new(path).is_absolute() {
        return path.to_owned();
    }
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |p| p.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str) -> DirectArgs {
        let source = SourceArgs { url: Some(url.to_owned()), url_env: None };
        DirectArgs { source, table: Some("public.orders".to_owned()), ..DirectArgs::default() }
    }

    fn env(name: &str) -> Option<String> {
        (name == "DATABASE_URL").then(|| "postgresql://u:c4nary@h/d".to_owned())
    }

    fn text(args: &DirectArgs) -> String {
        config(args, Some("out"), &env).map_or_else(|e| format!("{}; {}", e.message, e.hint), |d| d.text)
    }

    #[test]
    fn a_password_on_the_command_line_is_refused_and_never_shown() {
        for url in [
            "postgres://u:c4nary@h/d",
            "postgresql://u:c4nary@h/d",
            "postgres://u:c4/nary@h/d",
            "postgres://u:c4@nary@h/d",
            "postgres://u:c4?nary@h/d",
            "postgres://:c4nary@h",
            "postgres://u@h/d?password=c4nary",
            "postgres://u@h/d?sslmode=require&sslPassword=c4nary",
            "postgres://u@h/d?p%61ssword=c4nary",
            "other:d?token=c4nary",
        ] {
            let said = text(&args(url));
            assert!(said.contains("--url-env") && !said.contains("nary"), "{url}: {said}");
        }
        for url in
            ["postgres://u@h:5432/d", "postgres://h/d", "postgres://u:@h/d", "sqlite:data.db", "sqlite:///a/b.db"]
        {
            let said = text(&args(url));
            assert!(said.contains(&format!("url: \"{url}\"\n")), "{url}: {said}");
        }
    }

    #[test]
    fn a_variable_stays_in_the_environment() {
        let source = |name: &str| SourceArgs { url: None, url_env: Some(name.to_owned()) };
        let with = |name: &str| text(&DirectArgs { source: source(name), ..args("") });
        let said = with("DATABASE_URL");
        assert!(said.contains("type: postgres\n") && said.contains("url_env: DATABASE_URL\n"), "{said}");
        assert!(!said.contains("c4nary"), "{said}");
        let said = with("postgres://u:c4nary@h/d");
        assert!(said.contains("--url-env") && !said.contains("c4nary"), "{said}");
    }

    #[test]
    fn texts_mean_themselves() {
        let words =
            ["a: b", "- x", "it's", "${HOME}", "$$", "null", "7", "#", "é😀", "*", "&a", "[", "say \"x\"", "a\nb"];
        for odd in words {
            let condition = format!("v = '{}'", odd.replace('\'', "''"));
            // A table's name has quotes of its own and no line ends.
            let table = if odd.contains(['"', '\n']) { "t".to_owned() } else { odd.to_owned() };
            let all = DirectArgs { table: Some(table.clone()), ..args("sqlite:d.db") };
            let made = text(&DirectArgs { condition: Some(condition.clone()), name: Some("no".to_owned()), ..all });
            let read = rivet_core::config::parse(&made, Path::new(""), &|_| None, &Default::default());
            let read = read.unwrap_or_else(|e| panic!("{odd:?}: {e}\n{made}"));
            assert_eq!(read.exports[0].condition, Some(condition), "{made}");
            assert_eq!(read.exports[0].relation.label(), table, "{made}");
            assert_eq!(read.exports[0].name, "no");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = config(&args("sqlite:d.db"), None, &env).expect_err("no destination");
        assert!(none.hint.contains("--to"), "{none:?}");
        let nothing = text(&DirectArgs { table: None, ..args("sqlite:d.db") });
        assert!(nothing.contains("--table"), "{nothing}");
        for url in ["", "rivet.yaml", ":x", "C 3:x"] {
            let said = text(&args(url));
            assert!(said.contains("sqlite:FILE"), "{url}: {said}");
        }
    }

    #[test]
    fn names_come_from_tables() {
        for (table, name) in
            [("public.orders", "orders"), ("t", "t"), ("\"we.ird\".\"o rd\"", "o_rd"), ("größe", "gr__e")]
        {
            assert_eq!(name_of(Some(table)), name);
        }
        assert_eq!(name_of(None), "query");
    }
}
