//! What libpq takes from the environment (PostgreSQL documentation, "Environment Variables"): variables, the service
//! file, the password file. What has no meaning here is refused where it would protect, else told.
//! It must not know URLs, nor open a connection.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rivet_plugin_api::{PluginError, Result, Secret};

use crate::parts::{Parts, invalid};

/// Larger files are none of ours, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Variables and the parameters that they stand for.
const VARIABLES: [(&str, &str); 16] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGDATABASE", "dbname"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGAPPNAME", "application_name"),
    ("PGOPTIONS", "options"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

/// Variables that ask for a protection or a way that is not built, and the values that ask for nothing.
const REFUSED: [(&str, &[&str]); 11] = [
    ("PGREQUIREAUTH", &[]),
    ("PGREQUIREPEER", &[]),
    ("PGSSLCRL", &[]),
    ("PGSSLCRLDIR", &[]),
    ("PGSSLCERTMODE", &["allow"]),
    ("PGSSLNEGOTIATION", &["postgres"]),
    ("PGSSLMINPROTOCOLVERSION", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("PGSSLMAXPROTOCOLVERSION", &["TLSv1.3"]),
    ("PGGSSENCMODE", &["disable", "prefer"]),
    ("PGMINPROTOCOLVERSION", &["3.0"]),
    ("PGMAXPROTOCOLVERSION", &["3.0", "3.2", "latest"]),
];

/// Variables that change nothing here, and why; with the values that ask for nothing.
const WITHOUT_EFFECT: [(&str, &[&str], &str); 10] = [
    ("PGTZ", &["UTC", "utc"], "the session's time zone is UTC"),
    ("PGDATESTYLE", &["ISO", "ISO, YMD"], "the session's date style is ISO"),
    ("PGCLIENTENCODING", &["UTF8", "UTF-8", "utf8", "auto"], "texts are read as UTF-8"),
    ("PGGEQO", &["default"], "set it in PGOPTIONS, as -c geqo=off"),
    ("PGLOADBALANCEHOSTS", &["disable"], "there is one host"),
    ("PGSSLSNI", &["1"], "the server is always told the host's name"),
    ("PGSSLCOMPRESSION", &["0"], "nothing is compressed"),
    ("PGGSSDELEGATION", &["0"], "there is no login by GSSAPI"),
    ("PGKRBSRVNAME", &["postgres"], "there is no login by GSSAPI"),
    ("PGSSLKEYLOGFILE", &[], "keys are not logged"),
];

/// Looks variables up.
pub type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

/// The process's own; one that is not UTF-8 reads as an unusable text and not as absent.
pub fn of_process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Takes what the URL or the config's keys do not say: from the service that is named, then from variables. `tls_said`:
/// the config has a `tls` block, which says all about protection.
///
/// # Errors
/// `Config`, naming the variable; without a value of any.
pub fn fill(parts: &mut Parts, tls_said: bool, lookup: Lookup<'_>) -> Result<()> {
    let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
    for (name, harmless) in REFUSED {
        if lookup(name).is_some_and(|value| !harmless.contains(&value.as_str())) {
            return Err(invalid(
                &format!("{name} asks for what rivet cannot do"),
                &format!("run it without {name}, as with `env -u {name} rivet …`"),
            ));
        }
    }
    for (name, harmless, why) in WITHOUT_EFFECT {
        if lookup(name).is_some_and(|value| !harmless.contains(&value.as_str())) {
            parts.warnings.push(format!("{name} has no effect: {why}"));
        }
    }
    let wanted = |parts: &Parts, key: &str| !(parts.says(key) || tls_said && key.starts_with("ssl"));
    if let Some(service) = parts.service.take().or_else(|| lookup("PGSERVICE")) {
        for (key, value) in service_of(&service, &lookup)? {
            if wanted(parts, &key) {
                parts.parameter(&key, value).map_err(|e| in_place(e, "the service file"))?;
            }
        }
    }
    let deprecated = lookup("PGREQUIRESSL").filter(|v| v.starts_with('1')).map(|_| "require".to_owned());
    for (name, key) in VARIABLES {
        let value = lookup(name).or_else(|| if name == "PGSSLMODE" { deprecated.clone() } else { None });
        if let (true, Some(value)) = (wanted(parts, key), value) {
            parts.parameter(key, value).map_err(|e| in_place(e, name))?;
        }
    }
    if parts.password.is_none() {
        parts.password = from_passfile(parts, &lookup);
    }
    Ok(())
}

/// Says where a wrong value stands.
fn in_place(e: PluginError, place: &str) -> PluginError {
    let hint = e.hint_text().unwrap_or_default().to_owned();
    PluginError::new(e.kind(), e.code(), format!("{place}: {}", e.message())).hint(hint)
}

/// The lines of a service: in `PGSERVICEFILE`, else `~/.pg_service.conf`, then `pg_service.conf` in `PGSYSCONFDIR`.
fn service_of(service: &str, lookup: Lookup<'_>) -> Result<Vec<(String, String)>> {
    let own = lookup("PGSERVICEFILE").map(PathBuf::from).or_else(|| at_home(lookup, ".pg_service.conf"));
    let shared = lookup("PGSYSCONFDIR").map(|dir| Path::new(&dir).join("pg_service.conf"));
    for file in own.into_iter().chain(shared) {
        if let Some(found) = read(&file).ok().and_then(|text| section(&text, service)) {
            return found;
        }
    }
    Err(invalid(
        &format!("the service '{service}' is defined in no service file"),
        "name the file in PGSERVICEFILE; a service begins with a line [NAME]",
    ))
}

fn section(text: &str, service: &str) -> Option<Result<Vec<(String, String)>>> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != format!("[{service}]"));
    lines.next()?;
    let inside = lines.take_while(|line| !line.starts_with('[')).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let pair = |line: &str| match line.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(invalid("the service file has a line without =", "write key=value")),
    };
    Some(inside.map(pair).collect())
}

/// The password of the first line of the password file that fits: `host:port:database:user:password`, where `*` fits all.
fn from_passfile(parts: &mut Parts, lookup: Lookup<'_>) -> Option<Secret> {
    let named = parts.passfile.clone().map(PathBuf::from);
    let is_named = named.is_some();
    let file = named.or_else(|| at_home(lookup, ".pgpass"))?;
    let mut tell = |what: &str| parts.warnings.push(format!("the password file '{}' {what}", file.display()));
    let text = match read(&file) {
        Ok(text) => text,
        Err(_) if !is_named => return None,
        Err(cause) => {
            tell(&format!("is not used: {cause}"));
            return None;
        }
    };
    let mode = fs::metadata(&file).map(|facts| facts.permissions().mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        tell("is not used, since others may read it: chmod 600");
        return None;
    }
    let host = match parts.host.as_deref() {
        None | Some("/tmp" | "/var/run/postgresql") => "localhost",
        Some(host) => host,
    };
    let user = parts.user.as_deref().unwrap_or_default();
    let port = parts.port.unwrap_or(5432).to_string();
    let wanted = [host, &port, parts.database.as_deref().unwrap_or(user), user];
    text.lines().find_map(|line| password_of(line, wanted)).map(Secret::new)
}

fn password_of(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if fields.len() <= wanted.len() => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(chars.next()),
            c => fields.last_mut()?.push(c),
        }
    }
    let password = fields.pop()?;
    let fits = fields.len() == wanted.len() && fields.iter().zip(wanted).all(|(f, w)| f == "*" || f == w);
    fits.then_some(password).filter(|password| !password.is_empty())
}

fn at_home(lookup: Lookup<'_>, name: &str) -> Option<PathBuf> {
    lookup("HOME").map(|home| Path::new(&home).join(name))
}

fn read(file: &Path) -> std::io::Result<String> {
    let facts = fs::metadata(file)?;
    if !facts.is_file() || facts.len() > MAX_FILE_BYTES {
        return Err(std::io::Error::other("it is no file of a few lines"));
    }
    fs::read_to_string(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own that nobody else has.
    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("rivet-variables-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        dir
    }

    fn filled(variables: &[(&str, &str)], mut parts: Parts) -> Result<Parts> {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        fill(&mut parts, false, &lookup).map(|()| parts)
    }

    #[test]
    fn what_would_protect_is_refused_and_what_means_nothing_is_told() {
        for (name, value) in [
            ("PGREQUIREAUTH", "scram-sha-256"),
            ("PGSSLCRL", "x"),
            ("PGGSSENCMODE", "require"),
            ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
            ("PGPORT", "canary"),
            ("PGSERVICE", "nowhere"),
            ("PGTARGETSESSIONATTRS", "canary"),
            ("PGHOST", "a,b"),
        ] {
            let e = filled(&[(name, value)], Parts::default()).expect_err(name);
            let said = format!("{} {}", e.message(), e.hint_text().unwrap_or_default());
            assert!(said.contains(name) || name == "PGSERVICE", "{said}");
            assert!(!said.contains("canary"), "{said}");
        }
        let quiet =
            [("PGGSSENCMODE", "prefer"), ("PGTZ", "UTC"), ("PGSSLCERTMODE", "allow"), ("PGCLIENTENCODING", "UTF8")];
        assert!(filled(&quiet, Parts::default()).expect("they ask for nothing").warnings.is_empty());
        let told = filled(&[("PGTZ", "Asia/Tokyo")], Parts::default()).expect("it is told").warnings;
        assert!(told[0].contains("PGTZ has no effect"), "{told:?}");
    }

    #[test]
    fn a_service_comes_before_variables_and_after_the_url() {
        let dir = folder("service");
        let file = dir.join("pg_service.conf");
        fs::write(&file, "# c\n[other]\nhost=no\n[shop]\nhost=db1\nport = 7\nuser=canary\n").expect("a file");
        let file = file.display().to_string();
        let variables = [("PGSERVICE", "shop"), ("PGSERVICEFILE", file.as_str()), ("PGPORT", "9"), ("PGDATABASE", "d")];
        let parts = filled(&variables, Parts { user: Some("u".to_owned()), ..Parts::default() }).expect("a service");
        let all = (parts.host.as_deref(), parts.port, parts.user.as_deref(), parts.database.as_deref());
        assert_eq!(all, (Some("db1"), Some(7), Some("u"), Some("d")));
        let system = [("PGSERVICE", "shop"), ("PGSYSCONFDIR", dir.to_str().expect("UTF-8"))];
        assert_eq!(filled(&system, Parts::default()).expect("a service").host.as_deref(), Some("db1"));
        fs::remove_dir_all(dir).expect("it was ours");
    }

    #[test]
    fn the_password_file_is_read_as_libpq_reads_it() {
        let dir = folder("passfile");
        let file = dir.join("pgpass");
        fs::write(&file, "# c\ndb1:5432:shop:me:first\\:1\ndb1:*:*:*:second\n*:*:*:you:\n").expect("a file");
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        let path = file.display().to_string();
        let parts = |host: &str, user: &str| Parts {
            host: Some(host.to_owned()),
            user: Some(user.to_owned()),
            database: Some("shop".to_owned()),
            ..Parts::default()
        };
        let found = |host: &str, user: &str| {
            let parts = filled(&[("PGPASSFILE", &path)], parts(host, user)).expect("a file");
            (parts.password.map(|p| p.expose().to_owned()), parts.warnings)
        };
        mode(0o600);
        assert_eq!(found("db1", "me").0.as_deref(), Some("first:1"));
        assert_eq!(found("db1", "else").0.as_deref(), Some("second"));
        assert_eq!(found("db2", "you"), (None, vec![]));
        mode(0o640);
        let (none, warnings) = found("db1", "me");
        assert!(none.is_none() && warnings[0].contains("chmod 600"), "{warnings:?}");
        let gone = filled(&[("PGPASSFILE", "/nowhere/pgpass")], parts("db1", "me")).expect("it is told");
        assert!(gone.warnings[0].contains("is not used"), "{:?}", gone.warnings);
        fs::remove_dir_all(dir).expect("it was ours");
    }
}
