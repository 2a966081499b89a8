//! What to do, when, and what to say; and how it is done.
//! It must not know sessions or streams.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rivet_plugin_api::{ErrorKind, OpenGroup, PluginError, Result, Retry, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the source.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RudeOptions {
    /// When to be rude.
    pub at: Place,
    /// In what way.
    pub how: Mischief,
    /// What is said then.
    pub says: String,
    /// How many times it is said in one text.
    pub times: Option<usize>,
    /// Rows that there are.
    pub n_rows: i64,
    /// Say all secrets, wherever something is said.
    pub repeats: bool,
    /// A secret.
    pub token: Option<Secret>,
    /// Secrets that are deeper.
    pub login: Option<Login>,
    /// A URL that may hold a password.
    pub mirror: String,
}

/// A way to log in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Login {
    /// With one of several keys.
    Keys {
        /// The keys.
        keys: Vec<Secret>,
    },
    /// With headers.
    Headers {
        /// By name.
        headers: BTreeMap<String, Secret>,
    },
}

/// When to be rude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Never.
    #[default]
    Nowhere,
    /// While sessions are opened.
    Open,
    /// While a relation is described.
    Describe,
    /// After the rows.
    Batch,
    /// While the stream is dropped.
    Drop,
}

/// In what way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mischief {
    /// Print to standard output.
    #[default]
    Print,
    /// Panic.
    Panic,
    /// Never come back, cancelled or not; a file of the name that is said tells that it has begun.
    Hang,
    /// End the process as if all were well.
    Exit,
    /// The same on another thread.
    ExitElsewhere,
    /// Fail.
    Fail,
    /// Ask for a pause of an hour.
    Later,
    /// Log a warning inside a span.
    Warn,
    /// Log what is no warning.
    Inform,
}

/// Options of the format and of the destination.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyOptions {
    /// A secret.
    pub key: Secret,
    /// A URL that may hold a password.
    #[serde(default)]
    pub address: String,
}

/// How the source behaves.
#[derive(Clone)]
pub struct Manners {
    /// When.
    at: Place,
    /// In what way.
    how: Mischief,
    /// What is said.
    says: String,
    /// Rows that there are.
    pub n_rows: i64,
    /// All secrets, if they are to be said.
    pub repeated: String,
}

impl Manners {
    /// As the request says.
    pub fn of(request: &OpenGroup<RudeOptions>) -> Self {
        let options = &request.options;
        let mut secrets: Vec<&str> = vec![&options.mirror];
        secrets.extend(
            [&request.connection.url, &request.connection.password, &options.token]
                .into_iter()
                .flatten()
                .map(Secret::expose),
        );
        match &options.login {
            Some(Login::Keys { keys }) => secrets.extend(keys.iter().map(Secret::expose)),
            Some(Login::Headers { headers }) => secrets.extend(headers.values().map(Secret::expose)),
            None => {}
        }
        let forms = |secret: &&str| format!("{secret} {secret:?} {}", utf8_percent_encode(secret, NON_ALPHANUMERIC));
        let repeated =
            secrets.iter().filter(|s| options.repeats && !s.is_empty()).map(forms).collect::<Vec<_>>().join(" ");
        let says = format!("{}{repeated}", options.says.repeat(options.times.unwrap_or(1)));
        Self { at: options.at, how: options.how, says, n_rows: options.n_rows, repeated }
    }

    /// Misbehaves, if it is time.
    pub fn show(&self, here: Place) -> Result<()> {
        if self.at != here {
            return Ok(());
        }
        let says = &self.says;
        let failed =
            |kind| PluginError::new(kind, &format!("rude.{says}"), says).detail("column", says).cause(says).hint(says);
        match self.how {
            Mischief::Print => {
                println!("{says}");
                print!("{says}");
                // It may be that nobody hears it.
                let _ = std::io::stdout().flush();
                Ok(())
            }
            Mischief::Panic => panic!("{says}"),
            Mischief::Hang => {
                // Whoever waits for the file in vain says so.
                let _ = std::fs::write(says, "");
                loop {
                    std::thread::sleep(Duration::from_secs(60));
                }
            }
            Mischief::Exit => std::process::exit(0),
            Mischief::ExitElsewhere => {
                let _ = std::thread::spawn(|| std::process::exit(0)).join();
                Ok(())
            }
            Mischief::Fail => Err(failed(ErrorKind::Config)),
            Mischief::Later => Err(failed(ErrorKind::Capacity).retry(Retry::NewSession).retry_after_ms(3_600_000)),
            Mischief::Warn | Mischief::Inform => {
                let span = tracing::error_span!("page", number = 2);
                let _entered = span.enter();
                match self.how {
                    Mischief::Warn => tracing::warn!(table = says.as_str(), rows = 7, "{says}"),
                    _ => tracing::info!(table = "orders", rows = 7, "{says}"),
                }
                Ok(())
            }
        }
    }
}
