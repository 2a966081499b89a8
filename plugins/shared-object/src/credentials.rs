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
    /// Asks each in turn; the first that has credentials is the only one that is asked from then on. One that has some
    /// which cannot be used is not passed over either: the next may be of somebody else. Of the last that cannot be told,
    /// since it is asked over the network whether it is there.
    ///
    /// # Errors
    /// `Auth` when a place that the user named has none, one has some that cannot be used, or no place has any.
    pub fn first(self, scheme: &str, hint: &str, talks: &Talks, cx: &Cx) -> Result<Provider<C>> {
        let context = context(talks.transport());
        let mut tried = Vec::new();
        let n_candidates = self.0.len();
        for (i, Candidate { what, provider, is_named }) in self.0.into_iter().enumerate() {
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
                Ok(Ok(None)) if !is_named => tried.push(what),
                _ if is_named || i + 1 < n_candidates => {
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

#[cfg(test)]
mod tests {
    use reqsign_core::{Error, ProvideCredential};
    use rivet_plugin_api::CancelToken;

    use super::*;
    use Place::{Broken, Empty, Full};

    /// What a place answers.
    #[derive(Debug, Clone, Copy)]
    enum Place {
        Empty,
        Broken,
        Full,
    }

    impl ProvideCredential for Place {
        type Credential = &'static str;

        async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Self::Credential>> {
            match self {
                Self::Empty => Ok(None),
                Self::Broken => Err(Error::config_invalid("hunter2")),
                Self::Full => Ok(Some("key")),
            }
        }
    }

    #[test]
    fn no_place_with_credentials_is_passed_over() {
        let talks = Talks::new(None).expect("threads");
        let first = |places: &[(Place, bool)]| {
            let candidate = |(i, (place, is_named)): (usize, &(Place, bool))| Candidate {
                what: format!("place {i}"),
                provider: Arc::new(*place) as Provider<&'static str>,
                is_named: *is_named,
            };
            let candidates = Candidates(places.iter().enumerate().map(candidate).collect());
            candidates.first("s3", "hint", &talks, &CancelToken::new().cx()).map(drop)
        };
        assert!(first(&[(Empty, false), (Full, false)]).is_ok());
        for (places, message) in [
            (vec![(Broken, false), (Full, false)], "there are no usable credentials in place 0"),
            (vec![(Empty, true), (Full, false)], "there are no usable credentials in place 0"),
            (vec![(Empty, false), (Broken, false)], "there are no credentials; looked in place 0, place 1"),
        ] {
            let error = first(&places).expect_err(message);
            assert_eq!((error.kind(), error.message()), (ErrorKind::Auth, message));
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
