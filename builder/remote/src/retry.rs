//! Retries and deadlines of calls.

use super::{Client, RemoteError};
use std::time::Duration;
use tonic::Status;

/// The number of attempts of a call before its failure is reported.
const ATTEMPTS: u32 = 4;
/// The pause after the first failure. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The attempts of one call.
pub(crate) struct Attempts {
    failed: u32,
    most: u32,
    pause: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new(ATTEMPTS, FIRST_PAUSE)
    }
}

/// Evaluates an attempt until it succeeds, its error is final, or all attempts have failed. A macro, because the future of a function with
/// an asynchronous closure would not be `Send` (rust-lang/rust#100013).
macro_rules! retried {
    ($client:expr, $attempt:expr) => {{
        let mut attempts = $crate::retry::Attempts::default();
        loop {
            match $attempt.await {
                Ok(answer) => break Ok(answer),
                Err(error) => {
                    if let Err(error) = attempts.after($client, error).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

pub(crate) use retried;

impl Attempts {
    /// At most `most` attempts. Each pause between them is twice as long as the one before.
    pub(crate) fn new(most: u32, pause: Duration) -> Self {
        Self { failed: 0, most, pause }
    }

    /// Waits after a failure until the next attempt. Returns the error if there is none.
    pub(crate) async fn after(&mut self, client: &Client, error: RemoteError) -> Result<(), RemoteError> {
        let error = if self.failed == 0 { client.explained(error).await } else { error };
        self.failed += 1;
        if self.failed == self.most || !client.may_succeed(&error) {
            return Err(error);
        }
        tokio::time::sleep(self.pause * 2u32.pow(self.failed - 1)).await;
        Ok(())
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
            Ok(Ok(answer)) => {
                self.note_answer();
                Ok(answer)
            }
            Ok(Err(status)) => Err(RemoteError::of(address, what, &status)),
            Err(_) => Err(RemoteError::Stalled { address: address.clone(), what, after }),
        }
    }
}
