//! Functions of numbers and booleans.

use bigdecimal::num_bigint::BigInt;
use num_traits::{Num, ToPrimitive};

use super::{
    Function,
    arguments::{boolean, number, size, take, text},
    exact, several, with_nulls,
};
use crate::value::{MAX_DIGITS, Number, Value, bounded, divide, equal, parse_number, remainder, whole};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("absolute", 1, |a| one(a, |number| Ok(number.abs()))),
    exact("add", 2, |a| two(a, |left, right| Ok(left + right))),
    exact("subtract", 2, |a| two(a, |left, right| Ok(left - right))),
    exact("multiply", 2, |a| two(a, |left, right| Ok(left * right))),
    exact("divide", 2, |a| two(a, |left, right| divide(&left, &right))),
    exact("modulo", 2, |a| two(a, |left, right| remainder(&left, &right))),
    exact("negate", 1, |a| one(a, |number| Ok(-number))),
    exact("ceil", 1, |a| one(a, |number| Ok(round(number, bigdecimal::RoundingMode::Ceiling)))),
    exact("floor", 1, |a| one(a, |number| Ok(round(number, bigdecimal::RoundingMode::Floor)))),
    exact("int", 1, |a| one(a, |number| Ok(round(number, bigdecimal::RoundingMode::Down)))),
    exact("log", 2, |a| two(a, |number, base| float(real(&number).ln() / real(&base).ln()))),
    exact("pow", 2, |a| two(a, |number, power| float(real(&number).powf(real(&power))))),
    exact("signum", 1, |a| {
        one(a, |number| {
            whole(&number)
                .map(|number| Number::from(number.signum()))
                .ok_or_else(|| "a whole number is required".into())
        })
    }),
    several("max", 1, |a| extreme(a, |candidate, best| candidate > best)),
    several("min", 1, |a| extreme(a, |candidate, best| candidate < best)),
    exact("parseint", 2, parse),
    exact("and", 2, |a| logic(a, |left, right| left && right)),
    exact("or", 2, |a| logic(a, |left, right| left || right)),
    exact("not", 1, |a| {
        let [value] = take(a)?;
        Ok(Value::Bool(!boolean(value)?))
    }),
    exact("greaterthan", 2, |a| compare(a, |left, right| left > right)),
    exact("greaterthanorequalto", 2, |a| compare(a, |left, right| left >= right)),
    exact("lessthan", 2, |a| compare(a, |left, right| left < right)),
    exact("lessthanorequalto", 2, |a| compare(a, |left, right| left <= right)),
    with_nulls(exact("equal", 2, |a| {
        let [left, right] = take(a)?;
        Ok(Value::Bool(equal(&left, &right)))
    })),
    with_nulls(exact("notequal", 2, |a| {
        let [left, right] = take(a)?;
        Ok(Value::Bool(!equal(&left, &right)))
    })),
];

fn one(arguments: Vec<Value>, run: fn(Number) -> Result<Number, String>) -> Result<Value, String> {
    let [value] = take(arguments)?;
    run(number(value)?).and_then(bounded).map(Value::Number)
}

fn two(arguments: Vec<Value>, run: fn(Number, Number) -> Result<Number, String>) -> Result<Value, String> {
    let [left, right] = take(arguments)?;
    run(number(left)?, number(right)?).and_then(bounded).map(Value::Number)
}

fn compare(arguments: Vec<Value>, run: fn(Number, Number) -> bool) -> Result<Value, String> {
    let [left, right] = take(arguments)?;
    Ok(Value::Bool(run(number(left)?, number(right)?)))
}

fn logic(arguments: Vec<Value>, run: fn(bool, bool) -> bool) -> Result<Value, String> {
    let [left, right] = take(arguments)?;
    Ok(Value::Bool(run(boolean(left)?, boolean(right)?)))
}

fn extreme(arguments: Vec<Value>, better: fn(&Number, &Number) -> bool) -> Result<Value, String> {
    let mut best: Option<Number> = None;
    for argument in arguments {
        let candidate = number(argument)?;
        if best.as_ref().is_none_or(|best| better(&candidate, best)) {
            best = Some(candidate);
        }
    }
    best.map(Value::Number).ok_or_else(|| "at least one number is required".into())
}

fn round(number: Number, mode: bigdecimal::RoundingMode) -> Number {
    number.with_scale_round(0, mode)
}

fn real(number: &Number) -> f64 {
    number.to_f64().unwrap_or(f64::NAN)
}

/// The shortest text that reads back as the same number, not all digits of its binary form.
fn float(result: f64) -> Result<Number, String> {
    parse_number(&result.to_string()).ok_or_else(|| "the result is not a finite number".into())
}

fn parse(arguments: Vec<Value>) -> Result<Value, String> {
    let [digits, base] = take(arguments)?;
    let (digits, base) = (text(digits)?, size(base)?);
    if !(2..=36).contains(&base) {
        return Err(format!("base {base}; it must be from 2 to 36"));
    }
    if digits.len() as i64 > MAX_DIGITS {
        return Err("a number has at most 4096 digits".into());
    }
    BigInt::from_str_radix(&digits, base as u32)
        .map(|number| Value::Number(Number::from(number)))
        .map_err(|_| format!("\"{digits}\" is not a whole number in base {base}"))
}
