//! Servers that do not answer a message as they should: the run ends as it would without them, and soon.
//! Must not know what is in a message.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace};
use rivet_test_servers::web::{Answer, ServerCert, Web};

use super::chat::{TOKEN, ok, workspace};

/// The five seconds that a message may take, and what the rest of a run takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(25);

fn bytes(text: &str) -> Answer {
    Answer::Bytes(text.as_bytes().to_vec())
}

fn stall(text: &str) -> Answer {
    Answer::Stall(text.as_bytes().to_vec())
}

fn run(workspace: &Workspace) -> Result<Ran> {
    let ran = workspace.rivet(&["run", "-vvv"])?.expect(1)?;
    ensure!(ran.took < LIMIT, "it took {:?}", ran.took);
    for word in ["127.0.0.1", "hooks.invalid", "services", TOKEN, "x0secretsecret3"] {
        ensure!(!ran.stderr.contains(word), "{word} of the URL is shown: {}", ran.stderr);
    }
    Ok(ran)
}

/// Runs with a webhook; `expected` is in the one warning, or there is none.
fn judge(url: &str, expected: Option<&str>) -> Result<()> {
    let ran = run(&workspace(url, "on: [failure]")?)?;
    check(&ran, expected)
}

fn check(ran: &Ran, expected: Option<&str>) -> Result<()> {
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("could not be delivered")).collect();
    match (expected, warnings.as_slice()) {
        (None, []) => Ok(()),
        (Some(expected), [warning]) if warning.contains(expected) => Ok(()),
        _ => anyhow::bail!("expected {expected:?}: {}", ran.stderr),
    }
}

/// All cases at once: each takes up to the whole limit.
fn all(cases: Vec<(String, Option<&str>)>) -> Result<()> {
    std::thread::scope(|scope| {
        let started: Vec<_> = cases.iter().map(|(url, expected)| scope.spawn(|| judge(url, *expected))).collect();
        for (case, (url, _)) in started.into_iter().zip(&cases) {
            case.join().map_err(|_| anyhow::anyhow!("a case panicked"))?.with_context(|| url.clone())?;
        }
        Ok(())
    })
}

#[test]
fn whatever_the_server_answers_the_run_ends_as_it_would() -> Result<()> {
    let elsewhere = Web::start(ok())?;
    let redirect = |status: &str| {
        bytes(&format!(
            "HTTP/1.1 {status} X\r\nlocation: http://{}/x\r\ncontent-length: 0\r\n\r\n",
            elsewhere.address()
        ))
    };
    let body = "x".repeat(20 << 20);
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answers = [
        (ok(), None),
        (bytes("HTTP/1.1 204 No Content\r\n\r\n"), None),
        (bytes(&huge), None),
        (bytes("HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\nno_service"), Some("it answers 404 (no_service)")),
        (bytes("HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\n<b>\u{1b}[31m"), Some("it answers 500")),
        (bytes(&huge.replacen("200 OK", "400 X", 1)), Some("it answers 400")),
        (redirect("302"), Some("it answers 302 to go elsewhere, which is not followed")),
        (redirect("307"), Some("it answers 307 to go elsewhere, which is not followed")),
        (redirect("308"), Some("it answers 308 to go elsewhere, which is not followed")),
        (bytes("SSH-2.0-OpenSSH\r\n\r\n"), Some("its answer is not HTTP")),
        (bytes(&format!("HTTP/1.1 200 OK\r\nx: {body}")), Some("its answer is not HTTP")),
        (bytes(""), Some("the connection failed")),
        (Answer::Close, Some("the connection failed")),
    ];
    let mut servers = Vec::new();
    let mut cases = Vec::new();
    for (answer, expected) in answers {
        let web = Web::start(answer)?;
        cases.push((format!("http://{}/services/{TOKEN}", web.address()), expected));
        servers.push(web);
    }
    all(cases)?;
    assert_eq!(elsewhere.requests(), [""; 0], "a redirect was followed");
    Ok(())
}

#[test]
fn a_server_that_stalls_delays_a_run_by_five_seconds_at_most() -> Result<()> {
    const LATE: Option<&str> = Some("no answer within 5 s");
    let stalls = [
        (Answer::Ignore, "http", LATE),
        (Answer::Ignore, "https", LATE),
        (stall(""), "http", LATE),
        (stall("HTTP/1.1 200 O"), "http", LATE),
        (stall("HTTP/1.1 200 OK\r\nserver: slow\r\n"), "http", LATE),
        // What counts has been said.
        (stall("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\no"), "http", None),
        (stall("HTTP/1.1 503 X\r\ncontent-length: 1000\r\n\r\nx"), "http", Some("it answers 503")),
    ];
    let mut servers = Vec::new();
    let mut cases = Vec::new();
    for (answer, scheme, expected) in stalls {
        let web = Web::start(answer)?;
        cases.push((format!("{scheme}://{}/services/{TOKEN}", web.address()), expected));
        servers.push(web);
    }
    all(cases)
}

#[test]
fn a_server_that_is_not_there_or_not_who_it_should_be_is_told_nothing() -> Result<()> {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    judge(&format!("http://{free}/services/{TOKEN}"), Some("the connection failed"))?;
    judge(&format!("https://hooks.invalid/services/{TOKEN}"), Some("the connection failed"))?;
    let closes = Web::start(Answer::Close)?;
    judge(&format!("https://{}/services/{TOKEN}", closes.address()), Some("the connection failed"))?;
    for (cert, expected) in [
        (ServerCert::Good, None),
        (ServerCert::SelfSigned, Some("its certificate is signed by nobody whom this machine trusts")),
        (ServerCert::OtherCa, Some("its certificate is signed by nobody whom this machine trusts")),
        (ServerCert::WrongHost, Some("its certificate is another host's")),
        (ServerCert::Expired, Some("its certificate has expired")),
    ] {
        let place = Workspace::new("")?;
        let web = Web::start_tls(ok(), cert, &place.path().join("certs"))?;
        let ca = web.ca_file().context("it has certificates")?.display().to_string();
        let url = format!("https://{}/services/{TOKEN}", web.address());
        let ran = run(&workspace(&url, "on: [failure]")?.with_variable("SSL_CERT_FILE", &ca))?;
        check(&ran, expected).with_context(|| format!("{cert:?}"))?;
        assert_eq!(web.requests().len(), usize::from(cert == ServerCert::Good), "{cert:?}");
    }
    Ok(())
}

#[test]
fn the_proxy_of_the_environment_is_used() -> Result<()> {
    let place = Workspace::new("")?;
    let web = Web::start_tls(ok(), ServerCert::Good, &place.path().join("certs"))?;
    let ca = web.ca_file().context("it has certificates")?.display().to_string();
    let url = format!("https://{}/services/{TOKEN}", web.address());
    let proxy = Web::start(Answer::Tunnel(web.address()))?;
    let through = |url: &str, variable: &str, value: &str| -> Result<Ran> {
        let workspace = workspace(url, "on: [failure]")?.with_variable("SSL_CERT_FILE", &ca);
        run(&workspace.with_variable(variable, value))
    };
    check(&through(&url, "HTTPS_PROXY", &format!("http://{}", proxy.address()))?, None)?;
    ensure!(
        proxy.requests()[0].starts_with(&format!("CONNECT {} HTTP/1.1\r\n", web.address())),
        "{:?}",
        proxy.requests()
    );
    ensure!(!proxy.requests()[0].contains(TOKEN), "the proxy sees where, not what");
    assert_eq!((proxy.requests().len(), web.requests().len()), (1, 1));
    // The name is the proxy's to resolve, and the one of another scheme is not asked.
    let refuses = Web::start(bytes("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"))?;
    let named = format!("https://hooks.invalid/services/{TOKEN}");
    check(
        &through(&named, "https_proxy", &format!("http://{}", refuses.address()))?,
        Some("the proxy does not connect to it"),
    )?;
    ensure!(refuses.requests()[0].starts_with("CONNECT hooks.invalid:443 "), "{:?}", refuses.requests());
    check(&through(&url, "http_proxy", &format!("http://{}", refuses.address()))?, None)?;
    check(&through(&url, "HTTPS_PROXY", "::")?, Some("the variable HTTPS_PROXY does not hold the URL of a proxy"))?;
    // A host that is to be reached without it.
    let workspace =
        workspace(&url, "on: [failure]")?.with_variable("SSL_CERT_FILE", &ca).with_variable("NO_PROXY", "127.0.0.1");
    check(&run(&workspace.with_variable("HTTPS_PROXY", &format!("http://{}", refuses.address())))?, None)?;
    assert_eq!((refuses.requests().len(), web.requests().len()), (1, 3));
    Ok(())
}
