//! Operators: arithmetic, comparisons and logic.

use hcl_edit::expr::{BinaryOperator, UnaryOperator};

use crate::value::{Number, Type, Value, bounded, convert, divide, equal, remainder};

/// The value of a prefix operator.
pub(super) fn unary(operator: UnaryOperator, value: Value) -> Result<Value, String> {
    match operator {
        UnaryOperator::Neg => Ok(Value::Number(-number(value)?)),
        UnaryOperator::Not => Ok(Value::Bool(!boolean(value)?)),
    }
}

/// The value of `&&` or `||` if the left side decides it.
pub(super) fn short_circuit(operator: BinaryOperator, left: &Value) -> Option<Value> {
    let left = boolean(left.clone()).ok()?;
    match operator {
        BinaryOperator::And if !left => Some(Value::Bool(false)),
        BinaryOperator::Or if left => Some(Value::Bool(true)),
        _ => None,
    }
}

/// The value of an operator between two values.
pub(super) fn binary(operator: BinaryOperator, left: Value, right: Value) -> Result<Value, String> {
    use BinaryOperator::{And, Div, Eq, Greater, GreaterEq, Less, LessEq, Minus, Mod, Mul, NotEq, Or, Plus};
    Ok(match operator {
        Eq => Value::Bool(equal(&left, &right)),
        NotEq => Value::Bool(!equal(&left, &right)),
        And => Value::Bool(boolean(left)? && boolean(right)?),
        Or => Value::Bool(boolean(left)? || boolean(right)?),
        Less => Value::Bool(number(left)? < number(right)?),
        LessEq => Value::Bool(number(left)? <= number(right)?),
        Greater => Value::Bool(number(left)? > number(right)?),
        GreaterEq => Value::Bool(number(left)? >= number(right)?),
        Plus => Value::Number(bounded(number(left)? + number(right)?)?),
        Minus => Value::Number(bounded(number(left)? - number(right)?)?),
        Mul => Value::Number(bounded(number(left)? * number(right)?)?),
        Div => Value::Number(bounded(divide(&number(left)?, &number(right)?)?)?),
        Mod => Value::Number(bounded(remainder(&number(left)?, &number(right)?)?)?),
    })
}

fn number(value: Value) -> Result<Number, String> {
    match convert(value, &Type::Number)? {
        Value::Number(number) => Ok(number),
        _ => Err("an operand is null; a number is required".into()),
    }
}

fn boolean(value: Value) -> Result<bool, String> {
    match convert(value, &Type::Bool)? {
        Value::Bool(value) => Ok(value),
        _ => Err("an operand is null; a bool is required".into()),
    }
}
