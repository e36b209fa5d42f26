//! Operations on values for operators, indices and functions.

use num_traits::Zero;

use super::{Number, Type, Value, convert, whole};

/// The longest text that a template or function returns or a function takes, in bytes. Variables that contain other variables twice double
/// with each of them.
const MAX_TEXT: usize = 1 << 20;

/// Checks the length of a text before it is made.
///
/// # Errors
/// If it is longer than `MAX_TEXT`.
pub(crate) fn check_length(length: usize) -> Result<(), String> {
    if length > MAX_TEXT { Err(format!("a text is longer than {} MiB", MAX_TEXT >> 20)) } else { Ok(()) }
}

/// Whether two values are equal. Values of different types are not equal; all nulls are.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null(_), Value::Null(_)) => true,
        _ => left == right,
    }
}

pub(crate) fn divide(left: &Number, right: &Number) -> Result<Number, String> {
    if right.is_zero() {
        return Err("division by zero".into());
    }
    Ok((left / right).with_prec(150))
}

pub(crate) fn remainder(left: &Number, right: &Number) -> Result<Number, String> {
    if right.is_zero() {
        return Err("remainder of a division by zero".into());
    }
    Ok(left % right)
}

/// The element of a collection at an index or key.
pub(crate) fn element(value: Value, index: &Value) -> Result<Value, String> {
    if index.is_null() {
        return Err("an index is null".into());
    }
    match value {
        Value::Null(_) => Err("cannot index null".into()),
        Value::List(_, values) | Value::Tuple(values) => {
            let Value::Number(number) = convert(index.clone(), &Type::Number)? else {
                return Err("an index is null".into());
            };
            let position = whole(&number).and_then(|position| usize::try_from(position).ok());
            let length = values.len();
            position
                .and_then(|position| values.into_iter().nth(position))
                .ok_or_else(|| format!("index {} is outside of a list of {length} elements", number.normalized()))
        }
        Value::Map(_, mut fields) | Value::Object(mut fields) => {
            let Value::String(name) = convert(index.clone(), &Type::String)? else {
                return Err("an index is null".into());
            };
            fields.remove(&name).ok_or_else(|| format!("there is no element with the key \"{name}\""))
        }
        other => Err(format!("a {} has no elements", other.kind())),
    }
}
