//! This program as an input of actions: a worker that knows nothing of buildscope executes it.

use buildscope_record::BlobDigest;
use buildscope_remote::Blob;
use buildscope_storage::StorageError;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The program's file, with its digest.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) blob: Blob,
    pub(super) file: Arc<File>,
}

/// The file of this process's program. It is read once for each process.
pub(super) fn own() -> Result<Program, StorageError> {
    static OWN: OnceLock<Program> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own.clone());
    }
    let path = PathBuf::from("/proc/self/exe");
    let read = read().map_err(|source| StorageError::Io { action: "read", path, source })?;
    Ok(OWN.get_or_init(|| read).clone())
}

fn read() -> io::Result<Program> {
    let mut file = File::open("/proc/self/exe")?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
    let digest = BlobDigest::from_bytes(hash.finalize().into());
    Ok(Program { blob: Blob { digest, size }, file: Arc::new(file) })
}
