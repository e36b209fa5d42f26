//! The operations of an action on its server. One that the build does not wait for any more is cancelled: servers go on with an action
//! whose client is gone.

use super::Client;
use super::client::runtime;
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;
use bazel_remote_apis::google::longrunning::{CancelOperationRequest, Operation};
use std::time::Duration;

/// The time that a server has to take a cancellation. A cancelled build waits for that long.
const LIMIT: Duration = Duration::from_secs(1);

/// The most operations of an action that are cancelled. An action has one for each attempt; a server may name any number.
const MOST: usize = 16;

/// The operations of one action that have not ended. They are cancelled on drop.
pub(crate) struct Operations<'c> {
    client: &'c Client,
    names: Vec<String>,
}

impl<'c> Operations<'c> {
    pub(crate) fn of(client: &'c Client) -> Self {
        Self { client, names: Vec::new() }
    }

    /// Whether one of them has not ended.
    pub(crate) fn are_running(&self) -> bool {
        !self.names.is_empty()
    }

    /// Notes the state of an operation.
    pub(crate) fn note(&mut self, operation: &Operation) {
        self.names.retain(|name| *name != operation.name);
        if !operation.done && !operation.name.is_empty() {
            if self.names.len() == MOST {
                self.names.remove(0);
            }
            self.names.push(operation.name.clone());
        }
    }
}

impl Drop for Operations<'_> {
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.names) {
            let client = self.client.clone();
            self.client.note_cancellation(runtime().spawn(async move { client.cancel(name).await }));
        }
    }
}

impl Client {
    async fn cancel(&self, name: String) {
        let mut operations = OperationsClient::new(self.service());
        // The operation may have ended, and not all servers offer this.
        let _ = tokio::time::timeout(LIMIT, operations.cancel_operation(CancelOperationRequest { name })).await;
    }
}
