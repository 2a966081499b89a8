//! The host with every plugin linked in, as a slim binary with crates of other authors is made.
//! It must not know what they do: naming a crate here is what links it.
#![forbid(unsafe_code)]

use rivet_dest_azure as _;
use rivet_dest_gcs as _;
use rivet_dest_local as _;
use rivet_dest_s3 as _;
use rivet_dest_stdout as _;
use rivet_format_arrow as _;
use rivet_format_csv as _;
use rivet_format_parquet as _;
use rivet_source_mssql as _;
use rivet_source_mysql as _;
use rivet_source_postgres as _;
use rivet_source_sqlite as _;
use rivet_test_rude as _;

/// One of each, and the source, the format and the destination of the last.
const N_CONNECTORS: usize = 13 + 3;

fn main() -> std::process::ExitCode {
    rivet::main(N_CONNECTORS)
}
