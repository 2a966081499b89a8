//! Arrays: their elements in a column of their own, and for each dimension where its lists end.
//! It must not know the types of elements, nor when a batch is full.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef};
use rivet_plugin_api::Policies;

use super::column::{ColumnBuilder, TupleReader};
use super::fault::Fault;
use super::policy::Hits;
use super::values::Store;
use crate::types::Wire;

/// Lists, or lists of lists, under construction.
#[derive(Debug)]
pub(super) struct Lists {
    /// Outermost first: a leading 0, then where each list ends in the next level, or in the elements.
    levels: Vec<Level>,
    elements: ColumnBuilder,
    /// Whether arrays whose subscripts do not start at 1 are taken.
    any_bounds: bool,
}

#[derive(Debug)]
struct Level {
    ends: Vec<i32>,
    child: FieldRef,
}

/// One dimension of an array: its length and its first subscript.
struct Dimension {
    length: usize,
    lower: i32,
}

impl Lists {
    /// `n_dims` levels of lists; none when elements or levels cannot become this Arrow type.
    pub(super) fn new(
        n_dims: usize,
        element: &Wire,
        data_type: &DataType,
        policies: Policies,
        any_bounds: bool,
    ) -> Option<Self> {
        let (mut levels, mut below) = (Vec::with_capacity(n_dims), data_type);
        for _ in 0..n_dims {
            let DataType::List(child) = below else { return None };
            levels.push(Level { ends: vec![0], child: child.clone() });
            below = child.data_type();
        }
        let child = &levels.last()?.child;
        let elements = ColumnBuilder::new(element, child.data_type(), child.is_nullable(), 0, policies, any_bounds)?;
        Some(Self { levels, elements, any_bounds })
    }

    /// Appends an empty list.
    pub(super) fn push_empty(&mut self) {
        if let Some(outer) = self.levels.first_mut() {
            outer.ends.push(last(&outer.ends));
        }
    }

    /// Appends the array in a field: number of dimensions, whether there are NULLs, the elements' type, for each
    /// dimension its length and first subscript, then the elements. An array without elements has no dimensions.
    /// Returns the bytes that it takes in Arrow.
    pub(super) fn push(&mut self, field: &[u8]) -> Result<usize, Fault> {
        let mut reader = TupleReader { rest: field, n_var_bytes: 0 };
        let n_dims = i32::from_be_bytes(*reader.take()?);
        let (_has_nulls, _element_oid) = (reader.take::<4>()?, reader.take::<4>()?);
        if n_dims == 0 {
            self.push_empty();
            return if reader.rest.is_empty() { Ok(0) } else { Err(Fault::Length) };
        }
        if usize::try_from(n_dims).ok() != Some(self.levels.len()) {
            return Err(Fault::Dimensions);
        }
        let n_elements = self.push_dimensions(&mut reader)?;
        for _ in 0..n_elements {
            self.elements.push_element(&mut reader)?;
        }
        if !reader.rest.is_empty() {
            return Err(Fault::Length);
        }
        Ok(reader.n_var_bytes + (n_elements * self.elements.fixed_bits()).div_ceil(8))
    }

    /// Ends the lists of each level and returns the number of elements.
    fn push_dimensions(&mut self, reader: &mut TupleReader<'_>) -> Result<usize, Fault> {
        let mut n_lists = 1_usize;
        for level in &mut self.levels {
            let (length, lower) = (i32::from_be_bytes(*reader.take()?), i32::from_be_bytes(*reader.take()?));
            let length = usize::try_from(length).ok().filter(|n| *n > 0).ok_or(Fault::Malformed)?;
            let dimension = Dimension { length, lower };
            if dimension.lower != 1 && !self.any_bounds {
                return Err(Fault::LowerBound);
            }
            // Each element takes four bytes at least: what claims more is not worth the memory.
            let n_below = n_lists.checked_mul(dimension.length).filter(|n| *n <= reader.rest.len() / 4);
            let n_below = n_below.ok_or(Fault::Length)?;
            for _ in 0..n_lists {
                let end = i32::try_from(dimension.length).ok().and_then(|n| last(&level.ends).checked_add(n));
                level.ends.push(end.ok_or(Fault::BatchTooLong)?);
            }
            n_lists = n_below;
        }
        Ok(n_lists)
    }

    /// The array of all lists; starts anew, with room for as many elements a list as before.
    ///
    /// # Errors
    /// The list, 0-based, of the first text that is not UTF-8.
    pub(super) fn take(&mut self, nulls: Option<NullBuffer>, n_rows: usize) -> Result<ArrayRef, usize> {
        let n_elements = self.elements.len();
        let next_elements = if n_rows == 0 { 0 } else { n_elements + n_elements / 16 };
        let fresh = |ends: &mut Vec<i32>| std::mem::replace(ends, vec![0]);
        let all_ends: Vec<_> = self.levels.iter_mut().map(|level| fresh(&mut level.ends)).collect();
        let mut array = self.elements.take(next_elements).map_err(|element| {
            let list_of = |i: usize, ends: &Vec<i32>| {
                ends.partition_point(|end| usize::try_from(*end).unwrap_or(0) <= i).saturating_sub(1)
            };
            all_ends.iter().rev().fold(element, list_of)
        })?;
        let mut nulls = nulls;
        for (i, (level, ends)) in self.levels.iter().zip(all_ends).enumerate().rev() {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
            let nulls = if i == 0 { nulls.take() } else { None };
            array = Arc::new(ListArray::new(level.child.clone(), offsets, array, nulls));
        }
        Ok(array)
    }

    /// How often each policy changed an element.
    pub(super) fn hits(&self) -> Hits {
        self.elements.hits()
    }
}

fn last(ends: &[i32]) -> i32 {
    ends.last().copied().unwrap_or(0)
}

impl Store for Box<Lists> {
    fn len(&self) -> usize {
        self.levels.first().map_or(0, |level| level.ends.len() - 1)
    }

    fn push_default(&mut self) -> Result<(), Fault> {
        self.push_empty();
        Ok(())
    }

    fn truncate(&mut self, n_rows: usize) {
        let mut n = n_rows;
        for level in &mut self.levels {
            level.ends.truncate(n + 1);
            n = usize::try_from(last(&level.ends)).unwrap_or(0);
        }
        self.elements.truncate(n);
    }

    fn make_room(&mut self, n_rows: usize) {
        if let Some(outer) = self.levels.first_mut() {
            outer.ends.reserve(n_rows);
        }
    }
}
