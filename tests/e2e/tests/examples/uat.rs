//! The smoke checks of the acceptance plan, by its own script, changed in nothing but the port.
//! Must not know what a check looks for.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{plugin_dir, rivet};
use rivet_test_servers::postgres;

#[test]
fn every_check_that_needs_no_later_feature_passes() -> Result<()> {
    let server = postgres::shared();
    let psql = postgres::find_psql()?;
    let url = format!("postgresql://rivet:rivet@{}:{}/rivet", server.host(), server.port());
    server.psql("postgres", "create role rivet login password 'rivet'; create database rivet owner rivet")?;
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev");
    let seed = dev.join("uat/seed.sql");
    let seeded = Command::new(&psql).args(["-q", "-v", "users=5000", "-d", &url, "-f"]).arg(seed).output()?;
    ensure!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    let place = tempfile::TempDir::with_prefix("rivet-uat-")?;
    fs::create_dir(place.path().join("dev"))?;
    for entry in fs::read_dir(&dev)? {
        let from = entry?.path();
        let name = from.file_name().context("a name")?;
        if from.is_file() {
            let text = fs::read_to_string(&from)?.replace("localhost:5432", &format!("127.0.0.1:{}", server.port()));
            let text = text.replace("port: 5432", &format!("port: {}", server.port()));
            fs::write(place.path().join("dev").join(name), text)?;
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = [rivet()?, psql].map(|program| program.with_file_name(""));
    let paths = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path)))?;
    let script = Command::new("bash")
        .arg("dev/run_uat_smoke.sh")
        .current_dir(place.path())
        .env("PATH", paths)
        .env("RIVET_PLUGIN_PATH", plugin_dir()?)
        .output()?;
    let said = String::from_utf8_lossy(&script.stdout);
    ensure!(script.status.success() && said.contains(" 0 FAIL, 2 LATER"), "{said}");
    let passed = said.lines().filter(|line| line.starts_with("PASS")).count();
    ensure!(passed >= 70, "{passed} passed: {said}");
    Ok(())
}
