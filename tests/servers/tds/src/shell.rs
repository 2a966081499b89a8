//! A socket whose bytes travel in packets of their own while TLS is agreed on.
//! Must not know TLS, nor what follows.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::wire::{HEADER, packet};

/// The socket; as it is where `wraps` is false.
pub struct Shell {
    pub socket: TcpStream,
    pub wraps: bool,
    out: Vec<u8>,
    header: Vec<u8>,
    left: usize,
}

impl Shell {
    pub fn new(socket: TcpStream, wraps: bool) -> Self {
        Self { socket, wraps, out: Vec::new(), header: Vec::new(), left: 0 }
    }

    fn send(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let n = ready!(Pin::new(&mut self.socket).poll_write(task, &self.out))?;
            self.out.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Shell {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let shell = self.get_mut();
        ready!(shell.send(task))?;
        if !shell.wraps && shell.left == 0 {
            return Pin::new(&mut shell.socket).poll_read(task, out);
        }
        while shell.left == 0 {
            let mut room = [0; HEADER];
            let mut part = ReadBuf::new(&mut room[..HEADER - shell.header.len()]);
            ready!(Pin::new(&mut shell.socket).poll_read(task, &mut part))?;
            if part.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            shell.header.extend_from_slice(part.filled());
            if shell.header.len() == HEADER {
                let length = usize::from(u16::from_be_bytes([shell.header[2], shell.header[3]]));
                shell.left = length.saturating_sub(HEADER);
                shell.header.clear();
            }
        }
        let mut room = [0; 4096];
        let most = shell.left.min(out.remaining()).min(room.len());
        let mut part = ReadBuf::new(&mut room[..most]);
        ready!(Pin::new(&mut shell.socket).poll_read(task, &mut part))?;
        out.put_slice(part.filled());
        shell.left -= part.filled().len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Shell {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let shell = self.get_mut();
        ready!(shell.send(task))?;
        if !shell.wraps {
            return Pin::new(&mut shell.socket).poll_write(task, bytes);
        }
        let part = &bytes[..bytes.len().min(4000)];
        let length = u16::try_from(part.len() + HEADER).unwrap_or(u16::MAX).to_be_bytes();
        shell.out.extend([packet::PRELOGIN, 1, length[0], length[1], 0, 0, 1, 0]);
        shell.out.extend_from_slice(part);
        Poll::Ready(Ok(part.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shell = self.get_mut();
        ready!(shell.send(task))?;
        Pin::new(&mut shell.socket).poll_flush(task)
    }
    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shell = self.get_mut();
        ready!(shell.send(task))?;
        Pin::new(&mut shell.socket).poll_shutdown(task)
    }
}
