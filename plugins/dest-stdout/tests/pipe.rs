//! The plugin at work on the descriptor 1 of a child: this executable itself, called with a word.
//! It must not know the plugin's inside: it goes through the function tables.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test with a harness of its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rivet_dest_stdout as _;
use rivet_plugin_api::{CancelToken, ConnectorKind, Cx, ErrorKind, PluginError, PutMode, Store};

const N_CHUNKS: usize = 50;
const CHUNK_BYTES: usize = 100_001;

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--list") {
        println!("pipe: test");
        return ExitCode::SUCCESS;
    }
    let word = std::env::args().nth(1).filter(|word| word.starts_with("child-"));
    let result = match word.as_deref() {
        Some("child-emit") => child_emit(),
        Some("child-forever") => child_forever(),
        Some(other) => Err(anyhow::anyhow!("unknown child {other}")),
        None => parent(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("failed: {e:?}");
            ExitCode::FAILURE
        }
    }
}

fn open(cx: &Cx) -> Result<Box<dyn Store>> {
    let linked = rivet_plugin_api::wire::register::linked()?;
    let stdout = linked.iter().find(|c| c.info().name == "stdout").context("the connector is registered")?;
    let ConnectorKind::Destination(capabilities) = &stdout.info().kind else { anyhow::bail!("no destination") };
    ensure!(!capabilities.objects && !capabilities.retractable && !capabilities.concurrent);
    ensure!(stdout.open_store(&serde_json::json!({"path": "x"}), cx).is_err(), "it has no options");
    Ok(stdout.open_store(&serde_json::json!({}), cx)?)
}

fn chunk(i: usize) -> Vec<u8> {
    // Bytes of every value: line ends mean nothing here.
    (0..CHUNK_BYTES).map(|j| u8::try_from((i * 31 + j) % 251).unwrap_or(0)).collect()
}

/// Passes on a part, and asks for everything that a pipe cannot do.
fn child_emit() -> Result<()> {
    let token = CancelToken::new();
    let cx = token.cx();
    let store = open(&cx)?;
    store.probe(&cx)?;
    let unwritten = store.begin("first.csv", &cx)?;
    ensure!(store.begin("second.csv", &cx).is_err(), "two at once");
    drop(unwritten);
    // The plugin writes to the descriptor, beside the buffer of the library.
    print!("before ");
    std::io::stdout().flush()?;
    let mut upload = store.begin("x.csv", &cx)?;
    for i in 0..N_CHUNKS {
        upload.write(&chunk(i), &cx)?;
    }
    upload.write(b"", &cx)?;
    let prepared = upload.prepare(&cx)?;
    drop(upload);
    for _ in 0..2 {
        let facts = store.publish(&prepared, &cx)?;
        let found = (facts.name.as_str(), facts.bytes, facts.location.as_str());
        ensure!(found == ("x.csv", (N_CHUNKS * CHUNK_BYTES) as u64, "stdout"), "{found:?}");
        store.discard(&prepared, &cx)?;
    }
    for result in [store.put("m", b"", PutMode::Replace, &cx).map(drop), store.open("x.csv", &cx).map(drop)] {
        ensure!(result.err().context("no objects")?.kind() == ErrorKind::Unsupported);
    }
    ensure!(store.head("x.csv", &cx)?.is_none() && store.list("", &cx)?.is_empty());
    store.delete("x.csv", &cx)?;
    ensure!(store.publish("nonsense", &cx).is_err());
    let mut cut_short = store.begin("y.csv", &cx)?;
    cut_short.write(b"half", &cx)?;
    drop(cut_short);
    let error = store.begin("z.csv", &cx).err().context("what was written stays")?;
    ensure!(error.code() == "stdout.one_part" && error.hint_text().is_some());
    Ok(())
}

/// Writes until its reader goes away, and says on standard error how that was.
fn child_forever() -> Result<()> {
    let token = CancelToken::new();
    let cx = token.cx();
    let mut upload = open(&cx)?.begin("x.csv", &cx)?;
    let chunk = [b'x'; 64 * 1024];
    let error: PluginError = loop {
        if let Err(e) = upload.write(&chunk, &cx) {
            break e;
        }
    };
    eprintln!("{:?} {} {}", error.kind(), error.code(), error.message());
    Ok(())
}

fn child(word: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(word).stderr(Stdio::piped());
    Ok(command)
}

fn parent() -> Result<()> {
    bytes_pass_unchanged()?;
    bytes_pass_at_once()?;
    a_reader_that_goes_away_is_named()?;
    a_full_disk_is_named()?;
    println!("4 tests of standard output passed");
    Ok(())
}

fn bytes_pass_unchanged() -> Result<()> {
    let Output { status, stdout, stderr } = child("child-emit")?.output()?;
    ensure!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let mut expected = b"before ".to_vec();
    (0..N_CHUNKS).for_each(|i| expected.extend(chunk(i)));
    expected.extend(b"half");
    ensure!(stdout == expected, "{} bytes arrived, {} were written", stdout.len(), expected.len());
    Ok(())
}

fn bytes_pass_at_once() -> Result<()> {
    let mut running = child("child-forever")?.stdout(Stdio::piped()).spawn()?;
    let mut first = [0; 10];
    let mut pipe = running.stdout.take().context("piped")?;
    pipe.read_exact(&mut first)?;
    ensure!(first == [b'x'; 10] && running.try_wait()?.is_none());
    drop(pipe);
    ensure!(running.wait()?.success());
    Ok(())
}

fn a_reader_that_goes_away_is_named() -> Result<()> {
    let mut running = child("child-forever")?.stdout(Stdio::piped()).spawn()?;
    drop(running.stdout.take());
    let mut line = String::new();
    BufReader::new(running.stderr.take().context("piped")?).read_line(&mut line)?;
    ensure!(line.trim() == "Io stdout.closed the reader of standard output went away", "{line}");
    ensure!(running.wait()?.success());
    Ok(())
}

fn a_full_disk_is_named() -> Result<()> {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let Output { stderr, .. } = child("child-forever")?.stdout(full).output()?;
    let line = String::from_utf8_lossy(&stderr);
    ensure!(line.starts_with("Capacity stdout.full"), "{line}");
    Ok(())
}
