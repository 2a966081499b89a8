//! The HTTP interface of a Toxiproxy, as far as its clients and `curl` use it.
//! Must not know what a toxic does.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::toxic::Toxic;
use super::{Proxy, lock};
use crate::listener::Listener;
use crate::web;

/// The version of the original whose interface this is.
const VERSION: &str = "2.9.0";

/// A running interface and its proxies; they go with it.
pub struct Toxiproxy {
    listener: Listener,
    _proxies: Proxies,
}

type Proxies = Arc<Mutex<BTreeMap<String, Proxy>>>;

/// Status and document of an answer.
type Answer = (u16, Option<Value>);

impl Toxiproxy {
    /// Serves the interface on this port of loopback; 0 = a free one.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start(port: u16) -> Result<Self> {
        let proxies = Proxies::default();
        let of_all = proxies.clone();
        let listener = Listener::start(&format!("127.0.0.1:{port}"), move |client| {
            // A client that goes away is no fault.
            let _ = meet(&of_all, client);
        })?;
        Ok(Self { listener, _proxies: proxies })
    }

    /// The port of the interface.
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }
}

fn meet(proxies: &Proxies, mut client: TcpStream) -> Result<()> {
    let request = web::request(&mut client)?;
    let (head, body) = request.split_once("\r\n\r\n").context("a request has an end")?;
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, document) = answer(proxies, method, path, body);
    let text = document.map(|d| d.to_string()).unwrap_or_default();
    write!(
        client,
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )?;
    Ok(())
}

fn answer(proxies: &Proxies, method: &str, path: &str, body: &str) -> Answer {
    let path = path.split('?').next().unwrap_or_default();
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let body = match serde_json::from_str(if body.trim().is_empty() { "{}" } else { body }) {
        Ok(body) => body,
        Err(e) => return refused(400, &format!("bad request body: {e}")),
    };
    let mut proxies = lock(proxies);
    let done = match (method, words.as_slice()) {
        ("GET", ["version"]) => Ok((200, Some(json!({"version": VERSION})))),
        ("POST", ["reset"]) => reset(&mut proxies),
        ("POST", ["populate"]) => populate(&mut proxies, &body),
        ("GET", ["proxies"]) => {
            Ok((200, Some(proxies.iter().map(|(name, proxy)| (name.clone(), proxy.told())).collect())))
        }
        ("POST", ["proxies"]) => create(&mut proxies, &body),
        ("DELETE", ["proxies", name]) => match proxies.remove(*name) {
            Some(_) => Ok((204, None)),
            None => Ok(refused(404, "proxy not found")),
        },
        (_, ["proxies", name, rest @ ..]) => match proxies.get_mut(*name) {
            Some(proxy) => of_proxy(proxy, method, rest, &body),
            None => Ok(refused(404, "proxy not found")),
        },
        _ => Ok(refused(404, "not found")),
    };
    done.unwrap_or_else(|e| {
        let text = format!("{e:#}");
        refused(if text.contains("already exists") { 409 } else { 400 }, &text)
    })
}

fn refused(status: u16, why: &str) -> Answer {
    (status, Some(json!({"error": why, "status": status})))
}

/// All are there again, with nothing wrong.
fn reset(proxies: &mut BTreeMap<String, Proxy>) -> Result<Answer> {
    for proxy in proxies.values_mut() {
        proxy.clear();
        proxy.set_enabled(true)?;
    }
    Ok((204, None))
}

/// Replaces those that are there under other addresses.
fn populate(proxies: &mut BTreeMap<String, Proxy>, body: &Value) -> Result<Answer> {
    let mut made = Vec::new();
    for wanted in body.as_array().context("a list of proxies")? {
        let name = wanted["name"].as_str().unwrap_or_default();
        let is_there = proxies
            .get(name)
            .map(Proxy::told)
            .filter(|p| p["upstream"] == wanted["upstream"] && p["listen"] == wanted["listen"]);
        made.push(match is_there {
            Some(told) => Some(told),
            None => {
                proxies.remove(name);
                create(proxies, wanted)?.1
            }
        });
    }
    Ok((201, Some(json!({"proxies": made}))))
}

fn create(proxies: &mut BTreeMap<String, Proxy>, body: &Value) -> Result<Answer> {
    let text = |key: &str| body[key].as_str().filter(|text| !text.is_empty());
    let name = text("name").context("missing required field: name")?;
    let upstream = text("upstream").context("missing required field: upstream")?;
    if proxies.contains_key(name) {
        bail!("proxy already exists");
    }
    let mut proxy = Proxy::disabled(name, text("listen").unwrap_or("127.0.0.1:0"), upstream);
    proxy.set_enabled(body["enabled"] != false)?;
    let told = proxy.told();
    proxies.insert(name.to_owned(), proxy);
    Ok((201, Some(told)))
}

fn of_proxy(proxy: &mut Proxy, method: &str, rest: &[&str], body: &Value) -> Result<Answer> {
    Ok(match (method, rest) {
        ("GET", []) => (200, Some(proxy.told())),
        ("POST" | "PATCH", []) => {
            if let Some(upstream) = body["upstream"].as_str() {
                *lock(&proxy.way.upstream) = upstream.to_owned();
            }
            if let Some(enabled) = body["enabled"].as_bool() {
                proxy.set_enabled(enabled)?;
            }
            (200, Some(proxy.told()))
        }
        ("GET", ["toxics"]) => (200, Some(proxy.told()["toxics"].clone())),
        ("POST", ["toxics"]) => (200, Some(proxy.add(body)?)),
        ("DELETE", ["toxics", name]) => match proxy.remove(name) {
            true => (204, None),
            false => refused(404, "toxic not found"),
        },
        ("GET" | "POST" | "PATCH", ["toxics", name]) => {
            let mut toxics = lock(&proxy.way.toxics);
            let Some(toxic) = toxics.iter_mut().find(|t| t.name == *name) else {
                return Ok(refused(404, "toxic not found"));
            };
            if method != "GET" {
                toxic.change(body)?;
            }
            (200, Some(Toxic::told(toxic)))
        }
        _ => refused(404, "not found"),
    })
}
