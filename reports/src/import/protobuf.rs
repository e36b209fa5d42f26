//! The part of the protocol buffers wire format that BuildKit's status stream needs.
//!
//! Source: "Encoding", Protocol Buffers documentation: a message is a sequence of keys (field number and wire type) and values.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'b> {
    /// Wire type 0.
    Number(u64),
    /// Wire type 2: text, bytes or a message.
    Bytes(&'b [u8]),
}

/// The fields of a message in their order, up to the first that is truncated or invalid.
pub(crate) struct Fields<'b>(pub(crate) &'b [u8]);

impl<'b> Iterator for Fields<'b> {
    type Item = (u64, Value<'b>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = self.varint()?;
            let value = match key & 7 {
                0 => Value::Number(self.varint()?),
                1 => {
                    self.take(8)?;
                    continue;
                }
                2 => {
                    let length = usize::try_from(self.varint()?).ok()?;
                    Value::Bytes(self.take(length)?)
                }
                5 => {
                    self.take(4)?;
                    continue;
                }
                // Groups are deprecated and other wire types do not exist, so the rest of the message cannot be decoded.
                _ => return None,
            };
            return Some((key >> 3, value));
        }
    }
}

impl<'b> Fields<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        // 64 bits in groups of seven need at most ten bytes.
        for index in 0..10 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f).checked_shl(7 * index)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Decodes a `google.protobuf.Timestamp` as nanoseconds since 1970.
pub(crate) fn timestamp(message: &[u8]) -> i128 {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(message) {
        match field {
            (1, Value::Number(value)) => seconds = i128::from(value.cast_signed()),
            (2, Value::Number(value)) => nanos = i128::from(value.cast_signed()),
            _ => {}
        }
    }
    seconds * 1_000_000_000 + nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_s_examples() {
        // "Encoding": a message with field 1 = 150 is 08 96 01; field 2 = "testing" is 12 07 74 65 73 74 69 6e 67.
        assert_eq!(Fields(&[0x08, 0x96, 0x01]).collect::<Vec<_>>(), [(1, Value::Number(150))]);
        let text = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(Fields(&text).collect::<Vec<_>>(), [(2, Value::Bytes(b"testing"))]);
        assert_eq!(Fields(&text[..5]).count(), 0, "a truncated field is dropped");
    }
}
