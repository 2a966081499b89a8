//! The keys of `notifications`: who is told how runs ended.
//! It must not know how anybody is told.

use rivet_plugin_api::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::ConfigError;
use super::expand::Variables;
use super::node::{Node, join};
use super::report::Report;
use super::source::from_variable;

/// The `notifications` block.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct NotificationsConfig {
    /// One message to a Slack channel after a run, where something happened that `on` names. It takes at most 5 seconds, goes
    /// through the proxy of `HTTPS_PROXY`, and never fails a run.
    pub slack: Option<SlackConfig>,
}

/// The `notifications.slack` block.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(extend("exclusive" = [[["webhook_url"], ["webhook_url_env"]]]))]
pub struct SlackConfig {
    /// URL of the incoming webhook, which is a secret.
    pub webhook_url: Option<Secret>,
    /// Environment variable that holds the URL of the incoming webhook.
    #[schemars(length(min = 1), extend("reads" = "variable"))]
    webhook_url_env: Option<String>,
    /// What a message is sent for: an export failed (`failure`), its columns are not those of the last good run
    /// (`schema_change`), it went through but was hard on the source or lost its snapshot (`degraded`).
    #[serde(default = "Trigger::usual")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub on: Vec<Trigger>,
}

/// What a message is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// An export failed.
    Failure,
    /// Its columns are not what they were in the last good run.
    SchemaChange,
    /// It went through, but not as it should: its verdict is DEGRADED or UNSAFE, or its snapshot was lost on the way.
    Degraded,
}

impl Trigger {
    /// A verdict is no news: it is the same in each run.
    fn usual() -> Vec<Self> {
        vec![Self::Failure, Self::SchemaChange]
    }
}

impl NotificationsConfig {
    /// Reads the URL where it stands elsewhere, and refuses what is none. `block` is what the keys were read from.
    pub(super) fn fetch(&mut self, block: &Node, variables: Variables<'_>, report: &mut Report) {
        const PATH: &str = "notifications.slack";
        let (Some(slack), Some(entry)) = (&mut self.slack, block.get("slack")) else { return };
        let keys = ["webhook_url", "webhook_url_env"].map(|key| entry.node.get(key));
        if let (Some(name), [None, Some(key)]) = (&slack.webhook_url_env, keys) {
            slack.webhook_url = from_variable(PATH, name, key, variables, report);
        }
        match (&slack.webhook_url, keys.into_iter().flatten().next()) {
            (Some(url), Some(key)) if !is_web_url(url.expose()) => {
                let hint = Some("Slack shows the URL where the incoming webhook was made");
                report.bad(&join(PATH, &key.key), key.id, "must be a URL that starts with https://", hint);
            }
            (None, None) => {
                let hint = Some("name the variable that holds it: `webhook_url_env: SLACK_WEBHOOK_URL`".to_owned());
                let at = report.at(join(PATH, "webhook_url"), entry.id);
                report.push(ConfigError::MissingKey { at, hint });
            }
            _ => {}
        }
    }
}

/// Whether it is an address of the web with a host, and nothing in it that cannot be in one (RFC 3986, 2).
fn is_web_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain =
        |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']) && rest.bytes().all(plain))
}
