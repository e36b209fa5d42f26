//! `$NAME` and `${NAME:-default}` in compose files, by the Compose Specification.

use std::borrow::Cow;

use crate::value::check_length;

/// The deepest nesting of defaults.
const MAX_DEPTH: usize = 32;
/// The longest part of a text in an error, in characters.
const EXCERPT: usize = 200;

/// The value of a variable.
pub(super) type Lookup<'a> = dyn Fn(&str) -> Option<Cow<'a, str>> + 'a;

/// Replaces variables. One that is not set is empty.
///
/// # Errors
/// A `$` does not start a variable, a required variable is missing, or the result is too long.
pub(super) fn interpolate(text: &str, environment: &Lookup<'_>) -> Result<String, String> {
    replace(text, environment, 0)
}

fn replace(text: &str, environment: &Lookup<'_>, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!("variables are nested more than {MAX_DEPTH} deep"));
    }
    let invalid = || {
        let shown: String = text.chars().take(EXCERPT).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        format!("invalid interpolation format: {shown}{more}; write $$ for a dollar sign")
    };
    let mut output = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        output.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            output.push('$');
            rest = after;
        } else if let Some(braced) = after.strip_prefix('{') {
            let end = closing_brace(braced).ok_or_else(invalid)?;
            let (name, operation) = braced[..end].split_at(name_length(&braced[..end]));
            if name.is_empty() {
                return Err(invalid());
            }
            let value = expand(name, operation, environment, depth)?.ok_or_else(invalid)?;
            check_length(output.len() + value.len())?;
            output.push_str(&value);
            rest = &braced[end + 1..];
        } else {
            let length = name_length(after);
            if length == 0 {
                return Err(invalid());
            }
            let value = environment(&after[..length]).unwrap_or_default();
            check_length(output.len() + value.len())?;
            output.push_str(&value);
            rest = &after[length..];
        }
    }
    output.push_str(rest);
    Ok(output)
}

fn name_length(text: &str) -> usize {
    let digit_first = text.starts_with(|c: char| c.is_ascii_digit());
    if digit_first {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// The brace that closes the text, past braces of nested variables.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// The value of `NAME` with the operation after it in braces. `None` if it is not an operation.
fn expand(name: &str, operation: &str, environment: &Lookup<'_>, depth: usize) -> Result<Option<String>, String> {
    let set = environment(name).map(Cow::into_owned);
    let filled = set.clone().filter(|value| !value.is_empty());
    let inner = |text: &str| replace(text, environment, depth + 1);
    let missing = |text: &str| -> Result<Option<String>, String> {
        let reason = inner(text)?;
        let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
        Err(format!("required variable {name} is missing a value{reason}"))
    };
    let value = |value: Option<String>| Ok(Some(value.unwrap_or_default()));
    if operation.is_empty() {
        value(set)
    } else if let Some(default) = operation.strip_prefix(":-") {
        filled.map_or_else(|| inner(default).map(Some), |filled| Ok(Some(filled)))
    } else if let Some(reason) = operation.strip_prefix(":?") {
        filled.map_or_else(|| missing(reason), |filled| Ok(Some(filled)))
    } else if let Some(other) = operation.strip_prefix(":+") {
        if filled.is_some() { inner(other).map(Some) } else { value(set) }
    } else if let Some(default) = operation.strip_prefix('-') {
        set.map_or_else(|| inner(default).map(Some), |set| Ok(Some(set)))
    } else if let Some(reason) = operation.strip_prefix('?') {
        set.map_or_else(|| missing(reason), |set| Ok(Some(set)))
    } else if let Some(other) = operation.strip_prefix('+') {
        if set.is_some() { inner(other).map(Some) } else { value(set) }
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, collections::BTreeMap};

    use super::interpolate;

    /// The table of the Compose Specification, "Interpolation".
    #[test]
    fn operations_follow_the_compose_specification() {
        let environment = BTreeMap::from([("SET", "value"), ("EMPTY", "")]);
        let environment = |name: &str| environment.get(name).map(|value| Cow::Borrowed(*value));
        for (text, expected) in [
            ("$SET-${SET}", "value-value"),
            ("${EMPTY:-d} ${EMPTY-d} ${UNSET-d} ${UNSET:-d}", "d  d d"),
            ("${SET:+r} ${EMPTY:+r} ${EMPTY+r} ${UNSET+r}", "r  r "),
            ("${UNSET:-${SET}x}", "valuex"),
            ("${UNSET:-${EMPTY:-deep}}}", "deep}"),
            ("$$SET $${SET}", "$SET ${SET}"),
            ("plain", "plain"),
        ] {
            assert_eq!(interpolate(text, &environment).unwrap(), expected, "{text}");
        }
        for text in ["${", "$", "${}", "$1", "${SET!x}", "${UNSET:?gone}", "${EMPTY:?}", "${UNSET?}"] {
            assert!(interpolate(text, &environment).is_err(), "{text}");
        }
    }
}
