//! Which of several places credentials come from: the first that has some, alone; nothing is merged.
//! It must not know any provider's places, and never shows a value.

use std::sync::Arc;
use std::time::Duration;

use opendal::HttpTransporter;
use reqsign_core::{Context, OsEnv, ProvideCredentialDyn};
use reqsign_file_read_tokio::TokioFileRead;
use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result};

use crate::answer::Answer;
use crate::error::away;
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
    /// `Auth` when a place that the user named has none, one has some that cannot be used, or no place has any;
    /// `Connection` when a place that is known to be there is away.
    pub fn first(self, scheme: &str, hint: &str, talks: &Talks, cx: &Cx) -> Result<Provider<C>> {
        let mut tried = Vec::new();
        let n_candidates = self.0.len();
        for (i, Candidate { what, provider, is_named }) in self.0.into_iter().enumerate() {
            let asked = talks.unsigned();
            let context = context(HttpTransporter::new(asked.clone()));
            let look =
                async { Ok(tokio::time::timeout(LOOK_TIMEOUT, provider.provide_credential_dyn(&context)).await) };
            let found = talks.wait(cx, &asked, look).map_err(|refused| refused.while_("look", scheme, &what))?;
            let is_there = is_named || (i + 1 < n_candidates && !matches!(found, Ok(Ok(None))));
            match found {
                Ok(Ok(Some(_))) => {
                    tracing::info!("{scheme}: credentials come from {what}");
                    return Ok(provider);
                }
                _ if is_away(asked.refusal().as_ref(), is_there, found.is_err()) => {
                    let text = format!("failed to fetch credentials from {what}");
                    let wait = asked.refusal().and_then(|answer| answer.wait);
                    return Err(away(scheme, &text, wait));
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

/// Whether a place may have credentials that it cannot give out at the moment. Of one that nobody named and that never
/// answered, it is not known whether it is there at all.
fn is_away(refusal: Option<&Answer>, is_there: bool, is_silent: bool) -> bool {
    match refusal {
        Some(answer) => answer.is_passing() && (is_there || answer.status != 0),
        None => is_there && is_silent,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use http::Request;
    use reqsign_core::{Error, ProvideCredential};
    use rivet_plugin_api::{CancelToken, Retry};
    use rivet_test_servers::http::{Fate, HttpProxy, Response};

    use super::*;
    use Place::{At, Broken, Empty, Full};

    /// What a place answers.
    #[derive(Debug, Clone, Copy)]
    enum Place {
        Empty,
        Broken,
        Full,
        /// What a server at this port answers.
        At(u16),
    }

    impl ProvideCredential for Place {
        type Credential = &'static str;

        async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Self::Credential>> {
            match self {
                Self::Empty => Ok(None),
                Self::Broken => Err(Error::config_invalid("hunter2")),
                Self::Full => Ok(Some("key")),
                Self::At(port) => {
                    let request = Request::get(format!("http://127.0.0.1:{port}/token")).body(Vec::new().into());
                    let answer = context.http_send(request.expect("a request")).await?;
                    Ok(answer.status().is_success().then_some("key"))
                }
            }
        }
    }

    fn first(places: &[(Place, bool)]) -> Result<()> {
        let talks = Talks::new(None).expect("threads");
        let candidate = |(i, (place, is_named)): (usize, &(Place, bool))| Candidate {
            what: format!("place {i}"),
            provider: Arc::new(*place) as Provider<&'static str>,
            is_named: *is_named,
        };
        let candidates = Candidates(places.iter().enumerate().map(candidate).collect());
        candidates.first("s3", "hint", &talks, &CancelToken::new().cx()).map(drop)
    }

    #[test]
    fn no_place_with_credentials_is_passed_over() {
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

    fn server(status: u16) -> HttpProxy {
        // It asks for more patience than there is within a call.
        let answer = move |_: &_, _: &_| Fate::Answer(Response::new(status, "").with("retry-after", "60"));
        HttpProxy::start(0, Arc::new(answer)).expect("a server")
    }

    #[test]
    fn a_place_that_is_away_is_asked_again_and_one_that_refuses_is_not() {
        let (away, refusing) = (server(503), server(403));
        let unused = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let [busy, refuses, closed] = [away.port(), refusing.port(), unused.port()].map(At);
        for (places, expected) in [
            (vec![(busy, false), (Full, false)], (ErrorKind::Connection, Retry::SameSession, 60_000)),
            (vec![(Empty, false), (busy, false)], (ErrorKind::Connection, Retry::SameSession, 60_000)),
            (vec![(closed, true)], (ErrorKind::Connection, Retry::SameSession, 0)),
            (vec![(refuses, true)], (ErrorKind::Auth, Retry::Never, 0)),
            (vec![(refuses, false)], (ErrorKind::Auth, Retry::Never, 0)),
        ] {
            let error = first(&places).expect_err("no credentials");
            assert_eq!(error.code(), "s3.credentials");
            assert_eq!((error.kind(), error.retry_class(), error.after_ms()), expected, "{places:?}");
        }
        // Whether this is such a machine at all is not known.
        let no_answer = Answer::default();
        assert!(!is_away(Some(&no_answer), false, true) && !is_away(None, false, true) && is_away(None, true, true));
    }
}
