//! From what a store refused to the plugin's errors, by status and code alone.
//! It must not know what was being done beyond the words it is given, and repeats no text of a store: only its code.

use std::time::Duration;

use opendal::ErrorKind as Kind;
use rivet_plugin_api::{ErrorKind, PluginError, Retry};

use crate::answer::{Answer, TlsTrouble};

/// A clock that is further away than this makes stores refuse what it signed.
const MAX_SKEW_S: u64 = 300;

/// What to do about a bucket that is not there.
pub const NO_BUCKET: &str = "check its name, the account and the region; rivet makes no buckets";

/// Why a call came to nothing.
#[derive(Debug)]
pub enum Refused {
    /// The host has cancelled.
    Cancelled,
    /// The store or the way to it.
    Store {
        /// What the client library made of it.
        error: Box<opendal::Error>,
        /// What the store said, if it said something.
        answer: Option<Answer>,
    },
}

impl Refused {
    /// Whether a condition of ours does not hold.
    pub fn is_condition(&self) -> bool {
        let Self::Store { error, answer } = self else { return false };
        error.kind() == Kind::ConditionNotMatch && !answer.as_ref().is_some_and(Answer::is_in_progress)
    }

    /// Whether the store is still at a copy to the same place.
    pub fn is_copy_pending(&self) -> bool {
        let pending = |answer: &Answer| answer.code.as_deref() == Some("PendingCopyOperation");
        matches!(self, Self::Store { answer: Some(answer), .. } if pending(answer))
    }

    /// Whether the object is not there; the place itself is.
    pub fn is_absent(&self) -> bool {
        let Self::Store { error, answer } = self else { return false };
        error.kind() == Kind::NotFound && !answer.as_ref().is_some_and(no_place)
    }

    /// Whether the store lets us not look.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Store { error, .. } if error.kind() == Kind::PermissionDenied)
    }

    /// Whether the store does not know such a request.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Cancelled => false,
            Self::Store { error, answer } => {
                error.kind() == Kind::Unsupported || answer.as_ref().is_some_and(|a| matches!(a.status, 405 | 501))
            }
        }
    }

    /// The plugin's error. `doing` completes "failed to"; `place` is where; `scheme` begins the code.
    pub fn while_(self, doing: &str, scheme: &str, place: &str) -> PluginError {
        let Self::Store { error, answer } = self else { return PluginError::cancelled() };
        let text = format!("failed to {doing} in {place}");
        let answer = match answer {
            Some(answer) if answer.status != 0 => answer,
            other => return unanswered(&error, other, &text, scheme),
        };
        let (kind, code, hint) = class(&error, &answer);
        let mut told = PluginError::new(kind, &format!("{scheme}.{code}"), &text)
            .cause(said(&answer))
            .vendor_code(i64::from(answer.status));
        if let Some(hint) = hint {
            told = told.hint(hint);
        }
        if answer.is_temporary() || matches!(kind, ErrorKind::Capacity | ErrorKind::Connection) {
            told = told.retry(Retry::SameSession).retry_after_ms(millis(answer.wait));
        }
        told
    }
}

fn millis(wait: Option<Duration>) -> u64 {
    wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// Whoever gives out the credentials is known to be there, and cannot do it at the moment.
pub(crate) fn away(scheme: &str, text: &str, wait: Option<Duration>) -> PluginError {
    PluginError::new(ErrorKind::Connection, &format!("{scheme}.credentials"), text)
        .cause("who gives out the credentials could not be reached, or has a failure of its own")
        .retry(Retry::SameSession)
        .retry_after_ms(millis(wait))
        .hint("see where the credentials come from with `-v`, and run again later")
}

fn said(answer: &Answer) -> String {
    match &answer.code {
        Some(code) => format!("the store answered {} {code}", answer.status),
        None => format!("the store answered {}", answer.status),
    }
}

fn no_place(answer: &Answer) -> bool {
    matches!(answer.code.as_deref(), Some("NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted"))
}

/// The category of what a store calls by name.
fn by_code(code: &str, answer: &Answer) -> Option<(ErrorKind, &'static str, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    Some(match code {
        // Ended, or completed by a request whose answer was lost.
        "NoSuchUpload" => (ErrorKind::Connection, "upload_lost", None),
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => {
            let text = match &answer.region {
                Some(region) => format!("the bucket is in another region: set `region: {region}`"),
                None => "the bucket is in another region: set `region` to the one it is in".to_owned(),
            };
            (ErrorKind::Config, "region", Some(text))
        }
        "ExpiredToken" | "TokenRefreshRequired" => {
            (ErrorKind::Auth, "expired", hint("the session token has expired: fetch new credentials and run again"))
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "AuthenticationFailed"
        | "InvalidAuthenticationInfo" => (
            ErrorKind::Auth,
            "auth",
            hint("the store does not accept these credentials: check key and secret, and whether they have ended"),
        ),
        // Azure's word for a key, a token or a network that is not let in; without rights it says which are missing.
        "AuthorizationFailure" => (
            ErrorKind::Auth,
            "auth",
            hint("check the account key or SAS, its rights and its end, and which networks the account lets in"),
        ),
        "EntityTooLarge" | "RequestBodyTooLarge" => {
            (ErrorKind::Capacity, "too_large", hint("set a smaller `max_file_size`"))
        }
        "BadDigest" | "InvalidDigest" | "Md5Mismatch" | "XAmzContentChecksumMismatch" => {
            (ErrorKind::Connection, "torn", hint("what arrived was not what was sent: look at proxies in between"))
        }
        _ => return None,
    })
}

/// The category of a refusal, the code of ours and what to do.
fn class(error: &opendal::Error, answer: &Answer) -> (ErrorKind, &'static str, Option<String>) {
    let code = answer.code.as_deref().unwrap_or_default();
    let hint = |text: &str| Some(text.to_owned());
    let is_skew = matches!(code, "RequestTimeTooSkewed" | "RequestExpired")
        || (matches!(answer.status, 401 | 403) && answer.skew_s > MAX_SKEW_S);
    if is_skew {
        let text = format!(
            "the clock of this machine is {} s away from the store's: set it right, for example with NTP",
            answer.skew_s
        );
        return (ErrorKind::Auth, "clock", Some(text));
    }
    if no_place(answer) {
        return (ErrorKind::NotFound, "bucket", hint(NO_BUCKET));
    }
    if answer.is_in_progress() {
        return (ErrorKind::Capacity, "busy", None);
    }
    if let Some(found) = by_code(code, answer) {
        return found;
    }
    match (answer.status, error.kind()) {
        (401, _) => (ErrorKind::Auth, "auth", hint("the store does not accept these credentials")),
        (403, _) => (
            ErrorKind::Auth,
            "denied",
            hint(
                "let these credentials read, write, list and delete below the prefix; without the right to list, stores \
                 also deny what is not there",
            ),
        ),
        (404, _) => (ErrorKind::NotFound, "not_found", None),
        (409 | 412, _) => (ErrorKind::Conflict, "conflict", None),
        (408 | 429 | 503 | 509, _) => {
            (ErrorKind::Capacity, "busy", hint("the store asks for fewer requests: run later, or with less `parallel`"))
        }
        (405 | 501, _) | (_, Kind::Unsupported) => (
            ErrorKind::Unsupported,
            "unsupported",
            hint("this store lacks a request that is needed; try `publish: direct`"),
        ),
        (500..=599, _) => {
            (ErrorKind::Connection, "server", hint("the store has a failure of its own: run again later"))
        }
        (301 | 302 | 307, _) => {
            (ErrorKind::Config, "region", hint("the bucket is elsewhere: set `region` or `endpoint`"))
        }
        _ => (ErrorKind::Io, "refused", None),
    }
}

/// No answer: the way to the store, or what is done on this side before a request is sent.
fn unanswered(error: &opendal::Error, answer: Option<Answer>, text: &str, scheme: &str) -> PluginError {
    let told = |kind, code: &str| PluginError::new(kind, &format!("{scheme}.{code}"), text);
    match answer {
        Some(answer) if answer.is_unsigned && error.is_temporary() => away(scheme, text, answer.wait),
        Some(answer) if answer.is_unsigned => told(ErrorKind::Auth, "credentials")
            .cause(error.message())
            .hint("the credentials could not be fetched or used: see where they come from with `-v`"),
        Some(Answer { tls: Some(trouble), trouble: cause, .. }) => {
            let (kind, hint) = match trouble {
                TlsTrouble::Certificate => (
                    ErrorKind::Auth,
                    "let `ca_file` name the authority that signed the endpoint's certificate, and `endpoint` a host that \
                     it is for",
                ),
                TlsTrouble::Plain => {
                    (ErrorKind::Config, "the endpoint does not speak TLS there: check its port, or write `http://`")
                }
            };
            told(kind, "tls").cause(cause).hint(hint)
        }
        Some(answer) => told(ErrorKind::Connection, "connection")
            .cause(answer.trouble)
            .retry(Retry::SameSession)
            .hint("check the endpoint, the network and the proxy variables"),
        None if error.kind() == Kind::ConfigInvalid => told(ErrorKind::Config, "config").cause(error.message()),
        None if error.kind() == Kind::Unsupported => told(ErrorKind::Unsupported, "unsupported").cause(error.message()),
        // Nothing was refused: what came is no answer, or not all of one.
        None => told(ErrorKind::Connection, "answer")
            .cause("the answer broke off, or is none")
            .retry(Retry::SameSession)
            .hint("look at what is between rivet and the store, and run again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: Kind, status: u16, code: &str, skew_s: u64) -> PluginError {
        let answer = Answer { status, code: Some(code.to_owned()), skew_s, ..Answer::default() };
        let error = opendal::Error::new(kind, "hunter2 in a body");
        Refused::Store { error: Box::new(error), answer: Some(answer) }.while_("write 'x'", "s3", "s3://b/p")
    }

    #[test]
    fn each_class_has_a_category_a_code_and_a_hint() {
        for (kind, status, code, skew_s, expected) in [
            (Kind::ConfigInvalid, 404, "NoSuchBucket", 0, (ErrorKind::NotFound, "s3.bucket")),
            (Kind::PermissionDenied, 403, "AccessDenied", 0, (ErrorKind::Auth, "s3.denied")),
            (Kind::PermissionDenied, 403, "InvalidAccessKeyId", 0, (ErrorKind::Auth, "s3.auth")),
            (Kind::PermissionDenied, 403, "AuthorizationFailure", 0, (ErrorKind::Auth, "s3.auth")),
            (Kind::PermissionDenied, 403, "RequestTimeTooSkewed", 901, (ErrorKind::Auth, "s3.clock")),
            (Kind::PermissionDenied, 403, "AuthenticationFailed", 901, (ErrorKind::Auth, "s3.clock")),
            (Kind::Unexpected, 400, "ExpiredToken", 0, (ErrorKind::Auth, "s3.expired")),
            (Kind::Unexpected, 400, "AuthorizationHeaderMalformed", 0, (ErrorKind::Config, "s3.region")),
            (Kind::RateLimited, 503, "SlowDown", 0, (ErrorKind::Capacity, "s3.busy")),
            (Kind::Unexpected, 500, "InternalError", 0, (ErrorKind::Connection, "s3.server")),
        ] {
            let error = told(kind, status, code, skew_s);
            assert_eq!((error.kind(), error.code()), expected, "{code}");
            assert!(error.hint_text().is_some(), "{code}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            let again = matches!(error.kind(), ErrorKind::Capacity | ErrorKind::Connection);
            assert_eq!(error.retry_class() == Retry::SameSession, again, "{code}");
        }
    }

    #[test]
    fn what_is_no_answer_is_asked_for_again() {
        let error = opendal::Error::new(Kind::Unexpected, "hunter2 in a body");
        let told = Refused::Store { error: Box::new(error), answer: None }.while_("read 'x'", "s3", "s3://b/p");
        assert_eq!(
            (told.kind(), told.code(), told.retry_class()),
            (ErrorKind::Connection, "s3.answer", Retry::SameSession)
        );
        assert!(!format!("{told:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_over_in_a_moment_is_no_conflict() {
        for (kind, status, code, expected) in [
            (Kind::ConditionNotMatch, 409, "ConditionalRequestConflict", (ErrorKind::Capacity, "s3.busy")),
            (Kind::Conflict, 409, "OperationAborted", (ErrorKind::Capacity, "s3.busy")),
            (Kind::Unexpected, 409, "PendingCopyOperation", (ErrorKind::Capacity, "s3.busy")),
            (Kind::NotFound, 404, "NoSuchUpload", (ErrorKind::Connection, "s3.upload_lost")),
        ] {
            let error = told(kind, status, code, 0);
            assert_eq!((error.kind(), error.code()), expected, "{code}");
            assert_eq!(error.retry_class(), Retry::SameSession, "{code}");
        }
        assert_eq!(told(Kind::ConditionNotMatch, 412, "PreconditionFailed", 0).kind(), ErrorKind::Conflict);
    }
}
