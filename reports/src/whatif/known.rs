//! Builds with a timing that is known by construction: the results are compared with arithmetic.

use crate::explain;
use crate::synthetic::{Synthetic, ms};
use buildscope_record::{
    Nanos, Observed, Outcome, Phase, Policy, Process, ProcessTime, Processes, Record, Resources, WaitKind,
};

fn drags(record: &Record) -> Vec<Nanos> {
    explain(record).steps.iter().map(|step| step.drag).collect()
}

/// Three steps of 500, 600 and 700 ms under one lock, in the form of an older record: the waits name the lock and not its holder.
fn locked() -> Record {
    let mut made = Synthetic::default();
    for (number, (from, to)) in [(0, 500), (500, 1100), (1100, 1800)].into_iter().enumerate() {
        let stage = made.stage(&format!("s{number}"));
        let step = made.step(stage, &format!("RUN l{number}"), 0..to);
        made.span(step, Phase::Process, from..to);
        if from > 0 {
            made.wait(step, WaitKind::Lock, None, 0..from);
        }
    }
    made.with(|record| {
        record.steps.iter_mut().for_each(|step| step.locks = vec!["cache-mount:lk".into()]);
        record.waits.iter_mut().for_each(|wait| wait.name = Some("cache-mount:lk".into()));
    });
    made.finish(1800)
}

#[test]
fn under_one_lock_each_step_has_the_drag_of_its_turn() {
    let explanation = explain(&locked());
    let steps = &explanation.steps;
    assert_eq!(drags(&locked()), [ms(500), ms(600), ms(700)]);
    assert_eq!(steps.iter().map(|step| step.slack).collect::<Vec<_>>(), [ms(0); 3]);
    // One after the other, whatever the schedule.
    assert_eq!(explanation.bounds.least, ms(1800));
    let legs: Vec<_> = explanation.path.iter().map(|leg| (leg.step.0, leg.start, leg.end)).collect();
    assert_eq!(legs, [(0, ms(0), ms(500)), (1, ms(500), ms(1100)), (2, ms(1100), ms(1800))]);
    assert_eq!(explanation.ranking.changes[0].gain, ms(1100), "shared, the longest is left");
}

/// On two slots: 300, 900, 500 and 400 ms. The first slot has the first, the third and the last, until 1200.
#[test]
fn a_step_that_keeps_a_slot_has_drag() {
    let mut made = Synthetic::new(Policy::Instructions, 2);
    let times = [(0..300, 0), (0..900, 1), (300..800, 0), (800..1200, 0)];
    let mut steps = Vec::new();
    for (number, (time, slot)) in times.into_iter().enumerate() {
        let stage = made.stage(&format!("s{number}"));
        let step = made.step(stage, &format!("RUN s{number}"), time.clone());
        made.span(step, Phase::Process, time.clone());
        made.with(|record| record.steps[step.index()].slot = Some(slot));
        if time.start > 0 {
            let freed = if number == 2 { steps[0] } else { steps[2] };
            made.wait(step, WaitKind::Slot, freed, 0..time.start);
        }
        steps.push(step);
    }
    let record = made.finish(1200);
    // Without the second, its slot has the third from the start: the last ends at 700. Without another one, the second ends last.
    assert_eq!(drags(&record), [ms(300), ms(500), ms(300), ms(300)]);
    assert_eq!(explain(&record).bounds.least, ms(1050), "2100 ms of steps on two slots");
}

/// Three that compute for 100 ms each on two processors end at 150. Without one of them, the others end at 100.
#[test]
fn steps_that_share_processors_have_the_drag_of_their_share() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    for _ in 0..3 {
        let step = made.step(stage, "RUN compute", 0..150);
        made.span(step, Phase::Process, 0..150);
    }
    made.with(|record| {
        record.cpu = Some(ms(300));
        for step in &mut record.steps {
            step.resources = Some(Resources { cpu_user: ms(100), cpu_pressure: ms(50), ..Resources::default() });
        }
    });
    let explanation = explain(&made.finish(150));
    assert!(explanation.steps.iter().all(|step| step.drag == ms(50)), "{:?}", explanation.steps);
    let bounds = explanation.bounds;
    assert_eq!((bounds.work, bounds.span, bounds.least), (ms(300), ms(100), ms(150)));
}

/// Two stages begin with a third one, whose base image is pulled when the first RUN needs it. Both wait for the 30 ms of the pull.
#[test]
fn a_base_that_several_stages_wait_for_has_the_drag_of_its_pull() {
    let mut made = Synthetic::default();
    let [base, a, b] = ["base", "a", "b"].map(|name| made.stage(name));
    let from = made.step(base, "FROM debian", 0..1);
    let from_each = [made.step(a, "FROM base", 1..2), made.step(b, "FROM base", 1..2)];
    let runs = [made.step(a, "RUN a", 2..45), made.step(b, "RUN b", 2..42)];
    made.span(from, Phase::Pull, 2..32);
    for ((run, from_base), end) in runs.into_iter().zip(from_each).zip([45, 42]) {
        made.span(run, Phase::Process, 32..end);
        made.wait(run, WaitKind::Lock, from, 2..32).data(from, from_base).data(from_base, run);
    }
    let record = made.finish(45);
    let explanation = explain(&record);
    assert_eq!(explanation.ranking.drift, Some(0.0));
    // The pull starts when the first RUN is ready: a millisecond earlier without its FROM. Without that RUN, the other one ends 3 ms earlier.
    assert_eq!(drags(&record), [ms(30), ms(1), ms(0), ms(3), ms(0)]);
    assert!(explanation.answer.contains("went to `FROM debian`"), "{}", explanation.answer);
}

/// Of 200 ms, a process computes for 100 ms and waits for a processor for 30 ms. The pressure of 40 ms on two processors may be a wait of 80 ms,
/// and if two threads took turns, it is all that is known.
#[test]
fn exact_waits_for_processors_are_preferred_to_pressure() {
    let least = |observed, runnable: u64, threads| {
        let mut made = Synthetic::default();
        let stage = made.stage("a");
        let step = made.step(stage, "RUN compute", 0..200);
        made.span(step, Phase::Process, 0..200);
        made.with(|record| {
            let step = &mut record.steps[step.index()];
            step.resources = Some(Resources { cpu_user: ms(100), cpu_pressure: ms(40), ..Resources::default() });
            let time = ProcessTime { cpu: ms(100), runnable: ms(runnable), ..ProcessTime::default() };
            let process = Process { end: ms(200), threads, time, ..Process::default() };
            step.processes = Some(Processes { list: vec![process], ..Processes::of(observed, ms(0), ms(200)) });
        });
        explain(&made.finish(200)).bounds.least
    };
    assert_eq!(least(Observed::Events, 30, 1), ms(170));
    assert_eq!(least(Observed::Events, 0, 1), ms(200));
    assert_eq!(least(Observed::Events, 30, 2), ms(120));
    assert_eq!(least(Observed::Events, 130, 1), ms(120), "more than one at a time");
    assert_eq!(least(Observed::Sampled, 30, 1), ms(120));
}

#[test]
fn a_failed_build_is_explained_up_to_its_failure() {
    let mut made = Synthetic::default();
    let [a, b] = ["a", "b"].map(|name| made.stage(name));
    let [first, failing] = [made.step(a, "RUN first", 0..400), made.step(a, "RUN false", 400..700)];
    let cancelled = made.step(b, "RUN sleep 3", 0..703);
    made.data(first, failing);
    made.with(|record| {
        record.succeeded = false;
        record.steps[cancelled.index()].outcome = Outcome::Cancelled;
        let failed = &mut record.steps[failing.index()];
        (failed.outcome, failed.exit_code) = (Outcome::Failed, Some(137));
        let error =
            "RUN failed: process \"/bin/sh -c false\" did not complete successfully: exit code: 137: out of memory";
        failed.error = Some(error.into());
    });
    let record = made.finish(705);
    let explanation = explain(&record);
    assert_eq!(drags(&record), [ms(400), ms(300), ms(0)]);
    assert_eq!(explanation.path.iter().map(|leg| leg.step).collect::<Vec<_>>(), [first, failing]);
    assert_eq!((explanation.bounds.work, explanation.bounds.least), (ms(700), ms(705)));
    let expected = "The build failed with exit code 137 after 700 ms in `RUN false` (stage a, line 2): out of memory; ";
    assert!(explanation.answer.starts_with(expected), "{}", explanation.answer);
}

/// 106 of 146 ms pass until another build has made the result.
#[test]
fn a_wait_for_another_build_is_not_in_the_bound() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let step = made.idle(stage, "RUN make", Outcome::Joined);
    made.span(step, Phase::Dispatch, 0..146);
    made.wait(step, WaitKind::Lock, None, 20..126);
    made.with(|record| {
        (record.steps[0].start, record.steps[0].end) = (Some(ms(0)), Some(ms(146)));
        record.waits[0].name = Some("the same step in another build (process 7)".into());
    });
    let record = made.finish(146);
    assert_eq!(drags(&record), [ms(146)]);
    let explanation = explain(&record);
    assert_eq!((explanation.bounds.span, explanation.ranking.drift), (ms(40), Some(0.0)));
    assert_eq!(explanation.steps[0].own, ms(40));
    let holder = "mostly lock: it waited for the same step in another build (process 7)";
    assert!(explanation.answer.contains(holder), "{}", explanation.answer);
}

/// `RUN long` needs the builder's result. Only `RUN short` waited for nothing.
#[test]
fn a_needed_stage_is_not_a_needless_wait() {
    let mut made = Synthetic::new(Policy::Serial, 1);
    let [builder, last] = ["builder", "1"].map(|name| made.stage(name));
    let make = made.step(builder, "RUN make", 0..600);
    let [from, short] = [made.step(last, "FROM busybox", 600..601), made.step(last, "RUN short", 601..801)];
    let [copy, long] = [made.step(last, "COPY --from=builder /x /y", 801..802), made.step(last, "RUN long", 802..1302)];
    made.data(from, short).data(short, copy).data(make, copy).data(copy, long).order(make, from);
    let explanation = explain(&made.finish(1302));
    assert!(
        explanation.answer.contains("`RUN short` of stage 1 waited 600 ms for stage builder, which it does not need"),
        "{}",
        explanation.answer
    );
    // The longest of them needs a result that came later: its own wait is named, not that of its stage.
    let mut made = Synthetic::new(Policy::Stages, 1);
    let [a, b, last] = ["a", "b", "2"].map(|name| made.stage(name));
    let [make, other] = [made.step(a, "RUN make", 0..400), made.step(b, "RUN other", 400..600)];
    let from = made.step(last, "FROM busybox", 600..601);
    let copy = made.step(last, "COPY --from=a /x /y", 601..901);
    made.data(from, copy).data(make, copy).order(make, from).order(other, from);
    let explanation = explain(&made.finish(901));
    assert!(
        explanation
            .answer
            .contains("`COPY --from=a /x /y` of stage 2 waited 201 ms for stage b, which it does not need"),
        "{}",
        explanation.answer
    );
    // Without the short step the end does not change: all other steps need the builder's result.
    let mut made = Synthetic::new(Policy::Serial, 1);
    let [builder, last] = ["builder", "1"].map(|name| made.stage(name));
    let make = made.step(builder, "RUN make", 0..600);
    let [from, copy] =
        [made.step(last, "FROM busybox", 600..601), made.step(last, "COPY --from=builder /x /y", 601..1302)];
    made.data(from, copy).data(make, copy).order(make, from);
    let explanation = explain(&made.finish(1302));
    assert!(!explanation.answer.contains("does not need"), "{}", explanation.answer);
}

#[test]
fn the_headline_and_the_ranking_say_the_same_of_a_step() {
    let explanation = explain(&locked());
    for step in 0..3 {
        let what = format!("if `RUN l{step}` (stage s{step}, line {}) were cached", step + 1);
        let change = explanation.ranking.changes.iter().find(|change| change.what == what);
        assert_eq!(change.map(|change| change.gain), Some(explanation.steps[step].drag), "{what}");
    }
    assert!(explanation.answer.contains("700 ms"), "{}", explanation.answer);
}
