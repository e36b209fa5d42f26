//! Functions of lists: `concat`, `element`, `flatten`, `range`, `slice`, `csvdecode`.

use super::{
    Function,
    arguments::{bounded, integer, list_of, number, sequence, sequence_of, size, take, text, texts},
    exact, several, with_nulls,
};
use crate::value::{Number, Type, Value, convert, equal, unify};

/// The most elements that `range` makes.
const MAX_RANGE: usize = 1024;

pub(super) const FUNCTIONS: &[Function] = &[
    exact("chunklist", 2, chunks),
    with_nulls(several("coalesce", 1, |arguments| {
        let kind = unify(arguments.iter().map(Value::kind)).ok_or("all arguments must have the same type")?;
        let found = arguments.into_iter().find(|value| !value.is_null());
        convert(found.ok_or("no argument has a value")?, &kind)
    })),
    with_nulls(several("coalescelist", 1, |arguments| {
        let mut lists = arguments.into_iter();
        lists
            .find(|list| list.elements().is_some_and(|values| !values.is_empty()))
            .ok_or_else(|| "no argument is a list with elements".to_owned())
    })),
    exact("compact", 1, |a| {
        let [list] = take(a)?;
        let Value::List(_, values) = convert(list, &Type::list(Type::String))? else {
            return Err("a list of strings is required".into());
        };
        let kept = values.into_iter().filter(|value| !value.is_null() && *value != Value::from("")).collect();
        Ok(Value::List(Type::String, kept))
    }),
    several("concat", 1, |arguments| {
        let mut lists = true;
        let mut all = Vec::new();
        for argument in arguments {
            let (list, values) = sequence(argument)?;
            lists &= list;
            all.extend(values);
        }
        if lists { list_of(all) } else { Ok(Value::Tuple(all)) }
    }),
    exact("contains", 2, |a| {
        let [list, value] = take(a)?;
        let values = list.elements().ok_or("a list, tuple or set is required")?;
        Ok(Value::Bool(values.iter().any(|element| equal(element, &value))))
    }),
    exact("distinct", 1, |a| {
        let [list] = take(a)?;
        let Value::List(element, values) = convert(list, &Type::list(Type::Dynamic))? else {
            return Err("a list is required".into());
        };
        let mut different: Vec<Value> = Vec::new();
        for value in values {
            if !different.iter().any(|known| equal(known, &value)) {
                different.push(value);
            }
        }
        Ok(Value::List(element, different))
    }),
    exact("element", 2, |a| {
        let [list, index] = take(a)?;
        let (_, values) = sequence(list)?;
        if values.is_empty() {
            return Err("an empty list has no element".into());
        }
        let position = integer(index)?.rem_euclid(values.len() as i64);
        Ok(values[position as usize].clone())
    }),
    exact("flatten", 1, |a| {
        let [list] = take(a)?;
        let mut flat = Vec::new();
        flatten(list.elements().ok_or("a list, set or tuple is required")?, &mut flat);
        Ok(Value::Tuple(flat))
    }),
    exact("indexof", 2, |a| {
        let [list, value] = take(a)?;
        let (_, values) = sequence(list)?;
        if values.is_empty() {
            return Err("cannot search an empty list".into());
        }
        values
            .iter()
            .position(|element| equal(element, &value))
            .map(Value::count)
            .ok_or_else(|| "item not found".into())
    }),
    several("range", 1, range),
    exact("reverselist", 1, |a| {
        let [list] = take(a)?;
        let (list, mut values) = match list {
            Value::Set(_, values) => (true, values),
            other => sequence(other)?,
        };
        values.reverse();
        Ok(sequence_of(list, values))
    }),
    exact("slice", 3, |a| {
        let [list, start, end] = take(a)?;
        let (list, values) = sequence(list)?;
        let (start, end) = (size(start)?, size(end)?);
        let part = values
            .get(start..end)
            .ok_or_else(|| format!("{start} to {end} is not a part of a list of {} elements", values.len()))?;
        Ok(sequence_of(list, part.to_vec()))
    }),
    exact("sort", 1, |a| {
        let [list] = take(a)?;
        let mut values = texts(list)?;
        values.sort();
        Ok(Value::strings(values))
    }),
    exact("csvdecode", 1, csv),
];

fn chunks(arguments: Vec<Value>) -> Result<Value, String> {
    let [list, length] = take(arguments)?;
    let Value::List(element, values) = convert(list, &Type::list(Type::Dynamic))? else {
        return Err("a list is required".into());
    };
    let kind = Type::list(element.clone());
    let chunks = match size(length)? {
        0 if values.is_empty() => Vec::new(),
        0 => vec![Value::List(element, values)],
        length => values.chunks(length).map(|chunk| Value::List(element.clone(), chunk.to_vec())).collect(),
    };
    Ok(Value::List(kind, chunks))
}

fn flatten(values: &[Value], flat: &mut Vec<Value>) {
    for value in values {
        match value.elements() {
            Some(inner) => flatten(inner, flat),
            None => flat.push(value.clone()),
        }
    }
}

fn range(arguments: Vec<Value>) -> Result<Value, String> {
    let numbers: Vec<Number> = arguments.into_iter().map(number).collect::<Result<_, _>>()?;
    let zero = Number::from(0);
    let (start, end, step) = match &numbers[..] {
        [end] => (zero.clone(), end.clone(), None),
        [start, end] => (start.clone(), end.clone(), None),
        [start, end, step] => (start.clone(), end.clone(), Some(step.clone())),
        _ => return Err("takes one, two or three numbers".into()),
    };
    let step = step.unwrap_or_else(|| Number::from(if end < start { -1 } else { 1 }));
    if step == zero {
        return Err("the step must not be zero".into());
    }
    let down = step < zero;
    if (down && end > start) || (!down && end < start) {
        return Err("the step leads away from the end".into());
    }
    let mut values = Vec::new();
    let mut next = start;
    while if down { next > end } else { next < end } {
        if values.len() == MAX_RANGE {
            return Err(format!("more than {MAX_RANGE} numbers; use a larger step"));
        }
        values.push(Value::Number(next.clone()));
        next += &step;
    }
    Ok(Value::List(Type::Number, values))
}

/// Rows of comma-separated values after a line with the names of the columns.
fn csv(arguments: Vec<Value>) -> Result<Value, String> {
    let [value] = take(arguments)?;
    let value = text(value)?;
    let mut rows = crate::csv::rows(&value)?.into_iter();
    let names = rows.next().ok_or("the line with the names of the columns is missing")?;
    if let Some(twice) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        return Err(format!("two columns are named \"{}\"", twice.1));
    }
    let kind = Type::object(names.iter().map(|name| (name.clone(), Type::String)));
    let object = |row: Vec<String>| {
        if row.len() != names.len() {
            return Err(format!("a row has {} fields, the first line {}", row.len(), names.len()));
        }
        Ok(Value::Object(names.iter().cloned().zip(row.into_iter().map(Value::String)).collect()))
    };
    Ok(Value::List(kind, bounded(rows.map(object))?))
}
