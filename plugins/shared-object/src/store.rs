//! A bucket below a prefix as a store: stage, publish, put, list, read.
//! It must not know which provider's it is, nor what the objects hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use opendal::options::{ListOptions, WriteOptions};
use opendal::{Metadata, Operator};
use rivet_plugin_api::{
    Beginning, Cx, ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, StoreCapabilities, Upload,
};

use crate::error::{NO_BUCKET, Refused};
use crate::leftovers::{self, OpenUploads};
use crate::names::{is_staged, is_visible, key, staged};
use crate::publish::{PublishMode, Token, publish};
use crate::read::Object;
use crate::runtime::{Talks, within};
use crate::upload::{ObjectUpload, UPLOAD_BYTES, taken};

/// Larger objects are never replaced.
const MAX_REMEMBERED_BYTES: u64 = 64 << 10;
/// Object that a probe writes and removes.
const PROBE: &str = "_rivet_probe";

/// Parts that are copied at once: each is some requests, one of which takes the store as long as the part is large.
const N_AT_ONCE: usize = 16;

/// What all object stores can do.
pub fn capabilities() -> StoreCapabilities {
    StoreCapabilities { upload_bytes: UPLOAD_BYTES, n_at_once: N_AT_ONCE, ..StoreCapabilities::default() }
}

/// A place in an object store, with the credentials for it.
pub struct Target {
    /// The store, rooted at the prefix; it signs nothing, which is done on the way out.
    pub operator: Operator,
    /// Begins the codes of errors, such as `s3`.
    pub scheme: &'static str,
    /// Where a person finds it, without a slash at its end: `s3://bucket/prefix`.
    pub location: String,
    /// How parts become visible.
    pub publish: PublishMode,
    /// What can tell which uploads were begun and never ended; none where the store forgets them by itself.
    pub uploads: Option<OpenUploads>,
}

/// How a key has to be for something to be written there.
#[derive(Clone)]
enum KeyState {
    Any,
    Absent,
    As(Box<Metadata>),
}

/// What all that is open of a store has in common.
pub struct Shared {
    pub(crate) talks: Talks,
    pub(crate) operator: Operator,
    pub(crate) location: String,
    scheme: &'static str,
    /// What was found by those who opened an object, or that there was none.
    seen: Mutex<HashMap<String, Option<Metadata>>>,
}

impl Shared {
    pub(crate) fn code(&self, code: &str) -> String {
        format!("{}.{code}", self.scheme)
    }

    pub(crate) fn failed(&self, refused: Refused, doing: &str) -> PluginError {
        refused.while_(doing, self.scheme, &self.location)
    }

    /// Asks for a list of nothing: unlike a look at one object, which has no body, a refusal of it says why.
    fn greet(&self, cx: &Cx) -> Result<()> {
        let conversation = self.talks.conversation();
        let operator = within(&self.operator, &conversation);
        let options = ListOptions { recursive: true, ..ListOptions::default() };
        let listed = async { operator.lister_options(PROBE, options).await?.try_next().await };
        match self.talks.wait(cx, &conversation, listed) {
            Ok(_) => Ok(()),
            Err(refused) if refused.is_absent() => {
                let text = format!("there is no bucket for {}", self.location);
                Err(PluginError::new(ErrorKind::NotFound, &self.code("bucket"), text).hint(NO_BUCKET))
            }
            Err(refused) => {
                let told = self.failed(refused, "list objects");
                if told.code() == self.code("denied") { Ok(()) } else { Err(told) }
            }
        }
    }

    /// What is under a key.
    pub(crate) fn stat(&self, key: &str, name: &str, cx: &Cx) -> Result<Option<Metadata>> {
        let conversation = self.talks.conversation();
        let operator = within(&self.operator, &conversation);
        match self.talks.wait(cx, &conversation, operator.stat(key)) {
            Ok(found) => Ok(Some(found)),
            Err(refused) if refused.is_absent() => Ok(None),
            Err(refused) => Err(self.failed(refused, &format!("look at '{name}'"))),
        }
    }

    /// Removes what is under a key, if something is.
    pub(crate) fn remove(&self, key: &str, name: &str, cx: &Cx) -> Result<()> {
        let conversation = self.talks.conversation();
        let operator = within(&self.operator, &conversation);
        match self.talks.wait(cx, &conversation, operator.delete(key)) {
            Ok(()) => Ok(()),
            Err(refused) if refused.is_absent() => Ok(()),
            Err(refused) => Err(self.failed(refused, &format!("remove '{name}'"))),
        }
    }

    /// Keys that begin so, with their sizes.
    fn keys(&self, prefix: &str, cx: &Cx) -> Result<Vec<(String, u64)>> {
        let beginning = Beginning::new(prefix);
        let conversation = self.talks.conversation();
        let operator = within(&self.operator, &conversation);
        let options = ListOptions { recursive: true, ..ListOptions::default() };
        let listed = async {
            let mut found = Vec::new();
            let mut entries = operator.lister_options(beginning.plain, options).await?;
            while let Some(entry) = entries.try_next().await? {
                if entry.metadata().is_file() && beginning.fits(entry.path()) {
                    found.push((entry.path().to_owned(), entry.metadata().content_length()));
                }
            }
            Ok(found)
        };
        match self.talks.wait(cx, &conversation, listed) {
            Ok(found) => Ok(found),
            Err(refused) if refused.is_absent() => Ok(Vec::new()),
            Err(refused) => Err(self.failed(refused, "list objects")),
        }
    }

    /// Writes where the key is as it should be; whether it was. A store that knows no conditions is asked first how it is.
    fn write(&self, key: &str, name: &str, bytes: &[u8], state: KeyState, cx: &Cx) -> Result<bool> {
        let conversation = self.talks.conversation();
        let operator = within(&self.operator, &conversation);
        let conditional = !matches!(state, KeyState::Any);
        let options = match state.clone() {
            KeyState::Any => WriteOptions::default(),
            KeyState::Absent => WriteOptions { if_not_exists: true, ..WriteOptions::default() },
            KeyState::As(seen) => WriteOptions { if_not_changed: Some(*seen), ..WriteOptions::default() },
        };
        match self.talks.wait(cx, &conversation, operator.write_options(key, bytes.to_vec(), options)) {
            Ok(_) => Ok(true),
            Err(refused) if conditional && refused.is_condition() => Ok(false),
            Err(refused) if conditional && refused.is_unsupported() => {
                let found = self.stat(key, name, cx)?;
                let as_it_was = match (state, &found) {
                    (KeyState::As(seen), Some(found)) => seen.etag() == found.etag(),
                    (_, found) => found.is_none(),
                };
                if as_it_was { self.write(key, name, bytes, KeyState::Any, cx) } else { Ok(false) }
            }
            Err(refused) => Err(self.failed(refused, &format!("write '{name}'"))),
        }
    }

    /// What was under a key when somebody looked last is what a later put replaces. Only small objects are replaced.
    pub(crate) fn remember(&self, key: &str, found: Option<&Metadata>) {
        if found.is_none_or(|found| found.content_length() <= MAX_REMEMBERED_BYTES) {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(key.to_owned(), found.cloned());
        }
    }

    fn remembered(&self, key: &str) -> KeyState {
        match self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(key) {
            None => KeyState::Any,
            Some(None) => KeyState::Absent,
            Some(Some(found)) => KeyState::As(Box::new(found)),
        }
    }
}

/// An open destination in an object store.
pub struct ObjectStore {
    shared: Arc<Shared>,
    publish: PublishMode,
    uploads: Option<OpenUploads>,
}

impl ObjectStore {
    /// Opens a place, once it has shown that it is there and knows the credentials.
    ///
    /// # Errors
    /// The store's; who may not list is let in.
    pub fn open(target: Target, talks: Talks, cx: &Cx) -> Result<Self> {
        let Target { operator, scheme, location, publish, uploads } = target;
        if publish == PublishMode::Direct {
            cx.warn(format!(
                "`publish: direct`: parts in {location} are visible before the run is complete; read what the manifest names"
            ));
        }
        let shared = Arc::new(Shared { talks, operator, location, scheme, seen: Mutex::default() });
        shared.greet(cx)?;
        Ok(Self { shared, publish, uploads })
    }

    fn facts(&self, name: &str, bytes: u64) -> ObjectFacts {
        ObjectFacts::new(name, bytes, format!("{}/{name}", self.shared.location))
    }
}

impl Store for ObjectStore {
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>> {
        cx.check()?;
        let there = match self.shared.stat(&key(name)?, name, cx) {
            // Who may write but not look finds out when it is published, which overwrites nothing.
            Err(e) if e.kind() == ErrorKind::Auth => None,
            looked => looked?,
        };
        if there.is_some() {
            return Err(taken(&self.shared, name));
        }
        Ok(Box::new(ObjectUpload::start(&self.shared, name, self.publish == PublishMode::Direct, cx)?))
    }

    fn publish(&self, token: &str, cx: &Cx) -> Result<ObjectFacts> {
        let token = Token::read(token)?;
        publish(&self.shared, &token, cx)?;
        Ok(self.facts(&token.name, token.bytes))
    }

    fn discard(&self, token: &str, cx: &Cx) -> Result<()> {
        let token = Token::read(token)?;
        self.shared.remove(&token.uploaded_key()?, &token.name, cx)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, cx: &Cx) -> Result<bool> {
        cx.check()?;
        let key = key(name)?;
        if mode == PutMode::IfAbsent {
            return self.shared.write(&key, name, bytes, KeyState::Absent, cx);
        }
        // Whoever looked before decided by what was there: it is replaced by nobody else meanwhile.
        if self.shared.write(&key, name, bytes, self.shared.remembered(&key), cx)? {
            return Ok(true);
        }
        // An answer that was lost may have been to this very put.
        let there = Object::open(&self.shared, key, name, cx).and_then(|object| {
            let mut found = vec![0; bytes.len() + 1];
            let n = object.read_at(0, &mut found)?;
            Ok(found.get(..n) == Some(bytes))
        });
        if matches!(there, Ok(true)) {
            return Ok(true);
        }
        let text = format!("'{name}' in {} was written by somebody else meanwhile", self.shared.location);
        Err(PluginError::new(ErrorKind::Conflict, &self.shared.code("replaced"), text)
            .hint("two runs write below one prefix: let one of them end first"))
    }

    fn head(&self, name: &str, cx: &Cx) -> Result<Option<ObjectFacts>> {
        let key = key(name)?;
        Ok(self.shared.stat(&key, name, cx)?.map(|found| self.facts(name, found.content_length())))
    }

    fn list(&self, prefix: &str, cx: &Cx) -> Result<Vec<ObjectFacts>> {
        let keys = self.shared.keys(prefix, cx)?;
        Ok(keys.iter().filter(|(key, _)| is_visible(key)).map(|(key, bytes)| self.facts(key, *bytes)).collect())
    }

    fn sweep(&self, prefix: &str, cx: &Cx) -> Result<u64> {
        let mut n_removed = 0;
        for (key, _) in self.shared.keys(prefix, cx)?.iter().filter(|(key, _)| is_staged(key)) {
            self.shared.remove(key, key, cx)?;
            n_removed += 1;
        }
        match &self.uploads {
            Some(uploads) => Ok(n_removed + leftovers::sweep(&self.shared, uploads, prefix, cx)?),
            None => Ok(n_removed),
        }
    }

    fn open(&self, name: &str, cx: &Cx) -> Result<Box<dyn ReadAt>> {
        Ok(Box::new(Object::open(&self.shared, key(name)?, name, cx)?))
    }

    fn open_prepared(&self, token: &str, cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let token = Token::read(token)?;
        if token.direct {
            let text = "a part that was uploaded under its own key is read as any other";
            return Err(PluginError::new(ErrorKind::Unsupported, &self.shared.code("open_prepared"), text));
        }
        Ok(Box::new(Object::open(&self.shared, token.uploaded_key()?, &token.name, cx)?))
    }

    fn delete(&self, name: &str, cx: &Cx) -> Result<()> {
        self.shared.remove(&key(name)?, name, cx)
    }

    fn probe(&self, cx: &Cx) -> Result<()> {
        cx.check()?;
        // Staged throughout: invisible, also when the process dies in between.
        let [written, copied] = ["1", "2"].map(|n| staged(&format!("{PROBE}.{}-{n}", std::process::id())));
        self.shared.write(&written, PROBE, b"probe", KeyState::Any, cx)?;
        let tried = self.try_copy(&written, &copied, cx);
        let removed = self.shared.remove(&written, PROBE, cx).and_then(|()| self.shared.remove(&copied, PROBE, cx));
        tried.and(removed)?;
        match self.shared.keys(PROBE, cx) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::Auth => {
                cx.warn(format!(
                    "the credentials may not list objects in {}: what a run that dies leaves cannot be removed by the next",
                    self.shared.location
                ));
                Ok(())
            }
            Err(e) => Err(e),
        }
    }
}

impl ObjectStore {
    fn try_copy(&self, from: &str, to: &str, cx: &Cx) -> Result<()> {
        if self.publish == PublishMode::Direct {
            return Ok(());
        }
        let conversation = self.shared.talks.conversation();
        let operator = within(&self.shared.operator, &conversation);
        let copied = self.shared.talks.wait(cx, &conversation, operator.copy(from, to));
        copied.map(drop).map_err(|refused| {
            let told = self.shared.failed(refused, "copy an object");
            match told.kind() {
                ErrorKind::Auth | ErrorKind::Unsupported => {
                    told.hint("publishing copies within the store: allow it, or set `publish: direct`")
                }
                _ => told,
            }
        })
    }
}
