//! Calls that run at the same time.

use super::RemoteError;
use tokio::task::{JoinError, JoinSet};

/// Runs calls, at most `limit` at a time. The first error ends it, and aborts the calls that are running.
pub(crate) async fn run_all<C>(limit: usize, calls: Vec<C>) -> Result<(), RemoteError>
where
    C: Future<Output = Result<(), RemoteError>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for call in calls {
        if running.len() == limit
            && let Some(done) = running.join_next().await
        {
            joined(done)?;
        }
        running.spawn(call);
    }
    while let Some(done) = running.join_next().await {
        joined(done)?;
    }
    Ok(())
}

/// The result of a task that has ended.
fn joined(done: Result<Result<(), RemoteError>, JoinError>) -> Result<(), RemoteError> {
    match done {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Ok(()),
    }
}
