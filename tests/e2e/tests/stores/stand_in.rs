//! What gives out credentials where no real one can run: metadata services of the three clouds, a container's, token services.
//! They answer as their providers describe it, with what the test says. Must not know who asks.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request, Response};
use serde_json::{Value, json};

/// One of them, while the process runs.
pub struct StandIn {
    server: HttpProxy,
    asked: Arc<Mutex<Vec<Request>>>,
}

/// What it says to a request; nothing where it knows no answer.
pub type Answer = Box<dyn Fn(&Request) -> Option<Response> + Send + Sync>;

impl StandIn {
    /// Starts one on loopback.
    pub fn start(answer: Answer) -> Result<Self> {
        Self::with(answer, |decide| HttpProxy::start(0, decide))
    }

    /// Starts one that speaks TLS and has these names; the authority is `ca.pem` in the folder, which is made.
    pub fn start_tls(answer: Answer, names: &[&str], dir: &Path) -> Result<Self> {
        Self::with(answer, |decide| HttpProxy::start_tls(0, decide, names, dir))
    }

    fn with(answer: Answer, start: impl FnOnce(Decide) -> Result<HttpProxy>) -> Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let server = start(Arc::new(move |request: &Request, _: &_| {
            heard.lock().expect("not poisoned").push(request.clone());
            Fate::Answer(answer(request).unwrap_or_else(|| Response::new(404, "")))
        }))?;
        Ok(Self { server, asked })
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// All that was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("not poisoned").clone()
    }

    /// It was asked, but not for every request to the store.
    pub fn ensure_kept(&self, n_most: usize) -> Result<()> {
        let asked = self.asked();
        let heads: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect();
        ensure!((1..=n_most).contains(&heads.len()), "it was asked {} times: {heads:?}", heads.len());
        Ok(())
    }
}

fn json_of(value: &Value) -> Option<Response> {
    Some(Response::new(200, value.to_string()).with("content-type", "application/json"))
}

/// Keys of Amazon's kind, as its metadata services write them.
fn of_role([access, secret, token]: &[String; 3]) -> Value {
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z",
        "AccessKeyId": access, "SecretAccessKey": secret, "Token": token,
    })
}

/// A machine at Amazon with a role.
pub fn machine_of_amazon(keys: [String; 3]) -> Answer {
    let base = "/latest/meta-data/iam/security-credentials/";
    Box::new(move |request| match (&*request.method, request.path()) {
        ("PUT", "/latest/api/token") => {
            Some(Response::new(200, "a-session").with("x-aws-ec2-metadata-token-ttl-seconds", "21600"))
        }
        ("GET", _) if request.header("x-aws-ec2-metadata-token") != Some("a-session") => Some(Response::new(401, "")),
        ("GET", path) if path == base => Some(Response::new(200, "a-role")),
        ("GET", path) if path == format!("{base}a-role") => json_of(&of_role(&keys)),
        _ => None,
    })
}

/// A container at Amazon with a role.
pub fn container_of_amazon(keys: [String; 3]) -> Answer {
    Box::new(move |request| match request.header("authorization") {
        Some("canary-container") if request.path() == "/role" => json_of(&of_role(&keys)),
        _ => Some(Response::new(401, "")),
    })
}

/// Amazon's token service, for who has a web identity.
pub fn token_service_of_amazon([access, secret, token]: [String; 3]) -> Answer {
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{access}\
         </AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>\
         2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    );
    Box::new(move |request| {
        let asked = format!("{}{}", request.target, String::from_utf8_lossy(&request.body));
        let known = asked.contains("canary-web-identity") && asked.contains("AssumeRoleWithWebIdentity");
        Some(if known { Response::new(200, body.clone()) } else { Response::new(403, "") })
    })
}

/// A machine at Google with a service account.
pub fn machine_of_google(token: impl Fn() -> String + Send + Sync + 'static) -> Answer {
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    Box::new(move |request| match request.header("metadata-flavor") {
        Some("Google") if request.path() == path => bearer(&token()),
        _ => Some(Response::new(403, "")),
    })
}

/// A token service of OAuth 2, for who sends one of these words.
pub fn token_service(words: &'static [&'static str], token: String) -> Answer {
    Box::new(move |request| {
        let asked = String::from_utf8_lossy(&request.body).into_owned();
        let known = words.iter().all(|word| asked.contains(word));
        if known { bearer(&token) } else { Some(Response::new(400, r#"{"error": "invalid_grant"}"#)) }
    })
}

fn bearer(token: &str) -> Option<Response> {
    json_of(&json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
}

/// A machine at Microsoft with a managed identity.
pub fn machine_of_microsoft(token: String) -> Answer {
    Box::new(move |request| match (request.header("metadata"), request.parameter("resource")) {
        (Some("true"), Some(resource)) if resource.starts_with("https://storage.azure.com") => json_of(&json!({
            "access_token": token, "expires_in": "3599", "expires_on": "4070908800", "token_type": "Bearer",
            "resource": resource,
        })),
        _ => Some(Response::new(400, "")),
    })
}
