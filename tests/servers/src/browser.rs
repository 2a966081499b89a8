//! A headless Chromium that looks at a page as people do: on screens of any width, light or dark, and on paper.
//! Must not know what is on the page. It is spoken to over its pipe (Chrome DevTools Protocol), so that nothing else is needed.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::command::{apt_install, on_path};

/// What Debian calls the program, and its package.
const PROGRAM: &str = "chromium-headless-shell";

/// What a screen is like.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Width, CSS pixels.
    pub width: u32,
    /// The user prefers dark.
    pub dark: bool,
    /// It is paper.
    pub print: bool,
}

/// What there was to see.
#[derive(Debug)]
pub struct Seen {
    /// The whole page, as PNG.
    pub png: Vec<u8>,
    /// What went to the console, and what was refused.
    pub complaints: Vec<String>,
    /// Addresses that were asked for.
    pub requests: Vec<String>,
    /// What each expression is worth on the page, in the order of the expressions.
    pub values: Vec<Value>,
}

/// A running browser; it ends with this.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    n_sent: u64,
    events: Vec<Value>,
}

impl Browser {
    /// Starts one; the first use on a machine installs it.
    ///
    /// # Errors
    /// When it cannot be installed or started.
    pub fn start() -> Result<Self> {
        let program = program()?;
        // It speaks on descriptors 3 and 4.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 >/dev/null 2>&1", "sh"]).arg(program);
        command.args([
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
        ]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start the browser")?;
        let to = process.stdin.take().context("stdin is piped")?;
        let from = BufReader::new(process.stdout.take().context("stdout is piped")?);
        Ok(Self { process, to, from, n_sent: 0, events: Vec::new() })
    }

    /// Looks at a file.
    ///
    /// # Errors
    /// When the browser does not do as it is told.
    pub fn look(&mut self, file: &Path, screen: Screen, expressions: &[&str]) -> Result<Seen> {
        let target = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach)?;
        let session = session["sessionId"].as_str().context("a session")?.to_owned();
        let page = Some(session.as_str());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.ask(page, &format!("{domain}.enable"), json!({}))?;
        }
        let scheme = json!([{ "name": "prefers-color-scheme", "value": if screen.dark { "dark" } else { "light" } }]);
        let medium = if screen.print { "print" } else { "screen" };
        self.ask(page, "Emulation.setEmulatedMedia", json!({ "media": medium, "features": scheme }))?;
        let size = json!({ "width": screen.width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.ask(page, "Emulation.setDeviceMetricsOverride", size)?;
        self.events.clear();
        self.ask(page, "Page.navigate", json!({ "url": format!("file://{}", file.display()) }))?;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.read()?;
        }
        let mut values = Vec::new();
        for expression in expressions {
            let asked = json!({ "expression": expression, "returnByValue": true });
            values.push(self.ask(page, "Runtime.evaluate", asked)?["result"]["value"].clone());
        }
        let shot = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.ask(page, "Page.captureScreenshot", shot)?;
        let png = unbase64(shot["data"].as_str().context("a picture")?)?;
        self.ask(None, "Target.closeTarget", json!({ "targetId": target["targetId"] }))?;
        let told = |methods: &[&str]| -> Vec<Value> {
            let of = |event: &&Value| event["method"].as_str().is_some_and(|method| methods.contains(&method));
            self.events.iter().filter(of).map(|event| event["params"].clone()).collect()
        };
        let complaints = told(&["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"]);
        let requests = told(&["Network.requestWillBeSent"]);
        Ok(Seen {
            png,
            complaints: complaints.iter().map(Value::to_string).collect(),
            requests: requests.iter().filter_map(|r| r["request"]["url"].as_str()).map(str::to_owned).collect(),
            values,
        })
    }

    /// Sends a command and waits for its answer; events that come before it are kept.
    fn ask(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<Value> {
        self.n_sent += 1;
        let id = self.n_sent;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.to
            .write_all(format!("{message}\0").as_bytes())
            .and_then(|()| self.to.flush())
            .context("tell the browser")?;
        loop {
            let answer = self.read()?;
            if answer["id"] != id {
                continue;
            }
            if let Some(error) = answer.get("error") {
                bail!("the browser refuses {method}: {error}");
            }
            return Ok(answer["result"].clone());
        }
    }

    /// The next message.
    fn read(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).context("listen to the browser")?;
        if bytes.pop() != Some(0) {
            bail!("the browser ended");
        }
        let message: Value = serde_json::from_slice(&bytes).context("read what the browser says")?;
        if message.get("method").is_some() {
            self.events.push(message.clone());
        }
        Ok(message)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn program() -> Result<PathBuf> {
    if on_path(PROGRAM).is_none() {
        apt_install(&[PROGRAM])?;
    }
    on_path(PROGRAM).with_context(|| format!("find {PROGRAM}"))
}

/// RFC 4648, 4.
fn unbase64(text: &str) -> Result<Vec<u8>> {
    let six = |byte: u8| match byte {
        b'A'..=b'Z' => Ok(byte - b'A'),
        b'a'..=b'z' => Ok(byte - b'a' + 26),
        b'0'..=b'9' => Ok(byte - b'0' + 52),
        b'+' => Ok(62),
        b'/' => Ok(63),
        _ => bail!("no base64: {byte}"),
    };
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::from(six(*byte)?);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Ok(bytes)
}
