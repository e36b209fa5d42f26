//! The functions that expressions may call.
//!
//! *Takes* values. *Gives* a value, or an error about an argument. *Must never know* files, targets or expressions. The set is that of
//! buildx 0.36.

mod arguments;
mod bytes;
mod collection;
mod format;
mod hash;
mod list;
mod network;
mod number;
mod pattern;
mod secret;
mod set;
mod text;
mod time;
mod version;

use crate::value::{Value, check_length};

/// A function of the library.
pub(crate) struct Function {
    name: &'static str,
    /// The fewest and, if there is a limit, the most arguments.
    arity: (usize, Option<usize>),
    nulls: Nulls,
    run: fn(Vec<Value>) -> Result<Value, String>,
}

/// Whether arguments may be null.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Rejected,
    Allowed,
}

const fn exact(name: &'static str, arguments: usize, run: fn(Vec<Value>) -> Result<Value, String>) -> Function {
    Function { name, arity: (arguments, Some(arguments)), nulls: Nulls::Rejected, run }
}

const fn several(name: &'static str, least: usize, run: fn(Vec<Value>) -> Result<Value, String>) -> Function {
    Function { name, arity: (least, None), nulls: Nulls::Rejected, run }
}

const fn with_nulls(function: Function) -> Function {
    Function { nulls: Nulls::Allowed, ..function }
}

const GROUPS: [&[Function]; 12] = [
    number::FUNCTIONS,
    text::FUNCTIONS,
    pattern::FUNCTIONS,
    format::FUNCTIONS,
    list::FUNCTIONS,
    collection::FUNCTIONS,
    set::FUNCTIONS,
    hash::FUNCTIONS,
    time::FUNCTIONS,
    network::FUNCTIONS,
    secret::FUNCTIONS,
    bytes::FUNCTIONS,
];

fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.into_iter().flatten().chain(version::FUNCTIONS)
}

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// The names of all functions, with those that get their arguments unevaluated.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.name).chain(["try", "can", "convert"])
}

/// Calls a function.
pub(crate) fn call(function: &Function, arguments: Vec<Value>) -> Result<Value, String> {
    let (least, most) = function.arity;
    if arguments.len() < least || most.is_some_and(|most| arguments.len() > most) {
        let wanted = match most {
            Some(most) if most == least => format!("{least}"),
            Some(most) => format!("{least} to {most}"),
            None => format!("at least {least}"),
        };
        return Err(format!("takes {wanted} arguments, not {}", arguments.len()));
    }
    if function.nulls == Nulls::Rejected
        && let Some(position) = arguments.iter().position(Value::is_null)
    {
        return Err(format!("argument {} must not be null", position + 1));
    }
    for argument in &arguments {
        if let Value::String(text) = argument {
            check_length(text.len())?;
        }
    }
    (function.run)(arguments)
}
