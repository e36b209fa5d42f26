//! `format` and `formatlist`: C's `printf` with the verbs of HCL.

use bigdecimal::{RoundingMode, num_bigint::BigInt};
use num_traits::{Signed, Zero};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    Function,
    arguments::{boolean, bounded, number, text},
    several, with_nulls,
};
use crate::value::{Number, Type, Value, check_length, json_text, number_text, whole_big};

/// The widest field and the most digits after the point.
const MAX_WIDTH: usize = 4096;

pub(super) const FUNCTIONS: &[Function] = &[
    with_nulls(several("format", 1, |mut arguments| {
        let pattern = text(arguments.remove(0))?;
        format(&pattern, &arguments).map(Value::String)
    })),
    with_nulls(several("formatlist", 1, |mut arguments| {
        let pattern = text(arguments.remove(0))?;
        let mut length = None;
        for argument in arguments.iter().filter_map(Value::elements) {
            if length.is_some_and(|length| length != argument.len()) {
                return Err("lists have different lengths".into());
            }
            length = Some(argument.len());
        }
        let line = |index: usize| {
            let row: Vec<Value> = arguments
                .iter()
                .map(|argument| argument.elements().map_or_else(|| argument.clone(), |values| values[index].clone()))
                .collect();
            format(&pattern, &row)
        };
        let lines = bounded((0..length.unwrap_or(1)).map(|index| line(index).map(Value::String)))?;
        Ok(Value::List(Type::String, lines))
    })),
];

#[derive(Default)]
struct Verb {
    zero: bool,
    sharp: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
    mode: char,
}

fn format(pattern: &str, arguments: &[Value]) -> Result<String, String> {
    let mut output = String::new();
    let mut next = 0;
    let mut most = 0;
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        output.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            output.push('%');
            rest = after;
            continue;
        }
        let (verb, position, after) = verb(after)?;
        let position = position.unwrap_or(next);
        let argument = arguments.get(position).ok_or_else(|| {
            format!("%{} needs argument {}, and there are {}", verb.mode, position + 1, arguments.len())
        })?;
        output.push_str(&verb.write(argument)?);
        check_length(output.len())?;
        next = position + 1;
        most = most.max(next);
        rest = after;
    }
    output.push_str(rest);
    if most < arguments.len() {
        return Err(format!("{} arguments, and the format uses {most}", arguments.len()));
    }
    Ok(output)
}

/// Reads what follows a percent sign: the verb, the position of its argument if it names one, and the rest.
fn verb(text: &str) -> Result<(Verb, Option<usize>, &str), String> {
    let mut verb = Verb::default();
    let mut rest = text;
    loop {
        match rest.bytes().next() {
            Some(b'0') => verb.zero = true,
            Some(b'#') => verb.sharp = true,
            Some(b'+') => verb.plus = true,
            Some(b'-') => verb.minus = true,
            Some(b' ') => verb.space = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    (verb.width, rest) = digits(rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after)?;
        verb.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    let mut position = None;
    if let Some(after) = rest.strip_prefix('[') {
        let (number, after) = digits(after)?;
        let number = number.filter(|number| *number > 0).ok_or("the position of an argument counts from 1")?;
        position = Some(number - 1);
        rest = after.strip_prefix(']').ok_or("`[` in a format needs `]`")?;
    }
    verb.mode = rest.chars().next().ok_or("the format ends after %")?;
    let rest = &rest[verb.mode.len_utf8()..];
    Ok((verb, position, rest))
}

fn digits(text: &str) -> Result<(Option<usize>, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let number = text[..end].parse().ok().filter(|number| *number <= MAX_WIDTH);
    Ok((Some(number.ok_or("a width is at most 4096")?), &text[end..]))
}

impl Verb {
    fn write(&self, argument: &Value) -> Result<String, String> {
        if argument.is_null() && self.mode != 'v' {
            return Err(format!("%{} cannot write null", self.mode));
        }
        Ok(match self.mode {
            'v' => self.pad(match argument {
                Value::String(text) if !self.sharp => text.clone(),
                Value::Number(number) if !self.sharp => general(number, None),
                other => json_text(other),
            }),
            't' => boolean(argument.clone())?.to_string(),
            's' => self.pad(self.cut(text(argument.clone())?)),
            'q' => self.pad(json_text(&Value::String(self.cut(text(argument.clone())?)))),
            'b' | 'd' | 'o' | 'x' | 'X' => self.integer(&number(argument.clone())?)?,
            'e' | 'E' | 'f' | 'g' | 'G' => self.real(&number(argument.clone())?),
            other => return Err(format!("unsupported verb %{other}")),
        })
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(precision) if precision > 0 => text.graphemes(true).take(precision).collect(),
            _ => text,
        }
    }

    fn pad(&self, text: String) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.graphemes(true).count());
        match (self.minus, self.zero) {
            (true, true) => text + &"0".repeat(missing),
            (true, false) => text + &" ".repeat(missing),
            (false, true) => "0".repeat(missing) + &text,
            (false, false) => " ".repeat(missing) + &text,
        }
    }

    fn integer(&self, number: &Number) -> Result<String, String> {
        let number: BigInt = whole_big(number).ok_or_else(|| format!("%{} needs a whole number", self.mode))?;
        let (radix, prefix) = match self.mode {
            'b' => (2, ""),
            'o' => (8, "0"),
            'x' => (16, "0x"),
            'X' => (16, "0X"),
            _ => (10, ""),
        };
        let mut digits = number.abs().to_str_radix(radix);
        if self.mode == 'X' {
            digits = digits.to_uppercase();
        }
        if let Some(precision) = self.precision {
            digits = "0".repeat(precision.saturating_sub(digits.len())) + &digits;
        }
        let prefix = if self.sharp { prefix } else { "" };
        Ok(self.signed(number.is_negative(), prefix, &digits))
    }

    fn real(&self, number: &Number) -> String {
        let magnitude = number.abs();
        let digits = match self.mode {
            'f' => {
                let scale = self.precision.unwrap_or(6) as i64;
                magnitude.with_scale_round(scale, RoundingMode::HalfEven).to_plain_string()
            }
            'e' => exponent(&magnitude, self.precision.unwrap_or(6)),
            'E' => exponent(&magnitude, self.precision.unwrap_or(6)).to_uppercase(),
            'G' => general(&magnitude, self.precision).to_uppercase(),
            _ => general(&magnitude, self.precision),
        };
        self.signed(number.is_negative(), "", &digits)
    }

    /// Adds the sign, and zeros between sign and digits or spaces around both.
    fn signed(&self, negative: bool, prefix: &str, digits: &str) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        let missing = self.width.unwrap_or(0).saturating_sub(sign.len() + prefix.len() + digits.len());
        if self.minus {
            format!("{sign}{prefix}{digits}{}", " ".repeat(missing))
        } else if self.zero {
            format!("{sign}{prefix}{}{digits}", "0".repeat(missing))
        } else {
            format!("{}{sign}{prefix}{digits}", " ".repeat(missing))
        }
    }
}

/// `1.5e+06`, with `precision` digits after the point.
fn exponent(number: &Number, precision: usize) -> String {
    let rounded = number.with_precision_round(digits_of(precision + 1), RoundingMode::HalfEven).normalized();
    let (digits, scale) = rounded.as_bigint_and_exponent();
    let digits = digits.to_string();
    let exponent = if rounded.is_zero() { 0 } else { digits.len() as i64 - 1 - scale };
    let (first, rest) = digits.split_at(1);
    let sign = if exponent < 0 { '-' } else { '+' };
    let point = if precision == 0 { "" } else { "." };
    format!("{first}{point}{rest:0<precision$}e{sign}{:02}", exponent.abs())
}

fn digits_of(count: usize) -> std::num::NonZeroU64 {
    std::num::NonZeroU64::new(count as u64).unwrap_or(std::num::NonZeroU64::MIN)
}

/// The shorter of the two forms: with an exponent below -4, and from the precision on, or from 6 without a precision.
fn general(number: &Number, precision: Option<usize>) -> String {
    let rounded = match precision {
        Some(precision) => number.with_precision_round(digits_of(precision.max(1)), RoundingMode::HalfEven),
        None => number.clone(),
    };
    let (digits, scale) = rounded.normalized().as_bigint_and_exponent();
    let count = digits.abs().to_string().len() as i64;
    let magnitude = if rounded.is_zero() { 0 } else { count - 1 - scale };
    let limit = match precision {
        Some(precision) if precision as i64 > count && count > magnitude => count,
        Some(precision) => precision.max(1) as i64,
        None => 6,
    };
    if magnitude < -4 || magnitude >= limit {
        let sign = if number.is_negative() { "-" } else { "" };
        return format!("{sign}{}", exponent(&rounded.abs(), count as usize - 1));
    }
    number_text(&rounded)
}
