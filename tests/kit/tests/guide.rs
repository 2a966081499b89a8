//! What the authors' guide says that its own code does not prove: the table of types, and the lines that hold Arrow.
//! It must not know how either is read.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::{LogicalType, StructField, TypesMode};
use rivet_test_kit::fixture::repository;

fn guide() -> Result<String> {
    Ok(fs::read_to_string(repository().join("docs/writing-a-plugin.md"))?)
}

/// Each logical type, with the ends of its parameters.
fn types() -> Vec<LogicalType> {
    use LogicalType::*;
    let mut all = vec![Bool];
    all.extend([8, 16, 32, 64].map(|bits| Int { bits, signed: true }));
    all.extend([8, 16, 32, 64].map(|bits| Int { bits, signed: false }));
    all.extend([32, 64].map(|bits| Float { bits }));
    all.extend([(38, 2), (76, 2)].map(|(precision, scale)| Decimal { precision, scale }));
    all.extend([Text, Binary, Date]);
    all.extend([false, true].map(|nanos| Time { nanos }));
    all.extend([false, true].map(|nanos| Timestamp { utc: false, nanos }));
    all.extend([false, true].map(|nanos| Timestamp { utc: true, nanos }));
    all.extend([Uuid, Json, Interval, Enum]);
    all.push(List { element: Box::new(Uuid) });
    all.push(Struct { fields: vec![StructField::new("a", Date)] });
    all.push(Map { key: Box::new(Text), value: Box::new(Date) });
    all
}

#[test]
fn the_table_of_types_is_what_a_scan_delivers() -> Result<()> {
    let line = |logical: &LogicalType| {
        let arrow = |types| logical.arrow_type(types).to_string();
        format!("| `{logical}` | `{}` | `{}` |", arrow(TypesMode::Portable), arrow(TypesMode::Native))
    };
    let expected = types().iter().map(line).collect::<Vec<_>>().join("\n");
    ensure!(guide()?.contains(&format!("|---|---|---|\n{expected}\n\n")), "the table is\n{expected}");
    Ok(())
}

/// The lines are run on the lock file of a plugin with the newest Arrow, and leave one version of each crate.
#[test]
fn arrow_can_be_held_as_the_guide_says() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let from = repository().canonicalize()?.join("tests/fixtures/growth-plugin");
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let sdk = from.join("../../../plugin-api");
    fs::write(dir.path().join("Cargo.toml"), manifest.replace("../../../plugin-api", &sdk.to_string_lossy()))?;
    fs::copy(from.join("Cargo.lock"), dir.path().join("Cargo.lock"))?;
    fs::create_dir(dir.path().join("src"))?;
    fs::copy(from.join("src/lib.rs"), dir.path().join("src/lib.rs"))?;
    let guide = guide()?;
    let lines: Vec<&str> = guide.lines().filter(|line| line.starts_with("cargo update ")).collect();
    ensure!(lines.len() == 2, "{lines:?}");
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let program = std::env::var_os("CARGO").context("cargo runs this")?;
        let run = |more: &[&str]| Command::new(&program).args(&words).args(more).current_dir(dir.path()).output();
        // Without network where that can do.
        let offline = run(&["--offline"])?;
        let output = if offline.status.success() { offline } else { run(&[])? };
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let lock = fs::read_to_string(dir.path().join("Cargo.lock"))?;
    let packages = lock.split("[[package]]").filter(|p| p.starts_with("\nname = \"arrow-"));
    let held: BTreeSet<Vec<&str>> = packages.map(|p| p.lines().skip(1).take(2).collect()).collect();
    let names: BTreeSet<&str> = held.iter().map(|package| package[0]).collect();
    ensure!(names.len() == held.len() && held.iter().all(|p| p[1] == "version = \"58.4.1\""), "{held:?}");
    Ok(())
}
