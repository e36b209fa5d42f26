//! Downloads of blobs as streams, verified, resumed after a break.

use super::{Blob, Client, RemoteError};
use bazel_remote_apis::google::bytestream::ReadRequest;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use buildscope_record::BlobDigest;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tonic::Code;

/// The number of times that a download is resumed without progress.
const BREAKS: u32 = 3;
/// The pause before a download is resumed.
const PAUSE: Duration = Duration::from_millis(200);
/// The time that a download may take in addition to that of its bytes at the slowest rate. A server could otherwise hold a build for any
/// time with a byte now and then.
const ALLOWANCE: Duration = Duration::from_secs(5 * 60);
/// The slowest average rate in bytes per second: that of a modem, as for registries.
const SLOWEST: u64 = 4 << 10;
/// The number of pieces between the connection and the reader.
const PIECES: usize = 8;

impl Client {
    /// Downloads a blob. Its digest and size are verified; `to` may have got wrong bytes before an error.
    ///
    /// # Errors
    /// [`RemoteError::Missing`], [`RemoteError::Corrupt`], and errors of the connection. An error of `to` ends the download.
    pub async fn download(&self, blob: Blob, to: &mut (dyn Write + Send)) -> Result<(), RemoteError> {
        let (mut hash, mut offset, mut breaks) = (Sha256::new(), 0, 0);
        let began = Instant::now();
        while offset < blob.size {
            let before = offset;
            match self.read_on(blob, began, &mut offset, &mut hash, to).await {
                Ok(()) => {}
                Err(error) => {
                    breaks = if offset > before { 1 } else { breaks + 1 };
                    let error = if breaks == 1 { self.explained(error).await } else { error };
                    if breaks > BREAKS || !self.may_succeed(&error) {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        let found = BlobDigest::from_bytes(hash.finalize().into());
        if found == blob.digest && offset == blob.size {
            return Ok(());
        }
        Err(RemoteError::Corrupt { address: self.address().clone(), wanted: blob.digest, found })
    }

    /// Reads from `offset` to the end of the stream.
    async fn read_on(
        &self,
        blob: Blob,
        began: Instant,
        offset: &mut u64,
        hash: &mut Sha256,
        to: &mut (dyn Write + Send),
    ) -> Result<(), RemoteError> {
        const WHAT: &str = "reading a blob";
        let request = ReadRequest {
            resource_name: self.resource(&format!("blobs/{}/{}", blob.digest.hex(), blob.size)),
            read_offset: *offset as i64,
            read_limit: 0,
        };
        let mut client = ByteStreamClient::new(self.service());
        let lost = |error: RemoteError| match error {
            RemoteError::Refused { code: Code::NotFound, .. } => self.lost(blob.digest),
            error => error,
        };
        let mut stream = self.in_time(WHAT, client.read(request)).await.map_err(lost)?.into_inner();
        let mut moved = Instant::now();
        while let Some(piece) = self.in_time(WHAT, stream.message()).await.map_err(lost)? {
            let (address, after) = (self.address().clone(), self.options().timeout);
            if !piece.data.is_empty() {
                moved = Instant::now();
            } else if moved.elapsed() >= after {
                return Err(RemoteError::Stalled { address, what: WHAT, after });
            }
            hash.update(&piece.data);
            *offset += piece.data.len() as u64;
            if *offset > blob.size {
                let reason = format!("blob {} is longer than {} bytes", blob.digest, blob.size);
                return Err(RemoteError::Unsupported { address, reason });
            }
            let elapsed = began.elapsed();
            if elapsed > longest(*offset) {
                return Err(RemoteError::TooSlow { address, received: *offset, after: elapsed });
            }
            to.write_all(&piece.data)
                .map_err(|error| RemoteError::Invalid { what: "the downloaded blob", reason: error.to_string() })?;
        }
        if *offset < blob.size {
            // The server ended the stream too early. It is resumed.
            let (address, after) = (self.address().clone(), self.options().timeout);
            return Err(RemoteError::Stalled { address, what: WHAT, after });
        }
        Ok(())
    }

    /// Opens a blob as a reader for any thread. An error of the download is an error of reading.
    pub fn open(&self, blob: Blob) -> impl Read + Send + use<> {
        let (sender, receiver) = mpsc::sync_channel(PIECES);
        let client = self.clone();
        super::client::runtime().spawn(async move {
            let mut pipe = Pipe { sender: sender.clone() };
            if let Err(error) = client.download(blob, &mut pipe).await {
                // The reader may have been dropped.
                let _ = tokio::task::block_in_place(|| sender.send(Err(error)));
            }
        });
        Pieces { receiver, piece: Vec::new(), at: 0 }
    }
}

/// The time that a download may take until it has received that many bytes.
fn longest(received: u64) -> Duration {
    ALLOWANCE + Duration::from_secs(received / SLOWEST)
}

/// Passes on the pieces of a download.
struct Pipe {
    sender: mpsc::SyncSender<Result<Vec<u8>, RemoteError>>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = tokio::task::block_in_place(|| self.sender.send(Ok(bytes.to_vec())));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The pieces of a download as a stream of bytes.
struct Pieces {
    receiver: mpsc::Receiver<Result<Vec<u8>, RemoteError>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.receiver.recv() {
                Ok(piece) => (self.piece, self.at) = (piece.map_err(io::Error::other)?, 0),
                Err(mpsc::RecvError) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_has_five_minutes_and_a_modems_rate() {
        assert_eq!(longest(5), Duration::from_secs(300));
        assert_eq!(longest(4096 * 60), Duration::from_secs(360));
    }
}
