//! Blobs: their digests with their sizes, and their content.

use super::RemoteError;
use super::messages::Digest;
use buildscope_record::BlobDigest;
use prost::Message;
use std::fs::File;
use std::sync::Arc;

/// A digest with the size of its content in bytes, as REAPI identifies a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob {
    /// The SHA-256 digest.
    pub digest: BlobDigest,
    /// The size in bytes.
    pub size: u64,
}

/// The content of a blob.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A file that starts with these bytes.
    File(Arc<File>),
}

/// A blob with its content.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The digest and size.
    pub blob: Blob,
    /// The content.
    pub content: Content,
}

impl Blob {
    /// The digest and size of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self { digest: BlobDigest::of(bytes.as_ref()), size: bytes.as_ref().len() as u64 }
    }

    /// Reads a digest of a message.
    ///
    /// # Errors
    /// Fails if it is missing or not one of SHA-256.
    pub(crate) fn of_message(digest: Option<&Digest>, what: &'static str) -> Result<Self, RemoteError> {
        let invalid = || RemoteError::Invalid { what, reason: "it has no valid SHA-256 digest".into() };
        let digest = digest.ok_or_else(invalid)?;
        let size = u64::try_from(digest.size_bytes).map_err(|_| invalid())?;
        Ok(Self { digest: format!("sha256:{}", digest.hash).parse().map_err(|_| invalid())?, size })
    }

    /// The digest as a message.
    pub(crate) fn to_message(self) -> Digest {
        Digest { hash: self.digest.hex(), size_bytes: i64::try_from(self.size).unwrap_or(i64::MAX) }
    }
}

impl Upload {
    /// A blob in memory.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { blob: Blob::of(&bytes), content: Content::Bytes(bytes) }
    }

    /// The encoded form of a message.
    pub(crate) fn message(message: &impl Message) -> Self {
        Self::bytes(message.encode_to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_of_a_message_is_checked() {
        let blob = Blob::of("abc");
        assert_eq!(Blob::of_message(Some(&blob.to_message()), "x").unwrap(), blob);
        let wrong = |hash: &str, size_bytes| {
            let digest = Digest { hash: hash.into(), size_bytes };
            Blob::of_message(Some(&digest), "the result").unwrap_err().to_string()
        };
        for message in [wrong("abc", 3), wrong(&blob.digest.hex().to_uppercase(), 3), wrong(&blob.digest.hex(), -1)] {
            assert!(message.contains("the result"), "{message}");
        }
        assert!(Blob::of_message(None, "x").is_err());
    }
}
