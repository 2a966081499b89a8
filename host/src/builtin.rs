//! The plugins linked into this binary: the one file that knows cargo features.
//! It must not know what they do: naming a crate here is what makes `inventory` see it.

#[cfg(feature = "azure")]
use rivet_dest_azure as _;
#[cfg(feature = "gcs")]
use rivet_dest_gcs as _;
#[cfg(feature = "local")]
use rivet_dest_local as _;
#[cfg(feature = "s3")]
use rivet_dest_s3 as _;
#[cfg(feature = "stdout")]
use rivet_dest_stdout as _;
#[cfg(feature = "arrow")]
use rivet_format_arrow as _;
#[cfg(feature = "csv")]
use rivet_format_csv as _;
#[cfg(feature = "parquet")]
use rivet_format_parquet as _;
#[cfg(feature = "mssql")]
use rivet_source_mssql as _;
#[cfg(feature = "mysql")]
use rivet_source_mysql as _;
#[cfg(feature = "postgres")]
use rivet_source_postgres as _;
#[cfg(feature = "sqlite")]
use rivet_source_sqlite as _;

/// How many connectors must announce themselves, so that one lost in linking is noticed.
pub fn expected() -> usize {
    [
        // A folder, and one file.
        cfg!(feature = "local"),
        cfg!(feature = "local"),
        cfg!(feature = "stdout"),
        cfg!(feature = "s3"),
        cfg!(feature = "gcs"),
        cfg!(feature = "azure"),
        cfg!(feature = "parquet"),
        cfg!(feature = "csv"),
        cfg!(feature = "arrow"),
        cfg!(feature = "mssql"),
        cfg!(feature = "postgres"),
        // By both of its names.
        cfg!(feature = "mysql"),
        cfg!(feature = "mysql"),
        cfg!(feature = "sqlite"),
    ]
    .into_iter()
    .filter(|linked| *linked)
    .count()
}
