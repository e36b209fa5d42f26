//! The progress of transfers.

use buildscope_record::BlobDigest;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The interval between two reports of a transfer: as often as people can read it.
const PACE: Duration = Duration::from_millis(150);

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the registry.
    Pull,
    /// To the registry.
    Push,
}

/// The progress of one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The complete name of the image.
    pub image: Arc<str>,
    /// Whether the blob comes or goes.
    pub direction: Direction,
    /// The digest of the blob.
    pub blob: BlobDigest,
    /// The number of bytes transferred so far.
    pub current: u64,
    /// The size of the blob in bytes.
    pub total: u64,
}

/// Receives the progress of transfers, from several threads.
#[derive(Clone, Default)]
pub struct ProgressSink(Option<Arc<dyn Fn(Transfer) + Send + Sync>>);

impl ProgressSink {
    /// A sink that calls this function.
    pub fn of(on_progress: impl Fn(Transfer) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(on_progress)))
    }
}

impl fmt::Debug for ProgressSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProgressSink").field(&self.0.is_some()).finish()
    }
}

/// Reports the progress of one blob.
pub(super) struct TransferProgress {
    sink: ProgressSink,
    transfer: Transfer,
    reported: Option<Instant>,
}

impl TransferProgress {
    /// Starts with `transfer`, of which nothing has been transferred yet.
    pub(super) fn start(sink: &ProgressSink, transfer: Transfer) -> Self {
        Self { sink: sink.clone(), transfer, reported: None }
    }

    /// Reports that `current` bytes were transferred. The first and the last report are never skipped.
    pub(super) fn at(&mut self, current: u64) {
        let Some(on_progress) = &self.sink.0 else { return };
        self.transfer.current = current;
        let ended = current >= self.transfer.total;
        if ended || self.reported.is_none_or(|reported| reported.elapsed() >= PACE) {
            self.reported = Some(Instant::now());
            on_progress(self.transfer.clone());
        }
    }
}
