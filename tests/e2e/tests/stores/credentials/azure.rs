//! Credentials for Azure: account keys, shared access signatures, identities.
//! Must not know how requests are signed.

use std::sync::Arc;

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::azure;
use rivet_test_servers::http::{Fate, HttpProxy, Request, Response};
use tempfile::TempDir;

use super::{bare, ensure_from, ensure_refused, owned, written};
use crate::place::{Kind, Place};
use crate::stand_in::{self, StandIn};
use crate::{config, data};

/// The account behind a door that takes this token of an identity, and shows the account a signature that it knows.
fn behind_identity(token: &'static str) -> Result<HttpProxy> {
    let sas = azure::shared().sas(60)?;
    HttpProxy::start(
        azure::shared().port(),
        Arc::new(move |request: &Request, server: &_| {
            if request.header("authorization") != Some(&format!("Bearer {token}")) {
                return Fate::Answer(Response::new(401, "").with("x-ms-error-code", "InvalidAuthenticationInfo"));
            }
            let mut signed = request.clone();
            signed.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            signed.target += if request.target.contains('?') { "&" } else { "?" };
            signed.target += &sas;
            Fate::Answer(server.ask(&signed).unwrap_or_else(|_| Response::new(500, "")))
        }),
    )
}

#[test]
fn by_key_and_signature() -> Result<()> {
    let (_folder, file) = data(10)?;
    let place = Place::new(Kind::Azure)?;
    let (key, long, short) = (azure::shared().key(), azure::shared().sas(90)?, azure::shared().sas(30)?);
    let question = format!("?{long}");
    for (added, variables, said, warned) in [
        (
            ", account_key_env: K",
            owned(&[("K", key), ("AZURE_STORAGE_KEY", "X")]),
            "the variable K, as the config",
            false,
        ),
        (
            ", sas_token_env: S",
            owned(&[("S", &long), ("AZURE_STORAGE_KEY", "X")]),
            "the variable S, as the config",
            false,
        ),
        (", sas_token_env: S", owned(&[("S", &question)]), "the variable S, as the config", false),
        (", sas_token_env: S", owned(&[("S", &short)]), "the variable S, as the config", true),
        ("", owned(&[("AZURE_STORAGE_KEY", key)]), "AZURE_STORAGE_KEY in the environment", false),
        ("", owned(&[("AZURE_STORAGE_SAS_TOKEN", &long)]), "AZURE_STORAGE_SAS_TOKEN in the environment", false),
    ] {
        let signature = |sas: &str| sas.split_once("sig=").map(|(_, sig)| sig.to_owned()).unwrap_or_default();
        let secrets = [key, &signature(&long), &signature(&short)];
        let ran = ensure_from(&file, &place, added, &variables, said, &secrets)?;
        ensure!(ran.stderr.contains("the shared access signature ends in") == warned, "{}", ran.stderr);
    }
    // The account may be named by the environment, as Microsoft's own tools have it.
    let whole = config(&file, "", &bare(&place, ""));
    let unnamed = whole.replace(", account_name: rivetaccount", "");
    ensure!(whole != unnamed, "{whole}");
    for (name, exit) in [("AZURE_STORAGE_ACCOUNT", 0), ("SOME_ACCOUNT", 1)] {
        let workspace =
            Workspace::new(&unnamed)?.with_variable("AZURE_STORAGE_KEY", key).with_variable(name, "rivetaccount");
        let ran = workspace.rivet(&["run", "--force"])?.expect(exit)?;
        ensure!(ran.stderr.contains("set `account_name`") == (exit != 0), "{}", ran.stderr);
    }
    let place = Place::new(Kind::Azure)?;
    let ended = azure::shared().sas(-5)?;
    for (keys, variables, word) in [
        (", sas_token_env: S", owned(&[("S", &ended)]), "the shared access signature ended 5 min ago"),
        (", sas_token_env: S", owned(&[("S", "canary-no-signature")]), "'S' holds no shared access signature"),
        (", account_key_env: K", owned(&[("K", "canary_no_key")]), "'K' holds no account key"),
        (
            ", account_key_env: K, sas_token_env: S",
            owned(&[("K", key)]),
            "`account_key_env` and `sas_token_env` are both",
        ),
    ] {
        ensure_refused(&file, &place, keys, &variables, &[word], &[key, "canary-no-signature", "canary_no_key"])?;
    }
    Ok(())
}

#[test]
fn from_identities() -> Result<()> {
    const TOKEN: &str = "canary-identity-token";
    let (_folder, file) = data(10)?;
    let mut place = Place::new(Kind::Azure)?;
    let door = behind_identity(TOKEN)?;
    place.port = door.port();
    let dir = TempDir::new()?;
    let secrets = [TOKEN, "canary-client-secret", "canary-federated"];
    let login = |words| StandIn::start(stand_in::token_service(words, TOKEN.to_owned()));
    let tenant = |port: u16| {
        vec![
            ("AZURE_TENANT_ID", "a-tenant".to_owned()),
            ("AZURE_CLIENT_ID", "a-client".to_owned()),
            ("AZURE_AUTHORITY_HOST", format!("http://127.0.0.1:{port}")),
        ]
    };
    let service = login(&["canary-client-secret", "a-client"])?;
    let mut variables = tenant(service.port());
    variables.push(("AZURE_CLIENT_SECRET", "canary-client-secret".to_owned()));
    ensure_from(&file, &place, "", &variables, "a client secret in the environment", &secrets)?;
    service.ensure_kept(8)?;

    let service = login(&["canary-federated", "a-client"])?;
    let mut variables = tenant(service.port());
    variables.push(("AZURE_FEDERATED_TOKEN_FILE", written(dir.path(), "federated", "canary-federated")?));
    ensure_from(&file, &place, "", &variables, "a workload identity", &secrets)?;
    service.ensure_kept(8)?;

    let machine = StandIn::start(stand_in::machine_of_microsoft(TOKEN.to_owned()))?;
    let variables =
        vec![("AZURE_IMDS_ENDPOINT", format!("http://127.0.0.1:{}/metadata/identity/oauth2/token", machine.port()))];
    ensure_from(&file, &place, "", &variables, "the machine's managed identity", &secrets)?;
    machine.ensure_kept(8)
}
