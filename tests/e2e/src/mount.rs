//! A small file system of its own: full soon, or read-only even for root.
//! Must not know what is written to it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// A tmpfs in a mount namespace that a helper process holds open; it is gone when this is dropped.
#[derive(Debug)]
pub struct Mount {
    holder: Child,
    dir: TempDir,
}

impl Mount {
    /// Mounts a tmpfs with these options, such as `size=1m` or `ro`.
    ///
    /// # Errors
    /// When this machine allows no user namespaces with mounts.
    pub fn tmpfs(options: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("rivet-mount-").context("create a mount point")?;
        let script = format!("mount -t tmpfs -o {options} tmpfs \"$1\" && echo mounted && exec cat");
        let mut unshare = Command::new("unshare");
        unshare.args(["-rm", "sh", "-c", &script, "sh"]).arg(dir.path());
        let mut holder = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("run unshare")?;
        let stdout = holder.stdout.take().context("stdout is piped")?;
        let mount = Self { holder, dir };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("hear from the holder of the mount")?;
        if line.trim() != "mounted" {
            bail!("mount a tmpfs: this needs `unshare -rm`, which is not allowed here");
        }
        Ok(mount)
    }

    /// The file system's root as every process of this user sees it.
    pub fn path(&self) -> PathBuf {
        let below = self.dir.path().strip_prefix("/").unwrap_or(self.dir.path());
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(below)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Nothing to tell a test that is over.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
