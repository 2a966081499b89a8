//! Credentials for S3: keys, sessions of the store's own token service, profiles, roles of machines, containers and web identities.
//! Must not know how requests are signed.

use std::path::Path;

use anyhow::{Result, ensure};
use rivet_test_servers::forward::ForwardProxy;
use rivet_test_servers::s3;
use tempfile::TempDir;

use super::{Variables, ensure_from, ensure_refused, owned, written};
use crate::data;
use crate::place::{Kind, Place};
use crate::stand_in::{self, StandIn};

/// Every profile has session keys of the store's own token service.
fn profiles(dir: &Path, name: &str, [access, secret, token]: &[String; 3]) -> Result<String> {
    let text = format!(
        "[{name}]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\naws_session_token = {token}\n"
    );
    written(dir, ".aws/credentials", &text)
}

#[test]
fn from_the_config_the_environment_and_files() -> Result<()> {
    let (_folder, file) = data(10)?;
    let place = Place::new(Kind::S3)?;
    let keys = s3::shared().session()?;
    let [access, secret, token] = &keys;
    let home = TempDir::new()?;
    let of_lake = profiles(&home.path().join("lake"), "lake", &keys)?;
    profiles(home.path(), "default", &keys)?;
    let home = home.path().display().to_string();
    let own = ", access_key_env: A, secret_key_env: B, session_token_env: C";
    for (added, variables, said) in [
        (own, owned(&[("A", access), ("B", secret), ("C", token)]), "the variables A and B, as the config says"),
        // What the environment has is of somebody else.
        (
            own,
            owned(&[
                ("A", access),
                ("B", secret),
                ("C", token),
                ("AWS_ACCESS_KEY_ID", "X"),
                ("AWS_SESSION_TOKEN", "Y"),
            ]),
            "the variables A and B, as the config says",
        ),
        (
            "",
            owned(&[("AWS_ACCESS_KEY_ID", access), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_SESSION_TOKEN", token)]),
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
        ),
        (
            ", profile: lake",
            owned(&[
                ("AWS_SHARED_CREDENTIALS_FILE", &of_lake),
                ("AWS_ACCESS_KEY_ID", "X"),
                ("AWS_SECRET_ACCESS_KEY", "Y"),
            ]),
            "profile 'lake' of the AWS configuration files",
        ),
        (
            "",
            owned(&[("AWS_SHARED_CREDENTIALS_FILE", &of_lake), ("AWS_PROFILE", "lake")]),
            "the AWS configuration files",
        ),
        ("", owned(&[("HOME", &home)]), "the AWS configuration files"),
    ] {
        ensure_from(&file, &place, added, &variables, said, &[secret, token])?;
    }
    Ok(())
}

#[test]
fn from_roles() -> Result<()> {
    let (_folder, file) = data(10)?;
    let place = Place::new(Kind::S3)?;
    let keys = s3::shared().session()?;
    let secrets = [&*keys[1], &*keys[2], "canary-container", "canary-web-identity"];
    let machine = StandIn::start(stand_in::machine_of_amazon(keys.clone()))?;
    let variables = vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://127.0.0.1:{}", machine.port()))];
    ensure_from(&file, &place, "", &variables, "the machine's role", &secrets)?;
    machine.ensure_kept(20)?;

    let container = StandIn::start(stand_in::container_of_amazon(keys.clone()))?;
    let variables = vec![
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://127.0.0.1:{}/role", container.port())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-container".to_owned()),
    ];
    ensure_from(&file, &place, "", &variables, "the container's role", &secrets)?;
    container.ensure_kept(8)?;

    // The token service has Amazon's name: the way to it leads through a proxy, as in companies.
    let dir = TempDir::new()?;
    let names = ["sts.amazonaws.com", "sts.us-east-1.amazonaws.com"];
    let service = StandIn::start_tls(stand_in::token_service_of_amazon(keys.clone()), &names, &dir.path().join("tls"))?;
    let port = service.port();
    let proxy = ForwardProxy::start(Box::new(move |to| to.ends_with("amazonaws.com:443").then_some(port)))?;
    let added = format!(", ca_file: '{}'", dir.path().join("tls/ca.pem").display());
    let variables = vec![
        ("AWS_WEB_IDENTITY_TOKEN_FILE", written(dir.path(), "token", "canary-web-identity")?),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/exporter".to_owned()),
        ("HTTPS_PROXY", format!("http://me:canary-proxy-password@{}", proxy.address())),
        ("NO_PROXY", "127.0.0.1".to_owned()),
    ];
    let ran = ensure_from(&file, &place, &added, &variables, "a web identity token", &secrets)?;
    ensure!(!ran.stderr.contains("canary-proxy-password"), "{}", ran.stderr);
    service.ensure_kept(8)
}

#[test]
fn of_no_use() -> Result<()> {
    let (_folder, file) = data(10)?;
    let place = Place::new(Kind::S3)?;
    let [name, secret] = [s3::shared().access_key(), s3::shared().secret_key()];
    let home = TempDir::new()?;
    let half = written(home.path(), "half", &format!("[default]\naws_secret_access_key = {secret}\n"))?;
    let whole = format!("[default]\naws_access_key_id = {name}\naws_secret_access_key = {secret}\n");
    let whole = written(home.path(), "whole", &whole)?;
    let machine = s3::shared().session()?;
    let machine = StandIn::start(stand_in::machine_of_amazon(machine))?;
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://127.0.0.1:{}", machine.port()));
    for (keys, variables, words) in [
        (", access_key_env: A", owned(&[("A", name)]), &["`access_key_env` is set without `secret_key_env`"][..]),
        (", session_token_env: A", owned(&[("A", name)]), &["`session_token_env` is set without `access_key_env`"]),
        (
            ", access_key_env: A, secret_key_env: B",
            owned(&[("A", name), ("AWS_SECRET_ACCESS_KEY", secret)]),
            &["`secret_key_env` names the environment variable 'B', which is not set"],
        ),
        (
            "",
            owned(&[("AWS_SECRET_ACCESS_KEY", secret), ("AWS_SHARED_CREDENTIALS_FILE", &whole)]),
            &["`AWS_SECRET_ACCESS_KEY` is set without `AWS_ACCESS_KEY_ID`", "half a pair"],
        ),
        // The machine's role would do.
        ("", owned(&[("AWS_SHARED_CREDENTIALS_FILE", &half)]), &["half a pair"]),
        (
            ", profile: lake",
            owned(&[("AWS_SHARED_CREDENTIALS_FILE", &whole)]),
            &["no usable credentials in profile 'lake'", "aws configure"],
        ),
        ("", owned(&[("AWS_PROFILE", "lake"), ("AWS_SHARED_CREDENTIALS_FILE", &whole)]), &["no usable credentials"]),
        (
            ", allow_anonymous: true, profile: default",
            owned(&[("AWS_SHARED_CREDENTIALS_FILE", &whole)]),
            &["`allow_anonymous` is set beside credentials"],
        ),
        (", allow_anonymous: true", Variables::new(), &["answered 403"]),
        (
            "",
            owned(&[("AWS_EC2_METADATA_DISABLED", "true")]),
            &["there are no credentials; looked in the AWS configuration files", "the machine's role"],
        ),
    ] {
        let mut variables = variables;
        variables.push((metadata.0, metadata.1.clone()));
        ensure_refused(&file, &place, keys, &variables, words, &[secret])?;
    }
    Ok(())
}
