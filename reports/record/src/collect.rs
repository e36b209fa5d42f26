//! Collects the spans, waits and counters of a running build.

use crate::probe::{BuildId, Probe, Quantity};
use crate::{Counter, Nanos, Phase, Sample, Span, SpanId, StepId, Wait};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// The builds of this process that are being recorded.
static BUILDS: LazyLock<RwLock<HashMap<u64, Arc<CollectorState>>>> = LazyLock::new(Default::default);
static NEXT_BUILD: AtomicU64 = AtomicU64::new(0);

/// The receiver of one build's spans.
pub(crate) struct CollectorState {
    epoch: Instant,
    next_span: AtomicU64,
    seen: Mutex<Collected>,
}

/// The collected data so far. The rest of a [`Trace`] is computed when the build is over, so that a span costs little.
#[derive(Default)]
struct Collected {
    spans: Vec<(Span, Amounts)>,
    waits: Vec<Wait>,
    counters: Vec<Counter>,
}

/// The quantities of a span, in the order of [`Quantity::ALL`]; `None` for one that was not given.
pub(crate) type Amounts = [Option<u64>; Quantity::ALL.len()];

/// Everything that was observed of one build.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Closed spans, in the order in which they closed.
    pub spans: Vec<Span>,
    /// Ended waits, in the order in which they ended.
    pub waits: Vec<Wait>,
    /// Counters by name.
    pub counters: Vec<Counter>,
}

/// Collects the spans, waits and counters of one build from its start to [`finish`](Self::finish).
///
/// A [`Recorder`](crate::Recorder) or a [`RecordLayer`](crate::RecordLayer) must be installed; otherwise the trace stays empty.
pub struct Collector {
    id: BuildId,
    shared: Arc<CollectorState>,
}

impl Collector {
    /// Starts collecting. `epoch` (the start of the process or of the build) is time zero of the record.
    pub fn start(epoch: Instant) -> Self {
        let id = BuildId(NEXT_BUILD.fetch_add(1, Ordering::Relaxed));
        let shared = Arc::new(CollectorState { epoch, next_span: AtomicU64::new(0), seen: Mutex::default() });
        BUILDS.write().insert(id.0, Arc::clone(&shared));
        Self { id, shared }
    }

    /// The probe to pass to the build.
    pub fn probe(&self) -> Probe {
        Probe::root(self.id)
    }

    /// The record's time zero.
    pub fn epoch(&self) -> Instant {
        self.shared.epoch
    }

    /// The current time on the record's clock.
    pub fn now(&self) -> Nanos {
        self.shared.at(Instant::now())
    }

    /// Adds an interval that was measured elsewhere: before the subscriber was installed, or in another process.
    pub fn interval(&self, phase: Phase, step: Option<StepId>, slot: Option<u32>, start: Instant, end: Instant) {
        let (start, end) = (self.shared.at(start), self.shared.at(end));
        let id = self.shared.new_id();
        self.shared.span(Span { id, step, slot, start, end, ..Span::of(phase) }, Amounts::default());
    }

    /// Ends the collection. Spans that are still open are not included.
    pub fn finish(self) -> Trace {
        let Collected { spans, waits, counters } = std::mem::take(&mut *self.shared.lock());
        let named = |(span, amounts): (Span, Amounts)| {
            let quantities =
                Quantity::ALL.iter().zip(amounts).filter_map(|(of, amount)| Some((of.name().to_owned(), amount?)));
            Span { fields: quantities.collect(), ..span }
        };
        Trace { spans: spans.into_iter().map(named).collect(), waits, counters }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        BUILDS.write().remove(&self.id.0);
    }
}

impl CollectorState {
    /// The receiver of a build while it is being recorded.
    pub(crate) fn of(build: u64) -> Option<Arc<Self>> {
        BUILDS.read().get(&build).cloned()
    }

    /// The instant on the record's clock. Instants before its start become zero.
    pub(crate) fn at(&self, instant: Instant) -> Nanos {
        instant.saturating_duration_since(self.epoch).into()
    }

    pub(crate) fn new_id(&self) -> SpanId {
        SpanId(self.next_span.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn span(&self, span: Span, amounts: Amounts) {
        self.lock().spans.push((span, amounts));
    }

    pub(crate) fn wait(&self, wait: Wait) {
        self.lock().waits.push(wait);
    }

    /// Sets the value of a counter from now on.
    pub(crate) fn count(&self, name: String, step: Option<StepId>, value: f64) {
        let mut collected = self.lock();
        // The clock is read under the lock, so that the samples of a counter are in the order of time.
        let sample = Sample { at: self.at(Instant::now()), value };
        match collected.counters.iter_mut().find(|counter| counter.name == name && counter.step == step) {
            Some(counter) => counter.samples.push(sample),
            None => collected.counters.push(Counter { name, step, samples: vec![sample] }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.seen.lock()
    }
}
