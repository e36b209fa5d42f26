//! Digests as the OCI image specification writes them ("Digests": `sha256:` and 64 hex digits), one type for each thing
//! that a digest can identify.
//!
//! All have the same text form and the same bytes; the types only keep one from being used as another. A layer's
//! [`DiffId`] and the [`BlobDigest`] of its compressed form, for instance, differ for every layer but uncompressed ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::{fmt, str::FromStr};

/// A SHA-256 digest of some content. The name of the field or variable says which content. If one of the types below fits, use that
/// type instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Digest([u8; 32]);

/// Text that is not a `sha256:` digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid digest `{0}`: expected `sha256:` and 64 hexadecimal digits")]
pub struct DigestError(pub String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha256::digest(bytes.as_ref()).into())
    }

    /// From the 32 bytes that a hasher gave.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits without the algorithm: the name of a blob's file.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first twelve hex digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let parse = || {
            let digits = text.strip_prefix("sha256:")?;
            let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let mut bytes = [0; 32];
            (lower && hex::decode_to_slice(digits, &mut bytes).is_ok()).then_some(Self(bytes))
        };
        parse().ok_or_else(|| DigestError(text.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

macro_rules! digest_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(with = "String")]
        pub struct $name(Digest);

        impl $name {
            /// States that `digest` identifies such a thing. The caller knows; nothing is checked.
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// The SHA-256 digest of these bytes.
            pub fn of(bytes: impl AsRef<[u8]>) -> Self {
                Self(Digest::of(bytes))
            }

            /// From the 32 bytes that a hasher gave.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(Digest::from_bytes(bytes))
            }

            /// The plain digest.
            pub const fn digest(&self) -> Digest {
                self.0
            }

            /// The 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }

            /// The 64 hex digits without the algorithm.
            pub fn hex(&self) -> String {
                self.0.hex()
            }

            /// The first twelve hex digits, for people.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;
            fn from_str(text: &str) -> Result<Self, DigestError> {
                text.parse().map(Self)
            }
        }
    )*};
}

digest_types! {
    /// The digest of a layer's uncompressed tar: the layer's identity, whatever compresses it (OCI image specification,
    /// "Layer DiffID").
    DiffId;
    /// The digest of a blob's bytes as they are stored or sent: a compressed layer, an uncompressed one, a document.
    BlobDigest;
    /// The digest of an image manifest or index.
    ManifestDigest;
    /// The digest of an image configuration: what docker calls the image's id.
    ConfigDigest;
    /// The cache key of a step: a digest of everything its result depends on, except file times.
    StepKey;
    /// The key that a step's layer is stored under in the cache index: a [`StepKey`], with file times where they count.
    LayerKey;
}

impl BlobDigest {
    /// The digest as that of an uncompressed layer. The caller knows that the blob is one.
    pub const fn to_diff_id(self) -> DiffId {
        DiffId(self.0)
    }

    /// The digest as that of a manifest or an index. The caller knows that the blob is one.
    pub const fn to_manifest(self) -> ManifestDigest {
        ManifestDigest(self.0)
    }
}

impl From<DiffId> for BlobDigest {
    /// An uncompressed layer is a blob whose digest is its diff id.
    fn from(diff_id: DiffId) -> Self {
        Self(diff_id.0)
    }
}

impl From<ManifestDigest> for BlobDigest {
    fn from(manifest: ManifestDigest) -> Self {
        Self(manifest.0)
    }
}

impl From<ConfigDigest> for BlobDigest {
    fn from(config: ConfigDigest) -> Self {
        Self(config.0)
    }
}

/// Lookups take blobs by reference.
macro_rules! by_reference {
    ($($name:ident)*) => {$(
        impl From<&$name> for BlobDigest {
            fn from(digest: &$name) -> Self {
                Self(digest.0)
            }
        }
    )*};
}

by_reference!(BlobDigest DiffId ManifestDigest ConfigDigest);

impl From<StepKey> for LayerKey {
    /// The layer key of a step whose layer holds no file times that its key leaves out.
    fn from(key: StepKey) -> Self {
        Self(key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_value_and_back() {
        // FIPS 180-2, appendix B.1: SHA-256("abc").
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of("abc").to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of("abc")));
    }

    #[test]
    fn typed_digests_have_the_plain_form_in_json() {
        let plain = Digest::of("abc");
        assert_eq!(serde_json::to_string(&DiffId::new(plain)).unwrap(), serde_json::to_string(&plain).unwrap());
        assert_eq!(BlobDigest::from(DiffId::of("abc")), BlobDigest::new(plain));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "sha256:",
            "sha512:00",
            "sha256:zz",
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
