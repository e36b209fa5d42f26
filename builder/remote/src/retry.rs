//! Retries and deadlines of calls.

use super::{Client, RemoteError};
use std::time::Duration;
use tonic::Status;

/// How often a call is sent before its failure is reported.
const ATTEMPTS: u32 = 4;
/// The pause after the first failure. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The attempts of one call.
#[derive(Default)]
pub(crate) struct Attempts {
    failed: u32,
}

/// Evaluates an attempt until it succeeds, its error is final, or all attempts have failed. A function with an asynchronous closure
/// would do, but its future would not be `Send` (rust-lang/rust#100013).
macro_rules! retried {
    ($client:expr, $attempt:expr) => {{
        let mut attempts = $crate::retry::Attempts::default();
        loop {
            match $attempt.await {
                Err(error) if attempts.again($client, &error).await => {}
                done => break done,
            }
        }
    }};
}

pub(crate) use retried;

impl Attempts {
    /// Waits for the time of the next attempt. Returns false if there is none.
    pub(crate) async fn again(&mut self, client: &Client, error: &RemoteError) -> bool {
        self.failed += 1;
        // A token file may have a new token by now.
        let renewed = self.failed == 1 && error.is_unauthenticated() && client.renews_token();
        if !renewed && (self.failed == ATTEMPTS || !error.is_transient()) {
            return false;
        }
        tokio::time::sleep(FIRST_PAUSE * 2u32.pow(self.failed - 1)).await;
        true
    }
}

impl Client {
    /// One attempt of a call with a single answer.
    pub(crate) async fn in_time<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, RemoteError> {
        let (address, after) = (self.address(), self.options().timeout);
        match tokio::time::timeout(after, call).await {
            Ok(answer) => answer.map_err(|status| RemoteError::of(address, what, &status)),
            Err(_) => Err(RemoteError::Stalled { address: address.clone(), what, after }),
        }
    }
}
