//! The way to a store: TLS by an authority of one's own, proxies, other machines, buckets in hosts.
//! Must not know what is stored.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace, no_secret};
use rivet_test_servers::forward::ForwardProxy;
use rivet_test_servers::http::{Fate, HttpProxy, Request, Server};
use rivet_test_servers::s3::{self, DOMAIN};
use tempfile::TempDir;

use crate::place::{Kind, Place};
use crate::{config, data};

const PROXY_PASSWORD: &str = "canary-proxy-password";

/// A front that speaks TLS and passes everything on; the authority is `ca.pem` in the folder.
fn front(port: u16, names: &[&str], dir: &Path) -> Result<HttpProxy> {
    let decide = |request: &Request, server: &Server| {
        let Ok(mut answer) = server.ask(request) else { return Fate::Drop };
        // The emulators do not know of the front when they say where an upload goes on.
        for (_, place) in answer.headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("location")) {
            *place = place.replacen("http://", "https://", 1);
        }
        Fate::Answer(answer)
    };
    HttpProxy::start_tls(port, Arc::new(decide), names, dir)
}

fn ran(place: &Place, destination: &str, variables: &[(&str, &str)]) -> Result<(Workspace, Ran)> {
    let (_folder, file) = data(1_000)?;
    let mut workspace = place.workspace(&config(&file, "", destination))?;
    for (name, value) in variables {
        workspace = workspace.with_variable(name, value);
    }
    let ran = workspace.rivet(&["run", "--force", "-vv"])?;
    for secret in [place.secret(), PROXY_PASSWORD] {
        no_secret(&workspace, &ran, secret)?;
    }
    Ok((workspace, ran))
}

fn ensure_said(ran: &Ran, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(ran.stderr.contains(word), "{word:?} is not in {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn an_authority_of_ones_own_is_named_or_not_trusted() -> Result<()> {
    let dir = TempDir::new()?;
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let mut place = Place::new(kind)?;
        let (right, wrong) = (dir.path().join(format!("tls-{i}")), dir.path().join(format!("other-{i}")));
        let good = front(place.port, &["127.0.0.1"], &right)?;
        let plain = place.port;
        let ca = |dir: &Path| format!(", ca_file: '{}'", dir.join("ca.pem").display());
        let named = ca(&right);
        let secure = |place: &Place, keys: &str| place.destination(keys).replace("http://", "https://");
        place.port = good.port();
        ran(&place, &secure(&place, &named), &[])?.1.expect(0).with_context(|| format!("{kind:?}"))?;
        place.ensure_clean()?;
        // Another authority, another host, none that is known, no TLS, no file.
        let elsewhere = front(plain, &["wrong.invalid"], &wrong)?;
        for (port, keys, words) in [
            (good.port(), ca(&wrong), &["invalid peer certificate", "let `ca_file` name the authority"][..]),
            (good.port(), String::new(), &["invalid peer certificate", "let `ca_file` name the authority"]),
            (elsewhere.port(), ca(&wrong), &["`endpoint` a host that it is for"]),
            (plain, named.clone(), &["does not speak TLS there"]),
            (good.port(), ", ca_file: nowhere.pem".to_owned(), &["failed to read the certificate file", "nowhere.pem"]),
        ] {
            // The shim hangs up on what is no HTTP.
            if kind == Kind::Gcs && port == plain {
                continue;
            }
            place.port = port;
            let (workspace, refused) = ran(&place, &secure(&place, &keys), &[])?;
            let refused = refused.expect(1).with_context(|| format!("{kind:?} {words:?}"))?;
            ensure_said(&refused, words)?;
            ensure!(refused.took.as_secs() < 15, "it was tried for {:?}", refused.took);
            let doctor = workspace.rivet(&["doctor"])?;
            ensure!(doctor.code != Some(0), "{words:?}");
            for word in words {
                let all = format!("{}{}", doctor.stderr, doctor.text()?);
                ensure!(all.contains(word), "doctor: {word:?} is not in {all}");
            }
        }
    }
    Ok(())
}

#[test]
fn proxies_are_used_as_the_environment_says() -> Result<()> {
    let place = Place::new(Kind::S3)?;
    let port = place.port;
    let proxy = ForwardProxy::start(Box::new(move |to| to.ends_with(&format!(":{port}")).then_some(port)))?;
    let url = format!("http://me:{PROXY_PASSWORD}@{}", proxy.address());
    let destination = place.destination("");
    for (variables, is_used) in [
        (&[("HTTP_PROXY", &*url)][..], true),
        (&[("http_proxy", &url)], true),
        (&[("ALL_PROXY", &url)], true),
        (&[("HTTPS_PROXY", &url)], false),
        (&[("HTTP_PROXY", &url), ("NO_PROXY", "localhost,127.0.0.1")], false),
    ] {
        let before = proxy.heads().len();
        ran(&place, &destination, variables)?.1.expect(0).with_context(|| format!("{variables:?}"))?;
        let heads = proxy.heads().split_off(before);
        ensure!(heads.is_empty() != is_used, "{variables:?}: {heads:?}");
        let authorized = |head: &String| head.to_ascii_lowercase().contains("proxy-authorization: basic ");
        ensure!(heads.iter().all(authorized), "{heads:?}");
    }
    // One that leads nowhere, and one that is not there.
    let closed = ForwardProxy::start(Box::new(|_| None))?;
    let url = format!("http://me:{PROXY_PASSWORD}@{}", closed.address());
    let (_, refused) = ran(&place, &destination, &[("HTTP_PROXY", &url)])?;
    ensure_said(&refused.expect(1)?, &["the store answered 403"])?;
    let url = format!("http://me:{PROXY_PASSWORD}@127.0.0.1:1");
    let (_, lost) = ran(&place, &destination, &[("HTTP_PROXY", &url)])?;
    ensure_said(&lost.expect(2)?, &["check the endpoint, the network and the proxy variables"])
}

/// The destination at a host of the domain that only the proxy finds.
fn elsewhere(place: &Place, scheme: &str, keys: &str) -> String {
    place.destination(keys).replace("http://127.0.0.1", &format!("{scheme}://{DOMAIN}"))
}

#[test]
fn another_machine_needs_consent() -> Result<()> {
    for kind in Kind::ALL {
        let mut place = Place::new(kind)?;
        let port = place.port;
        let dir = TempDir::new()?;
        let secure = front(port, &[DOMAIN], &dir.path().join("tls"))?;
        let secure_port = secure.port();
        let proxy = ForwardProxy::start(Box::new(move |to| match to.strip_prefix(DOMAIN)? {
            to if to == format!(":{port}") => Some(port),
            to if to == format!(":{secure_port}") => Some(secure_port),
            _ => None,
        }))?;
        let url = format!("http://{}", proxy.address());
        let variables = [("HTTP_PROXY", &*url), ("HTTPS_PROXY", &url)];
        let ca = format!(", ca_file: '{}'", dir.path().join("tls/ca.pem").display());
        for (scheme, keys, refused) in [
            ("https", ca.clone(), Some(&["leads to 'store.example'", "set `allow_remote_endpoint: true`"])),
            (
                "http",
                ", allow_http: true".to_owned(),
                Some(&["leads to 'store.example'", "`allow_remote_endpoint: true`"]),
            ),
            (
                "http",
                ", allow_remote_endpoint: true".to_owned(),
                Some(&["without encryption", "set `allow_http: true`"]),
            ),
            ("http", ", allow_remote_endpoint: true, allow_http: true".to_owned(), None),
            ("https", format!("{ca}, allow_remote_endpoint: true"), None),
        ] {
            place.port = if scheme == "https" { secure_port } else { port };
            let before = proxy.heads().len();
            let (_, ended) = ran(&place, &elsewhere(&place, scheme, &keys), &variables)?;
            let asked = proxy.heads().len() > before;
            let ended = ended.expect(i32::from(refused.is_some())).with_context(|| format!("{kind:?} {keys}"))?;
            ensure!(asked == refused.is_none(), "{kind:?} {keys}: {:?}", proxy.heads());
            ensure_said(&ended, refused.map_or(&[], |words| &words[..]))?;
        }
        place.ensure_clean()?;
    }
    Ok(())
}

#[test]
fn a_bucket_stands_in_the_host_or_in_the_path() -> Result<()> {
    let place = Place::new(Kind::S3)?;
    let port = s3::shared().port();
    let proxy = ForwardProxy::start(Box::new(move |to| to.contains(DOMAIN).then_some(port)))?;
    let url = format!("http://{}", proxy.address());
    let in_host = format!("http://{}.{DOMAIN}:{port}/", place.bucket);
    let in_path = format!("http://{DOMAIN}:{port}/{}", place.bucket);
    for (addressing, wanted) in [("virtual", &in_host), ("path", &in_path)] {
        let before = proxy.heads().len();
        let keys = format!(", allow_remote_endpoint: true, allow_http: true, addressing: {addressing}");
        let (workspace, ended) = ran(&place, &elsewhere(&place, "http", &keys), &[("HTTP_PROXY", &url)])?;
        ended.expect(0).with_context(|| addressing.to_owned())?;
        workspace.rivet(&["validate", "--depth", "full"])?.expect(0)?;
        let heads = proxy.heads().split_off(before);
        let as_wanted = |head: &String| head.split(' ').nth(1).is_some_and(|url| url.starts_with(&**wanted));
        ensure!(!heads.is_empty() && heads.iter().all(as_wanted), "{addressing}: {heads:#?}");
    }
    place.ensure_clean()
}

#[test]
fn the_environment_names_endpoint_and_region_where_the_config_does_not() -> Result<()> {
    let place = Place::new(Kind::S3)?;
    let destination = format!("{{type: s3, bucket: {}, prefix: {}}}", place.bucket, place.prefix);
    let (here, there) = (s3::shared().endpoint(), format!("http://{DOMAIN}:{}", place.port));
    let keys = [("AWS_ACCESS_KEY_ID", s3::shared().access_key()), ("AWS_SECRET_ACCESS_KEY", s3::shared().secret_key())];
    for (variables, exit, word) in [
        (&[("AWS_ENDPOINT_URL_S3", &*here), ("AWS_ENDPOINT_URL", &there)][..], 0, ""),
        (&[("AWS_ENDPOINT_URL", &here), ("AWS_REGION", "us-east-1")], 0, ""),
        (&[("AWS_ENDPOINT_URL", &there)], 1, "set `allow_remote_endpoint: true`"),
        (&[], 1, "set `region` to the bucket's, or AWS_REGION in the environment"),
    ] {
        let variables: Vec<_> = variables.iter().chain(&keys).copied().collect();
        let (_, ended) = ran(&place, &destination, &variables)?;
        ensure_said(&ended.expect(exit)?, &[word])?;
    }
    place.ensure_clean()
}

/// However an endpoint is written, requests to it are signed, and find the bucket.
#[test]
fn an_endpoint_may_be_written_in_several_ways() -> Result<()> {
    let place = Place::new(Kind::S3)?;
    let dir = TempDir::new()?;
    let names = [DOMAIN, "s3.amazonaws.com", "s3.us-east-1.amazonaws.com"];
    let secure = front(place.port, &names, &dir.path().join("tls"))?;
    let (plain_port, secure_port) = (place.port, secure.port());
    let proxy = ForwardProxy::start(Box::new(move |to| {
        let is_secure = to.ends_with(":443") && (to.starts_with(DOMAIN) || to.contains("amazonaws.com"));
        if is_secure { Some(secure_port) } else { to.starts_with(DOMAIN).then_some(plain_port) }
    }))?;
    let url = format!("http://{}", proxy.address());
    let variables = [("HTTP_PROXY", &*url), ("HTTPS_PROXY", &url)];
    let ca = format!("addressing: path, ca_file: '{}'", dir.path().join("tls/ca.pem").display());
    for endpoint in [
        format!("http://{DOMAIN}:80"),
        format!("https://{DOMAIN}:443"),
        format!("HTTPS://{}", DOMAIN.to_uppercase()),
        "https://s3.amazonaws.com".to_owned(),
        format!("https://{}.s3.us-east-1.amazonaws.com", place.bucket),
    ] {
        let consent = ", allow_remote_endpoint: true, allow_http: true, ";
        let here = format!("http://127.0.0.1:{}", place.port);
        let destination = place.destination(&format!("{consent}{ca}")).replace(&here, &endpoint);
        let (workspace, ended) = ran(&place, &destination, &variables)?;
        ended.expect(0).with_context(|| endpoint.clone())?;
        workspace.rivet(&["validate", "--depth", "full"])?.expect(0).with_context(|| endpoint)?;
    }
    place.ensure_clean()
}
