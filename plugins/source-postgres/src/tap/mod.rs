//! The stream between the server and the library: every frame is seen here before it is buffered anywhere else.
//! It must not know SQL, nor who reads the rows.

mod facts;
mod frames;
mod login;
mod walk;

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

pub use self::facts::{Facts, HEADER_BYTES, Rows, Shared, bodies};
pub use self::frames::COPY_SIGNATURE;
use self::frames::{Frames, Verdict};
use crate::address::Settings;

/// Size of the receive buffer, bytes: what one read takes at most. The longest frame that is looked at as a whole fits.
const RECEIVE_BYTES: usize = 256 * 1024;
/// A read that gave as many bytes as this has overtaken a server that sends rows.
const OVERTAKEN: Range<usize> = 2 * 1024..64 * 1024;
/// How long a server that was overtaken is left alone. It sends 8 KiB at a time; waking up for each of them costs both
/// sides more than the rows do. What it sends meanwhile waits in the socket.
const PAUSE: Duration = Duration::from_micros(500);

/// A stream, decrypted, with its receive buffer.
pub struct Tap {
    stream: Box<dyn TlsStream + Send + Unpin>,
    frames: Frames,
    seen: Shared,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// What the library gets before that: the header of a frame that is put around others.
    head: [u8; HEADER_BYTES],
    /// So many bytes of it are still to be given.
    head_left: usize,
    /// First bytes from `start` on that the library may have.
    passed: usize,
    /// Under TLS a read gives one record at most, and says nothing of what waits.
    is_plain: bool,
    /// Whether the last read took all that had arrived of something long.
    overtaken: bool,
    /// Whether the server hangs up first.
    hears_out: bool,
}

impl Tap {
    pub fn new(stream: Box<dyn TlsStream + Send + Unpin>, settings: &Settings, seen: Shared, hears_out: bool) -> Self {
        Self {
            stream,
            frames: Frames::new(settings),
            seen,
            buffer: vec![0; RECEIVE_BYTES],
            start: 0,
            end: 0,
            head: [b'd', 0, 0, 0, 0],
            head_left: 0,
            passed: 0,
            is_plain: settings.tls.is_none(),
            overtaken: false,
            hears_out,
        }
    }

    /// Reads once, as much as there is and fits; none at the end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.overtaken && self.is_plain {
            // The runtime is ours alone: nobody else waits for this thread.
            thread::sleep(PAUSE);
            self.overtaken = false;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = self.buffer.len() - self.end;
        let mut out = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut out))?;
        let n = out.filled().len();
        self.end += n;
        self.overtaken = has_overtaken(n, room);
        Poll::Ready(Ok(n))
    }
}

/// Whether a read that gave `n` bytes, with room for more than that or not, left nothing behind of something long.
fn has_overtaken(n: usize, room: usize) -> bool {
    n < room && OVERTAKEN.contains(&n)
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let mut has_read = false;
        loop {
            if tap.head_left > 0 {
                let left = &tap.head[HEADER_BYTES - tap.head_left..];
                let n = left.len().min(out.remaining());
                out.put_slice(&left[..n]);
                tap.head_left -= n;
            }
            if tap.passed > 0 {
                let n = tap.passed.min(out.remaining());
                out.put_slice(&tap.buffer[tap.start..tap.start + n]);
                tap.start += n;
                tap.passed -= n;
                return Poll::Ready(Ok(()));
            }
            let seen = tap.seen.clone();
            let mut facts = Facts::lock(&seen);
            if facts.fault().is_some() {
                return Poll::Ready(Err(io::Error::other("the server's answer was refused")));
            }
            if facts.is_full() {
                // Whoever takes the rows asks again.
                return Poll::Pending;
            }
            match tap.frames.next(&tap.buffer[tap.start..tap.end], &mut facts) {
                Ok(Verdict::Pass(n)) => tap.passed = n,
                Ok(Verdict::Wrap { n, body_bytes }) => {
                    let length = u32::try_from(body_bytes + 4).unwrap_or(u32::MAX);
                    tap.head[1..].copy_from_slice(&length.to_be_bytes());
                    (tap.head_left, tap.passed) = (HEADER_BYTES, n);
                }
                Ok(Verdict::Drop(n)) => tap.start += n,
                Ok(Verdict::More) if has_read => {
                    // However much comes that the library never sees, others have their turn.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ok(Verdict::More) => match ready!(tap.fill(cx))? {
                    0 => return Poll::Ready(Ok(())),
                    _ => {
                        if tap.frames.is_awaited() {
                            facts.listen();
                        }
                        has_read = true;
                    }
                },
                Err(e) => facts.refuse(e),
            }
        }
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        tap.frames.sent(bytes);
        Pin::new(&mut tap.stream).poll_write(cx, bytes)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        while tap.hears_out {
            // Nothing is to come but the end.
            (tap.start, tap.end) = (0, 0);
            tap.hears_out = matches!(ready!(tap.fill(cx)), Ok(1..));
        }
        Pin::new(&mut tap.stream).poll_shutdown(cx)
    }
}

impl TlsStream for Tap {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_overtaken_when_nothing_waits_of_something_long() {
        for (n, room, overtaken) in [
            (8 * 1024, RECEIVE_BYTES, true),
            // The buffer was nearly full: more may wait.
            (8 * 1024, 8 * 1024, false),
            (64 * 1024, RECEIVE_BYTES, false),
            // A short answer, not rows.
            (100, RECEIVE_BYTES, false),
        ] {
            assert_eq!(has_overtaken(n, room), overtaken, "{n} {room}");
        }
    }
}
