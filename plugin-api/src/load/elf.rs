//! A library file, read before any of its code runs: format, machine and plugin symbol (ELF specification).
//! It must not know the ABI's types.

use std::path::Path;

use object::read::elf::{ElfFile32, ElfFile64};
use object::{Architecture, Object, ObjectKind, ObjectSymbol};

use super::LoadError;

/// Largest file that is read as a plugin, bytes.
const MAX_LIBRARY_BYTES: u64 = 1 << 30;

/// The one symbol `rivet_plugin_*_v1` that the library exports.
///
/// # Errors
/// `Unreadable`, `NotALibrary`, `WrongArchitecture` or `Symbol`.
pub fn plugin_symbol(path: &Path) -> Result<String, LoadError> {
    let unreadable = |cause: String| LoadError::Unreadable { path: path.to_owned(), cause };
    let metadata = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
    if !metadata.is_file() {
        return Err(not_a_library(path, "not a file"));
    }
    if metadata.len() > MAX_LIBRARY_BYTES {
        return Err(not_a_library(path, "too large"));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    if bytes.is_empty() {
        return Err(not_a_library(path, "empty"));
    }
    if !bytes.starts_with(b"\x7fELF") {
        let text = std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok();
        return Err(not_a_library(path, if text { "a text file" } else { "no ELF file" }));
    }
    match bytes.get(4) {
        Some(2) => symbol_of(path, &ElfFile64::<object::Endianness>::parse(&*bytes).map_err(|e| damaged(path, &e))?),
        _ => symbol_of(path, &ElfFile32::<object::Endianness>::parse(&*bytes).map_err(|e| damaged(path, &e))?),
    }
}

fn symbol_of<'d>(path: &Path, file: &impl Object<'d>) -> Result<String, LoadError> {
    let found = file.architecture();
    let same = match found {
        Architecture::X86_64 => cfg!(target_arch = "x86_64"),
        Architecture::Aarch64 => cfg!(target_arch = "aarch64"),
        _ => false,
    };
    if !same {
        return Err(LoadError::WrongArchitecture {
            path: path.to_owned(),
            found: format!("{found:?}").to_lowercase(),
            expected: std::env::consts::ARCH.to_owned(),
        });
    }
    if file.kind() != ObjectKind::Dynamic {
        return Err(not_a_library(path, "an ELF file, but no shared library"));
    }
    let names = file.dynamic_symbols().filter(|s| s.is_definition()).filter_map(|s| s.name().ok());
    let plugin: Vec<&str> =
        names.filter(|name| name.starts_with("rivet_plugin_") && name.ends_with("_v1")).collect();
    match plugin.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(LoadError::Symbol { path: path.to_owned(), found: "none".to_owned() }),
        many => Err(LoadError::Symbol { path: path.to_owned(), found: many.len().to_string() }),
    }
}

fn not_a_library(path: &Path, found: &str) -> LoadError {
    LoadError::NotALibrary { path: path.to_owned(), found: found.to_owned() }
}

fn damaged(path: &Path, e: &object::read::Error) -> LoadError {
    not_a_library(path, &format!("a damaged ELF file ({e})"))
}
