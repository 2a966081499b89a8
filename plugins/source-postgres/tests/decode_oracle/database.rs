//! A database of the shared server, read through the plugin, and the comparison with the server's own text.
//! Must not know what a test puts into it.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use arrow_array::RecordBatch;
use rivet_plugin_api::{
    CancelToken, Choices, Column, Connection, OpenGroup, ReadMode, Relation, Scan, Secret, Source, StreamFacts,
    TypesMode,
};
use rivet_source_postgres::{Postgres as Plugin, PostgresOptions as PluginOptions};
use rivet_test_servers::postgres::{Postgres, PostgresOptions, shared};

use crate::render::render;

/// What makes text output independent of server defaults.
const SESSION: &str = "set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'iso_8601'; \
                       set extra_float_digits = 3; set bytea_output = 'hex'; set lc_monetary = 'C';\n";

/// A database of its own.
pub struct Database {
    server: &'static Postgres,
    name: String,
    /// Who reads.
    role: String,
}

/// Everything that one scan delivered.
pub struct Read {
    pub columns: Vec<Column>,
    pub batches: Vec<RecordBatch>,
    pub facts: StreamFacts,
}

impl Database {
    /// An empty one.
    pub fn new(prefix: &str) -> Result<Self> {
        Self::encoded(prefix, "UTF8")
    }

    /// An empty one of a server of its own, which runs until this process ends.
    pub fn of_major(major: u32) -> Result<Self> {
        let server: &'static Postgres =
            Box::leak(Box::new(Postgres::start(PostgresOptions { major, ..Default::default() })?));
        Ok(Self { server, name: server.fresh_database("major")?, role: "postgres".to_owned() })
    }

    /// An empty one of this encoding.
    pub fn encoded(prefix: &str, encoding: &str) -> Result<Self> {
        let server = shared();
        let name = server.fresh_database(prefix)?;
        if encoding != "UTF8" {
            server.psql(
                "postgres",
                &format!(
                    "drop database {name}; \
                     create database {name} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'"
                ),
            )?;
        }
        Ok(Self { server, name, role: "postgres".to_owned() })
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) -> Result<String> {
        self.server.psql(&self.name, &format!("{SESSION}{sql}"))
    }

    /// From now on a role of its own reads, for which these are set.
    pub fn read_as_role_with(&mut self, settings: &[&str]) -> Result<()> {
        let role = format!("{}_reader{}", self.name, self.role.len());
        let password = rivet_test_servers::postgres::ROLE_PASSWORD;
        let mut sql = format!("create role {role} superuser login password '{password}';");
        for setting in settings {
            sql += &format!("alter role {role} set {setting};");
        }
        self.run(&sql)?;
        self.role = role;
        Ok(())
    }

    /// Reads a table through the plugin.
    pub fn read(&self, table: &str, types: TypesMode, choices: Choices) -> Result<Read> {
        self.read_by(table, types, choices, ReadMode::Stream)
    }

    /// Reads a table through the plugin in one of its ways.
    pub fn read_by(&self, table: &str, types: TypesMode, choices: Choices, read: ReadMode) -> Result<Read> {
        let (token, url) = (CancelToken::new(), self.server.url_as(&self.role, &self.name));
        let cx = token.cx();
        let request = OpenGroup {
            connection: Connection { url: Some(Secret::new(&url)), ..Default::default() },
            choices,
            ..OpenGroup::new(PluginOptions::default())
        };
        let mut group = Plugin::open_group(request, &cx)?;
        let session = group.sessions.first_mut().context("a session")?;
        let relation = Relation::Table { schema: Some("public".to_owned()), name: table.to_owned() };
        let columns = session.describe(&relation, &cx)?.columns;
        let scan = Scan {
            types,
            read,
            max_batch_rows: 4_000,
            max_batch_bytes: 1 << 20,
            ..Scan::new(relation, columns.clone())
        };
        let mut stream = session.scan(&scan, &cx)?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next(&cx)? {
            ensure!(batch.schema() == stream.schema(), "a batch has the schema of its stream");
            batches.push(batch);
        }
        let facts = stream.facts();
        Ok(Read { columns, batches, facts })
    }

    /// Reads all rows of a table, and compares each value with the server's text of it.
    pub fn compare(&self, table: &str, types: TypesMode) -> Result<HashMap<String, usize>> {
        self.compare_by(table, types, ReadMode::Stream)
    }

    /// As [`compare`](Self::compare), read in one of the plugin's ways.
    pub fn compare_by(&self, table: &str, types: TypesMode, read: ReadMode) -> Result<HashMap<String, usize>> {
        let read = self.read_by(table, types, Choices::default(), read)?;
        let (columns, batches) = (&read.columns, &read.batches);
        // A cast to text drops the padding of char(n) and shows the prefix length of every address; the output
        // functions do not. Money is the number without its sign.
        let as_text = |c: &Column| match c.native_type.split('(').next().unwrap_or_default() {
            "character" => format!("bpcharout(\"{}\")::text", c.name),
            "inet" => format!("inet_out(\"{}\")::text", c.name),
            "cidr" => format!("cidr_out(\"{}\")::text", c.name),
            "money" => format!("\"{}\"::numeric::text", c.name),
            "money[]" => format!("\"{}\"::numeric[]::text", c.name),
            _ => format!("\"{}\"::text", c.name),
        };
        let as_text: Vec<_> = columns.iter().map(as_text).collect();
        let expected = self.copy(&format!("select {} from {table} order by ctid", as_text.join(", ")))?;
        let mut expected = expected.iter();
        let mut n_values = HashMap::new();
        for batch in batches {
            for row in 0..batch.num_rows() {
                let texts = fields(expected.next().context("no more rows than the server has")?);
                for (i, text) in texts.context("a whole tuple")?.into_iter().enumerate() {
                    let text = text.map(String::from_utf8).transpose()?;
                    let found = render(batch.column(i), row, text.as_deref().unwrap_or_default());
                    ensure!(found == text, "{} {}: {found:?} for {text:?}", columns[i].name, columns[i].native_type);
                    *n_values.entry(columns[i].name.clone()).or_default() += usize::from(text.is_some());
                }
            }
        }
        ensure!(expected.next().is_none(), "the server has more rows");
        Ok(n_values)
    }

    /// The tuples of a query in binary.
    fn copy(&self, query: &str) -> Result<Vec<Vec<u8>>> {
        let file = self.server.dir().join(format!("{}.copy", self.name));
        self.run(&format!("copy ({query}) to '{}' (format binary)", file.display()))?;
        let bytes = std::fs::read(&file).context("read what COPY wrote")?;
        std::fs::remove_file(&file).context("remove what COPY wrote")?;
        tuples(&bytes).context("the file of COPY ends in the middle")
    }
}

/// The tuples in a file of COPY: behind a header of 19 bytes, until a field count of -1.
fn tuples(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = file.strip_prefix(b"PGCOPY\n\xff\r\n\0")?.get(8..)?;
    let mut all = Vec::new();
    while !rest.starts_with(&[0xff, 0xff]) {
        let mut end = 2;
        for _ in 0..u16::from_be_bytes(*rest.first_chunk()?) {
            let n_bytes = i32::from_be_bytes(*rest.get(end..)?.first_chunk()?);
            end += 4 + usize::try_from(n_bytes).unwrap_or(0);
        }
        all.push(rest.get(..end)?.to_vec());
        rest = &rest[end..];
    }
    Some(all)
}

/// The fields of a tuple, `None` for NULL.
fn fields(tuple: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut rest = tuple.get(2..)?;
    let mut all = Vec::new();
    while let Some((n_bytes, behind)) = rest.split_first_chunk::<4>() {
        let n_bytes = usize::try_from(i32::from_be_bytes(*n_bytes)).ok();
        let (field, behind) = behind.split_at(n_bytes.unwrap_or(0));
        all.push(n_bytes.map(|_| field.to_vec()));
        rest = behind;
    }
    Some(all)
}
