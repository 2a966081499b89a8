//! An object as bytes at offsets: small reads that are near each other become one request.
//! It must not know what the bytes mean.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use opendal::{Buffer, Operator};
use rivet_plugin_api::{CancelToken, ErrorKind, PluginError, ReadAt, Result};

use crate::error::Refused;
use crate::runtime::within;
use crate::store::Shared;
use crate::talk::Conversation;

/// Bytes of one request.
pub const PIECE_BYTES: u64 = 1 << 20;

/// Times that a piece is asked for which breaks off.
const MAX_TRIES: usize = 4;

/// Bytes of an object, asked for again where they break off on their way.
pub async fn piece(
    operator: &Operator,
    conversation: &Conversation,
    key: &str,
    range: Range<u64>,
    etag: Option<&str>,
) -> opendal::Result<Buffer> {
    let mut n_tries = 0;
    loop {
        let mut read = operator.read_with(key).range(range.clone());
        if let Some(etag) = etag {
            read = read.if_match(etag);
        }
        n_tries += 1;
        match read.await {
            Err(e) if conversation.refusal().is_none() && e.is_temporary() && n_tries < MAX_TRIES => {}
            done => return done,
        }
    }
}

/// An open object.
pub struct Object {
    shared: Arc<Shared>,
    key: String,
    name: String,
    length: u64,
    etag: Option<String>,
    window: Mutex<Window>,
}

/// The bytes that were fetched last.
#[derive(Default)]
struct Window {
    at: u64,
    bytes: bytes::Bytes,
}

impl Object {
    /// The object under `key`, which is called `name`.
    ///
    /// # Errors
    /// `NotFound`; the store's error.
    pub fn open(shared: &Arc<Shared>, key: String, name: &str, cx: &rivet_plugin_api::Cx) -> Result<Self> {
        let found = shared.stat(&key, name, cx)?;
        shared.remember(&key, found.as_ref());
        let Some(found) = found else {
            let text = format!("there is no '{name}' in {}", shared.location);
            return Err(PluginError::new(ErrorKind::NotFound, &shared.code("not_found"), text));
        };
        let (length, etag) = (found.content_length(), found.etag().map(str::to_owned));
        Ok(Self { shared: shared.clone(), key, name: name.to_owned(), length, etag, window: Mutex::default() })
    }

    fn fetch(&self, from: u64, until: u64) -> Result<bytes::Bytes> {
        let conversation = self.shared.talks.conversation();
        let operator = within(&self.shared.operator, &conversation);
        // What is read belongs together, or is not read.
        let read = piece(&operator, &conversation, &self.key, from..until, self.etag.as_deref());
        let token = CancelToken::new();
        let read = self.shared.talks.wait(&token.cx(), &conversation, read);
        read.map(|read| read.to_bytes()).map_err(|refused: Refused| {
            if refused.is_condition() || refused.is_absent() {
                let text = format!("'{}' was changed while it was read", self.name);
                return PluginError::new(ErrorKind::Data, &self.shared.code("changed"), text);
            }
            self.shared.failed(refused, &format!("read '{}'", self.name))
        })
    }
}

impl ReadAt for Object {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        if offset >= self.length || buffer.is_empty() {
            return Ok(0);
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.length.min(offset + buffer.len() as u64);
        if offset < window.at || end > window.at + window.bytes.len() as u64 {
            let until = self.length.min(end.max(offset + PIECE_BYTES));
            *window = Window { at: offset, bytes: self.fetch(offset, until)? };
        }
        let at = usize::try_from(offset - window.at).unwrap_or(usize::MAX);
        let found = window.bytes.get(at..).unwrap_or_default();
        let n = found.len().min(buffer.len());
        buffer[..n].copy_from_slice(&found[..n]);
        Ok(n)
    }
}
