//! Uploads: small blobs together in one message, large ones as streams.

use super::cas::batch_length;
use super::concurrent::run_all;
use super::messages::BatchUpdateBlobsRequest;
use super::messages::batch_update_blobs_request::Request as BatchEntry;
use super::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use super::retry::retried;
use super::{Blob, Client, Content, RemoteError, Upload};
use bazel_remote_apis::google::bytestream::WriteRequest;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use parking_lot::Mutex;
use std::collections::hash_map::Entry;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

/// The size of a piece of a stream, in bytes.
const PIECE: usize = 1 << 20;
/// The number of pieces between the file and the connection.
const PIECES: usize = 4;
/// The number of concurrent streams.
const STREAMS: usize = 4;
/// The largest blob that is sent together with others, in bytes.
const SMALL: u64 = 512 << 10;

/// A blob that a call is sending.
struct OnTheWay<'c> {
    client: &'c Client,
    blob: Blob,
    done: watch::Sender<bool>,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        self.client.sending().lock().remove(&self.blob);
    }
}

impl Client {
    /// Sends the blobs that the server does not have.
    ///
    /// # Errors
    /// Fails if a file cannot be read, or the server rejects a blob: the content of a file may not have its digest.
    pub async fn upload(&self, uploads: Vec<Upload>) -> Result<(), RemoteError> {
        let blobs: Vec<Blob> = uploads.iter().map(|upload| upload.blob).filter(|blob| blob.size > 0).collect();
        let missing = self.missing(&blobs).await?;
        self.send(uploads.into_iter().filter(|upload| missing.contains(&upload.blob)).collect()).await?;
        Ok(())
    }

    /// Sends blobs without asking which of them the server has. Returns the number of sent bytes: a large blob that another call is
    /// sending is waited for, and not sent a second time.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    pub async fn send(&self, mut wanted: Vec<Upload>) -> Result<u64, RemoteError> {
        wanted.sort_by_key(|upload| upload.blob);
        wanted.dedup_by_key(|upload| upload.blob);
        let small = |upload: &Upload| upload.blob.size <= SMALL && matches!(upload.content, Content::Bytes(_));
        let (small, large): (Vec<Upload>, Vec<Upload>) = wanted.into_iter().partition(small);
        let sent = Arc::new(AtomicU64::new(small.iter().map(|upload| upload.blob.size).sum()));
        self.upload_together(small).await?;
        let stream = |upload| {
            let (client, sent) = (self.clone(), Arc::clone(&sent));
            async move { client.upload_once(upload, &sent).await }
        };
        run_all(STREAMS, large.into_iter().map(stream).collect()).await?;
        Ok(sent.load(Ordering::Relaxed))
    }

    /// Sends a blob as a stream, or waits for the call that is sending it. If that call fails or is cancelled, those that wait send it.
    async fn upload_once(&self, upload: Upload, sent: &AtomicU64) -> Result<(), RemoteError> {
        let blob = upload.blob;
        let on_the_way = match self.sending().lock().entry(blob) {
            Entry::Occupied(other) => Err(other.get().clone()),
            Entry::Vacant(free) => {
                let (done, others) = watch::channel(false);
                free.insert(others);
                Ok(OnTheWay { client: self, blob, done })
            }
        };
        let own = match on_the_way {
            Ok(own) => Some(own),
            Err(mut other) => {
                if other.wait_for(|&done| done).await.is_ok() {
                    return Ok(());
                }
                None
            }
        };
        self.upload_stream(upload).await?;
        sent.fetch_add(blob.size, Ordering::Relaxed);
        if let Some(own) = own {
            own.done.send_replace(true);
        }
        Ok(())
    }

    async fn upload_together(&self, mut uploads: Vec<Upload>) -> Result<(), RemoteError> {
        if uploads.is_empty() {
            return Ok(());
        }
        let blobs_of = |uploads: &[Upload]| uploads.iter().map(|upload| upload.blob).collect::<Vec<Blob>>();
        let batch = self.largest_batch(&blobs_of(&uploads)).await?;
        while !uploads.is_empty() {
            let blobs = blobs_of(&uploads);
            let rest = uploads.split_off(batch_length(&blobs, batch));
            self.upload_batch(&uploads).await?;
            uploads = rest;
        }
        Ok(())
    }

    async fn upload_batch(&self, uploads: &[Upload]) -> Result<(), RemoteError> {
        const WHAT: &str = "sending blobs";
        let entry = |upload: &Upload| BatchEntry {
            digest: Some(upload.blob.to_message()),
            data: match &upload.content {
                Content::Bytes(bytes) => bytes.to_vec(),
                Content::File(_) => Vec::new(),
            },
            ..Default::default()
        };
        retried!(self, async {
            let requests = uploads.iter().map(entry).collect();
            let request = BatchUpdateBlobsRequest { instance_name: self.instance(), requests, ..Default::default() };
            let mut client = ContentAddressableStorageClient::new(self.service());
            let answer = self.in_time(WHAT, client.batch_update_blobs(request)).await?.into_inner();
            for status in answer.responses.into_iter().filter_map(|response| response.status) {
                if status.code != 0 {
                    let (address, code) = (self.address().clone(), Code::from(status.code));
                    return Err(RemoteError::Refused { address, what: WHAT, code, message: status.message });
                }
            }
            Ok(())
        })
    }

    /// Sends a blob as a stream. A failed attempt starts again from the beginning.
    async fn upload_stream(&self, upload: Upload) -> Result<(), RemoteError> {
        retried!(self, async {
            let progress = Arc::new(Mutex::new(Instant::now()));
            let (sender, receiver) = mpsc::channel(PIECES);
            let Blob { digest, size } = upload.blob;
            let name = self.resource(&format!("uploads/{}/blobs/{}/{size}", uuid::Uuid::new_v4(), digest.hex()));
            let reader = tokio::task::spawn_blocking({
                let (content, progress) = (upload.content.clone(), Arc::clone(&progress));
                move || pieces(&content, size, &name, &progress, &sender)
            });
            let mut client = ByteStreamClient::new(self.service());
            let answer = self.moving("sending a blob", &progress, client.write(ReceiverStream::new(receiver))).await;
            // If the server ended the stream early, the reader has ended without an error.
            let read = reader.await.unwrap_or(Ok(()));
            match answer {
                // REAPI: a server that has the blob meanwhile may answer before the end, with the full size.
                Ok(answer) if answer.get_ref().committed_size == upload.blob.size as i64 => Ok(()),
                Ok(answer) => {
                    let reason = format!("it took {} of {size} bytes of {digest}", answer.get_ref().committed_size);
                    Err(RemoteError::Unsupported { address: self.address().clone(), reason })
                }
                Err(error) => read.and(Err(error)),
            }
        })
    }

    /// Waits for the answer to a stream, and fails if the stream makes no progress.
    async fn moving<T>(
        &self,
        what: &'static str,
        progress: &Mutex<Instant>,
        call: impl Future<Output = Result<T, tonic::Status>>,
    ) -> Result<T, RemoteError> {
        const LOOK: Duration = Duration::from_millis(500);
        let (address, after) = (self.address(), self.options().timeout);
        let stalled = async {
            while progress.lock().elapsed() < after {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            answer = call => answer.map_err(|status| RemoteError::of(address, what, &status)),
            () = stalled => Err(RemoteError::Stalled { address: address.clone(), what, after }),
        }
    }
}

/// Sends the pieces of a blob until its end, or until the stream has ended.
fn pieces(
    content: &Content,
    size: u64,
    name: &str,
    progress: &Mutex<Instant>,
    sender: &mpsc::Sender<WriteRequest>,
) -> Result<(), RemoteError> {
    let read = |data: &mut [u8], offset: u64| match content {
        Content::Bytes(bytes) => {
            let start = usize::try_from(offset).unwrap_or(bytes.len());
            data.copy_from_slice(&bytes[start..start + data.len()]);
            Ok(())
        }
        Content::File(file) => file.read_exact_at(data, offset),
    };
    let mut offset = 0;
    while offset < size {
        let length = PIECE.min(usize::try_from(size - offset).unwrap_or(PIECE));
        let mut data = vec![0; length];
        read(&mut data, offset)
            .map_err(|error| RemoteError::Invalid { what: "the blob to send", reason: error.to_string() })?;
        let end = offset + length as u64;
        let request = WriteRequest {
            // Only the first request needs the name.
            resource_name: if offset == 0 { name.to_owned() } else { String::new() },
            write_offset: offset as i64,
            finish_write: end == size,
            data,
        };
        if sender.blocking_send(request).is_err() {
            return Ok(());
        }
        *progress.lock() = Instant::now();
        offset = end;
    }
    Ok(())
}
