//! Keys, in the order of the values that are delivered: texts that spell one value in several ways are compared by what they
//! mean. It must not know relations, nor how a statement is run.

use rivet_plugin_api::{
    Column, Distance, ErrorKind, Fidelity, KeyRange, KeyValue, LogicalType, Lower, PluginError, Result,
};
use rivet_shared_sql::{between, identifier, key_sql};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Type, Value, ValueRef};

use crate::bind::{Values, stored};
use crate::decode::{Fault, class_name, temporal};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The first of some columns that is not NULL.
pub struct Key<'c> {
    columns: Vec<&'c Column>,
    /// The stored value in SQL. One column stands alone, so that an index on it is used.
    pub sql: String,
    order: Order,
}

/// What makes one key larger than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// SQLite's own, of numbers.
    Numbers,
    /// SQLite's own, of values of one storage class. Between classes it means nothing: any text is after all numbers.
    OneClass,
    /// The moment that a text means: `2024-01-02T09:00` is the same as `2024-01-02 09:00:00.0`. Every spelling that
    /// is delivered starts with the day, so that texts are in the order of their days.
    Moment,
    /// The time of day that a text means. Every spelling starts with hour and minute.
    Clock,
}

impl Order {
    fn of(column: &Column) -> Self {
        match column.logical {
            LogicalType::Date | LogicalType::Timestamp { .. } => Self::Moment,
            LogicalType::Time { .. } => Self::Clock,
            LogicalType::Int { .. } | LogicalType::Float { .. } | LogicalType::Decimal { .. } | LogicalType::Bool => {
                Self::Numbers
            }
            _ => Self::OneClass,
        }
    }

    /// What a value stands for, µs.
    fn micros(self, value: ValueRef<'_>) -> Result<i64, Fault> {
        match (self, value) {
            (Self::Clock, ValueRef::Text(text)) => temporal::time(text),
            (_, ValueRef::Text(text)) => temporal::timestamp(text),
            (_, ValueRef::Integer(_) | ValueRef::Real(_)) => Err(Fault::NumberForTime),
            (_, other) => Err(Fault::Class(class_name(other.data_type()))),
        }
    }

    /// What all texts start with that stand for a value in the same day, or minute; none before year 0.
    fn stem(self, micros: i64) -> Option<String> {
        match self {
            Self::Clock => temporal::time_text(micros).map(|text| text[..5].to_owned()),
            _ => temporal::date_text(micros.div_euclid(MICROS_PER_DAY)),
        }
    }

    /// A text after all those that start with `stem`, and before all others that come after them: they go on with a
    /// character before this one.
    fn after(self, stem: &str) -> String {
        format!("{stem}{}", if self == Self::Clock { ';' } else { 'U' })
    }

    fn function(self) -> &'static str {
        if self == Self::Clock { "rivet_clock" } else { "rivet_moment" }
    }
}

/// Makes the functions known that keys are compared by.
///
/// # Errors
/// SQLite's.
pub fn register(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    for order in [Order::Moment, Order::Clock] {
        let name = order.function();
        // Text is after all numbers: what means nothing comes to light as the largest.
        let meaning = move |cx: &Context<'_>| match cx.get_raw(0) {
            ValueRef::Null => Ok(Value::Null),
            value => Ok(order.micros(value).map_or_else(|_| Value::Text(String::new()), Value::Integer)),
        };
        db.create_scalar_function(name, 1, flags, meaning)?;
        // What means nothing is let through: it is named when it is read.
        let within = move |cx: &Context<'_>| {
            let (first, last): (i64, i64) = (cx.get(1)?, cx.get(2)?);
            match cx.get_raw(0) {
                ValueRef::Null => Ok(false),
                value => Ok(order.micros(value).map_or(true, |micros| (first..=last).contains(&micros))),
            }
        };
        db.create_scalar_function(format!("{name}_within").as_str(), 3, flags, within)?;
    }
    Ok(())
}

impl<'c> Key<'c> {
    /// The key of these names among the columns of a relation.
    ///
    /// # Errors
    /// `Config` for a name that is none of them, `Unsupported` for times beside something else.
    pub fn of(names: &[String], columns: &'c [Column]) -> Result<Self> {
        let find = |name: &String| {
            let text = format!("the key column \"{name}\" does not exist");
            let missing = || PluginError::new(ErrorKind::Config, "sqlite.key", text).detail("column", name);
            columns.iter().find(|c| c.name == *name).ok_or_else(missing)
        };
        let columns = names.iter().map(find).collect::<Result<Vec<_>>>()?;
        let orders: Vec<Order> = columns.iter().map(|c| Order::of(c)).collect();
        let order = match orders.as_slice() {
            [] => return Err(PluginError::new(ErrorKind::Internal, "sqlite.key", "a range without a key")),
            [first, others @ ..] if others.iter().all(|o| o == first) => *first,
            some if some.contains(&Order::Moment) || some.contains(&Order::Clock) => {
                let text = format!("{} are not of one kind", label(&columns));
                return Err(PluginError::new(ErrorKind::Unsupported, "sqlite.key", text)
                    .hint("choose cursor columns that hold times alone, or none"));
            }
            _ => Order::OneClass,
        };
        Ok(Self { columns, sql: key_sql(names, identifier), order })
    }

    /// The condition for the keys of a range.
    ///
    /// # Errors
    /// `Data` for a bound that is no value of the key, `Unsupported` for a distance that it does not have.
    pub fn range(&self, range: &KeyRange, values: &mut Values) -> Result<String> {
        let bounds = if self.is_spelled() { self.spelled(range, values)? } else { self.stored(range, values)? };
        Ok(between(&self.sql, &bounds, range.nulls))
    }

    /// What to order keys by.
    pub fn order_sql(&self) -> String {
        if self.is_spelled() { format!("{}({})", self.order.function(), self.sql) } else { self.sql.clone() }
    }

    /// A condition that an index finds and that the largest (or smallest) key meets, by the last (or first) of the stored
    /// values; none where SQLite's own order does.
    pub fn near_end(&self, end: &Value, largest: bool, values: &mut Values) -> Option<String> {
        let stem = self.order.micros(end.into()).ok().filter(|_| self.is_spelled())?;
        let stem = self.order.stem(stem)?;
        let (comparison, text) = if largest { (">=", stem) } else { ("<", self.order.after(&stem)) };
        Some(format!("{} {comparison} {}", self.sql, values.add(Value::Text(text))))
    }

    /// Makes sure of the order: from the first and last of all stored values.
    ///
    /// # Errors
    /// `Data` when they show values that are in no order with the others.
    pub fn must_be_ordered(&self, first: &Value, last: &Value) -> Result<()> {
        if self.is_spelled() {
            for (which, end) in [("smallest", first), ("largest", last)] {
                self.order.micros(end.into()).map_err(|fault| self.fault(which, fault))?;
            }
            return Ok(());
        }
        let is_number = |value: &Value| matches!(value.data_type(), Type::Integer | Type::Real);
        let one_class = first.data_type() == last.data_type() && self.order == Order::OneClass;
        if one_class || (is_number(first) && is_number(last)) {
            return Ok(());
        }
        let (first, last) = (class_name(first.data_type()), class_name(last.data_type()));
        let both = if first == last { first.to_owned() } else { format!("both {first} and {last}") };
        let text = format!("{} holds {both}, which sqlite orders by their kind, not by what they say", self.label());
        let name = &self.columns[0].name;
        let cast = if self.order == Order::Numbers { "INTEGER" } else { "TEXT" };
        Err(PluginError::new(ErrorKind::Data, "sqlite.key_order", text).detail("column", name).hint(format!(
            "choose another cursor column, or make the values one kind with `query:` and CAST({0} AS {cast}) AS {0}",
            identifier(name)
        )))
    }

    /// A key as the database has it. `end` is the word for it in an error.
    ///
    /// # Errors
    /// `Data` for a value that could not be delivered.
    pub fn answer(&self, value: ValueRef<'_>, end: &str) -> Result<Option<KeyValue>> {
        let fault = |fault| self.fault(end, fault);
        match value {
            ValueRef::Null => Ok(None),
            value if self.is_spelled() => {
                let (native_type, text) = self.written(self.order.micros(value).map_err(fault)?);
                Ok(Some(KeyValue::new(native_type, text)))
            }
            value => stored(value).map(Some).ok_or_else(|| fault(Fault::NotUtf8)),
        }
    }

    fn written(&self, micros: i64) -> (&'static str, String) {
        let days_only = self.columns.iter().all(|c| c.logical == LogicalType::Date);
        match self.order {
            Order::Clock => ("time", temporal::time_text(micros).unwrap_or_default()),
            _ if days_only => ("date", self.order.stem(micros).unwrap_or_default()),
            _ => ("timestamp", temporal::timestamp_text(micros).unwrap_or_default()),
        }
    }

    fn is_spelled(&self) -> bool {
        matches!(self.order, Order::Moment | Order::Clock)
    }

    /// Bounds of times: by the stem, which an index finds, and by what the whole text means.
    fn spelled(&self, range: &KeyRange, values: &mut Values) -> Result<Vec<String>> {
        let lower = range.lower.as_ref().map(|lower| self.lower_micros(lower)).transpose()?;
        let upper = range.upper.as_ref().map(|upper| self.micros(upper)).transpose()?;
        let upper = upper.map(|micros| micros.saturating_sub(range.upper_open.into()));
        if lower.is_none() && upper.is_none() {
            return Ok(Vec::new());
        }
        let key = &self.sql;
        let from = lower.and_then(|micros| self.order.stem(micros));
        let to = upper.and_then(|micros| self.order.stem(micros)).map(|stem| self.order.after(&stem));
        let mut bounds: Vec<String> = Vec::new();
        bounds.extend(from.map(|text| format!("{key} >= {}", values.add(Value::Text(text)))));
        bounds.extend(to.map(|text| format!("{key} < {}", values.add(Value::Text(text)))));
        let first = values.add(Value::Integer(lower.unwrap_or(i64::MIN)));
        let last = values.add(Value::Integer(upper.unwrap_or(i64::MAX)));
        bounds.push(format!("{}_within({key}, {first}, {last})", self.order.function()));
        Ok(bounds)
    }

    fn micros(&self, value: &KeyValue) -> Result<i64> {
        let micros = self.order.micros(ValueRef::Text(value.text.as_bytes()));
        micros.map_err(|fault| self.no_value(value, &fault.words(self.columns[0])))
    }

    fn lower_micros(&self, lower: &Lower) -> Result<i64> {
        let micros = self.micros(&lower.value)?;
        match lower.minus {
            None => Ok(micros),
            Some(Distance::Ms(ms)) => {
                Ok(micros.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000)))
            }
            Some(Distance::Units(_)) => Err(no_distance()),
        }
    }

    /// Bounds by SQLite's own order.
    fn stored(&self, range: &KeyRange, values: &mut Values) -> Result<Vec<String>> {
        let mut bounds = Vec::new();
        if let Some(lower) = &range.lower {
            bounds.push(format!("{} >= {}", self.sql, self.operand(&lower.value, lower.minus, values)?));
        }
        if let Some(upper) = &range.upper {
            let below = if range.upper_open { "<" } else { "<=" };
            bounds.push(format!("{} {below} {}", self.sql, self.operand(upper, None, values)?));
        }
        Ok(bounds)
    }

    fn operand(&self, value: &KeyValue, minus: Option<Distance>, values: &mut Values) -> Result<String> {
        let typed = self.typed(value)?;
        let Some(minus) = minus else {
            // A person typed it, for a column that says nothing of its values.
            let untyped = value.native_type != "text" && self.columns.iter().any(|c| c.fidelity == Fidelity::Text);
            let as_number = number(&value.text).filter(|_| untyped && matches!(typed, Value::Text(_)));
            return Ok(match as_number {
                None => values.add(typed),
                Some(number) => {
                    let (number, text, key) = (values.add(number), values.add(typed), &self.sql);
                    format!("CASE WHEN typeof({key}) IN ('integer', 'real') THEN {number} ELSE {text} END")
                }
            });
        };
        let below = match (typed, minus) {
            (Value::Integer(i), Distance::Units(n)) => {
                Value::Integer(i64::try_from(n).ok().and_then(|n| i.checked_sub(n)).unwrap_or(i64::MIN))
            }
            (Value::Real(r), Distance::Units(n)) =>
            {
                #[allow(clippy::cast_precision_loss, reason = "sqlite subtracts likewise")]
                Value::Real(r - n as f64)
            }
            _ => return Err(no_distance()),
        };
        Ok(values.add(below))
    }

    /// A key as it was stored, by its storage class; or as a person typed it, by the type of the column.
    fn typed(&self, value: &KeyValue) -> Result<Value> {
        let wrong = |what: &str| self.no_value(value, what);
        let is_blob = self.columns.iter().all(|c| c.logical == LogicalType::Binary);
        match value.native_type.as_str() {
            "text" => Ok(Value::Text(value.text.clone())),
            "integer" | "real" => number(&value.text).ok_or_else(|| wrong("is no number")),
            "blob" => bytes(&value.text).ok_or_else(|| wrong("is not written in hexadecimal digits")),
            _ if self.order == Order::Numbers => number(&value.text).ok_or_else(|| wrong("is no number")),
            _ if is_blob => bytes(&value.text).ok_or_else(|| wrong("is not written in hexadecimal digits")),
            _ => Ok(Value::Text(value.text.clone())),
        }
    }

    fn no_value(&self, value: &KeyValue, what: &str) -> PluginError {
        let text = format!("'{}' {what}, so it is no value of {}", value.text, self.label());
        let hint = match self.order {
            Order::Moment => "write a day, or a time such as 2024-01-31 09:30:00, without a zone",
            Order::Clock => "write a time of day such as 09:30:00",
            Order::Numbers | Order::OneClass => "write it as `rivet state show` does",
        };
        PluginError::new(ErrorKind::Data, "sqlite.key", text).detail("column", &self.columns[0].name).hint(hint)
    }

    fn fault(&self, end: &str, fault: Fault) -> PluginError {
        let column = self.columns[0];
        let text = format!("{}: the {end} value {}", self.label(), fault.words(column));
        PluginError::new(ErrorKind::Data, "sqlite.value", text)
            .detail("column", &column.name)
            .hint(fault.remedy(column))
    }

    /// The error for a key of a text that is none.
    pub fn not_utf8(&self) -> PluginError {
        self.fault("smallest or largest", Fault::NotUtf8)
    }

    fn label(&self) -> String {
        label(&self.columns)
    }
}

fn label(columns: &[&Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    format!("the cursor column{} '{}'", if names.len() == 1 { "" } else { "s" }, names.join("', '"))
}

fn no_distance() -> PluginError {
    PluginError::new(
        ErrorKind::Unsupported,
        "sqlite.lookback",
        "there is no such distance between values of the cursor",
    )
    .hint("write a number for a cursor of numbers, a time with its unit for one of times, or remove `lookback`")
}

fn number(text: &str) -> Option<Value> {
    let real = || text.parse().ok().filter(|r: &f64| !r.is_nan()).map(Value::Real);
    text.parse().ok().map(Value::Integer).or_else(real)
}

fn bytes(hex: &str) -> Option<Value> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let digits = hex.bytes().all(|b| b.is_ascii_hexdigit()) && hex.len().is_multiple_of(2);
    hex.as_bytes().chunks(2).map(byte).collect::<Option<_>>().filter(|_| digits).map(Value::Blob)
}
