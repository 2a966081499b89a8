//! A library file, read before any of its code runs: format, machine and plugin symbol (ELF specification).
//! It must not know the ABI's types.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use object::read::elf::{ElfFile32, ElfFile64};
use object::{Architecture, Object, ObjectKind, ObjectSymbol, ReadCache};

use super::LoadError;

/// The one symbol `rivet_plugin_*_v1` that the library exports.
///
/// # Errors
/// `Unreadable`, `NotALibrary`, `WrongArchitecture` or `Symbol`.
pub fn plugin_symbol(path: &Path) -> Result<String, LoadError> {
    let unreadable = |e: io::Error| LoadError::Unreadable { path: path.to_owned(), cause: e.to_string() };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(not_a_library(path, "not a file"));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::with_capacity(START_BYTES as usize);
    file.by_ref().take(START_BYTES).read_to_end(&mut start).map_err(unreadable)?;
    if start.is_empty() {
        return Err(not_a_library(path, "empty"));
    }
    if !start.starts_with(b"\x7fELF") {
        let text = std::str::from_utf8(&start).is_ok_and(|t| !t.contains('\0'));
        return Err(not_a_library(path, if text { "a text file" } else { "no ELF file" }));
    }
    // Only headers and symbols are read: a library may be far larger than what an export needs.
    let bytes = ReadCache::new(file);
    match start.get(4) {
        Some(2) => symbol_of(path, &ElfFile64::<object::Endianness, _>::parse(&bytes).map_err(|e| damaged(path, &e))?),
        _ => symbol_of(path, &ElfFile32::<object::Endianness, _>::parse(&bytes).map_err(|e| damaged(path, &e))?),
    }
}

/// Before and after the crate's name in the plugin symbol.
const SYMBOL_PREFIX: &str = "rivet_plugin_";
const SYMBOL_SUFFIX: &str = "_v1";
/// Bytes that tell a library from something else.
const START_BYTES: u64 = 64;

/// The crate that a symbol names, if it is that of a plugin.
pub fn crate_of(symbol: &str) -> Option<&str> {
    symbol.strip_prefix(SYMBOL_PREFIX)?.strip_suffix(SYMBOL_SUFFIX).filter(|name| !name.is_empty())
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
    let plugin: Vec<&str> = names.filter(|name| crate_of(name).is_some()).collect();
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
