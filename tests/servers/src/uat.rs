//! A place where the acceptance plan can be followed: servers, seeded tables, and the configs of `dev/` that point to them.
//! Must not know what the plan checks.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::postgres::{self, Postgres};
use crate::seed::{self, Sizes};
use crate::toxiproxy::Toxiproxy;
use crate::{gcs, mariadb, s3};

/// The plan's checks, below a place.
const SCRIPT: &str = "dev/run_uat_smoke.sh";

/// The place, with a fault proxy of its own.
pub struct Acceptance {
    dir: PathBuf,
    _proxy: Toxiproxy,
}

impl Acceptance {
    /// Fills an empty folder with what is in `dev`, changed in nothing but addresses; the tables are made on this server and on a
    /// MariaDB, the buckets in a store of each language.
    ///
    /// # Errors
    /// When a file cannot be copied, or the server refuses.
    pub fn prepare(server: &Postgres, dev: &Path, dir: &Path, sizes: &Sizes) -> Result<Self> {
        server.psql("postgres", "create role rivet login password 'rivet'; create database rivet owner rivet")?;
        seed::postgres(&format!("postgresql://rivet:rivet@{}:{}/rivet", server.host(), server.port()), sizes)?;
        let mysql = mariadb::shared();
        seed::mysql(mysql, sizes)?;
        s3::shared().bucket("rivet-test")?;
        gcs::shared().bucket("rivet-fake")?;
        let proxy = Toxiproxy::start(0)?;
        let (through, through_mysql) = (free_port()?, free_port()?);
        let addresses = [
            ("localhost:5432", format!("127.0.0.1:{}", server.port())),
            ("port: 5432", format!("port: {}", server.port())),
            ("localhost:15432", format!("127.0.0.1:{through}")),
            ("localhost:3306", format!("127.0.0.1:{}", mysql.port())),
            ("port: 3306", format!("port: {}", mysql.port())),
            ("localhost:13306", format!("127.0.0.1:{through_mysql}")),
            ("localhost:9000", format!("127.0.0.1:{}", s3::shared().port())),
            ("127.0.0.1:4443", format!("127.0.0.1:{}", gcs::shared().open_port())),
            ("localhost:8474", format!("127.0.0.1:{}", proxy.port())),
        ];
        let to = dir.join("dev");
        fs::create_dir_all(&to).with_context(|| format!("create {}", to.display()))?;
        for entry in fs::read_dir(dev).with_context(|| format!("list {}", dev.display()))? {
            let from = entry?.path();
            if let Some(name) = from.file_name().filter(|_| from.is_file()) {
                let mut text = fs::read_to_string(&from).with_context(|| format!("read {}", from.display()))?;
                for (as_written, here) in &addresses {
                    text = text.replace(as_written, here);
                }
                fs::write(to.join(name), text).with_context(|| format!("write {}", to.display()))?;
            }
        }
        Ok(Self { dir: dir.to_owned(), _proxy: proxy })
    }

    /// The plan's checks of these suites, of all when none is named, on this program with these plugins.
    ///
    /// # Errors
    /// When there is no psql.
    pub fn checks(&self, rivet: &Path, plugins: &Path, suites: &[&str]) -> Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = [rivet, &*postgres::find_psql()?].map(|program| program.with_file_name(""));
        let paths = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path)))?;
        let mut command = Command::new("bash");
        command.arg(SCRIPT).args(suites).current_dir(&self.dir);
        command.env("PATH", paths).env("RIVET_PLUGIN_PATH", plugins);
        command.env("MINIO_ACCESS_KEY", s3::shared().access_key()).env("MINIO_SECRET_KEY", s3::shared().secret_key());
        Ok(command)
    }
}

/// One that nobody listens on now.
fn free_port() -> Result<u16> {
    let socket = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(socket.local_addr().context("find a free port")?.port())
}
