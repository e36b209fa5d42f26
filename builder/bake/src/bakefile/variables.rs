//! Values of variables: defaults, types, values from outside, and validation.

use std::collections::BTreeMap;

use buildscope_oci::go_bool;

use crate::{
    definition::{Inputs, Variable},
    error::Error,
    expression::{Evaluation, type_of},
    file::{Attribute, Block},
    value::{Type, Value, convert, from_json_as, json_text, number_text, parse_number},
};

/// The value of a variable of the same name with this ending is JSON.
const JSON_SUFFIX: &str = "_JSON";

/// A value from `--var` or the environment.
enum Outside<'a> {
    Text(&'a str),
    Json(&'a str),
}

/// The variables of all files, with the sources of their values.
pub(super) struct Variables<'a> {
    pub(super) inputs: &'a Inputs,
    /// The blocks that declare variables, by name.
    pub(super) blocks: BTreeMap<String, &'a Block>,
    /// The global attributes by name.
    pub(super) attributes: BTreeMap<String, &'a Attribute>,
}

impl Variables<'_> {
    /// The value of a variable: from outside, otherwise from a global attribute, otherwise its default.
    pub(super) fn value(&self, name: &str, environment: Evaluation<'_>) -> Result<Value, Error> {
        if let Some(builtin) = self.inputs.builtins.get(name) {
            return Ok(Value::from(builtin.as_str()));
        }
        let variable = self.blocks.get(name).copied();
        let attribute = self.attributes.get(name);
        let missing = || Error { undefined: true, ..Error::new(format!("variable \"{name}\" does not exist")) };
        let place = attribute.map(|attribute| &attribute.place).or(variable.map(|block| &block.place));
        let place = place.ok_or_else(missing)?;

        let constraint = match (attribute, variable) {
            (None, Some(block)) => constraint(block, environment)?,
            _ => None,
        };
        let default = attribute.copied().or_else(|| variable.and_then(|block| block.body.attribute("default")));
        let kind = constraint.clone().unwrap_or(Type::Dynamic);
        let outside = if variable.is_some() { self.outside(name, constraint.is_some()) } else { None };
        let default = match default {
            Some(attribute) => {
                let value = attribute.value.value(environment)?;
                Some(convert(value, &kind).map_err(|why| {
                    Error::new(format!("invalid default of the variable {name}: {why}")).at(&attribute.value.place())
                })?)
            }
            None => None,
        };
        let Some(outside) = outside else {
            // Without a type and a default, a variable is an empty string.
            return Ok(default.unwrap_or_else(|| match constraint {
                Some(kind) => Value::Null(kind),
                None => Value::from(""),
            }));
        };
        given(name, &outside, constraint.as_ref(), default.as_ref()).map_err(|why| Error::new(why).at(place))
    }

    /// The value from outside. `NAME_JSON` is JSON, unless a variable has that name.
    fn outside(&self, name: &str, typed: bool) -> Option<Outside<'_>> {
        let text = self.inputs.variable(name);
        if text.is_none() || typed {
            let json = format!("{name}{JSON_SUFFIX}");
            let taken = self.blocks.contains_key(&json) || self.inputs.builtins.contains_key(&json);
            if !taken && let Some(json) = self.inputs.variable(&json) {
                return Some(Outside::Json(json));
            }
        }
        text.map(Outside::Text)
    }
}

/// The type of a variable in the file; `None` if it has no type.
fn constraint(block: &Block, environment: Evaluation<'_>) -> Result<Option<Type>, Error> {
    let Some(attribute) = block.body.attribute("type") else {
        return Ok(None);
    };
    match type_of(&attribute.value) {
        Ok(kind) => Ok(Some(kind)),
        Err(error) => match attribute.value.value(environment) {
            Ok(value) if value.is_null() => Ok(None),
            _ => Err(error),
        },
    }
}

/// Reads a value from outside by the type of the variable, or by the type of its default.
fn given(
    name: &str,
    outside: &Outside<'_>,
    constraint: Option<&Type>,
    default: Option<&Value>,
) -> Result<Value, String> {
    let text = match (outside, constraint) {
        (Outside::Json(json), Some(kind)) => {
            return from_json_as(json, kind).map_err(|why| format!("invalid JSON for the variable {name}: {why}"));
        }
        (Outside::Json(text) | Outside::Text(text), _) => *text,
    };
    match (constraint, default.map(Value::kind)) {
        (Some(kind @ (Type::List(_) | Type::Set(_) | Type::Tuple(_) | Type::Map(_))), _) => separated(name, text, kind),
        (Some(kind), _) if kind.is_primitive() => primitive(name, text, kind),
        (Some(Type::Dynamic), None) | (None, None) => Ok(Value::from(text)),
        (Some(Type::Object { .. }), _) => {
            Err(format!("the variable {name} is an object; set {name}{JSON_SUFFIX} to JSON"))
        }
        (_, Some(Type::Dynamic)) => Ok(Value::from(text)),
        (_, Some(kind)) if kind.is_primitive() => primitive(name, text, &kind),
        (_, Some(kind)) => Err(format!("unsupported type {kind} for variable {name}; give the variable a type")),
        (Some(kind), None) => Err(format!("unsupported type {kind} for variable {name}")),
    }
}

fn primitive(name: &str, text: &str, kind: &Type) -> Result<Value, String> {
    match kind {
        Type::Bool => {
            let value = go_bool(text).ok_or_else(|| format!("failed to parse {name} as bool: \"{text}\""))?;
            Ok(Value::Bool(value))
        }
        Type::Number => {
            // The reference reads these numbers as 64-bit floating point.
            let number = text.parse::<f64>().ok().and_then(|number| parse_number(&number.to_string()));
            number.map(Value::Number).ok_or_else(|| format!("failed to parse {name} as number: \"{text}\""))
        }
        _ => Ok(Value::from(text)),
    }
}

/// Comma-separated values for a list, set or tuple, and `key:value` pairs for a map.
fn separated(name: &str, text: &str, kind: &Type) -> Result<Value, String> {
    let fields = if text.is_empty() { Vec::new() } else { csv(text)? };
    if let Some(element) = kind.element()
        && !element.is_primitive()
    {
        return Err(format!("comma-separated values cannot be a {kind}; set {name}{JSON_SUFFIX} to JSON"));
    }
    let all =
        |element: &Type| fields.iter().map(|field| primitive(name, field, element)).collect::<Result<Vec<_>, _>>();
    match kind {
        Type::List(element) => Ok(Value::List((**element).clone(), all(element)?)),
        Type::Set(element) => Ok(Value::set((**element).clone(), all(element)?)),
        Type::Tuple(kinds) => {
            if kinds.len() != fields.len() {
                return Err(format!("{name} needs {} values, and has {}", kinds.len(), fields.len()));
            }
            let values = fields.iter().zip(kinds).map(|(field, kind)| {
                if kind.is_primitive() { primitive(name, field, kind) } else { Err(format!("{name} needs JSON")) }
            });
            Ok(Value::Tuple(values.collect::<Result<_, _>>()?))
        }
        Type::Map(element) => {
            let mut map = BTreeMap::new();
            for field in &fields {
                let (key, value) = field
                    .split_once(':')
                    .filter(|(_, value)| !value.contains(':'))
                    .ok_or_else(|| format!("\"{field}\" in {name} is not one key:value pair"))?;
                map.insert(key.to_owned(), primitive(name, value, element)?);
            }
            Ok(Value::Map((**element).clone(), map))
        }
        _ => Err(format!("unsupported type {kind} for variable {name}")),
    }
}

fn csv(text: &str) -> Result<Vec<String>, String> {
    buildscope_oci::csv_fields(text.strip_suffix('\n').unwrap_or(text))
}

/// Checks one validation of a variable.
pub(super) fn validate(rule: &Block, environment: Evaluation<'_>) -> Result<(), Error> {
    let attribute = |name: &str| {
        let message = format!("a validation needs {name}");
        rule.body.attribute(name).ok_or_else(|| Error::new(message).at(&rule.place))
    };
    let (condition, message) = (attribute("condition")?, attribute("error_message")?);
    let failed = |message: String| Error::new(message).at(&condition.value.place());
    match convert(condition.value.value(environment)?, &Type::Bool) {
        Ok(Value::Bool(true)) => Ok(()),
        Ok(Value::Bool(false)) => match message.value.value(environment)? {
            Value::String(message) => Err(failed(message)),
            _ => Err(failed("this check failed, but has an invalid error message".into())),
        },
        Ok(_) => Err(failed("a condition must be true or false, not null".into())),
        Err(why) => Err(failed(format!("a condition must be true or false: {why}"))),
    }
}

/// A variable in the form of `--list=variables`.
pub(super) fn listed(name: &str, block: &Block, value: &Value, environment: Evaluation<'_>) -> Variable {
    let constraint = constraint(block, environment).ok().flatten();
    let description =
        block.body.attribute("description").and_then(|attribute| match attribute.value.value(environment) {
            Ok(Value::String(text)) => Some(text),
            _ => None,
        });
    let text = match value {
        Value::Null(_) => None,
        Value::String(text) => Some(match constraint {
            // A typed string is shown with JSON's escapes, but without its quotes.
            Some(_) => json_text(value).trim_matches('"').to_owned(),
            None => text.clone(),
        }),
        Value::Number(number) => Some(number_text(number)),
        Value::Bool(value) => Some(value.to_string()),
        other => Some(json_text(other)),
    };
    Variable {
        name: name.to_owned(),
        description: description.unwrap_or_default(),
        kind: constraint.map(|kind| kind.to_string()).unwrap_or_default(),
        value: text,
    }
}
