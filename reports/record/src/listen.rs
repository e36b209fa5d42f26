//! From `tracing` spans to the intervals of a record.
//!
//! A [`Recorder`] is a subscriber that receives only builds, at the least cost. A [`RecordLayer`] is a layer that receives them
//! next to the other layers of a subscriber.

use crate::collect::{Amounts, CollectorState};
use crate::probe::{BEGAN_AGO, ENDED, ENDED_AGO, NONE, Quantity, TARGET};
use crate::{Nanos, Phase, Span, SpanId, StepId, Wait, WaitKind};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// A `tracing` subscriber that passes each span, wait and counter to the collector of its build, and ignores everything else.
///
/// `tracing_subscriber::Registry` pays for stacking layers, which is not needed here. At a few microseconds a span the cost is
/// measurable.
#[derive(Default)]
pub struct Recorder {
    spans: Mutex<Spans>,
}

/// The live spans, by their `tracing` id minus one.
#[derive(Default)]
struct Spans {
    alive: Vec<Option<Alive>>,
    free: Vec<usize>,
}

struct Alive {
    /// `None` if the span's build is not recorded.
    open: Option<OpenSpan>,
    handles: usize,
}

impl Recorder {
    /// Makes it the subscriber of this process. The messages of the crate `log` do not become events, as they would by
    /// `SubscriberInitExt::init`: HTTP clients have one for each read, which took an eighth of the CPU time of a pull.
    ///
    /// # Errors
    /// Fails if the process has a subscriber.
    pub fn install(self) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
        tracing::subscriber::set_global_default(self)
    }

    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock()
    }
}

impl Spans {
    fn index(id: &Id) -> usize {
        usize::try_from(id.into_u64() - 1).expect("an identity given by `keep`")
    }

    fn get(&mut self, id: &Id) -> Option<&mut Alive> {
        self.alive.get_mut(Self::index(id))?.as_mut()
    }

    fn keep(&mut self, open: Option<OpenSpan>) -> Id {
        let index = self.free.pop().unwrap_or_else(|| {
            self.alive.push(None);
            self.alive.len() - 1
        });
        self.alive[index] = Some(Alive { open, handles: 1 });
        Id::from_u64(index as u64 + 1)
    }

    /// Drops one handle. Returns the span if it was the last.
    fn let_go(&mut self, id: &Id) -> Option<Alive> {
        let alive = self.get(id)?;
        alive.handles -= 1;
        if alive.handles > 0 {
            return None;
        }
        let index = Self::index(id);
        self.free.push(index);
        self.alive[index].take()
    }
}

impl Subscriber for Recorder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if RecordLayer::wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        RecordLayer::wants(metadata)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.lock();
        let parent = attributes.parent().and_then(|id| Some(spans.get(id)?.open.as_ref()?.id));
        let open = OpenSpan::begin(attributes, parent, Instant::now());
        spans.keep(open)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        if let Some(Alive { open: Some(open), .. }) = self.lock().get(id) {
            open.record(values, Instant::now());
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        count(event);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(alive) = self.lock().get(id) {
            alive.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let ended = self.lock().let_go(&id);
        if let Some(Alive { open: Some(mut open), .. }) = ended {
            open.end(Instant::now());
            return true;
        }
        ended.is_some()
    }
}

/// A `tracing` layer that passes each span, wait and counter to the collector of its build.
#[derive(Debug, Default)]
pub struct RecordLayer;

impl RecordLayer {
    /// Whether a callsite belongs to the record, for the filter of a subscriber.
    pub fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RecordLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let now = Instant::now();
        let Some(span) = context.span(id).filter(|span| RecordLayer::wants(span.metadata())) else { return };
        let parent = span.parent().and_then(|parent| parent.extensions().get::<OpenSpan>().map(|open| open.id));
        if let Some(open) = OpenSpan::begin(attributes, parent, now) {
            span.extensions_mut().insert(open);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let now = Instant::now();
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<OpenSpan>() {
            open.record(values, now);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if RecordLayer::wants(event.metadata()) {
            count(event);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let now = Instant::now();
        let Some(span) = context.span(&id) else { return };
        if let Some(mut open) = span.extensions_mut().remove::<OpenSpan>() {
            open.end(now);
        }
    }
}

/// An open span of a build that is recorded.
struct OpenSpan {
    shared: Arc<CollectorState>,
    kind: &'static str,
    id: SpanId,
    parent: Option<SpanId>,
    start: Nanos,
    seen: Seen,
    /// Whether the interval has ended. Probes created within the span may keep the span itself alive.
    ended: bool,
}

impl OpenSpan {
    fn begin(attributes: &Attributes<'_>, parent: Option<SpanId>, now: Instant) -> Option<Self> {
        let mut seen = Seen::default();
        attributes.record(&mut seen);
        let shared = CollectorState::of(seen.build?)?;
        let (id, start, kind) = (shared.new_id(), shared.at(now), attributes.metadata().name());
        Some(Self { shared, kind, id, parent, start, seen, ended: false })
    }

    fn record(&mut self, values: &Record<'_>, now: Instant) {
        values.record(&mut self.seen);
        if self.seen.ended {
            self.end(now);
        }
    }

    /// Passes the interval to the collector, once.
    fn end(&mut self, now: Instant) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (id, parent) = (self.id, self.parent);
        let Seen { step, slot, on, text: name, amounts, began_ago, ended_ago, .. } = std::mem::take(&mut self.seen);
        let ago = |ago: u64| self.shared.at(now).saturating_sub(Nanos(ago));
        let (start, end) = (began_ago.map_or(self.start, ago), ended_ago.map_or(self.shared.at(now), ago));
        if let Some(phase) = Phase::from_name(self.kind) {
            self.shared.span(Span { id, parent, step, slot, name, start, end, ..Span::of(phase) }, amounts);
        } else if let (Some(kind), Some(step)) = (WaitKind::from_span_name(self.kind), step) {
            self.shared.wait(Wait { step, kind, on, name, start, end });
        }
    }
}

fn count(event: &Event<'_>) {
    let mut seen = Seen::default();
    event.record(&mut seen);
    if let (Some(shared), Some(name)) = (seen.build.and_then(CollectorState::of), seen.text) {
        shared.count(name, seen.step, seen.value);
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct Seen {
    build: Option<u64>,
    step: Option<StepId>,
    slot: Option<u32>,
    on: Option<StepId>,
    text: Option<String>,
    value: f64,
    amounts: Amounts,
    ended: bool,
    /// The time since the start and since the end of the interval, if it was measured elsewhere.
    began_ago: Option<u64>,
    ended_ago: Option<u64>,
}

impl Visit for Seen {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let id = || u32::try_from(value).ok();
        match field.name() {
            "build" => self.build = Some(value),
            "step" if value != NONE => self.step = id().map(StepId),
            "slot" if value != NONE => self.slot = id(),
            "step" | "slot" => {}
            BEGAN_AGO => self.began_ago = Some(value),
            ENDED_AGO => self.ended_ago = Some(value),
            "on" => self.on = id().map(StepId),
            name => {
                if let Some(at) = Quantity::ALL.iter().position(|quantity| quantity.name() == name) {
                    self.amounts[at] = Some(value);
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Collector;
    use tracing_subscriber::layer::SubscriberExt as _;

    /// Subscriber and layer record the same.
    fn heard(test: fn()) {
        tracing::subscriber::with_default(Recorder::default(), test);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(RecordLayer), test);
    }

    #[test]
    fn a_phase_ends_with_its_guard_though_probes_within_it_live_on() {
        heard(|| {
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
    fn an_interval_that_was_measured_elsewhere_keeps_its_times_and_its_parent() {
        heard(|| {
            let zero = Instant::now();
            let collector = Collector::start(zero);
            let span = collector.probe().at(StepId(1), None).phase(Phase::Dispatch);
            let at = |millis| zero + std::time::Duration::from_millis(millis);
            std::thread::sleep(std::time::Duration::from_millis(30));
            span.probe().interval(Phase::Process, "worker-1", at(5), at(20));
            span.end();
            let trace = collector.finish();
            let [process, dispatch] = &trace.spans[..] else { panic!("{:?}", trace.spans) };
            assert_eq!((process.parent, process.step), (Some(dispatch.id), Some(StepId(1))));
            assert_eq!(process.name.as_deref(), Some("worker-1"));
            // The clock is read twice, so both may be later by the time between.
            assert!((5_000_000..500_000_000).contains(&process.start.0), "{process:?}");
            assert_eq!(process.duration().0, 15_000_000);
        });
    }

    #[test]
    fn a_delay_is_in_the_first_interval_of_its_phase_in_each_step() {
        heard(|| {
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
        let waits = |instruction: &str| {
            let before = Instant::now();
            probe.begins(&instruction.into());
            before.elapsed() >= length
        };
        assert_eq!([waits("RUN"), waits("RUN")], [true, true]);
    }

    #[test]
    fn spans_waits_and_counters_reach_their_own_build() {
        heard(|| {
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

    #[test]
    fn a_reused_id_is_another_span() {
        heard(|| {
            let collector = Collector::start(Instant::now());
            let probe = collector.probe();
            let first = probe.phase(Phase::Read);
            let within = first.probe();
            first.end();
            let kept = within.clone();
            drop(within);
            let (other, child) = (probe.phase(Phase::Parse), kept.phase(Phase::Expand));
            drop(kept);
            child.end();
            probe.phase(Phase::Lint).end();
            other.end();
            let spans = collector.finish().spans;
            let parent = |span: &Span| span.parent.map(|id| spans.iter().find(|span| span.id == id).unwrap().phase);
            let seen: Vec<_> = spans.iter().map(|span| (span.phase, parent(span))).collect();
            let expected =
                [(Phase::Read, None), (Phase::Expand, Some(Phase::Read)), (Phase::Lint, None), (Phase::Parse, None)];
            assert_eq!(seen, expected);
        });
    }

    #[test]
    fn a_build_that_is_over_records_nothing() {
        heard(|| {
            let (over, other) = (Collector::start(Instant::now()), Collector::start(Instant::now()));
            let late = over.probe();
            assert!(over.finish().spans.is_empty());
            late.phase(Phase::Read).end();
            late.count("steps.active", 1.0);
            let trace = other.finish();
            assert!(trace.spans.is_empty() && trace.counters.is_empty());
        });
    }
}
