//! Which of several places credentials come from: the first that has some, alone; nothing is merged.
//! It must not know any provider's places, and never shows a value.

use std::sync::Arc;
use std::time::Duration;

use opendal::HttpTransporter;
use reqsign_core::{Context, OsEnv, ProvideCredentialDyn};
use reqsign_file_read_tokio::TokioFileRead;
use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result};

use crate::runtime::Talks;

/// Longest time that one place may take to say that it has none.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What fetches credentials, again when they expire.
pub type Provider<C> = Arc<dyn ProvideCredentialDyn<Credential = C>>;

/// What a provider of credentials works with: files, the environment, and requests of its own.
pub fn context(transport: HttpTransporter) -> Context {
    Context::new().with_file_read(TokioFileRead).with_env(OsEnv).with_http_send(transport)
}

/// A place that credentials may come from.
pub struct Candidate<C> {
    /// What it is called, such as "the profile files".
    pub what: String,
    /// What fetches them.
    pub provider: Provider<C>,
    /// Whether the user has named it: then it has to have some.
    pub is_named: bool,
}

/// The places of a provider, in order.
pub struct Candidates<C>(pub Vec<Candidate<C>>);

impl<C: Send + Sync + Unpin + 'static> Candidates<C> {
    /// Asks each in turn; the first that has credentials is the only one that is asked from then on.
    ///
    /// # Errors
    /// `Auth` when a place that the user named has none, or no place has.
    pub fn first(self, scheme: &str, hint: &str, talks: &Talks, cx: &Cx) -> Result<Provider<C>> {
        let context = context(talks.transport());
        let mut tried = Vec::new();
        for Candidate { what, provider, is_named } in self.0 {
            let conversation = talks.conversation();
            let asked =
                async { Ok(tokio::time::timeout(LOOK_TIMEOUT, provider.provide_credential_dyn(&context)).await) };
            let found =
                talks.wait(cx, &conversation, asked).map_err(|refused| refused.while_("look", scheme, &what))?;
            match found {
                Ok(Ok(Some(_))) => {
                    tracing::info!("{scheme}: credentials come from {what}");
                    return Ok(provider);
                }
                _ if is_named => {
                    let text = format!("there are no usable credentials in {what}");
                    return Err(PluginError::new(ErrorKind::Auth, &format!("{scheme}.credentials"), text).hint(hint));
                }
                _ => tried.push(what),
            }
        }
        let text = format!("there are no credentials; looked in {}", tried.join(", "));
        Err(PluginError::new(ErrorKind::Auth, &format!("{scheme}.credentials"), text).hint(hint))
    }
}
