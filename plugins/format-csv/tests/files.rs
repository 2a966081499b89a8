//! The bytes of whole files: lines, header, blocks, codecs; and what a writer holds meanwhile.
//! It must not know how a value is written.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use rivet_format_csv::{Compression, Csv, CsvOptions, LineEnding, Quoting};
use rivet_plugin_api::{ByteSink, CancelToken, ErrorKind, FieldMapping, Format, PluginError, ReadAt, WriterSettings};

/// Every piece that came.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<Vec<u8>>>>);

impl Sink {
    fn pieces(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ByteSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> rivet_plugin_api::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
        Ok(())
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("a \"name\"", DataType::Utf8, true),
    ]))
}

fn batch(texts: Vec<Option<&str>>) -> Result<RecordBatch> {
    let ids = Int64Array::from_iter_values(1..=texts.len() as i64);
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(StringArray::from(texts))])?)
}

/// The pieces of a file, and the most bytes that the writer said it held between two batches.
fn write(options: CsvOptions, max_buffered_bytes: usize, batches: &[RecordBatch]) -> Result<(Vec<Vec<u8>>, u64)> {
    let (token, sink) = (CancelToken::new(), Sink::default());
    let settings = WriterSettings { max_buffered_bytes, ..Default::default() };
    let mut writer = Csv::open(options)?.writer(schema(), settings, Box::new(sink.clone()))?;
    let mut most = 0;
    for batch in batches {
        writer.write(batch, &token.cx())?;
        most = most.max(writer.bytes_buffered());
    }
    let facts = writer.finish(&token.cx())?;
    assert_eq!(facts.rows, batches.iter().map(|b| b.num_rows() as u64).sum::<u64>());
    assert_eq!((writer.bytes_buffered(), writer.bytes_written() as usize), (0, sink.pieces().concat().len()));
    Ok((sink.pieces(), most))
}

fn text(options: CsvOptions, batches: &[RecordBatch]) -> Result<String> {
    Ok(String::from_utf8(write(options, 1 << 20, batches)?.0.concat())?)
}

#[test]
fn lines_follow_the_options() -> Result<()> {
    let batches = [batch(vec![Some("x"), None, Some("")])?];
    let plain = CsvOptions::default;
    for (options, expected) in [
        (plain(), "id,\"a \"\"name\"\"\"\n1,x\n2,\n3,\"\"\n"),
        (CsvOptions { header: false, ..plain() }, "1,x\n2,\n3,\"\"\n"),
        (
            CsvOptions { line_ending: LineEnding::Crlf, delimiter: "\\t".to_owned(), ..plain() },
            "id\t\"a \"\"name\"\"\"\r\n1\tx\r\n2\t\r\n3\t\"\"\r\n",
        ),
        (
            CsvOptions { quote: Quoting::All, null: "NULL".to_owned(), ..plain() },
            "\"id\",\"a \"\"name\"\"\"\n\"1\",\"x\"\n\"2\",NULL\n\"3\",\"\"\n",
        ),
        (CsvOptions { null: "id".to_owned(), ..plain() }, "\"id\",\"a \"\"name\"\"\"\n1,x\n2,id\n3,\"\"\n"),
    ] {
        assert_eq!(text(options.clone(), &batches)?, expected, "{options:?}");
    }
    assert_eq!(text(plain(), &[])?, "id,\"a \"\"name\"\"\"\n");
    assert_eq!(text(CsvOptions { header: false, ..plain() }, &[])?, "");
    Ok(())
}

#[test]
fn blocks_are_large_and_no_larger_than_memory_allows() -> Result<()> {
    let line = "x".repeat(100);
    let batches = vec![batch(vec![Some(&line); 5_000])?; 10];
    for (max_buffered_bytes, least, most) in [(32 << 20, 1 << 20, (1 << 20) + 200), (300_000, 100_000, 100_200)] {
        let (pieces, held) = write(CsvOptions::default(), max_buffered_bytes, &batches)?;
        let (last, whole) = pieces.split_last().context("there are pieces")?;
        ensure!(whole.iter().all(|p| (least..most).contains(&p.len())), "{:?}", whole.iter().map(Vec::len).max());
        ensure!(last.len() < most && held <= max_buffered_bytes as u64, "{} {held}", last.len());
        let expected: usize = 16 + (1..=5_000).map(|id: u32| id.to_string().len() + 102).sum::<usize>() * 10;
        assert_eq!(pieces.concat().len(), expected);
    }
    Ok(())
}

#[test]
fn compressed_files_hold_the_same_text_and_no_time() -> Result<()> {
    let line = "some text that repeats ".repeat(20);
    let batches = vec![batch(vec![Some(&line), None, Some("")])?; 5_000];
    let plain = write(CsvOptions::default(), 1 << 20, &batches)?.0.concat();
    for max_buffered_bytes in [1, 1 << 20, 32 << 20] {
        let gzip = CsvOptions { compression: Compression::Gzip, ..Default::default() };
        let bytes = write(gzip, max_buffered_bytes, &batches)?.0.concat();
        assert_eq!((&bytes[..4], &bytes[4..8]), (&[0x1f, 0x8b, 8, 0][..], &[0; 4][..]), "no name, no time");
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text)?;
        ensure!(text == plain && bytes.len() < plain.len() / 10, "gzip: {} bytes", bytes.len());
        for compression_level in [None, Some(1), Some(19)] {
            let zstd = CsvOptions { compression: Compression::Zstd, compression_level, ..Default::default() };
            let bytes = write(zstd, max_buffered_bytes, &batches)?.0.concat();
            ensure!(zstd::decode_all(&bytes[..])? == plain && bytes.len() < plain.len() / 10, "{}", bytes.len());
        }
    }
    Ok(())
}

struct Nothing;

impl ReadAt for Nothing {
    fn len(&self) -> u64 {
        0
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> rivet_plugin_api::Result<usize> {
        Ok(0)
    }
}

#[test]
fn what_csv_cannot_do_is_refused() -> Result<()> {
    assert!(!Csv::capabilities().readable);
    let csv = Csv::open(CsvOptions::default())?;
    let refused = csv.reader(Box::new(Nothing)).err().context("it has no types")?;
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unsupported, "csv.read"));
    let fields =
        vec![Field::new("ok", DataType::Int8, false), Field::new("s", DataType::Struct(Fields::empty()), true)];
    let settings = WriterSettings { max_buffered_bytes: 1, ..Default::default() };
    let refused = csv.writer(Arc::new(Schema::new(fields)), settings, Box::new(Sink::default()));
    let refused = refused.err().context("a structure is no text")?;
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unsupported, "csv.type"));
    ensure!(refused.to_string().contains("column 's'"), "{refused}");
    Ok(())
}

#[test]
fn a_null_in_the_only_column_is_refused_and_nothing_else_is() -> Result<()> {
    let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
    let of = |texts: Vec<Option<&str>>| RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(texts))]);
    let write = |options: CsvOptions, batches: &[RecordBatch]| -> Result<String> {
        let (token, sink) = (CancelToken::new(), Sink::default());
        let settings = WriterSettings { max_buffered_bytes: 1 << 20, ..Default::default() };
        let csv = Csv::open(options)?;
        ensure!(matches!(csv.map(&schema)?[..], [FieldMapping::Keep(_)]), "the column may hold no NULL");
        let mut writer = csv.writer(schema.clone(), settings, Box::new(sink.clone()))?;
        batches.iter().try_for_each(|batch| writer.write(batch, &token.cx()))?;
        writer.finish(&token.cx())?;
        Ok(String::from_utf8(sink.pieces().concat())?)
    };
    let (full, holed) = (of(vec![Some("a"), Some("")])?, of(vec![Some("b"), None])?);
    assert_eq!(write(CsvOptions::default(), std::slice::from_ref(&full))?, "s\na\n\"\"\n");
    assert_eq!(write(CsvOptions::default(), &[])?, "s\n");
    let marked = CsvOptions { null: "\\N".to_owned(), ..Default::default() };
    assert_eq!(write(marked, &[full.clone(), holed.clone()])?, "s\na\n\"\"\nb\n\\N\n");
    let refused = write(CsvOptions::default(), &[full, holed]).expect_err("an empty line is no row");
    let refused = refused.downcast_ref::<PluginError>().context("the plugin's error")?;
    assert_eq!((refused.code(), refused.get("column"), refused.get("row")), ("csv.blank_line", Some("s"), Some("4")));
    ensure!(refused.hint_text().is_some_and(|hint| hint.contains("--format-option 'null=\\N'")), "{refused:?}");
    Ok(())
}
