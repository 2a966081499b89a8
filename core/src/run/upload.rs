//! The upload step: bytes to prepared parts, with a digest of what was sent.
//! It must not know formats, nor when parts become visible.

use std::collections::BTreeMap;

use rivet_plugin_api::{ErrorKind, HostCx, PluginError, Upload};
use xxhash_rust::xxh3::Xxh3;

use super::channel::Receiver;
use super::pipeline::{Attempt, Begun, Done, Read, Shared, Steps, Stop, Tally};
use crate::checksum::ColumnChecksum;
use crate::error::RunError;
use crate::manifest::digest_text;

/// What the encoder sends of a split; only the last item says that all came.
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

pub struct Uploader<'s, 'a> {
    shared: &'s Shared<'a>,
    steps: &'s Steps<'a>,
    done: Done<'s, 'a>,
    cx: HostCx,
}

struct Open {
    upload: Box<dyn Upload>,
    name: String,
    index: u32,
    bytes: u64,
    digest: Xxh3,
}

impl<'s, 'a> Uploader<'s, 'a> {
    pub fn new(shared: &'s Shared<'a>, steps: &'s Steps<'a>, done: Done<'s, 'a>) -> Self {
        Self { shared, steps, done, cx: steps.token.cx() }
    }

    /// Takes what comes until the encoder is gone. One that stops early just goes: the open uploads are then dropped, which
    /// removes them.
    pub fn run(self, items: Receiver<Item>) {
        let mut open: BTreeMap<u32, Open> = BTreeMap::new();
        while let Ok(item) = items.recv() {
            let of = self.steps.oldest();
            let took = of.ok_or_else(out_of_order).and_then(|of| self.take(item, of, &mut open));
            if let Err(stop) = took {
                return self.steps.stop(of.map(|of| of.attempt), stop);
            }
        }
    }

    fn take(&self, item: Item, of: Begun<'a>, open: &mut BTreeMap<u32, Open>) -> Result<(), Stop> {
        match item {
            Item::Begin { name, index } => match open.insert(index, self.begin(name, index)?) {
                Some(_) => Err(out_of_order()),
                None => Ok(()),
            },
            Item::Bytes { index, bytes } => self.write(open.get_mut(&index).ok_or_else(out_of_order)?, &bytes),
            Item::End { index, rows, checksums } => {
                self.end(of.attempt, open.remove(&index).ok_or_else(out_of_order)?, rows, checksums)
            }
            Item::AllSent if open.is_empty() => self.all_sent(of),
            Item::AllSent => Err(out_of_order()),
        }
    }

    fn all_sent(&self, of: Begun<'a>) -> Result<(), Stop> {
        let Read { tally, shaper } = self.steps.take_encoded().ok_or_else(out_of_order)?;
        let nulls = shaper.keep().map_err(Stop::Failed)?;
        let warnings = self.steps.token.take_warnings().into_iter().chain(tally.warnings).collect();
        (self.done)(of, Tally { warnings, nulls, ..tally }).map_err(Stop::Failed)?;
        self.steps.close_oldest();
        Ok(())
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

    fn end(&self, of: Attempt<'_>, mut part: Open, rows: u64, checksums: Vec<ColumnChecksum>) -> Result<(), Stop> {
        self.shared.env.faults.call("part_prepared").map_err(Stop::Failed)?;
        let token = part.upload.prepare(&self.cx).map_err(|e| self.failed(&part.name, e))?;
        self.shared.env.faults.pass("part_prepared");
        let Open { name, index, bytes, digest, .. } = part;
        let digest = digest_text(digest.digest128());
        let prepared = Prepared { name, index, token, rows, bytes, digest, checksums };
        self.shared.ledger.part_prepared(of.split.id, of.number, prepared).map_err(Stop::Failed)?;
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

fn out_of_order() -> Stop {
    Stop::Failed(RunError::Internal("parts out of order".to_owned()))
}
