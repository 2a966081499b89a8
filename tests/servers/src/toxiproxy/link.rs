//! One direction of one connection: bytes are read as they come, and written as the toxics let them.
//! Must not know who added a toxic.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::Way;
use super::toxic::{Effect, Stream, Toxic, random};

/// How often a link that has nothing to carry looks at its toxics.
const TICK: Duration = Duration::from_millis(10);
/// Most bytes that are read at once.
const CHUNK_BYTES: usize = 32 * 1024;
/// Chunks that may be under way: what is late must not make what follows later still.
const N_CHUNKS: usize = 1024;

/// Both ends of a connection; they are closed when the last of its threads is done.
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Nobody says goodbye: a close is to be a reset.
    reset: AtomicBool,
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> Self {
        for end in [&client, &server] {
            // Slower at worst.
            let _ = end.set_nodelay(true);
        }
        Self { client, server, reset: AtomicBool::new(false) }
    }

    pub(super) fn close(&self) {
        for end in [&self.client, &self.server] {
            // It may be closed already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        for end in [&self.client, &self.server] {
            let _ = socket2::SockRef::from(end).set_linger(Some(Duration::ZERO));
            // Wakes who reads; nothing is sent.
            let _ = end.shutdown(Shutdown::Read);
        }
    }
}

/// Starts both directions.
pub(super) fn join(way: &Arc<Way>, connection: Arc<Connection>) {
    for stream in [Stream::Upstream, Stream::Downstream] {
        let (sender, chunks) = sync_channel(N_CHUNKS);
        let from = connection.clone();
        std::thread::spawn(move || read(&from, stream, &sender));
        let mut link = Link { way: way.clone(), connection: connection.clone(), stream, met: HashMap::new() };
        std::thread::spawn(move || link.run(&chunks));
    }
}

/// Bytes, and when they came.
struct Chunk {
    at: Instant,
    bytes: Vec<u8>,
}

/// Until either side ends.
fn read(connection: &Connection, stream: Stream, sender: &SyncSender<Chunk>) {
    let mut from = match stream {
        Stream::Upstream => &connection.client,
        Stream::Downstream => &connection.server,
    };
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let chunk = Chunk { at: Instant::now(), bytes: buffer[..n].to_vec() };
        if sender.send(chunk).is_err() {
            break;
        }
    }
}

/// How a link ends.
enum End {
    /// Who sends is done.
    Done,
    /// The connection is closed in the middle.
    Closed,
    /// It is reset.
    Reset,
}

/// A toxic as this link has met it.
struct Met {
    /// Whether it is for this connection.
    active: bool,
    since: Instant,
    /// Bytes that have passed since.
    passed: u64,
}

struct Link {
    way: Arc<Way>,
    connection: Arc<Connection>,
    stream: Stream,
    met: HashMap<u64, Met>,
}

impl Link {
    fn run(&mut self, chunks: &Receiver<Chunk>) {
        match self.carry(chunks) {
            End::Done => {
                for toxic in self.active() {
                    if let Effect::SlowClose { delay } = toxic.effect {
                        std::thread::sleep(Duration::from_millis(delay));
                    }
                }
                if !self.connection.reset.load(Ordering::SeqCst) {
                    let _ = self.to().shutdown(Shutdown::Write);
                }
            }
            End::Closed => self.connection.close(),
            End::Reset => self.connection.reset(),
        }
    }

    fn to(&self) -> &TcpStream {
        match self.stream {
            Stream::Upstream => &self.connection.server,
            Stream::Downstream => &self.connection.client,
        }
    }

    /// The toxics of this link now; whether a connection has one is decided when it meets it.
    fn active(&mut self) -> Vec<Toxic> {
        let mut toxics = self.way.toxics();
        toxics.retain(|toxic| {
            toxic.stream == self.stream
                && self
                    .met
                    .entry(toxic.id)
                    .or_insert_with(|| Met { active: random() < toxic.toxicity, since: Instant::now(), passed: 0 })
                    .active
        });
        toxics
    }

    fn carry(&mut self, chunks: &Receiver<Chunk>) -> End {
        let mut swallowing = false;
        loop {
            let toxics = self.active();
            let (mut holding, mut swallows) = (false, false);
            for toxic in &toxics {
                let since = self.met[&toxic.id].since.elapsed();
                match toxic.effect {
                    Effect::ResetPeer { timeout } if since >= Duration::from_millis(timeout) => return End::Reset,
                    Effect::ResetPeer { .. } => holding = true,
                    Effect::Timeout { timeout: 0 } => swallows = true,
                    Effect::Timeout { timeout } if since >= Duration::from_millis(timeout) => return End::Closed,
                    Effect::Timeout { .. } => swallows = true,
                    _ => {}
                }
            }
            if swallowing && !swallows {
                // Something is missing in the middle.
                return End::Closed;
            }
            if holding {
                std::thread::sleep(TICK);
                continue;
            }
            match chunks.recv_timeout(TICK) {
                Ok(_) if swallows => swallowing = true,
                Ok(chunk) => {
                    // One that was added while the chunk was waited for is for it too.
                    let toxics = self.active();
                    if let Some(end) = self.pass(&toxics, chunk) {
                        return end;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return End::Done,
            }
        }
    }

    /// Passes a chunk on as the toxics say.
    fn pass(&mut self, toxics: &[Toxic], chunk: Chunk) -> Option<End> {
        let (mut bytes, mut end) = (chunk.bytes, None);
        let (mut size, mut variation, mut pause, mut rate) = (usize::MAX, 0, Duration::ZERO, None);
        for toxic in toxics {
            match toxic.effect {
                Effect::Latency { latency, jitter } => {
                    let delay = (latency as f64 + (2.0 * random() - 1.0) * jitter as f64).max(0.0);
                    let due = chunk.at + Duration::from_secs_f64(delay / 1000.0);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                Effect::Bandwidth { rate: kb } => rate = Some(kb.max(1) * 1000),
                Effect::Slicer { average_size, size_variation, delay } => {
                    (size, variation) = (average_size.max(1), size_variation);
                    pause = Duration::from_micros(delay);
                }
                Effect::LimitData { bytes: limit } => {
                    let met = self.met.get_mut(&toxic.id)?;
                    let left = limit.saturating_sub(met.passed);
                    met.passed += bytes.len() as u64;
                    if bytes.len() as u64 >= left {
                        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                        end = Some(End::Closed);
                    }
                }
                Effect::SlowClose { .. } | Effect::Timeout { .. } | Effect::ResetPeer { .. } => {}
            }
        }
        if let Some(rate) = rate {
            // A tenth of a second's worth at most, so that it flows.
            size = size.min(usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1));
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let off = ((2.0 * random() - 1.0) * variation as f64) as isize;
            let (piece, behind) = rest.split_at(size.saturating_add_signed(off).clamp(1, rest.len()));
            if self.to().write_all(piece).is_err() {
                return Some(End::Closed);
            }
            rest = behind;
            let flow = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(piece.len() as f64 / rate as f64));
            std::thread::sleep(pause + flow);
        }
        end
    }
}
