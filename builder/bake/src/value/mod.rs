//! Values of bake's language and their types.
//!
//! *Takes* nothing. *Gives* values that know their type, as HCL's specification describes them. *Must never know*
//! expressions, files or targets.

mod convert;
mod json;
mod number;
mod operations;
mod types;

use std::collections::BTreeMap;

/// The fewest fields in a node of a map, but for the only one: half of its capacity of 11.
const LEAST_IN_NODE: usize = 5;
/// The size of a node of a map, in bytes, whatever the number of its fields.
const NODE: u64 = 11 * (size_of::<String>() + size_of::<Value>()) as u64;

pub(crate) use convert::{convert, unify};
pub(crate) use json::{from_json, from_json_as, json_text};
pub(crate) use number::{MAX_DIGITS, Number, bounded, number_text, parse_number, whole, whole_big};
pub(crate) use operations::{check_length, divide, element, equal, remainder};
pub(crate) use types::Type;

/// A value of an expression.
///
/// Keys of maps and objects are in the order of their bytes, which is the order in which buildx visits them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Null of a type.
    Null(Type),
    /// `true` or `false`.
    Bool(bool),
    /// A decimal number.
    Number(Number),
    /// Text.
    String(String),
    /// A sequence of values of one type.
    List(Type, Vec<Value>),
    /// Different values of one type, in the order of their texts.
    Set(Type, Vec<Value>),
    /// A sequence of values of any types.
    Tuple(Vec<Value>),
    /// Values of one type by name.
    Map(Type, BTreeMap<String, Value>),
    /// Values of any types by name.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Null without a type.
    pub(crate) const NULL: Value = Value::Null(Type::Dynamic);

    /// The number of a length or an index.
    pub(crate) fn count(number: usize) -> Value {
        Value::Number(Number::from(number as u64))
    }

    /// A list of strings.
    pub(crate) fn strings<I: IntoIterator<Item = S>, S: Into<String>>(texts: I) -> Value {
        Value::List(Type::String, texts.into_iter().map(|text| Value::String(text.into())).collect())
    }

    /// A set. Equal values are kept once.
    pub(crate) fn set(element: Type, values: Vec<Value>) -> Value {
        let mut different: Vec<Value> = Vec::with_capacity(values.len());
        for value in values {
            if !different.contains(&value) {
                different.push(value);
            }
        }
        different.sort_by(set_order);
        Value::Set(element, different)
    }

    /// The type of the value.
    pub(crate) fn kind(&self) -> Type {
        match self {
            Value::Null(kind) => kind.clone(),
            Value::Bool(_) => Type::Bool,
            Value::Number(_) => Type::Number,
            Value::String(_) => Type::String,
            Value::List(element, _) => Type::List(Box::new(element.clone())),
            Value::Set(element, _) => Type::Set(Box::new(element.clone())),
            Value::Map(element, _) => Type::Map(Box::new(element.clone())),
            Value::Tuple(values) => Type::Tuple(values.iter().map(Value::kind).collect()),
            Value::Object(fields) => Type::object(fields.iter().map(|(name, value)| (name.clone(), value.kind()))),
        }
    }

    /// The approximate size of the value in bytes; `None` if it is nested more than `depth` deep.
    pub(crate) fn size(&self, depth: usize) -> Option<u64> {
        let depth = depth.checked_sub(1)?;
        let own = size_of::<Value>() as u64;
        match self {
            Value::Null(_) | Value::Bool(_) => Some(own),
            Value::Number(number) => Some(own + number.digits()),
            Value::String(text) => Some(own + text.len() as u64),
            Value::List(_, values) | Value::Set(_, values) | Value::Tuple(values) => {
                values.iter().try_fold(own, |sum, value| Some(sum + value.size(depth)?))
            }
            Value::Map(_, fields) | Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| Some(name.len() as u64 + value.size(depth)?);
                let nodes = fields.len().div_ceil(LEAST_IN_NODE) as u64 * NODE;
                fields.iter().try_fold(own + nodes, |sum, entry| Some(sum + field(entry)?))
            }
        }
    }

    /// Whether this is null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null(_))
    }

    /// The elements of a list, set or tuple.
    pub(crate) fn elements(&self) -> Option<&[Value]> {
        match self {
            Value::List(_, values) | Value::Set(_, values) | Value::Tuple(values) => Some(values),
            _ => None,
        }
    }

    /// The fields of a map or object.
    pub(crate) fn fields(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Value::Map(_, fields) | Value::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// The pairs that a `for` visits: index or key, and value. A set has its values as keys.
    pub(crate) fn pairs(&self) -> Option<Vec<(Value, Value)>> {
        match self {
            Value::List(_, values) | Value::Tuple(values) => {
                Some(values.iter().enumerate().map(|(index, value)| (Value::count(index), value.clone())).collect())
            }
            Value::Set(_, values) => Some(values.iter().map(|value| (value.clone(), value.clone())).collect()),
            Value::Map(_, fields) | Value::Object(fields) => {
                Some(fields.iter().map(|(name, value)| (Value::String(name.clone()), value.clone())).collect())
            }
            _ => None,
        }
    }
}

/// The order of a set's elements: numbers and texts by their values, others by their JSON.
fn set_order(left: &Value, right: &Value) -> std::cmp::Ordering {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => json_text(left).cmp(&json_text(right)),
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node of a map has room for 11 fields. Objects of one field are mostly such room.
    #[test]
    fn the_size_of_objects_includes_the_room_of_their_nodes() {
        let object =
            |fields: usize| Value::Object((0..fields).map(|field| (field.to_string(), Value::Bool(true))).collect());
        let field = (size_of::<String>() + size_of::<Value>()) as u64;
        assert!(object(1).size(9).unwrap() >= 11 * field);
        assert!(object(1000).size(9).unwrap() >= 1000 * field);
        assert!(object(1000).size(9).unwrap() <= 4000 * field);
    }
}
