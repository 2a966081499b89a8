//! The cache installs each thing once and never shows half of it.
//! Must not know what is installed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::bail;
use rivet_test_servers::Cache;

fn fresh_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

#[test]
fn many_at_once_install_once() {
    let dir = fresh_dir("once");
    let n_installs = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let made = Cache::at(&dir).expect("a cache").install("tool-1.0", |dir| {
                    n_installs.fetch_add(1, Ordering::Relaxed);
                    std::fs::write(dir.join("first"), "1")?;
                    std::thread::sleep(Duration::from_millis(100));
                    std::fs::write(dir.join("second"), "2")?;
                    Ok(())
                });
                let made = made.expect("installed");
                assert!(made.join("first").exists() && made.join("second").exists());
            });
        }
    });
    assert_eq!(n_installs.load(Ordering::Relaxed), 1);
    std::fs::remove_dir_all(dir).expect("our folder");
}

#[test]
fn a_failed_install_is_done_again_from_the_start() {
    let dir = fresh_dir("failed");
    let cache = Cache::at(&dir).expect("a cache");
    let failed = cache.install("tool-1.0", |dir| {
        std::fs::write(dir.join("half"), "")?;
        bail!("the network is down")
    });
    let message = format!("{:#}", failed.expect_err("it failed"));
    assert_eq!(message, "install tool-1.0 into the test cache: the network is down");
    let made = cache.install("tool-1.0", |_| Ok(())).expect("installed");
    assert!(!made.join("half").exists());
    std::fs::remove_dir_all(dir).expect("our folder");
}
