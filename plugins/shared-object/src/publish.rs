//! How a part becomes visible: a copy from its staged key within the store, or at once. Repeatable after a death anywhere.
//! It must not know what the part holds.

use std::time::{Duration, Instant};

use opendal::Metadata;
use opendal::options::CopyOptions;
use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Retry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::Refused;
use crate::names::{key, staged};
use crate::read::{PIECE_BYTES, piece};
use crate::runtime::within;
use crate::store::Shared;

/// Pause between two looks at a copy that goes on.
const COPY_PAUSE: Duration = Duration::from_millis(500);
/// Longest time that is waited for a copy; whoever asks again goes on waiting.
const COPY_TIMEOUT: Duration = Duration::from_secs(1_800);

/// How parts become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// Each part is uploaded under a staged key that no reader's glob matches, and copied within the store to its own key
    /// once the whole run is good.
    #[default]
    Copy,
    /// Each part is uploaded under its own key: for stores and roles without copy or delete. Until the manifest is written
    /// a reader who globs sees parts of a run that may still fail; the manifest alone is the truth.
    Direct,
}

/// What publishes or discards a prepared part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Name of the object.
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
    /// The store's tag of what was uploaded.
    pub etag: Option<String>,
    /// XXH3 of what was uploaded.
    pub digest: String,
    /// Whether it was uploaded under its own key.
    pub direct: bool,
}

impl Token {
    /// Reads one of ours.
    ///
    /// # Errors
    /// `Internal` when it is another's.
    pub fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|_| {
            PluginError::new(ErrorKind::Internal, "store.token", "the token was not made by this destination")
        })
    }

    /// The key that was uploaded to.
    ///
    /// # Errors
    /// `Config` when the name is none of an object.
    pub fn uploaded_key(&self) -> Result<String> {
        let key = key(&self.name)?;
        Ok(if self.direct { key } else { staged(&key) })
    }

    fn is_as_uploaded(&self, found: &Metadata) -> bool {
        let same_tag = match (&self.etag, found.etag()) {
            (Some(ours), Some(found)) => ours == found,
            _ => true,
        };
        found.content_length() == self.bytes && same_tag
    }
}

/// Makes a prepared part visible, unless it is.
///
/// # Errors
/// `NotFound` when it is gone, `Data` when it was changed, `Conflict` when something else has its place.
pub fn publish(shared: &Shared, token: &Token, cx: &Cx) -> Result<()> {
    let (to, from) = (key(&token.name)?, token.uploaded_key()?);
    let uploaded = shared.stat(&from, &token.name, cx)?;
    if uploaded.as_ref().is_some_and(|found| !token.is_as_uploaded(found)) {
        let text = format!("the prepared part '{}' is not what was uploaded", token.name);
        return Err(PluginError::new(ErrorKind::Data, &shared.code("part_changed"), text)
            .hint("something else writes below this prefix: run the export again"));
    }
    match (uploaded, token.direct) {
        (Some(_), true) => Ok(()),
        (Some(_), false) => {
            let copied = copy(shared, &from, &to, token, cx)?;
            let found = settled(shared, &to, token, cx)?.ok_or_else(|| gone(shared, token))?;
            // Our own copy, just made, needs no more than a look; what was there before may be anything.
            if found.content_length() != token.bytes || (!copied && !holds(shared, &to, token, cx)?) {
                return Err(taken(shared, token));
            }
            shared.remove(&from, &token.name, cx)
        }
        (None, true) => Err(gone(shared, token)),
        // Published before, by a process that may have died right after.
        (None, false) => match settled(shared, &to, token, cx)? {
            Some(found) if found.content_length() == token.bytes && holds(shared, &to, token, cx)? => Ok(()),
            Some(_) => Err(taken(shared, token)),
            None => Err(gone(shared, token)),
        },
    }
}

/// Copies to a key that is free; returns whether it was. A look comes first, since some stores pass over the condition.
fn copy(shared: &Shared, from: &str, to: &str, token: &Token, cx: &Cx) -> Result<bool> {
    match shared.stat(to, &token.name, cx) {
        Ok(Some(_)) => return Ok(false),
        // Who may not list is denied what is not there.
        Err(e) if e.kind() != ErrorKind::Auth => return Err(e),
        _ => {}
    }
    let can = shared.operator.info().capability();
    let conditional = CopyOptions {
        if_not_exists: can.copy_with_if_not_exists,
        // The generation of what is not there.
        if_version_match: (!can.copy_with_if_not_exists && can.copy_with_if_version_match).then(|| "0".to_owned()),
        source_content_length_hint: Some(token.bytes),
        ..CopyOptions::default()
    };
    let plain = CopyOptions { source_content_length_hint: Some(token.bytes), ..CopyOptions::default() };
    let copied = |options: CopyOptions| {
        let conversation = shared.talks.conversation();
        let operator = within(&shared.operator, &conversation);
        shared.talks.wait(cx, &conversation, operator.copy_options(from, to, options))
    };
    let first = copied(conditional);
    let done = if first.as_ref().is_err_and(Refused::is_unsupported) { copied(plain) } else { first };
    match done {
        Ok(_) => Ok(true),
        // One that was asked for before goes on: it is waited for and looked at.
        Err(refused) if refused.is_condition() || refused.is_copy_pending() => Ok(false),
        Err(refused) => Err(shared.failed(refused, &format!("publish '{}'", token.name))),
    }
}

/// What is under a key, once no copy to it goes on any more.
fn settled(shared: &Shared, key: &str, token: &Token, cx: &Cx) -> Result<Option<Metadata>> {
    let begun = Instant::now();
    loop {
        cx.check()?;
        let conversation = shared.talks.conversation();
        let operator = within(&shared.operator, &conversation);
        let looked = async {
            let found = operator.stat(key).await;
            if conversation.is_copy_pending() {
                tokio::time::sleep(COPY_PAUSE).await;
            }
            found
        };
        match shared.talks.wait(cx, &conversation, looked) {
            Ok(_) if conversation.is_copy_pending() => {
                if begun.elapsed() > COPY_TIMEOUT {
                    let text = format!("the store has not finished to copy '{}' in {COPY_TIMEOUT:?}", token.name);
                    return Err(PluginError::new(ErrorKind::Connection, &shared.code("copy"), text)
                        .retry(Retry::SameSession)
                        .hint("the store goes on with it: run the export again later"));
                }
            }
            Ok(found) => return Ok(Some(found)),
            Err(refused) if refused.is_absent() => return Ok(None),
            Err(refused) => return Err(shared.failed(refused, &format!("look at '{}'", token.name))),
        }
    }
}

/// Whether what is under the key is what was uploaded, byte by byte.
fn holds(shared: &Shared, key: &str, token: &Token, cx: &Cx) -> Result<bool> {
    let conversation = shared.talks.conversation();
    let operator = within(&shared.operator, &conversation);
    let hashed = async {
        let (mut digest, mut at) = (Xxh3::new(), 0);
        while at < token.bytes {
            let end = token.bytes.min(at + PIECE_BYTES);
            let piece = piece(&operator, &conversation, key, at..end, None).await?;
            piece.into_iter().for_each(|bytes| digest.update(&bytes));
            at = end;
        }
        Ok(format!("{:032x}", digest.digest128()) == token.digest)
    };
    let wait = shared.talks.wait(cx, &conversation, hashed);
    wait.map_err(|refused: Refused| shared.failed(refused, &format!("read '{}'", token.name)))
}

fn gone(shared: &Shared, token: &Token) -> PluginError {
    let text = format!("neither the prepared nor the published part '{}' is there", token.name);
    PluginError::new(ErrorKind::NotFound, &shared.code("part_lost"), text)
        .hint("something else removed it, perhaps a rule of the bucket that ends objects: run the export again")
}

fn taken(shared: &Shared, token: &Token) -> PluginError {
    let text = format!("'{}' is there and is not the part that was uploaded", token.name);
    PluginError::new(ErrorKind::Conflict, &shared.code("exists"), text)
        .hint("something else writes below this prefix: move the object away and run the export again")
}
