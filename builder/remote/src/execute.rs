//! Execution of actions.

use super::messages::execution_client::ExecutionClient;
use super::messages::{
    ActionResult, ExecuteOperationMetadata, ExecuteRequest, ExecuteResponse, ExecutedActionMetadata,
};
use super::operations::Operations;
use super::queue::{LONG_QUEUE, QueueWatch};
use super::retry::Attempts;
use super::{Blob, Client, RemoteError};
use bazel_remote_apis::google::longrunning::{Operation, operation};
use bazel_remote_apis::google::protobuf::{Any, Timestamp};
use buildscope_record::BlobDigest;
use prost::Message;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tonic::Code;

/// The number of executions of an action if its server or its worker fails.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt.
const PAUSE: Duration = Duration::from_millis(400);
/// The silence after which the client checks that the server answers.
const SILENCE: Duration = Duration::from_secs(15);

/// The detail of a FAILED_PRECONDITION (google/rpc/error_details.proto), which the generated messages lack.
#[derive(Clone, PartialEq, Message)]
struct PreconditionFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, Message)]
struct Violation {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    subject: String,
}

/// Whether a result of the action cache may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheUse {
    /// A cached result may be used.
    Cached,
    /// The action is executed.
    Fresh,
}

/// The result of an action.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// The exit code of the command.
    pub exit_code: i32,
    /// The output files by path.
    pub outputs: BTreeMap<String, OutputFile>,
    /// The standard output, if the server included it.
    pub stdout: Vec<u8>,
    /// The standard error, if the server included it.
    pub stderr: Vec<u8>,
    /// The standard error as a blob of the server.
    pub stderr_blob: Option<Blob>,
    /// Whether the result is from the action cache.
    pub is_cached: bool,
    /// The worker that executed it; empty if unknown.
    pub worker: String,
    /// The times of the execution, by the clocks of the server.
    pub times: WorkerTimes,
}

/// An output file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// The digest and size.
    pub blob: Blob,
    /// The content, if the server included it.
    pub contents: Vec<u8>,
}

/// Times of an execution; `None` if the server does not report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerTimes {
    /// The time at which the action was queued.
    pub queued: Option<SystemTime>,
    /// The time at which the worker got it.
    pub started: Option<SystemTime>,
    /// The time at which the worker finished.
    pub completed: Option<SystemTime>,
}

impl Client {
    /// Executes an action whose blobs the server has. The server is asked to cancel it if the future is dropped before its end. `queued`
    /// is called if the action has waited for a worker for [`LONG_QUEUE`].
    ///
    /// # Errors
    /// Fails with an error that [may be of a missing blob](RemoteError::may_lack_blobs) if the server lacks a blob of the action: the
    /// caller sends it and tries again.
    pub async fn execute(
        &self,
        action: Blob,
        cache: CacheUse,
        inline: &[String],
        queued: &(dyn Fn() + Sync),
    ) -> Result<Finished, RemoteError> {
        let request = ExecuteRequest {
            instance_name: self.instance(),
            action_digest: Some(action.to_message()),
            skip_cache_lookup: cache == CacheUse::Fresh,
            inline_stdout: true,
            inline_stderr: true,
            inline_output_files: inline.to_vec(),
            ..Default::default()
        };
        let mut attempts = Attempts::new(ATTEMPTS, PAUSE);
        let mut operations = Operations::of(self);
        let mut queue = QueueWatch::new(LONG_QUEUE);
        let (began, mut broken) = (Instant::now(), false);
        loop {
            let error = match self.execute_once(&request, &mut operations, &mut queue, queued).await {
                // A server may also stop an action because the connection to its client broke.
                Err(error @ RemoteError::Stopped { .. }) if !broken => return Err(error),
                Err(error) => error,
                done => return done,
            };
            broken = true;
            if operations.are_running() && error.is_gone() {
                self.wait_until_there(began.elapsed()).await;
            }
            attempts.after(self, error).await?;
        }
    }

    /// Waits until the server answers again. Its work on an action would be lost otherwise. So the wait is limited by the time that the
    /// action took so far, and by the time limit of a call.
    async fn wait_until_there(&self, limit: Duration) {
        let answer = async {
            while self.is_there().await.is_err_and(|error| error.is_gone()) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        // The next attempt shows whether the server is there.
        let _ = tokio::time::timeout(limit.min(self.options().timeout), answer).await;
    }

    async fn execute_once(
        &self,
        request: &ExecuteRequest,
        operations: &mut Operations<'_>,
        queue: &mut QueueWatch,
        queued: &(dyn Fn() + Sync),
    ) -> Result<Finished, RemoteError> {
        const WHAT: &str = "executing an action";
        let mut client = ExecutionClient::new(self.service());
        // Some servers send their first message when the action has ended.
        let failed = |status: tonic::Status| {
            self.precondition(&status).unwrap_or_else(|| RemoteError::of(self.address(), WHAT, &status))
        };
        let opening = self.while_there(client.execute(request.clone())).await?;
        let mut stream = opening.map_err(failed)?.into_inner();
        let mut worker = String::new();
        loop {
            let operation = queue.watch(self.while_there(stream.message()), queued).await?.map_err(failed)?;
            let Some(operation) = operation else {
                // The connection broke after the server had taken the action.
                let address = self.address().clone();
                return Err(RemoteError::Unreachable { address, reason: "the stream ended before the action".into() });
            };
            operations.note(&operation);
            queue.note(operation.metadata.as_ref());
            if let Some(name) = operation.metadata.as_ref().and_then(worker_of) {
                worker = name;
            }
            if operation.done {
                let mut finished = self.finished(operation)?;
                if finished.worker.is_empty() {
                    finished.worker = worker;
                }
                return Ok(finished);
            }
        }
    }

    /// Waits for a future that may take as long as an action, while the server answers checks.
    async fn while_there<T>(&self, wait: impl Future<Output = T>) -> Result<T, RemoteError> {
        tokio::pin!(wait);
        loop {
            match tokio::time::timeout(SILENCE.min(self.options().timeout), &mut wait).await {
                Ok(done) => return Ok(done),
                Err(_) => {
                    tokio::select! {
                        done = &mut wait => return Ok(done),
                        there = self.is_there() => match there {
                            Err(error) if error.is_gone() => return Err(error),
                            // A server that rejects the check, perhaps because the token has expired, does answer.
                            Ok(()) | Err(_) => {}
                        },
                    }
                }
            }
        }
    }

    fn finished(&self, operation: Operation) -> Result<Finished, RemoteError> {
        const WHAT: &str = "executing an action";
        let invalid =
            |reason: &str| RemoteError::Unsupported { address: self.address().clone(), reason: reason.into() };
        let any = match operation.result {
            Some(operation::Result::Response(any)) => any,
            Some(operation::Result::Error(status)) => return Err(self.refused(WHAT, status)),
            None => return Err(invalid("the finished operation has no result")),
        };
        let response =
            ExecuteResponse::decode(&any.value[..]).map_err(|_| invalid("the result of the action is not valid"))?;
        match response.status {
            Some(status) if status.code != 0 => Err(self.refused(WHAT, status)),
            _ => {
                let result = response.result.ok_or_else(|| invalid("the action has no result"))?;
                Finished::of(result, response.cached_result)
            }
        }
    }

    /// The error of a status that names missing blobs: code FAILED_PRECONDITION with violations of type MISSING.
    fn precondition(&self, status: &tonic::Status) -> Option<RemoteError> {
        if status.code() != Code::FailedPrecondition {
            return None;
        }
        let details = bazel_remote_apis::google::rpc::Status::decode(status.details()).ok();
        self.missing_of(&details.map(|status| status.details).unwrap_or_default())
    }

    /// The error of an action that has ended with a status.
    fn refused(&self, what: &'static str, status: bazel_remote_apis::google::rpc::Status) -> RemoteError {
        let (address, message) = (self.address().clone(), status.message);
        match Code::from(status.code) {
            // An action may refer to a blob that was evicted between the check and the execution.
            Code::NotFound => RemoteError::Missing { address, blobs: Vec::new() },
            code @ (Code::Cancelled | Code::DeadlineExceeded) => RemoteError::Stopped { address, code, message },
            code => {
                let missing = (code == Code::FailedPrecondition).then(|| self.missing_of(&status.details)).flatten();
                missing.unwrap_or(RemoteError::Refused { address, what, code, message })
            }
        }
    }

    /// The error of blobs that the details of a status name. A status of the same code without them has another reason.
    fn missing_of(&self, details: &[Any]) -> Option<RemoteError> {
        let failures = details.iter().filter_map(|any| PreconditionFailure::decode(&any.value[..]).ok());
        let violations = failures.flat_map(|failure| failure.violations).filter(|one| one.kind == "MISSING");
        // The subject is `blobs/HASH/SIZE`.
        let digest = |subject: String| format!("sha256:{}", subject.split('/').nth(1)?).parse::<BlobDigest>().ok();
        let blobs: Vec<_> = violations.filter_map(|violation| digest(violation.subject)).collect();
        (!blobs.is_empty()).then(|| RemoteError::Missing { address: self.address().clone(), blobs })
    }
}

impl Finished {
    pub(crate) fn of(result: ActionResult, is_cached: bool) -> Result<Self, RemoteError> {
        let mut outputs = BTreeMap::new();
        for file in result.output_files {
            let blob = Blob::of_message(file.digest.as_ref(), "an output file")?;
            outputs.insert(file.path, OutputFile { blob, contents: file.contents });
        }
        let metadata = result.execution_metadata.unwrap_or_default();
        let stderr_blob = result.stderr_digest.as_ref();
        let stderr_blob = stderr_blob.map(|digest| Blob::of_message(Some(digest), "the standard error")).transpose()?;
        Ok(Self {
            stderr_blob,
            exit_code: result.exit_code,
            outputs,
            stdout: result.stdout_raw,
            stderr: result.stderr_raw,
            is_cached,
            times: WorkerTimes::of(&metadata),
            worker: metadata.worker,
        })
    }
}

impl WorkerTimes {
    fn of(metadata: &ExecutedActionMetadata) -> Self {
        let at = |timestamp: &Option<Timestamp>| {
            let Timestamp { seconds, nanos } = (*timestamp)?;
            let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
            UNIX_EPOCH.checked_add(since).filter(|_| seconds > 0)
        };
        Self {
            queued: at(&metadata.queued_timestamp),
            started: at(&metadata.worker_start_timestamp),
            completed: at(&metadata.worker_completed_timestamp),
        }
    }
}

/// The worker that the metadata of a running operation names.
fn worker_of(metadata: &Any) -> Option<String> {
    let metadata = ExecuteOperationMetadata::decode(&metadata.value[..]).ok()?;
    Some(metadata.partial_execution_metadata?.worker).filter(|worker| !worker.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RemoteOptions;
    use bazel_remote_apis::google::rpc;

    fn ended(code: Code, message: &str, details: Vec<Any>) -> RemoteError {
        let client = Client::new(RemoteOptions::of("grpc://127.0.0.1:1".parse().unwrap())).unwrap();
        client.refused("executing an action", rpc::Status { code: code as i32, message: message.into(), details })
    }

    #[test]
    fn only_a_precondition_that_names_blobs_is_of_missing_blobs() {
        let digest = BlobDigest::of("content");
        let subject = format!("blobs/{}/7", digest.hex());
        let failure = PreconditionFailure { violations: vec![Violation { kind: "MISSING".into(), subject }] };
        let detail = Any {
            type_url: "type.googleapis.com/google.rpc.PreconditionFailure".into(),
            value: failure.encode_to_vec(),
        };
        let error = ended(Code::FailedPrecondition, "", vec![detail]);
        assert!(matches!(&error, RemoteError::Missing { blobs, .. } if *blobs == [digest]), "{error}");

        let error = ended(Code::FailedPrecondition, "unknown property `pool`", Vec::new());
        assert!(error.to_string().ends_with("a precondition is not met: unknown property `pool`"), "{error}");
        assert!(error.may_lack_blobs(), "some servers name no blobs");
    }

    #[test]
    fn an_action_that_the_server_stopped_is_said_to_be_stopped() {
        let error = ended(Code::DeadlineExceeded, "too long", Vec::new());
        assert!(
            error.to_string().ends_with("the server stopped the action: the deadline has passed: too long"),
            "{error}"
        );
        let error = ended(Code::Cancelled, "", Vec::new());
        assert!(error.to_string().ends_with("the server stopped the action: it was cancelled"), "{error}");
    }
}
