//! Begins a file and its row groups, so that pages come to where they are compressed.
//! It must not know rows, nor when a row group ends.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;

use crate::columns::{Column, Columns};
use crate::compress::Compressors;
use crate::pages::Stores;

/// A value from this size on is long, bytes.
const LONG_BYTES: usize = 2 << 20;

/// What values a row group is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    Usual,
    /// Among them some that are so long that each copy counts: no statistics, which keep the least and the greatest
    /// value whole until the row group is complete, and no dictionaries.
    Long,
}

/// Whether a text or binary value of these rows is long.
pub fn has_long_value(rows: &RecordBatch) -> bool {
    let is_long = |column: &ArrayRef| {
        let offsets = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().offsets(),
            DataType::Binary => column.as_binary::<i32>().offsets(),
            _ => return false,
        };
        let length = |ends: &[i32]| usize::try_from(ends[1] - ends[0]).unwrap_or(0);
        // All together are seldom as long as one that is long.
        length(&[offsets[0], offsets[column.len()]]) >= LONG_BYTES
            && offsets.windows(2).any(|ends| length(ends) >= LONG_BYTES)
    };
    rows.columns().iter().any(is_long)
}

/// Begins the row groups of a file.
pub struct Groups {
    factory: ArrowRowGroupWriterFactory,
    /// That of row groups of long values, made when there is one.
    for_long: Option<ArrowRowGroupWriterFactory>,
    properties: WriterPropertiesBuilder,
    stores: Arc<Stores>,
    schema: SchemaRef,
    compression: Compression,
    /// The field that each leaf is of.
    roots: Vec<usize>,
}

impl Groups {
    /// Begins a file of `schema` in `out`: what writes it, and what begins its row groups. Pages are of version 1, and
    /// `compressors` compress them, whatever `properties` say of that.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn of<W: Write + Send>(
        out: W,
        schema: SchemaRef,
        properties: WriterPropertiesBuilder,
        compressors: Arc<Compressors>,
    ) -> Result<(SerializedFileWriter<W>, Self), ParquetError> {
        let compression = compressors.compression();
        let stores = Arc::new(Stores::new(compressors));
        let properties =
            properties.set_writer_version(WriterVersion::PARQUET_1_0).set_compression(Compression::UNCOMPRESSED);
        let (writer, factory) = begin(out, &schema, properties.clone(), &stores)?;
        let leaves = writer.schema_descr();
        let roots = (0..leaves.num_columns()).map(|leaf| leaves.get_column_root_idx(leaf)).collect();
        Ok((writer, Self { factory, for_long: None, properties, stores, schema, compression, roots }))
    }

    /// The `index`th row group.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn begin(&mut self, index: usize, values: Values) -> Result<Columns, ParquetError> {
        // What a beginning that failed may have left.
        drop(self.stores.take());
        let factory = match (values, &mut self.for_long) {
            (Values::Usual, _) => &self.factory,
            (Values::Long, Some(factory)) => factory,
            (Values::Long, none) => {
                let properties = self.properties.clone().set_dictionary_enabled(false);
                let properties = properties.set_statistics_enabled(EnabledStatistics::None);
                // A factory comes with a file; this one's is never written.
                none.insert(begin(io::sink(), &self.schema, properties, &self.stores)?.1)
            }
        };
        let (writers, stores) = (factory.create_column_writers(index)?, self.stores.take());
        if writers.len() != self.roots.len() || stores.len() != self.roots.len() {
            return Err(ParquetError::General("not every column has its pages".to_owned()));
        }
        let mut fields: Vec<Vec<Column>> = self.schema.fields().iter().map(|_| Vec::new()).collect();
        for (root, (writer, pages)) in self.roots.iter().zip(writers.into_iter().zip(stores)) {
            fields[*root].push(Column { writer, pages });
        }
        Ok(Columns::new(self.schema.clone(), fields, self.compression, values))
    }
}

/// Begins a file: what writes it, and what begins its row groups.
fn begin<W: Write + Send>(
    out: W,
    schema: &SchemaRef,
    properties: WriterPropertiesBuilder,
    stores: &Arc<Stores>,
) -> Result<(SerializedFileWriter<W>, ArrowRowGroupWriterFactory), ParquetError> {
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_page_store_factory(stores.clone());
    ArrowWriter::try_new_with_options(out, schema.clone(), options)?.into_serialized_writer()
}
