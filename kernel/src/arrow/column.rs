//! One column: its values and which of them are NULL, in the layout of the Arrow format.

use crate::types::Type;

/// Offsets have 32 bits and a sign.
const OFFSET_MAX: usize = i32::MAX as usize;
/// More room than this is not made before it is needed.
const RESERVED_BYTES_MAX: usize = 1 << 20;

/// A column that grows. Rows that it was not given a value for are filled with NULL when the next value or the end comes.
#[derive(Debug)]
pub struct Column {
    len: usize,
    nulls: usize,
    /// A bit each value, the lowest first; empty as long as no value is NULL.
    validity: Vec<u8>,
    too_long: bool,
    pub data: Data,
}

#[derive(Debug)]
pub enum Data {
    /// Of a column that is NULL in every rule.
    Null,
    /// BIGINT, and TIMESTAMP in microseconds.
    Integer(Vec<i64>),
    Double(Vec<f64>),
    /// A bit each value, the lowest first.
    Boolean(Vec<u8>),
    /// VARCHAR and JSON.
    Text {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
    },
    List {
        offsets: Vec<i32>,
        item: Box<Column>,
    },
    Struct(Vec<Column>),
}

fn set_bit(bits: &mut Vec<u8>, at: usize, value: bool) {
    if at / 8 == bits.len() {
        bits.push(0);
    }
    bits[at / 8] |= (value as u8) << (at % 8);
}

fn repeat_last(offsets: &mut Vec<i32>, len: usize) {
    offsets.resize(len + 1, offsets.last().copied().unwrap_or(0));
}

impl Column {
    pub fn new(kind: &Type) -> Column {
        let data = match kind {
            Type::Null => Data::Null,
            Type::BigInt | Type::Timestamp => Data::Integer(Vec::new()),
            Type::Double => Data::Double(Vec::new()),
            Type::Boolean => Data::Boolean(Vec::new()),
            Type::Varchar | Type::Json => Data::Text { offsets: vec![0], bytes: Vec::new() },
            Type::List(item) => Data::List { offsets: vec![0], item: Box::new(Column::new(item)) },
            Type::Struct(fields) => Data::Struct(fields.iter().map(|(_, kind)| Column::new(kind)).collect()),
        };
        Column { len: 0, nulls: 0, validity: Vec::new(), too_long: false, data }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn nulls(&self) -> usize {
        self.nulls
    }

    /// A bit each value; none where no value is NULL.
    pub fn validity(&self) -> Option<&[u8]> {
        (self.nulls > 0).then_some(&self.validity)
    }

    /// Makes room for as much as another column of this type has.
    pub fn reserve_as(&mut self, other: &Column) {
        let room = |len: usize, size: usize| len.min(RESERVED_BYTES_MAX / size);
        match (&mut self.data, &other.data) {
            (Data::Integer(values), Data::Integer(others)) => values.reserve(room(others.len(), 8)),
            (Data::Double(values), Data::Double(others)) => values.reserve(room(others.len(), 8)),
            (Data::Text { offsets, bytes }, Data::Text { offsets: other_offsets, bytes: other_bytes }) => {
                offsets.reserve(room(other_offsets.len(), 4));
                bytes.reserve(room(other_bytes.len() + other_bytes.len() / 8, 1));
            }
            (Data::List { offsets, item }, Data::List { offsets: other_offsets, item: other_item }) => {
                offsets.reserve(room(other_offsets.len(), 4));
                item.reserve_as(other_item);
            }
            (Data::Struct(fields), Data::Struct(others)) => {
                for (field, other) in fields.iter_mut().zip(others) {
                    field.reserve_as(other);
                }
            }
            _ => {}
        }
    }

    /// Whether a text or a list was left out, since the offsets cannot tell of it.
    pub fn is_too_long(&self) -> bool {
        self.too_long
            || match &self.data {
                Data::List { item, .. } => item.is_too_long(),
                Data::Struct(fields) => fields.iter().any(Column::is_too_long),
                _ => false,
            }
    }

    /// Counts a value that stands in the data.
    pub fn valid(&mut self) {
        if self.nulls > 0 {
            set_bit(&mut self.validity, self.len, true);
        }
        self.len += 1;
    }

    /// Appends NULL until there are so many values.
    pub fn pad_to(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        if self.nulls == 0 {
            self.validity.clear();
            self.validity.resize(self.len / 8, u8::MAX);
            if !self.len.is_multiple_of(8) {
                self.validity.push((1 << (self.len % 8)) - 1);
            }
        }
        self.validity.resize(len.div_ceil(8), 0);
        self.nulls += len - self.len;
        self.len = len;
        match &mut self.data {
            Data::Null => {}
            Data::Integer(values) => values.resize(len, 0),
            Data::Double(values) => values.resize(len, 0.0),
            Data::Boolean(bits) => bits.resize(len.div_ceil(8), 0),
            Data::Text { offsets, .. } | Data::List { offsets, .. } => repeat_last(offsets, len),
            Data::Struct(fields) => fields.iter_mut().for_each(|field| field.pad_to(len)),
        }
    }

    pub fn null(&mut self) {
        self.pad_to(self.len + 1);
    }

    /// Appends an integer, or NULL where the column is of another type.
    pub fn integer(&mut self, value: i64) {
        match &mut self.data {
            Data::Integer(values) => values.push(value),
            _ => return self.null(),
        }
        self.valid();
    }

    /// Appends a double, or NULL where the column is of another type.
    pub fn double(&mut self, value: f64) {
        match &mut self.data {
            Data::Double(values) => values.push(value),
            _ => return self.null(),
        }
        self.valid();
    }

    /// Appends a boolean, or NULL where the column is of another type.
    pub fn boolean(&mut self, value: bool) {
        match &mut self.data {
            Data::Boolean(bits) => set_bit(bits, self.len, value),
            _ => return self.null(),
        }
        self.valid();
    }

    /// Appends a text, or NULL where the column is of another type or the text finds no place.
    pub fn text(&mut self, text: &[u8]) {
        match &mut self.data {
            Data::Text { offsets, bytes } if text.len() <= OFFSET_MAX - bytes.len() => {
                bytes.extend_from_slice(text);
                offsets.push(bytes.len() as i32);
            }
            other => {
                self.too_long |= matches!(other, Data::Text { .. });
                return self.null();
            }
        }
        self.valid();
    }

    /// Ends a list whose items were appended to its item's column; NULL where they are too many.
    pub fn end_list(&mut self) {
        match &mut self.data {
            Data::List { offsets, item } if item.len <= OFFSET_MAX => offsets.push(item.len as i32),
            other => {
                self.too_long |= matches!(other, Data::List { .. });
                return self.null();
            }
        }
        self.valid();
    }

    /// Ends a struct of which some fields were appended to their columns.
    pub fn end_struct(&mut self) {
        match &mut self.data {
            Data::Struct(fields) => fields.iter_mut().for_each(|field| field.pad_to(self.len + 1)),
            _ => return self.null(),
        }
        self.valid();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(column: &Column) -> Vec<bool> {
        let bit = |bits: &[u8], at: usize| bits[at / 8] >> (at % 8) & 1 == 1;
        (0..column.len()).map(|at| column.validity().is_none_or(|bits| bit(bits, at))).collect()
    }

    #[test]
    fn nulls_stand_wherever_no_value_does() {
        for before in 0..20 {
            for nulls in 0..20 {
                for after in 0..10 {
                    let mut column = Column::new(&Type::BigInt);
                    (0..before).for_each(|value| column.integer(value));
                    column.pad_to((before + nulls) as usize);
                    (0..after).for_each(|value| column.integer(value));
                    let expected =
                        [vec![true; before as usize], vec![false; nulls as usize], vec![true; after as usize]].concat();
                    assert_eq!(valid(&column), expected);
                    assert_eq!(column.nulls(), nulls as usize);
                    let Data::Integer(values) = &column.data else { panic!() };
                    assert_eq!(values.len(), expected.len());
                    assert_eq!(column.validity().map(<[u8]>::len), (nulls > 0).then_some(expected.len().div_ceil(8)));
                }
            }
        }
    }

    #[test]
    fn fields_and_items_are_filled_up() {
        let inner = Type::Struct(vec![("a".into(), Type::Boolean), ("b".into(), Type::List(Box::new(Type::Varchar)))]);
        let mut column = Column::new(&inner);
        column.pad_to(2);
        let Data::Struct(fields) = &mut column.data else { panic!() };
        fields[0].boolean(true);
        column.end_struct();
        let Data::Struct(fields) = &mut column.data else { panic!() };
        let Data::List { item, .. } = &mut fields[1].data else { panic!() };
        item.text(b"x");
        item.null();
        fields[1].pad_to(3);
        fields[1].end_list();
        column.end_struct();
        column.pad_to(5);
        assert_eq!(valid(&column), [false, false, true, true, false]);
        let Data::Struct(fields) = &column.data else { panic!() };
        assert_eq!(valid(&fields[0]), [false, false, true, false, false]);
        let Data::List { offsets, item } = &fields[1].data else { panic!() };
        assert_eq!(offsets, &[0, 0, 0, 0, 2, 2]);
        assert_eq!((valid(&fields[1]), valid(item)), (vec![false, false, false, true, false], vec![true, false]));
    }

    #[test]
    fn a_value_of_another_type_is_null() {
        for kind in [Type::Null, Type::BigInt, Type::Double, Type::Boolean, Type::Varchar, Type::Struct(vec![])] {
            let mut column = Column::new(&kind);
            column.integer(1);
            column.double(1.0);
            column.boolean(true);
            column.text(b"x");
            column.end_list();
            column.end_struct();
            assert_eq!((column.len(), column.nulls()), (6, if kind == Type::Null { 6 } else { 5 }), "{kind}");
            assert!(!column.is_too_long());
        }
    }
}
