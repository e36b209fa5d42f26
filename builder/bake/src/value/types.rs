//! Types of values and their constraints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The type of a value, or a constraint on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Any type.
    Dynamic,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// Text.
    String,
    /// A sequence of one type.
    List(Box<Type>),
    /// Different values of one type.
    Set(Box<Type>),
    /// Values of one type by name.
    Map(Box<Type>),
    /// One type for each position.
    Tuple(Vec<Type>),
    /// One type for each name.
    Object {
        /// The type of each field.
        fields: BTreeMap<String, Type>,
        /// Fields that a value may lack. They are null then.
        optional: BTreeSet<String>,
    },
}

impl Type {
    /// An object all of whose fields are required.
    pub(crate) fn object(fields: impl IntoIterator<Item = (String, Type)>) -> Type {
        Type::Object { fields: fields.into_iter().collect(), optional: BTreeSet::new() }
    }

    /// An object whose fields may all be absent.
    pub(crate) fn optional_fields<const N: usize>(fields: [(&str, Type); N]) -> Type {
        let fields: BTreeMap<String, Type> = fields.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
        let optional = fields.keys().cloned().collect();
        Type::Object { fields, optional }
    }

    /// A list of `element`.
    pub(crate) fn list(element: Type) -> Type {
        Type::List(Box::new(element))
    }

    /// A map of `element`.
    pub(crate) fn map(element: Type) -> Type {
        Type::Map(Box::new(element))
    }

    /// Whether this is `string`, `number` or `bool`.
    pub(crate) fn is_primitive(&self) -> bool {
        matches!(self, Type::Bool | Type::Number | Type::String)
    }

    /// The type of a collection's elements.
    pub(crate) fn element(&self) -> Option<&Type> {
        match self {
            Type::List(element) | Type::Set(element) | Type::Map(element) => Some(element),
            _ => None,
        }
    }
}

/// Shows the type as buildx names a constraint: `list of string`.
impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |name: &str, element: &Type, out: &mut fmt::Formatter<'_>| match element {
            Type::Dynamic => write!(out, "{name} of any single type"),
            element => write!(out, "{name} of {element}"),
        };
        match self {
            Type::Dynamic => out.write_str("any type"),
            Type::Bool => out.write_str("bool"),
            Type::Number => out.write_str("number"),
            Type::String => out.write_str("string"),
            Type::List(element) => of("list", element, out),
            Type::Set(element) => of("set", element, out),
            Type::Map(element) => of("map", element, out),
            Type::Tuple(_) => out.write_str("tuple"),
            Type::Object { .. } => out.write_str("object"),
        }
    }
}
