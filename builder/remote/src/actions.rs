//! The action cache.

use super::concurrent::run_all;
use super::execute::Finished;
use super::messages::action_cache_client::ActionCacheClient;
use super::messages::{ActionResult, GetActionResultRequest, OutputFile, UpdateActionResultRequest};
use super::retry::retried;
use super::{Blob, Client, PreparedAction, RemoteError};

/// The number of concurrent calls.
const CALLS: usize = 16;

/// A result for the action cache.
#[derive(Clone, Debug)]
pub struct CacheEntry {
    /// The action.
    pub action: PreparedAction,
    /// The output files by path. The server must have them.
    pub outputs: Vec<(String, Blob)>,
    /// The text of the standard output.
    pub text: Vec<u8>,
}

impl Client {
    /// The result of an action that was executed before; `None` if the server has none. The server may include the content of the
    /// outputs in `inline`.
    pub async fn cached(&self, action: Blob, inline: &[String]) -> Result<Option<Finished>, RemoteError> {
        let what = "asking for a cached result";
        let result = retried!(self, async {
            let request = GetActionResultRequest {
                instance_name: self.instance(),
                action_digest: Some(action.to_message()),
                inline_stdout: true,
                inline_output_files: inline.to_vec(),
                ..Default::default()
            };
            let mut client = ActionCacheClient::new(self.service());
            match self.in_time(what, client.get_action_result(request)).await {
                Ok(result) => Ok(Some(result.into_inner())),
                Err(error) if error.is_missing() => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        result.map(|result| Finished::of(result, true)).transpose()
    }

    /// Stores results of actions, with the blobs that describe the actions.
    pub async fn remember(&self, entries: Vec<CacheEntry>) -> Result<(), RemoteError> {
        let messages = entries.iter().flat_map(|entry| entry.action.uploads.iter().cloned()).collect();
        self.upload(messages).await?;
        let call = |entry| {
            let client = self.clone();
            async move { client.remember_one(entry).await }
        };
        run_all(CALLS, entries.into_iter().map(call).collect()).await
    }

    async fn remember_one(&self, entry: CacheEntry) -> Result<(), RemoteError> {
        let file = |(path, blob): &(String, Blob)| OutputFile {
            path: path.clone(),
            digest: Some(blob.to_message()),
            ..OutputFile::default()
        };
        let result = ActionResult {
            output_files: entry.outputs.iter().map(file).collect(),
            stdout_raw: entry.text,
            ..ActionResult::default()
        };
        retried!(self, async {
            let request = UpdateActionResultRequest {
                instance_name: self.instance(),
                action_digest: Some(entry.action.digest.to_message()),
                action_result: Some(result.clone()),
                ..Default::default()
            };
            let mut client = ActionCacheClient::new(self.service());
            self.in_time("storing a result", client.update_action_result(request)).await.map(drop)
        })
    }
}
