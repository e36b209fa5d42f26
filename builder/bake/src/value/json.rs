//! Values from and to JSON.

use serde_json::Value as Json;

use crate::print::go_json;

use super::{Number, Type, Value, convert, number_text, parse_number};

/// The value of a JSON document: arrays are tuples, objects are objects.
pub(crate) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::NULL,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(parse_number(&number.to_string()).unwrap_or_else(|| Number::from(0))),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(values) => Value::Tuple(values.iter().map(from_json).collect()),
        Json::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), from_json(value))).collect())
        }
    }
}

/// Reads JSON text as a value of a type.
///
/// # Errors
/// The text is not JSON, or not of the type.
pub(crate) fn from_json_as(text: &str, kind: &Type) -> Result<Value, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    convert(from_json(&json), kind)
}

/// The JSON of a value with Go's escapes, and all digits of numbers.
pub(crate) fn json_text(value: &Value) -> String {
    match value {
        Value::Null(_) => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(text) => go_json(text),
        Value::List(_, values) | Value::Set(_, values) | Value::Tuple(values) => {
            format!("[{}]", values.iter().map(json_text).collect::<Vec<_>>().join(","))
        }
        Value::Map(_, fields) | Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{}:{}", go_json(name), json_text(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
    }
}
