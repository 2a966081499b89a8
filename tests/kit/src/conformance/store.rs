//! What every store must do: parts invisible until published, calls that can be repeated, names that stay in; a pipe as far
//! as it can.
//! It must not know where the objects are.

use anyhow::{Context, Result, bail, ensure};
use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{
    CancelToken, ConnectorKind, Cx, ErrorKind, ObjectFacts, PutMode, ReadAt, Store, StoreCapabilities,
};
use serde_json::Value;

use super::fails;

const PART: &str = "day=1/part%C3%A9%201.bin";

/// Runs the suite on an empty store, as far as its capabilities go; leaves some objects behind and returns their names
/// and sizes, sorted. A pipe is left with [`PIPED`] in it.
///
/// # Errors
/// The rule that is broken.
pub fn store(connector: &Connector, options: &Value) -> Result<Vec<(String, u64)>> {
    let ConnectorKind::Destination(capabilities) = &connector.info().kind else { bail!("no destination") };
    let token = CancelToken::new();
    let cx = token.cx();
    let store = connector.open_store(options, &cx)?;
    store.probe(&cx)?;
    ensure!(names(&store.list("", &cx)?).is_empty(), "the store is not empty, or the probe left something");
    if capabilities.objects {
        parts_are_published_once(connector, options, store.as_ref(), capabilities, &cx)?;
        if capabilities.retractable {
            parts_can_be_discarded(store.as_ref(), &cx)?;
        }
        small_objects(store.as_ref(), &cx)?;
        reading_at_offsets(store.as_ref(), &cx)?;
        names_stay_inside(store.as_ref(), &cx)?;
    } else {
        ensure!(
            !capabilities.retractable && !capabilities.concurrent,
            "a pipe that takes bytes back: {capabilities:?}"
        );
        a_pipe_passes_on(store.as_ref(), &cx)?;
    }
    let listed = names(&store.list("", &cx)?);
    token.cancel();
    fails("an upload after the cancel", ErrorKind::Cancelled, store.begin("late.bin", &cx))?;
    Ok(listed)
}

/// What the suite writes into a pipe.
pub const PIPED: &[u8] = b"first second third ";

fn a_pipe_passes_on(store: &dyn Store, cx: &Cx) -> Result<()> {
    // An upload without a byte leaves room for another.
    drop(store.begin("unwritten.bin", cx)?);
    for (name, pieces) in [("one.bin", &[&b"first "[..], b"", b"second "][..]), ("two.bin", &[b"third "])] {
        let token = upload(store, name, pieces, cx)?;
        let facts = store.publish(&token, cx)?;
        let bytes = pieces.iter().map(|p| p.len() as u64).sum::<u64>();
        ensure!((facts.name.as_str(), facts.bytes) == (name, bytes), "publish says {facts:?}");
        ensure!(store.publish(&token, cx)? == facts, "publishing again gives another answer");
        store.discard(&token, cx)?;
    }
    ensure!(store.publish("{}", cx).is_err() && store.discard("no token", cx).is_err(), "a made-up token is taken");
    ensure!(store.head("one.bin", cx)?.is_none(), "a pipe keeps nothing");
    fails("a small object", ErrorKind::Unsupported, store.put("m.json", b"x", PutMode::Replace, cx))?;
    fails("reading a part", ErrorKind::Unsupported, store.open("one.bin", cx))?;
    Ok(store.delete("one.bin", cx)?)
}

fn names(facts: &[ObjectFacts]) -> Vec<(String, u64)> {
    let mut names: Vec<_> = facts.iter().map(|object| (object.name.clone(), object.bytes)).collect();
    names.sort();
    names
}

fn upload(store: &dyn Store, name: &str, pieces: &[&[u8]], cx: &Cx) -> Result<String> {
    let mut upload = store.begin(name, cx)?;
    for piece in pieces {
        upload.write(piece, cx)?;
    }
    Ok(upload.prepare(cx)?)
}

fn parts_are_published_once(
    connector: &Connector,
    options: &Value,
    store: &dyn Store,
    capabilities: &StoreCapabilities,
    cx: &Cx,
) -> Result<()> {
    let token = upload(store, PART, &[b"first ", b"", b"second"], cx)?;
    if capabilities.retractable {
        ensure!(store.head(PART, cx)?.is_none() && store.list("", cx)?.is_empty(), "a prepared part is visible");
        fails("reading a prepared part", ErrorKind::NotFound, store.open(PART, cx))?;
    }
    // Whoever completes a dead run looks at what it staged, where that can be done.
    let can_look = match store.open_prepared(&token, cx) {
        Ok(object) => {
            ensure!(whole(&*object)? == b"first second", "the content of the prepared part differs");
            true
        }
        Err(e) => {
            ensure!(e.kind() == ErrorKind::Unsupported, "opening a prepared part: {e:?}");
            false
        }
    };
    // A later process publishes what an earlier one prepared.
    let later = connector.open_store(options, cx)?;
    let facts = later.publish(&token, cx)?;
    ensure!((facts.name.as_str(), facts.bytes) == (PART, 12), "publish says {facts:?}");
    ensure!(later.publish(&token, cx)? == facts, "publishing again gives another answer");
    if can_look {
        fails("reading a published part as a prepared one", ErrorKind::NotFound, later.open_prepared(&token, cx))?;
    }
    ensure!(store.publish(&token, cx)? == facts, "publishing from elsewhere gives another answer");
    // Whoever publishes may keep others out meanwhile, where that can be done.
    match store.lock(cx) {
        Ok(held) => {
            fails("locking what is locked", ErrorKind::Conflict, later.lock(cx).map(drop))?;
            ensure!(
                store.list("", cx)?.len() == 1 && later.head(PART, cx)? == Some(facts.clone()),
                "a lock is visible"
            );
            drop(held);
            drop(later.lock(cx)?);
        }
        Err(e) => ensure!(e.kind() == ErrorKind::Unsupported, "locking a store: {e:?}"),
    }
    store.discard(&token, cx)?;
    store.sweep(PART, cx)?;
    ensure!(store.head(PART, cx)? == Some(facts), "discarding or sweeping a published part removes it");
    ensure!(content(store, PART, cx)? == b"first second", "the content differs");
    fails("beginning a part that is published", ErrorKind::Conflict, store.begin(PART, cx))
}

fn parts_can_be_discarded(store: &dyn Store, cx: &Cx) -> Result<()> {
    let token = upload(store, "gone.bin", &[b"x"], cx)?;
    store.discard(&token, cx)?;
    store.discard(&token, cx)?;
    fails("publishing a discarded part", ErrorKind::NotFound, store.publish(&token, cx))?;
    let mut aborted = store.begin("aborted.bin", cx)?;
    aborted.write(b"x", cx)?;
    aborted.abort(cx)?;
    drop(aborted);
    let mut dropped = store.begin("dropped.bin", cx)?;
    dropped.write(b"x", cx)?;
    drop(dropped);
    for name in ["gone.bin", "aborted.bin", "dropped.bin"] {
        ensure!(store.head(name, cx)?.is_none(), "{name} is visible");
        // Nothing of the first attempt is in the way of the second.
        let token = upload(store, name, &[b"again"], cx)?;
        ensure!(store.publish(&token, cx)?.bytes == 5, "{name}: a second attempt");
        store.delete(name, cx)?;
    }
    ensure!(store.publish("{}", cx).is_err() && store.discard("no token", cx).is_err(), "a made-up token is taken");
    Ok(())
}

fn small_objects(store: &dyn Store, cx: &Cx) -> Result<()> {
    let name = "meta/manifest.json";
    ensure!(store.put(name, b"one", PutMode::IfAbsent, cx)?, "the first put writes nothing");
    ensure!(!store.put(name, b"two", PutMode::IfAbsent, cx)?, "put replaces what it must not");
    ensure!(content(store, name, cx)? == b"one", "a put that wrote nothing changed the object");
    ensure!(store.put(name, b"three", PutMode::Replace, cx)?, "replacing writes nothing");
    ensure!(content(store, name, cx)? == b"three", "the replaced object is the old one");
    ensure!(store.put("meta/empty", b"", PutMode::Replace, cx)?, "an empty object is not written");
    ensure!(store.head("meta/empty", cx)?.context("the empty object")?.bytes == 0, "an empty object has bytes");
    let all = [(PART.to_owned(), 12), ("meta/empty".to_owned(), 0), (name.to_owned(), 5)];
    for (prefix, expected) in [
        ("", &all[..]),
        ("meta/", &all[1..]),
        ("meta/m", &all[2..]),
        ("day=1", &all[..1]),
        ("day=*/part", &all[..1]),
        ("day=*/other", &[]),
    ] {
        let listed = names(&store.list(prefix, cx)?);
        ensure!(listed == expected, "list of '{prefix}': {listed:?}");
    }
    ensure!(store.list("nothing", cx)?.is_empty(), "a list of nothing holds something");
    store.put("meta/short-lived", b"x", PutMode::Replace, cx)?;
    store.delete("meta/short-lived", cx)?;
    store.delete("meta/short-lived", cx)?;
    ensure!(store.head("meta/short-lived", cx)?.is_none(), "a deleted object is there");
    Ok(())
}

fn content(store: &dyn Store, name: &str, cx: &Cx) -> Result<Vec<u8>> {
    whole(&*store.open(name, cx)?).with_context(|| name.to_owned())
}

fn whole(object: &dyn ReadAt) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(object.len())?];
    let n = object.read_at(0, &mut bytes)?;
    ensure!(n == bytes.len(), "{n} bytes of {}", bytes.len());
    Ok(bytes)
}

fn reading_at_offsets(store: &dyn Store, cx: &Cx) -> Result<()> {
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    let token = upload(store, "large.bin", &[&bytes[..70_000], &bytes[70_000..]], cx)?;
    store.publish(&token, cx)?;
    let object = store.open("large.bin", cx)?;
    ensure!(object.len() == 100_000, "the length is {}", object.len());
    for (offset, wanted, expected) in [(0, 10, 10), (69_990, 20, 20), (99_999, 5, 1), (100_000, 5, 0), (200_000, 5, 0)]
    {
        let mut buffer = vec![0xee; wanted];
        let n = object.read_at(offset as u64, &mut buffer)?;
        ensure!(n == expected, "{n} bytes at {offset}");
        ensure!(n == 0 || buffer[..n] == bytes[offset..offset + n], "other bytes at {offset}");
    }
    fails("reading what is not there", ErrorKind::NotFound, store.open("absent.bin", cx))
}

fn names_stay_inside(store: &dyn Store, cx: &Cx) -> Result<()> {
    for name in ["../x", "a/../../x", "/x", "", ".", "..", "a//x", "a/", "a/./x"] {
        fails(&format!("beginning '{name}'"), ErrorKind::Config, store.begin(name, cx))?;
        fails(&format!("putting '{name}'"), ErrorKind::Config, store.put(name, b"x", PutMode::Replace, cx))?;
        ensure!(store.head(name, cx).is_err() && store.open(name, cx).is_err(), "'{name}' can be read");
        ensure!(store.delete(name, cx).is_err(), "'{name}' can be deleted");
    }
    let odd = "%2F..%7E/%25%20%01%C3%A9";
    ensure!(store.put(odd, b"odd", PutMode::Replace, cx)? && content(store, odd, cx)? == b"odd", "an odd name");
    ensure!(names(&store.list("%2F", cx)?) == [(odd.to_owned(), 3)], "an odd name is not listed");
    store.delete(odd, cx)?;
    Ok(())
}
