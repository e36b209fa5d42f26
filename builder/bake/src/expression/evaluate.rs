//! Values of expressions in HCL's own syntax: literals, variables, conditions, calls and `for`.

use std::{collections::BTreeMap, sync::Arc};

use hcl_edit::expr::{Conditional, Expression as Native, ForExpr, FuncCall, Object, ObjectKey};

use super::{Evaluation, Locals, MAX_CALLS, Text, UserFunction, constraint, operator};
use crate::{
    error::{Error, Place},
    functions,
    value::{Type, Value, convert, parse_number, unify},
};

impl Text {
    /// The value of an expression in HCL's own syntax.
    pub(super) fn evaluate(&self, code: &Native, environment: Evaluation<'_>) -> Result<Value, Error> {
        environment.scope.enter().map_err(|error| error.at(&self.place(code)))?;
        let value = self.entered(code, environment);
        let left = environment.scope.leave(value.as_ref().ok());
        left.map_err(|error| error.at(&self.place(code))).and(value)
    }

    fn entered(&self, code: &Native, environment: Evaluation<'_>) -> Result<Value, Error> {
        let place = || self.place(code);
        match code {
            Native::Null(_) => Ok(Value::NULL),
            Native::Bool(value) => Ok(Value::Bool(*value.value())),
            Native::Number(number) => self.number(number, &place()),
            Native::String(text) => Ok(Value::String(text.value().clone())),
            Native::Array(elements) => {
                let values = elements.iter().map(|element| self.evaluate(element, environment));
                Ok(Value::Tuple(values.collect::<Result<_, _>>()?))
            }
            Native::Object(object) => self.object(object, environment),
            Native::StringTemplate(template) => self.unwrapped(template, environment),
            Native::HeredocTemplate(heredoc) => self.heredoc(heredoc, environment),
            Native::Parenthesis(inner) => self.evaluate(inner.inner(), environment),
            Native::Variable(name) => self.variable(name.as_str(), environment).map_err(|error| error.at(&place())),
            Native::Conditional(conditional) => self.conditional(conditional, environment),
            Native::FuncCall(call) => self.call(call, environment).map_err(|error| error.at(&place())),
            Native::Traversal(traversal) => self.traversal(traversal, environment),
            Native::UnaryOp(operation) => {
                let value = self.evaluate(&operation.expr, environment)?;
                operator::unary(*operation.operator.value(), value).map_err(|why| Error::new(why).at(&place()))
            }
            Native::BinaryOp(operation) => {
                let left = self.evaluate(&operation.lhs_expr, environment)?;
                if let Some(known) = operator::short_circuit(*operation.operator.value(), &left) {
                    return Ok(known);
                }
                let right = self.evaluate(&operation.rhs_expr, environment)?;
                operator::binary(*operation.operator.value(), left, right).map_err(|why| Error::new(why).at(&place()))
            }
            Native::ForExpr(repetition) => self.repetition(repetition, environment).map_err(|error| error.at(&place())),
        }
    }

    fn number(&self, number: &hcl_edit::Formatted<hcl_edit::Number>, place: &Place) -> Result<Value, Error> {
        let written = hcl_edit::Span::span(number).map(|span| self.source.slice(span).to_owned());
        let parsed = written.as_deref().and_then(parse_number).or_else(|| parse_number(&number.value().to_string()));
        let number = parsed.ok_or_else(|| Error::new("a number has at most 4096 digits").at(place))?;
        Ok(Value::Number(number))
    }

    fn object(&self, object: &Object, environment: Evaluation<'_>) -> Result<Value, Error> {
        let mut fields = BTreeMap::new();
        for (name, value) in object {
            let name = match name {
                ObjectKey::Ident(name) => name.as_str().to_owned(),
                // A bare word is its own name, as in JavaScript; in parentheses it is a variable.
                ObjectKey::Expression(Native::Variable(name)) => name.as_str().to_owned(),
                ObjectKey::Expression(code) => key(self.evaluate(code, environment)?, &self.place(code))?,
            };
            fields.insert(name, self.evaluate(value.expr(), environment)?);
        }
        Ok(Value::Object(fields))
    }

    pub(super) fn variable(&self, name: &str, environment: Evaluation<'_>) -> Result<Value, Error> {
        if let Some(value) = environment.locals.and_then(|locals| locals.get(name)) {
            return Ok(value.clone());
        }
        if environment.scope.is_block(name) {
            return Err(Error::new(format!("cannot access {name} as a variable; write {name}.NAME.ATTRIBUTE")));
        }
        environment.scope.variable(name)
    }

    /// Both branches are evaluated, because the result has their common type. Only an error of the chosen one counts.
    fn conditional(&self, conditional: &Conditional, environment: Evaluation<'_>) -> Result<Value, Error> {
        let place = || self.place(&conditional.cond_expr);
        let condition = self.evaluate(&conditional.cond_expr, environment)?;
        let yes = self.evaluate(&conditional.true_expr, environment);
        let no = self.evaluate(&conditional.false_expr, environment);
        if condition.is_null() {
            return Err(Error::new("the condition of `? :` is null; it must be true or false").at(&place()));
        }
        let kind = |branch: &Result<Value, Error>| branch.as_ref().map_or(Type::Dynamic, Value::kind);
        let common = unify([kind(&yes), kind(&no)]).ok_or_else(|| {
            let message = format!("the branches of `? :` have different types: {} and {}", kind(&yes), kind(&no));
            Error::new(message).at(&self.place(conditional))
        })?;
        let chosen = match convert(condition, &Type::Bool).map_err(|why| Error::new(why).at(&place()))? {
            Value::Bool(true) => yes?,
            _ => no?,
        };
        convert(chosen, &common).map_err(|why| Error::new(why).at(&self.place(conditional)))
    }

    fn call(&self, call: &FuncCall, environment: Evaluation<'_>) -> Result<Value, Error> {
        let name = call.name.name.as_str();
        match name {
            "try" => return self.first_success(call, environment),
            "can" => {
                let [argument] = expressions(call)[..] else {
                    return Err(Error::new("can takes one argument"));
                };
                return Ok(Value::Bool(self.evaluate(argument, environment).is_ok()));
            }
            "convert" => {
                let [value, kind] = expressions(call)[..] else {
                    return Err(Error::new("convert takes two arguments: a value and a type"));
                };
                let kind = constraint::constraint(kind).map_err(|why| Error::new(why).at(&self.place(kind)))?;
                return convert(self.evaluate(value, environment)?, &kind).map_err(Error::new);
            }
            _ => {}
        }
        let mut arguments = Vec::with_capacity(call.args.len());
        for argument in call.args.iter() {
            arguments.push(self.evaluate(argument, environment)?);
        }
        if call.args.expand_final()
            && let Some(last) = arguments.pop()
        {
            let elements = last.elements().ok_or_else(|| Error::new("the argument before `...` must be a list"))?;
            arguments.extend_from_slice(elements);
        }
        if let Some(function) = functions::find(name) {
            return functions::call(function, arguments).map_err(|why| Error::new(format!("{name}: {why}")));
        }
        match environment.scope.function(name) {
            Some(function) => invoke(&function, name, arguments, environment),
            None => Err(unknown_function(name)),
        }
    }

    fn first_success(&self, call: &FuncCall, environment: Evaluation<'_>) -> Result<Value, Error> {
        let mut errors = Vec::new();
        for argument in call.args.iter() {
            match self.evaluate(argument, environment) {
                Ok(value) => return Ok(value),
                Err(error) => errors.push(error.message),
            }
        }
        Err(Error::new(format!("try: no expression succeeded: {}", errors.join("; "))))
    }

    fn repetition(&self, repetition: &ForExpr, environment: Evaluation<'_>) -> Result<Value, Error> {
        let intro = &repetition.intro;
        let collection = self.evaluate(&intro.collection_expr, environment)?;
        let pairs = collection.pairs().ok_or_else(|| {
            Error::new("`for` needs a list, a map or an object").at(&self.place(&intro.collection_expr))
        })?;
        let mut values = Vec::new();
        let mut object: BTreeMap<String, Value> = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (index, value) in pairs {
            let locals = loop_locals(environment.locals, intro.key_var.as_deref(), &intro.value_var, index, value);
            let inner = environment.with(&locals);
            if let Some(condition) = &repetition.cond {
                let place = self.place(&condition.expr);
                let included = convert(self.evaluate(&condition.expr, inner)?, &Type::Bool);
                match included.map_err(|why| Error::new(why).at(&place))? {
                    Value::Bool(true) => {}
                    Value::Null(_) => return Err(Error::new("the condition of `for` is null").at(&place)),
                    _ => continue,
                }
            }
            let result = self.evaluate(&repetition.value_expr, inner)?;
            match &repetition.key_expr {
                None => values.push(result),
                Some(code) => {
                    let name = key(self.evaluate(code, inner)?, &self.place(code))?;
                    if repetition.grouping {
                        groups.entry(name).or_default().push(result);
                    } else if let Some((name, _)) = object.get_key_value(&name) {
                        let message =
                            format!("two elements have the key \"{name}\"; add `...` after the value to group them");
                        return Err(Error::new(message).at(&self.place(code)));
                    } else {
                        object.insert(name, result);
                    }
                }
            }
        }
        Ok(match (&repetition.key_expr, repetition.grouping) {
            (None, _) => Value::Tuple(values),
            (Some(_), true) => {
                Value::Object(groups.into_iter().map(|(name, group)| (name, Value::Tuple(group))).collect())
            }
            (Some(_), false) => Value::Object(object),
        })
    }
}

/// The variables of one turn of a `for`.
pub(super) fn loop_locals<'a>(
    parent: Option<&'a Locals<'a>>,
    key: Option<&hcl_edit::Ident>,
    value: &hcl_edit::Ident,
    index: Value,
    element: Value,
) -> Locals<'a> {
    let mut values = BTreeMap::new();
    if let Some(key) = key {
        values.insert(key.as_str().to_owned(), index);
    }
    values.insert(value.as_str().to_owned(), element);
    Locals { parent, values }
}

fn expressions(call: &FuncCall) -> Vec<&Native> {
    call.args.iter().collect()
}

/// The name of a field.
pub(super) fn key(value: Value, place: &Place) -> Result<String, Error> {
    match convert(value, &Type::String) {
        Ok(Value::String(name)) => Ok(name),
        Ok(_) => Err(Error::new("a key is null").at(place)),
        Err(why) => Err(Error::new(format!("a key of an object must be a string: {why}")).at(place)),
    }
}

fn unknown_function(name: &str) -> Error {
    let similar = functions::names()
        .filter(|known| strsim::damerau_levenshtein(known, name) <= 2)
        .min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let hint = similar.map_or_else(String::new, |known| format!("; did you mean {known}?"));
    Error { undefined: true, ..Error::new(format!("function \"{name}\" does not exist{hint}")) }
}

/// Calls a function of a file. Its result sees its parameters and the global variables, not those of the caller.
fn invoke(
    function: &Arc<UserFunction>,
    name: &str,
    mut arguments: Vec<Value>,
    environment: Evaluation<'_>,
) -> Result<Value, Error> {
    let wanted = function.parameters.len();
    if arguments.len() < wanted || (function.variadic.is_none() && arguments.len() > wanted) {
        let more = if function.variadic.is_some() { " or more" } else { "" };
        return Err(Error::new(format!("{name} takes {wanted}{more} arguments, not {}", arguments.len())));
    }
    if environment.calls >= MAX_CALLS {
        return Err(Error::new(format!("calls of functions are nested more than {MAX_CALLS} deep")));
    }
    let rest = arguments.split_off(wanted);
    let mut values: BTreeMap<String, Value> = function.parameters.iter().cloned().zip(arguments).collect();
    if let Some(variadic) = &function.variadic {
        values.insert(variadic.clone(), Value::Tuple(rest));
    }
    let locals = Locals { parent: None, values };
    let inner = Evaluation { scope: environment.scope, locals: Some(&locals), calls: environment.calls + 1 };
    function.result.value(inner)
}
