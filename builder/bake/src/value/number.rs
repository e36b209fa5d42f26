//! Numbers: exact and bounded.

use bigdecimal::num_bigint::BigInt;
use num_traits::ToPrimitive;

/// An exact decimal number. buildx computes with 512 bits, so neither rounds `0.1 + 0.2`.
pub(crate) type Number = bigdecimal::BigDecimal;

/// The most digits of a number before or after its point. Larger exponents would write megabytes of zeros.
pub(crate) const MAX_DIGITS: i64 = 4096;

/// Reads a decimal number, also with an exponent. `None`: not a number, or more than `MAX_DIGITS` digits.
pub(crate) fn parse_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || text.contains('_')
        || text.len() as i64 > MAX_DIGITS
    {
        return None;
    }
    let exponent = text.split_once(['e', 'E']).map_or(Some(0), |(_, exponent)| exponent.parse::<i64>().ok())?;
    if exponent.abs() > MAX_DIGITS {
        return None;
    }
    text.parse().ok()
}

/// The result of an operation, unless it has more than `MAX_DIGITS` digits: repeated squares would take all memory.
pub(crate) fn bounded(number: Number) -> Result<Number, String> {
    let digits = i64::try_from(number.digits()).unwrap_or(i64::MAX);
    if digits.max(number.fractional_digit_count().abs()) > MAX_DIGITS {
        return Err(format!("a number has at most {MAX_DIGITS} digits"));
    }
    Ok(number)
}

/// The shortest decimal text of a number, without an exponent.
pub(crate) fn number_text(number: &Number) -> String {
    let text = number.normalized().to_plain_string();
    if text == "-0" { "0".into() } else { text }
}

/// The number as an integer, if it is one.
pub(crate) fn whole(number: &Number) -> Option<i64> {
    number.is_integer().then(|| number.to_i64()).flatten()
}

/// The number as an integer of any size.
pub(crate) fn whole_big(number: &Number) -> Option<BigInt> {
    number.is_integer().then(|| number.with_scale(0).into_bigint_and_exponent().0)
}
