//! The browser service of a machine, which knows the ports of its named instances (MS-SQLR).
//! It must not know what listens there.

use std::time::Duration;

use rivet_plugin_api::{ErrorKind, PluginError, Result, Retry};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::error;

const PORT: u16 = 1434;
/// Asks about one instance.
const ASK: u8 = 4;
const PATIENCE: Duration = Duration::from_secs(2);

/// The port of an instance.
///
/// # Errors
/// `Connection` when the service does not answer; `NotFound` when it knows no such instance.
pub async fn port(host: &str, instance: &str) -> Result<u16> {
    let silent = || {
        let text = format!("the browser service of '{host}' does not say where the instance '{instance}' listens");
        PluginError::new(ErrorKind::Connection, "mssql.instance", text)
            .retry(Retry::NewSession)
            .hint("check the instance's name, that SQL Server Browser runs and UDP 1434 is open, or name the port")
    };
    let failed = |e: std::io::Error| error::socket("ask the browser service", &e);
    let host = host.trim_matches(['[', ']']);
    let mut places = tokio::net::lookup_host((host, PORT)).await.map_err(failed)?;
    let place = places.next().ok_or_else(silent)?;
    let from = if place.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(from).await.map_err(failed)?;
    socket.connect(place).await.map_err(failed)?;
    let mut question = vec![ASK];
    question.extend_from_slice(instance.as_bytes());
    question.push(0);
    socket.send(&question).await.map_err(failed)?;
    let mut answer = [0; 2048];
    let length = match timeout(PATIENCE, socket.recv(&mut answer)).await {
        Ok(Ok(length)) => length,
        Ok(Err(_)) | Err(_) => return Err(silent()),
    };
    tcp_port(&answer[..length]).ok_or_else(silent)
}

/// Names and values with semicolons in between, behind three bytes.
fn tcp_port(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer.get(3..)?).into_owned();
    let mut words = text.split(';');
    while let Some(word) = words.next() {
        if word == "tcp" {
            return words.next()?.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_in_the_answer() {
        let answer = b"\x05\x50\x00ServerName;DB1;InstanceName;I2;IsClustered;No;Version;16.0.1000.6;tcp;49172;;";
        assert_eq!(tcp_port(answer), Some(49_172));
        for hostile in [&b""[..], b"\x05", b"\x05\x00\x00tcp", b"\x05\x00\x00tcp;x;", b"\x05\x00\x00tcp;70000;"] {
            assert_eq!(tcp_port(hostile), None);
        }
    }
}
