//! Credentials for Google Cloud Storage: service accounts, users of gcloud, machines, tokens.
//! Must not know how requests are signed.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::forward::ForwardProxy;
use rivet_test_servers::http::Response;
use rivet_test_servers::{gcs, rsa_key};
use serde_json::json;
use tempfile::TempDir;

use super::{Variables, bare, ensure_from, ensure_refused, owned, written};
use crate::place::{Kind, Place};
use crate::stand_in::{self, StandIn};
use crate::{config, data};

#[test]
fn from_each_place() -> Result<()> {
    let (_folder, file) = data(10)?;
    let mut place = Place::new(Kind::Gcs)?;
    let token = gcs::shared().token();
    let dir = TempDir::new()?;
    let key = rsa_key()?;
    let account = json!({
        "type": "service_account", "client_email": "exporter@project.iam.example", "private_key": key,
        "private_key_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
    });
    let user = json!({
        "type": "authorized_user", "client_id": "me", "client_secret": "canary-client",
        "refresh_token": "canary-refresh",
    });
    let account = written(dir.path(), "account.json", &account.to_string())?;
    let user = written(dir.path(), "home/.config/gcloud/application_default_credentials.json", &user.to_string())?;
    let home = dir.path().join("home").display().to_string();
    let in_key: String = key.lines().nth(1).context("a key")?.to_owned();
    let secrets = [token, "canary-client", "canary-refresh", &in_key];
    for (added, variables, words, said) in [
        (
            format!(", credentials_file: '{account}'"),
            owned(&[("GOOGLE_APPLICATION_CREDENTIALS", &user)]),
            &["jwt-bearer", "assertion="][..],
            "account.json', as the config says",
        ),
        (
            String::new(),
            owned(&[("GOOGLE_APPLICATION_CREDENTIALS", &account), ("HOME", &home)]),
            &["jwt-bearer", "assertion="],
            "the file that GOOGLE_APPLICATION_CREDENTIALS names",
        ),
        (
            String::new(),
            owned(&[("HOME", &home)]),
            &["canary-refresh", "canary-client"],
            "the application default credentials of gcloud",
        ),
    ] {
        let tls = TempDir::new()?;
        let answer = stand_in::token_service(words, token.to_owned());
        let service = StandIn::start_tls(answer, &["oauth2.googleapis.com"], &tls.path().join("tls"))?;
        let port = service.port();
        let proxy = ForwardProxy::start(Box::new(move |to| (to == "oauth2.googleapis.com:443").then_some(port)))?;
        let added = format!("{added}, ca_file: '{}'", tls.path().join("tls/ca.pem").display());
        let mut variables = variables;
        variables.push(("HTTPS_PROXY", format!("http://{}", proxy.address())));
        variables.push(("NO_PROXY", "127.0.0.1".to_owned()));
        ensure_from(&file, &place, &added, &variables, said, &secrets)?;
        service.ensure_kept(8)?;
    }
    let machine = StandIn::start(stand_in::machine_of_google(|| gcs::shared().token().to_owned()))?;
    let variables = vec![("GCE_METADATA_HOST", format!("127.0.0.1:{}", machine.port()))];
    ensure_from(&file, &place, "", &variables, "the machine's service account", &secrets)?;
    machine.ensure_kept(8)?;
    let variables = owned(&[("T", token)]);
    ensure_from(&file, &place, ", access_token_env: T", &variables, "the variable T, as the config says", &secrets)?;
    place.port = gcs::shared().open_port();
    ensure_from(&file, &place, ", allow_anonymous: true", &variables, "`allow_anonymous` says", &secrets).map(drop)
}

#[test]
fn in_a_file_that_is_not_there() -> Result<()> {
    let (_folder, file) = data(10)?;
    let place = Place::new(Kind::Gcs)?;
    let workspace = Workspace::new(&config(&file, "", &bare(&place, ", credentials_file: nowhere/account.json")))?;
    for command in ["doctor", "run"] {
        // Runs of others lie there.
        let ran = workspace.rivet(&[command])?;
        ensure!(ran.code.is_some_and(|code| code != 0), "{command}: {}", ran.stderr);
        let all = format!("{}{}", ran.stderr, String::from_utf8_lossy(&ran.stdout));
        ensure!(all.contains("nowhere/account.json' cannot be read"), "{command}: {all}");
    }
    let ran = workspace.rivet(&["check"])?.expect(1)?;
    let words = ["the destination of export '", "needs the file '", "nowhere/account.json': No such file"];
    ensure!(words.iter().all(|word| ran.stderr.contains(word)), "{}", ran.stderr);
    let both = ", credentials_file: a.json, allow_anonymous: true";
    ensure_refused(
        &file,
        &place,
        both,
        &Variables::new(),
        &["`credentials_file` and `allow_anonymous` are both set"],
        &[],
    )
}

#[test]
fn of_a_machine_that_is_away_when_the_store_is_opened() -> Result<()> {
    let (_folder, file) = data(10)?;
    let place = Place::new(Kind::Gcs)?;
    // Away, with a wait that is longer than a call: the scheduler may come again. Refused: somebody has to mend it.
    for (status, exit, words) in
        [(503, 2, "failed to fetch credentials from the machine's service account"), (403, 1, "no usable credentials")]
    {
        let machine = StandIn::start(Box::new(move |_| Some(Response::new(status, "").with("retry-after", "60"))))?;
        let workspace = Workspace::new(&config(&file, "", &bare(&place, "")))?
            .with_variable("GCE_METADATA_HOST", &format!("127.0.0.1:{}", machine.port()));
        let ran = workspace.rivet(&["run"])?.expect(exit)?;
        ensure!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    assert_eq!(place.keys()?, [""; 0]);
    Ok(())
}
