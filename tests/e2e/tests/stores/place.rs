//! A place of each kind to export to, and what is in it as other clients see it.
//! Must not know what is exported.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::{azure, gcs, oracle, s3};

/// Kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SeaweedFS.
    S3,
    /// fake-gcs-server.
    Gcs,
    /// Azurite.
    Azure,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];
}

/// A bucket of its own, and the prefix `lake/t` in it.
#[derive(Debug)]
pub struct Place {
    pub kind: Kind,
    pub bucket: String,
    /// Port that the program is told; the store's own, or that of somebody in between.
    pub port: u16,
    /// What everything is below.
    pub prefix: &'static str,
}

/// What everything is below, mostly.
pub const PREFIX: &str = "lake/t";

impl Place {
    /// A fresh one.
    pub fn new(kind: Kind) -> Result<Self> {
        static N_PLACES: AtomicU32 = AtomicU32::new(0);
        let name = format!("rivet-{}", N_PLACES.fetch_add(1, Ordering::Relaxed));
        let (bucket, port) = match kind {
            Kind::S3 => (s3::shared().bucket(&name)?, s3::shared().port()),
            Kind::Gcs => (gcs::shared().bucket(&name)?, gcs::shared().port()),
            Kind::Azure => (azure::shared().container(&name)?, azure::shared().port()),
        };
        Ok(Self { kind, bucket, port, prefix: PREFIX })
    }

    /// The `destination` of a config; `keys` are further keys, each after a comma.
    pub fn destination(&self, keys: &str) -> String {
        let Self { bucket, port, prefix, .. } = self;
        let endpoint = format!("http://127.0.0.1:{port}");
        match self.kind {
            Kind::S3 => format!(
                "{{type: s3, bucket: {bucket}, prefix: {prefix}/, region: us-east-1, endpoint: '{endpoint}', \
                 access_key_env: STORE_NAME, secret_key_env: STORE_SECRET{keys}}}"
            ),
            Kind::Gcs => format!(
                "{{type: gcs, bucket: {bucket}, prefix: {prefix}/, endpoint: '{endpoint}', \
                 access_token_env: STORE_SECRET{keys}}}"
            ),
            Kind::Azure => format!(
                "{{type: azure, container: {bucket}, prefix: {prefix}/, endpoint: '{endpoint}/{}', \
                 account_name: {}, account_key_env: STORE_SECRET{keys}}}",
                azure::shared().account(),
                azure::shared().account()
            ),
        }
    }

    /// A workspace with the variables that the destination names.
    pub fn workspace(&self, config: &str) -> Result<Workspace> {
        Ok(Workspace::new(config)?
            .with_variable("STORE_NAME", s3::shared().access_key())
            .with_variable("STORE_SECRET", self.secret()))
    }

    /// What must be printed nowhere.
    pub fn secret(&self) -> &'static str {
        match self.kind {
            Kind::S3 => s3::shared().secret_key(),
            Kind::Gcs => gcs::shared().token(),
            Kind::Azure => azure::shared().key(),
        }
    }

    /// All keys below the prefix, also those that are not published.
    pub fn keys(&self) -> Result<Vec<String>> {
        let all = match self.kind {
            Kind::S3 => s3::shared().keys(&self.bucket)?,
            Kind::Gcs => gcs::shared().keys(&self.bucket)?,
            Kind::Azure => azure::shared().keys(&self.bucket)?,
        };
        let below = |key: &String| Some(key.strip_prefix(self.prefix)?.strip_prefix('/')?.to_owned());
        let found: Vec<String> = all.iter().filter_map(below).collect();
        ensure!(found.len() == all.len(), "something is outside of the prefix: {all:?}");
        Ok(found)
    }

    /// Uploads that were begun and never ended, as far as the store keeps them.
    pub fn open_uploads(&self) -> Result<Vec<String>> {
        match self.kind {
            Kind::S3 => s3::shared().open_uploads(&self.bucket),
            Kind::Gcs => Ok(gcs::shared().open_uploads(&self.bucket)),
            Kind::Azure => Ok(Vec::new()),
        }
    }

    /// Begins an upload to each of these keys of the bucket, and leaves it there.
    pub fn begin_uploads(&self, keys: &[String]) -> Result<()> {
        match self.kind {
            Kind::S3 => s3::shared().begin_uploads(&self.bucket, keys),
            Kind::Gcs => gcs::shared().begin_uploads(&self.bucket, keys),
            Kind::Azure => bail!("blocks of Azure are of no upload"),
        }
    }

    /// Nothing is left of what was not published.
    pub fn ensure_clean(&self) -> Result<()> {
        let staged: Vec<String> = self.keys()?.into_iter().filter(|key| key.ends_with(".staged")).collect();
        ensure!(staged.is_empty(), "staged keys are left: {staged:?}");
        let open = self.open_uploads()?;
        ensure!(open.is_empty(), "uploads are open: {open:?}");
        Ok(())
    }

    /// Runs a script of Python that has `read(name)`, `write(name, bytes)` and `remove(name)` of what is below the prefix, by a
    /// client that is not ours; returns what it printed.
    pub fn python(&self, script: &str) -> Result<String> {
        let Self { bucket, prefix, .. } = self;
        match self.kind {
            Kind::S3 => s3::shared().boto3(&format!(
                "at = lambda name: dict(Bucket='{bucket}', Key='{prefix}/' + name)\n\
                 read = lambda name: s3.get_object(**at(name))['Body'].read()\n\
                 write = lambda name, data: s3.put_object(**at(name), Body=data)\n\
                 remove = lambda name: s3.delete_object(**at(name))\n{script}"
            )),
            Kind::Gcs => {
                let store = format!("http://127.0.0.1:{}", gcs::shared().open_port());
                oracle::run(
                    &format!(
                        "import json, urllib.parse, urllib.request\n\
                         def ask(method, path, data=None):\n\
                         \x20 request = urllib.request.Request('{store}' + path, data, method=method)\n\
                         \x20 return urllib.request.urlopen(request).read()\n\
                         key = lambda name: urllib.parse.quote('{prefix}/' + name, safe='')\n\
                         one = lambda name: '/storage/v1/b/{bucket}/o/' + key(name)\n\
                         new = lambda name: '/upload/storage/v1/b/{bucket}/o?uploadType=media&name=' + key(name)\n\
                         read = lambda name: ask('GET', one(name) + '?alt=media')\n\
                         write = lambda name, data: ask('POST', new(name), data)\n\
                         remove = lambda name: ask('DELETE', one(name))\n{script}\n"
                    ),
                    &[],
                )
            }
            Kind::Azure => azure::shared().pyarrow(&format!(
                "at = lambda name: '{bucket}/{prefix}/' + name\n\
                 read = lambda name: az.open_input_file(at(name)).read()\n\
                 def write(name, data):\n\
                 \x20 with az.open_output_stream(at(name)) as to: to.write(data)\n\
                 remove = lambda name: az.delete_file(at(name))\n{script}"
            )),
        }
    }

    /// Writes what is below the prefix to the folder.
    pub fn download(&self, dir: &Path) -> Result<()> {
        let whole = tempfile::tempdir()?;
        match self.kind {
            Kind::S3 => s3::shared().download(&self.bucket, whole.path())?,
            Kind::Gcs => gcs::shared().download(&self.bucket, whole.path())?,
            Kind::Azure => azure::shared().download(&self.bucket, whole.path())?,
        }
        let below = whole.path().join(self.prefix);
        if below.is_dir() {
            std::fs::rename(below, dir)?;
        }
        Ok(())
    }
}
