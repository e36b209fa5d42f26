//! Evaluates HCL's expressions.
//!
//! *Takes* expressions of a file and a scope with variables and functions. *Gives* values. *Must never know* targets,
//! groups, flags or the environment: they come through [`Scope`].

mod constraint;
mod evaluate;
mod heredoc;
mod names;
mod operator;
mod template;
mod traversal;
mod trim;

use std::{collections::BTreeMap, sync::Arc};

use hcl_edit::{Span, expr::Expression as Native};

pub(crate) use constraint::type_of;
pub(crate) use names::called_functions;

use crate::{
    error::{Error, Place, SourceText},
    value::Value,
};

/// The deepest nesting of calls of functions that a file defines.
const MAX_CALLS: usize = 64;

/// The deepest nesting of expressions, through variables, targets and functions too. The stack has room for some thousands.
pub(crate) const MAX_DEPTH: usize = 500;

/// The names that expressions may refer to.
pub(crate) trait Scope {
    /// Starts one evaluation, which [`Scope::leave`] ends.
    ///
    /// # Errors
    /// There were too many, as a file with nested `for` would take hours, or they are nested too deeply.
    fn enter(&self) -> Result<(), Error>;
    /// Ends an evaluation, which gave this value or an error.
    ///
    /// # Errors
    /// The values take too much memory, or the value is nested too deeply.
    fn leave(&self, value: Option<&Value>) -> Result<(), Error>;
    /// The value of a global variable.
    fn variable(&self, name: &str) -> Result<Value, Error>;
    /// Whether `name` is a kind of blocks (`target`), so that `name.a.b` is field `b` of block `a`.
    fn is_block(&self, name: &str) -> bool;
    /// A field of a block, or the object of all of its fields.
    fn block(&self, kind: &str, name: &str, field: Option<&str>) -> Result<Value, Error>;
    /// A function that a file defines.
    fn function(&self, name: &str) -> Option<Arc<UserFunction>>;
}

/// A function that a file defines.
#[derive(Debug)]
pub(crate) struct UserFunction {
    pub(crate) parameters: Vec<String>,
    /// The name of the tuple of further arguments.
    pub(crate) variadic: Option<String>,
    pub(crate) result: Expression,
}

/// Variables of a matrix, a `for` or a function, which hide those around them.
pub(crate) struct Locals<'a> {
    pub(crate) parent: Option<&'a Locals<'a>>,
    pub(crate) values: BTreeMap<String, Value>,
}

impl Locals<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }
}

/// The environment in which an expression is evaluated.
#[derive(Clone, Copy)]
pub(crate) struct Evaluation<'a> {
    pub(crate) scope: &'a dyn Scope,
    pub(crate) locals: Option<&'a Locals<'a>>,
    /// The current depth of calls between functions of files.
    pub(crate) calls: usize,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(scope: &'a dyn Scope, locals: Option<&'a Locals<'a>>) -> Evaluation<'a> {
        Evaluation { scope, locals, calls: 0 }
    }

    fn with<'b>(&self, locals: &'b Locals<'b>) -> Evaluation<'b>
    where
        'a: 'b,
    {
        Evaluation { scope: self.scope, locals: Some(locals), calls: self.calls }
    }
}

/// An expression of a file.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) code: Code,
    pub(crate) text: Text,
}

/// The text that contains an expression.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) source: Arc<SourceText>,
    /// The place of the JSON string which contains the text. Offsets in it are not offsets in the file.
    pub(crate) inside: Option<Place>,
}

impl Text {
    fn place(&self, spanned: &impl Span) -> Place {
        match (&self.inside, spanned.span()) {
            (Some(place), _) => place.clone(),
            (None, span) => self.source.place(span.unwrap_or(0..0)),
        }
    }
}

/// An expression in one of the two syntaxes.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    /// HCL's own syntax.
    Native(Arc<Native>),
    /// A template in a string of JSON.
    Template(Arc<hcl_edit::template::Template>),
    /// JSON's `null`, `true`, `false` and numbers.
    Literal(Value),
    /// A JSON array.
    Array(Vec<Expression>),
    /// A JSON object, whose keys are templates, too.
    Object(Vec<(Expression, Expression)>),
}

impl Expression {
    pub(crate) fn native(code: Native, source: &Arc<SourceText>) -> Expression {
        Expression { code: Code::Native(Arc::new(code)), text: Text { source: Arc::clone(source), inside: None } }
    }

    /// The place at which the expression starts.
    pub(crate) fn place(&self) -> Place {
        match &self.code {
            Code::Native(code) => self.text.place(code.as_ref()),
            _ => self.text.inside.clone().unwrap_or_else(|| self.text.source.place(0..0)),
        }
    }

    /// The value of the expression.
    ///
    /// # Errors
    /// The first error, with its place.
    pub(crate) fn value(&self, environment: Evaluation<'_>) -> Result<Value, Error> {
        match &self.code {
            Code::Native(code) => self.text.evaluate(code, environment),
            Code::Template(template) => self.text.unwrapped(template, environment),
            Code::Literal(value) => Ok(value.clone()),
            Code::Array(elements) => {
                Ok(Value::Tuple(elements.iter().map(|element| element.value(environment)).collect::<Result<_, _>>()?))
            }
            Code::Object(fields) => {
                let mut object = BTreeMap::new();
                for (key, value) in fields {
                    object.insert(evaluate::key(key.value(environment)?, &key.place())?, value.value(environment)?);
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// The expression as a single word, where a name is expected instead of a value.
    pub(crate) fn keyword(&self) -> Option<String> {
        match self.as_native()?.as_ref() {
            Native::Variable(name) => Some(name.as_str().to_owned()),
            _ => None,
        }
    }

    /// The elements of a list that is written as one.
    pub(crate) fn list(&self) -> Option<Vec<Expression>> {
        match &self.code {
            Code::Array(elements) => Some(elements.clone()),
            Code::Native(code) => match code.as_ref() {
                Native::Array(elements) => {
                    let element = |code: &Native| Expression {
                        code: Code::Native(Arc::new(code.clone())),
                        text: self.text.clone(),
                    };
                    Some(elements.iter().map(element).collect())
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The expression in HCL's syntax. A JSON string is read as one.
    pub(crate) fn as_native(&self) -> Option<Arc<Native>> {
        match &self.code {
            Code::Native(code) => Some(Arc::clone(code)),
            Code::Template(_) => {
                let text = self.text.source.slice(0..usize::MAX);
                text.parse().ok().map(Arc::new)
            }
            _ => None,
        }
    }
}
