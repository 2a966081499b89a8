//! Begins a file and its row groups, so that pages come to where they are compressed.
//! It must not know rows, nor when a row group ends.

use std::io::Write;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;

use crate::columns::{Column, Columns};
use crate::compress::Compressors;
use crate::pages::Stores;

/// Begins the row groups of a file.
pub struct Groups {
    factory: ArrowRowGroupWriterFactory,
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
        let properties = properties
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::UNCOMPRESSED)
            .build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_page_store_factory(stores.clone());
        let writer = ArrowWriter::try_new_with_options(out, schema.clone(), options)?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let leaves = writer.schema_descr();
        let roots = (0..leaves.num_columns()).map(|leaf| leaves.get_column_root_idx(leaf)).collect();
        Ok((writer, Self { factory, stores, schema, compression, roots }))
    }

    /// The `index`th row group.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn begin(&self, index: usize) -> Result<Columns, ParquetError> {
        // What a beginning that failed may have left.
        drop(self.stores.take());
        let (writers, stores) = (self.factory.create_column_writers(index)?, self.stores.take());
        if writers.len() != self.roots.len() || stores.len() != self.roots.len() {
            return Err(ParquetError::General("not every column has its pages".to_owned()));
        }
        let mut fields: Vec<Vec<Column>> = self.schema.fields().iter().map(|_| Vec::new()).collect();
        for (root, (writer, pages)) in self.roots.iter().zip(writers.into_iter().zip(stores)) {
            fields[*root].push(Column { writer, pages });
        }
        Ok(Columns::new(self.schema.clone(), fields, self.compression))
    }
}
