//! Files that are no plugins of this host: each is refused by the right reason, by name, before its code runs.
//! It must not know how the loader reads a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::load::{self, LoadError};
use rivet_test_hostile as _;
use rivet_test_kit::fixture::{cargo, fixture_dir, repository};
use rivet_test_kit::library_dir;

/// Offsets in an ELF header (ELF specification).
const E_TYPE: usize = 16;
const E_MACHINE: usize = 18;
const ET_EXEC: u8 = 2;
const EM_RISCV: u8 = 243;

fn plugin() -> Result<Vec<u8>> {
    let path = library_dir()?.join("librivet_test_hostile.so");
    fs::read(&path).with_context(|| format!("{} is not built: run `cargo build --workspace`", path.display()))
}

fn refusal(path: &Path) -> Result<LoadError> {
    let error = load::open(path).err().with_context(|| format!("{} is refused", path.display()))?;
    ensure!(error.to_string().contains(&path.display().to_string()), "the file is not named: {error}");
    ensure!(!error.hint().is_empty(), "no hint: {error}");
    ensure!(error.to_string().len() < 400 && !error.to_string().contains('\n'), "no single sentence: {error}");
    Ok(error)
}

/// The only place of `from` becomes `to`, which is as long.
fn patched(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len(), "a patch keeps the length");
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|i| bytes[*i..].starts_with(from)).collect();
    ensure!(!places.is_empty(), "{} is not there", String::from_utf8_lossy(from));
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    Ok(bytes)
}

fn with_byte(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    bytes
}

/// Bytes that look random and are the same each time.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn files_that_are_no_libraries_say_what_they_look_like() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let library = plugin()?;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("text.so", b"#!/bin/sh\nexit 1\n".to_vec(), "a text file"),
        ("empty.so", Vec::new(), "empty"),
        ("noise.so", noise(4096), "no ELF file"),
        ("magic.so", b"\x7fELF".to_vec(), "damaged"),
        ("noisy-elf.so", [b"\x7fELF\x02\x01\x01".to_vec(), noise(4096)].concat(), "damaged"),
        ("header.so", library[..64].to_vec(), "damaged"),
        ("half.so", library[..library.len() / 2].to_vec(), "damaged"),
        ("almost.so", library[..library.len() - 1].to_vec(), "damaged"),
        ("program.so", with_byte(library, E_TYPE, ET_EXEC), "no shared library"),
    ];
    for (name, bytes, found) in cases {
        let path = dir.path().join(name);
        fs::write(&path, bytes)?;
        let error = refusal(&path).context(name)?;
        let LoadError::NotALibrary { found: says, .. } = &error else { anyhow::bail!("{name}: {error:?}") };
        assert!(says.contains(found), "{name}: {error}");
        assert!(error.hint().contains("remove the file"), "{}", error.hint());
    }
    let error = refusal(dir.path())?;
    assert!(matches!(error, LoadError::NotALibrary { .. }), "{error:?}");
    Ok(())
}

#[test]
fn files_that_cannot_be_read_say_why() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut cases = vec![(dir.path().join("missing.so"), "No such file")];
    let locked = dir.path().join("locked.so");
    fs::write(&locked, plugin()?)?;
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000))?;
    // Root reads everything.
    if fs::File::open(&locked).is_err() {
        cases.push((locked, "Permission denied"));
    }
    for (path, cause) in cases {
        let error = refusal(&path)?;
        assert!(matches!(error, LoadError::Unreadable { .. }) && error.to_string().contains(cause), "{error:?}");
    }
    Ok(())
}

#[test]
fn a_library_for_another_machine_names_both_machines() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("elsewhere.so");
    fs::write(&path, with_byte(plugin()?, E_MACHINE, EM_RISCV))?;
    let error = refusal(&path)?;
    let LoadError::WrongArchitecture { found, expected, .. } = &error else { anyhow::bail!("{error:?}") };
    assert_eq!((found.contains("riscv"), expected.as_str()), (true, std::env::consts::ARCH), "{error}");
    Ok(())
}

/// A library whose code ends the process as soon as it is opened, built by the system's compiler.
fn deadly(dir: &Path, name: &str, symbols: &str) -> Result<PathBuf> {
    let source = dir.join(format!("{name}.c"));
    let library = dir.join(format!("{name}.so"));
    let text = format!(
        "#include <stdlib.h>\n__attribute__((constructor)) static void start(void) {{ abort(); }}\n{symbols}\n"
    );
    fs::write(&source, text)?;
    let compiler =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
    let output = compiler.context("failed to start cc, which linking needs too")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

#[test]
fn libraries_without_the_one_symbol_are_refused_before_their_code_runs() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let unrelated = std::env::current_exe()?;
    let cases = [
        (deadly(dir.path(), "none", "int other_symbol = 1;")?, "none"),
        (deadly(dir.path(), "two", "int rivet_plugin_a_v1 = 1; int rivet_plugin_b_v1 = 1;")?, "2"),
        (
            deadly(
                dir.path(),
                "wanted",
                "extern int rivet_plugin_a_v1; int *use(void) { return &rivet_plugin_a_v1; }",
            )?,
            "none",
        ),
        (deadly(dir.path(), "next", "int rivet_plugin_a_v2 = 1;")?, "none"),
        (deadly(dir.path(), "nameless", "int rivet_plugin_v1 = 1; int rivet_plugin__v1 = 1;")?, "none"),
        (unrelated, "none"),
    ];
    for (path, expected) in cases {
        load::examine(&path).expect_err("it is no plugin");
        let error = refusal(&path)?;
        let LoadError::Symbol { found, .. } = &error else { anyhow::bail!("{error:?}") };
        assert_eq!(found, expected, "{error}");
        assert!(error.hint().contains("plugin!"), "{}", error.hint());
    }
    Ok(())
}

#[test]
fn what_the_system_lacks_is_said_in_the_loaders_own_words() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let cases = [
        ("needs-library.so", &b"\0libgcc_s.so.1\0"[..], &b"\0libgcc_x.so.1\0"[..], "libgcc_x.so.1"),
        ("needs-symbol.so", b"\0pthread_key_create\0", b"\0pthread_key_xreate\0", "pthread_key_xreate"),
    ];
    for (name, from, to, named) in cases {
        let path = dir.path().join(name);
        fs::write(&path, patched(plugin()?, from, to)?)?;
        let error = refusal(&path).context(name)?;
        let LoadError::Refused { cause, .. } = &error else { anyhow::bail!("{name}: {error:?}") };
        assert!(cause.contains(named), "{name}: {cause}");
        assert!(error.hint().contains("rebuild"), "{}", error.hint());
    }
    Ok(())
}

#[test]
fn a_symbol_that_is_no_header_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let source = dir.path().join("impostor.c");
    let path = dir.path().join("impostor.so");
    fs::write(&source, "const unsigned char rivet_plugin_impostor_v1[4096] = {1, 2, 3};\n")?;
    let output = std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&path).arg(&source).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let error = refusal(&path)?;
    assert!(matches!(error, LoadError::Layout { .. }), "{error:?}");
    Ok(())
}

#[test]
fn a_plugin_that_aborts_on_panic_does_not_compile() -> Result<()> {
    let manifest = repository().join("tests/fixtures/growth-plugin/Cargo.toml");
    let output = cargo("check", &manifest, &[("CARGO_PROFILE_DEV_PANIC", "abort")])?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it compiled in {}", fixture_dir()?.display());
    assert!(text.contains("a rivet plugin must be built with panic = \"unwind\""), "{text}");
    Ok(())
}
