//! One part on its way: pieces in flight while the next is gathered, hashed as they go, proven when all is in.
//! It must not know how it becomes visible.

use std::sync::Arc;
use std::time::Duration;

use opendal::options::WriteOptions;
use opendal::{Buffer, Writer};
use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Retry, Upload};
use xxhash_rust::xxh3::Xxh3;

use crate::checksum::Small;
use crate::error::Refused;
use crate::publish::Token;
use crate::runtime::within;
use crate::store::Shared;
use crate::talk::Conversation;

/// Bytes of a piece: the least that every store takes.
const PIECE_BYTES: usize = 5 << 20;
/// Pieces of a part that are on their way at once. With the one that is gathered and the one that waits, a worker holds two
/// more.
const N_IN_FLIGHT: usize = 2;
/// Memory of a part that is uploaded, bytes.
pub(crate) const UPLOAD_BYTES: u64 = ((N_IN_FLIGHT + 2) * PIECE_BYTES) as u64;
/// Longest time that giving an upload up may take.
const ABORT_TIMEOUT: Duration = Duration::from_secs(20);

/// A part being uploaded.
pub struct ObjectUpload {
    shared: Arc<Shared>,
    conversation: Conversation,
    writer: Option<Writer>,
    key: String,
    token: Token,
    digest: Xxh3,
    small: Small,
}

impl ObjectUpload {
    /// Begins the part of the object `name`.
    ///
    /// # Errors
    /// The store's.
    pub fn start(shared: &Arc<Shared>, name: &str, direct: bool, cx: &Cx) -> Result<Self> {
        let token = Token { name: name.to_owned(), bytes: 0, etag: None, digest: String::new(), direct };
        let key = token.uploaded_key()?;
        let conversation = shared.talks.conversation();
        let operator = within(&shared.operator, &conversation);
        let options = WriteOptions {
            chunk: Some(PIECE_BYTES),
            concurrent: N_IN_FLIGHT,
            if_not_exists: direct && operator.info().capability().write_with_if_not_exists,
            ..WriteOptions::default()
        };
        let begun = shared.talks.wait(cx, &conversation, operator.writer_options(&key, options));
        let writer = begun.map_err(|refused| shared.failed(refused, &format!("upload '{name}'")))?;
        Ok(Self {
            shared: shared.clone(),
            conversation,
            writer: Some(writer),
            key,
            token,
            digest: Xxh3::new(),
            small: Small::new(PIECE_BYTES),
        })
    }

    /// Does `work` with the writer; after an error there is no way on.
    fn attempt<T>(&mut self, cx: &Cx, work: impl AsyncFnOnce(&mut Writer) -> opendal::Result<T>) -> Result<T> {
        let Some(writer) = &mut self.writer else {
            return Err(PluginError::new(ErrorKind::Internal, "store.upload_over", "the upload is over"));
        };
        let done = self.shared.talks.wait(cx, &self.conversation, work(writer));
        done.map_err(|refused| {
            self.give_up();
            if refused.is_condition() {
                return taken(&self.shared, &self.token.name);
            }
            self.shared.failed(refused, &format!("upload '{}'", self.token.name))
        })
    }

    /// What was uploaded and has no token goes, as far as it can: under its own key everybody sees it. What was in its
    /// place before stays.
    fn remove_uploaded<T>(&self, error: PluginError, cx: &Cx) -> Result<T> {
        if error.kind() != ErrorKind::Conflict
            && let Err(e) = self.shared.remove(&self.key, &self.token.name, cx)
        {
            tracing::warn!("an upload that failed may have left something behind: {e}");
        }
        Err(error)
    }

    /// Ends the upload without a trace, as far as the store lets us.
    fn give_up(&mut self) {
        let Some(mut writer) = self.writer.take() else { return };
        let aborted = async { tokio::time::timeout(ABORT_TIMEOUT, writer.abort()).await };
        match self.shared.talks.finish(aborted) {
            Ok(Ok(())) => {}
            // The next run removes what is left.
            Ok(Err(error)) => {
                let refused = Refused::Store { error: Box::new(error), answer: self.conversation.refusal() };
                let told = self.shared.failed(refused, &format!("give up the upload of '{}'", self.token.name));
                tracing::warn!("an unfinished upload stays behind: {told}");
            }
            Err(_) => tracing::warn!("an unfinished upload stays behind: the store does not answer"),
        }
    }
}

/// What `begin` and an upload to a key of its own say of a key that is taken.
pub fn taken(shared: &Shared, name: &str) -> PluginError {
    let text = format!("'{name}' is in {} already", shared.location);
    PluginError::new(ErrorKind::Conflict, &shared.code("exists"), text)
        .hint("rivet overwrites no part: move the object away, or write below another prefix")
}

impl Upload for ObjectUpload {
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        cx.check()?;
        let piece = Buffer::from(bytes.to_vec());
        self.attempt(cx, async |writer| writer.write(piece).await)?;
        self.digest.update(bytes);
        self.small.update(bytes);
        self.token.bytes += bytes.len() as u64;
        Ok(())
    }

    fn prepare(&mut self, cx: &Cx) -> Result<String> {
        cx.check()?;
        self.attempt(cx, async |writer| writer.close().await).or_else(|e| self.remove_uploaded(e, cx))?;
        self.writer = None;
        self.token.digest = format!("{:032x}", self.digest.digest128());
        let looked = self.shared.stat(&self.key, &self.token.name, cx);
        let stored = looked.or_else(|e| self.remove_uploaded(e, cx))?;
        let stored_bytes = stored.as_ref().map(opendal::Metadata::content_length);
        let is_other = self.small.differs(stored.as_ref().and_then(opendal::Metadata::content_md5));
        if stored_bytes != Some(self.token.bytes) || is_other {
            let (name, sent, n) = (&self.token.name, self.token.bytes, stored_bytes.unwrap_or(0));
            let text = match is_other {
                true => format!("the upload of '{name}' has another checksum in the store than what was sent"),
                false => format!("the upload of '{name}' came to {n} bytes in the store, {sent} were sent"),
            };
            self.shared.remove(&self.key, name, cx)?;
            return Err(PluginError::new(ErrorKind::Connection, &self.shared.code("torn"), text)
                .retry(Retry::SameSession)
                .hint("look at what is between rivet and the store"));
        }
        self.token.etag = stored.and_then(|stored| stored.etag().map(str::to_owned));
        serde_json::to_string(&self.token)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "store.token", "failed to write the token").cause(e))
    }

    fn abort(&mut self, _cx: &Cx) -> Result<()> {
        self.give_up();
        Ok(())
    }
}

impl Drop for ObjectUpload {
    fn drop(&mut self) {
        self.give_up();
    }
}
