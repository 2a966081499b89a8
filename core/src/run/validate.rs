//! Reads every published part back and compares it with what was written: rows and column checksums where the format
//! can be read, else size and digest.
//! It must not know formats, nor what happens to a part that differs.

use arrow_schema::{DataType, SchemaRef};
use rivet_plugin_api::wire::FormatHandle;
use rivet_plugin_api::{ConnectorKind, ErrorKind, PluginError, ReadAt, Store};
use xxhash_rust::xxh3::Xxh3;

use super::env::Env;
use super::finish::Judged;
use crate::checksum::{Checksums, ColumnChecksum};
use crate::error::RunError;
use crate::manifest::{Part, digest_text};
use crate::resolve::ExportSpec;

/// Bytes read at once where a part is only compared byte by byte.
const PIECE_BYTES: usize = 1 << 20;

/// Validates all parts of a run, which are published.
///
/// # Errors
/// `Integrity` for the first part that is not what was written; the store's error; `Interrupted`.
pub fn validate(spec: &ExportSpec, judged: &Judged<'_>, store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let format = reader_of(spec, judged)?;
    let schema = judged.plan.part_schema();
    for part in &judged.manifest.parts {
        let opened = store.open(&part.name, &env.cancel.cx()).map_err(|e| failed(part, e))?;
        if opened.len() != part.bytes {
            return Err(wrong(part, format!("has {} bytes, {} were written", opened.len(), part.bytes)));
        }
        match &format {
            Some(format) if !part.checksums.is_empty() => rows_are(part, format, &schema, opened, env)?,
            _ => bytes_are(part, &*opened, env)?,
        }
    }
    Ok(())
}

/// The format that wrote the parts, where it can read them. A run that is completed later may meet another config.
fn reader_of(spec: &ExportSpec, judged: &Judged<'_>) -> Result<Option<FormatHandle>, RunError> {
    let info = spec.format.info();
    let readable = matches!(&info.kind, ConnectorKind::Format(can) if can.readable);
    let same = info.name == judged.plan.format.plugin && spec.extension() == judged.plan.extension;
    if !readable || !same {
        return Ok(None);
    }
    let opened = spec.format.open_format(&spec.format_options);
    opened.map(Some).map_err(RunError::plugin("open format", &info.name))
}

/// Reads the rows back.
fn rows_are(
    part: &Part,
    format: &FormatHandle,
    schema: &SchemaRef,
    opened: Box<dyn ReadAt>,
    env: &Env<'_>,
) -> Result<(), RunError> {
    let mut batches = format.reader(opened).map_err(|e| failed(part, e))?;
    let found = batches.schema();
    columns_are(part, schema, &found)?;
    let (mut rows, mut checksums) = (0, Checksums::new(schema.fields().len()));
    while let Some(batch) = batches.next(&env.cancel.cx()).map_err(|e| failed(part, e))? {
        rows += batch.num_rows() as u64;
        checksums.add(&batch);
    }
    if rows != part.rows {
        return Err(wrong(part, format!("has {rows} rows, {} were written", part.rows)));
    }
    let found = checksums.named(schema);
    if found == part.checksums {
        return Ok(());
    }
    let differs = |c: &&ColumnChecksum| !found.contains(c);
    let columns: Vec<String> = part.checksums.iter().filter(differs).map(|c| format!("'{}'", c.column)).collect();
    Err(wrong(part, format!("holds other values than were written, in column {}", columns.join(", "))))
}

/// Names and types; a dictionary is what it stands for.
fn columns_are(part: &Part, written: &SchemaRef, found: &SchemaRef) -> Result<(), RunError> {
    fn plain(of: &DataType) -> &DataType {
        match of {
            DataType::Dictionary(_, words) => words,
            other => other,
        }
    }
    let shape = |schema: &SchemaRef| -> Vec<(String, DataType)> {
        schema.fields().iter().map(|f| (f.name().clone(), plain(f.data_type()).clone())).collect()
    };
    if shape(written) == shape(found) {
        return Ok(());
    }
    Err(wrong(part, "has other columns than were written".to_owned()))
}

/// Reads the bytes back, in bounded memory.
///
/// # Errors
/// `Integrity` when they are not those that were written; the store's error; `Interrupted`.
pub fn bytes_are(part: &Part, opened: &dyn ReadAt, env: &Env<'_>) -> Result<(), RunError> {
    let cx = env.cancel.cx();
    let (mut digest, mut at, mut piece) = (Xxh3::new(), 0, vec![0; PIECE_BYTES]);
    loop {
        cx.check().map_err(RunError::plugin("validate", &part.name))?;
        match opened.read_at(at, &mut piece).map_err(|e| failed(part, e))? {
            0 => break,
            n => {
                digest.update(&piece[..n]);
                at += n as u64;
            }
        }
    }
    if digest_text(digest.digest128()) == part.digest {
        return Ok(());
    }
    Err(wrong(part, "holds other bytes than were written".to_owned()))
}

/// What a reader cannot make sense of is not what was written; a store that does not answer says nothing about it.
fn failed(part: &Part, e: PluginError) -> RunError {
    match e.kind() {
        ErrorKind::Data | ErrorKind::NotFound | ErrorKind::Schema | ErrorKind::Panicked | ErrorKind::Internal => {
            wrong(part, format!("cannot be read back: {e}"))
        }
        _ => RunError::plugin("validate", &part.name)(e),
    }
}

pub fn wrong(part: &Part, what: String) -> RunError {
    RunError::Integrity {
        what: format!("part {} {what}", part.name),
        hint: "the run was withdrawn and no cursor moved: check the destination, then run again".to_owned(),
    }
}
