//! The types of fields and columns, as physical rules write them.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// The type of a bare NULL. It stands where any type is asked for.
    Null,
    BigInt,
    Double,
    Boolean,
    Varchar,
    /// Microseconds since 1970, UTC.
    Timestamp,
    Json,
    List(Box<Type>),
    Struct(Vec<(String, Type)>),
}

impl Type {
    /// Whether a value of type `self` may stand where `other` is asked for.
    pub fn fits(&self, other: &Type) -> bool {
        *self == Type::Null || self == other
    }

    /// Whether `eq`, `lt` and their like take it.
    pub fn comparable(&self) -> bool {
        !matches!(self, Type::Json | Type::List(_) | Type::Struct(_))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Null => f.write_str("NULL"),
            Type::BigInt => f.write_str("BIGINT"),
            Type::Double => f.write_str("DOUBLE"),
            Type::Boolean => f.write_str("BOOLEAN"),
            Type::Varchar => f.write_str("VARCHAR"),
            Type::Timestamp => f.write_str("TIMESTAMP"),
            Type::Json => f.write_str("JSON"),
            Type::List(item) => write!(f, "{item}[]"),
            Type::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (index, (name, inner)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}\"{name}\" {inner}")?;
                }
                f.write_str(")")
            }
        }
    }
}
