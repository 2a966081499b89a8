//! Arrays that lie: each is an error, never a crash.
//! It must not know which of the checks finds which lie.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray, StructArray, types::Int64Type,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};
use rivet_plugin_abi::{ArrowArray, ArrowSchema};

use super::{Check, Importer, export_batch, export_schema, import_schema};
use crate::ErrorKind;

const N: usize = 0;
const T: usize = 1;
const B: usize = 2;
const L: usize = 3;

fn batch() -> RecordBatch {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let fields = vec![
        Field::new("n", DataType::Int64, false),
        Field::new("t", DataType::Utf8, true),
        Field::new("b", DataType::Boolean, true),
        Field::new("l", lists.data_type().clone(), true),
    ];
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![
            Arc::new(Int64Array::from(vec![1, 2, 3])),
            Arc::new(StringArray::from(vec![Some("ab"), None, Some("é")])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(lists),
        ],
    )
    .expect("a batch")
}

fn child(raw: &mut ArrowArray, i: usize) -> &mut ArrowArray {
    // SAFETY: made by `export_batch`, so child `i` is there, and nothing else points to it.
    unsafe { &mut *(*raw.children.add(i)).cast() }
}

/// Other buffers for an array. What frees the array goes by its private data, so the old ones are freed all the same.
fn set_buffers(raw: &mut ArrowArray, buffers: Vec<*const c_void>) {
    raw.buffers = Box::leak(buffers.into_boxed_slice()).as_mut_ptr();
}

fn buffer(raw: &ArrowArray, i: usize) -> *const c_void {
    // SAFETY: made by `export_batch`, and the type has a buffer `i`.
    unsafe { *raw.buffers.add(i) }
}

fn set_offsets(raw: &mut ArrowArray, offsets: [i32; 4]) {
    let offsets = Box::leak(Box::new(offsets)).as_ptr().cast();
    let mut buffers = vec![null(), offsets];
    if raw.n_buffers == 3 {
        buffers.push(buffer(raw, 2));
    }
    raw.null_count = 0;
    set_buffers(raw, buffers);
}

fn import(check: Check, lie: impl FnOnce(&mut ArrowArray)) -> crate::Result<RecordBatch> {
    let honest = batch();
    let importer = Importer::new(honest.schema(), check);
    let mut raw = ArrowArray::empty();
    export_batch(honest, &mut raw);
    lie(&mut raw);
    importer.batch(&mut raw)
}

fn refused(what: &str, check: Check, lie: impl FnOnce(&mut ArrowArray)) {
    let error = import(check, lie).expect_err(what);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "wire.malformed_data"), "{what}: {error:?}");
}

type Lie<T = ArrowArray> = (&'static str, fn(&mut T));

#[test]
fn honest_arrays_arrive() {
    for check in [Check::Shape, Check::Full] {
        assert_eq!(import(check, |_| ()).expect("honest"), batch());
    }
}

#[test]
fn shapes_that_lie_are_refused_however_far_they_are_checked() {
    let lies: &[Lie] = &[
        ("negative length", |a| a.length = -1),
        ("least length", |a| a.length = i64::MIN),
        ("greatest length", |a| a.length = i64::MAX),
        ("negative offset", |a| a.offset = -1),
        ("greatest offset", |a| a.offset = i64::MAX),
        ("more rows than the children have", |a| a.length = 4),
        ("an offset beyond the children", |a| a.offset = 1),
        ("a child shorter than the batch", |a| child(a, T).length = 2),
        ("a child of negative length", |a| child(a, N).length = -1),
        ("a child of negative offset", |a| child(a, N).offset = -8),
        ("a child of the greatest length", |a| child(a, N).length = i64::MAX),
        ("no buffers", |a| child(a, N).n_buffers = 0),
        ("a negative number of buffers", |a| child(a, N).n_buffers = -1),
        ("too few buffers", |a| child(a, T).n_buffers = 2),
        ("too many buffers", |a| child(a, B).n_buffers = 3),
        ("the buffers of a struct", |a| a.n_buffers = 2),
        ("too few children", |a| a.n_children = 1),
        ("too many children", |a| a.n_children = 5),
        ("a negative number of children", |a| a.n_children = -4),
        ("children of a leaf", |a| child(a, N).n_children = 1),
        ("a list without its child", |a| child(a, L).n_children = 0),
        ("null children", |a| a.children = null_mut()),
        ("null child", |a| a.children = Box::leak(Box::new([null_mut::<c_void>(); 4])).as_mut_ptr()),
        ("null child of a list", |a| {
            child(a, L).children = Box::leak(Box::new([null_mut::<c_void>(); 1])).as_mut_ptr();
        }),
        ("null buffers", |a| child(a, T).buffers = null_mut()),
        ("a null data buffer", |a| set_buffers(child(a, N), vec![null(), null()])),
        ("a null text buffer", |a| {
            let offsets = buffer(child(a, T), 1);
            set_buffers(child(a, T), vec![null(), offsets, null()]);
        }),
        ("null offsets", |a| {
            let data = buffer(child(a, T), 2);
            set_buffers(child(a, T), vec![null(), null(), data]);
        }),
        ("more nulls than rows", |a| child(a, T).null_count = 4),
        ("a null count below -1", |a| child(a, T).null_count = -2),
        ("a NULL that the count denies", |a| child(a, B).null_count = 0),
        ("a batch with nulls", |a| {
            a.null_count = 1;
            set_buffers(a, vec![Box::leak(Box::new(0b101_u8)) as *const u8 as *const c_void]);
        }),
        ("a negative last offset", |a| set_offsets(child(a, T), [0, 1, 2, -1])),
        ("a negative first offset", |a| set_offsets(child(a, T), [-1, 1, 2, 4])),
        ("misaligned offsets", |a| {
            let (offsets, data) = (buffer(child(a, T), 1), buffer(child(a, T), 2));
            set_buffers(child(a, T), vec![null(), offsets.cast::<u8>().wrapping_add(1).cast(), data]);
        }),
        ("a list beyond its values", |a| set_offsets(child(a, L), [0, 2, 2, 3])),
    ];
    for (what, lie) in lies {
        refused(what, Check::Shape, lie);
        refused(what, Check::Full, lie);
    }
}

#[test]
fn nulls_where_there_can_be_none_are_refused() {
    for check in [Check::Shape, Check::Full] {
        for null_count in [1, -1] {
            let error = import(check, |a| {
                let data = buffer(child(a, N), 1);
                child(a, N).null_count = null_count;
                set_buffers(child(a, N), vec![Box::leak(Box::new(0b101_u8)) as *const u8 as *const c_void, data]);
            })
            .expect_err("a NULL");
            let says = "column 'n' is promised as without NULL and delivered as 1 NULL of 3 rows";
            assert_eq!((error.code(), error.message()), ("wire.promise", says), "{error:?}");
        }
    }
}

/// The batch as one that was promised to be of these types.
fn read_as(promised: Vec<Field>, delivered: ArrayRef) -> crate::Result<RecordBatch> {
    let batch = RecordBatch::try_from_iter_with_nullable([("x", delivered, true)]).expect("a batch");
    let mut raw = ArrowArray::empty();
    export_batch(batch, &mut raw);
    Importer::new(Arc::new(Schema::new(promised)), Check::Full).batch(&mut raw)
}

#[test]
fn nulls_in_what_is_nested_are_refused_with_the_path() {
    let text = |nullable| Field::new("land", DataType::Utf8, nullable);
    let place = |nullable| DataType::Struct(vec![text(nullable)].into());
    let lands: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), None]));
    let nulls = |valid: [bool; 4]| Some(valid.to_vec().into());
    let of = |valid| StructArray::new(vec![text(true)].into(), vec![lands.clone()], valid);
    let promised = || vec![Field::new("x", place(false), true)];
    let error = read_as(promised(), Arc::new(of(nulls([true, true, true, false])))).expect_err("a NULL");
    let says = "column 'x.land' is promised as without NULL and delivered as 1 NULL of 4 values";
    assert_eq!((error.code(), error.message()), ("wire.promise", says));
    // Where there is no place, none has no land.
    read_as(promised(), Arc::new(of(nulls([true, false, true, false])))).expect("none is missing");

    let lists = |element: Field, elements: ArrayRef| {
        ListArray::new(element.into(), OffsetBuffer::from_lengths([1, 3]), elements, None)
    };
    let element = |nullable, t| Field::new("element", t, nullable);
    let delivered = lists(element(true, place(true)), Arc::new(of(None)));
    let promised = DataType::List(element(true, place(false)).into());
    let error = read_as(vec![Field::new("x", promised, true)], Arc::new(delivered)).expect_err("a NULL");
    assert!(error.message().starts_with("column 'x.element.land' is promised as without NULL"), "{error}");
}

#[test]
fn a_batch_that_begins_after_its_columns_is_cut_out_of_them() {
    let (long, importer) = (batch(), Importer::new(batch().schema(), Check::Full).at_most(Some(1000)));
    let columns: Vec<_> = long.columns().iter().map(|c| c.to_data()).collect();
    let fields = DataType::Struct(long.schema().fields().clone());
    let data = arrow_data::ArrayData::builder(fields).len(1).offset(1).child_data(columns).build().expect("a struct");
    let mut raw = ArrowArray::empty();
    // SAFETY: as in `export_batch`.
    unsafe { std::ptr::write(std::ptr::from_mut(&mut raw).cast(), arrow_array::ffi::FFI_ArrowArray::new(&data)) };
    assert_eq!(importer.batch(&mut raw).expect("it is honest"), long.slice(1, 1));
}

#[test]
fn contents_that_lie_are_refused_wherever_they_come_from() {
    let lies: &[Lie] = &[
        ("offsets that go back", |a| set_offsets(child(a, T), [0, 4, 2, 4])),
        ("an offset beyond the text", |a| set_offsets(child(a, T), [0, 100, 2, 4])),
        ("a list whose offsets go back", |a| set_offsets(child(a, L), [0, 2, 1, 2])),
        ("a cut through a character", |a| set_offsets(child(a, T), [0, 3, 4, 4])),
        ("bytes that are no text", |a| {
            let offsets = buffer(child(a, T), 1);
            let bytes: *const u8 = Box::leak(Box::new([b'a', b'b', 0xff, 0xfe])).as_ptr();
            set_buffers(child(a, T), vec![null(), offsets, bytes.cast()]);
        }),
    ];
    for (what, lie) in lies {
        refused(what, Check::Full, lie);
    }
}

#[test]
fn what_was_released_is_refused() {
    let importer = Importer::new(batch().schema(), Check::Shape);
    let error = importer.batch(&mut ArrowArray::empty()).expect_err("an empty struct");
    assert_eq!(error.kind(), ErrorKind::Internal);

    let mut raw = ArrowArray::empty();
    export_batch(batch(), &mut raw);
    importer.batch(&mut raw).expect("the first time");
    assert_eq!(importer.batch(&mut raw).expect_err("the second time").kind(), ErrorKind::Internal);

    // A child that was taken out is marked by its release callback alone; whoever took it frees it.
    refused("a released child", Check::Shape, |a| child(a, T).release = None);
}

unsafe extern "C" fn leak(schema: *mut c_void) {
    // SAFETY: a release callback gets the struct it is in.
    unsafe { (*schema.cast::<ArrowSchema>()).release = None }
}

/// A graph of few structs that is a tree without an end: two children of each level are both the next one.
#[test]
fn a_schema_that_is_at_many_places_at_once_is_refused_soon() {
    let mut level = ArrowSchema { format: c"l".as_ptr(), release: Some(leak), ..ArrowSchema::empty() };
    for _ in 0..60 {
        let next: *mut c_void = Box::into_raw(Box::new(level)).cast();
        let children = Box::leak(Box::new([next; 2])).as_mut_ptr();
        level = ArrowSchema {
            format: c"+s".as_ptr(),
            n_children: 2,
            children,
            release: Some(leak),
            ..ArrowSchema::empty()
        };
    }
    assert_eq!(import_schema(&mut level).expect_err("it is too large").kind(), ErrorKind::Internal);
}

#[test]
fn schemas_that_lie_are_refused() {
    let lies: &[Lie<ArrowSchema>] = &[
        ("no format", |s| s.format = null()),
        ("an unknown format", |s| s.format = c"?".as_ptr()),
        ("no text", |s| s.format = c"\xff\xfe".as_ptr()),
        ("a leaf instead of a struct", |s| s.format = c"l".as_ptr()),
        ("null child", |s| s.children = Box::leak(Box::new([null_mut::<c_void>(); 4])).as_mut_ptr()),
        ("null children", |s| s.children = null_mut()),
        ("a negative number of children", |s| s.n_children = -1),
    ];
    assert_eq!(import_schema(&mut ArrowSchema::empty()).expect_err("empty").kind(), ErrorKind::Internal);
    for (what, lie) in lies {
        let mut raw = ArrowSchema::empty();
        export_schema(&batch().schema(), &mut raw).expect("a schema");
        lie(&mut raw);
        // Arrow frees a schema by the fields that lie here.
        raw.release = Some(leak);
        assert_eq!(import_schema(&mut raw).expect_err(what).kind(), ErrorKind::Internal, "{what}");
    }
}
