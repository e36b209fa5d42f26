//! A blob to push, with its bytes or the way to make them.

use super::super::ImageError;
use buildscope_oci::Descriptor;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The size of a request, in bytes: the most that a broken connection loses. Distribution's registry needs at least
/// 5 MiB for chunks that it puts into an object store.
pub(super) const CHUNK: u64 = 16 << 20;

/// A blob to push.
#[derive(Debug)]
pub(crate) struct BlobUpload {
    /// The descriptor of the blob.
    pub(crate) descriptor: Descriptor,
    /// A repository of the same registry that has the blob, to mount it from.
    pub(crate) from: Option<String>,
    /// The bytes. They are only read if they must be sent.
    pub(crate) content: BlobContent,
}

/// The bytes of a blob.
pub(crate) enum BlobContent {
    /// The bytes in memory.
    Bytes(Vec<u8>),
    /// A function that makes a file which starts with the blob. It is called when the bytes are needed.
    Lazy(Box<MakeFile>),
}

/// Reads the bytes of a blob at an offset.
pub(super) type ReadAt<'a> = dyn Fn(&mut [u8], u64) -> io::Result<()> + 'a;

/// Makes the file of a blob.
type MakeFile = dyn Fn() -> Result<File, ImageError> + Send + Sync;

impl BlobContent {
    /// The bytes as a file. Bytes in memory are copied into a new one.
    pub(crate) fn file(&self) -> Result<File, ImageError> {
        match self {
            Self::Lazy(make) => make(),
            Self::Bytes(bytes) => {
                let failed = |error| ImageError::Write { what: "a small blob".into(), error };
                let name = rustix::fs::memfd_create("blob", rustix::fs::MemfdFlags::CLOEXEC).map_err(io::Error::from);
                let file = File::from(name.map_err(failed)?);
                file.write_all_at(bytes, 0).map_err(failed)?;
                Ok(file)
            }
        }
    }

    /// Calls `work` with a function that reads the bytes.
    pub(super) fn reader<T>(&self, work: impl FnOnce(&ReadAt<'_>) -> Result<T, ImageError>) -> Result<T, ImageError> {
        match self {
            Self::Bytes(bytes) => work(&|buffer, at| {
                buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
                Ok(())
            }),
            Self::Lazy(make) => {
                let file = make()?;
                work(&|buffer, at| file.read_exact_at(buffer, at))
            }
        }
    }
}

/// The start of an upload.
pub(super) enum UploadStart {
    /// The repository has the blob.
    Present,
    /// The bytes go to this address.
    At(String),
}

impl std::fmt::Debug for BlobContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Lazy(_) => f.write_str("Lazy"),
        }
    }
}
