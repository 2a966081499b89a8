//! What a store answered when it refused, as far as it is safe to show: a status, a code, how long to wait.
//! It must not know what was asked, nor what to do about it.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response, StatusCode};
use opendal::Buffer;

/// Longest code that is believed to be one.
const MAX_CODE_BYTES: usize = 64;
/// Longest wait that a store may ask for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// A refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; 0 where no answer came.
    pub status: u16,
    /// Nothing was asked, since there were no credentials to sign it with.
    pub is_unsigned: bool,
    /// TLS did not come about: another attempt would end the same.
    pub tls: Option<TlsTrouble>,
    /// What the way to the store failed with, where no answer came.
    pub trouble: String,
    /// The store's own code, such as `NoSuchBucket`.
    pub code: Option<String>,
    /// How long the store wants us to wait.
    pub wait: Option<Duration>,
    /// The region that the store says the bucket is in.
    pub region: Option<String>,
    /// How far our clock is from the store's, seconds.
    pub skew_s: u64,
}

impl Answer {
    /// Reads a response that is no success.
    pub fn of(response: &Response<Buffer>) -> Self {
        let headers = response.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let body = response.body().to_bytes();
        Self {
            status: response.status().as_u16(),
            is_unsigned: false,
            tls: None,
            trouble: String::new(),
            code: text("x-ms-error-code").and_then(word).or_else(|| code_in(&String::from_utf8_lossy(&body))),
            wait: wait(headers),
            region: text("x-amz-bucket-region").and_then(word),
            skew_s: text("date").and_then(skew_s).unwrap_or(0),
        }
    }

    /// Nothing was asked.
    pub fn unsigned() -> Self {
        Self { is_unsigned: true, ..Self::default() }
    }

    /// No answer came: the error of the client, which names no URL, with its causes.
    pub fn none(error: &opendal::Error) -> Self {
        let (mut causes, mut tls) = (Vec::new(), None);
        let mut source = std::error::Error::source(error);
        while let Some(e) = source {
            tls = tls.or_else(|| TlsTrouble::of(e));
            let text = e.to_string();
            if !causes.contains(&text) {
                causes.push(text);
            }
            source = e.source();
        }
        Self { trouble: causes.join(": "), tls, ..Self::default() }
    }

    /// Whether another request for the same object is being worked on, which says nothing of how it ends.
    pub fn is_in_progress(&self) -> bool {
        matches!(self.code.as_deref(), Some("ConditionalRequestConflict" | "OperationAborted" | "PendingCopyOperation"))
    }

    /// Whether other credentials of the same place may do, since these have ended.
    pub fn is_expired(&self) -> bool {
        self.status == 401 || matches!(self.code.as_deref(), Some("ExpiredToken" | "TokenRefreshRequired"))
    }

    /// Whether something else arrived than was sent.
    fn is_torn(&self) -> bool {
        matches!(self.code.as_deref(), Some("BadDigest" | "Md5Mismatch" | "XAmzContentChecksumMismatch"))
    }

    /// Whether it is over in a moment, or the way is: not so where we were not let in.
    pub fn is_passing(&self) -> bool {
        self.is_temporary() || (self.status == 0 && self.tls.is_none())
    }

    /// Whether the same request may be answered otherwise in a moment.
    pub fn is_temporary(&self) -> bool {
        self.is_in_progress()
            || self.is_torn()
            || matches!(
                StatusCode::from_u16(self.status),
                Ok(StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::INTERNAL_SERVER_ERROR
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT)
            )
    }
}

/// Why TLS did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsTrouble {
    /// Nobody whom we trust says that the server is who it should be.
    Certificate,
    /// What was answered is no TLS.
    Plain,
}

impl TlsTrouble {
    fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        // Errors of the operating system's kind hide what they hold from `source`.
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Self::of(error.get_ref()?);
        }
        match error.downcast_ref()? {
            rustls::Error::InvalidCertificate(_) => Some(Self::Certificate),
            rustls::Error::InvalidMessage(_) => Some(Self::Plain),
            _ => None,
        }
    }
}

/// How long to wait: seconds, as every store says it.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

/// The code in a body: `<Code>…</Code>` of XML, or the first `"reason"` or `"error"` of JSON.
fn code_in(body: &str) -> Option<String> {
    if let Some((_, rest)) = body.split_once("<Code>") {
        return word(rest.split_once("</Code>")?.0);
    }
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let reasons = [&json["error"]["errors"][0]["reason"], &json["error"]["status"], &json["error"]];
    reasons.into_iter().find_map(|reason| word(reason.as_str()?))
}

/// A code is one short word; nothing else of an answer is shown.
fn word(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (!text.is_empty() && text.len() <= MAX_CODE_BYTES && text.bytes().all(plain)).then(|| text.to_owned())
}

fn skew_s(date: &str) -> Option<u64> {
    let theirs = seconds(date)?;
    let ours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(ours.abs_diff(theirs))
}

/// Seconds since 1970 of an HTTP date, as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn seconds(date: &str) -> Option<u64> {
    let words: Vec<&str> = date.split([' ', ':', ',']).filter(|word| !word.is_empty()).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = words[..] else { return None };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? as u64 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    // Days from civil, with the year beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = (365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day).checked_sub(719_469)?;
    let clock = [hour, minute, second].map(str::parse::<u64>);
    let [Ok(h), Ok(min), Ok(s)] = clock else { return None };
    Some(days * 86_400 + h * 3_600 + min * 60 + s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_status_and_one_word() {
        let response = |status: u16, headers: &[(&str, &str)], body: &str| {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            Answer::of(&response.body(Buffer::from(body.to_owned())).expect("a response"))
        };
        let xml = "<Error><Code>SlowDown</Code><Message>hunter2</Message></Error>";
        let answer = response(503, &[("retry-after", "7")], xml);
        assert_eq!((answer.code.as_deref(), answer.wait), (Some("SlowDown"), Some(Duration::from_secs(7))));
        assert!(answer.is_temporary());
        for (status, code, busy) in [
            (409, "ConditionalRequestConflict", true),
            (409, "OperationAborted", true),
            (409, "PendingCopyOperation", true),
            (409, "BlobAlreadyExists", false),
            (412, "PreconditionFailed", false),
        ] {
            let answer = response(status, &[], &format!("<Error><Code>{code}</Code></Error>"));
            assert_eq!((answer.is_in_progress(), answer.is_temporary()), (busy, busy), "{code}");
        }
        let json = r#"{"error": {"code": 403, "message": "hunter2", "errors": [{"reason": "forbidden"}]}}"#;
        assert_eq!(response(403, &[], json).code.as_deref(), Some("forbidden"));
        let answer = response(404, &[("x-ms-error-code", "ContainerNotFound")], "");
        assert_eq!((answer.code.as_deref(), answer.is_temporary()), (Some("ContainerNotFound"), false));
        for strange in ["<Code>a b</Code>", "<Code></Code>", "<Code>\u{1b}[31m</Code>", "{", ""] {
            assert_eq!(response(400, &[], strange).code, None, "{strange}");
        }
    }

    #[test]
    fn dates_of_http_are_read() {
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Mon, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("yesterday", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }
}
