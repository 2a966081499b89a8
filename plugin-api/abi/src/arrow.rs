//! The two structs of the Arrow C Data Interface, declared here so that the ABI depends on no arrow crate.
//! They know nothing of their contents: import and export live in `rivet-plugin-api`.

use core::ffi::{c_char, c_void};
use core::ptr::{null, null_mut};

use abi_stable::StableAbi;

/// `struct ArrowSchema` of the Arrow C Data Interface specification.
#[repr(C)]
#[derive(StableAbi)]
pub struct ArrowSchema {
    /// Type in the specification's format language, NUL terminated.
    pub format: *const c_char,
    /// Field name, NUL terminated, or null.
    pub name: *const c_char,
    /// Key-value metadata in the specification's binary encoding, or null.
    pub metadata: *const c_char,
    /// Bit set of the specification's flags (dictionary ordered, nullable, map keys sorted).
    pub flags: i64,
    /// Number of child types.
    pub n_children: i64,
    /// Pointers to the child schemas.
    pub children: *mut *mut c_void,
    /// The dictionary's value type, or null.
    pub dictionary: *mut c_void,
    /// Frees everything the struct owns and sets itself to `None`.
    pub release: Option<unsafe extern "C" fn(*mut c_void)>,
    /// Owned by the producer.
    pub private_data: *mut c_void,
}

/// `struct ArrowArray` of the Arrow C Data Interface specification. A batch travels as one struct array.
#[repr(C)]
#[derive(StableAbi)]
pub struct ArrowArray {
    /// Number of rows.
    pub length: i64,
    /// Number of nulls, or -1 when not computed.
    pub null_count: i64,
    /// First row, 0-based, within the buffers.
    pub offset: i64,
    /// Number of buffers.
    pub n_buffers: i64,
    /// Number of child arrays.
    pub n_children: i64,
    /// Pointers to the buffers.
    pub buffers: *mut *const c_void,
    /// Pointers to the child arrays.
    pub children: *mut *mut c_void,
    /// The dictionary's values, or null.
    pub dictionary: *mut c_void,
    /// Frees everything the struct owns and sets itself to `None`.
    pub release: Option<unsafe extern "C" fn(*mut c_void)>,
    /// Owned by the producer.
    pub private_data: *mut c_void,
}

impl ArrowSchema {
    /// A released schema: what a callee fills in.
    pub const fn empty() -> Self {
        Self {
            format: null(),
            name: null(),
            metadata: null(),
            flags: 0,
            n_children: 0,
            children: null_mut(),
            dictionary: null_mut(),
            release: None,
            private_data: null_mut(),
        }
    }
}

impl ArrowArray {
    /// A released array: what a callee fills in.
    pub const fn empty() -> Self {
        Self {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: null_mut(),
            children: null_mut(),
            dictionary: null_mut(),
            release: None,
            private_data: null_mut(),
        }
    }
}

macro_rules! released_on_drop {
    ($name:ident) => {
        impl Drop for $name {
            fn drop(&mut self) {
                if let Some(release) = self.release {
                    // SAFETY: a set callback means the struct still owns its contents (C Data Interface).
                    unsafe { release(core::ptr::from_mut(self).cast()) }
                }
            }
        }
        // SAFETY: the C Data Interface lets a struct move between threads; it is not shared.
        unsafe impl Send for $name {}
    };
}
released_on_drop!(ArrowSchema);
released_on_drop!(ArrowArray);
