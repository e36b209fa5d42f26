//! The names of nodes.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// The longest name that is kept without an allocation, in bytes. Most names of real projects are shorter.
const SHORT: usize = 22;

/// The name of a file in its directory. It takes 24 bytes, and an allocation only if it is long: a context may have a million.
pub(super) struct Name(Bytes);

enum Bytes {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Name {
    pub(super) fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(match &self.0 {
            Bytes::Short { length, bytes } => &bytes[..usize::from(*length)],
            Bytes::Long(bytes) => bytes,
        })
    }
}

impl From<&OsStr> for Name {
    fn from(name: &OsStr) -> Self {
        let name = name.as_bytes();
        Self(match u8::try_from(name.len()) {
            Ok(length) if name.len() <= SHORT => {
                let mut bytes = [0; SHORT];
                bytes[..name.len()].copy_from_slice(name);
                Bytes::Short { length, bytes }
            }
            _ => Bytes::Long(name.into()),
        })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_os_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 255, 256, 5000] {
            let name = OsStr::from_bytes(&vec![0xe9; length]).to_owned();
            assert_eq!(Name::from(&*name).as_os_str(), name);
        }
        assert_eq!(size_of::<Name>(), 24);
    }
}
