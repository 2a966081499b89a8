//! Words that may not stand where they stand.
//! It must not know more about them than the one line it prints.

use super::source::{SourceFile, TextFile};
use super::{Violation, is_below};

/// Where `unsafe` is allowed.
const UNSAFE: [&str; 3] = ["plugin-api/abi", "plugin-api/src/wire", "plugin-api/src/load"];
/// What is no code to land.
const STUBS: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
/// Only the host talks to people, by texts that nothing from outside can break out of.
const PRINTS: [&str; 4] = ["println!", "eprintln!", "print!", "eprint!"];
const SILENT: [&str; 4] = ["core/src", "plugin-api", "plugins", "host/src"];
/// Where the glossary holds: what users and authors read.
const GLOSSARY: [&str; 2] = ["core/src", "plugin-api"];
/// Words of other glossaries, ours, and where the word has another meaning: the system's loader of libraries.
const FOREIGN_WORDS: [(&str, &str, &[&str]); 3] =
    [("job", "export", &[]), ("loader", "destination", &["plugin-api"]), ("sink", "destination", &[])];
/// What a format writes bytes to, on both sides of the boundary; a file that has to do with it may speak of sinks.
const BYTE_SINK: [&str; 2] = ["ByteSink", "AbiSink"];
/// Engines: core knows none.
const ENGINES: [&str; 7] = ["postgres", "mysql", "mariadb", "sqlite", "mssql", "sqlserver", "tiberius"];
/// Where the state store may name the engine it is kept in.
const STATE: [&str; 1] = ["core/src/state"];
/// Put together, so that this file does not hold them.
const HOSTS: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npm", "js."),
    concat!("deb.", "debian"),
];
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/t", "mp/")];

/// Lists what stands where it may not, in Rust.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let lines = file.code.lines().zip(file.uncommented.lines()).zip(file.text.lines()).enumerate();
    for (i, ((code, uncommented), text)) in lines {
        let test = file.is_test(i + 1);
        let mut say = |rule, advice: String| wrong.push(Violation::new(&file.path, i + 1, rule, advice));
        if words(code).any(|w| w == "unsafe") && !is_below(&file.path, &UNSAFE) {
            say("unsafe", "only the ABI's folders may: find a safe way".into());
        }
        for stub in STUBS.iter().filter(|s| starts_word(code, s)) {
            say("stub", format!("`{stub}` is no code to land"));
        }
        if is_below(&file.path, &SILENT) && !test && PRINTS.iter().any(|p| starts_word(code, p)) {
            say("print", "only `host/src/out` prints: return it, or log it".into());
        }
        if is_below(&file.path, &GLOSSARY) && !test {
            for (identifier, ours) in words(code).filter_map(|w| foreign(w, file).map(|ours| (w, ours))) {
                say("glossary", format!("`{identifier}`: the word here is {ours}"));
            }
        }
        if file.path.starts_with("core/src") && !test {
            for engine in engines(uncommented, &file.path) {
                say("engine", format!("core names no engine, and `{engine}` is one: ask the plugin"));
            }
        }
        // A test may say in a comment what a machine looks like.
        let shown = if test { uncommented } else { text };
        machine(shown).into_iter().for_each(|what| say("machine", what));
    }
    wrong
}

/// Lists what stands where it may not, in other texts.
pub fn check_text(file: &TextFile) -> Vec<Violation> {
    let lines = file.text.lines().enumerate();
    let found = lines.flat_map(|(i, line)| machine(line).into_iter().map(move |what| (i, what)));
    found.map(|(i, what)| Violation::new(&file.path, i + 1, "machine", what)).collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
}

/// Whether `word` stands there and is not the end of a longer one.
fn starts_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Our word for an identifier that is made with a word of another glossary.
fn foreign(identifier: &str, file: &SourceFile) -> Option<&'static str> {
    let parts = parts(identifier);
    let has = |word: &str| parts.iter().any(|part| part == word || part.strip_suffix('s') == Some(word));
    let (word, ours, meant) = FOREIGN_WORDS.iter().find(|(word, _, _)| has(word))?;
    let bytes = *word == "sink" && BYTE_SINK.iter().any(|name| file.code.contains(name));
    (!bytes && !is_below(&file.path, meant)).then_some(*ours)
}

/// The words that an identifier is made of, in lower case.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in identifier.chars() {
        if c == '_' || c.is_uppercase() && parts.last().is_some_and(|p| p.ends_with(char::is_lowercase)) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut().filter(|_| c != '_') {
            part.extend(c.to_lowercase());
        }
    }
    parts
}

fn engines(line: &str, path: &str) -> Vec<&'static str> {
    // The crate with which the state store talks to its file.
    let line = line.to_lowercase().replace("rusqlite", "");
    let state = is_below(path, &STATE);
    ENGINES.into_iter().filter(|engine| line.contains(engine) && !(state && *engine == "sqlite")).collect()
}

fn machine(text: &str) -> Vec<String> {
    let host = HOSTS.iter().filter(|host| text.contains(*host)).map(|host| format!("no registry's name: {host}"));
    let path = MACHINE_PATHS.iter().filter(|path| {
        let joined = |c: char| c.is_alphanumeric() || "._-}>)*~".contains(c);
        text.match_indices(*path).any(|(at, _)| !text[..at].ends_with(joined))
    });
    host.chain(path.map(|path| format!("no machine's path: {path}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_refused_where_they_do_not_belong() {
        for (path, text, rules) in [
            ("host/src/a.rs", "unsafe { x }", &["unsafe"][..]),
            ("plugin-api/src/wire/a.rs", "unsafe { x }", &[]),
            ("plugins/dest-x/src/lib.rs", "#![forbid(unsafe_code)] // unsafe", &[]),
            ("host/src/a.rs", "#[ignore = \"slow\"]\nfn a() { todo!() }", &["stub", "stub"]),
            ("host/src/a.rs", "println!(\"todo!\")", &["print"]),
            ("xtask/src/a.rs", "println!(\"todo!\")", &[]),
            ("core/src/a.rs", "eprintln!(\"x\")", &["print"]),
            ("core/src/tests.rs", "eprintln!(\"x\")", &[]),
            ("core/src/a.rs", "struct JobState; fn run_jobs() {}", &["glossary", "glossary"]),
            ("core/src/a.rs", "fn a(part_sink: &mut dyn ByteSink, jobless: u8) {}", &[]),
            ("plugin-api/src/a.rs", "struct FileSink; struct LibraryLoader;", &["glossary"]),
            ("core/src/a.rs", "struct Loader;", &["glossary"]),
            ("host/src/a.rs", "struct FileSink;", &[]),
            ("core/src/a.rs", "if name == \"Postgres\" {}", &["engine"]),
            ("core/src/a.rs", "// as PostgreSQL does\nuse rusqlite::Connection;", &[]),
            ("core/src/a.rs", "let sqlite = 1;", &["engine"]),
            ("core/src/state/mod.rs", "let sqlite = 1; let mysql = 2;", &["engine"]),
        ] {
            let found: Vec<_> = check(&SourceFile::new(path, text)).iter().map(|v| v.rule).collect();
            assert_eq!(found, rules, "{path}: {text}");
        }
    }

    #[test]
    fn machines_are_not_named() {
        let [work, _, temporary] = MACHINE_PATHS;
        for (path, text, n_found) in [
            ("host/src/a.rs", format!("// see {work}x"), 1),
            ("host/src/a.rs", format!("a(\"{temporary}x\")"), 1),
            ("host/tests/a.rs", format!("a(\"{temporary}x\")"), 1),
            ("host/tests/a.rs", format!("// {temporary}x"), 0),
            ("host/src/a.rs", format!("a(\"{{dir}}{temporary}x\", \"net{work}\")"), 0),
            ("host/src/a.rs", format!("// from {}", HOSTS[0]), 1),
        ] {
            assert_eq!(check(&SourceFile::new(path, &text)).len(), n_found, "{path}: {text}");
        }
        let text = TextFile { path: "README.md".into(), text: format!("a\ncd {work}x\n") };
        assert_eq!(check_text(&text)[0].to_string(), format!("README.md:2: machine: no machine's path: {work}"));
    }
}
