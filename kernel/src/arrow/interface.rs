//! The Arrow C data interface and C stream interface.
//!
//! What is exported holds a share of the rows and lets go of it when its consumer calls `release`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;

use super::table::Table;
use super::{Column, Data, Rows};
use crate::types::Type;

const FLAG_NULLABLE: i64 = 2;

/// `struct ArrowSchema`
#[repr(C)]
pub struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    private_data: *mut c_void,
}

/// `struct ArrowArray`
#[repr(C)]
pub struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    private_data: *mut c_void,
}

/// `struct ArrowArrayStream`
#[repr(C)]
pub struct ArrowArrayStream {
    get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    private_data: *mut c_void,
}

// SAFETY: the pointers lead to what the structure owns itself, or to rows, which are immutable and shared by `Arc`.
unsafe impl Send for ArrowSchema {}
// SAFETY: as above.
unsafe impl Send for ArrowArray {}
// SAFETY: as above.
unsafe impl Send for ArrowArrayStream {}

/// What an `ArrowSchema` owns.
struct SchemaParts {
    _format: &'static CStr,
    name: CString,
    children: Vec<*mut ArrowSchema>,
}

/// What an `ArrowArray` owns.
struct ArrayParts {
    _rows: Arc<Rows>,
    buffers: Vec<*const c_void>,
    children: Vec<*mut ArrowArray>,
}

struct StreamParts {
    table: Arc<Table>,
    rows: Option<Arc<Rows>>,
}

/// Stands for buffers without a byte, whose own pointers lead nowhere.
#[repr(align(64))]
struct Empty([u8; 64]);
static EMPTY: Empty = Empty([0; 64]);

fn buffer<T>(values: &[T]) -> *const c_void {
    if values.is_empty() { EMPTY.0.as_ptr().cast() } else { values.as_ptr().cast() }
}

impl ArrowSchema {
    /// The schema of a table: a struct of its columns.
    pub fn of(table: &Table) -> ArrowSchema {
        let children = table.columns.iter().map(|(name, kind)| ArrowSchema::of_field(name, kind, FLAG_NULLABLE));
        ArrowSchema::new(c"+s", "", 0, children.collect())
    }

    fn of_field(name: &str, kind: &Type, flags: i64) -> ArrowSchema {
        let inner = |name: &str, kind: &Type| ArrowSchema::of_field(name, kind, FLAG_NULLABLE);
        let (format, children) = match kind {
            Type::Null => (c"n", Vec::new()),
            Type::BigInt => (c"l", Vec::new()),
            Type::Double => (c"g", Vec::new()),
            Type::Boolean => (c"b", Vec::new()),
            Type::Varchar | Type::Json => (c"u", Vec::new()),
            Type::Timestamp => (c"tsu:UTC", Vec::new()),
            Type::List(item) => (c"+l", vec![inner("item", item)]),
            Type::Struct(fields) => (c"+s", fields.iter().map(|(name, kind)| inner(name, kind)).collect()),
        };
        ArrowSchema::new(format, name, flags, children)
    }

    fn new(format: &'static CStr, name: &str, flags: i64, children: Vec<ArrowSchema>) -> ArrowSchema {
        // Linking refuses names with a NUL.
        let name = CString::new(name).unwrap_or_default();
        let children = children.into_iter().map(|child| Box::into_raw(Box::new(child))).collect();
        let mut parts = Box::new(SchemaParts { _format: format, name, children });
        ArrowSchema {
            format: format.as_ptr(),
            name: parts.name.as_ptr(),
            metadata: null(),
            flags,
            n_children: parts.children.len() as i64,
            children: parts.children.as_mut_ptr(),
            dictionary: null_mut(),
            release: Some(release_schema),
            private_data: Box::into_raw(parts).cast(),
        }
    }
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: by the interface it is called once for a schema of `ArrowSchema::new`, whose private data is `SchemaParts`. Its
    // children are boxes of its own, of which a consumer may have moved the content out, their `release` then being null.
    unsafe {
        let parts = Box::from_raw((*schema).private_data.cast::<SchemaParts>());
        parts.children.iter().for_each(|child| drop(Box::from_raw(*child)));
        (*schema).release = None;
    }
}

impl Drop for ArrowSchema {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it was not released yet.
            unsafe { release(self) };
        }
    }
}

impl ArrowArray {
    /// The rows as a struct of their columns, without copying.
    pub fn of(rows: &Arc<Rows>) -> ArrowArray {
        let children = rows.columns.iter().map(|column| ArrowArray::of_column(rows, column));
        ArrowArray::new(rows, rows.count, 0, vec![null()], children.collect())
    }

    fn of_column(rows: &Arc<Rows>, column: &Column) -> ArrowArray {
        let validity = column.validity().map_or(null(), buffer);
        let (buffers, children) = match &column.data {
            Data::Null => (Vec::new(), Vec::new()),
            Data::Integer(values) => (vec![validity, buffer(values)], Vec::new()),
            Data::Double(values) => (vec![validity, buffer(values)], Vec::new()),
            Data::Boolean(bits) => (vec![validity, buffer(bits)], Vec::new()),
            Data::Text { offsets, bytes } => (vec![validity, buffer(offsets), buffer(bytes)], Vec::new()),
            Data::List { offsets, item } => (vec![validity, buffer(offsets)], vec![ArrowArray::of_column(rows, item)]),
            Data::Struct(fields) => (vec![validity], fields.iter().map(|field| ArrowArray::of_column(rows, field)).collect()),
        };
        ArrowArray::new(rows, column.len(), column.nulls(), buffers, children)
    }

    fn new(rows: &Arc<Rows>, len: usize, nulls: usize, buffers: Vec<*const c_void>, children: Vec<ArrowArray>) -> ArrowArray {
        let children = children.into_iter().map(|child| Box::into_raw(Box::new(child))).collect();
        let mut parts = Box::new(ArrayParts { _rows: rows.clone(), buffers, children });
        ArrowArray {
            length: len as i64,
            null_count: nulls as i64,
            offset: 0,
            n_buffers: parts.buffers.len() as i64,
            n_children: parts.children.len() as i64,
            buffers: parts.buffers.as_mut_ptr(),
            children: parts.children.as_mut_ptr(),
            dictionary: null_mut(),
            release: Some(release_array),
            private_data: Box::into_raw(parts).cast(),
        }
    }
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    // SAFETY: as in `release_schema`: called once for an array of `ArrowArray::new`, whose private data is `ArrayParts`.
    unsafe {
        let parts = Box::from_raw((*array).private_data.cast::<ArrayParts>());
        parts.children.iter().for_each(|child| drop(Box::from_raw(*child)));
        (*array).release = None;
    }
}

impl Drop for ArrowArray {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it was not released yet.
            unsafe { release(self) };
        }
    }
}

impl ArrowArrayStream {
    /// A stream of one batch.
    pub fn of(table: &Arc<Table>, rows: &Arc<Rows>) -> ArrowArrayStream {
        let parts = Box::new(StreamParts { table: table.clone(), rows: Some(rows.clone()) });
        ArrowArrayStream {
            get_schema: Some(stream_schema),
            get_next: Some(stream_next),
            get_last_error: Some(stream_error),
            release: Some(release_stream),
            private_data: Box::into_raw(parts).cast(),
        }
    }
}

unsafe extern "C" fn stream_schema(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    // SAFETY: by the interface the stream is not released, so its private data is `StreamParts`; `out` is writable, not initialised.
    unsafe {
        let parts = &*(*stream).private_data.cast::<StreamParts>();
        out.write(ArrowSchema::of(&parts.table));
    }
    0
}

unsafe extern "C" fn stream_next(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    // SAFETY: as in `stream_schema`; nobody else uses the stream meanwhile. All zero is what the interface calls a released array,
    // which ends the stream, and is valid: null pointers, no function.
    unsafe {
        let parts = &mut *(*stream).private_data.cast::<StreamParts>();
        out.write(parts.rows.take().map_or_else(|| std::mem::zeroed(), |rows| ArrowArray::of(&rows)));
    }
    0
}

/// No call fails, so there is nothing to tell.
unsafe extern "C" fn stream_error(_: *mut ArrowArrayStream) -> *const c_char {
    null()
}

unsafe extern "C" fn release_stream(stream: *mut ArrowArrayStream) {
    // SAFETY: called once for a stream of `ArrowArrayStream::of`, whose private data is `StreamParts`.
    unsafe {
        drop(Box::from_raw((*stream).private_data.cast::<StreamParts>()));
        (*stream).release = None;
    }
}

impl Drop for ArrowArrayStream {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it was not released yet.
            unsafe { release(self) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> (Arc<Table>, Arc<Rows>) {
        let kind = Type::Struct(vec![("a".into(), Type::List(Box::new(Type::Varchar))), ("b".into(), Type::Null)]);
        let table = Table { dataset: 0, columns: vec![("s".into(), kind), ("i".into(), Type::BigInt)] };
        let mut rows = Rows::new(&table, None);
        rows.columns[1].integer(7);
        rows.count = 2;
        rows.finish();
        (Arc::new(table), Arc::new(rows))
    }

    /// Takes a structure over as a consumer does: its own `release` is null then.
    fn moved(from: &mut ArrowArray) -> ArrowArray {
        // SAFETY: all zero is a released array.
        std::mem::replace(from, unsafe { std::mem::zeroed() })
    }

    #[test]
    fn rows_are_held_until_all_is_released() {
        let (_, rows) = rows();
        let array = ArrowArray::of(&rows);
        let (len, nulls, children) = (array.length, array.null_count, array.n_children);
        assert_eq!((len, nulls, children, array.n_buffers), (2, 0, 2, 1));
        // The struct, its two columns, and in the first one the list, its items and the NULLs.
        assert_eq!(Arc::strong_count(&rows), 1 + 6);
        // SAFETY: there are two children, and the first has two of its own.
        let child = unsafe { moved(&mut **(**array.children).children) };
        drop(array);
        assert_eq!(Arc::strong_count(&rows), 1 + 2);
        drop(child);
        assert_eq!(Arc::strong_count(&rows), 1);
    }

    #[test]
    fn a_column_is_where_the_kernel_wrote_it() {
        let (_, rows) = rows();
        let array = ArrowArray::of(&rows);
        let Data::Integer(values) = &rows.columns[1].data else { panic!() };
        // SAFETY: the second child is a column of integers with two buffers.
        let (length, nulls, buffers) = unsafe {
            let child = &**array.children.add(1);
            (child.length, child.null_count, [*child.buffers, *child.buffers.add(1)])
        };
        assert_eq!((length, nulls), (2, 1));
        assert_eq!(buffers[1], values.as_ptr().cast());
        assert_eq!(rows.columns[1].validity().map(<[u8]>::as_ptr), Some(buffers[0].cast()));
    }

    #[test]
    fn a_stream_gives_the_rows_once() {
        let (table, rows) = rows();
        let mut stream = ArrowArrayStream::of(&table, &rows);
        let next = |stream: &mut ArrowArrayStream| {
            let mut out = std::mem::MaybeUninit::uninit();
            // SAFETY: the stream is not released, and what it writes is an array.
            unsafe {
                assert_eq!(stream.get_next.unwrap()(stream, out.as_mut_ptr()), 0);
                out.assume_init()
            }
        };
        assert!(next(&mut stream).release.is_some());
        assert!(next(&mut stream).release.is_none());
        drop(stream);
        assert_eq!((Arc::strong_count(&rows), Arc::strong_count(&table)), (1, 1));
        drop(ArrowArrayStream::of(&table, &rows));
        assert_eq!((Arc::strong_count(&rows), Arc::strong_count(&table)), (1, 1));
    }

    #[test]
    fn a_schema_says_each_column() {
        fn said(schema: &ArrowSchema) -> String {
            // SAFETY: the texts end in NUL, and there are so many children.
            unsafe {
                let text = |text| CStr::from_ptr(text).to_str().unwrap();
                let children: Vec<String> = (0..schema.n_children as usize).map(|at| said(&**schema.children.add(at))).collect();
                format!("{}:{}({})", text(schema.name), text(schema.format), children.join(","))
            }
        }
        assert_eq!(said(&ArrowSchema::of(&rows().0)), ":+s(s:+s(a:+l(item:u()),b:n()),i:l())");
    }
}
