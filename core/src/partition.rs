//! Which partition rows belong to: the column, what of its values is told apart, and what a partition's folder is called.
//! It must not know how rows are written, nor where.

use std::collections::BTreeMap;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rivet_plugin_api::{decode_segment, encode_segment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::did_you_mean;
use crate::error::RunError;

/// What stands for NULL: the name that Hive gave it, which readers know.
pub const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";
/// The placeholder that stands for the folders.
pub const PLACE: &str = "{partition}";
/// Longest name of a folder, bytes: file systems take no longer one.
const MAX_FOLDER_BYTES: usize = 255;

/// What of a date or a timestamp is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// The day, as `2026-11-21`.
    Day,
    /// The month, as `2026-11`.
    Month,
    /// The year, as `2026`.
    Year,
}

impl Granularity {
    fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// How rows are divided into folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Partition {
    /// Column that decides.
    pub column: String,
    /// What of it; all of it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<Granularity>,
    /// What stands before the `=` in the names of folders, decoded. The column's own name where folders have its whole value:
    /// then the column is in no file.
    pub key: String,
}

impl Partition {
    /// The partition of what is written by a column.
    ///
    /// # Errors
    /// `Impossible` for a column that is none, or one of a type whose values are no names.
    pub fn of(column: &str, granularity: Option<Granularity>, written: &Schema) -> Result<Self, RunError> {
        let impossible = |what: String, hint: String| Err(RunError::Impossible { what, hint });
        let Ok(field) = written.field_with_name(column) else {
            let known = written.fields().iter().map(|field| field.name().as_str());
            let hint = did_you_mean(column, known).unwrap_or_else(|| "name a column that is exported".to_owned());
            return impossible(format!("`partition_by` names the column '{column}', which is not exported"), hint);
        };
        let (kind, has_days) = (field.data_type(), has_days(field.data_type()));
        let whole = match granularity {
            Some(granularity) if !has_days => {
                return impossible(
                    format!(
                        "`partition_granularity: {}` needs a date or a timestamp: '{column}' is none",
                        granularity.word()
                    ),
                    "leave `partition_granularity` out to divide by value, or name another column".to_owned(),
                );
            }
            Some(granularity) => *kind == DataType::Date32 && granularity == Granularity::Day,
            None if *kind != DataType::Date32 && has_days => {
                return impossible(
                    format!("`partition_by` names the timestamp '{column}': its values are too many"),
                    "add `partition_granularity: day`, `month` or `year`".to_owned(),
                );
            }
            None if !is_discrete(kind) => {
                return impossible(
                    format!(
                        "`partition_by` names '{column}', a {kind}: only texts, whole numbers, decimals, booleans and dates are names of folders"
                    ),
                    "name another column, or read this one as `text`".to_owned(),
                );
            }
            None => true,
        };
        let key = match granularity {
            Some(granularity) if !whole => format!("{column}_{}", granularity.word()),
            _ => column.to_owned(),
        };
        if !whole && written.field_with_name(&key).is_ok() {
            return impossible(
                format!("the folders of `partition_by: {column}` would be called '{key}', as a column is"),
                format!("leave '{key}' out with `exclude`, or use it in `partition_by`"),
            );
        }
        if whole && written.fields().len() == 1 {
            return impossible(
                format!("'{column}' is the only column, and files without columns hold no rows"),
                "leave `partition_by` out".to_owned(),
            );
        }
        if encoded(&key).len() > MAX_FOLDER_BYTES / 2 {
            return impossible(
                format!("the name of the column '{column}' is too long for folders"),
                "give it a shorter name in a `query`".to_owned(),
            );
        }
        Ok(Self { column: column.to_owned(), granularity, key })
    }

    /// Whether the column is in the files: its values are more than folders say.
    pub fn is_column_kept(&self) -> bool {
        self.key != self.column
    }

    /// The schema of a file, of that of all that is written.
    pub fn file_schema(&self, written: &SchemaRef) -> SchemaRef {
        if self.is_column_kept() {
            return written.clone();
        }
        let rest = written.fields().iter().filter(|field| *field.name() != self.column);
        Schema::new(rest.cloned().collect::<Vec<std::sync::Arc<Field>>>()).into()
    }

    /// How the names of folders begin, to their `=`.
    fn beginning(&self) -> String {
        format!("{}=", encoded(&self.key))
    }

    /// How the names of parts begin that begin so within their folders.
    pub fn everywhere(&self, file: &str) -> String {
        format!("{}*/{file}", self.beginning())
    }

    /// The folder of a value.
    ///
    /// # Errors
    /// `Impossible` for a value that no folder can be called after.
    pub fn folder(&self, value: Option<&str>) -> Result<String, RunError> {
        let shown = |value: &str| value.chars().take(40).collect::<String>().escape_debug().to_string();
        let refused = |what: String| RunError::Impossible {
            what,
            hint: format!("leave such rows out, or divide by something shorter than '{}' in a `query`", self.column),
        };
        if value == Some(NULL_VALUE) {
            return Err(refused(format!(
                "a value of '{}' is '{NULL_VALUE}', which readers take for NULL",
                self.column
            )));
        }
        let folder = format!("{}{}", self.beginning(), encoded(value.unwrap_or(NULL_VALUE)));
        if folder.len() <= MAX_FOLDER_BYTES {
            return Ok(folder);
        }
        let (column, n) = (&self.column, folder.len());
        let value = shown(value.unwrap_or_default());
        Err(refused(format!(
            "a value of '{column}' is too long for the name of a folder ('{value}…' makes {n} bytes, {MAX_FOLDER_BYTES} are possible)"
        )))
    }
}

/// What stands on one side of the `=` in the name of a folder: readers know only one `=` there.
fn encoded(text: &str) -> String {
    encode_segment(text).replace('=', "%3D")
}

/// Options of a destination without [`PLACE`] at the end of a path.
pub fn without_place(options: &Map<String, Value>) -> Map<String, Value> {
    let shorter = |value: &Value| {
        let path = value.as_str()?.trim_end_matches('/').strip_suffix(PLACE)?;
        (path.is_empty() || path.ends_with('/')).then(|| Value::String(path.to_owned()))
    };
    options.iter().map(|(key, value)| (key.clone(), shorter(value).unwrap_or_else(|| value.clone()))).collect()
}

/// What the folders of a part's name say: values by key, none for NULL.
pub fn values(name: &str) -> BTreeMap<String, Option<String>> {
    let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
    let pairs = folders.split('/').filter_map(|folder| {
        let (key, value) = folder.split_once('=')?;
        // Alone, a value may be what no segment is.
        let value = decode_segment(&format!("={value}"))?.split_off(1);
        Some((decode_segment(key)?, (value != NULL_VALUE).then_some(value)))
    });
    pairs.collect()
}

fn has_days(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Timestamp(..))
}

fn is_discrete(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::Boolean | DataType::Date32 | DataType::Decimal128(..) => true,
        DataType::Dictionary(_, words) => **words == DataType::Utf8,
        other => other.is_integer(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> SchemaRef {
        let at = DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, None);
        let fields = [
            ("id", DataType::Int64),
            ("at", at),
            ("day", DataType::Date32),
            ("w", DataType::Utf8),
            ("x", DataType::Float64),
            ("at_year", DataType::Int32),
        ];
        Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()).into()
    }

    #[test]
    fn a_column_is_in_the_files_where_folders_say_less_of_it() {
        for (column, granularity, key, kept) in [
            ("w", None, "w", false),
            ("day", None, "day", false),
            ("day", Some(Granularity::Day), "day", false),
            ("day", Some(Granularity::Month), "day_month", true),
            ("at", Some(Granularity::Day), "at_day", true),
        ] {
            let partition = Partition::of(column, granularity, &written()).expect(column);
            assert_eq!((partition.key.as_str(), partition.is_column_kept()), (key, kept));
            assert_eq!(partition.file_schema(&written()).fields().len(), 5 + usize::from(kept));
        }
        for (column, granularity) in [
            ("nothing", None),
            ("w", Some(Granularity::Day)),
            ("at", None),
            ("x", None),
            // Folders would have the name of a column.
            ("at", Some(Granularity::Year)),
        ] {
            assert!(Partition::of(column, granularity, &written()).is_err(), "{column} {granularity:?}");
        }
        let one: SchemaRef = Schema::new(vec![Field::new("a", DataType::Utf8, true)]).into();
        assert!(Partition::of("a", None, &one).is_err());
    }

    #[test]
    fn every_value_is_one_segment_and_comes_back() {
        let partition = Partition { column: "a b".to_owned(), granularity: None, key: "a b".to_owned() };
        for value in ["", "a/b", "x=y", "100%", "%2F", "..", "\0\n", "ü", " ", "NULL"] {
            let folder = partition.folder(Some(value)).expect(value);
            assert_eq!(folder.matches('/').count(), 0, "{folder}");
            let name = format!("{folder}/part.parquet");
            assert!(rivet_plugin_api::is_name(&name), "{name}");
            assert_eq!(values(&name)["a b"].as_deref(), Some(value));
        }
        let null = partition.folder(None).expect("NULL has a folder");
        assert_eq!(null, "a%20b=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(values(&format!("{null}/x"))["a b"], None);
        assert!(partition.folder(Some(NULL_VALUE)).is_err());
        assert!(partition.folder(Some(&"ü".repeat(50))).is_err() && partition.folder(Some(&"u".repeat(249))).is_ok());
        assert!(values("part.parquet").is_empty());
    }
}
