//! The fault proxy: what its HTTP interface takes from a client of the original, and what each toxic does to bytes.
//! Must not know how a toxic is brought about.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_servers::Cache;
use rivet_test_servers::toxiproxy::{Proxy, Toxiproxy};
use serde_json::json;

/// A client of the original, and what it stands on.
const CLIENT: &str = "toxiproxy-python==0.1.1";

const SCRIPT: &str = "
import sys, time, socket, toxiproxy
toxi = toxiproxy.Toxiproxy()
toxi.update_api_consumer('127.0.0.1', int(sys.argv[1]))
assert toxi.running() and b'version' in toxi.version()
proxy = toxi.create(name='pg', upstream='127.0.0.1:' + sys.argv[2])
port = int(proxy.listen.split(':')[1])
def echo():
    with socket.create_connection(('127.0.0.1', port), timeout=5) as s:
        s.sendall(b'x'); begun = time.time(); return s.recv(1), time.time() - begun
assert echo()[0] == b'x'
proxy.add_toxic(type='latency', attributes={'latency': 300, 'jitter': 10})
assert list(proxy.toxics()) == ['latency_downstream'] and echo()[1] > 0.25
try: proxy.add_toxic(type='latency'); raise SystemExit('twice')
except Exception as e: assert 'already exists' in str(e), e
try: proxy.add_toxic(type='nonsense'); raise SystemExit('nonsense')
except Exception as e: assert 'invalid toxic' in str(e), e
proxy.destroy_toxic('latency_downstream')
assert proxy.toxics() == {} and echo()[1] < 0.25
proxy.disable()
try: echo(); raise SystemExit('it is down')
except ConnectionRefusedError: pass
proxy.add_toxic(type='timeout', attributes={'timeout': 0})
toxi.reset()
assert echo()[0] == b'x' and toxi.get_proxy('pg').enabled
toxi.destroy_all()
assert toxi.proxies() == {}
";

/// Sends back whatever comes, and ends when its client does.
fn echo() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    Ok(port)
}

#[test]
fn a_client_of_the_original_finds_its_way() -> Result<()> {
    let install = |dir: &Path| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", CLIENT, "--target"]);
        ensure!(pip.arg(dir).status().context("start pip")?.success(), "install {CLIENT}");
        Ok(())
    };
    let dir = Cache::open()?.install(&CLIENT.replace("==", "-"), install)?;
    let server = Toxiproxy::start(0)?;
    let ports = [server.port().to_string(), echo()?.to_string()];
    let ran = Command::new("python3").env("PYTHONPATH", dir).args(["-c", SCRIPT]).args(ports).output()?;
    ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}

/// How long nothing may come before it is given up.
const PATIENCE: Duration = Duration::from_secs(3);

/// Sends 100 000 bytes through a proxy with this toxic; bytes that come back, the error that ends them, and the time.
fn through(toxic: &serde_json::Value) -> Result<(usize, Option<ErrorKind>, Duration)> {
    let proxy = Proxy::start("echo", "127.0.0.1:0", &format!("127.0.0.1:{}", echo()?))?;
    proxy.add(toxic)?;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port()?))?;
    client.set_read_timeout(Some(PATIENCE))?;
    let started = Instant::now();
    let mut sender = client.try_clone()?;
    // Where it is cut, not all is taken.
    std::thread::spawn(move || sender.write_all(&[7; 100_000]));
    let (mut buffer, mut n) = (vec![0; 65_536], 0);
    let error = loop {
        match client.read(&mut buffer) {
            Ok(0) => break None,
            Ok(more) => {
                ensure!(buffer[..more].iter().all(|byte| *byte == 7), "other bytes");
                n += more;
                if n == 100_000 {
                    break None;
                }
            }
            Err(e) => break Some(e.kind()),
        }
    };
    Ok((n, error, started.elapsed()))
}

#[test]
fn each_toxic_does_what_it_says() -> Result<()> {
    // A busy machine is late too, and earlier than who gives up.
    let (all, soon) = (100_000, 2900);
    for (toxic, n, error, least_ms, most_ms) in [
        (json!({"type": "latency", "attributes": {"latency": 400}}), all, None, 400, soon),
        (json!({"type": "bandwidth", "attributes": {"rate": 200}}), all, None, 400, soon),
        (
            json!({"type": "slicer", "attributes": {"average_size": 10_000, "size_variation": 100, "delay": 50_000}}),
            all,
            None,
            400,
            soon,
        ),
        (json!({"type": "limit_data", "attributes": {"bytes": 5000}}), 5000, None, 0, soon),
        (json!({"type": "timeout", "attributes": {"timeout": 300}}), 0, None, 300, soon),
        (json!({"type": "timeout", "attributes": {"timeout": 0}}), 0, Some(ErrorKind::WouldBlock), 3000, 6000),
        (json!({"type": "reset_peer", "attributes": {"timeout": 300}}), 0, Some(ErrorKind::ConnectionReset), 300, soon),
        (json!({"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 5000}}), 5000, None, 0, soon),
        (json!({"type": "timeout", "toxicity": 0.0, "attributes": {"timeout": 0}}), all, None, 0, soon),
    ] {
        let (came, ended, took) = through(&toxic)?;
        // Who closes while bytes are on their way to it resets.
        let cut = toxic["type"] == "limit_data" && ended == Some(ErrorKind::ConnectionReset);
        ensure!(ended == error || cut, "{toxic}: {ended:?} after {came} bytes");
        ensure!(came == n || (toxic["stream"] == "upstream" && came <= n), "{toxic}: {came} bytes");
        let took = took.as_millis();
        ensure!((least_ms..=most_ms).contains(&took), "{toxic}: {took} ms");
    }
    Ok(())
}

#[test]
fn a_close_may_come_late() -> Result<()> {
    let proxy = Proxy::start("echo", "127.0.0.1:0", &format!("127.0.0.1:{}", echo()?))?;
    proxy.add(&json!({"type": "slow_close", "attributes": {"delay": 500}}))?;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port()?))?;
    client.write_all(b"x")?;
    client.shutdown(std::net::Shutdown::Write)?;
    let started = Instant::now();
    let mut came = Vec::new();
    client.read_to_end(&mut came)?;
    ensure!(came == b"x" && started.elapsed() >= Duration::from_millis(450), "{came:?} {:?}", started.elapsed());
    Ok(())
}
