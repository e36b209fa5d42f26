//! Conversions between types, by the rules of HCL's specification.

use std::collections::BTreeMap;

use super::{Type, Value, number_text, parse_number};

/// Converts a value to a type.
///
/// # Errors
/// The types do not fit: a sentence without a full stop that says which type is required.
pub(crate) fn convert(value: Value, to: &Type) -> Result<Value, String> {
    let required = || format!("{to} required");
    match (value, to) {
        (value, Type::Dynamic) => Ok(value),
        (Value::Null(_), to) => Ok(Value::Null(to.clone())),
        (value @ Value::Bool(_), Type::Bool)
        | (value @ Value::Number(_), Type::Number)
        | (value @ Value::String(_), Type::String) => Ok(value),
        (Value::Bool(value), Type::String) => Ok(Value::String(value.to_string())),
        (Value::Number(number), Type::String) => Ok(Value::String(number_text(&number))),
        (Value::String(text), Type::Number) => {
            parse_number(&text).map(Value::Number).ok_or_else(|| "a number is required".into())
        }
        (Value::String(text), Type::Bool) => match text.as_str() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err("a bool is required".into()),
        },
        (Value::List(_, values) | Value::Set(_, values) | Value::Tuple(values), Type::List(element)) => {
            let (element, values) = same(values, element)?;
            Ok(Value::List(element, values))
        }
        (Value::List(_, values) | Value::Set(_, values) | Value::Tuple(values), Type::Set(element)) => {
            let (element, values) = same(values, element)?;
            Ok(Value::set(element, values))
        }
        (Value::List(_, values) | Value::Tuple(values), Type::Tuple(kinds)) => {
            if values.len() != kinds.len() {
                return Err(format!("a tuple of {} elements required", kinds.len()));
            }
            let values = values.into_iter().zip(kinds).map(|(value, kind)| convert(value, kind));
            Ok(Value::Tuple(values.collect::<Result<_, _>>()?))
        }
        (Value::Map(_, fields) | Value::Object(fields), Type::Map(element)) => {
            let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
            let (element, values) = same(values, element)?;
            Ok(Value::Map(element, names.into_iter().zip(values).collect()))
        }
        (Value::Map(_, mut from) | Value::Object(mut from), Type::Object { fields, optional }) => {
            let mut object = BTreeMap::new();
            for (name, kind) in fields {
                let value = match from.remove(name) {
                    Some(value) => convert(value, kind).map_err(|why| format!("attribute \"{name}\": {why}"))?,
                    None if optional.contains(name) => Value::Null(kind.clone()),
                    None => return Err(format!("attribute \"{name}\" is required")),
                };
                object.insert(name.clone(), value);
            }
            Ok(Value::Object(object))
        }
        _ => Err(required()),
    }
}

/// Converts the elements of a collection to `element`, or to their common type if any is allowed.
fn same(values: Vec<Value>, element: &Type) -> Result<(Type, Vec<Value>), String> {
    let element = match element {
        Type::Dynamic if values.is_empty() => Type::Dynamic,
        Type::Dynamic => unify(values.iter().map(Value::kind)).ok_or("all elements must have the same type")?,
        element => element.clone(),
    };
    let values = values.into_iter().map(|value| convert(value, &element)).collect::<Result<_, _>>()?;
    Ok((element, values))
}

/// The type to which all of `kinds` convert: the more general of two primitive types, collections of common element
/// types, or `None`.
pub(crate) fn unify(kinds: impl IntoIterator<Item = Type>) -> Option<Type> {
    kinds.into_iter().try_fold(Type::Dynamic, unify_two)
}

fn unify_two(left: Type, right: Type) -> Option<Type> {
    Some(match (left, right) {
        (Type::Dynamic, other) | (other, Type::Dynamic) => other,
        (left, right) if left == right => left,
        (Type::String, Type::Bool | Type::Number) | (Type::Bool | Type::Number, Type::String) => Type::String,
        (Type::Tuple(left), Type::Tuple(right)) if left.len() == right.len() => {
            Type::Tuple(left.into_iter().zip(right).map(|(left, right)| unify_two(left, right)).collect::<Option<_>>()?)
        }
        (Type::Tuple(left), Type::Tuple(right)) => Type::list(unify(left.into_iter().chain(right))?),
        (Type::Tuple(kinds), Type::List(element)) | (Type::List(element), Type::Tuple(kinds)) => {
            Type::list(unify(kinds.into_iter().chain([*element]))?)
        }
        (Type::Tuple(kinds), Type::Set(element)) | (Type::Set(element), Type::Tuple(kinds)) => {
            Type::Set(Box::new(unify(kinds.into_iter().chain([*element]))?))
        }
        (Type::List(left), Type::List(right)) => Type::list(unify_two(*left, *right)?),
        (Type::Set(left), Type::Set(right))
        | (Type::Set(left), Type::List(right))
        | (Type::List(left), Type::Set(right)) => Type::Set(Box::new(unify_two(*left, *right)?)),
        (Type::Map(left), Type::Map(right)) => Type::map(unify_two(*left, *right)?),
        (Type::Object { fields, .. }, Type::Map(element)) | (Type::Map(element), Type::Object { fields, .. }) => {
            Type::map(unify(fields.into_values().chain([*element]))?)
        }
        (Type::Object { fields: left, .. }, Type::Object { fields: mut right, .. }) => {
            if left.len() == right.len() && left.keys().all(|name| right.contains_key(name)) {
                let fields: Option<Vec<_>> = left
                    .into_iter()
                    .map(|(name, kind)| {
                        let other = right.remove(&name).unwrap_or(Type::Dynamic);
                        Some((name, unify_two(kind, other)?))
                    })
                    .collect();
                Type::object(fields?)
            } else {
                Type::map(unify(left.into_values().chain(right.into_values()))?)
            }
        }
        _ => return None,
    })
}
