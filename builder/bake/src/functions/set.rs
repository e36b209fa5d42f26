//! Functions of sets.

use super::{
    Function,
    arguments::{list_of, take},
    exact, several,
};
use crate::value::{Type, Value, convert, unify};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("sethaselement", 2, |a| {
        let [set, value] = take(a)?;
        let (_, values) = elements(set)?;
        Ok(Value::Bool(values.contains(&value)))
    }),
    several("setintersection", 1, |a| {
        operation(a, |first, other| first.into_iter().filter(|v| other.contains(v)).collect())
    }),
    exact("setsubtract", 2, |a| {
        operation(a, |first, other| first.into_iter().filter(|v| !other.contains(v)).collect())
    }),
    several("setsymmetricdifference", 1, |a| {
        operation(a, |first, other| {
            let (both, mut only): (Vec<Value>, Vec<Value>) = first.into_iter().partition(|value| other.contains(value));
            only.extend(other.iter().filter(|value| !both.contains(value)).cloned());
            only
        })
    }),
    several("setunion", 1, |a| {
        operation(a, |mut first, other| {
            first.extend(other.iter().cloned());
            first
        })
    }),
    several("setproduct", 2, product),
];

fn elements(value: Value) -> Result<(Type, Vec<Value>), String> {
    match convert(value, &Type::Set(Box::new(Type::Dynamic)))? {
        Value::Set(element, values) => Ok((element, values)),
        _ => Err("a set is required".into()),
    }
}

fn operation(arguments: Vec<Value>, run: fn(Vec<Value>, &[Value]) -> Vec<Value>) -> Result<Value, String> {
    let sets: Vec<(Type, Vec<Value>)> = arguments.into_iter().map(elements).collect::<Result<_, _>>()?;
    let kind = unify(sets.iter().map(|(kind, _)| kind.clone())).ok_or("all sets must have elements of one type")?;
    let mut sets = sets
        .into_iter()
        .map(|(_, values)| values.into_iter().map(|value| convert(value, &kind)).collect::<Result<Vec<_>, _>>());
    let mut result = sets.next().ok_or("at least one set is required")??;
    for other in sets {
        result = run(result, &other?);
    }
    Ok(Value::set(kind.clone(), result))
}

/// The most combinations that `setproduct` makes.
const MAX_PRODUCT: usize = 100_000;

/// Each combination of one element of each argument. Lists keep their order.
fn product(arguments: Vec<Value>) -> Result<Value, String> {
    let lists = arguments.iter().all(|argument| matches!(argument, Value::List(..) | Value::Tuple(_)));
    let mut combinations: Vec<Vec<Value>> = vec![Vec::new()];
    for argument in arguments {
        let values = match argument {
            Value::Set(_, values) => values,
            other => match list_of(other.elements().ok_or("a set or a list is required")?.to_vec())? {
                Value::List(_, values) => values,
                _ => Vec::new(),
            },
        };
        if combinations.len().saturating_mul(values.len()) > MAX_PRODUCT {
            return Err(format!("more than {MAX_PRODUCT} combinations"));
        }
        combinations = combinations
            .iter()
            .flat_map(|combination| {
                values.iter().map(move |value| combination.iter().cloned().chain([value.clone()]).collect())
            })
            .collect();
    }
    let tuples: Vec<Value> = combinations.into_iter().map(Value::Tuple).collect();
    if lists {
        return list_of(tuples);
    }
    let kind = unify(tuples.iter().map(Value::kind)).unwrap_or(Type::Dynamic);
    Ok(Value::set(kind, tuples))
}
