//! The destinations in object stores, as libraries, do what every store must.
//! Must not know how a store is written to.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_test_kit::{conformance, loaded};
use rivet_test_servers::{azure, gcs, s3};
use serde_json::{Value, json};

/// Names of the variables that a child of ours gets.
const PLUGIN: &str = "RIVET_TEST_PLUGIN";
const OPTIONS: &str = "RIVET_TEST_OPTIONS";

/// Runs the suite in a process of its own, whose environment has the secret: `test` is who calls, here and there.
fn conforms(test: &str, plugin: &str, options: &Value, secret: &str) -> Result<()> {
    let child = Command::new(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .envs([(PLUGIN, plugin), (OPTIONS, &*options.to_string()), ("STORE_SECRET", secret)])
        .env("STORE_NAME", s3::ACCESS_KEY)
        .output()?;
    let printed = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    ensure!(child.status.success(), "{plugin}: {printed}");
    ensure!(!printed.contains(secret), "{plugin}: the secret was printed");
    Ok(())
}

/// In such a process: runs the suite. Whether it is one.
fn is_own_process() -> Result<bool> {
    let (Ok(plugin), Ok(options)) = (std::env::var(PLUGIN), std::env::var(OPTIONS)) else { return Ok(false) };
    let options: Value = serde_json::from_str(&options)?;
    let connector = loaded(&format!("rivet-dest-{plugin}"), &plugin)?;
    let left = conformance::store(&connector, &options).context(plugin)?;
    ensure!(left.len() > 3, "{left:?}");
    Ok(true)
}

fn with(mut options: Value, key: &str, value: &str) -> Value {
    options[key] = json!(value);
    options
}

#[test]
fn s3_is_a_store() -> Result<()> {
    if is_own_process()? {
        return Ok(());
    }
    let store = s3::shared();
    let options = json!({
        "bucket": store.bucket("conforming")?, "region": "us-east-1", "endpoint": store.endpoint(),
        "access_key_env": "STORE_NAME", "secret_key_env": "STORE_SECRET",
    });
    conforms("s3_is_a_store", "s3", &options, store.secret_key())?;
    // The first left objects in the bucket itself, none of them below this.
    conforms("s3_is_a_store", "s3", &with(with(options, "prefix", "a b/ü/"), "checksum", "md5"), store.secret_key())
}

#[test]
fn gcs_is_a_store() -> Result<()> {
    if is_own_process()? {
        return Ok(());
    }
    let store = gcs::shared();
    let options = json!({
        "bucket": store.bucket("conforming")?, "prefix": "a/b", "endpoint": store.endpoint(),
        "access_token_env": "STORE_SECRET",
    });
    conforms("gcs_is_a_store", "gcs", &options, store.token())
}

#[test]
fn azure_is_a_store() -> Result<()> {
    if is_own_process()? {
        return Ok(());
    }
    let account = azure::shared();
    let options = json!({
        "container": account.container("conforming")?, "prefix": "a/b", "endpoint": account.endpoint(),
        "account_name": account.account(), "account_key_env": "STORE_SECRET",
    });
    conforms("azure_is_a_store", "azure", &options, account.key())
}
