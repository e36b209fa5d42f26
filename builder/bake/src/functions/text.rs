//! Functions of text: letters, parts, paths, encodings.

use base64::Engine;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    Function,
    arguments::{integer, size, take, text, texts},
    exact, several,
};
use crate::value::{Value, check_length};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("upper", 1, |a| map(a, |text| text.to_uppercase())),
    exact("lower", 1, |a| map(a, |text| text.to_lowercase())),
    exact("title", 1, |a| map(a, title)),
    exact("chomp", 1, |a| map(a, |text| text.trim_end_matches(['\n', '\r']).to_owned())),
    exact("trimspace", 1, |a| map(a, |text| text.trim().to_owned())),
    exact("reverse", 1, |a| map(a, |text| text.graphemes(true).rev().collect())),
    exact("basename", 1, |a| map(a, basename)),
    exact("dirname", 1, |a| map(a, dirname)),
    exact("sanitize", 1, |a| map(a, sanitize)),
    exact("urlencode", 1, |a| map(a, url_encode)),
    exact("base64encode", 1, |a| map(a, |text| base64::engine::general_purpose::STANDARD.encode(text))),
    exact("base64decode", 1, base64_decode),
    exact("strlen", 1, |a| {
        let [value] = take(a)?;
        Ok(Value::count(text(value)?.graphemes(true).count()))
    }),
    exact("trim", 2, |a| pair(a, |text, characters| Value::from(text.trim_matches(|c| characters.contains(c))))),
    exact("trimprefix", 2, |a| pair(a, |text, prefix| Value::from(text.strip_prefix(prefix).unwrap_or(text)))),
    exact("trimsuffix", 2, |a| pair(a, |text, suffix| Value::from(text.strip_suffix(suffix).unwrap_or(text)))),
    exact("split", 2, |a| pair(a, split)),
    exact("substr", 3, substring),
    exact("indent", 2, |a| {
        let [spaces, value] = take(a)?;
        let spaces = size(spaces)?;
        if spaces > 4096 {
            return Err("at most 4096 spaces".into());
        }
        replaced(&text(value)?, "\n", &format!("\n{}", " ".repeat(spaces)))
    }),
    several("join", 2, join),
    exact("homedir", 0, |_| {
        let home = std::env::home_dir().ok_or("the home directory is unknown; set HOME")?;
        Ok(Value::String(home.to_string_lossy().into_owned()))
    }),
];

fn map(arguments: Vec<Value>, run: fn(&str) -> String) -> Result<Value, String> {
    let [value] = take(arguments)?;
    Ok(Value::String(run(&text(value)?)))
}

fn pair(arguments: Vec<Value>, run: fn(&str, &str) -> Value) -> Result<Value, String> {
    let [left, right] = take(arguments)?;
    Ok(run(&text(left)?, &text(right)?))
}

/// The text with other occurrences of a part.
pub(super) fn replaced(text: &str, from: &str, to: &str) -> Result<Value, String> {
    let more = text.matches(from).count().saturating_mul(to.len());
    check_length(text.len().saturating_add(more))?;
    Ok(Value::String(text.replace(from, to)))
}

fn split(separator: &str, text: &str) -> Value {
    match separator {
        "" => Value::strings(text.chars().map(String::from)),
        separator => Value::strings(text.split(separator)),
    }
}

fn join(arguments: Vec<Value>) -> Result<Value, String> {
    let mut arguments = arguments.into_iter();
    let separator = text(arguments.next().ok_or("a separator is required")?)?;
    let mut items = Vec::new();
    for list in arguments {
        items.extend(texts(list)?);
    }
    let separators = separator.len().saturating_mul(items.len().saturating_sub(1));
    check_length(items.iter().map(String::len).sum::<usize>().saturating_add(separators))?;
    Ok(Value::String(items.join(&separator)))
}

/// A letter after something that is not part of a word becomes upper case.
fn title(text: &str) -> String {
    let mut start = true;
    let inside = |c: char| if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { !c.is_whitespace() };
    let mut output = String::new();
    for c in text.chars() {
        if start {
            output.extend(c.to_uppercase());
        } else {
            output.push(c);
        }
        start = !inside(c);
    }
    output
}

fn basename(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        None | Some("") => "/".into(),
        Some(name) => name.into(),
    }
}

fn dirname(path: &str) -> String {
    let directory = path.rfind('/').map_or("", |slash| &path[..=slash]);
    crate::paths::clean(directory)
}

/// Only letters, digits, `_` and `-`, which names of targets may have.
fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}

/// Escapes a text for the query of a URL.
fn url_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte as char),
            b' ' => encoded.push('+'),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn base64_decode(arguments: Vec<Value>) -> Result<Value, String> {
    let [value] = take(arguments)?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text(value)?)
        .map_err(|error| format!("not base64: {error}"))?;
    String::from_utf8(bytes).map(Value::String).map_err(|_| "the decoded bytes are not UTF-8".into())
}

fn substring(arguments: Vec<Value>) -> Result<Value, String> {
    let [value, offset, length] = take(arguments)?;
    let (value, mut offset, length) = (text(value)?, integer(offset)?, integer(length)?);
    if offset >= 0 && length == 0 {
        return Ok(Value::from(""));
    }
    if offset < 0 {
        offset += value.graphemes(true).count() as i64;
    }
    let rest = value.graphemes(true).skip(usize::try_from(offset).unwrap_or(0));
    // Length 0 after an offset from the end means the whole rest, as in the reference.
    let part: String = if length <= 0 { rest.collect() } else { rest.take(length as usize).collect() };
    Ok(Value::String(part))
}
