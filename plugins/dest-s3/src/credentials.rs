//! Where the credentials for S3 come from: the config, the environment, or what Amazon's own tools look at.
//! It must not know what they are for, and never shows a value.

use std::sync::Arc;

use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, IMDSv2CredentialProvider,
    ProfileCredentialProvider, SSOCredentialProvider, StaticCredentialProvider,
};
use rivet_plugin_api::{Cx, Result, Secret};
use rivet_shared_object::{Candidate, Candidates, Provider, Talks, found, pair, variable};

use crate::error::wrong;
use crate::options::S3Options;
use crate::profile;
use crate::store::SCHEME;

const HINT: &str = "set `access_key_env` and `secret_key_env` to the names of two variables, or `profile`, or \
                    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment";

/// What signs requests; nothing where they are not to be signed.
///
/// # Errors
/// `Config` when keys contradict each other or are incomplete, `Auth` when there are no credentials.
pub fn find(options: &S3Options, talks: &Talks, cx: &Cx) -> Result<Option<Provider<Credential>>> {
    let keys =
        pair(["access_key_env", "secret_key_env"], [options.access_key_env.as_ref(), options.secret_key_env.as_ref()])?;
    let contradicting = |text: &str| wrong("credentials", text, "credentials come from one place: keep one of them");
    if keys.is_none() && options.session_token_env.is_some() {
        return Err(wrong(
            "credentials",
            "`session_token_env` is set without `access_key_env`",
            "a session token belongs to the two keys that came with it",
        ));
    }
    match (keys, &options.profile, options.allow_anonymous) {
        (None, None, true) => {
            tracing::info!("s3: requests are not signed, as `allow_anonymous` says");
            Ok(None)
        }
        (Some(_), _, true) | (_, Some(_), true) => Err(contradicting("`allow_anonymous` is set beside credentials")),
        (Some(_), Some(_), _) => Err(contradicting("`profile` is set beside `access_key_env`")),
        (Some([access, secret]), None, false) => {
            let token =
                options.session_token_env.as_ref().map(|name| variable("session_token_env", name)).transpose()?;
            let keys = [variable("access_key_env", access)?, variable("secret_key_env", secret)?];
            tracing::info!("s3: credentials come from the variables {access} and {secret}, as the config says");
            Ok(Some(of_keys(&keys, token.as_ref())))
        }
        (None, Some(name), false) => {
            profile::ensure_whole(Some(name))?;
            let what = format!("profile '{}' of the AWS configuration files", name.escape_debug());
            let of_profile: [Provider<Credential>; 2] = [
                Arc::new(ProfileCredentialProvider::default().with_profile(name.clone())),
                Arc::new(SSOCredentialProvider::default().with_profile(name.clone())),
            ];
            let [keys, sso] = of_profile;
            let candidates = vec![
                Candidate { what: what.clone(), provider: keys, is_named: false },
                Candidate { what, provider: sso, is_named: true },
            ];
            Candidates(candidates).first(SCHEME, "run `aws configure` or `aws sso login` for it", talks, cx).map(Some)
        }
        (None, None, false) => of_surroundings(talks, cx).map(Some),
    }
}

/// The environment's keys, else what Amazon's tools look at.
fn of_surroundings(talks: &Talks, cx: &Cx) -> Result<Provider<Credential>> {
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    if let Some(keys) = pair(names, names.map(found))? {
        tracing::info!("s3: credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment");
        return Ok(of_keys(&keys, found("AWS_SESSION_TOKEN").as_ref()));
    }
    profile::ensure_whole(None)?;
    let candidate = |what: &str, provider: Provider<Credential>, names: &[&str]| Candidate {
        what: what.to_owned(),
        provider,
        is_named: names.iter().any(|name| found(name).is_some()),
    };
    let token = Arc::new(AssumeRoleWithWebIdentityCredentialProvider::default());
    let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    let candidates = vec![
        candidate("the AWS configuration files", Arc::new(ProfileCredentialProvider::default()), &[]),
        // Of the same profile.
        candidate("AWS single sign-on", Arc::new(SSOCredentialProvider::default()), &["AWS_PROFILE"]),
        candidate("a web identity token", token, &["AWS_WEB_IDENTITY_TOKEN_FILE"]),
        candidate("the container's role", Arc::new(ECSCredentialProvider::default()), &container),
        candidate("the machine's role", Arc::new(IMDSv2CredentialProvider::default()), &[]),
    ];
    Candidates(candidates).first(SCHEME, HINT, talks, cx)
}

fn of_keys([access, secret]: &[Secret; 2], token: Option<&Secret>) -> Provider<Credential> {
    let keys = StaticCredentialProvider::new(access.expose(), secret.expose());
    Arc::new(match token {
        Some(token) => keys.with_session_token(token.expose()),
        None => keys,
    })
}
