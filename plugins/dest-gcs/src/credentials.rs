//! Where the credentials for Google Cloud Storage come from: the config, the environment, or what Google's own tools look at.
//! It must not know what they are for, and never shows a value.

use std::path::Path;
use std::sync::Arc;

use reqsign_core::{Context, ProvideCredential};
use reqsign_google::{
    Credential, EnvCredentialProvider, FileCredentialProvider, ServiceAccountTokenCredentialProvider,
    TokenCredentialProvider, VmMetadataCredentialProvider, WellKnownCredentialProvider,
};
use rivet_plugin_api::{Cx, Result};
use rivet_shared_object::{Candidate, Candidates, Provider, Talks, found, variable};

use crate::error::wrong;
use crate::options::GcsOptions;
use crate::store::SCHEME;

/// What the token of a credential is good for.
pub const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

const HINT: &str = "set `credentials_file`, or GOOGLE_APPLICATION_CREDENTIALS in the environment, or run \
                    `gcloud auth application-default login`";

/// What signs requests; nothing where they are not to be signed.
///
/// # Errors
/// `Config` when keys contradict each other or the file is none of credentials, `Auth` when there are no credentials.
pub fn find(options: &GcsOptions, talks: &Talks, cx: &Cx) -> Result<Option<Provider<Credential>>> {
    let keys = [
        ("credentials_file", options.credentials_file.is_some()),
        ("access_token_env", options.access_token_env.is_some()),
        ("allow_anonymous", options.allow_anonymous),
    ];
    let set: Vec<&str> = keys.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
    if let [first, second, ..] = set[..] {
        let text = format!("`{first}` and `{second}` are both set");
        return Err(wrong("credentials", text, "credentials come from one place: keep one of them"));
    }
    if let Some(name) = &options.access_token_env {
        let token = variable("access_token_env", name)?;
        tracing::info!("gcs: the access token comes from the variable {name}, as the config says");
        return Ok(Some(Arc::new(TokenCredentialProvider::new(token.expose()))));
    }
    if options.allow_anonymous {
        tracing::info!("gcs: requests are not signed, as `allow_anonymous` says");
        return Ok(None);
    }
    if let Some(file) = &options.credentials_file {
        is_of_credentials(file)?;
        tracing::info!("gcs: credentials come from the file '{}', as the config says", file.display());
        return Ok(Some(Arc::new(Token(FileCredentialProvider::new(file.to_string_lossy()).with_scope(SCOPE)))));
    }
    if let Some(file) = found("GOOGLE_APPLICATION_CREDENTIALS") {
        is_of_credentials(Path::new(file.expose()))?;
        tracing::info!("gcs: credentials come from the file that GOOGLE_APPLICATION_CREDENTIALS names");
        return Ok(Some(Arc::new(Token(EnvCredentialProvider::new().with_scope(SCOPE)))));
    }
    let candidate = |what: &str, provider: Provider<Credential>, is_named| {
        let what = what.to_owned();
        Candidate { what, provider, is_named }
    };
    let of_gcloud = Token(WellKnownCredentialProvider::new().with_scope(SCOPE));
    let of_machine = VmMetadataCredentialProvider::new().with_scope(SCOPE);
    let has_machine = found("GCE_METADATA_HOST").is_some();
    let candidates = vec![
        candidate("the application default credentials of gcloud", Arc::new(of_gcloud), false),
        candidate("the machine's service account", Arc::new(of_machine), has_machine),
    ];
    Candidates(candidates).first(SCHEME, HINT, talks, cx).map(Some)
}

/// Credentials as a token, which is good for many requests: the key of a service account would be exchanged for one for each of
/// them.
#[derive(Debug)]
struct Token<P>(P);

impl<P: ProvideCredential<Credential = Credential>> ProvideCredential for Token<P> {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Credential>> {
        match self.0.provide_credential(context).await? {
            Some(Credential { service_account: Some(account), .. }) => {
                let exchanged = ServiceAccountTokenCredentialProvider::new(account).with_scope(SCOPE);
                exchanged.provide_credential(context).await
            }
            found => Ok(found),
        }
    }
}

/// The file is there, and is what Google calls credentials.
fn is_of_credentials(file: &Path) -> Result<()> {
    let unusable = |what: &str| {
        let text = format!("the credentials file '{}' {what}", file.display());
        let hint = "it must be the JSON of a service account, or of `gcloud auth application-default login`";
        wrong("credentials_file", text, hint)
    };
    let text = std::fs::read_to_string(file).map_err(|e| unusable("cannot be read").cause(e))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|_| unusable("is no JSON"))?;
    let known = ["service_account", "authorized_user", "external_account", "impersonated_service_account"];
    match json["type"].as_str() {
        Some(kind) if known.contains(&kind) => Ok(()),
        _ => Err(unusable("has no `type` of credentials")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_credentials_is_refused_without_its_content() {
        let file = std::env::temp_dir().join(format!("rivet-gcs-{}.json", std::process::id()));
        for (content, message) in [
            (None, "cannot be read"),
            (Some("hunter2"), "is no JSON"),
            (Some(r#"{"type": "hunter2"}"#), "has no `type` of credentials"),
        ] {
            if let Some(content) = content {
                std::fs::write(&file, content).expect("written");
            }
            let error = is_of_credentials(&file).expect_err(message);
            assert!(error.message().ends_with(message), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        std::fs::write(&file, r#"{"type": "authorized_user"}"#).expect("written");
        assert!(is_of_credentials(&file).is_ok());
        std::fs::remove_file(&file).expect("removed");
    }
}
