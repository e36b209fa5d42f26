//! The encoding of the messages between the builder and a step's init. Both ends are the same program, so it has no version and
//! no field names.

/// A value that can be sent to another process.
pub(super) trait Wire: Sized {
    /// Appends the encoded value.
    fn put(&self, out: &mut Vec<u8>);
    /// Decodes a value and advances `input`. Returns `None` if the bytes are truncated or invalid.
    fn take(input: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Wire for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(input: &mut &[u8]) -> Option<Self> {
                let (head, rest) = input.split_first_chunk()?;
                *input = rest;
                Some(Self::from_le_bytes(*head))
            }
        }
    )+};
}
numbers!(u8, u32, u64, i32);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(u8::take(input)? != 0)
    }
}

/// A string or path, encoded as its length and its bytes. It is a separate type because encoding a `Vec<u8>` element by element
/// is slow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl<T: AsRef<[u8]>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().to_vec())
    }
}

impl Wire for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0.len() as u64).put(out);
        out.extend_from_slice(&self.0);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        let length = u64::take(input)?.try_into().ok()?;
        let (bytes, rest) = input.split_at_checked(length)?;
        *input = rest;
        Some(Self(bytes.to_vec()))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        self.iter().for_each(|item| item.put(out));
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        (0..u32::take(input)?).map(|_| T::take(input)).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|item| item.put(out));
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(input)? { Some(T::take(input)?) } else { None })
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        Some((A::take(input)?, B::take(input)?))
    }
}

/// Implements [`Wire`] for a struct, field by field.
macro_rules! wire_struct {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)+
            }
            fn take(input: &mut &[u8]) -> Option<Self> {
                $(let $field = Wire::take(input)?;)+
                Some(Self { $($field),+ })
            }
        }
    };
}
pub(super) use wire_struct;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_encoding_and_truncated_input_is_rejected() {
        let value = (vec![Some(Bytes::from("a\0b")), None], (u64::MAX, vec![(true, -1)]));
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(<(Vec<Option<Bytes>>, (u64, Vec<(bool, i32)>))>::take(&mut &bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(Wire::take(&mut &bytes[..]), Some(value));
    }
}
