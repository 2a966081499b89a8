//! How many bytes a row takes in Arrow's form, by what a file says of itself before it is read.
//! It must not know values, nor how rows are read.

use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

/// An offset or a view of a value of varying length.
const VIEW_BYTES: u64 = 16;

/// Bytes of a row of this row group: for each column those of an average row of its widest page. What the file does not
/// say of its pages is taken from the whole row group.
pub fn row_bytes(file: &ParquetMetaData, group: usize) -> usize {
    let (index, group) = (file.page_index_for_row_group(group), file.row_group(group));
    let rows = positive(group.num_rows()).max(1);
    let of = |(column, chunk): (usize, &ColumnChunkMetaData)| column_bytes(chunk, index.offset_index(column), rows);
    usize::try_from(group.columns().iter().enumerate().map(of).sum::<u64>()).unwrap_or(usize::MAX)
}

fn column_bytes(chunk: &ColumnChunkMetaData, pages: Option<&OffsetIndexMetaData>, rows: u64) -> u64 {
    // More values than rows where the column has lists.
    let per_row = |bytes: u64| positive(chunk.num_values()).saturating_mul(bytes).div_ceil(rows);
    match chunk.column_type() {
        Type::BYTE_ARRAY => {
            let whole = chunk.unencoded_byte_array_data_bytes().unwrap_or(chunk.uncompressed_size());
            let average = positive(whole).div_ceil(rows);
            pages.and_then(|pages| widest_page(pages, rows)).unwrap_or(average).max(average) + per_row(VIEW_BYTES)
        }
        Type::FIXED_LEN_BYTE_ARRAY => per_row(positive(chunk.column_descr().type_length().into())),
        Type::BOOLEAN => per_row(1),
        Type::INT32 | Type::FLOAT => per_row(4),
        Type::INT64 | Type::DOUBLE | Type::INT96 => per_row(8),
    }
}

/// Bytes of a row on the page whose rows are the widest; none where the index does not say.
fn widest_page(pages: &OffsetIndexMetaData, rows: u64) -> Option<u64> {
    let starts: Vec<u64> = pages.page_locations().iter().map(|page| positive(page.first_row_index)).collect();
    let n_rows = starts.iter().zip(starts.iter().skip(1).chain([&rows])).map(|(start, end)| end.saturating_sub(*start));
    let bytes = pages.unencoded_byte_array_data_bytes()?;
    n_rows.zip(bytes).map(|(n_rows, bytes)| positive(*bytes).div_ceil(n_rows.max(1))).max()
}

fn positive(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
