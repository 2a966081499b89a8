//! Test servers for use by hand: started and stopped through `rivet-test-servers`.
//! It must not know how a server is installed or run.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::{self, QUICK, output, run};
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "services start|stop|status|run|install [SERVER [ARGS…]]";

/// What is started when no server is named.
const DEFAULT_SERVER: &str = "postgres";
/// How long a first start may take, with its installation.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a server may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// `services`.
///
/// # Errors
/// When the verb is not known, or the server cannot be built, started or stopped.
pub fn services(words: &[String]) -> Result<()> {
    let Some((verb, rest)) = words.split_first() else { bail!("usage: cargo xtask {USAGE}") };
    let workspace = Workspace::read()?;
    let dir = workspace.target.join("services/running");
    let server = rest.first().map_or(DEFAULT_SERVER, String::as_str);
    let arguments = rest.get(1..).unwrap_or_default();
    match verb.as_str() {
        "install" => run(Command::new(build(&workspace)?).arg("install").args(rest)),
        "run" => run(Command::new(build(&workspace)?).args(["run", server]).args(arguments)),
        "start" => start(&build(&workspace)?, &Running::new(&dir, server), arguments),
        "stop" => match rest.first() {
            Some(server) => Running::new(&dir, server).stop(),
            None => all(&dir)?.iter().try_for_each(Running::stop),
        },
        "status" => {
            let all = all(&dir)?;
            all.iter().try_for_each(Running::print)?;
            if all.is_empty() {
                println!("no server was started");
            }
            Ok(())
        }
        other => bail!("services cannot '{other}': usage: cargo xtask {USAGE}"),
    }
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    run(&mut run::build(QUICK, ["rivet-test-servers"]))?;
    Ok(workspace.target.join(QUICK).join("rivet-test-servers"))
}

/// Servers that were started and not stopped.
fn all(dir: &Path) -> Result<Vec<Running>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "pid") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names.iter().map(|name| Running::new(dir, name)).collect())
}

/// The files of a server in the background.
struct Running {
    name: String,
    /// Process that holds the server.
    pid: PathBuf,
    /// The line of JSON that describes the server.
    about: PathBuf,
    log: PathBuf,
    /// Its standard input, which never ends.
    input: PathBuf,
}

impl Running {
    fn new(dir: &Path, name: &str) -> Self {
        let file = |extension: &str| dir.join(format!("{name}.{extension}"));
        Self { name: name.to_owned(), pid: file("pid"), about: file("json"), log: file("log"), input: file("input") }
    }

    /// The process, if it is still the one that was started.
    fn process(&self) -> Option<String> {
        let pid = fs::read_to_string(&self.pid).ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&command).contains("rivet-test-servers").then_some(pid)
    }

    fn print(&self) -> Result<()> {
        match self.process() {
            Some(_) => print!("{}", fs::read_to_string(&self.about).context("failed to read what was started")?),
            None => println!("{} ended by itself; its log is {}", self.name, self.log.display()),
        }
        Ok(())
    }

    fn stop(&self) -> Result<()> {
        if let Some(pid) = self.process() {
            output(Command::new("kill").arg(&pid))?;
            let start = Instant::now();
            while self.process().is_some() {
                if start.elapsed() > STOP_TIMEOUT {
                    bail!("{} (process {pid}) does not stop", self.name);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            println!("stopped {}", self.name);
        }
        self.forget();
        Ok(())
    }

    fn forget(&self) {
        for file in [&self.pid, &self.about, &self.input] {
            // One that was never made is fine.
            let _ = fs::remove_file(file);
        }
    }
}

/// Starts a server in the background and prints the line that describes it.
fn start(program: &Path, server: &Running, arguments: &[String]) -> Result<()> {
    if server.process().is_some() {
        bail!("{} runs already; `cargo xtask services stop {0}` stops it", server.name);
    }
    if let Some(dir) = server.pid.parent() {
        fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    }
    server.forget();
    output(Command::new("mkfifo").arg(&server.input))?;
    // Whoever holds both ends of a pipe never sees it end.
    let input = OpenOptions::new().read(true).write(true).open(&server.input)?;
    let mut command = Command::new(program);
    command.args(["run", &server.name]).args(arguments).stdin(input);
    command.stdout(File::create(&server.about)?).stderr(File::create(&server.log)?);
    // A group of its own: the terminal's Ctrl-C is not meant for it.
    let mut child = command.process_group(0).spawn().context("failed to start rivet-test-servers")?;
    fs::write(&server.pid, child.id().to_string())?;
    let ready = wait_until_ready(&mut child, server);
    if ready.is_err() {
        let _ = child.kill();
        server.forget();
    }
    ready
}

fn wait_until_ready(child: &mut Child, server: &Running) -> Result<()> {
    let start = Instant::now();
    loop {
        let about = fs::read_to_string(&server.about)?;
        if about.ends_with('\n') {
            print!("{about}");
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(&server.log).unwrap_or_default();
            bail!("{} did not start ({status}): {}", server.name, log.trim_end());
        }
        if start.elapsed() > START_TIMEOUT {
            bail!("{} did not start within {} s", server.name, START_TIMEOUT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
