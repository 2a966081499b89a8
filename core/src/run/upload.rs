//! The upload step: bytes to prepared parts, with a digest of what was sent.
//! It must not know formats, nor when parts become visible.

use std::collections::BTreeMap;

use rivet_plugin_api::{CancelToken, ErrorKind, HostCx, PluginError, Upload};
use xxhash_rust::xxh3::Xxh3;

use super::channel::Receiver;
use super::pipeline::{Attempt, Shared, Stop};
use crate::checksum::ColumnChecksum;
use crate::error::RunError;
use crate::manifest::digest_text;

/// What the encoder sends.
pub enum Item {
    Begin { name: String, index: u32 },
    Bytes { index: u32, bytes: Vec<u8> },
    End { index: u32, rows: u64, checksums: Vec<ColumnChecksum> },
    AllSent,
}

/// A durable, invisible part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub name: String,
    /// Number of the part within its attempt, from 0.
    pub index: u32,
    pub token: String,
    pub rows: u64,
    pub bytes: u64,
    pub digest: String,
    pub checksums: Vec<ColumnChecksum>,
}

pub struct Uploader<'a> {
    shared: &'a Shared<'a>,
    attempt: Attempt<'a>,
    cx: HostCx,
}

struct Open {
    upload: Box<dyn Upload>,
    name: String,
    index: u32,
    bytes: u64,
    digest: Xxh3,
}

impl<'a> Uploader<'a> {
    pub fn new(shared: &'a Shared<'a>, attempt: Attempt<'a>, token: &CancelToken) -> Self {
        Self { shared, attempt, cx: token.cx() }
    }

    pub fn run(self, items: Receiver<Item>) -> Result<(), Stop> {
        let mut open: BTreeMap<u32, Open> = BTreeMap::new();
        let out_of_order = || Stop::Failed(RunError::Internal("parts out of order".to_owned()));
        loop {
            // An encoder that stops early just disconnects: the open uploads are then dropped, which removes them.
            match items.recv()? {
                Item::Begin { name, index } => {
                    if open.insert(index, self.begin(name, index)?).is_some() {
                        return Err(out_of_order());
                    }
                }
                Item::Bytes { index, bytes } => self.write(open.get_mut(&index).ok_or_else(out_of_order)?, &bytes)?,
                Item::End { index, rows, checksums } => {
                    self.end(open.remove(&index).ok_or_else(out_of_order)?, rows, checksums)?;
                }
                Item::AllSent if open.is_empty() => return Ok(()),
                Item::AllSent => return Err(out_of_order()),
            }
        }
    }

    fn begin(&self, name: String, index: u32) -> Result<Open, Stop> {
        self.shared.env.faults.call("part_begun").map_err(Stop::Failed)?;
        let upload = self.shared.store.begin(&name, &self.cx).map_err(|e| self.failed(&name, e))?;
        self.shared.env.faults.pass("part_begun");
        Ok(Open { upload, name, index, bytes: 0, digest: Xxh3::new() })
    }

    fn write(&self, part: &mut Open, bytes: &[u8]) -> Result<(), Stop> {
        part.digest.update(bytes);
        part.bytes += bytes.len() as u64;
        part.upload.write(bytes, &self.cx).map_err(|e| self.failed(&part.name, e))
    }

    fn end(&self, mut part: Open, rows: u64, checksums: Vec<ColumnChecksum>) -> Result<(), Stop> {
        self.shared.env.faults.call("part_prepared").map_err(Stop::Failed)?;
        let token = part.upload.prepare(&self.cx).map_err(|e| self.failed(&part.name, e))?;
        self.shared.env.faults.pass("part_prepared");
        let Open { name, index, bytes, digest, .. } = part;
        let digest = digest_text(digest.digest128());
        let prepared = Prepared { name, index, token, rows, bytes, digest, checksums };
        self.shared.ledger.part_prepared(self.attempt.split.id, self.attempt.number, prepared).map_err(Stop::Failed)?;
        self.shared.env.faults.pass("part_recorded");
        Ok(())
    }

    fn failed(&self, name: &str, e: PluginError) -> Stop {
        if e.kind() == ErrorKind::Cancelled {
            return Stop::Follows;
        }
        Stop::Failed(RunError::plugin("write", name)(e))
    }
}
