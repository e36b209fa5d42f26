//! Finds missing blobs, and reads small ones.

use super::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use super::messages::{BatchReadBlobsRequest, FindMissingBlobsRequest};
use super::retry::retried;
use super::{Blob, Client, RemoteError};
use buildscope_record::BlobDigest;
use std::collections::{BTreeMap, BTreeSet};
use tonic::Code;

/// The largest blob that is read into memory, in bytes. Its size is a claim of the server.
const LARGEST: u64 = 256 << 20;
/// The number of digests in one request.
const DIGESTS: usize = 10_000;

impl Client {
    /// Returns the blobs of `blobs` that the server does not have.
    pub async fn missing(&self, blobs: &[Blob]) -> Result<BTreeSet<Blob>, RemoteError> {
        const WHAT: &str = "asking for blobs";
        let mut missing = BTreeSet::new();
        for blobs in blobs.chunks(DIGESTS) {
            let answer = retried!(self, async {
                let blob_digests = blobs.iter().map(|blob| blob.to_message()).collect();
                let request =
                    FindMissingBlobsRequest { instance_name: self.instance(), blob_digests, ..Default::default() };
                let mut client = ContentAddressableStorageClient::new(self.service());
                Ok(self.in_time(WHAT, client.find_missing_blobs(request)).await?.into_inner())
            })?;
            for digest in &answer.missing_blob_digests {
                missing.insert(Blob::of_message(Some(digest), WHAT)?);
            }
            // What a server names besides is not sent, and does not count.
            let asked: BTreeSet<&Blob> = blobs.iter().collect();
            missing.retain(|blob| asked.contains(blob));
        }
        Ok(missing)
    }

    /// Reads blobs that fit into memory. Their digests are verified.
    ///
    /// # Errors
    /// [`RemoteError::Missing`] if the server does not have one of them.
    pub async fn read(&self, blobs: &[Blob]) -> Result<BTreeMap<BlobDigest, Vec<u8>>, RemoteError> {
        if let Some(blob) = blobs.iter().find(|blob| blob.size > LARGEST) {
            let reason = format!("blob {} has {} bytes, which is too much for a message", blob.digest, blob.size);
            return Err(RemoteError::Unsupported { address: self.address().clone(), reason });
        }
        let batch = self.largest_batch(blobs).await?;
        let mut found = BTreeMap::from([(BlobDigest::of([]), Vec::new())]);
        let mut wanted = Vec::new();
        for blob in blobs.iter().filter(|blob| blob.size > 0) {
            if blob.size > batch {
                let mut bytes = Vec::new();
                self.download(*blob, &mut bytes).await?;
                found.insert(blob.digest, bytes);
            } else {
                wanted.push(*blob);
            }
        }
        while !wanted.is_empty() {
            let rest = wanted.split_off(batch_length(&wanted, batch));
            self.read_batch(&wanted, &mut found).await?;
            wanted = rest;
        }
        Ok(found)
    }

    async fn read_batch(&self, blobs: &[Blob], found: &mut BTreeMap<BlobDigest, Vec<u8>>) -> Result<(), RemoteError> {
        const WHAT: &str = "reading blobs";
        let read = retried!(self, async {
            let digests = blobs.iter().map(|blob| blob.to_message()).collect();
            let request = BatchReadBlobsRequest { instance_name: self.instance(), digests, ..Default::default() };
            let mut client = ContentAddressableStorageClient::new(self.service());
            let answer = self.in_time(WHAT, client.batch_read_blobs(request)).await?.into_inner();
            let mut read = BTreeMap::new();
            for response in answer.responses {
                let blob = Blob::of_message(response.digest.as_ref(), WHAT)?;
                match response.status.as_ref().map_or(0, |status| status.code) {
                    0 => read.insert(blob.digest, self.verified(blob, response.data)?),
                    code if Code::from(code) == Code::NotFound => return Err(self.lost(blob.digest)),
                    code => {
                        let message = response.status.map(|status| status.message).unwrap_or_default();
                        let (address, code) = (self.address().clone(), Code::from(code));
                        return Err(RemoteError::Refused { address, what: WHAT, code, message });
                    }
                };
            }
            Ok(read)
        })?;
        if let Some(absent) = blobs.iter().find(|blob| !read.contains_key(&blob.digest)) {
            return Err(self.lost(absent.digest));
        }
        found.extend(read);
        Ok(())
    }

    fn verified(&self, blob: Blob, bytes: Vec<u8>) -> Result<Vec<u8>, RemoteError> {
        let found = BlobDigest::of(&bytes);
        if found == blob.digest {
            return Ok(bytes);
        }
        Err(RemoteError::Corrupt { address: self.address().clone(), wanted: blob.digest, found })
    }

    pub(crate) fn lost(&self, blob: BlobDigest) -> RemoteError {
        RemoteError::Missing { address: self.address().clone(), blobs: vec![blob] }
    }
}

/// The number of blobs, at least one, that fit into one message.
pub(crate) fn batch_length(blobs: &[Blob], batch: u64) -> usize {
    // The room of a digest in a message.
    const ENTRY: u64 = 128;
    let mut sum = 0;
    let fits = blobs.iter().take_while(|blob| {
        sum += blob.size + ENTRY;
        sum <= batch
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_as_many_blobs_as_fit() {
        let blobs = [100, 100, 1000, 5].map(|size| Blob { digest: BlobDigest::of([]), size });
        assert_eq!(batch_length(&blobs, 2 * 228), 2);
        assert_eq!(batch_length(&blobs, 455), 1);
        assert_eq!(batch_length(&blobs, 1), 1, "a message has at least one");
        assert_eq!(batch_length(&blobs, 1 << 20), 4);
        assert_eq!(batch_length(&[], 9), 1);
    }
}
