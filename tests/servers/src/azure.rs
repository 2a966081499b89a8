//! Azurite as a storage account that checks signatures.
//! Must not know what is kept in it.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::guard::{Data, Ending, Guard};
use crate::{Cache, cache, command, oracle};

/// The npm package.
const PACKAGE: &str = "azurite@3.35.0";
/// Longest time it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// The account.
const ACCOUNT: &str = "rivetaccount";

/// What a script of pyarrow starts with: `az` is the account's file system.
const CLIENT: &str = r"
import sys, json
from pyarrow import fs
account, key, authority = sys.argv[1:4]
az = fs.AzureFileSystem(account, account_key=key, blob_storage_authority=authority, dfs_storage_authority=authority,
    blob_storage_scheme='http', dfs_storage_scheme='http')
";

/// A shared access signature of an account, as its service describes it.
const SAS: &str = r"
import base64, datetime, hashlib, hmac, sys, urllib.parse
account, key, minutes = sys.argv[1:4]
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=int(minutes))
fields = {'sp': 'rwdlacup', 'ss': 'b', 'srt': 'sco', 'se': end.strftime('%Y-%m-%dT%H:%M:%SZ'), 'sv': '2022-11-02'}
signed = [account, *(fields[k] for k in ('sp', 'ss', 'srt')), '', fields['se'], '', '', fields['sv'], '', '']
digest = hmac.new(base64.b64decode(key), '\n'.join(signed).encode(), hashlib.sha256).digest()
print(urllib.parse.urlencode({**fields, 'sig': base64.b64encode(digest).decode()}))
";

/// Installs the server if needed (about half a minute, 190 MB) and returns its folder.
///
/// # Errors
/// When npm is missing or the package cannot be fetched.
pub fn install() -> Result<PathBuf> {
    Cache::open()?.install(&PACKAGE.replace('@', "-"), |dir| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(dir).arg(PACKAGE);
        command::output(&mut npm, "").context("install with npm; its registry must be reachable").map(drop)
    })
}

/// The account that the tests of one process share.
///
/// # Panics
/// When it does not start.
pub fn shared() -> &'static Azure {
    static SHARED: LazyLock<Azure> = LazyLock::new(|| Azure::start().expect("the account of the tests starts"));
    &SHARED
}

/// A running account, gone when this is dropped or this process ends.
#[derive(Debug)]
pub struct Azure {
    port: u16,
    key: String,
    guard: Option<Guard>,
    _owner: fs::File,
}

impl Azure {
    /// Installs the server if it is missing, and starts it.
    ///
    /// # Errors
    /// When it cannot be installed or does not start; the error ends with its log.
    pub fn start() -> Result<Self> {
        let installed = install()?;
        let (dir, owner) = cache::data_dir("azure")?;
        let key = base64(cache::random_hex(32)?.as_bytes());
        let socket = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
        let port = socket.local_addr().context("find a free port")?.port();
        drop(socket);
        let log = dir.join("log");
        let program = installed.join("node_modules/azurite/dist/src/blob/main.js");
        let words: Vec<OsString> = [
            "env".into(),
            format!("AZURITE_ACCOUNTS={ACCOUNT}:{key}").into(),
            "node".into(),
            program.into(),
            "--skipApiVersionCheck".into(),
            "--disableTelemetry".into(),
            "--disableProductStyleUrl".into(),
            "--blobHost".into(),
            "127.0.0.1".into(),
            "--blobPort".into(),
            port.to_string().into(),
            "--location".into(),
            dir.clone().into(),
        ]
        .into();
        let guard = Guard::spawn([&dir, &dir], &log, &[], &words)?;
        let until = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if !guard.is_alive() || Instant::now() > until {
                bail!("azurite does not start; its log:\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { port, key, guard: Some(guard), _owner: owner })
    }

    /// Port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// URL of the account.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    /// Name of the account.
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    /// The account's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A shared access signature that lets do everything in the account for so many minutes, without `?` at its beginning.
    ///
    /// # Errors
    /// When Python fails.
    pub fn sas(&self, minutes: i32) -> Result<String> {
        let printed = oracle::run(SAS, &[ACCOUNT, &self.key, &minutes.to_string()])?;
        Ok(printed.trim().to_owned())
    }

    /// Makes a container of this name and returns it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn container(&self, name: &str) -> Result<String> {
        self.pyarrow(&format!("az.create_dir('{name}')"))?;
        Ok(name.to_owned())
    }

    /// All keys of a container, sorted, whatever they are of.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn keys(&self, container: &str) -> Result<Vec<String>> {
        let script = format!(
            "found = az.get_file_info(fs.FileSelector('{container}', recursive=True))\n\
             print(json.dumps(sorted(f.path.split('/', 1)[1] for f in found if f.is_file)))"
        );
        serde_json::from_str(&self.pyarrow(&script)?).context("read a list of keys")
    }

    /// Writes every blob of a container to a file below a folder.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn download(&self, container: &str, dir: &Path) -> Result<()> {
        let script = format!(
            "import pathlib\n\
             for f in az.get_file_info(fs.FileSelector('{container}', recursive=True)):\n\
             \x20 if f.is_file:\n\
             \x20   to = pathlib.Path({dir:?}) / f.path.split('/', 1)[1]\n\
             \x20   to.parent.mkdir(parents=True, exist_ok=True)\n\
             \x20   to.write_bytes(az.open_input_file(f.path).read())\n"
        );
        self.pyarrow(&script).map(drop)
    }

    /// Runs a script with the file system `az` of pyarrow, and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn pyarrow(&self, script: &str) -> Result<String> {
        let authority = format!("127.0.0.1:{}", self.port);
        oracle::run(&format!("{CLIENT}{script}\n"), &[ACCOUNT, &self.key, &authority])
    }
}

impl Drop for Azure {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.guard.take().map(|guard| guard.end(Ending::Immediate, Data::Remove)) {
            eprintln!("failed to stop a test azurite: {e:#}");
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let all = group.iter().chain(&[0, 0]).take(3).fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        for i in 0..4 {
            let digit = DIGITS[(all >> (18 - 6 * i) & 63) as usize];
            text.push(if i > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}
