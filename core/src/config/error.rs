//! What can be wrong with a config: fields, not sentences, and no value that could be a secret.
//! It must not know YAML, terminals or exit codes.

use std::fmt;

use super::suggest::did_you_mean;

/// Where in the config: the path of a key, and its line where it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct At {
    /// Dotted path, such as `exports.orders.format`; empty for the file as a whole.
    pub path: String,
    /// 1-based.
    pub line: Option<u32>,
}

impl At {
    /// Only a line.
    pub(super) fn line(line: Option<u32>) -> Self {
        Self { path: String::new(), line }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() { "the config" } else { &self.path })?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// One thing that is wrong. `Display` is one sentence without the hint. No field has a value of the config, nor a piece of its
/// text, but for paths and names of files: others could be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the sentences say what the fields are")]
pub enum ConfigError {
    /// The file could not be read.
    #[error("failed to read the config {file}: {cause}")]
    File { file: String, cause: String },
    /// The text is larger than any config should be.
    #[error("the config is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    /// The text is not UTF-8.
    #[error("{at} is not UTF-8")]
    NotUtf8 { at: At },
    /// There is nothing in it.
    #[error("the config is empty")]
    Empty,
    /// It is no YAML.
    #[error("{at} is no valid YAML: {problem}")]
    Syntax { at: At, problem: String, hint: Option<String> },
    /// There is more than one YAML document.
    #[error("the config has more than one YAML document")]
    ManyDocuments,
    /// It goes beyond a limit that protects from files made to do harm.
    #[error("{at} {what}")]
    Limit { at: At, what: String },
    /// A key stands twice in one block.
    #[error("{at} is set twice")]
    DuplicateKey { at: At, first_line: Option<u32> },
    /// There is no such key.
    #[error("unknown key {at}")]
    UnknownKey { at: At, hint: Option<String> },
    /// A key is needed.
    #[error("{at} is missing")]
    MissingKey { at: At, hint: Option<String> },
    /// The value is of the wrong type.
    #[error("{at} must be {expected}, not {found}")]
    WrongType { at: At, expected: String, found: &'static str },
    /// The value is of the right type, but not one that can be.
    #[error("{at} {problem}")]
    BadValue { at: At, problem: String, hint: Option<String> },
    /// A variable has no value.
    #[error("{at} needs the variable {variable}, which is not set{}", colon(message))]
    UnsetVariable { at: At, variable: String, message: Option<String> },
    /// A parameter of the command line that no query asks for.
    #[error("the parameter '{key}' fills nothing: no query has ${{{key}}}")]
    UnusedParam { key: String, hint: Option<String> },
    /// A `${…}` cannot be read.
    #[error("{at} {problem}")]
    BadExpansion { at: At, problem: &'static str },
    /// Keys that exclude each other.
    #[error("{at} has both {} and {}", .keys.0, .keys.1)]
    Conflict { at: At, keys: (String, String) },
    /// Something this version cannot do yet.
    #[error("{at}: {what} is not built yet")]
    NotBuilt { at: At, what: String },
    /// Two exports have the same name.
    #[error("the name of {at} is taken by another export")]
    DuplicateName { at: At, first_line: Option<u32> },
    /// There is nothing to do.
    #[error("the config has no exports")]
    NoExports,
    /// A file that holds a secret cannot be used.
    #[error("{at} names {}, which {problem}", file_name(file))]
    SecretFile { at: At, file: Option<String>, problem: String },
    /// The schema of a source plugin claims a key of core.
    #[error("the source plugin '{plugin}' has an option '{key}', a name that belongs to rivet")]
    ReservedKey { plugin: String, key: String },
}

/// What messages call a text that is a number.
pub(super) const QUOTED_NUMBER: &str = "a number in quotes";

fn colon(message: &Option<String>) -> String {
    message.as_ref().map(|m| format!(": {m}")).unwrap_or_default()
}

fn file_name(file: &Option<String>) -> String {
    file.as_ref().map_or_else(|| "a file".to_owned(), |f| format!("the file {f}"))
}

impl ConfigError {
    /// Stable dotted code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "config.file",
            Self::TooLarge { .. } => "config.too_large",
            Self::NotUtf8 { .. } => "config.not_utf8",
            Self::Empty => "config.empty",
            Self::Syntax { .. } => "config.syntax",
            Self::ManyDocuments => "config.many_documents",
            Self::Limit { .. } => "config.limit",
            Self::DuplicateKey { .. } => "config.duplicate_key",
            Self::UnknownKey { .. } => "config.unknown_key",
            Self::MissingKey { .. } => "config.missing_key",
            Self::WrongType { .. } => "config.wrong_type",
            Self::BadValue { .. } => "config.bad_value",
            Self::UnsetVariable { .. } => "config.unset_variable",
            Self::UnusedParam { .. } => "config.unused_param",
            Self::BadExpansion { .. } => "config.bad_expansion",
            Self::Conflict { .. } => "config.conflict",
            Self::NotBuilt { .. } => "config.not_built",
            Self::DuplicateName { .. } => "config.duplicate_name",
            Self::NoExports => "config.no_exports",
            Self::SecretFile { .. } => "config.secret_file",
            Self::ReservedKey { .. } => "config.reserved_key",
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Syntax { hint: None, .. } => {
                "look at indentation, brackets and quotes there: YAML indents with blanks, and quotes a value that holds ': '"
            }
            Self::Syntax { hint, .. }
            | Self::UnknownKey { hint, .. }
            | Self::MissingKey { hint, .. }
            | Self::BadValue { hint, .. }
            | Self::UnusedParam { hint: hint @ Some(_), .. } => {
                return hint.clone();
            }
            Self::DuplicateKey { first_line, .. } | Self::DuplicateName { first_line, .. } => {
                return first_line.map(|line| format!("the first is in line {line}"));
            }
            Self::File { .. } => "name the file with --config",
            Self::NotUtf8 { .. } => "save it as UTF-8",
            Self::Empty | Self::NoExports => "it needs `source` and at least one entry under `exports`",
            Self::ManyDocuments => "use one file per config, and remove the `---` between the documents",
            Self::WrongType { found: QUOTED_NUMBER, .. } => "remove the quotes",
            Self::WrongType { found: "a number" | "a fraction" | "true or false", expected, .. }
                if expected == "text" =>
            {
                "put it in quotes"
            }
            Self::WrongType { found: "nothing", .. } => "give it a value, or remove the key",
            Self::UnsetVariable { at, .. } if at.path.ends_with("_env") => "set it in the environment of rivet",
            Self::UnsetVariable { at, variable, message: None } if at.path.ends_with("query") => {
                return Some(format!("give it with -p {variable}=VALUE, or a default: ${{{variable}:-default}}"));
            }
            Self::UnsetVariable { message: None, .. } => "set it, or give a default: ${VAR:-default}",
            Self::NotBuilt { .. } => "leave the key out",
            Self::BadExpansion { .. } => {
                "a variable is written ${NAME}, ${NAME:-default} or ${NAME:?message}, a dollar $$"
            }
            Self::UnusedParam { .. } => "leave it out, or write ${KEY} into the query",
            Self::Conflict { .. } => "keep one of them",
            Self::ReservedKey { .. } => "this is a defect of the plugin: its author has to rename the option",
            Self::TooLarge { .. } => "is it a config at all? a large one can be several files, each with its own run",
            Self::Limit { .. } => "is it a config at all? one that comes near this limit can be several files",
            Self::WrongType { .. } | Self::UnsetVariable { .. } | Self::SecretFile { .. } => return None,
        };
        Some(text.to_owned())
    }

    /// Where it is, when it is in the text at all.
    pub fn at(&self) -> Option<&At> {
        match self {
            Self::NotUtf8 { at }
            | Self::Syntax { at, .. }
            | Self::Limit { at, .. }
            | Self::DuplicateKey { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::MissingKey { at, .. }
            | Self::WrongType { at, .. }
            | Self::BadValue { at, .. }
            | Self::UnsetVariable { at, .. }
            | Self::BadExpansion { at, .. }
            | Self::Conflict { at, .. }
            | Self::NotBuilt { at, .. }
            | Self::DuplicateName { at, .. }
            | Self::SecretFile { at, .. } => Some(at),
            _ => None,
        }
    }
}

impl ConfigError {
    /// Its line, to sort by; what has none comes last.
    pub(super) fn line(&self) -> u32 {
        self.at().and_then(|at| at.line).unwrap_or(u32::MAX)
    }
}

/// Takes out keys that are missing only because they are misspelled: the unknown key beside says so already.
pub(super) fn forget_misspelled(errors: &mut Vec<ConfigError>) {
    fn apart(path: &str) -> (&str, &str) {
        path.rsplit_once('.').unwrap_or(("", path))
    }
    let meant: Vec<(String, String)> = errors
        .iter()
        .filter_map(|e| match e {
            ConfigError::UnknownKey { at, hint: Some(hint) } => Some((apart(&at.path).0.to_owned(), hint.clone())),
            _ => None,
        })
        .collect();
    errors.retain(|e| match e {
        ConfigError::MissingKey { at, .. } => {
            let (block, key) = apart(&at.path);
            let hint = did_you_mean(key, [key]);
            !meant.iter().any(|(b, h)| b == block && Some(h) == hint.as_ref())
        }
        _ => true,
    });
}

/// Everything that is wrong with a config, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// What the user can do about it; with several errors, the path that each hint is about comes first.
    pub fn hint(&self) -> Option<String> {
        if let [only] = self.0.as_slice() {
            return only.hint();
        }
        let hints: Vec<String> = self
            .0
            .iter()
            .filter_map(|e| Some((e.at()?, e.hint()?)))
            .map(|(at, hint)| format!("{}: {hint}", at.path))
            .collect();
        (!hints.is_empty()).then(|| hints.join("; "))
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        write!(f, "the config has {} errors:", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
