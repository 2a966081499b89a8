//! What pyarrow reads in the parts we write, and what we read of damaged ones.
//! It must not know how a batch is encoded.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, Float64Array,
    Int64Array, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Schema};
use rivet_format_arrow::{Arrow, ArrowOptions, Compression, Container};
use rivet_plugin_api::{ByteSink, CancelToken, ErrorKind, FieldMapping, Format, ReadAt, WriterSettings};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

const DAY_US: i64 = 86_400_000_000;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl ByteSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> rivet_plugin_api::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }
}

struct Part(Vec<u8>);

impl ReadAt for Part {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> rivet_plugin_api::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

fn options(container: Container, compression: Compression) -> ArrowOptions {
    ArrowOptions { container, compression, ..Default::default() }
}

/// The bytes of a part, and how many messages it has.
fn write(options: ArrowOptions, max_buffered_bytes: usize, batches: &[RecordBatch]) -> Result<(Vec<u8>, u64)> {
    let (token, sink) = (CancelToken::new(), Sink::default());
    let settings = WriterSettings { max_buffered_bytes, ..Default::default() };
    let mut writer = Arrow::open(options)?.writer(batches[0].schema(), settings, Box::new(sink.clone()))?;
    for batch in batches {
        writer.write(batch, &token.cx())?;
    }
    let facts = writer.finish(&token.cx())?;
    assert_eq!(facts.rows, batches.iter().map(|b| b.num_rows() as u64).sum::<u64>());
    let bytes = sink.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((bytes, facts.row_groups))
}

fn read(options: ArrowOptions, bytes: Vec<u8>) -> Result<Vec<RecordBatch>> {
    let token = CancelToken::new();
    let mut stream = Arrow::open(options)?.reader(Box::new(Part(bytes)))?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(&token.cx())? {
        batches.push(batch);
    }
    Ok(batches)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let fields = columns.iter().map(|(name, array)| {
        let metadata = HashMap::from([("rivet.native_type".to_owned(), format!("native {name}"))]);
        Field::new(*name, array.data_type().clone(), true).with_metadata(metadata)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())?)
}

fn every_type() -> Result<RecordBatch> {
    let most = 10_i128.pow(38) - 1;
    let wide = i256::from_string(&"9".repeat(76)).context("a number")?;
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    lists.append_value(Vec::<Option<i64>>::new());
    let words: DictionaryArray<Int8Type> = [Some("red"), None, Some("")].into_iter().collect();
    let units = vec![Some(-719_162 * DAY_US), None, Some(2_932_897 * DAY_US - 1)];
    batch(vec![
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("u", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0)]))),
        ("f", Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(f64::NEG_INFINITY)]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("d", Arc::new(Decimal128Array::from(vec![Some(-most), None, Some(1)]).with_precision_and_scale(38, 10)?)),
        ("e", Arc::new(Decimal256Array::from(vec![Some(wide), None, Some(-wide)]).with_precision_and_scale(76, 0)?)),
        ("s", Arc::new(StringArray::from(vec![Some(""), None, Some("ü\0\n\"")]))),
        ("x", Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None, Some(b"")]))),
        ("a", Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896)]))),
        ("t", Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(DAY_US - 1)]))),
        ("w", Arc::new(TimestampMicrosecondArray::from(units.clone()))),
        ("z", Arc::new(TimestampMicrosecondArray::from(units).with_timezone("UTC"))),
        ("l", Arc::new(lists.finish())),
        ("c", Arc::new(words)),
    ])
}

/// Prints the schema with the metadata of the first field, then each row.
const PYARROW: &str = r#"
import json, sys
import pyarrow as pa
source = pa.OSFile(sys.argv[1])
reader = (pa.ipc.open_file if sys.argv[2] == "file" else pa.ipc.open_stream)(source, options=pa.ipc.IpcReadOptions(use_threads=False))
table = reader.read_all()
table.validate(full=True)
print(json.dumps([str(f.type) for f in table.schema] + [table.schema[0].metadata[b"rivet.native_type"].decode()]))
raw = {"w": "int64", "z": "int64", "t": "int64", "a": "int32"}
table = pa.table({n: table[n].cast(raw[n]) if n in raw else table[n] for n in table.column_names})
plain = lambda v: v if v is None or isinstance(v, (str, int, bool, list)) else v.hex() if isinstance(v, bytes) else str(v)
for row in table.to_pylist():
    print(json.dumps([plain(v) for v in row.values()]))
"#;

#[test]
fn pyarrow_reads_what_went_in() -> Result<()> {
    let batch = every_type()?;
    let types = json!([
        "int64",
        "uint64",
        "double",
        "bool",
        "decimal128(38, 10)",
        "decimal256(76, 0)",
        "string",
        "binary",
        "date32[day]",
        "time64[us]",
        "timestamp[us]",
        "timestamp[us, tz=UTC]",
        "list<item: int64>",
        "string",
        "native i",
    ]);
    let nines = "9".repeat(38);
    let ends = [-719_162 * DAY_US, 2_932_897 * DAY_US - 1];
    let expected = [
        types,
        json!([
            i64::MIN,
            u64::MAX,
            "nan",
            true,
            format!("-{}.{}", &nines[..28], &nines[28..]),
            "9".repeat(76),
            "",
            "00ff",
            -719_162,
            0,
            ends[0],
            ends[0],
            [1, null],
            "red",
        ]),
        json!([null, null, null, null, null, null, null, null, null, null, null, null, null, null]),
        json!([
            i64::MAX,
            0,
            "-inf",
            false,
            "1E-10",
            format!("-{}", "9".repeat(76)),
            "ü\0\n\"",
            "",
            2_932_896,
            DAY_US - 1,
            ends[1],
            ends[1],
            [],
            "",
        ]),
    ];
    let dir = tempfile::tempdir()?;
    for (container, name) in [(Container::File, "file"), (Container::Stream, "stream")] {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            for max_buffered_bytes in [1, 1 << 20] {
                let (bytes, _) =
                    write(options(container, compression), max_buffered_bytes, std::slice::from_ref(&batch))?;
                let path = dir.path().join("part");
                fs::write(&path, bytes)?;
                let printed = oracle::run(PYARROW, &[path.to_str().context("utf-8")?, name])?;
                let rows: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
                assert_eq!(rows, expected, "{container:?} {compression:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn dictionaries_that_change_are_written_as_their_words() -> Result<()> {
    let words = |values: [Option<&str>; 2]| -> Result<RecordBatch> {
        let array: DictionaryArray<Int8Type> = values.into_iter().collect();
        batch(vec![("c", Arc::new(array))])
    };
    let batches = [words([Some("a"), None])?, words([Some("b"), Some("a")])?];
    for container in [Container::File, Container::Stream] {
        let (bytes, messages) = write(options(container, Compression::None), 1 << 20, &batches)?;
        assert_eq!(messages, 2);
        let read = read(options(container, Compression::None), bytes)?;
        let column = |i: usize| read[i].column(0).clone();
        let expected = [vec![Some("a"), None], vec![Some("b"), Some("a")]].map(StringArray::from);
        assert_eq!([column(0).as_ref(), column(1).as_ref()], [&expected[0] as &dyn arrow_array::Array, &expected[1]]);
    }
    Ok(())
}

#[test]
fn what_would_need_a_dictionary_below_another_type_is_refused() -> Result<()> {
    let words = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let list = DataType::List(Arc::new(Field::new("element", words.clone(), true)));
    let schema = Arc::new(Schema::new(vec![Field::new("top", words, true), Field::new("below", list, true)]));
    let format = Arrow::open(ArrowOptions::default())?;
    let mapped = format.map(&schema)?;
    assert_eq!(mapped[0], FieldMapping::Keep("Utf8".to_owned()));
    let FieldMapping::Refuse(why) = &mapped[1] else { anyhow::bail!("{mapped:?}") };
    ensure!(why.contains("'below'") && why.contains("cast it"), "{why}");
    let settings = WriterSettings { max_buffered_bytes: 1, ..Default::default() };
    let refused = format.writer(schema, settings, Box::new(Sink::default())).err().context("it is refused")?;
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unsupported, "arrow.type"));
    Ok(())
}

#[test]
fn large_batches_go_out_in_messages_that_fit_into_memory() -> Result<()> {
    let batch = batch(vec![("i", Arc::new(Int64Array::from_iter_values(0..100_000)))])?;
    let (bytes, messages) = write(options(Container::File, Compression::Zstd), 100_000, std::slice::from_ref(&batch))?;
    assert!((8..=10).contains(&messages), "800 000 bytes in {messages} messages");
    let read = read(options(Container::File, Compression::None), bytes)?;
    ensure!(read.iter().all(|b| b.num_rows() <= 12_500), "no message is larger");
    let all = read.iter().flat_map(|b| b.column(0).to_data().buffers()[0].typed_data::<i64>().to_vec());
    ensure!(all.eq(0..100_000), "the rows are the same");
    Ok(())
}

#[test]
fn a_stream_with_something_behind_its_end_is_damaged() -> Result<()> {
    let batch = batch(vec![("i", Arc::new(Int64Array::from(vec![1, 2, 3])))])?;
    let stream = options(Container::Stream, Compression::None);
    let (bytes, _) = write(stream.clone(), 1 << 20, std::slice::from_ref(&batch))?;
    assert_eq!(read(stream.clone(), bytes.clone())?, [batch]);
    let twice = [bytes.clone(), bytes].concat();
    let error = read(stream, twice).err().context("half of it would be lost")?;
    ensure!(error.to_string().contains("not whole"), "{error:#}");
    Ok(())
}
