//! One column under construction: takes fields of its wire form, and becomes an Arrow array.
//! It must not know when a batch is full.

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use rivet_plugin_api::Policies;

use super::fault::Fault;
use super::inet::write_inet;
use super::interval::Interval;
use super::numeric::Numeric;
use super::policy::{Hits, Policy, Substitute, replaces_text, substitute};
use super::temporal::{date32, time64_us, timestamp_us};
use super::uuid::{TEXT_BYTES, uuid_text};
use super::validity::Validity;
use super::values::Values;
use crate::types::Wire;

/// What is left of a tuple.
#[derive(Debug)]
pub(super) struct TupleReader<'a> {
    /// Bytes that are not read yet.
    pub(super) rest: &'a [u8],
    /// Bytes of varying length that its fields took in Arrow.
    pub(super) n_var_bytes: usize,
}

impl<'a> TupleReader<'a> {
    #[inline]
    pub(super) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Fault> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Fault::Length)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next field with its length, whatever it holds; none for NULL.
    pub(super) fn field(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        let n_bytes = i32::from_be_bytes(*self.take()?);
        usize::try_from(n_bytes).ok().map(|n_bytes| self.varying(n_bytes)).transpose()
    }

    /// The field of a type of fixed width.
    #[inline]
    fn fixed<const N: usize>(&mut self, n_bytes: usize) -> Result<&'a [u8; N], Fault> {
        if n_bytes == N { self.take::<N>() } else { Err(Fault::Length) }
    }

    /// The field.
    #[inline]
    fn varying(&mut self, n_bytes: usize) -> Result<&'a [u8], Fault> {
        let (field, rest) = self.rest.split_at_checked(n_bytes).ok_or(Fault::Length)?;
        self.rest = rest;
        Ok(field)
    }

    /// All that is left, of which the field is the start: short copies of fixed width may read on behind it.
    #[inline]
    fn running_on(&mut self, n_bytes: usize) -> Result<&'a [u8], Fault> {
        let all = self.rest;
        self.varying(n_bytes)?;
        Ok(all)
    }
}

/// Values, validity and type of a column.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    values: Values,
    validity: Validity,
    nullable: bool,
    data_type: DataType,
    /// What happens to values without a place, and how often it did.
    choice: Box<(Policies, Hits)>,
}

impl ColumnBuilder {
    /// A builder with room for `n_rows` rows; none when the wire form cannot become this Arrow type. `lossy` takes
    /// arrays whatever their lower bounds.
    pub(super) fn new(
        wire: &Wire,
        data_type: &DataType,
        nullable: bool,
        n_rows: usize,
        policies: Policies,
        lossy: bool,
    ) -> Option<Self> {
        let mut values = Values::new(wire, data_type, policies, lossy)?;
        values.make_room(n_rows);
        let choice = Box::new((policies, Hits::default()));
        Some(Self { values, validity: Validity::default(), nullable, data_type: data_type.clone(), choice })
    }

    /// Takes the next field of a tuple.
    #[inline(always)]
    pub(super) fn push(&mut self, tuple: &mut TupleReader<'_>) -> Result<(), Fault> {
        let n_bytes = i32::from_be_bytes(*tuple.take()?);
        let Ok(n_bytes) = usize::try_from(n_bytes) else { return self.push_null(n_bytes) };
        match &mut self.values {
            Values::Int8(v) => v.push(i64::from_be_bytes(*tuple.fixed(n_bytes)?)),
            Values::Int4(v) => v.push(i32::from_be_bytes(*tuple.fixed(n_bytes)?)),
            Values::Int2(v) => v.push(i16::from_be_bytes(*tuple.fixed(n_bytes)?)),
            Values::Oid(v) => v.push(u32::from_be_bytes(*tuple.fixed(n_bytes)?).into()),
            Values::Float4(v) => v.push(f32::from_be_bytes(*tuple.fixed(n_bytes)?)),
            Values::Float8(v) => v.push(f64::from_be_bytes(*tuple.fixed(n_bytes)?)),
            Values::Bool(v) => match *tuple.fixed(n_bytes)? {
                [bit @ 0..=1] => v.push(bit == 1),
                _ => return Err(Fault::Malformed),
            },
            Values::Decimal128(v, decimal) => v.push(decimal.decode(tuple.running_on(n_bytes)?, n_bytes)?),
            Values::Decimal256(v, decimal) => v.push(decimal.decode(tuple.varying(n_bytes)?)?),
            Values::Text(v) | Values::Binary(v) => {
                v.push(tuple.running_on(n_bytes)?, n_bytes)?;
                tuple.n_var_bytes += n_bytes;
            }
            Values::Date(v) => v.push(date32(i32::from_be_bytes(*tuple.fixed(n_bytes)?))?),
            Values::Timestamp(v) => v.push(timestamp_us(i64::from_be_bytes(*tuple.fixed(n_bytes)?))?),
            Values::Time(v) => v.push(time64_us(i64::from_be_bytes(*tuple.fixed(n_bytes)?))?),
            Values::Uuid(v) => v.push(*tuple.fixed(n_bytes)?),
            Values::UuidText(v) => {
                v.push(&uuid_text(tuple.fixed(n_bytes)?), TEXT_BYTES)?;
                tuple.n_var_bytes += TEXT_BYTES;
            }
            Values::Jsonb(v) => {
                let [1, json @ ..] = tuple.varying(n_bytes)? else { return Err(Fault::Malformed) };
                v.push(json, json.len())?;
                tuple.n_var_bytes += json.len();
            }
            Values::NumericText(v) => {
                let before = v.bytes.len();
                Numeric::parse(tuple.varying(n_bytes)?)?.write_text(&mut v.bytes);
                v.end_value()?;
                tuple.n_var_bytes += v.bytes.len() - before;
            }
            _ => return self.push_rare(tuple, n_bytes),
        }
        Ok(())
    }

    /// Takes the next field of a tuple, or what the policies put in its place: an element of an array.
    #[inline(never)]
    pub(super) fn push_element(&mut self, tuple: &mut TupleReader<'_>) -> Result<(), Fault> {
        let before = tuple.rest;
        if let Err(fault) = self.push(tuple) {
            tuple.rest = self.substitute(fault, before)?;
        }
        Ok(())
    }

    /// Takes a field of one of the types that are rare, so that the way of the others stays short.
    #[inline(never)]
    fn push_rare(&mut self, tuple: &mut TupleReader<'_>, n_bytes: usize) -> Result<(), Fault> {
        match &mut self.values {
            Values::DecimalText(v, decimal) => {
                let (before, value) = (v.bytes.len(), decimal.decode(tuple.varying(n_bytes)?)?);
                decimal.write_text(value, &mut v.bytes);
                v.end_value()?;
                tuple.n_var_bytes += v.bytes.len() - before;
            }
            Values::IntervalText(v, has_infinity) => {
                let before = v.bytes.len();
                Interval::parse(tuple.fixed(n_bytes)?, *has_infinity).write_iso_8601(&mut v.bytes);
                v.end_value()?;
                tuple.n_var_bytes += v.bytes.len() - before;
            }
            Values::InetText(v) => {
                let before = v.bytes.len();
                write_inet(tuple.varying(n_bytes)?, &mut v.bytes)?;
                v.end_value()?;
                tuple.n_var_bytes += v.bytes.len() - before;
            }
            Values::Interval(v, has_infinity) => {
                v.push(Interval::parse(tuple.fixed(n_bytes)?, *has_infinity).month_day_nano()?);
            }
            Values::Enum(v, labels) => v.push(labels.find(tuple.varying(n_bytes)?)?),
            Values::Whole(v, range) => v.push(range.decode(tuple.varying(n_bytes)?)?),
            Values::List(lists) => tuple.n_var_bytes += lists.push(tuple.varying(n_bytes)?)?,
            _ => return Err(Fault::Malformed),
        }
        Ok(())
    }

    /// Puts what the policies say in the place of the field at the start of `from`, which has this fault, or gives the
    /// fault back. Returns what follows the field.
    #[cold]
    #[inline(never)]
    pub(super) fn substitute<'a>(&mut self, fault: Fault, from: &'a [u8]) -> Result<&'a [u8], Fault> {
        let mut reader = TupleReader { rest: from, n_var_bytes: 0 };
        let field = reader.field().map_err(|_| fault)?.ok_or(fault)?;
        let policy = match substitute(fault, &self.choice.0).ok_or(fault)? {
            // An element's fault was dealt with where the element is.
            _ if matches!(self.values, Values::List(_)) => return Err(fault),
            Substitute::Null(policy) => {
                self.push_null(-1)?;
                policy
            }
            Substitute::Nearest(policy) => {
                self.values.push_nearest(field, fault)?;
                policy
            }
        };
        self.choice.1.add(policy, 1);
        Ok(reader.rest)
    }

    fn push_null(&mut self, n_bytes: i32) -> Result<(), Fault> {
        if n_bytes != -1 {
            return Err(Fault::Length);
        }
        if !self.nullable {
            return Err(Fault::Null);
        }
        self.validity.set_null(self.values.len());
        self.values.push_default()
    }

    /// Values so far.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes back what was pushed beyond the first `n_rows` rows.
    pub(super) fn truncate(&mut self, n_rows: usize) {
        // A field that failed may have left a trace in the bitmap only.
        (n_rows..=self.values.len()).for_each(|row| self.validity.forget(row));
        self.values.truncate(n_rows);
    }

    /// Bits that a row takes in Arrow, without values of varying length.
    pub(super) fn fixed_bits(&self) -> usize {
        self.values.fixed_bits() + usize::from(self.nullable)
    }

    /// The array of all values; starts anew with room for `n_rows`.
    ///
    /// # Errors
    /// The row, 0-based, of the first text that is not UTF-8.
    pub(super) fn take(&mut self, n_rows: usize) -> Result<ArrayRef, usize> {
        let nulls = self.validity.take(self.values.len());
        let mut n_replaced = 0;
        let replaced = replaces_text(&self.choice.0).then_some(&mut n_replaced);
        let array = self.values.take(&self.data_type, nulls, n_rows, replaced);
        self.choice.1.add(Policy::InvalidText, n_replaced);
        array
    }

    /// How often each policy changed a value.
    pub(super) fn hits(&self) -> Hits {
        if let Values::List(lists) = &self.values { lists.hits() } else { self.choice.1 }
    }
}
