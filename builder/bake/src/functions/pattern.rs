//! Functions of regular expressions.

use std::collections::BTreeMap;

use regex::{Captures, Regex};

use super::{
    Function,
    arguments::{bounded, list_of, take, text},
    exact,
    text::replaced,
};
use crate::value::{Type, Value, check_length};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("replace", 3, |a| {
        let [value, from, to] = take(a)?;
        replaced(&text(value)?, &text(from)?, &text(to)?)
    }),
    exact("regex", 2, |a| {
        let [expression, value] = take(a)?;
        let (expression, value) = (compile(&text(expression)?)?, text(value)?);
        let shape = Shape::of(&expression)?;
        let found = expression.captures(&value).ok_or("the pattern did not match")?;
        Ok(shape.value(&found))
    }),
    exact("regexall", 2, |a| {
        let [expression, value] = take(a)?;
        let (expression, value) = (compile(&text(expression)?)?, text(value)?);
        let shape = Shape::of(&expression)?;
        list_of(bounded(expression.captures_iter(&value).map(|found| Ok(shape.value(&found))))?)
    }),
    exact("regex_replace", 3, |a| {
        let [value, expression, replacement] = take(a)?;
        let expression = compile(&text(expression)?)?;
        replace_all(&expression, &text(value)?, &text(replacement)?)
    }),
];

fn replace_all(expression: &Regex, text: &str, replacement: &str) -> Result<Value, String> {
    let (mut output, mut end) = (String::new(), 0);
    for found in expression.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        output.push_str(&text[end..whole.start()]);
        found.expand(replacement, &mut output);
        check_length(output.len())?;
        end = whole.end();
    }
    Ok(Value::String(output + &text[end..]))
}

fn compile(expression: &str) -> Result<Regex, String> {
    Regex::new(expression).map_err(|error| format!("invalid regular expression: {error}"))
}

/// The form of a match: its text, its groups, or its named groups.
enum Shape {
    Whole,
    Groups,
    Names(Vec<String>),
}

impl Shape {
    fn of(expression: &Regex) -> Result<Shape, String> {
        let names: Vec<Option<&str>> = expression.capture_names().skip(1).collect();
        let named: Vec<String> = names.iter().flatten().map(|name| (*name).to_owned()).collect();
        match (names.len(), named.len()) {
            (0, _) => Ok(Shape::Whole),
            (_, 0) => Ok(Shape::Groups),
            (all, some) if all == some => Ok(Shape::Names(named)),
            _ => Err("the groups of a regular expression must all have names, or none".into()),
        }
    }

    fn value(&self, found: &Captures<'_>) -> Value {
        let group = |group: Option<regex::Match<'_>>| {
            group.map_or(Value::Null(Type::String), |group| Value::from(group.as_str()))
        };
        match self {
            Shape::Whole => group(found.get(0)),
            Shape::Groups => Value::Tuple(found.iter().skip(1).map(group).collect()),
            Shape::Names(names) => {
                let fields = names.iter().map(|name| (name.clone(), group(found.name(name))));
                Value::Object(fields.collect::<BTreeMap<_, _>>())
            }
        }
    }
}
