//! The keys of `source`: which plugin, where the server is, and the secrets to get in.
//! It must not know any engine's URL grammar or options.

use std::path::Path;

use rivet_plugin_api::{Connection, FilePath, Policies, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::ConfigError;
use super::expand::Variables;
use super::files::{self, Unread};
use super::node::{Entry, Node, join};
use super::options::Options;
use super::report::Report;
use super::tuning::{Profile, Tuning};
use crate::secrets::passwords;

/// The `source` block.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(
    extend(
        "required" = ["type"],
        "exclusive" = [
            [["url"], ["url_env"], ["url_file"], ["host", "port", "user", "password", "password_env", "database"]],
            [["password"], ["password_env"]],
        ]
    )
)]
pub struct SourceConfig {
    /// Name of the plugin.
    #[serde(rename = "type", default)]
    #[schemars(extend(
        "reads" = "plugin-name",
        "missing" = "name the source plugin: `rivet plugin list` shows which there are"
    ))]
    pub plugin: String,
    /// Where the server is; nothing is set where the plugin's own options say it. Relative paths of the `tls` block
    /// start from the config's folder.
    #[serde(flatten)]
    pub connection: Connection,
    /// Environment variable that holds the connection URL.
    #[schemars(length(min = 1), extend("reads" = "variable"))]
    url_env: Option<String>,
    /// File that holds the connection URL, relative to the config.
    #[schemars(length(min = 1), extend("reads" = "file"))]
    url_file: Option<String>,
    /// Environment variable that holds the password.
    #[schemars(length(min = 1), extend("reads" = "variable"))]
    password_env: Option<String>,
    /// What kind of server it is, for the profile of those who name none: `local` means `fast`, `replica` and `production`
    /// mean `balanced`.
    pub environment: Option<Environment>,
    /// Pace and limits, key by key, of exports that say nothing themselves.
    pub tuning: Tuning,
    /// What happens to values that have no exact place.
    #[serde(default)]
    pub policies: Policies,
    /// The key that holds a password in clear, where one does.
    #[serde(skip)]
    pub password_key: Option<&'static str>,
    /// The plugin's own options, not yet checked against its schema.
    #[serde(flatten)]
    pub options: Options,
}

/// What kind of server the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// One that nobody else uses.
    Local,
    /// A copy that is there to be read.
    Replica,
    /// One that others work with.
    Production,
}

impl Environment {
    /// The profile that it stands for.
    pub(super) fn profile(self) -> Profile {
        match self {
            Self::Local => Profile::Fast,
            Self::Replica | Self::Production => Profile::Balanced,
        }
    }
}

/// Largest file that holds a URL, bytes.
const MAX_SECRET_BYTES: usize = 64 * 1024;

impl SourceConfig {
    /// Reads what stands elsewhere: secrets in variables and files. `block` is what the keys were read from.
    pub(super) fn fetch(&mut self, block: &Node, base_dir: &Path, variables: Variables<'_>, report: &mut Report) {
        let mut variable = |key: &str, name: &Option<String>| {
            let (name, entry) = (name.as_ref()?, block.get(key)?);
            from_variable("source", name, entry, variables, report)
        };
        let in_clear = |key: &str| block.get(key).is_some_and(|entry| !entry.node.from_env);
        let connection = &self.connection;
        let in_url = connection.url.as_ref().is_some_and(|url| !passwords(url.expose()).is_empty()) && in_clear("url");
        let in_key = connection.password.is_some() && in_clear("password");
        self.password_key = if in_url { Some("url") } else { in_key.then_some("password") };
        if self.connection.password.is_none() {
            self.connection.password = variable("password_env", &self.password_env);
        }
        if self.connection.url.is_none() {
            self.connection.url = variable("url_env", &self.url_env);
        }
        if let (None, Some(name), Some(entry)) = (&self.connection.url, &self.url_file, block.get("url_file")) {
            self.connection.url = from_file(&variables.below(base_dir, Path::new(name)), entry, name, report);
        }
        if let Some(tls) = &mut self.connection.tls {
            for file in [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file].into_iter().flatten() {
                *file = FilePath::new(variables.below(base_dir, file));
            }
        }
    }

    /// The JSON that deserialises as [`Connection`]: for the request to the plugin alone. It holds the secrets in
    /// clear, so never log it, print it, or put it into a plan, the state or a manifest.
    pub fn connection_json(&self) -> Value {
        let Connection { url, host, port, user, password, database, tls } = &self.connection;
        let exposed = |secret: &Option<Secret>| secret.as_ref().map(|s| s.expose().to_owned());
        let all = [
            ("url", json!(exposed(url))),
            ("host", json!(host)),
            ("port", json!(port)),
            ("user", json!(user)),
            ("password", json!(exposed(password))),
            ("database", json!(database)),
            ("tls", json!(tls)),
        ];
        let set = all.into_iter().filter(|(_, value)| !value.is_null());
        Value::Object(set.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
    }
}

/// The secret that a variable holds; `block` is the path of the block whose key names it.
pub(super) fn from_variable(
    block: &str,
    name: &str,
    entry: &Entry,
    variables: Variables<'_>,
    report: &mut Report,
) -> Option<Secret> {
    let path = join(block, &entry.key);
    match (variables.env)(name) {
        Some(value) if value.is_empty() => {
            let hint = Some("set it in the environment of rivet");
            report.bad(&path, entry.id, "names a variable that is empty", hint);
            None
        }
        Some(value) => Some(Secret::new(value)),
        // A name in small letters may be the password itself, put here by mistake.
        None if entry.node.from_env || name.contains(|c: char| c.is_ascii_lowercase()) => {
            let hint = Some("it takes the name of a variable, not the secret itself");
            report.bad(&path, entry.id, "names a variable that is not set", hint);
            None
        }
        None => {
            let at = report.at(path, entry.id);
            report.push(ConfigError::UnsetVariable { at, variable: name.to_owned(), message: None });
            None
        }
    }
}

fn from_file(path: &Path, entry: &Entry, name: &str, report: &mut Report) -> Option<Secret> {
    match read_secret(path) {
        Ok(text) => Some(Secret::new(text)),
        Err(problem) => {
            let file = (!entry.node.from_env).then(|| name.to_owned());
            let at = report.at(join("source", &entry.key), entry.id);
            report.push(ConfigError::SecretFile { at, file, problem });
            None
        }
    }
}

/// Text of a file without the line end that editors leave.
///
/// # Errors
/// The rest of a sentence about the file.
fn read_secret(path: &Path) -> Result<String, String> {
    let bytes = files::read(path, MAX_SECRET_BYTES).map_err(|e| match e {
        Unread::TooLarge => format!("is larger than {MAX_SECRET_BYTES} bytes"),
        Unread::Failed(cause) => format!("cannot be read: {cause}"),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}
