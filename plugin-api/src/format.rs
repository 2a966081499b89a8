//! What a format is: a writer of parts, and a reader that proves what was written.
//! It must not know where bytes go or come from, nor what an export is.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{BatchStream, Cx, Result};

/// A format plugin. Register it with [`plugin!`](crate::plugin).
pub trait Format: Sized + Send + Sync + 'static {
    /// Name in `format: …`.
    const NAME: &'static str;
    /// The format's own options.
    type Options: DeserializeOwned + JsonSchema;

    /// What this format can do.
    fn capabilities() -> FormatCapabilities;

    /// Checks the options.
    ///
    /// # Errors
    /// `Config`.
    fn open(options: Self::Options) -> Result<Self>;

    /// File name extension of parts with these options, without the dot; it may have dots inside, as `csv.gz` has.
    fn extension(&self) -> String {
        Self::capabilities().extension
    }

    /// Says of each field whether this format can hold it.
    ///
    /// # Errors
    /// `Internal` only: a field it cannot hold is an answer, not an error.
    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>>;

    /// Starts a part. Everything for the part goes to `sink`, in order.
    ///
    /// # Errors
    /// `Unsupported` when `map` refuses a field.
    fn writer(
        &self,
        schema: SchemaRef,
        settings: WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Box<dyn BatchWriter>>;

    /// Reads a part back.
    ///
    /// # Errors
    /// `Data` when it is not a whole part of this format, `Unsupported` when the format cannot be read back.
    fn reader(&self, part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>>;
}

/// What a format can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct FormatCapabilities {
    /// File name extension, without the dot; that of the default options where options change it.
    pub extension: String,
    /// Parts can be read back.
    pub readable: bool,
    /// Parts are text that people can read, with the default options. What is not text is not written to a terminal.
    pub text: bool,
}

/// What a format does with a field. What a newer format does that is neither is read as a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "Answer")]
pub enum FieldMapping {
    /// Written as it is; the physical type for the report.
    Keep(String),
    /// Cannot be held; why, and what to do.
    Refuse(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Keep(String),
    Refuse(String),
    #[serde(untagged)]
    Other(serde_json::Value),
}

impl From<Answer> for FieldMapping {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Keep(physical) => Self::Keep(physical),
            Answer::Refuse(why) => Self::Refuse(why),
            Answer::Other(what) => Self::Refuse(format!(
                "the format does with it what this rivet does not know ({what}): install a newer rivet"
            )),
        }
    }
}

/// Limits of one writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WriterSettings {
    /// Bytes the writer may hold in memory.
    pub max_buffered_bytes: usize,
    /// Bytes of the file at which the part will be ended, if any. A writer that compresses what it holds only later keeps
    /// to pieces that are small beside it, so that [`bytes_buffered`](BatchWriter::bytes_buffered) is near the truth.
    pub max_part_bytes: Option<u64>,
}

/// One part being encoded.
pub trait BatchWriter: Send {
    /// Takes a batch of the writer's schema.
    ///
    /// # Errors
    /// `Io` from the sink, `Data` where a value cannot be held.
    fn write(&mut self, batch: &RecordBatch, cx: &Cx) -> Result<()>;
    /// Bytes that what is held will add to the file: with [`bytes_written`](Self::bytes_written) the size of the file if it
    /// ended now. An estimate where it is not compressed yet; a part is ended by it.
    fn bytes_buffered(&self) -> u64;
    /// Bytes handed to the sink.
    fn bytes_written(&self) -> u64;
    /// Writes what is left. The sink has everything when this returns. Called once, last.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn finish(&mut self, cx: &Cx) -> Result<PartFacts>;
}

/// Facts about a finished part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartFacts {
    /// Rows in it.
    pub rows: u64,
    /// Row groups or blocks, where the format has them.
    pub row_groups: u64,
}

/// Takes the bytes of a part, in order; blocks while there is no room.
pub trait ByteSink: Send {
    /// Takes all of `bytes`.
    ///
    /// # Errors
    /// `Io` or `Cancelled`: the part is lost.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Bytes that can be read at any offset, from any thread.
pub trait ReadAt: Send + Sync {
    /// Length, bytes.
    fn len(&self) -> u64;
    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buffer` from `offset` on; returns the bytes read, fewer than asked only at the end.
    ///
    /// # Errors
    /// `Io`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
    /// The same for a call that may be cancelled: whoever waits for somebody else registers what wakes it.
    ///
    /// # Errors
    /// `Io`, `Cancelled`.
    fn read_at_cx(&self, offset: u64, buffer: &mut [u8], cx: &Cx) -> Result<usize> {
        cx.check()?;
        self.read_at(offset, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_format_does_with_a_field_is_a_refusal() {
        let read = |json: &str| serde_json::from_str::<FieldMapping>(json).expect(json);
        assert_eq!(read(r#"{"keep": "INT64"}"#), FieldMapping::Keep("INT64".to_owned()));
        assert_eq!(read(r#"{"refuse": "no"}"#), FieldMapping::Refuse("no".to_owned()));
        for json in [r#"{"cast": "text"}"#, r#""skip""#] {
            assert!(matches!(read(json), FieldMapping::Refuse(why) if why.contains("newer rivet")), "{json}");
        }
    }
}
