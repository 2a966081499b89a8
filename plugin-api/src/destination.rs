//! What a destination is: a store whose parts are first prepared, then published.
//! It must not know formats, exports or manifests: names and bytes only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Cx, ErrorKind, PluginError, ReadAt, Result};

/// A destination plugin. Register it with [`plugin!`](crate::plugin).
pub trait Destination: Sized + Send + Sync + 'static {
    /// Name in `destination: {type: …}`.
    const NAME: &'static str;
    /// The destination's own options.
    type Options: DeserializeOwned + JsonSchema;

    /// What this destination can do.
    fn capabilities() -> StoreCapabilities;

    /// Checks options and credentials; makes nothing but what must be there to write.
    ///
    /// # Errors
    /// `Config`, `Auth`, `NotFound`, `Connection` or `Io`.
    fn open(options: Self::Options, cx: &Cx) -> Result<Box<dyn Store>>;
}

/// What a destination can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct StoreCapabilities {
    /// Objects have names and stay: manifests can be put, parts can be read back. A pipe cannot.
    pub objects: bool,
    /// A prepared part is invisible until published and can be discarded.
    pub retractable: bool,
    /// Several parts can be uploaded at once.
    pub concurrent: bool,
    /// Memory that a part takes while it is uploaded, bytes; it comes out of the host's budget.
    pub upload_bytes: u64,
    /// Calls about different objects that are worth making at once when parts are published: 1 where each is a moment's work of
    /// this machine, more where each waits for an answer.
    pub n_at_once: usize,
}

impl Default for StoreCapabilities {
    fn default() -> Self {
        Self { objects: true, retractable: true, concurrent: true, upload_bytes: 0, n_at_once: 1 }
    }
}

/// An open destination. Names are relative, `/`-separated, of segments as [`encode_segment`](crate::encode_segment) writes them,
/// and never leave the destination's root: the name of an object is its path or key below that.
pub trait Store: Send + Sync {
    /// Starts uploading a part that does not exist yet.
    ///
    /// # Errors
    /// `Conflict` when a published object has that name.
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>>;

    /// Makes a prepared part visible under its name. Idempotent: published already is success.
    ///
    /// # Errors
    /// `NotFound` when neither the prepared nor the published part is there.
    fn publish(&self, token: &str, cx: &Cx) -> Result<ObjectFacts>;

    /// Removes a prepared part. Idempotent: absent is success; a published part is left alone.
    ///
    /// # Errors
    /// `Io` or `Connection`.
    fn discard(&self, token: &str, cx: &Cx) -> Result<()>;

    /// Writes a small object at once, durably: a reader sees all of it or none.
    /// Returns whether it was written: false when `mode` is `IfAbsent` and the object is there.
    ///
    /// # Errors
    /// `Io`, `Auth` or `Connection`; `Unsupported` where the store has no objects.
    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, cx: &Cx) -> Result<bool>;

    /// Facts about a visible object, `None` when there is none.
    ///
    /// # Errors
    /// `Io`, `Auth` or `Connection`.
    fn head(&self, name: &str, cx: &Cx) -> Result<Option<ObjectFacts>>;

    /// Visible objects whose names start with `prefix`, in no particular order. In a prefix `*` is the rest of a segment: see
    /// [`Beginning`](crate::Beginning).
    ///
    /// # Errors
    /// `Io`, `Auth` or `Connection`.
    fn list(&self, prefix: &str, cx: &Cx) -> Result<Vec<ObjectFacts>>;

    /// Opens a visible object for reading.
    ///
    /// # Errors
    /// `NotFound`.
    fn open(&self, name: &str, cx: &Cx) -> Result<Box<dyn ReadAt>>;

    /// Opens a prepared part that is not published: whoever completes a run that died looks at it before anybody else
    /// can. Where that cannot be done, it is published first and read then.
    ///
    /// # Errors
    /// `NotFound` when it is published or gone; `Unsupported` where a prepared part cannot be read.
    fn open_prepared(&self, _token: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let text = "a prepared part cannot be read here before it is published";
        Err(PluginError::new(ErrorKind::Unsupported, "store.open_prepared", text))
    }

    /// Keeps everybody else out who calls this for the same place, in any process, until what is returned is dropped or its
    /// process ends. Nothing of it is visible.
    ///
    /// # Errors
    /// `Conflict` while somebody else has it; `Unsupported` where the store has no such locks.
    fn lock(&self, _cx: &Cx) -> Result<Box<dyn Send + Sync>> {
        Err(PluginError::new(ErrorKind::Unsupported, "store.lock", "this store cannot be locked"))
    }

    /// Removes a visible object; absent is success.
    ///
    /// # Errors
    /// `Io`, `Auth` or `Connection`.
    fn delete(&self, name: &str, cx: &Cx) -> Result<()>;

    /// Proves that parts can be written and removed here, and leaves nothing behind.
    ///
    /// # Errors
    /// What a first upload would meet.
    fn probe(&self, cx: &Cx) -> Result<()>;

    /// Removes what a dead process left of uploads and puts whose names start with `prefix`, as for `list`: what was begun or prepared,
    /// never what is visible. Returns how many there were; 0 where nothing is left of them. No upload of such a name
    /// lives; a put of such a name may be on its way in another process, and is left alone.
    ///
    /// # Errors
    /// `Io`, `Auth` or `Connection`.
    fn sweep(&self, _prefix: &str, _cx: &Cx) -> Result<u64> {
        Ok(0)
    }
}

/// Whether an object may replace one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Only if there is none.
    IfAbsent,
    /// In any case, atomically; a store that can does so only while there is what whoever opened it here last found, and
    /// else says `Conflict`.
    Replace,
}

/// One part on its way. Dropped without `prepare`, it leaves nothing behind.
pub trait Upload: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `Io`, `Capacity`, `Connection`; the upload is lost.
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()>;

    /// Makes the part durable, not yet visible, and returns the token that publishes or discards it, in this
    /// process or a later one. Called once, last.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn prepare(&mut self, cx: &Cx) -> Result<String>;

    /// Removes what was written. Called at most once, last, instead of `prepare`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn abort(&mut self, cx: &Cx) -> Result<()>;
}

/// Facts about a visible object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectFacts {
    /// Relative name.
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
    /// Where a person finds it: an absolute path or a URL without credentials.
    pub location: String,
}

impl ObjectFacts {
    /// All that is known.
    pub fn new(name: impl Into<String>, bytes: u64, location: impl Into<String>) -> Self {
        Self { name: name.into(), bytes, location: location.into() }
    }
}
