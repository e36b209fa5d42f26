//! Notices that an action waits long for a worker: all may be busy, or none may run it. A server does not say which.

use super::messages::ExecuteOperationMetadata;
use super::messages::execution_stage::Value as Stage;
use bazel_remote_apis::google::protobuf::Any;
use prost::Message;
use std::time::Duration;
use tokio::time::Instant;

/// The wait for a worker after which it is reported.
pub const LONG_QUEUE: Duration = Duration::from_secs(30);

/// Watches how long an action waits for a worker.
pub(crate) struct QueueWatch {
    /// The wait after which it is reported.
    limit: Duration,
    /// The time since which the action has waited; `None` if it does not wait.
    since: Option<Instant>,
    /// Whether the wait was reported.
    reported: bool,
}

impl QueueWatch {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, since: None, reported: false }
    }

    /// Notes the stage of a running action. A server that gives no stage has no known queue.
    pub(crate) fn note(&mut self, metadata: Option<&Any>) {
        let metadata = metadata.and_then(|any| ExecuteOperationMetadata::decode(&any.value[..]).ok());
        match metadata.map(|metadata| metadata.stage()) {
            Some(Stage::Queued) => {
                self.since.get_or_insert_with(Instant::now);
            }
            _ => self.since = None,
        }
    }

    /// Waits for a future. Calls `report` if the action has waited for too long, once.
    pub(crate) async fn watch<T>(&mut self, wait: impl Future<Output = T>, report: &(dyn Fn() + Sync)) -> T {
        tokio::pin!(wait);
        if let Some(since) = self.since.filter(|_| !self.reported) {
            match tokio::time::timeout_at(since + self.limit, &mut wait).await {
                Ok(done) => return done,
                Err(_) => self.reported = true,
            }
            report();
        }
        wait.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn at(stage: Stage) -> Any {
        let metadata = ExecuteOperationMetadata { stage: stage.into(), ..Default::default() };
        Any { type_url: String::new(), value: metadata.encode_to_vec() }
    }

    /// The number of reports while a server sends these messages, each a millisecond after the one before. Without a limit, the message after
    /// a queued one comes after the report: this thread may be late.
    async fn reports(limit: Duration, stages: &[Stage]) -> u32 {
        const MOST: u32 = 5000;
        let reports = AtomicU32::new(0);
        let report = || {
            reports.fetch_add(1, Ordering::Relaxed);
        };
        let mut queue = QueueWatch::new(limit);
        let mut is_late = false;
        for &stage in stages {
            let message = async {
                for _ in 0..MOST {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    if !is_late || reports.load(Ordering::Relaxed) > 0 {
                        break;
                    }
                }
            };
            queue.watch(message, &report).await;
            queue.note(Some(&at(stage)));
            is_late = limit.is_zero() && stage == Stage::Queued;
        }
        reports.into_inner()
    }

    #[tokio::test]
    async fn only_a_long_wait_for_a_worker_is_reported_and_once() {
        let (long, none) = (Duration::from_secs(3600), Duration::ZERO);
        assert_eq!(reports(long, &[Stage::Queued, Stage::Executing, Stage::Completed]).await, 0);
        assert_eq!(reports(none, &[Stage::Queued, Stage::Executing, Stage::Completed]).await, 1);
        assert_eq!(reports(none, &[Stage::Queued, Stage::Queued, Stage::Queued, Stage::Executing]).await, 1);
        assert_eq!(reports(none, &[Stage::Unknown, Stage::Executing, Stage::Completed]).await, 0);
    }
}
