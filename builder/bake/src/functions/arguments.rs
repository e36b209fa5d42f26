//! Arguments as Rust's types.

use crate::value::{Number, Type, Value, convert, unify, whole};

/// Takes the arguments of a function of fixed arity.
pub(super) fn take<const N: usize>(arguments: Vec<Value>) -> Result<[Value; N], String> {
    arguments.try_into().map_err(|given: Vec<Value>| format!("takes {N} arguments, not {}", given.len()))
}

pub(super) fn text(value: Value) -> Result<String, String> {
    match convert(value, &Type::String)? {
        Value::String(text) => Ok(text),
        _ => Err("an argument is null".into()),
    }
}

pub(super) fn number(value: Value) -> Result<Number, String> {
    match convert(value, &Type::Number)? {
        Value::Number(number) => Ok(number),
        _ => Err("an argument is null".into()),
    }
}

pub(super) fn boolean(value: Value) -> Result<bool, String> {
    match convert(value, &Type::Bool)? {
        Value::Bool(value) => Ok(value),
        _ => Err("an argument is null".into()),
    }
}

pub(super) fn integer(value: Value) -> Result<i64, String> {
    let number = number(value)?;
    whole(&number).ok_or_else(|| format!("a whole number is required, not {}", number.normalized()))
}

/// A whole number that is not negative.
pub(super) fn size(value: Value) -> Result<usize, String> {
    usize::try_from(integer(value)?).map_err(|_| "a number that is not negative is required".into())
}

/// The strings of a list.
pub(super) fn texts(value: Value) -> Result<Vec<String>, String> {
    let Value::List(_, values) = convert(value, &Type::list(Type::String))? else {
        return Err("an argument is null".into());
    };
    let null = |position: usize| format!("element {position} is null");
    values.into_iter().enumerate().map(|(position, value)| text(value).map_err(|_| null(position))).collect()
}

/// The elements of a list or tuple, and whether it is a list.
pub(super) fn sequence(value: Value) -> Result<(bool, Vec<Value>), String> {
    match value {
        Value::List(_, values) => Ok((true, values)),
        Value::Tuple(values) => Ok((false, values)),
        other => Err(format!("a list is required, not {}", other.kind())),
    }
}

/// A list of the elements' common type.
pub(super) fn list_of(values: Vec<Value>) -> Result<Value, String> {
    convert(Value::Tuple(values), &Type::list(Type::Dynamic))
}

/// A list if the elements have a common type, else a tuple.
pub(super) fn sequence_of(list: bool, values: Vec<Value>) -> Value {
    match unify(values.iter().map(Value::kind)) {
        Some(element) if list => Value::List(element, values),
        _ => Value::Tuple(values),
    }
}

/// The largest total size of the elements that a function returns, in bytes: names of columns or groups are repeated in each.
const MAX_ELEMENTS: u64 = 64 << 20;

/// Collects the elements that a function returns.
///
/// # Errors
/// The first error, or if the values take more than `MAX_ELEMENTS`.
pub(super) fn bounded(values: impl Iterator<Item = Result<Value, String>>) -> Result<Vec<Value>, String> {
    let (mut collected, mut left) = (Vec::new(), MAX_ELEMENTS);
    for value in values {
        let value = value?;
        let size = value.size(usize::MAX).unwrap_or(u64::MAX);
        left =
            left.checked_sub(size).ok_or_else(|| format!("the result takes more than {} MiB", MAX_ELEMENTS >> 20))?;
        collected.push(value);
    }
    Ok(collected)
}
