//! Attribution against arithmetic on paper, and its laws against records of every kind.

use super::*;
use crate::analysis::Analysis;
use crate::synthetic::{Synthetic, chains, ms};
use crate::whatif::Bounds;
use buildscope_record::{
    EdgeKind, Group, Nanos, Outcome, Phase, Policy, Record, Span, SpanId, Step, Target, TargetOutcome, WaitKind,
};
use proptest::prelude::*;

fn wall_of(attribution: &Attribution<'_>, step: u32, phase: Option<Phase>) -> Nanos {
    let by_phase = attribution.ledger.get(&Some(StepId(step)));
    by_phase.and_then(|by_phase| by_phase.get(&phase)).map_or(Nanos::ZERO, |entry| entry.wall)
}

fn lengths(attribution: &Attribution<'_>) -> Vec<Nanos> {
    attribution.own.iter().copied().collect()
}

fn bounds(record: &Record) -> Bounds {
    Analysis::new(record).bounds
}

fn sum<N>(rows: &[Row<N>]) -> Nanos {
    rows.iter().map(|row| row.wall).sum()
}

fn example(name: &str) -> Record {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("record/tests/examples").join(name);
    Record::read(std::fs::File::open(path).unwrap()).unwrap()
}

#[test]
fn diamond_under_instructions() {
    let record = example("diamond.instructions.json");
    let found = attribute(&record);
    // From the file: 1.5 ms of parsing and planning, FROM b 0.1 ms, RUN b 1203 ms (1 set-up, 1201 process, 1 storage),
    // COPY 0.4 ms, export 1 ms.
    let legs: Vec<_> = found.legs.iter().map(|leg| (leg.step.0, leg.after)).collect();
    assert_eq!(legs, [(2, None), (3, Some(Link::Data)), (6, Some(Link::Data))]);
    let groups: Vec<_> = found.accounts.groups.iter().map(|row| (row.name, row.wall.0 / 1000)).collect();
    let expected = [
        (Attributed::Of(Group::Parsing), 1000),
        (Attributed::Of(Group::Scheduling), 500),
        (Attributed::Of(Group::Execution), 1_202_000),
        (Attributed::Of(Group::Storage), 2500),
        (Attributed::Of(Group::Transfer), 0),
        (Attributed::Unattributed, 0),
    ];
    assert_eq!(groups, expected);
    assert_eq!(wall_of(&found, 3, Some(Phase::Archive)), Nanos(300_000), "the innermost span has the time");
    assert_eq!(wall_of(&found, 3, Some(Phase::Diff)), Nanos(500_000));
    // RUN b: without it RUN a would hold the end back: 1002 ms + 0.4 ms for its COPY, then both COPYs.
    assert_eq!(nanos(found.observed.drag[StepId(3)]), Nanos(1_204_600_000 - 1_004_000_000));
    assert_eq!(nanos(found.observed.slack[StepId(1)]), Nanos(1_204_600_000 - 1_004_000_000));
    assert_eq!(bounds(&record).achieved, record.wall);
    assert_eq!(nanos(found.observed.length), record.wall);
}

#[test]
fn diamond_under_serial() {
    let record = example("diamond.serial.json");
    let found = attribute(&record);
    let legs: Vec<_> = found.legs.iter().map(|leg| (leg.step.0, leg.after)).collect();
    let (data, order) = (Some(Link::Data), Some(Link::Order));
    assert_eq!(legs, [(0, None), (1, data), (2, order), (3, data), (4, order), (5, data), (6, data)]);
    // In a chain, each step's drag is its whole length.
    assert_eq!(found.observed.drag.iter().map(|&drag| nanos(drag)).collect::<Vec<_>>(), lengths(&found));
    // T∞ is that of stage b and its COPY: 0.1 + 1203 + 0.4 ms.
    assert_eq!(bounds(&record).span, Nanos(1_203_500_000));
    assert_eq!(held(&found.activities, StepId(2)), Nanos(1_003_600_000));
}

#[test]
fn deferred_work_belongs_to_the_step_that_does_it() {
    let mut made = Synthetic::new(Policy::Instructions, 1);
    let stage = made.stage("a");
    let [base, copy] = [made.step(stage, "FROM base", 1..2), made.step(stage, "COPY . .", 3..20)];
    // The base is pulled when the COPY asks for its files: a millisecond later, and two before it goes on.
    made.span(base, Phase::Pull, 6..13);
    made.span(copy, Phase::CacheLookup, 3..5);
    made.span(copy, Phase::Copy, 15..20);
    made.data(base, copy).wait(copy, WaitKind::Lock, base, 5..15);
    let record = made.finish(20);
    let found = attribute(&record);
    assert_eq!(wall_of(&found, 0, Some(Phase::Pull)), ms(7));
    assert_eq!(wall_of(&found, 1, Some(Phase::Lock)), ms(3));
    assert_eq!(wall_of(&found, 1, Some(Phase::CacheLookup)), ms(2));
    assert_eq!(wall_of(&found, 1, Some(Phase::Copy)), ms(5));
    // Without the FROM, 1 ms of its own and 7 of the pull are gone; without the COPY, its 2 and 5 ms.
    assert_eq!(found.observed.drag.iter().map(|&drag| nanos(drag)).collect::<Vec<_>>(), [ms(8), ms(7)]);
    assert_eq!((nanos(found.observed.length), lengths(&found)), (ms(20), vec![ms(8), ms(7)]));
    // T1 and T∞ are those 15 ms: the two need each other. The rest is what came between.
    let bounds = bounds(&record);
    assert_eq!((bounds.work, bounds.span), (ms(15), ms(15)));
}

#[test]
fn a_pull_delays_only_the_steps_that_need_it() {
    let mut made = Synthetic::new(Policy::Instructions, 0);
    let [a, b] = ["a", "b"].map(|name| made.stage(name));
    let [base, first] = [made.step(a, "FROM base", 0..1), made.step(a, "RUN first", 1..14)];
    let [copy, second] = [made.step(b, "COPY . .", 1..9), made.step(b, "RUN second", 9..30)];
    made.data(base, first).data(base, copy).data(copy, second);
    // `first` asks at once and the pull takes 10 ms; `second` asks at 9 and waits for the last two of them.
    made.span(base, Phase::Pull, 1..11);
    made.wait(first, WaitKind::Lock, base, 1..11).wait(second, WaitKind::Lock, base, 9..11);
    made.span(first, Phase::Process, 11..14);
    made.span(second, Phase::Process, 11..30);
    let record = made.finish(30);
    let found = attribute(&record);
    assert_eq!(lengths(&found), [ms(11), ms(3), ms(8), ms(19)]);
    assert_eq!(nanos(found.observed.length), ms(30));
    // Without the base, COPY ends at 8 and all at 27; without the COPY, all waits for the pull still; without the last
    // RUN, the first one ends at 14.
    assert_eq!(found.observed.drag.iter().map(|&drag| nanos(drag)).collect::<Vec<_>>(), [ms(3), ms(0), ms(0), ms(16)]);
    assert_eq!(bounds(&record).span, ms(30));
}

#[test]
fn a_slot_wait_leads_to_the_step_that_freed_the_slot() {
    let mut made = Synthetic::new(Policy::Instructions, 1);
    let stage = made.stage("a");
    let [first, second] = [made.step(stage, "RUN first", 2..10), made.step(stage, "RUN second", 11..20)];
    made.span(first, Phase::Process, 2..10);
    made.span(second, Phase::Process, 11..20);
    made.wait(second, WaitKind::Slot, first, 2..11);
    let record = made.finish(20);
    let found = attribute(&record);
    assert_eq!(
        found.legs.iter().map(|leg| (leg.step, leg.after)).collect::<Vec<_>>(),
        [(first, None), (second, Some(Link::Slot))]
    );
    // The slot was free at 10 and taken at 11: that millisecond is the queue's.
    assert_eq!(wall_of(&found, 1, Some(Phase::Queue)), ms(1));
    assert_eq!(wall_of(&found, 0, Some(Phase::Process)), ms(8));
    assert_eq!(found.observed.drag.iter().map(|&drag| nanos(drag)).collect::<Vec<_>>(), [ms(8), ms(9)]);
}

#[test]
fn a_slot_wait_without_a_holder_is_queueing() {
    let mut made = Synthetic::new(Policy::Instructions, 1);
    let stage = made.stage("a");
    let step = made.step(stage, "RUN first", 6..10);
    made.wait(step, WaitKind::Slot, None, 1..6);
    let record = made.finish(10);
    let found = attribute(&record);
    assert_eq!(wall_of(&found, 0, Some(Phase::Queue)), ms(5));
    assert_eq!(wall_of(&found, 0, None), ms(4), "no span says what it did");
}

#[test]
fn a_wait_without_a_name_leads_to_the_last_dependency() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let [first, second] = [made.step(stage, "RUN first", 0..4), made.step(stage, "RUN second", 0..7)];
    let last = made.step(stage, "RUN last", 8..10);
    made.data(first, last).order(second, last).wait(last, WaitKind::Dependency, None, 0..8);
    let record = made.finish(10);
    let found = attribute(&record);
    let legs: Vec<_> = found.legs.iter().map(|leg| (leg.step, leg.end, leg.after)).collect();
    assert_eq!(legs, [(second, ms(7), None), (last, ms(10), Some(Link::Order))]);
}

#[test]
fn a_lock_within_a_step_leads_to_its_holder() {
    // Both begin at 0; the second works 2 ms, waits for the lock until the first lets go at 7, and works on to 12;
    // the first goes on to 9 without the lock.
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let [first, second] = [made.step(stage, "RUN first", 0..9), made.step(stage, "RUN second", 0..12)];
    made.wait(second, WaitKind::Lock, first, 2..7);
    let record = made.finish(12);
    let found = attribute(&record);
    assert_eq!(
        found.legs.iter().map(|leg| (leg.step, leg.start, leg.end, leg.after)).collect::<Vec<_>>(),
        [(first, ms(0), ms(7), None), (second, ms(7), ms(12), Some(Link::Lock))]
    );
    assert_eq!(lengths(&found), [ms(9), ms(7)]);
    // Without the first, the second takes its 7 ms; without the second, the first ends at 9.
    assert_eq!(found.observed.drag.iter().map(|&drag| nanos(drag)).collect::<Vec<_>>(), [ms(5), ms(3)]);
}

#[test]
fn a_failed_build_ends_with_the_step_that_failed() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let [failed, killed] = [made.step(stage, "RUN false", 0..5), made.step(stage, "RUN sleep 9", 0..6)];
    made.with(|record| {
        record.succeeded = false;
        record.steps[failed.index()].outcome = Outcome::Failed;
        record.steps[killed.index()].outcome = Outcome::Cancelled;
    });
    let mut record = made.finish(7);
    let path = |record: &Record| attribute(record).legs.iter().map(|leg| leg.step).collect::<Vec<_>>();
    assert_eq!(path(&record), [failed]);
    // A bake that goes on ends with the step that ends last.
    record.steps[killed.index()].outcome = Outcome::Executed;
    record.targets = vec![Target {
        name: "other".into(),
        steps: vec![killed],
        outcome: TargetOutcome::Built,
        start: None,
        end: Some(ms(6)),
        image: None,
        error: None,
    }];
    assert_eq!(path(&record), [killed]);
}

#[test]
fn levels_count_steps_over_time() {
    // One step active 0..10; one blocked 0..10 by its data, ready 10..15, active 15..20; one held 0..10 by the order.
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let first = made.step(stage, "RUN first", 0..10);
    let second = made.step(stage, "RUN second", 15..20);
    let third = made.step(stage, "RUN third", 10..20);
    made.data(first, second).order(first, third);
    let record = made.finish(20);
    let mean = attribute(&record).parallelism.mean;
    assert_eq!(mean, Levels { active: 25.0 / 20.0, ready: 5.0 / 20.0, held: 0.5, blocked: 0.5 });
}

#[test]
fn bounds_of_chains() {
    let record = chains(4, 3);
    let bounds = bounds(&record);
    // Alone, each of the four sandboxes at once takes a quarter of a millisecond, and each of the four diffs on two processors half of
    // one: twelve steps of 8.75 ms and one of 10.
    let micros = |micros: u64| Nanos(micros * 1000);
    let expected = (micros(115_000), micros(36_250), ms(0), micros(36_250));
    assert_eq!((bounds.work, bounds.span, bounds.outside, bounds.least), expected);
    assert!((bounds.parallelism - 130.0 / 40.0).abs() < 1e-12);
}

#[test]
fn time_grows_with_the_steps_not_with_their_square() {
    let take = |stages| {
        let record = chains(stages, 1000);
        let best = (0..3).map(|_| {
            let start = std::time::Instant::now();
            assert_eq!(nanos(attribute(&record).observed.length), record.wall);
            start.elapsed()
        });
        best.min().unwrap()
    };
    // Eight times the steps: sixty-four times the time if anything were quadratic.
    let (small, large) = (take(2), take(16));
    assert!(large < small * 32, "{small:?} for 2,000 steps, {large:?} for 16,000");
}

prop_compose! {
    /// Anything a broken clock, a torn log or a foreign builder may say, within the identities that exist.
    fn records()(count in 1u32..7, wall in 0u64..60)(
        steps in prop::collection::vec((prop::option::of(0u64..80), prop::option::of(0u64..80), prop::option::of(0u32..3), 0u8..8), count as usize),
        spans in prop::collection::vec((prop::option::of(0..count), prop::option::of(0u64..12), 0usize..30, 0u64..80, 0u64..40), 0..16),
        waits in prop::collection::vec((0..count, 0u8..6, prop::option::of(0..count), 0u64..80, 0u64..40), 0..12),
        edges in prop::collection::vec((0..count, 0..count, any::<bool>()), 0..12),
        wall in Just(wall), succeeded in any::<bool>(),
    ) -> Record {
        let mut made = Synthetic::default();
        let stage = made.stage("a");
        for (start, end, slot, outcome) in steps {
            let outcome = match outcome { 0 => Outcome::Pruned, 1 => Outcome::Cached, 2 => Outcome::Failed, 3 => Outcome::Cancelled, _ => Outcome::Executed };
            let id = made.idle(stage, "RUN x", outcome);
            made.with(|record| {
                let (start, end) = match (start, end) { (Some(a), Some(b)) if a > b => (Some(b), Some(a)), other => other };
                let step = &mut record.steps[id.index()];
                *step = Step { start: start.map(ms), end: end.map(ms), slot, ..step.clone() };
            });
        }
        for (step, parent, phase, start, length) in spans {
            let id = made.span(step.map(StepId), Phase::ALL[phase % Phase::ALL.len()], start..start + length);
            made.with(|record| record.spans[id.0 as usize].parent = parent.filter(|&parent| parent < id.0).map(SpanId));
        }
        for (step, kind, on, start, length) in waits {
            let kind = [WaitKind::Dependency, WaitKind::Slot, WaitKind::Lock, WaitKind::Process, WaitKind::Disk, WaitKind::Network][kind as usize];
            made.wait(StepId(step), kind, on.map(StepId), start..start + length);
        }
        for (from, to, data) in edges {
            if from < to {
                if data { made.data(StepId(from), StepId(to)) } else { made.order(StepId(from), StepId(to)) };
            }
        }
        made.with(|record| record.succeeded = succeeded);
        made.finish(wall)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_instant_belongs_to_exactly_one_row(record in records()) {
        prop_assert_eq!(record.validate(), Ok(()));
        let found = attribute(&record);
        let mut at = Nanos::ZERO;
        for segment in &found.segments {
            prop_assert_eq!(segment.start, at);
            prop_assert!(segment.end > at);
            at = segment.end;
        }
        prop_assert_eq!(at, record.wall);
        let Accounts { groups, phases, stages, instructions, lines, desktop } = &found.accounts;
        let sums = [sum(groups), sum(phases), sum(stages), sum(instructions), sum(lines), sum(desktop)];
        prop_assert_eq!(sums, [record.wall; 6]);
        let legs = found.legs.windows(2);
        prop_assert!(legs.into_iter().all(|pair| pair[0].end <= pair[1].start), "{:?}", found.legs);
    }

    #[test]
    fn spans_are_cut_to_disjoint_pieces_that_cover_their_union(record in records()) {
        let spans: Vec<&Span> = record.spans.iter().filter(|span| span.step.is_none()).collect();
        let pieces = activity::innermost(spans.iter().copied(), record.wall);
        prop_assert!(pieces.windows(2).all(|pair| pair[0].end <= pair[1].start));
        for at in (0..record.wall.0).step_by(1_000_000).map(Nanos) {
            let over = |span: &&&Span| span.start <= at && at < span.end;
            let expected = spans.iter().filter(over).max_by_key(|span| (span.start, std::cmp::Reverse(span.end), span.id));
            let found = pieces.iter().find(|piece| piece.start <= at && at < piece.end);
            prop_assert_eq!(found.map(|piece| piece.phase), expected.map(|span| span.phase), "at {:?}", at);
        }
    }

    #[test]
    fn a_greedy_schedule_is_explained_without_rest(
        lengths in prop::collection::vec(1u64..30, 1..12),
        needs in prop::collection::vec((0usize..12, 0usize..12, any::<bool>()), 0..20),
        slots in 1usize..4,
    ) {
        let record = greedy(&lengths, &needs, slots);
        prop_assert_eq!(record.validate(), Ok(()));
        let found = attribute(&record);
        prop_assert_eq!(nanos(found.observed.length), record.wall);
        prop_assert_eq!(found.accounts.groups.iter().find(|row| row.name == Attributed::Unattributed).unwrap().wall, Nanos::ZERO);
        // The walk and the network, computed in different ways, agree that whatever has drag is on the path.
        for step in record.steps.iter().filter(|step| found.observed.drag[step.id] > 0) {
            prop_assert!(found.legs.iter().any(|leg| leg.step == step.id), "{:?} {:?}", step.id, found.legs);
        }
    }

    #[test]
    fn no_bound_exceeds_the_wall_time(record in records(), cpus in prop::option::of(1u32..4), cpu in prop::option::of(0u64..200), jobs in 0u32..4) {
        let mut record = record;
        (record.host.cpus, record.cpu, record.options.jobs) = (cpus, cpu.map(ms), Some(jobs));
        let bounds = bounds(&record);
        prop_assert!(bounds.least <= bounds.achieved, "{bounds:?}");
        prop_assert!(bounds.span + bounds.outside <= bounds.achieved, "{bounds:?}");
    }
}

/// Runs steps on slots: each starts as soon as what it needs is done and a slot is free, first come first served.
fn greedy(lengths: &[u64], needs: &[(usize, usize, bool)], slots: usize) -> Record {
    let mut made = Synthetic::new(Policy::Instructions, slots as u32);
    let stage = made.stage("a");
    let (mut free, mut ends): (Vec<(u64, Option<StepId>)>, Vec<u64>) = (vec![(0, None); slots], Vec::new());
    let mut steps: Vec<StepId> = Vec::new();
    for (at, &length) in lengths.iter().enumerate() {
        let needs = needs.iter().filter(|&&(from, to, _)| to == at && from < at);
        let needs: Vec<_> =
            needs.map(|&(from, _, data)| (from, if data { EdgeKind::Data } else { EdgeKind::Order })).collect();
        let ready = needs.iter().map(|&(from, _)| ends[from]).max().unwrap_or(0);
        let slot = (0..slots).min_by_key(|&slot| free[slot].0).unwrap();
        let start = ready.max(free[slot].0);
        let step = made.step(stage, "RUN x", start..start + length);
        made.span(step, Phase::Process, start..start + length);
        for &(from, kind) in &needs {
            if kind == EdgeKind::Data {
                made.data(steps[from], step)
            } else {
                made.order(steps[from], step)
            };
            made.wait(step, WaitKind::Dependency, steps[from], 0..ends[from]);
        }
        if start > ready {
            made.wait(step, WaitKind::Slot, free[slot].1, ready..start);
        }
        free[slot] = (start + length, Some(step));
        ends.push(start + length);
        steps.push(step);
    }
    let wall = ends.iter().copied().max().unwrap_or(0);
    made.finish(wall)
}
