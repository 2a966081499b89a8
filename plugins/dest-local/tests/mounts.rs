//! Full, read-only and foreign file systems, made by mounting one; and the connector as a host sees it.
//! It must not know the plugin's inside: it goes through the function tables.

#![allow(clippy::print_stderr, reason = "a test says what the machine does not allow")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rivet_dest_local as _;
use rivet_plugin_api::{CancelToken, ErrorKind, PutMode, Retry, Store};

/// A file system in a mount namespace of its own, seen through its holder's root. Ends with its holder.
struct Mount {
    holder: Child,
    dir: tempfile::TempDir,
}

impl Mount {
    /// A tmpfs with these mount options; `None` where the kernel lets this user mount nothing.
    fn tmpfs(options: &str) -> Result<Option<Self>> {
        let dir = tempfile::tempdir()?;
        let script = format!("mount -t tmpfs -o {options} tmpfs \"$1\" && echo mounted && exec cat");
        let mut unshare = Command::new("unshare");
        unshare.args(["-rm", "sh", "-c", &script, "sh"]).arg(dir.path());
        let holder = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("unshare")?;
        let mut mount = Self { holder, dir };
        let mut line = String::new();
        BufReader::new(mount.holder.stdout.take().context("piped")?).read_line(&mut line)?;
        if line.trim() == "mounted" {
            return Ok(Some(mount));
        }
        eprintln!("not tested: mount namespaces are not allowed here");
        Ok(None)
    }

    fn path(&self) -> PathBuf {
        let below = self.dir.path().strip_prefix("/").unwrap_or(self.dir.path());
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(below)
    }

    fn is_empty(&self) -> Result<bool> {
        Ok(std::fs::read_dir(self.path())?.next().is_none())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Nothing to tell a test that is over.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn open(path: &std::path::Path) -> Result<Box<dyn Store>> {
    let linked = rivet_plugin_api::wire::register::linked()?;
    let local = linked.iter().find(|c| c.info().name == "local").context("the connector is registered")?;
    let options = serde_json::json!({ "path": path });
    Ok(local.open_store(&options, &CancelToken::new().cx())?)
}

#[test]
fn a_full_disk_is_said_and_nothing_stays() -> Result<()> {
    let Some(mount) = Mount::tmpfs("size=1m")? else { return Ok(()) };
    let store = open(&mount.path())?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut upload = store.begin("x.parquet", &cx)?;
    let chunk = vec![1; 300 * 1024];
    let error = (0..5).find_map(|_| upload.write(&chunk, &cx).err()).context("1.5 MB do not fit")?;
    assert_eq!(
        (error.kind(), error.code(), error.retry_class()),
        (ErrorKind::Capacity, "local.full", Retry::Never),
        "{error}"
    );
    assert!(error.hint_text().is_some_and(|hint| hint.contains("space")));
    assert!(upload.write(&chunk, &cx).is_err() && upload.prepare(&cx).is_err(), "the upload is lost");
    drop(upload);
    assert!(mount.is_empty()?);
    // Small writes are gathered, and fail at the latest when prepared.
    let mut upload = store.begin("y.parquet", &cx)?;
    let small = vec![1; 1000];
    let failed = (0..1100).find_map(|_| upload.write(&small, &cx).err()).or_else(|| upload.prepare(&cx).err());
    assert_eq!(failed.context("1.1 MB do not fit")?.kind(), ErrorKind::Capacity);
    drop(upload);
    let put = store.put("manifest.json", &vec![1; 2 << 20], PutMode::Replace, &cx);
    assert_eq!(put.err().context("2 MB do not fit")?.kind(), ErrorKind::Capacity);
    assert!(mount.is_empty()?);
    store.probe(&cx)?;
    assert!(mount.is_empty()?);
    Ok(())
}

#[test]
fn a_read_only_file_system_is_said() -> Result<()> {
    let Some(mount) = Mount::tmpfs("ro")? else { return Ok(()) };
    let store = open(&mount.path())?;
    let token = CancelToken::new();
    let cx = token.cx();
    let refused = [
        store.probe(&cx).err(),
        store.begin("x", &cx).err(),
        store.begin("a/x", &cx).err(),
        store.put("x", b"", PutMode::Replace, &cx).err(),
    ];
    for error in refused {
        let error = error.context("nothing can be written")?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, "local.permission"), "{error}");
        let hint = error.hint_text().context("a hint")?;
        assert!(hint.contains(&*mount.dir.path().to_string_lossy()) && hint.contains("read-only"), "{hint}");
    }
    let below = open(&mount.path().join("new")).err().context("no folder can be made")?;
    assert!(below.to_string().contains("new"), "{below}");
    assert!(store.list("", &cx)?.is_empty());
    Ok(())
}

#[test]
fn the_connector_is_registered_and_works_through_the_tables() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let store = open(&dir.path().join("made"))?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut upload = store.begin("t/x.csv", &cx)?;
    upload.write(b"a,b\n", &cx)?;
    let prepared = upload.prepare(&cx)?;
    drop(upload);
    let facts = store.publish(&prepared, &cx)?;
    assert_eq!(facts.location, dir.path().join("made/t/x.csv").to_string_lossy());
    assert_eq!(store.list("t/", &cx)?, [facts]);
    let unknown = rivet_plugin_api::wire::register::linked()?
        .iter()
        .find(|c| c.info().name == "local")
        .and_then(|c| c.open_store(&serde_json::json!({"path": "x", "pth": 1}), &cx).err());
    ensure!(unknown.context("unknown option")?.kind() == ErrorKind::Config);
    Ok(())
}
