//! Where the credentials for Azure come from: the config, the environment, or what Microsoft's own tools look at.
//! It must not know what they are for, and never shows a value.

use std::sync::Arc;

use reqsign_azure_storage::{
    ClientSecretCredentialProvider, Credential, ImdsCredentialProvider, StaticCredentialProvider,
    WorkloadIdentityCredentialProvider,
};
use rivet_plugin_api::{Cx, Result, Secret};
use rivet_shared_object::{Candidate, Candidates, Provider, Talks, found, variable};

use crate::error::wrong;
use crate::expiry;
use crate::options::AzureOptions;
use crate::store::SCHEME;

const HINT: &str = "set `account_key_env` or `sas_token_env` to the name of a variable, or AZURE_STORAGE_KEY or \
                    AZURE_STORAGE_SAS_TOKEN in the environment";

/// What signs requests; nothing where they are not to be signed.
///
/// # Errors
/// `Config` when keys contradict each other, `Auth` when there are no credentials or a signature has expired.
pub fn find(
    options: &AzureOptions,
    account: Option<&str>,
    talks: &Talks,
    cx: &Cx,
) -> Result<Option<Provider<Credential>>> {
    let keys = [
        ("account_key_env", options.account_key_env.is_some()),
        ("sas_token_env", options.sas_token_env.is_some()),
        ("allow_anonymous", options.allow_anonymous),
    ];
    let set: Vec<&str> = keys.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
    if let [first, second, ..] = set[..] {
        let text = format!("`{first}` and `{second}` are both set");
        return Err(wrong("credentials", text, "credentials come from one place: keep one of them"));
    }
    if let Some(name) = &options.account_key_env {
        let provider = of_key(account, &variable("account_key_env", name)?, name)?;
        tracing::info!("azure: the account key comes from the variable {name}, as the config says");
        return Ok(Some(provider));
    }
    if let Some(name) = &options.sas_token_env {
        let provider = of_signature(&variable("sas_token_env", name)?, name, cx)?;
        tracing::info!("azure: the shared access signature comes from the variable {name}, as the config says");
        return Ok(Some(provider));
    }
    if options.allow_anonymous {
        tracing::info!("azure: requests are not signed, as `allow_anonymous` says");
        return Ok(None);
    }
    for name in ["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"] {
        if let Some(key) = found(name) {
            tracing::info!("azure: the account key comes from {name} in the environment");
            return of_key(account, &key, name).map(Some);
        }
    }
    if let Some(signature) = found("AZURE_STORAGE_SAS_TOKEN") {
        tracing::info!("azure: the shared access signature comes from AZURE_STORAGE_SAS_TOKEN in the environment");
        return of_signature(&signature, "AZURE_STORAGE_SAS_TOKEN", cx).map(Some);
    }
    let candidate = |what: &str, provider: Provider<Credential>, variable: Option<&str>| Candidate {
        what: what.to_owned(),
        provider,
        is_named: variable.and_then(found).is_some(),
    };
    let (secret, workload) = (ClientSecretCredentialProvider::new(), WorkloadIdentityCredentialProvider::new());
    let candidates = vec![
        candidate("a client secret in the environment", Arc::new(secret), Some("AZURE_CLIENT_SECRET")),
        candidate("a workload identity", Arc::new(workload), Some("AZURE_FEDERATED_TOKEN_FILE")),
        candidate(
            "the machine's managed identity",
            Arc::new(ImdsCredentialProvider::new()),
            Some("AZURE_IMDS_ENDPOINT"),
        ),
    ];
    Candidates(candidates).first(SCHEME, HINT, talks, cx).map(Some)
}

fn of_key(account: Option<&str>, key: &Secret, name: &str) -> Result<Provider<Credential>> {
    let wrong = |text: String, hint: &str| Err(wrong("credentials", text, hint));
    let Some(account) = account else {
        return wrong("an account key is of no use without `account_name`".to_owned(), "set `account_name`");
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    if !key.expose().len().is_multiple_of(4) || !key.expose().bytes().all(plain) {
        return wrong(
            format!("the variable '{}' holds no account key", name.escape_debug()),
            "it is a text in base64; copy it from \"Access keys\" of the storage account",
        );
    }
    Ok(Arc::new(StaticCredentialProvider::new_shared_key(account, key.expose())))
}

fn of_signature(signature: &Secret, name: &str, cx: &Cx) -> Result<Provider<Credential>> {
    expiry::judge(signature.expose(), name, cx)?;
    Ok(Arc::new(StaticCredentialProvider::new_sas_token(signature.expose().trim_start_matches('?'))))
}
