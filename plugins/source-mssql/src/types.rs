//! What becomes of each type: its logical type, and the expression by which a scan asks for it.
//! It must not know relations, nor how a value is decoded.

mod overrides;

use rivet_plugin_api::SubMicrosecond;
use rivet_plugin_api::{Choices, Column, ErrorKind, Fidelity, LogicalType, OutOfRange, PluginError, Policies, Result};
use rivet_shared_sql::hint;

use crate::sql::identifier;

/// A column as it is asked for and decoded.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    pub column: Column,
    /// The expression, with `@` for the column itself.
    pub select: String,
    pub policies: Policies,
    /// Of texts: how they are ordered.
    pub collation: Option<String>,
    pub form: Form,
}

/// How a value arrives, where its type does not say how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By its type.
    Plain,
    /// A text that must be JSON.
    CheckedJson,
    /// Four bytes of a spatial reference, the highest first, and the well-known binary.
    Geometry,
}

/// A type as the server names it: `decimal(18,2)` is `decimal` with 18 and 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    pub name: String,
    /// `max` is none.
    pub arguments: Vec<Option<u16>>,
}

impl Native {
    /// Reads a name of the server's.
    pub fn parse(text: &str) -> Self {
        let (name, rest) = text.split_once('(').unwrap_or((text, ""));
        let arguments = rest.trim_end_matches(')').split(',').filter(|a| !a.is_empty()).map(|a| a.trim().parse().ok());
        Self { name: name.trim().to_ascii_lowercase(), arguments: arguments.collect() }
    }

    /// The type as a statement has it, written anew; none for what is no type of the server's.
    pub fn sql(&self) -> Option<String> {
        natural(self, Policies::default())?;
        let arguments: Vec<String> =
            self.arguments.iter().map(|n| n.map_or("max".to_owned(), |n| n.to_string())).collect();
        Some(if arguments.is_empty() { self.name.clone() } else { format!("{}({})", self.name, arguments.join(",")) })
    }

    fn argument(&self, n: usize) -> Option<u16> {
        self.arguments.get(n).copied().flatten()
    }

    /// Digits after the second of a time; types that say none have seven.
    pub fn fraction(&self) -> u16 {
        self.argument(0).unwrap_or(7)
    }

    pub fn is_text(&self) -> bool {
        matches!(self.name.as_str(), "char" | "varchar" | "nchar" | "nvarchar" | "text" | "ntext" | "sysname")
    }

    /// A text whose bytes are in the code page of its collation.
    pub fn is_narrow(&self) -> bool {
        matches!(self.name.as_str(), "char" | "varchar" | "text")
    }

    pub fn is_moment(&self) -> bool {
        matches!(self.name.as_str(), "date" | "time" | "datetime" | "datetime2" | "smalldatetime" | "datetimeoffset")
    }
}

impl ColumnPlan {
    /// A column of a type, read as the choices say.
    ///
    /// # Errors
    /// `Unsupported` for a type that cannot be read, or not so.
    pub fn chosen(
        name: &str,
        nullable: bool,
        native_type: &str,
        collation: Option<String>,
        choices: &Choices,
    ) -> Result<Self> {
        let native = Native::parse(native_type);
        let policies = choices.policies_of(name);
        let Some((logical, fidelity, select)) = natural(&native, policies) else {
            let text = format!("the column is of the type {native_type}, which cannot be read");
            let column = identifier(name);
            return Err(PluginError::new(ErrorKind::Unsupported, "mssql.type", text).detail("column", name).hint(
                format!(
                    "leave it out with {}, or use `query:` with CAST({column} AS varbinary(max)) AS {column}",
                    hint::exclude(name)
                ),
            ));
        };
        let select = match &collation {
            Some(collation) if native.is_narrow() && !is_western(collation) => {
                let length = native.argument(0).filter(|n| *n <= 4_000).map_or("max".to_owned(), |n| n.to_string());
                format!("CAST(@ AS nvarchar({length}))")
            }
            _ => select,
        };
        let column = Column { name: name.to_owned(), native_type: native_type.to_owned(), logical, nullable, fidelity };
        let form = if select == GEOMETRY { Form::Geometry } else { Form::Plain };
        let mut plan = Self { column, select, policies, collation, form };
        if let Some(choice) = choices.columns.get(name)
            && let Some(wanted) = &choice.logical
        {
            overrides::apply(&mut plan, &native, wanted, choice.lossy)?;
        }
        let nanos = matches!(plan.column.logical, LogicalType::Timestamp { nanos: true, .. });
        plan.column.nullable |= nanos && policies.out_of_range == Some(OutOfRange::Null);
        Ok(plan)
    }

    /// Whether the server converts it to a type that may not hold all of its values.
    pub fn may_not_fit(&self) -> bool {
        let natural = natural(&Native::parse(&self.column.native_type), self.policies);
        let is_chosen = natural.is_none_or(|(logical, ..)| logical != self.column.logical);
        is_chosen && self.column.logical != LogicalType::Text
    }

    /// The expression that a scan asks for.
    pub fn expression(&self) -> String {
        self.select.replace('@', &identifier(&self.column.name).replace('@', "\u{0}")).replace('\u{0}', "@")
    }
}

/// Whether texts of a collation are in code page 1252, which the driver reads as it should. It takes UTF-8 for the code page
/// of the language, and does not know all others: the server converts those.
fn is_western(collation: &str) -> bool {
    let western = collation.starts_with("Latin1_General") || collation.starts_with("SQL_Latin1_General_CP1_");
    western && !collation.contains("UTF8")
}

/// Logical type, fidelity and expression of a type.
fn natural(native: &Native, policies: Policies) -> Option<(LogicalType, Fidelity, String)> {
    let exact = |logical| Some((logical, Fidelity::Exact, "@".to_owned()));
    let cast = |logical, expression: &str| Some((logical, Fidelity::Exact, expression.to_owned()));
    let text = |expression: &str| Some((LogicalType::Text, Fidelity::Text, expression.to_owned()));
    let int = |bits, signed| exact(LogicalType::Int { bits, signed });
    let sub_micro = native.fraction() > 6;
    let (nanos, as_text) = (
        sub_micro && policies.sub_microsecond == Some(SubMicrosecond::Ns),
        sub_micro && policies.sub_microsecond == Some(SubMicrosecond::Text),
    );
    match native.name.as_str() {
        "bit" => exact(LogicalType::Bool),
        "tinyint" => int(8, false),
        "smallint" => int(16, true),
        "int" => int(32, true),
        "bigint" => int(64, true),
        "real" => exact(LogicalType::Float { bits: 32 }),
        "float" => {
            exact(LogicalType::Float { bits: if native.argument(0).is_some_and(|n| n <= 24) { 32 } else { 64 } })
        }
        "decimal" | "numeric" => {
            let digits = |n: Option<u16>, default| n.and_then(|n| u8::try_from(n).ok()).unwrap_or(default);
            let (precision, scale) = (digits(native.argument(0), 18), digits(native.argument(1), 0));
            exact(LogicalType::Decimal { precision, scale })
        }
        // The driver reads these as floats.
        "money" => cast(LogicalType::Decimal { precision: 19, scale: 4 }, "CAST(@ AS decimal(19,4))"),
        "smallmoney" => cast(LogicalType::Decimal { precision: 10, scale: 4 }, "CAST(@ AS decimal(10,4))"),
        "date" => exact(LogicalType::Date),
        "time" | "datetime2" | "datetimeoffset" if as_text => text(TEXT_OF_MOMENT),
        "time" => exact(LogicalType::Time { nanos }),
        "datetime" | "smalldatetime" => exact(LogicalType::Timestamp { utc: false, nanos: false }),
        "datetime2" => exact(LogicalType::Timestamp { utc: false, nanos }),
        "datetimeoffset" => exact(LogicalType::Timestamp { utc: true, nanos }),
        "char" | "varchar" | "nchar" | "nvarchar" | "text" | "ntext" | "sysname" => exact(LogicalType::Text),
        // TEXTSIZE, which bounds what is kept of a value, bounds no xml.
        "xml" => cast(LogicalType::Text, "CAST(@ AS nvarchar(max))"),
        "binary" | "varbinary" | "image" | "timestamp" | "rowversion" => exact(LogicalType::Binary),
        "uniqueidentifier" => exact(LogicalType::Uuid),
        "json" => cast(LogicalType::Json, "CAST(@ AS nvarchar(max))"),
        "vector" => text("CAST(@ AS nvarchar(max))"),
        "sql_variant" => text(TEXT_OF_VARIANT),
        "hierarchyid" => text("@.ToString()"),
        "geometry" | "geography" => cast(LogicalType::Binary, GEOMETRY),
        _ => None,
    }
}

/// A geometry behind its spatial reference, which no well-known binary of the server's has in it.
const GEOMETRY: &str = "CAST(@.STSrid AS binary(4)) + @.AsBinaryZM()";

/// A date or time in the form of ISO 8601, all digits.
pub const TEXT_OF_MOMENT: &str = "CONVERT(nvarchar(40), @, 121)";

/// A value of any type as text that loses no digit: each type in a style that does not.
const TEXT_OF_VARIANT: &str = "CASE WHEN CAST(SQL_VARIANT_PROPERTY(@, 'BaseType') AS nvarchar(128)) IN \
     ('date', 'time', 'datetime', 'datetime2', 'smalldatetime', 'datetimeoffset') THEN CONVERT(nvarchar(4000), @, 121) \
     WHEN CAST(SQL_VARIANT_PROPERTY(@, 'BaseType') AS nvarchar(128)) IN ('float', 'real') \
     THEN CONVERT(nvarchar(4000), CAST(@ AS float), 3) \
     WHEN CAST(SQL_VARIANT_PROPERTY(@, 'BaseType') AS nvarchar(128)) IN ('money', 'smallmoney') \
     THEN CONVERT(nvarchar(4000), CAST(@ AS decimal(19,4))) \
     WHEN CAST(SQL_VARIANT_PROPERTY(@, 'BaseType') AS nvarchar(128)) IN ('binary', 'varbinary') \
     THEN CONVERT(nvarchar(max), CAST(@ AS varbinary(8000)), 1) \
     WHEN CAST(SQL_VARIANT_PROPERTY(@, 'BaseType') AS nvarchar(128)) IN ('char', 'varchar') \
     THEN CAST(CAST(@ AS varchar(8000)) AS nvarchar(max)) ELSE CAST(@ AS nvarchar(4000)) END";

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(native: &str) -> Result<ColumnPlan> {
        ColumnPlan::chosen("c", true, native, None, &Choices::default())
    }

    #[test]
    fn types_are_read_as_the_table_says() {
        for (native, logical, expression) in [
            ("tinyint", "uint8", "\"c\""),
            ("decimal(38,10)", "decimal(38,10)", "\"c\""),
            ("numeric", "decimal(18,0)", "\"c\""),
            ("money", "decimal(19,4)", "CAST(\"c\" AS decimal(19,4))"),
            ("time(7)", "time", "\"c\""),
            ("datetimeoffset(7)", "timestamptz", "\"c\""),
            ("nvarchar(max)", "text", "\"c\""),
            ("timestamp", "binary", "\"c\""),
            ("xml", "text", "CAST(\"c\" AS nvarchar(max))"),
            ("uniqueidentifier", "uuid", "\"c\""),
            ("hierarchyid", "text", "\"c\".ToString()"),
            ("geometry", "binary", "CAST(\"c\".STSrid AS binary(4)) + \"c\".AsBinaryZM()"),
        ] {
            let plan = plan(native).expect(native);
            assert_eq!((plan.column.logical.to_string().as_str(), plan.expression().as_str()), (logical, expression));
        }
        let e = plan("Point").expect_err("a type of somebody");
        assert!(e.hint_text().is_some_and(|hint| hint.contains("exclude: [c]")), "{e:?}");
    }

    #[test]
    fn the_server_converts_code_pages_that_the_driver_does_not() {
        for (native, collation, expression) in [
            ("varchar(20)", "SQL_Latin1_General_CP1_CI_AS", "\"c\""),
            ("varchar(20)", "Latin1_General_100_CI_AS_SC_UTF8", "CAST(\"c\" AS nvarchar(20))"),
            ("varchar(8000)", "Cyrillic_General_CI_AS", "CAST(\"c\" AS nvarchar(max))"),
            ("text", "SQL_Latin1_General_CP437_BIN", "CAST(\"c\" AS nvarchar(max))"),
            ("nvarchar(20)", "Cyrillic_General_CI_AS", "\"c\""),
        ] {
            let plan = ColumnPlan::chosen("c", true, native, Some(collation.to_owned()), &Choices::default());
            assert_eq!(plan.expect(native).expression(), expression, "{collation}");
        }
    }

    #[test]
    fn what_stands_for_the_column_may_be_in_its_name() {
        let plan = ColumnPlan::chosen("a@b", true, "money", None, &Choices::default()).expect("a column");
        assert_eq!(plan.expression(), "CAST(\"a@b\" AS decimal(19,4))");
    }
}
