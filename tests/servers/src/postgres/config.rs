//! The configuration files of a test server, and what its status file says.
//! Must not know how the process is started.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::PostgresOptions;
use crate::cache;
use crate::certs::{Certs, ServerCert};

/// The first line that matches decides.
const PG_HBA: &str = "\
local     all          all                    scram-sha-256
hostssl   all          app     127.0.0.1/32   cert
host      all          app     127.0.0.1/32   reject
hostnossl all          plain   127.0.0.1/32   scram-sha-256
host      all          plain   127.0.0.1/32   reject
host      all          md5u    127.0.0.1/32   md5
host      all          all     127.0.0.1/32   scram-sha-256
host      replication  all     127.0.0.1/32   scram-sha-256
";

/// Longest path of a Unix socket in bytes: `sun_path` holds 108 with its final zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Appends our settings to the configuration that initdb wrote; the last of two equal settings counts.
pub(super) fn write(data: &Path, socket_dir: &Path, certs: &Certs, options: &PostgresOptions) -> Result<()> {
    let on = if options.fsync { "on" } else { "off" };
    let (cert, key) = certs.server(ServerCert::Good);
    let ours = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("unix_socket_directories", path_list(socket_dir)),
        ("password_encryption", "scram-sha-256".to_owned()),
        ("ssl", "on".to_owned()),
        ("ssl_cert_file", cert.display().to_string()),
        ("ssl_key_file", key.display().to_string()),
        ("ssl_ca_file", certs.pem("ca").display().to_string()),
        ("fsync", on.to_owned()),
        ("full_page_writes", on.to_owned()),
        ("shared_buffers", "32MB".to_owned()),
        ("wal_level", "logical".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
        ("logging_collector", "off".to_owned()),
    ];
    let conf = data.join("postgresql.conf");
    let mut text = fs::read_to_string(&conf).with_context(|| format!("read {}", conf.display()))?;
    let extra = options.extra_conf.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    for (name, value) in ours.iter().map(|(k, v)| (*k, v.as_str())).chain(extra) {
        // A backslash escapes in this file, unlike in SQL.
        let value = sql_string(&value.replace('\\', "\\\\"));
        writeln!(text, "{name} = {value}").expect("a String takes every write");
    }
    fs::write(&conf, text).with_context(|| format!("write {}", conf.display()))?;
    let hba = data.join("pg_hba.conf");
    fs::write(&hba, PG_HBA).with_context(|| format!("write {}", hba.display()))
}

/// A string in single quotes.
pub(super) fn sql_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Makes the folder of the Unix socket: inside `dir`, or in the system's temporary folder when the path would be too long.
pub(super) fn make_socket_dir(dir: &Path) -> Result<PathBuf> {
    let inside = dir.join("sock");
    let fits = inside.join(".s.PGSQL.65535").as_os_str().len() <= MAX_SOCKET_PATH_BYTES;
    let socket_dir =
        if fits { inside } else { std::env::temp_dir().join(format!("rivet-pg-{}", cache::random_hex(6)?)) };
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&socket_dir)
        .with_context(|| format!("create {}", socket_dir.display()))?;
    Ok(socket_dir)
}

/// Whether the server wrote that it accepts connections: line 8 of postmaster.pid, which pg_ctl reads too.
pub(super) fn is_ready(pid_file: &Path) -> bool {
    fs::read_to_string(pid_file).is_ok_and(|text| text.lines().nth(7).is_some_and(|l| l.trim_end() == "ready"))
}

/// One path as an element of a list setting, where a comma separates and double quotes protect.
fn path_list(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_moves_the_socket_to_the_temporary_folder() {
        let short = std::env::temp_dir().join(format!("rivet-{}", std::process::id()));
        let long = short.join("x".repeat(100));
        fs::create_dir_all(&long).expect("a folder");
        for dir in [&short, &long] {
            let socket_dir = make_socket_dir(dir).expect("a folder");
            assert_eq!(socket_dir.starts_with(dir), dir == &short);
            std::os::unix::net::UnixListener::bind(socket_dir.join(".s.PGSQL.65535"))
                .expect("the path is short enough");
            fs::remove_dir_all(socket_dir).expect("our folder");
        }
        fs::remove_dir_all(short).expect("our folder");
    }
}
