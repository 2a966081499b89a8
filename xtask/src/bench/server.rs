//! The PostgreSQL of a benchmark run, started and stopped by `rivet-test-servers`, and psql to talk to it.
//! It must not know tables or tools.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{DEV, cargo, output, run};
use crate::workspace::Workspace;

/// A server; one that was started for this value ends with it.
pub struct Server {
    child: Option<Child>,
    /// Where it is, with user and password.
    pub url: String,
    /// The client program.
    pub psql: PathBuf,
}

impl Server {
    /// Installs (the first time) and starts a server with the defaults of its version; with the name of
    /// a variable, takes the one at the URL in it.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub fn get(workspace: &Workspace, url_env: Option<&str>) -> Result<Self> {
        run(cargo(["build", "--quiet"]).args(DEV))?;
        let program = workspace.target.join("debug/rivet-test-servers");
        let psql = output(Command::new(&program).args(["find", "psql"]))?.trim().into();
        if let Some(name) = url_env {
            let url = std::env::var(name).with_context(|| format!("{name} is not set"))?;
            return Ok(Self { child: None, url, psql });
        }
        // Its standard input ends with this process, however that ends; then it stops.
        let mut child = Command::new(&program)
            .args(["run", "postgres"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start rivet-test-servers")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("it has a standard output")?).read_line(&mut line)?;
        let about: Value = serde_json::from_str(&line).context("the server did not start")?;
        let url = about["url"].as_str().context("the server said no url")?.to_owned();
        Ok(Self { child: Some(child), url, psql })
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.environment()
            .iter()
            .any(|(name, value)| *name == "PGHOST" && ["127.0.0.1", "localhost"].contains(&&**value))
    }

    /// psql over this server; the URL is not on its command line.
    pub fn psql(&self) -> Command {
        let mut command = Command::new(&self.psql);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).envs(self.environment());
        command
    }

    /// Where the server is, for programs that read libpq's variables, and as `BENCH_URL`.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let (login, place) = rest.rsplit_once('@').unwrap_or_default();
        let (user, password) = login.split_once(':').unwrap_or_default();
        let (address, database) = place.split_once('/').unwrap_or_default();
        let (host, port) = address.split_once(':').unwrap_or_default();
        let libpq = [("PGHOST", host), ("PGPORT", port), ("PGUSER", user), ("PGPASSWORD", password)];
        let all = libpq.into_iter().chain([("PGDATABASE", database), ("BENCH_URL", &*self.url)]);
        all.map(|(name, value)| (name, value.to_owned())).collect()
    }

    /// Runs SQL and returns what it printed, unaligned and without headers.
    ///
    /// # Errors
    /// When the SQL fails.
    pub fn sql(&self, sql: &str) -> Result<String> {
        Ok(output(self.psql().args(["-At", "-c", sql]))?.trim().to_owned())
    }

    /// Copies what `write` writes into a table.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn copy_in(&self, copy: &str, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut psql = self.psql().args(["-c", copy]).stdin(Stdio::piped()).spawn().context("failed to start psql")?;
        let mut input = std::io::BufWriter::with_capacity(1 << 20, psql.stdin.take().context("psql has an input")?);
        let written = write(&mut input).and_then(|()| Ok(input.flush()?));
        drop(input);
        if !psql.wait()?.success() {
            bail!("`{copy}` failed");
        }
        written
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}
