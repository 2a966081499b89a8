//! Plugins that do not come back, end the process, ask for an hour, or panic when nobody asks them.
//! Must not know how it is noticed.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_e2e::{files_below, finish_within};

use crate::{FOLDER, both, config};

fn interrupt(child: &Child) -> Result<()> {
    ensure!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status()?.success(), "send the signal");
    Ok(())
}

#[test]
fn a_plugin_that_hangs_is_named_and_a_second_interrupt_ends_it() -> Result<()> {
    for at in ["open", "describe", "batch", "drop"] {
        for place in both(&config(&format!("at: {at}, how: hang, says: hangs"), FOLDER))? {
            let mut child = place.workspace.spawn(&["run"])?;
            let (started, hangs) = (Instant::now(), place.workspace.path().join("hangs"));
            while !hangs.exists() {
                ensure!(started.elapsed() < Duration::from_secs(60), "{at}: the plugin was not asked");
                std::thread::sleep(Duration::from_millis(20));
            }
            interrupt(&child)?;
            std::thread::sleep(Duration::from_millis(1500));
            ensure!(child.try_wait()?.is_none(), "{at}: one interrupt waits for a clean end");
            interrupt(&child)?;
            let second = Instant::now();
            let ran = finish_within(child, Duration::from_secs(10))?.expect(130)?;
            // Without it the plugin would hang for ever.
            ensure!(second.elapsed() < Duration::from_secs(5), "{at}: it took {:?}", second.elapsed());
            let says = "warning: interrupted: rivet waits for the source 'rude'; a second Ctrl-C ends it at once";
            ensure!(ran.stderr.contains(says), "{at}: {}", ran.stderr);
            let parts: Vec<_> = files_below(&place.workspace.path().join("out"))?;
            ensure!(parts.iter().all(|p| p.to_string_lossy().contains(".rivet.")), "{at}: {parts:?} are visible");
        }
    }
    Ok(())
}

#[test]
fn a_plugin_that_ends_the_process_is_named_and_no_success() -> Result<()> {
    for (how, says) in
        [("exit", "the source 'rude' ended the process"), ("exit_elsewhere", "a thread of a plugin ended")]
    {
        for at in ["open", "describe", "batch", "drop"] {
            for place in both(&config(&format!("at: {at}, how: {how}"), FOLDER))? {
                let ran = place.workspace.rivet(&["run"])?.expect(7)?;
                ensure!(ran.stderr.contains(says) && ran.stderr.contains("hint: "), "{at}: {}", ran.stderr);
            }
        }
    }
    Ok(())
}

#[test]
fn a_plugin_that_asks_for_an_hour_is_told_about_and_not_waited_for() -> Result<()> {
    for at in ["open", "batch"] {
        for place in both(&config(&format!("at: {at}, how: later, says: overloaded"), FOLDER))? {
            let ran = place.workspace.rivet(&["run"])?.expect(2)?;
            ensure!(ran.took < Duration::from_secs(20), "{at}: it took {:?}", ran.took);
            for part in ["overloaded", "hint: ", "a pause of 60 min", "10 min at most"] {
                ensure!(ran.stderr.contains(part), "{at}: {part} in {}", ran.stderr);
            }
        }
    }
    Ok(())
}

#[test]
fn a_panic_while_something_is_dropped_is_told() -> Result<()> {
    for place in both(&config("at: drop, how: panic, says: dropped it", FOLDER))? {
        let ran = place.workspace.rivet(&["run"])?.expect(0)?;
        let says = "warning: source 'rude': while an object was dropped, the plugin panicked: dropped it";
        ensure!(ran.stderr.contains(says) && ran.stderr.contains("options.rs:"), "{}", ran.stderr);
    }
    Ok(())
}
