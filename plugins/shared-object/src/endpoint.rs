//! An endpoint of the user's own: where requests, and what signs them, go.
//! It must not know how a provider's own endpoints are called.

use rivet_plugin_api::{ErrorKind, PluginError, Result, is_local};

/// What the user has agreed to about an endpoint on another machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Consent {
    /// `allow_remote_endpoint`.
    pub remote: bool,
    /// `allow_http`.
    pub plain_text: bool,
}

/// The endpoint without a slash at its end. `is_providers` says whether a host is the provider's own, which needs no
/// consent; nor does this machine.
///
/// # Errors
/// `Config` when it is no URL, holds credentials, or is on another machine without consent.
pub fn endpoint(text: &str, is_providers: fn(&str) -> bool, consent: Consent) -> Result<String> {
    let wrong = |text: &str, hint: &str| PluginError::new(ErrorKind::Config, "store.endpoint", text).hint(hint);
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
        return Err(wrong("`endpoint` is no URL of http or https", "write it as `https://store.example:9000`"));
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(wrong("`endpoint` holds more than an address", "credentials and tokens have keys of their own"));
    }
    if !is_local(host) {
        if !is_providers(host) && !consent.remote {
            return Err(wrong(
                &format!("`endpoint` leads to '{host}', which is neither this machine nor the provider"),
                "everything that is exported goes there: set `allow_remote_endpoint: true` if that is meant",
            ));
        }
        if url.scheme() == "http" && !consent.plain_text {
            return Err(wrong(
                &format!("`endpoint` leads to '{host}' without encryption"),
                "use https, or set `allow_http: true` if plain text is meant",
            ));
        }
    }
    // As libraries write it: small letters, no port that is meant anyway.
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_needs_consent_and_plain_text_another_one() {
        let judged = |text: &str, remote, plain_text| {
            endpoint(text, |host| host.ends_with(".provider.example"), Consent { remote, plain_text })
        };
        for (text, remote, plain_text) in [
            ("http://127.0.0.1:9000/", false, false),
            ("http://localhost:9000", false, false),
            ("https://eu.provider.example", false, false),
            ("https://minio.corp", true, false),
            ("http://minio.corp:9000", true, true),
        ] {
            assert!(judged(text, remote, plain_text).is_ok(), "{text}");
        }
        let written = judged("HTTPS://Minio.Corp:443/Tenant/", true, false).expect("right");
        assert_eq!(written, "https://minio.corp/Tenant");
        for (text, remote, plain_text, message) in [
            (
                "https://minio.corp",
                false,
                true,
                "`endpoint` leads to 'minio.corp', which is neither this machine nor the provider",
            ),
            ("http://minio.corp", true, false, "`endpoint` leads to 'minio.corp' without encryption"),
            (
                "http://eu.provider.example",
                false,
                false,
                "`endpoint` leads to 'eu.provider.example' without encryption",
            ),
            ("minio.corp:9000", true, true, "`endpoint` is no URL of http or https"),
            ("https://me:secret@minio.corp", true, true, "`endpoint` holds more than an address"),
            ("https://minio.corp/?sig=secret", true, true, "`endpoint` holds more than an address"),
        ] {
            assert_eq!(judged(text, remote, plain_text).expect_err(text).message(), message);
        }
    }
}
