//! Destinations as the system that this project follows has them in its configs: they run here, with only ports changed.
//! Must not know what else a store can be told.

use anyhow::{Context, Result};
use rivet_test_e2e::{Exported, no_secret};
use rivet_test_servers::{azure, gcs, s3};

use crate::data;
use crate::place::{Kind, Place};

type Variables = Vec<(&'static str, String)>;

/// Its usual ways to name a place, with the variables that they need; `PORT` is where the store listens.
fn cases() -> Vec<(Kind, &'static str, Variables)> {
    let minio = "type: s3\n      bucket: BUCKET\n      prefix: exports/orders/\n      region: us-east-1\n      \
                 endpoint: http://localhost:PORT\n      ";
    let keys = |names: [&'static str; 2]| {
        let [access, secret] = names;
        vec![(access, s3::shared().access_key().to_owned()), (secret, s3::shared().secret_key().to_owned())]
    };
    let azurite = "type: azure\n      account_name: rivetaccount\n      ";
    let endpoint = "prefix: exports/orders/\n      endpoint: http://127.0.0.1:PORT/rivetaccount\n      ";
    let own = |keys: &str| -> &'static str { format!("{minio}{keys}").leak() };
    let blobs = |keys: &str| -> &'static str { format!("{azurite}{endpoint}{keys}").leak() };
    vec![
        (
            Kind::S3,
            own("access_key_env: MINIO_ACCESS_KEY\n      secret_key_env: MINIO_SECRET_KEY\n"),
            keys(["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"]),
        ),
        // The environment's own names, in the config and without it.
        (
            Kind::S3,
            own("access_key_env: AWS_ACCESS_KEY_ID\n      secret_key_env: AWS_SECRET_ACCESS_KEY\n"),
            keys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
        ),
        (Kind::S3, own(""), keys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])),
        (
            Kind::Gcs,
            "type: gcs\n      bucket: BUCKET\n      prefix: exports/orders/\n      \
             endpoint: http://127.0.0.1:PORT\n      allow_anonymous: true\n",
            Vec::new(),
        ),
        // A container is called a bucket there, too.
        (
            Kind::Azure,
            blobs("bucket: BUCKET\n      account_key_env: AZURE_KEY\n"),
            vec![("AZURE_KEY", azure::shared().key().to_owned())],
        ),
        (
            Kind::Azure,
            blobs("container: BUCKET\n      sas_token_env: AZURE_SAS\n"),
            vec![("AZURE_SAS", azure::shared().sas(90).expect("a signature"))],
        ),
    ]
}

#[test]
fn its_configs_run_with_only_ports_changed() -> Result<()> {
    let (_folder, file) = data(30_000)?;
    for (kind, destination, variables) in cases() {
        let mut place = Place::new(kind)?;
        place.prefix = "exports/orders";
        if kind == Kind::Gcs {
            place.port = gcs::shared().open_port();
        }
        let destination = destination.replace("BUCKET", &place.bucket).replace("PORT", &place.port.to_string());
        let config = format!(
            "source:\n  type: sqlite\n  path: '{file}'\n\nexports:\n  - name: t\n    \
             query: \"SELECT id, h, n FROM t\"\n    mode: chunked\n    chunk_column: id\n    chunk_size: 10000\n    \
             parallel: 2\n    format: parquet\n    destination:\n      {destination}"
        );
        let mut workspace = rivet_test_e2e::Workspace::new(&config)?;
        for (name, value) in &variables {
            workspace = workspace.with_variable(name, value);
        }
        workspace.rivet(&["doctor"])?.expect(0).with_context(|| config.clone())?;
        let ran = workspace.rivet(&["run", "--validate", "-v"])?.expect(0).with_context(|| config.clone())?;
        if let Some((_, secret)) = variables.last() {
            no_secret(&workspace, &ran, secret)?;
        }
        let out = workspace.path().join("out");
        place.download(&out)?;
        let found = Exported::read(&out).with_context(|| config.clone())?;
        assert_eq!((found.n_rows(), found.parts.len()), (30_000, 3), "{config}");
        place.ensure_clean()?;
    }
    Ok(())
}
