//! Secrets that a plugin repeats, in every form and place that it has: they are nowhere.
//! Must not know how they are hidden.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace, no_secret};

use crate::{FOLDER, both};

/// With characters that URLs, quotes and JSON have to escape.
const PASSWORD: &str = "c4n@ry \"pass\"/word";
/// The same in a URL, and percent-decoded.
const IN_URL: [&str; 2] = ["c4nary%2Furl%20password", "c4nary/url password"];
const TOKEN: &str = "c4nary-token-\u{fc}";
const KEYS: [&str; 2] = ["c4nary-key-one", "c4nary\\key\\two"];
const HEADER: &str = "c4nary-header";
const MIRROR: &str = "c4nary-mirror";
const FORMAT_KEY: &str = "c4nary-format-key";
const STORE_KEY: &str = "c4nary-store-key";

fn all() -> Vec<String> {
    let plain = [PASSWORD, IN_URL[0], IN_URL[1], TOKEN, KEYS[0], KEYS[1], HEADER, MIRROR, FORMAT_KEY, STORE_KEY];
    let mut all: Vec<String> = plain.iter().map(|s| (*s).to_owned()).collect();
    all.extend(plain.iter().map(|s| s.escape_debug().to_string()));
    all.extend(plain.iter().map(|s| encoded(s)));
    all
}

/// As in a URL, where one is careful.
fn encoded(text: &str) -> String {
    let one = |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

fn canaries(place: &Workspace, ran: &Ran, what: &str) -> Result<()> {
    all().iter().try_for_each(|secret| no_secret(place, ran, secret).with_context(|| format!("{what}: {secret}")))
}

fn source(rest: &str) -> Result<String> {
    let quoted = |text: &str| serde_json::to_string(text);
    Ok(format!(
        "type: rude, n_rows: 3, repeats: true, token: {}, mirror: {}, {rest}",
        quoted(TOKEN)?,
        quoted(&format!("s3://reader:{MIRROR}@bucket/x"))?
    ))
}

fn export(format: &str, destination: &str) -> String {
    format!("exports: [{{name: e, table: t, format: {format}, parallel: 2, destination: {destination}}}]\n")
}

/// Runs every command that asks a plugin, as talkative as it can be; the state is looked at, too.
fn nowhere(config: &str, what: &str) -> Result<()> {
    for place in both(config)? {
        let place = place.workspace;
        for (words, repeats) in [
            (&["run", "-vvv"][..], true),
            (&["run", "-vvv", "--log-format", "json", "--output", "json"], true),
            (&["run", "--output", "ndjson"], true),
            (&["check", "--output", "json"], false),
            (&["doctor"], false),
            (&["metrics", "--output", "json"], false),
        ] {
            let ran = place.rivet(words)?;
            canaries(&place, &ran, &format!("{what}, {words:?}"))?;
            ensure!(!repeats || format!("{}{}", ran.text()?, ran.stderr).contains("***"), "{what}, {words:?}: {ran:?}");
        }
    }
    Ok(())
}

#[test]
fn what_a_source_repeats_is_nowhere() -> Result<()> {
    let logins = [
        format!("login: {{by: keys, keys: {}}}", serde_json::to_string(&KEYS)?),
        format!("login: {{by: headers, headers: {{x-key: {HEADER}}}}}"),
    ];
    let servers = [
        format!("host: h, user: me, password: {}", serde_json::to_string(PASSWORD)?),
        format!("url: 'x://me:{}@h/d'", IN_URL[0]),
    ];
    for (i, (at, how)) in [
        ("nowhere", "print"),
        ("open", "fail"),
        ("describe", "panic"),
        ("batch", "fail"),
        ("batch", "later"),
        ("batch", "warn"),
        ("drop", "panic"),
    ]
    .into_iter()
    .enumerate()
    {
        let (login, server) = (&logins[i % 2], &servers[i % 2]);
        let source = source(&format!("at: {at}, how: {how}, {login}, {server}"))?;
        nowhere(&format!("source: {{{source}}}\n{}", export("csv", FOLDER)), &format!("{how} at {at}"))?;
    }
    Ok(())
}

#[test]
fn a_secret_that_is_cut_leaves_no_beginning() -> Result<()> {
    // The text of an error is cut at 3 KiB: at each place within the secret, and before and behind it.
    for times in (3072 - KEYS[0].len() - 1)..=3073 {
        let source =
            format!("type: rude, at: open, how: fail, says: x, times: {times}, repeats: true, token: {}", KEYS[0]);
        let [place, _] = both(&format!("source: {{{source}}}\n{}", export("csv", FOLDER)))?;
        let ran = place.workspace.rivet(&["run"])?.expect(1)?;
        no_secret(&place.workspace, &ran, &KEYS[0][..8])?;
        ensure!(!ran.stderr.contains("c4na"), "{times}: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn what_a_format_or_a_destination_repeats_is_nowhere() -> Result<()> {
    let source = "source: {type: rude, n_rows: 3}\n";
    let format = format!("{{type: rude, key: {FORMAT_KEY}, address: 'x://a:{MIRROR}@b'}}");
    nowhere(&format!("{source}{}", export(&format, FOLDER)), "format")?;
    let destination = format!("{{type: rude, key: {STORE_KEY}, address: 'x://a:{MIRROR}@b'}}");
    nowhere(&format!("{source}{}", export("csv", &destination)), "destination")?;
    Ok(())
}
