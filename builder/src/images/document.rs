//! A document of an image, with its descriptor.

use buildscope_oci::Descriptor;

/// A JSON document: a manifest, an index, a configuration or a statement.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The descriptor by which other documents refer to this one.
    pub(crate) descriptor: Descriptor,
    /// The bytes of the document.
    pub(crate) bytes: Vec<u8>,
}

impl Document {
    /// A document with this media type.
    pub(crate) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { descriptor: Descriptor::of(media_type, &bytes), bytes }
    }
}
