//! A database of the shared server: its catalogue, its binary tuples, and the comparison with its text.
//! Must not know what a test puts into it.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use arrow_array::RecordBatch;
use arrow_schema::Schema;
use rivet_plugin_api::TypesMode;
use rivet_source_postgres::decode::BatchDecoder;
use rivet_source_postgres::types::{BaseType, CatalogType, ColumnPlan, Select};
use rivet_test_servers::postgres::{Postgres, shared};

use crate::render::render;

/// What makes text output independent of server defaults.
const SESSION: &str = "set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'iso_8601'; \
                       set extra_float_digits = 3; set bytea_output = 'hex'; set lc_monetary = 'C';\n";

/// A database of its own.
pub struct Database {
    server: &'static Postgres,
    name: String,
}

impl Database {
    /// An empty one.
    pub fn new(prefix: &str) -> Result<Self> {
        let server = shared();
        Ok(Self { server, name: server.fresh_database(prefix)? })
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) -> Result<String> {
        self.server.psql(&self.name, &format!("{SESSION}{sql}"))
    }

    /// The tuples of a query in binary.
    pub fn copy(&self, query: &str) -> Result<Vec<Vec<u8>>> {
        let file = self.server.dir().join(format!("{}.copy", self.name));
        self.run(&format!("copy ({query}) to '{}' (format binary)", file.display()))?;
        let bytes = std::fs::read(&file).context("read what COPY wrote")?;
        std::fs::remove_file(&file).context("remove what COPY wrote")?;
        tuples(&bytes).context("the file of COPY ends in the middle")
    }

    /// The columns of a table with the catalogue's facts about their types.
    pub fn columns(&self, table: &str) -> Result<Vec<ColumnPlan>> {
        let facts = self.run(&format!(
            "select a.attname, t.oid, a.atttypmod, t.typtype, t.typname, b.oid, t.typtypmod, b.typtype, b.typname, \
                    format_type(t.oid, a.atttypmod) \
             from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = t.typbasetype \
             where a.attrelid = '{table}'::regclass and a.attnum > 0 order by a.attnum"
        ))?;
        let letter = |text: &str| text.chars().next().unwrap_or('b');
        let column = |line: &str| {
            let [name, oid, typmod, typtype, type_name, base_oid, base_typmod, base_typtype, base_name, formatted] =
                <[&str; 10]>::try_from(line.split('|').collect::<Vec<_>>()).ok().context("ten facts")?;
            let base = match base_oid {
                "" => None,
                oid => Some(BaseType {
                    oid: oid.parse()?,
                    typmod: base_typmod.parse()?,
                    typtype: letter(base_typtype),
                    name: base_name.to_owned(),
                }),
            };
            let (typtype, formatted) = (letter(typtype), formatted.to_owned());
            let (oid, typmod, type_name) = (oid.parse()?, typmod.parse()?, type_name.to_owned());
            Ok(ColumnPlan::new(name, true, &CatalogType { oid, typmod, typtype, name: type_name, base, formatted }))
        };
        facts.lines().map(column).collect()
    }

    /// Decodes all rows of a table, and compares each value with the server's text of it.
    pub fn compare(&self, table: &str, types: TypesMode) -> Result<HashMap<String, usize>> {
        let columns = self.columns(table)?;
        let items = |item: &dyn Fn(&ColumnPlan) -> String| columns.iter().map(item).collect::<Vec<_>>().join(", ");
        let selected = items(&|c| match c.select {
            Select::Plain => format!("\"{}\"", c.column.name),
            Select::CastText => format!("\"{}\"::text", c.column.name),
        });
        // A cast to text drops the padding of char(n); the output function keeps it.
        let as_text = items(&|c| match c.column.native_type.starts_with("character(") {
            true => format!("bpcharout(\"{}\")::text", c.column.name),
            false => format!("\"{}\"::text", c.column.name),
        });
        let batches = decode(&columns, types, &self.copy(&format!("select {selected} from {table} order by ctid"))?)?;
        let expected = self.copy(&format!("select {as_text} from {table} order by ctid"))?;
        let mut expected = expected.iter();
        let mut n_values = HashMap::new();
        for batch in batches {
            for row in 0..batch.num_rows() {
                let texts = fields(expected.next().context("no more rows than the server has")?);
                for (i, text) in texts.context("a whole tuple")?.into_iter().enumerate() {
                    let text = text.map(String::from_utf8).transpose()?;
                    let found = render(batch.column(i), row, text.as_deref().unwrap_or_default());
                    ensure!(found == text, "{}: {found:?} for {text:?}", columns[i].column.native_type);
                    *n_values.entry(columns[i].column.name.clone()).or_default() += usize::from(text.is_some());
                }
            }
        }
        ensure!(expected.next().is_none(), "the server has more rows");
        Ok(n_values)
    }
}

/// Decodes tuples in batches of some size.
pub fn decode(columns: &[ColumnPlan], types: TypesMode, tuples: &[Vec<u8>]) -> Result<Vec<RecordBatch>> {
    let fields: Vec<_> = columns.iter().map(|c| c.column.arrow_field(types)).collect();
    let mut decoder = BatchDecoder::new(columns, Schema::new(fields).into(), 4_000, 1 << 20)?;
    let mut batches = Vec::new();
    for tuple in tuples {
        decoder.push(tuple)?;
        if decoder.is_full() {
            batches.push(decoder.finish()?);
        }
    }
    batches.push(decoder.finish()?);
    Ok(batches)
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
