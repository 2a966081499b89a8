//! A server of a benchmark run, started and stopped by `rivet-test-servers`, and its client program to talk to it.
//! It must not know tables or tools.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::engine::Engine;
use crate::run::{DEV, cargo, output, run};
use crate::workspace::Workspace;

/// A server; one that was started for this value ends with it.
pub struct Server {
    child: Option<Child>,
    engine: Engine,
    /// Where it is, with user and password.
    pub url: String,
    /// The client program and its first words; none for an engine that is a library.
    client: Vec<String>,
    /// What it says that it is.
    pub version: String,
}

impl Server {
    /// Installs (the first time) and starts a server with the defaults of its version; with the name of a variable, takes
    /// the PostgreSQL at the URL in it. The stand-in has a table of `n_rows`. A database without a server is a file in `scratch`.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub fn get(
        workspace: &Workspace,
        engine: Engine,
        url_env: Option<&str>,
        n_rows: u64,
        scratch: &Path,
    ) -> Result<Self> {
        if engine == Engine::Sqlite {
            let url = format!("sqlite:{}", scratch.join("bench.db").display());
            return Ok(Self { child: None, engine, url, client: Vec::new(), version: "SQLite".to_owned() });
        }
        if engine == Engine::Tds {
            return Self::tds(workspace, n_rows);
        }
        run(cargo(["build", "--quiet"]).args(DEV))?;
        let program = workspace.target.join("debug/rivet-test-servers");
        let mut server = match url_env.filter(|_| engine == Engine::Postgres) {
            Some(name) => {
                let url = std::env::var(name).with_context(|| format!("{name} is not set"))?;
                Self { child: None, engine, url, client: Vec::new(), version: String::new() }
            }
            None => Self::start(Command::new(&program).args(["run", engine.id()]), engine)?,
        };
        if engine == Engine::Postgres {
            let psql = output(Command::new(&program).args(["find", "psql"]))?.trim().to_owned();
            server.client = [&*psql, "-X", "-q", "-v", "ON_ERROR_STOP=1"].map(str::to_owned).to_vec();
        }
        server.version = server.sql("select version()")?.split(" on ").next().unwrap_or_default().to_owned();
        Ok(server)
    }

    /// The stand-in, optimised: it must be faster than who reads.
    fn tds(workspace: &Workspace, n_rows: u64) -> Result<Self> {
        run(&mut cargo(["build", "--quiet", "--release", "--locked", "--package", "rivet-test-tds"]))?;
        let program = workspace.target.join("release/rivet-test-tds");
        let mut server = Self::start(Command::new(&program).args(["bench", &n_rows.to_string()]), Engine::Tds)?;
        server.client = vec![program.display().to_string()];
        server.version = "a stand-in for SQL Server".to_owned();
        Ok(server)
    }

    fn start(command: &mut Command, engine: Engine) -> Result<Self> {
        // Its standard input ends with this process, however that ends; then it stops.
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.context("failed to start a server")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("it has a standard output")?).read_line(&mut line)?;
        let about: Value = serde_json::from_str(&line).context("the server did not start")?;
        let url = about["url"].as_str().context("the server said no url")?.to_owned();
        let words = about["client"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let client = words.map(str::to_owned).collect();
        Ok(Self { child: Some(child), engine, url, client, version: String::new() })
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.child.is_some() || self.url.contains("@127.0.0.1") || self.url.contains("@localhost")
    }

    /// The client over this server; the password is not on its command line.
    ///
    /// # Errors
    /// For an engine without one.
    pub fn client(&self) -> Result<Command> {
        let (program, words) = self.client.split_first().context("the engine has no client program")?;
        let mut command = Command::new(program);
        command.args(words).envs(self.environment());
        Ok(command)
    }

    /// The words by which the client reads a table and keeps nothing; its standard output leads nowhere.
    ///
    /// # Errors
    /// For an engine without a client.
    pub fn discard(&self, table: &str) -> Result<Vec<String>> {
        let mut words = self.client.clone();
        match self.engine {
            Engine::Postgres => {
                words.extend(["-c".to_owned(), format!("copy (select * from {table}) to stdout (format binary)")]);
            }
            Engine::Mariadb => {
                words.extend(["--quick".to_owned(), "-e".to_owned(), format!("select * from {table}")]);
            }
            Engine::Tds => words.extend(["discard".to_owned(), table.to_owned()]),
            Engine::Sqlite => bail!("the engine has no client program"),
        }
        Ok(words)
    }

    /// Where the server is, for programs that read the variables of libpq or of MySQL's client, and as `BENCH_URL`.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let (login, place) = rest.rsplit_once('@').unwrap_or_default();
        let (user, password) = login.split_once(':').unwrap_or_default();
        let (address, database) = place.split_once('/').unwrap_or_default();
        let (host, port) = address.split_once(':').unwrap_or_default();
        let libpq = [("PGHOST", host), ("PGPORT", port), ("PGUSER", user), ("PGPASSWORD", password)];
        let all =
            libpq.into_iter().chain([("PGDATABASE", database), ("MYSQL_PWD", password), ("BENCH_URL", &*self.url)]);
        all.map(|(name, value)| (name, value.to_owned())).collect()
    }

    /// Runs SQL and returns what it printed, unaligned and without headers.
    ///
    /// # Errors
    /// When the SQL fails.
    pub fn sql(&self, sql: &str) -> Result<String> {
        let words: &[&str] = if self.engine == Engine::Postgres { &["-At", "-c"] } else { &["-e"] };
        Ok(output(self.client()?.args(words).arg(sql))?.trim().to_owned())
    }

    /// Copies what `write` writes into a table.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn copy_in(&self, copy: &str, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut psql =
            self.client()?.args(["-c", copy]).stdin(Stdio::piped()).spawn().context("failed to start psql")?;
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
