//! The worker's side of an action: reads its inputs, and writes its result.

use super::messages::{self, ActionResult, Directory, ExecutedActionMetadata, OutputFile};
use super::{Blob, Client, RemoteError};
use bazel_remote_apis::google::protobuf::Timestamp;
use prost::Message;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The largest file of an action that is included in its result, in bytes.
const INLINE: usize = 512 << 10;

/// The result of an action that this machine executed.
#[derive(Clone, Debug, Default)]
pub struct ActionOutcome {
    /// The exit code of the command.
    pub exit_code: i32,
    /// The output files: path, digest, and the content of a small one.
    pub outputs: Vec<(String, Blob, Vec<u8>)>,
    /// The standard error.
    pub stderr: String,
    /// The name of this machine.
    pub worker: String,
    /// The start and the end of the execution.
    pub times: Option<(SystemTime, SystemTime)>,
}

impl Client {
    /// The files at the top of an action's input root, by name. `action` is the encoded message.
    pub async fn top_files(&self, action: &[u8]) -> Result<BTreeMap<String, Blob>, RemoteError> {
        let invalid = |what: &'static str| RemoteError::Invalid { what, reason: "it is not a valid message".into() };
        let action = messages::Action::decode(action).map_err(|_| invalid("the action"))?;
        let root = Blob::of_message(action.input_root_digest.as_ref(), "the input root of the action")?;
        let bytes = self.read(&[root]).await?.remove(&root.digest).unwrap_or_default();
        let directory = Directory::decode(&bytes[..]).map_err(|_| invalid("the input root of the action"))?;
        let file = |file: messages::FileNode| Ok((file.name, Blob::of_message(file.digest.as_ref(), "an input file")?));
        directory.files.into_iter().map(file).collect()
    }
}

impl ActionOutcome {
    /// The encoded message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let output = |(path, blob, contents): &(String, Blob, Vec<u8>)| OutputFile {
            path: path.clone(),
            digest: Some(blob.to_message()),
            contents: if contents.len() <= INLINE { contents.clone() } else { Vec::new() },
            ..OutputFile::default()
        };
        let timestamp = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
            Timestamp { seconds, nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default() }
        };
        let metadata = ExecutedActionMetadata {
            worker: self.worker.clone(),
            worker_start_timestamp: self.times.map(|times| timestamp(times.0)),
            worker_completed_timestamp: self.times.map(|times| timestamp(times.1)),
            ..ExecutedActionMetadata::default()
        };
        let result = ActionResult {
            exit_code: self.exit_code,
            output_files: self.outputs.iter().map(output).collect(),
            stderr_raw: self.stderr.clone().into_bytes(),
            execution_metadata: Some(metadata),
            ..ActionResult::default()
        };
        result.encode_to_vec()
    }
}
