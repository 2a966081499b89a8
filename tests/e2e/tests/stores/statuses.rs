//! What each store says when it does not let us in, as it words it: told apart, with what to do, by `run` and by `doctor`.
//! Must not know how an answer is read.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::no_secret;
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request, Response};
use rivet_test_servers::{azure, gcs, s3};

use crate::place::{Kind, Place};
use crate::{config, data};

/// In a body: nothing of it may be shown.
const IN_BODY: &str = "hunter2-in-a-body";

fn xml(status: u16, code: &str) -> Response {
    Response::new(status, format!("<Error><Code>{code}</Code><Message>{IN_BODY}</Message></Error>"))
}

fn json(status: u16, reason: &str) -> Response {
    let body = format!(
        r#"{{"error": {{"code": {status}, "message": "{IN_BODY}", "errors": [{{"reason": "{reason}", "message": "{IN_BODY}"}}]}}}}"#
    );
    Response::new(status, body).with("content-type", "application/json")
}

fn blob(status: u16, code: &str) -> Response {
    xml(status, code).with("x-ms-error-code", code)
}

/// An answer to every request, how the run ends, and what is said.
type Case = (Kind, fn() -> Response, i32, &'static str, &'static str);

/// Years away from here.
const FAR: &str = "Thu, 01 Jan 2015 00:00:00 GMT";

const CASES: [Case; 21] = [
    (Kind::S3, || xml(403, "InvalidAccessKeyId"), 1, "s3.auth", "check key and secret"),
    (Kind::S3, || xml(403, "SignatureDoesNotMatch"), 1, "s3.auth", "check key and secret"),
    (Kind::S3, || xml(400, "ExpiredToken"), 1, "s3.expired", "fetch new credentials"),
    (Kind::S3, || xml(403, "AccessDenied"), 1, "s3.denied", "read, write, list and delete below the prefix"),
    (Kind::S3, || xml(404, "NoSuchBucket"), 1, "s3.bucket", "rivet makes no buckets"),
    (
        Kind::S3,
        || xml(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-north-1"),
        1,
        "s3.region",
        "set `region: eu-north-1`",
    ),
    (
        Kind::S3,
        || xml(400, "AuthorizationHeaderMalformed").with("x-amz-bucket-region", "eu-north-1"),
        1,
        "s3.region",
        "set `region: eu-north-1`",
    ),
    (Kind::S3, || xml(307, "TemporaryRedirect"), 1, "s3.region", "set `region` to the one it is in"),
    (
        Kind::S3,
        || xml(403, "RequestTimeTooSkewed").with("date", FAR),
        1,
        "s3.clock",
        "set it right, for example with NTP",
    ),
    (Kind::S3, || xml(403, "AccessDenied").with("date", FAR), 1, "s3.clock", "the clock of this machine"),
    (Kind::S3, || xml(503, "SlowDown"), 2, "s3.busy", "the store asks for fewer requests"),
    (Kind::S3, || xml(500, "InternalError"), 2, "s3.server", "a failure of its own"),
    (Kind::Gcs, || json(401, "authError"), 1, "gcs.auth", "does not accept these credentials"),
    (Kind::Gcs, || json(403, "forbidden"), 1, "gcs.denied", "read, write, list and delete below the prefix"),
    (Kind::Gcs, || json(404, "notFound"), 1, "gcs.bucket", "rivet makes no buckets"),
    (Kind::Gcs, || json(429, "rateLimitExceeded"), 2, "gcs.busy", "the store asks for fewer requests"),
    (Kind::Azure, || blob(403, "AuthenticationFailed"), 1, "azure.auth", "check"),
    (Kind::Azure, || blob(403, "AuthorizationFailure"), 1, "azure.auth", "which networks the account lets in"),
    (Kind::Azure, || blob(403, "AuthorizationPermissionMismatch"), 1, "azure.denied", "read, write, list and delete"),
    (Kind::Azure, || blob(404, "ContainerNotFound"), 1, "azure.bucket", "rivet makes no buckets"),
    (
        Kind::Azure,
        || blob(403, "AuthenticationFailed").with("date", FAR),
        1,
        "azure.clock",
        "the clock of this machine",
    ),
];

#[test]
fn each_has_a_code_a_hint_and_an_end() -> Result<()> {
    let (_folder, file) = data(10)?;
    let [one, two, three] = [Place::new(Kind::S3)?, Place::new(Kind::Gcs)?, Place::new(Kind::Azure)?];
    let case = |(kind, answer, exit, code, hint): Case| -> Result<()> {
        let of_kind = [&one, &two, &three].into_iter().find(|place| place.kind == kind).context("a place")?;
        let proxy = HttpProxy::start(of_kind.port, Arc::new(move |_: &_, _: &_| Fate::Answer(answer())))?;
        let place = Place { port: proxy.port(), bucket: of_kind.bucket.clone(), ..*of_kind };
        let workspace = place.workspace(&config(&file, "", &place.destination("")))?;
        let ran = workspace.run()?.expect(exit)?;
        let document = ran.json()?.to_string();
        let looked = workspace.rivet(&["doctor", "--output", "json"])?;
        ensure!(looked.code.is_some_and(|code| code != 0), "doctor is content");
        let seen = looked.json()?.to_string();
        for text in [&document, &seen] {
            ensure!(text.contains(code) && text.contains(hint), "{code} and {hint:?} are not in {text}");
        }
        for secret in [place.secret(), IN_BODY] {
            no_secret(&workspace, &ran, secret)?;
            no_secret(&workspace, &looked, secret)?;
        }
        Ok(())
    };
    for next in CASES {
        case(next).with_context(|| format!("{} {:?}", next.3, next.1()))?;
    }
    for place in [one, two, three] {
        assert_eq!(place.keys()?, [""; 0]);
    }
    Ok(())
}

/// Refuses what lists: the rest is as it is.
fn no_lists(kind: Kind) -> Decide {
    Arc::new(move |request: &Request, _: &_| {
        let path = request.path().trim_matches('/');
        let lists = request.method == "GET"
            && match kind {
                Kind::S3 => !path.contains('/'),
                Kind::Gcs => path.ends_with("/o"),
                Kind::Azure => request.parameter("comp").as_deref() == Some("list"),
            };
        match kind {
            _ if !lists => Fate::Pass,
            Kind::S3 => Fate::Answer(xml(403, "AccessDenied")),
            Kind::Gcs => Fate::Answer(json(403, "forbidden")),
            Kind::Azure => Fate::Answer(blob(403, "AuthorizationPermissionMismatch")),
        }
    })
}

#[test]
fn who_may_write_and_not_list_is_let_in_and_told() -> Result<()> {
    let (_folder, file) = data(10)?;
    for kind in Kind::ALL {
        let mut place = Place::new(kind)?;
        let proxy = HttpProxy::start(place.port, no_lists(kind))?;
        place.port = proxy.port();
        let workspace = place.workspace(&config(&file, "", &place.destination("")))?;
        let doctor = workspace.rivet(&["doctor"])?.expect(0).with_context(|| format!("{kind:?}"))?;
        let all = format!("{}{}", doctor.stderr, doctor.text()?);
        ensure!(all.contains("the credentials may not list objects in"), "{kind:?}: {all}");
        workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        place.ensure_clean()?;
    }
    Ok(())
}

#[test]
fn the_stores_themselves_say_no() -> Result<()> {
    let (_folder, file) = data(10)?;
    let [name, secret] = s3::shared().blind_keys();
    for (kind, from, to, name, secret, words) in [
        (Kind::Gcs, "", "", "", "canary-wrong-token", &["answered 401", "does not accept these credentials"][..]),
        (Kind::Gcs, "bucket: rivet", "bucket: no-such-rivet", "", gcs::shared().token(), &["rivet makes no buckets"]),
        (Kind::Azure, "", "", "", "Y2FuYXJ5LXdyb25nLXNlY3JldA==", &["answered 403", "check the account key or SAS"]),
        (
            Kind::Azure,
            "container: rivet",
            "container: no-such-rivet",
            "",
            azure::shared().key(),
            &["ContainerNotFound", "rivet makes no buckets"],
        ),
    ] {
        let place = Place::new(kind)?;
        let whole = config(&file, "", &place.destination(""));
        let workspace = rivet_test_e2e::Workspace::new(&if from.is_empty() { whole } else { whole.replace(from, to) })?
            .with_variable("STORE_NAME", name)
            .with_variable("STORE_SECRET", secret);
        for command in ["run", "doctor"] {
            let ran = workspace.rivet(&[command])?;
            ensure!(ran.code.is_some_and(|code| code != 0), "{command} succeeds with {words:?}");
            let all = format!("{}{}", ran.stderr, ran.text()?);
            for word in words {
                ensure!(all.contains(word), "{command}: {word:?} is not in {all}");
            }
            no_secret(&workspace, &ran, secret)?;
        }
        assert_eq!(place.keys()?, [""; 0]);
    }
    // SeaweedFS knows somebody who may read and write and not list.
    let place = Place::new(Kind::S3)?;
    let workspace = rivet_test_e2e::Workspace::new(&config(&file, "", &place.destination("")))?
        .with_variable("STORE_NAME", name)
        .with_variable("STORE_SECRET", secret);
    workspace.run()?.expect(0)?;
    let doctor = workspace.rivet(&["doctor"])?.expect(0)?;
    ensure!(format!("{}{}", doctor.stderr, doctor.text()?).contains("may not list objects"), "{}", doctor.stderr);
    Ok(())
}
