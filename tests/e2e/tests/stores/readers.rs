//! A store's own readers see what was exported, and nothing that was not.
//! Must not know how it got there.

use anyhow::{Context, Result};
use rivet_test_servers::{oracle, s3};

use crate::place::{Kind, PREFIX, Place};
use crate::{config, data};

const DATASET: &str = "
import json, sys
import pyarrow.dataset as ds
from pyarrow import fs
bucket, prefix, port, access, secret = sys.argv[1:6]
s3 = fs.S3FileSystem(endpoint_override=f'127.0.0.1:{port}', scheme='http', access_key=access, secret_key=secret,
    region='us-east-1')
success = json.loads(s3.open_input_file(f'{bucket}/{prefix}/_SUCCESS.t').read())
manifest = json.loads(s3.open_input_file(f'{bucket}/{prefix}/' + success['manifest']).read())
named = [f'{bucket}/{prefix}/' + part['name'] for part in manifest['parts']]
found = [f.path for f in s3.get_file_info(fs.FileSelector(f'{bucket}/{prefix}')) if f.path.endswith('.parquet')]
assert sorted(named) == sorted(found), (named, found)
table = ds.dataset(named, filesystem=s3).to_table()
print(table.num_rows, sum(table['id'].to_pylist()), manifest['rows'])
";

#[test]
fn pyarrow_reads_what_the_manifest_in_s3_names() -> Result<()> {
    let (_folder, file) = data(1_000)?;
    let place = Place::new(Kind::S3)?;
    let workspace = place.workspace(&config(&file, "", &place.destination("")))?;
    workspace.run()?.expect(0)?;
    let (port, store) = (place.port.to_string(), s3::shared());
    let read = oracle::run(DATASET, &[&place.bucket, PREFIX, &port, store.access_key(), store.secret_key()])?;
    assert_eq!(read.trim(), "1000 500500 1000");
    Ok(())
}

#[test]
fn a_second_run_keeps_what_the_first_wrote_or_removes_it_as_told() -> Result<()> {
    let (_folder, file) = data(100)?;
    for kind in Kind::ALL {
        let place = Place::new(kind)?;
        let workspace = place.workspace(&config(&file, "keep_runs: 1,", &place.destination("")))?;
        for _ in 0..2 {
            workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        }
        let keys = place.keys()?;
        assert_eq!(keys.len(), 4, "a part, a manifest and two pointers: {keys:?}");
        workspace.configure(&config(&file, "", &place.destination("")))?;
        workspace.run()?.expect(0)?;
        let keys = place.keys()?;
        assert_eq!(keys.len(), 6, "two parts, two manifests and two pointers: {keys:?}");
    }
    Ok(())
}
