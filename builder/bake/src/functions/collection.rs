//! Functions of lists, maps and objects by key or position, and JSON: `length`, `keys`, `lookup`, `merge`, `jsonencode`.

use std::collections::BTreeMap;

use super::{
    Function,
    arguments::{sequence, take, text, texts},
    exact, several, with_nulls,
};
use crate::value::{Type, Value, convert, element, from_json, json_text, unify};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("length", 1, |a| {
        let [value] = take(a)?;
        let length = match &value {
            Value::Map(_, fields) => Some(fields.len()),
            other => other.elements().map(<[Value]>::len),
        };
        length.map(Value::count).ok_or_else(|| format!("a list, set or map is required, not {}", value.kind()))
    }),
    exact("hasindex", 2, |a| {
        let [value, key] = take(a)?;
        match &value {
            Value::List(..) | Value::Tuple(_) => {
                Ok(Value::Bool(matches!(key, Value::Number(_)) && element(value, &key).is_ok()))
            }
            Value::Map(..) => Ok(Value::Bool(matches!(key, Value::String(_)) && element(value, &key).is_ok())),
            other => Err(format!("a list or map is required, not {}", other.kind())),
        }
    }),
    exact("index", 2, |a| {
        let [value, key] = take(a)?;
        match (&value, &key) {
            (Value::List(..) | Value::Tuple(_), Value::Number(_)) | (Value::Map(..), Value::String(_)) => {
                element(value, &key)
            }
            (Value::List(..) | Value::Tuple(_), _) => Err("the key of a list must be a number".into()),
            (Value::Map(..), _) => Err("the key of a map must be a string".into()),
            _ => Err(format!("a list or map is required, not {}", value.kind())),
        }
    }),
    exact("keys", 1, |a| {
        let [value] = take(a)?;
        match &value {
            Value::Map(_, fields) => Ok(Value::strings(fields.keys().cloned())),
            Value::Object(fields) => Ok(Value::Tuple(fields.keys().cloned().map(Value::String).collect())),
            other => Err(format!("a map is required, not {}", other.kind())),
        }
    }),
    exact("values", 1, |a| {
        let [value] = take(a)?;
        match value {
            Value::Map(element, fields) => Ok(Value::List(element, fields.into_values().collect())),
            Value::Object(fields) => Ok(Value::Tuple(fields.into_values().collect())),
            other => Err(format!("a map is required, not {}", other.kind())),
        }
    }),
    exact("lookup", 3, |a| {
        let [value, key, default] = take(a)?;
        let name = text(key)?;
        match value {
            Value::Map(element, mut fields) => fields.remove(&name).map_or_else(|| convert(default, &element), Ok),
            Value::Object(mut fields) => Ok(fields.remove(&name).unwrap_or(default)),
            other => Err(format!("a map is required, not {}", other.kind())),
        }
    }),
    with_nulls(several("merge", 0, merge)),
    exact("zipmap", 2, |a| {
        let [names, values] = take(a)?;
        let names = texts(names)?;
        let kind = values.kind();
        let (_, values) = sequence(values)?;
        if names.len() != values.len() {
            return Err(format!("{} keys do not match {} values", names.len(), values.len()));
        }
        let fields: BTreeMap<String, Value> = names.into_iter().zip(values).collect();
        Ok(match kind {
            Type::List(element) => Value::Map(*element, fields),
            _ => Value::Object(fields),
        })
    }),
    exact("jsondecode", 1, |a| {
        let [value] = take(a)?;
        let json = serde_json::from_str(&text(value)?).map_err(|error| format!("not JSON: {error}"))?;
        Ok(from_json(&json))
    }),
    with_nulls(exact("jsonencode", 1, |a| {
        let [value] = take(a)?;
        Ok(Value::String(json_text(&value)))
    })),
];

/// Later maps replace the values of earlier ones.
fn merge(arguments: Vec<Value>) -> Result<Value, String> {
    let mut merged = BTreeMap::new();
    let mut kinds = Vec::new();
    for argument in arguments {
        match argument {
            Value::Null(_) => {}
            Value::Map(element, fields) => {
                kinds.push(Type::map(element));
                merged.extend(fields);
            }
            Value::Object(fields) => {
                kinds.push(Type::Dynamic);
                merged.extend(fields);
            }
            other => return Err(format!("maps are required, not {}", other.kind())),
        }
    }
    let maps = !kinds.is_empty() && kinds.iter().all(|kind| *kind == kinds[0] && *kind != Type::Dynamic);
    Ok(match unify(kinds) {
        Some(Type::Map(element)) if maps => Value::Map(*element, merged),
        _ => Value::Object(merged),
    })
}
