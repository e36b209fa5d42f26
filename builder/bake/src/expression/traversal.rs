//! Traversals: `value.field`, `value[index]`, `value[*]`, and references to blocks (`target.NAME.FIELD`).

use hcl_edit::expr::{Expression as Native, Traversal, TraversalOperator};

use super::{Evaluation, Text};
use crate::{
    error::Error,
    value::{Value, element, unify},
};

/// One step of a traversal, with its index evaluated.
enum TraversalStep {
    Field(String),
    Index(Value),
    /// `.*`, which applies the following attributes to each element.
    Fields,
    /// `[*]`, which applies all following steps to each element.
    All,
}

impl Text {
    pub(super) fn traversal(&self, traversal: &Traversal, environment: Evaluation<'_>) -> Result<Value, Error> {
        let place = self.place(traversal);
        let mut steps = Vec::with_capacity(traversal.operators.len());
        for operator in &traversal.operators {
            steps.push(match operator.value() {
                TraversalOperator::GetAttr(name) => TraversalStep::Field(name.as_str().to_owned()),
                TraversalOperator::Index(index) => TraversalStep::Index(self.evaluate(index, environment)?),
                TraversalOperator::LegacyIndex(index) => TraversalStep::Index(Value::count(*index.value() as usize)),
                TraversalOperator::AttrSplat(_) => TraversalStep::Fields,
                TraversalOperator::FullSplat(_) => TraversalStep::All,
            });
        }
        let (start, rest) = match &traversal.expr {
            Native::Variable(name) if self.is_block(name.as_str(), environment) => {
                self.block(name.as_str(), &steps, environment).map_err(|error| error.at(&place))?
            }
            expression => (self.evaluate(expression, environment)?, &steps[..]),
        };
        walk(start, rest).map_err(|why| Error::new(why).at(&place))
    }

    fn is_block(&self, name: &str, environment: Evaluation<'_>) -> bool {
        environment.locals.and_then(|locals| locals.get(name)).is_none() && environment.scope.is_block(name)
    }

    /// `target.NAME.FIELD` evaluates only that field, so that targets may refer to each other.
    fn block<'s>(
        &self,
        kind: &str,
        steps: &'s [TraversalStep],
        environment: Evaluation<'_>,
    ) -> Result<(Value, &'s [TraversalStep]), Error> {
        match steps {
            [TraversalStep::Field(name), TraversalStep::Field(field), rest @ ..] => {
                Ok((environment.scope.block(kind, name, Some(field))?, rest))
            }
            [TraversalStep::Field(name), rest @ ..] => Ok((environment.scope.block(kind, name, None)?, rest)),
            _ => Err(Error::new(format!("cannot traverse {kind} without an attribute; write {kind}.NAME.ATTRIBUTE"))),
        }
    }
}

fn walk(value: Value, steps: &[TraversalStep]) -> Result<Value, String> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(value);
    };
    match step {
        TraversalStep::Field(name) => walk(field(value, name)?, rest),
        TraversalStep::Index(index) => walk(element(value, index)?, rest),
        TraversalStep::Fields => {
            let end = rest.iter().position(|step| !matches!(step, TraversalStep::Field(_))).unwrap_or(rest.len());
            walk(each(value, &rest[..end])?, &rest[end..])
        }
        TraversalStep::All => each(value, rest),
    }
}

/// Applies steps to each element. Null has no elements, and a value that is not a list counts as its only element.
fn each(value: Value, steps: &[TraversalStep]) -> Result<Value, String> {
    let (list, values) = match value {
        Value::Null(_) => return Ok(Value::Tuple(Vec::new())),
        Value::List(_, values) | Value::Set(_, values) => (true, values),
        Value::Tuple(values) => (false, values),
        single => (false, vec![single]),
    };
    let values: Vec<Value> = values.into_iter().map(|value| walk(value, steps)).collect::<Result<_, _>>()?;
    match unify(values.iter().map(Value::kind)) {
        Some(element) if list => Ok(Value::List(element, values)),
        _ => Ok(Value::Tuple(values)),
    }
}

fn field(value: Value, name: &str) -> Result<Value, String> {
    match value {
        Value::Null(_) => Err(format!("cannot read the attribute \"{name}\" of null")),
        Value::Map(_, mut fields) | Value::Object(mut fields) => fields.remove(name).ok_or_else(|| {
            let known: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("there is no attribute \"{name}\"; the object has: {}", known.join(", "))
        }),
        other => Err(format!("a {} has no attribute \"{name}\"", other.kind())),
    }
}
