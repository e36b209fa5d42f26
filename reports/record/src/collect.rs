//! From `tracing` spans to the intervals of a record.

use crate::probe::{BuildId, ENDED, NONE, Probe, TARGET};
use crate::{Counter, Nanos, Phase, Sample, Span, SpanId, StepId, Wait, WaitKind};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// The builds of this process that are being recorded.
static BUILDS: LazyLock<RwLock<HashMap<u64, Arc<Shared>>>> = LazyLock::new(Default::default);
static NEXT_BUILD: AtomicU64 = AtomicU64::new(0);

struct Shared {
    epoch: Instant,
    next_span: AtomicU64,
    trace: Mutex<Trace>,
}

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

/// Collects one build's spans, waits and counters from its beginning to [`finish`](Self::finish).
///
/// It sees what passes the [`RecordLayer`] of the installed subscriber; without one, the trace stays empty.
pub struct Collector {
    id: BuildId,
    shared: Arc<Shared>,
}

impl Collector {
    /// Starts the clock at `epoch` (the process's or the build's start): it is the record's time zero.
    pub fn start(epoch: Instant) -> Self {
        let id = BuildId(NEXT_BUILD.fetch_add(1, Ordering::Relaxed));
        let shared = Arc::new(Shared { epoch, next_span: AtomicU64::new(0), trace: Mutex::default() });
        BUILDS.write().unwrap_or_else(PoisonError::into_inner).insert(id.0, Arc::clone(&shared));
        Self { id, shared }
    }

    /// The probe to hand to the build.
    pub fn probe(&self) -> Probe {
        Probe::root(self.id)
    }

    /// Now, on the record's clock.
    pub fn now(&self) -> Nanos {
        self.shared.at(Instant::now())
    }

    /// Adds an interval that was measured elsewhere: before the subscriber was there, or in another process.
    pub fn interval(&self, phase: Phase, step: Option<StepId>, slot: Option<u32>, start: Instant, end: Instant) {
        let (start, end) = (self.shared.at(start), self.shared.at(end));
        let id = self.shared.new_id();
        self.shared.lock().spans.push(Span { id, step, slot, start, end, ..Span::of(phase) });
    }

    /// Ends the collection. Spans that are still open are not part of it.
    pub fn finish(self) -> Trace {
        std::mem::take(&mut *self.shared.lock())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        BUILDS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.id.0);
    }
}

impl Shared {
    /// That instant, on the record's clock; what was before its beginning is at zero.
    fn at(&self, instant: Instant) -> Nanos {
        instant.saturating_duration_since(self.epoch).into()
    }

    fn new_id(&self) -> SpanId {
        SpanId(self.next_span.fetch_add(1, Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, Trace> {
        // A panic while pushing leaves the vectors valid.
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `tracing` layer that hands each span, wait and counter to the collector of its build.
#[derive(Debug, Default)]
pub struct RecordLayer;

/// What the layer keeps in an open span.
struct Open {
    shared: Arc<Shared>,
    id: SpanId,
    parent: Option<SpanId>,
    start: Nanos,
    seen: Seen,
    /// Whether its interval has ended: probes made within it may keep the span itself alive.
    ended: bool,
}

#[derive(Default)]
struct Seen {
    build: Option<u64>,
    step: Option<StepId>,
    slot: Option<u32>,
    on: Option<StepId>,
    text: Option<String>,
    value: f64,
    fields: BTreeMap<String, u64>,
    ended: bool,
}

impl Visit for Seen {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let id = || u32::try_from(value).ok();
        match field.name() {
            "build" => self.build = Some(value),
            "step" if value != NONE => self.step = id().map(StepId),
            "slot" if value != NONE => self.slot = id(),
            "step" | "slot" => {}
            "on" => self.on = id().map(StepId),
            name => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "value" {
            self.value = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if matches!(field.name(), "detail" | "name" | "counter") {
            self.text = Some(value.to_owned());
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == ENDED {
            self.ended = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Seen {
    fn collector(&self) -> Option<Arc<Shared>> {
        BUILDS.read().unwrap_or_else(PoisonError::into_inner).get(&self.build?).cloned()
    }
}

impl RecordLayer {
    /// Whether a callsite speaks to the record; for a subscriber's filter.
    pub fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RecordLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let now = Instant::now();
        if !Self::wants(attributes.metadata()) {
            return;
        }
        let mut seen = Seen::default();
        attributes.record(&mut seen);
        let (Some(shared), Some(span)) = (seen.collector(), context.span(id)) else { return };
        let parent = span.parent().and_then(|parent| parent.extensions().get::<Open>().map(|open| open.id));
        let open = Open { id: shared.new_id(), parent, start: shared.at(now), seen, shared, ended: false };
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        let now = Instant::now();
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.seen);
            if open.seen.ended {
                open.end(span.name(), now);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !Self::wants(event.metadata()) {
            return;
        }
        let mut seen = Seen::default();
        event.record(&mut seen);
        let (Some(shared), Some(name)) = (seen.collector(), seen.text) else { return };
        let mut trace = shared.lock();
        // Read the clock under the lock: a counter's samples are in the order of time.
        let sample = Sample { at: shared.at(Instant::now()), value: seen.value };
        match trace.counters.iter_mut().find(|counter| counter.name == name && counter.step == seen.step) {
            Some(counter) => counter.samples.push(sample),
            None => trace.counters.push(Counter { name, step: seen.step, samples: vec![sample] }),
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let now = Instant::now();
        let Some(span) = context.span(&id) else { return };
        if let Some(mut open) = span.extensions_mut().remove::<Open>() {
            open.end(span.name(), now);
        }
    }
}

impl Open {
    /// Hands the interval to the collector, once.
    fn end(&mut self, name: &str, now: Instant) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (id, parent, start, end) = (self.id, self.parent, self.start, self.shared.at(now));
        let Seen { step, slot, on, text, fields, .. } = std::mem::take(&mut self.seen);
        let mut trace = self.shared.lock();
        if let Some(phase) = Phase::from_name(name) {
            trace.spans.push(Span { id, parent, step, slot, phase, name: text, start, end, fields });
        } else if let (Some(kind), Some(step)) = (WaitKind::from_span_name(name), step) {
            trace.waits.push(Wait { step, kind, on, name: text, start, end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantity;
    use tracing_subscriber::prelude::*;

    #[test]
    fn a_phase_ends_with_its_guard_though_probes_within_it_live_on() {
        let subscriber = tracing_subscriber::registry().with(RecordLayer);
        tracing::subscriber::with_default(subscriber, || {
            let collector = Collector::start(Instant::now());
            let span = collector.probe().phase(Phase::Lower);
            let within = span.probe();
            span.end();
            let ended = collector.now();
            std::thread::sleep(std::time::Duration::from_millis(2));
            within.phase(Phase::Resolve).end();
            let trace = collector.finish();
            let [lower, resolve] = &trace.spans[..] else { panic!("{:?}", trace.spans) };
            assert!(lower.end <= ended && resolve.start > ended);
            assert_eq!(resolve.parent, Some(lower.id));
        });
    }

    #[test]
    fn a_delay_is_in_the_first_interval_of_its_phase_in_each_step() {
        let subscriber = tracing_subscriber::registry().with(RecordLayer);
        tracing::subscriber::with_default(subscriber, || {
            let collector = Collector::start(Instant::now());
            let length = std::time::Duration::from_millis(3);
            let probe = collector.probe().delayed(crate::Delay::new(
                crate::Delayed::Phase(Phase::Copy),
                length,
                std::thread::sleep,
            ));
            for step in [0, 0, 1] {
                let at = probe.at(StepId(step), None);
                at.phase(Phase::Copy).end();
                at.phase(Phase::Diff).end();
            }
            let spans = collector.finish().spans;
            let long: Vec<bool> = spans.iter().map(|span| span.end.0 - span.start.0 >= 3_000_000).collect();
            assert_eq!(long, [true, false, false, false, true, false]);
        });
    }

    #[test]
    fn a_delay_of_an_instruction_is_in_each_of_its_steps() {
        let (collector, length) = (Collector::start(Instant::now()), std::time::Duration::from_millis(3));
        let at = crate::Delayed::Instruction("RUN".into());
        let probe = collector.probe().delayed(crate::Delay::new(at, length, std::thread::sleep));
        let waits = |keyword| {
            let before = Instant::now();
            probe.begins(keyword);
            before.elapsed() >= length
        };
        assert_eq!([waits("RUN"), waits("RUN")], [true, true]);
    }

    #[test]
    fn spans_waits_and_counters_reach_their_own_build() {
        let subscriber = tracing_subscriber::registry().with(RecordLayer);
        tracing::subscriber::with_default(subscriber, || {
            let (one, two) = (Collector::start(Instant::now()), Collector::start(Instant::now()));
            let step = one.probe().at(StepId(3), Some(1));
            let outer = step.phase(Phase::Diff);
            outer.quantity(Quantity::FilesWalked, 7).detail("upper");
            outer.probe().phase(Phase::Digest).end();
            outer.end();
            let slot = step.wait_slot();
            slot.on(StepId(2));
            slot.end();
            step.wait_lock("cache-mount:x").end();
            two.probe().phase(Phase::Parse).end();
            two.probe().count("steps.active", 2.0);

            let (one, two) = (one.finish(), two.finish());
            let [digest, diff] = &one.spans[..] else { panic!("two spans, got {:?}", one.spans) };
            assert_eq!((diff.phase, diff.step, diff.slot), (Phase::Diff, Some(StepId(3)), Some(1)));
            assert_eq!((diff.fields["files_walked"], diff.name.as_deref()), (7, Some("upper")));
            assert_eq!((digest.phase, digest.parent), (Phase::Digest, Some(diff.id)));
            assert!(diff.start <= digest.start && digest.end <= diff.end);
            let waits: Vec<_> = one.waits.iter().map(|wait| (wait.kind, wait.on, wait.name.as_deref())).collect();
            assert_eq!(waits, [(WaitKind::Slot, Some(StepId(2)), None), (WaitKind::Lock, None, Some("cache-mount:x"))]);
            assert_eq!((two.spans.len(), two.spans[0].step, two.counters[0].samples[0].value), (1, None, 2.0));
        });
    }
}
