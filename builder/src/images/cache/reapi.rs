//! `type=reapi`: a cache on a server of the Remote Execution API, for teams that have one.
//!
//! Each record is a result in the server's action cache. Its key is an action that only names the step's key; nothing executes it.
//! So builds that export at the same time add to one cache, and no list of records is read or written.

use super::super::registry::BlobContent;
use super::super::{Blobs, ImageError};
use super::CacheRecord;
use buildscope_oci::Descriptor;
use buildscope_record::{DiffId, StepKey};
use buildscope_remote::{
    Action, Blob, CacheEntry, Client, Content, PreparedAction, RemoteError, RemoteOptions, Upload,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The path of the layer among the outputs of a record's action.
const LAYER: &str = "layer";
/// The program of a record's action. It must be changed if records get another form.
const PROGRAM: &str = "buildscope-cache-record-1";

/// The server of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReapiCache(pub RemoteOptions);

impl ReapiCache {
    /// The names of the options.
    pub(super) const KEYS: [&'static str; 8] = ["url", "token", "token_file", "header", "ca", "cert", "key", "timeout"];

    /// Takes options by name, and all headers.
    pub(super) fn of<'a>(
        option: impl Fn(&str) -> Option<&'a str>,
        headers: impl Iterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let address = option("url").unwrap_or_default().parse();
        let mut options =
            RemoteOptions::of(address.map_err(|error: buildscope_remote::AddressError| error.to_string())?);
        options.token = option("token").map(str::to_owned);
        options.token_file = option("token_file").map(Into::into);
        options.headers = headers.map(RemoteOptions::header).collect::<Result<_, _>>()?;
        options.authority = option("ca").map(Into::into);
        options.identity = match (option("cert"), option("key")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some(_), None) => return Err("cert= needs key=: the file with the key of the certificate".into()),
            (None, Some(_)) => return Err("key= needs cert=: the file with the certificate of the key".into()),
        };
        if let Some(text) = option("timeout") {
            let limit = text.parse().ok().and_then(RemoteOptions::time_limit);
            options.timeout = limit.ok_or_else(|| format!("invalid timeout `{text}`: use a number of seconds"))?;
        }
        Ok(Self(options))
    }

    /// Prepares the connection.
    pub(super) fn open(&self) -> Result<RemoteCache, ImageError> {
        let blobs = Arc::new(CasBlobs::new(Client::new(self.0.clone())?));
        Ok(RemoteCache { blobs, failed: AtomicBool::new(false) })
    }
}

/// A cache on a server.
pub(super) struct RemoteCache {
    blobs: Arc<CasBlobs>,
    /// A call has failed. The server is not asked again.
    failed: AtomicBool,
}

/// The parts of a record besides the bytes of its layer.
#[derive(Serialize, Deserialize)]
struct KeyEntry {
    diff_id: DiffId,
    /// The media type of the layer.
    media_type: String,
    /// The engine's data about the step.
    value: serde_json::Value,
}

impl RemoteCache {
    pub(super) fn origin(&self) -> &str {
        self.blobs.origin()
    }

    pub(super) fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.blobs) as _
    }

    /// The record of a key, and the blob of its layer. `None` if the server has none, or its record is not one of ours.
    pub(super) fn find(&self, key: &StepKey) -> Result<Option<(CacheRecord, Descriptor)>, ImageError> {
        if self.failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let client = self.blobs.client.clone();
        let action = action(key).digest;
        let ask = async move {
            let Some(found) = client.cached(action, &[]).await? else { return Ok(None) };
            let Some(layer) = found.outputs.get(LAYER).map(|output| output.blob) else { return Ok(None) };
            // A server may keep a result longer than its files.
            let lost = !client.missing(&[layer]).await?.is_empty();
            Ok((!lost).then_some((found.stdout, layer)))
        };
        let answer = self.blobs.client.wait(ask);
        let answer = answer.inspect_err(|_: &RemoteError| self.failed.store(true, Ordering::Relaxed))?;
        let Some((text, layer)) = answer else { return Ok(None) };
        let Ok(KeyEntry { diff_id, media_type, value }) = serde_json::from_slice(&text) else { return Ok(None) };
        let descriptor = Descriptor::new(&media_type, layer.digest, layer.size);
        Ok(Some((CacheRecord { key: *key, diff_id, value }, descriptor)))
    }

    /// Writes records and those of their layers that the server does not have.
    pub(super) fn write(
        &self,
        records: &[CacheRecord],
        layers: &[(DiffId, Descriptor, BlobContent)],
    ) -> Result<(), ImageError> {
        let client = &self.blobs.client;
        let blob = |descriptor: &Descriptor| Blob { digest: descriptor.digest, size: descriptor.size };
        let all: Vec<Blob> = layers.iter().map(|(_, descriptor, _)| blob(descriptor)).collect();
        let asking = client.clone();
        let missing = client.wait(async move { asking.missing(&all).await })?;
        let mut uploads = Vec::new();
        for (_, descriptor, content) in layers {
            let blob = blob(descriptor);
            if missing.contains(&blob) {
                uploads.push(Upload { blob, content: Content::File(Arc::new(content.file()?)) });
            }
        }
        let descriptors: HashMap<DiffId, &Descriptor> =
            layers.iter().map(|(diff_id, descriptor, _)| (*diff_id, descriptor)).collect();
        let entry = |record: &CacheRecord| {
            let (diff_id, descriptor) = (record.diff_id, *descriptors.get(&record.diff_id)?);
            let (media_type, value) = (descriptor.media_type.clone(), record.value.clone());
            // Serialising cannot fail: all keys are strings.
            let text = serde_json::to_vec(&KeyEntry { diff_id, media_type, value }).expect("plain data");
            Some(CacheEntry { action: action(&record.key), outputs: vec![(LAYER.into(), blob(descriptor))], text })
        };
        let entries: Vec<CacheEntry> = records.iter().filter_map(entry).collect();
        let writing = client.clone();
        Ok(client.wait(async move {
            writing.upload(uploads).await?;
            writing.remember(entries).await
        })?)
    }
}

/// The action that stands for a key.
fn action(key: &StepKey) -> PreparedAction {
    let arguments = vec![PROGRAM.to_owned(), key.to_string()];
    Action { arguments, outputs: vec![LAYER.into()], ..Action::default() }.prepare()
}

/// The blobs of a server.
#[derive(Debug)]
pub(crate) struct CasBlobs {
    client: Client,
    origin: String,
}

impl CasBlobs {
    pub(crate) fn new(client: Client) -> Self {
        Self { origin: client.address().to_string(), client }
    }
}

impl Blobs for CasBlobs {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        Ok(Box::new(self.client.open(Blob { digest: blob.digest, size: blob.size })))
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    fn is_remote(&self) -> bool {
        true
    }
}
