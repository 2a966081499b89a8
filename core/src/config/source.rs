//! The `source` block: which plugin, where the server is, and the secrets to get in.
//! It must not know any engine's URL grammar or options.

use std::io::Read;
use std::path::Path;

use rivet_plugin_api::{Connection, Policies, Secret, Tls, TlsMode};

use super::expand::is_name;
use super::load::cause;
use super::options::RESERVED_SOURCE_KEYS;
use super::section::{Cx, Section, Text};
use super::{ConfigError, Options, SourceConfig, columns, tuning};
use crate::file_kind;

const URL_KEYS: [&str; 3] = ["url", "url_env", "url_file"];
const STRUCTURED_KEYS: [&str; 6] = ["host", "port", "user", "password", "password_env", "database"];
pub(super) const TLS_KEYS: &[&str] =
    &["mode", "ca_file", "cert_file", "key_file", "accept_invalid_certs", "accept_invalid_hostnames"];
/// Largest file that holds a URL, bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// What exports inherit from the source.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) tuning: tuning::Patch,
    pub(super) policies: Policies,
}

/// Reads the block, and what exports can override of it.
pub(super) fn read(block: &Section, cx: &mut Cx) -> (SourceConfig, Inherited) {
    let plugin = plugin_name(block, cx);
    if block.get("type").is_none() {
        block.missing("type", "name the source plugin: `rivet plugin list` shows which there are", cx);
    }
    exclude(block, cx);
    let url = block.word("url", cx).map(|t| Secret::new(t.value));
    let url = url.or_else(|| from_variable("url_env", block, cx)).or_else(|| from_file("url_file", block, cx));
    let password = block.word("password", cx).map(|t| Secret::new(t.value));
    let owned = |t: Text| t.value.to_owned();
    let connection = Connection {
        url,
        host: block.word("host", cx).map(owned),
        port: block.whole("port", 1..=65_535, cx).and_then(|n| u16::try_from(n).ok()),
        user: block.word("user", cx).map(owned),
        password: password.or_else(|| from_variable("password_env", block, cx)),
        database: block.word("database", cx).map(owned),
        tls: block.section("tls", cx).map(|tls| read_tls(&tls, cx)),
    };
    let patch = block.section("tuning", cx).map(|t| tuning::Patch::read(&t, cx)).unwrap_or_default();
    let options = Options::of(block, RESERVED_SOURCE_KEYS, cx);
    let source = SourceConfig { plugin: plugin.unwrap_or_default(), connection, options, tuning: patch.settle() };
    let policies = block.section("policies", cx).map(|p| columns::read_policies(&p, &[], cx)).unwrap_or_default();
    (source, Inherited { tuning: patch, policies })
}

/// The `type` of a block, if it has a usable one.
pub(super) fn plugin_name(block: &Section, cx: &mut Cx) -> Option<String> {
    let text = block.text("type", cx)?;
    check_plugin_name(&text, cx)
}

/// Names of plugins are plain words, so that they can be shown: a URL put there by mistake must not be.
pub(super) fn check_plugin_name(text: &Text, cx: &mut Cx) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if text.value.is_empty() || text.value.len() > 64 || !text.value.bytes().all(plain) {
        cx.bad(&text.path, text.id, "must be the name of a plugin", Some("names have letters, digits, '_' and '-'"));
        return None;
    }
    Some(text.value.to_owned())
}

fn exclude(block: &Section, cx: &mut Cx) {
    for (i, one) in URL_KEYS.iter().enumerate() {
        URL_KEYS[i + 1..].iter().for_each(|other| block.exclusive(one, other, cx));
    }
    block.exclusive("password", "password_env", cx);
    let url = URL_KEYS.iter().find(|k| block.get(k).is_some());
    let structured = STRUCTURED_KEYS.iter().find(|k| block.get(k).is_some());
    if let (Some(url), Some(structured)) = (url, structured) {
        block.exclusive(url, structured, cx);
    }
}

fn from_variable(key: &str, block: &Section, cx: &mut Cx) -> Option<Secret> {
    let name = block.word(key, cx)?;
    if !is_name(name.value) {
        cx.bad(&name.path, name.id, "must be the name of a variable", Some("give the name alone, without '$'"));
        return None;
    }
    match (cx.variables.env)(name.value) {
        Some(value) if value.is_empty() => {
            cx.bad(&name.path, name.id, "names a variable that is empty", Some("set it in the environment of rivet"));
            None
        }
        Some(value) => Some(Secret::new(value)),
        None => {
            // A name in small letters may be the password itself, put here by mistake.
            let shown = name.shown().filter(|n| !n.contains(|c: char| c.is_ascii_lowercase()));
            if let Some(variable) = shown {
                let at = cx.at(name.path, name.id);
                cx.push(ConfigError::UnsetVariable { at, variable, message: None });
            } else {
                let hint = "it takes the name of a variable, not the secret itself";
                cx.bad(&name.path, name.id, "names a variable that is not set", Some(hint));
            }
            None
        }
    }
}

fn from_file(key: &str, block: &Section, cx: &mut Cx) -> Option<Secret> {
    let name = block.word(key, cx)?;
    if name.value.contains("://") {
        cx.bad(&name.path, name.id, "must be the path of a file, not a URL", Some("a URL goes into `url`"));
        return None;
    }
    match read_secret(&cx.base_dir.join(name.value)) {
        Ok(text) => Some(Secret::new(text)),
        Err(problem) => {
            let file = name.shown();
            let at = cx.at(name.path, name.id);
            cx.push(ConfigError::SecretFile { at, file, problem });
            None
        }
    }
}

/// Text of a file without the line end that editors leave.
///
/// # Errors
/// The rest of a sentence about the file.
fn read_secret(path: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("cannot be read: {}", cause(&e));
    let mut bytes = Vec::new();
    let file = file_kind::open(path).map_err(failed)?;
    file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("is larger than {MAX_SECRET_BYTES} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn read_tls(block: &Section, cx: &mut Cx) -> Tls {
    block.refuse_unknown(TLS_KEYS, cx);
    let modes = [
        ("disable", TlsMode::Disable),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ];
    let file = |key: &str, cx: &mut Cx| {
        let text = block.word(key, cx)?;
        Some(cx.base_dir.join(text.value).to_string_lossy().into_owned())
    };
    Tls {
        mode: block.choice("mode", &modes, cx).unwrap_or(TlsMode::VerifyFull),
        ca_file: file("ca_file", cx),
        cert_file: file("cert_file", cx),
        key_file: file("key_file", cx),
        accept_invalid_certs: block.flag("accept_invalid_certs", cx).unwrap_or(false),
        accept_invalid_hostnames: block.flag("accept_invalid_hostnames", cx).unwrap_or(false),
    }
}
