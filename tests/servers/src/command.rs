//! Running a helper program to its end, and installing Debian packages.
//! Must not know which server or tool it is for.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::Cache;

/// Runs `command` with `stdin` as its input and returns what it printed. The error carries its standard error.
pub(crate) fn output(command: &mut Command, stdin: &str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {program}; is it installed and on PATH?"))?;
    let mut input = child.stdin.take().expect("stdin is piped above");
    let mut errors = child.stderr.take().expect("stderr is piped above");
    let mut out = child.stdout.take().expect("stdout is piped above");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        // A program that exits without reading its input is judged by its exit status, not by the broken pipe.
        scope.spawn(move || input.write_all(stdin.as_bytes()));
        scope.spawn(|| errors.read_to_end(&mut stderr));
        out.read_to_end(&mut stdout)
    })
    .with_context(|| format!("read the output of {program}"))?;
    let status = child.wait().with_context(|| format!("wait for {program}"))?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        let tail = String::from_utf8_lossy(&stdout);
        let said = if stderr.trim().is_empty() { tail } else { stderr };
        bail!("{program} ended with {status}: {}", said.trim_end());
    }
    String::from_utf8(stdout).with_context(|| format!("read the output of {program} as UTF-8"))
}

/// The first file called `name` in the folders of PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Installs Debian packages on this machine, one process at a time.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let wanted = packages.join(" ");
    if !is_root() || on_path("apt-get").is_none() {
        bail!(
            "install {wanted}: this needs root and apt-get; install it with the system's package manager and try again"
        );
    }
    let _lock = Cache::open()?.lock("apt")?;
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300", "-q", "-y"]).args(args);
        output(&mut command, "").with_context(|| format!("install {wanted} with apt-get"))
    };
    apt(&["update"])?;
    apt(&[&["install", "--no-install-recommends"], packages].concat())?;
    Ok(())
}
