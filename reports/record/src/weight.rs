//! The size of a document before it is built in memory. An alias of YAML repeats a value of a million bytes in three.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::cell::Cell;
use std::fmt;

/// The size of a value besides its text, in bytes: about the smallest that a parsed value takes.
const VALUE: usize = 32;

/// Why a document was not weighed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeightError {
    /// Its values take more than the limit.
    TooLarge,
    /// It is not valid.
    Invalid,
}

/// The bytes that the values of a document take, about.
///
/// # Errors
/// They take more than `limit`, or the document is not valid.
pub fn weight<'de>(document: impl Deserializer<'de>, limit: usize) -> Result<usize, WeightError> {
    let left = Cell::new(Some(limit));
    let weighed = Scale(&left).deserialize(document);
    match (weighed, left.get()) {
        (Ok(()), Some(left)) => Ok(limit - left),
        (_, None) => Err(WeightError::TooLarge),
        (Err(_), Some(_)) => Err(WeightError::Invalid),
    }
}

/// Visits all values and counts them down to `None`.
#[derive(Clone, Copy)]
struct Scale<'a>(&'a Cell<Option<usize>>);

impl Scale<'_> {
    fn take<E: Error>(self, text: usize) -> Result<(), E> {
        self.0.set(self.0.get().and_then(|left| left.checked_sub(text + VALUE)));
        self.0.get().map(drop).ok_or_else(|| E::custom("it is too large"))
    }
}

impl<'de> DeserializeSeed<'de> for Scale<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        document.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scale<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.take(0)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.take(0)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.take(0)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.take(0)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.take(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.take(0)?;
        while values.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.take(0)?;
        while values.next_key_seed(self)?.is_some() {
            values.next_value_seed(self)?;
        }
        Ok(())
    }

    /// A value with a tag.
    fn visit_enum<A: EnumAccess<'de>>(self, value: A) -> Result<(), A::Error> {
        let (_, value) = value.variant::<IgnoredAny>()?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_count() {
        let weigh = |text: &str, limit| weight(&mut serde_json::Deserializer::from_str(text), limit);
        let text = r#"{"key": ["text", 1, -1, 0.5, true, null, {}]}"#;
        // The map, its key, the list and its seven elements; and seven letters.
        let size = 10 * VALUE + 7;
        assert_eq!(weigh(text, size), Ok(size));
        assert_eq!(weigh(text, size - 1), Err(WeightError::TooLarge));
        assert_eq!(weigh("{", 1000), Err(WeightError::Invalid));
    }
}
