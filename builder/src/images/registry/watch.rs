//! How far transfers are, for whoever shows it.

use buildscope_record::BlobDigest;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a transfer tells how far it is: as often as one can read it.
const PACE: Duration = Duration::from_millis(150);

/// How far a blob is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The image that it belongs to, in full.
    pub image: Arc<str>,
    /// Whether it leaves this machine.
    pub push: bool,
    /// The blob.
    pub blob: BlobDigest,
    /// Bytes that have moved.
    pub current: u64,
    /// Bytes that it has.
    pub total: u64,
}

/// Hears of transfers, from several threads.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<dyn Fn(Moved) + Send + Sync>>);

impl Watch {
    /// Tells this function.
    pub fn of(hear: impl Fn(Moved) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

/// One blob's way.
pub(super) struct Way {
    watch: Watch,
    moved: Moved,
    told: Option<Instant>,
}

impl Way {
    pub(super) fn begin(watch: &Watch, image: Arc<str>, push: bool, blob: BlobDigest, total: u64) -> Self {
        Self { watch: watch.clone(), moved: Moved { image, push, blob, current: 0, total }, told: None }
    }

    /// It has come to that byte. The begin and the end are always told.
    pub(super) fn at(&mut self, current: u64) {
        let Some(hear) = &self.watch.0 else { return };
        self.moved.current = current;
        let ended = current >= self.moved.total;
        if ended || self.told.is_none_or(|told| told.elapsed() >= PACE) {
            self.told = Some(Instant::now());
            hear(self.moved.clone());
        }
    }
}
