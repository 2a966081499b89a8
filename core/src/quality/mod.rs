//! The rules that exported rows have to keep: what they ask for, what was measured, and how it came out.
//! It must not know where rows come from, nor what becomes of a run that breaks a rule.

mod keys;
mod observe;
mod scratch;

use std::fmt;

use arrow_array::new_empty_array;
use arrow_schema::Schema;
use rivet_plugin_api::{Choices, Fidelity, LogicalType, Policies, Relation, TableSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Quality, did_you_mean};
use crate::error::RunError;
use crate::project::listed;
use crate::row_hash::Cells;

pub use observe::{Figures, Observed, Observer};
pub use scratch::Scratch;

/// The rules of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// As the config has them.
    pub quality: Quality,
    /// Those of `unique_columns` in which the source lets no value in twice, so that nothing need be measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proved: Vec<String>,
}

/// How rows are read, as far as it says whether a constraint of the source holds among the exported rows too.
pub struct Reading<'r> {
    /// What is read.
    pub relation: &'r Relation,
    /// Types and policies.
    pub choices: &'r Choices,
    /// All rows are read in one snapshot.
    pub one_snapshot: bool,
}

impl Rules {
    /// The rules for the columns that the source describes, of which those of `written` are exported.
    ///
    /// # Errors
    /// `Impossible` for a column that is not exported, and for one to be unique of a type that cannot be compared.
    pub fn of(
        quality: &Quality,
        described: &TableSchema,
        written: &Schema,
        reading: &Reading<'_>,
    ) -> Result<Self, RunError> {
        let relation = reading.relation.label();
        let known: Vec<String> = written.fields().iter().map(|f| f.name().clone()).collect();
        let named = quality.null_ratio_max.keys().map(|name| ("null_ratio_max", name));
        let named = named.chain(quality.unique_columns.iter().map(|name| ("unique_columns", name)));
        for (rule, name) in named {
            let Ok(field) = written.field_with_name(name) else {
                return Err(RunError::Impossible {
                    what: format!("`quality.{rule}` names the column '{name}', which is not exported from {relation}"),
                    hint: did_you_mean(name, known.iter().map(String::as_str))
                        .unwrap_or_else(|| format!("it exports {}", listed(&known))),
                });
            };
            if rule == "unique_columns" && Cells::of(&new_empty_array(field.data_type())).is_none() {
                return Err(RunError::Impossible {
                    what: format!("`quality.{rule}` names the column '{name}', whose type cannot be compared"),
                    hint: "remove it from the rule, or read the column as text".to_owned(),
                });
            }
        }
        let proved = quality.unique_columns.iter().filter(|name| proves(described, name, reading)).cloned().collect();
        Ok(Self { quality: quality.clone(), proved })
    }

    /// The columns whose keys are compared.
    pub fn compared(&self) -> impl Iterator<Item = &String> {
        self.quality.unique_columns.iter().filter(|name| !self.proved.contains(name))
    }

    /// Every rule against what was measured in so many rows.
    pub fn judge(&self, rows: u64, figures: &Figures) -> Vec<Checked> {
        let Quality { row_count_min, row_count_max, null_ratio_max, unique_columns } = &self.quality;
        let count = |rule, limit: u64, passed| Checked {
            rule,
            column: None,
            limit: Figure::Count(limit),
            figure: Figure::Count(rows),
            nulls: None,
            proved: false,
            passed,
        };
        let mut all = Vec::new();
        all.extend(row_count_min.map(|min| count(Rule::RowCountMin, min, rows >= min)));
        all.extend(row_count_max.map(|max| count(Rule::RowCountMax, max, rows <= max)));
        for ((column, limit), nulls) in null_ratio_max.iter().zip(&figures.nulls) {
            // Divided, not multiplied: both sides are then the double that is nearest to a ratio, and equal ratios are equal.
            let ratio = if rows == 0 { 0.0 } else { *nulls as f64 / rows as f64 };
            all.push(Checked {
                rule: Rule::NullRatioMax,
                column: Some(column.clone()),
                limit: Figure::Ratio(*limit),
                figure: Figure::Ratio(ratio),
                nulls: Some(*nulls),
                proved: false,
                passed: ratio <= *limit,
            });
        }
        let mut repeated = figures.repeated.iter();
        for column in unique_columns {
            let proved = self.proved.contains(column);
            let n = if proved { 0 } else { repeated.next().copied().unwrap_or(0) };
            all.push(Checked {
                rule: Rule::UniqueColumns,
                column: Some(column.clone()),
                limit: Figure::Count(0),
                figure: Figure::Count(n),
                nulls: None,
                proved,
                passed: n == 0,
            });
        }
        all
    }
}

/// A key of the source is one of the exported rows where these are rows of one committed state and their values differ if
/// the source's do. That is said of types whose values have one form: an engine may keep two texts for one point in time.
fn proves(described: &TableSchema, name: &str, reading: &Reading<'_>) -> bool {
    let Some(column) = described.columns.iter().find(|c| c.name == name) else { return false };
    let one_form = match column.logical {
        LogicalType::Int { .. } | LogicalType::Text | LogicalType::Uuid | LogicalType::Binary => {
            column.fidelity == Fidelity::Exact
        }
        _ => false,
    };
    let unchanged = reading.choices.columns.get(name).is_none_or(|c| c.logical.is_none())
        && reading.choices.policies_of(name) == Policies::default();
    let is_key = described.keys.iter().any(|key| key.as_slice() == [name]);
    reading.one_snapshot && matches!(reading.relation, Relation::Table { .. }) && one_form && unchanged && is_key
}

/// A kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Fewest rows.
    RowCountMin,
    /// Most rows.
    RowCountMax,
    /// Largest share of NULLs in a column.
    NullRatioMax,
    /// No value of a column comes twice.
    UniqueColumns,
}

/// A limit, or what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    /// A number of rows.
    Count(u64),
    /// A share of the rows.
    Ratio(f64),
}

/// A rule, and how it came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// The rule.
    pub rule: Rule,
    /// Column that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The limit; of `unique_columns` always 0.
    #[schemars(with = "f64")]
    pub limit: Figure,
    /// What was measured: rows, the share of NULLs, or rows whose value another row has before them.
    #[schemars(with = "f64")]
    pub figure: Figure,
    /// Rows in which the column is NULL, for `null_ratio_max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<u64>,
    /// A unique constraint of the source proves it: nothing was measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proved: bool,
    /// Whether the rows keep it.
    pub passed: bool,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Ratio(ratio) => write!(f, "{ratio}"),
        }
    }
}

/// `null_ratio_max email 0.05: 7 rows are NULL, 0.07 of all`.
impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |n: &Figure, one: &str, many: &str| match n {
            Figure::Count(1) => format!("1 row{one}"),
            n => format!("{n} rows{many}"),
        };
        let column = self.column.as_deref().unwrap_or_default();
        let (limit, figure) = (&self.limit, &self.figure);
        match self.rule {
            Rule::RowCountMin => write!(f, "row_count_min {limit}: {}", rows(figure, "", "")),
            Rule::RowCountMax => write!(f, "row_count_max {limit}: {}", rows(figure, "", "")),
            Rule::NullRatioMax => {
                let nulls = rows(&Figure::Count(self.nulls.unwrap_or(0)), " is NULL", " are NULL");
                write!(f, "null_ratio_max {column} {limit}: {nulls}, {figure} of all")
            }
            Rule::UniqueColumns => {
                write!(f, "unique_columns {column}: {}", rows(figure, " repeats a value", " repeat a value"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
