//! The replay against schedules worked out by hand, and against itself.

use super::*;
use crate::synthetic::{Synthetic, chains, ms};
use buildscope_record::{Nanos, Phase, Policy, Record, Resources, StepId, Tool, WaitKind};
use proptest::prelude::*;

/// Two stages of 100 and 120 ms and a COPY from both, on two processors.
fn diamond() -> Record {
    let mut made = Synthetic::default();
    let (a, b, out) = (made.stage("a"), made.stage("b"), made.stage("out"));
    let run_a = made.step(a, "RUN a", 10..110);
    let run_b = made.step(b, "RUN b", 10..130);
    let copy = made.step(out, "COPY --from=b / /", 130..135);
    made.span(None, Phase::Parse, 0..10);
    made.span(run_a, Phase::Process, 10..100);
    made.span(run_a, Phase::Diff, 100..110);
    made.span(run_b, Phase::Process, 10..130);
    made.span(copy, Phase::Copy, 130..135);
    made.span(None, Phase::Export, 135..140);
    made.data(run_a, copy).data(run_b, copy);
    made.finish(140)
}

fn predict(record: &Record, scenario: Scenario) -> u64 {
    let prediction = whatif(record, &scenario).unwrap();
    assert!(prediction.drift < 1e-9, "{prediction:?}");
    prediction.wall.0 / 1_000_000
}

#[test]
fn the_record_replays_to_itself() {
    assert_eq!(predict(&diamond(), Scenario::default()), 140);
    assert_eq!(predict(&chains(7, 20), Scenario::default()), 210);
}

/// Drags are replayed with the segments of each step that proceed in the same way joined.
#[test]
fn joined_segments_take_as_long() {
    let mut made = Synthetic::default();
    for number in 0..5 {
        let stage = made.stage(&format!("s{number}"));
        let (begin, phases) = (number * 3, [Phase::Dispatch, Phase::CacheKey, Phase::SandboxSetup, Phase::Process]);
        let step = made.step(stage, "RUN make", begin..begin + 40);
        for (place, phase) in
            (0..).zip(phases.into_iter().chain([Phase::Diff, Phase::Archive, Phase::Sync, Phase::Commit]))
        {
            made.span(step, phase, begin + place * 5..begin + place * 5 + 5);
        }
    }
    let record = made.finish(60);
    let model = crate::analysis::Analysis::new(&record).baseline.model;
    let merged = model.merged();
    // Two that compute, the sandbox, the process, two that compute, and two that wait for the disk.
    assert_eq!((model.segment_count(), merged.segment_count()), (5 * 8, 5 * 5));
    let (wall, expected) = (replay::replay(&merged).wall, replay::replay(&model).wall);
    assert!((wall - expected).abs() < 1.0, "{wall} and not {expected}");
}

#[test]
fn other_orders_and_slots() {
    let serial = Scenario { policy: Some(Policy::Serial), ..Scenario::default() };
    assert_eq!(predict(&diamond(), serial), 240);
    assert_eq!(predict(&diamond(), Scenario { jobs: Some(1), ..Scenario::default() }), 240);
    // Four chains of three steps of 10 ms on two slots: twelve steps in pairs, then the last. In the record, four diffs
    // of 1 ms at a time shared two processors, and four sandboxes the kernel: two at a time take half a millisecond each.
    assert_eq!(predict(&chains(4, 3), Scenario { jobs: Some(2), ..Scenario::default() }), 6 * (8 + 1) + 10);
}

#[test]
fn steps_that_are_dispatched_at_once_share_the_processors() {
    // Each of a hundred had a fiftieth of the two processors' time: 0.2 ms of the ten, one after the other 20 ms.
    let mut made = Synthetic::default();
    for stage in 0..100 {
        let stage = made.stage(&format!("s{stage}"));
        let step = made.step(stage, "COPY a /", 0..10);
        made.span(step, Phase::Dispatch, 0..10);
    }
    let record = made.finish(10);
    assert_eq!(predict(&record, Scenario { policy: Some(Policy::Serial), ..Scenario::default() }), 20);
}

#[test]
fn a_waiting_step_demands_no_processor() {
    // A process that has the only processor, and a step that waits for its cache directory: nothing is in the process's way.
    let mut made = Synthetic::default();
    let [works, waits] = [made.stage("works"), made.stage("waits")];
    let works = made.step(works, "RUN make", 0..100);
    made.span(works, Phase::Process, 0..100);
    let waits = made.step(waits, "RUN true", 0..101);
    made.span(waits, Phase::Dispatch, 0..101);
    made.wait(waits, WaitKind::Lock, works, 0..100);
    made.with(|record| {
        record.host.cpus = Some(1);
        record.steps[0].resources = Some(Resources { cpu_user: ms(100), ..Resources::default() });
        record.steps.iter_mut().for_each(|step| step.locks = vec!["cache".into()]);
    });
    assert_eq!(predict(&made.finish(101), Scenario::default()), 101);
}

/// A control group may allow one and a half processors, of which the record has one.
#[test]
fn a_step_that_used_more_processors_than_there_are_gains_nothing_by_more() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let step = made.step(stage, "RUN make", 0..100);
    made.span(step, Phase::Process, 0..100);
    made.with(|record| {
        record.host.cpus = Some(1);
        record.steps[0].resources = Some(Resources { cpu_user: ms(150), ..Resources::default() });
    });
    let record = made.finish(100);
    for cores in [1.0, 2.0, 64.0] {
        assert_eq!(predict(&record, Scenario { cores: Some(cores), ..Scenario::default() }), 100);
    }
}

#[test]
fn a_slot_goes_to_the_step_that_was_ready_first() {
    // A log of a builder whose scheduler is unknown: the step that was ready first goes first. `b` was ready at 0, `c` when `a` had ended.
    let mut made = Synthetic::new(Policy::Stages, 2);
    let [first, second] = [made.stage("first"), made.stage("second")];
    let [a, b] = [made.step(first, "RUN a", 0..10), made.step(second, "RUN b", 0..10)];
    let c = made.step(first, "RUN c", 10..20);
    made.data(a, c);
    made.with(|record| record.source.tool = Tool::DockerClassic);
    let record = made.finish(20);
    let steps = whatif(&record, &Scenario { jobs: Some(1), ..Scenario::default() }).unwrap().steps;
    assert_eq!(
        [a, b, c].map(|step| steps[step.index()]),
        [Some((ms(0), ms(10))), Some((ms(10), ms(20))), Some((ms(20), ms(30)))]
    );
}

#[test]
fn stages_wait_for_whole_stages() {
    // The second step of `b` needs only the first of `a`, which goes on for 50 ms more.
    let mut made = Synthetic::default();
    let (a, b) = (made.stage("a"), made.stage("b"));
    let [first, _second] = [made.step(a, "RUN 1", 0..10), made.step(a, "RUN 2", 10..60)];
    let own = made.step(b, "RUN own", 0..30);
    let uses = made.step(b, "COPY --from=a / /", 30..40);
    made.data(first, StepId(1)).data(own, uses).data(first, uses);
    let record = made.finish(60);
    assert_eq!(predict(&record, Scenario { policy: Some(Policy::Stages), ..Scenario::default() }), 100);
    assert_eq!(predict(&record, Scenario { policy: Some(Policy::Instructions), ..Scenario::default() }), 60);
}

#[test]
fn a_stage_runs_one_step_at_a_time() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    made.step(stage, "COPY a /a", 0..30);
    made.step(stage, "COPY b /b", 0..20);
    let record = made.finish(30);
    assert_eq!(predict(&record, Scenario { policy: Some(Policy::Stages), ..Scenario::default() }), 50);
}

#[test]
fn phases_and_steps_can_take_other_times() {
    let free =
        |selector: &str| Scenario { faster: vec![(selector.parse().unwrap(), f64::INFINITY)], ..Scenario::default() };
    assert_eq!(predict(&diamond(), free("storage")), 130, "no copy, no export");
    assert_eq!(predict(&diamond(), free("parsing")), 130);
    assert_eq!(predict(&diamond(), free("stage:b")), 120, "then stage a holds it back");
    assert_eq!(predict(&diamond(), free("line:2")), 120);
    assert_eq!(predict(&diamond(), Scenario { cached: vec![StepId(1)], ..Scenario::default() }), 120);
    let delay = |selector: &str| Scenario { delays: vec![(selector.parse().unwrap(), ms(7))], ..Scenario::default() };
    assert_eq!(predict(&diamond(), delay("RUN")), 147);
    assert_eq!(predict(&diamond(), delay("diff")), 140, "stage a has slack");
    assert_eq!(predict(&diamond(), delay("export")), 147);
    assert_eq!("nonsense".parse::<Selector>(), Err(ScenarioError::Selector("nonsense".into())));
    let nothing = whatif(&diamond(), &free("push"));
    assert_eq!(nothing, Err(ScenarioError::Nothing("push".into())));
}

/// Two steps of one thread each that both compute all the time. On one processor they take 200 ms each; half of that
/// they wait for it.
fn contended() -> Record {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    for _ in 0..2 {
        let step = made.step(stage, "RUN compute", 0..200);
        made.span(step, Phase::Process, 0..200);
    }
    made.with(|record| {
        record.host.cpus = Some(1);
        for step in &mut record.steps {
            step.resources = Some(Resources { cpu_user: ms(100), cpu_pressure: ms(100), ..Resources::default() });
        }
    });
    made.finish(200)
}

#[test]
fn processors_are_shared() {
    assert_eq!(predict(&contended(), Scenario::default()), 200);
    assert_eq!(predict(&contended(), Scenario { cores: Some(2.0), ..Scenario::default() }), 100);
    assert_eq!(
        predict(&contended(), Scenario { jobs: Some(1), ..Scenario::default() }),
        200,
        "one after the other, each alone"
    );
    let unknown = whatif(&diamond(), &Scenario { cores: Some(4.0), ..Scenario::default() });
    assert_eq!(unknown, Err(ScenarioError::Processors));
}

/// Three that compute all the time on two processors: each runs two thirds of 150 ms, and wanders, so that the kernel shows half of
/// its wait of 50 ms. One that sleeps for half of its time has waited for what the kernel shows, at most twice that.
#[test]
fn a_migrating_thread_shows_part_of_its_wait() {
    let three = |pressure: u64, cpu: u64| {
        let mut made = Synthetic::default();
        let stage = made.stage("a");
        for _ in 0..3 {
            let step = made.step(stage, "RUN compute", 0..150);
            made.span(step, Phase::Process, 0..150);
        }
        made.with(|record| {
            record.host.cpus = Some(2);
            for step in &mut record.steps {
                let used = Resources { cpu_user: ms(cpu), cpu_pressure: ms(pressure), ..Resources::default() };
                step.resources = Some(used);
            }
        });
        made.finish(150)
    };
    let one_by_one = || Scenario { jobs: Some(1), ..Scenario::default() };
    assert_eq!(predict(&three(25, 100), one_by_one()), 300);
    assert_eq!(predict(&three(50, 100), one_by_one()), 300);
    // 50 ms of work, 10 of pressure, 20 of waiting at most: 130 ms with 5/13 of a processor each, and there is room for all.
    assert_eq!(predict(&three(10, 50), one_by_one()), 450);
}

/// A shell that starts 400 processes in 200 ms of processor time: a tenth of a millisecond of each is the hop, but no more
/// than a fifth.
#[test]
fn one_processor_has_no_migrations() {
    let predicted_of = |processes, cpu, cores| {
        let mut made = Synthetic::default();
        let stage = made.stage("a");
        let step = made.step(stage, "RUN ./configure", 0..200);
        made.span(step, Phase::Process, 0..200);
        made.with(|record| {
            let used = Resources { cpu_user: ms(cpu), processes: Some(processes), ..Resources::default() };
            record.steps[0].resources = Some(used);
        });
        predict(&made.finish(200), Scenario { cores: Some(cores), ..Scenario::default() })
    };
    let predicted = |processes, cores| predicted_of(processes, 200, cores);
    assert_eq!((predicted(400, 1.0), predicted(100, 1.0), predicted(2000, 1.0)), (160, 190, 160));
    assert_eq!(predicted(400, 2.0), 200);
    assert_eq!(predicted_of(400, 10, 1.0), 198, "what it sleeps is as long");
}

#[test]
fn the_builders_own_work_must_fit_on_the_processors() {
    // A chain of 140 ms on two processors, in which the builder used 200 ms of CPU time outside of the steps.
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let [first, second] = [made.step(stage, "RUN 1", 0..70), made.step(stage, "RUN 2", 70..140)];
    made.data(first, second);
    made.with(|record| {
        record.cpu = Some(ms(200));
        record.steps.iter_mut().for_each(|step| step.resources = Some(Resources::default()));
    });
    let record = made.finish(140);
    assert_eq!(predict(&record, Scenario::default()), 140);
    assert_eq!(predict(&record, Scenario { cores: Some(1.0), ..Scenario::default() }), 200);
    assert_eq!(predict(&record, Scenario { cores: Some(4.0), ..Scenario::default() }), 140);
    let half = Scenario { cores: Some(1.0), cached: vec![first], ..Scenario::default() };
    assert_eq!(predict(&record, half), 100, "half of the work is left");
}

#[test]
fn a_class_of_docker_desktop_is_removed_from_all_its_steps() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let texts = ["COPY . .", "RUN make", "WORKDIR /b"];
    let steps = [0, 1, 2].map(|number| made.step(stage, texts[number], number as u64 * 100..number as u64 * 100 + 100));
    made.data(steps[0], steps[1]);
    made.data(steps[1], steps[2]);
    let record = made.finish(300);
    let without = |class: &str| {
        let scenario = Scenario { faster: vec![(class.parse().unwrap(), f64::INFINITY)], ..Scenario::default() };
        predict(&record, scenario)
    };
    assert_eq!([without("class:file operations"), without("class:Executions")], [100, 200]);
    let pulls = Scenario { faster: vec![("class:Image pulls".parse().unwrap(), 2.0)], ..Scenario::default() };
    assert!(matches!(whatif(&record, &pulls), Err(ScenarioError::Nothing(_))));
}

/// A RUN has 180 ms of two processors in 100 ms, compressing the result 200 ms in the next 100.
#[test]
fn computation_of_the_builder_belongs_to_its_phase() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let step = made.step(stage, "RUN make", 0..100);
    made.span(step, Phase::Process, 0..100);
    made.span(None, Phase::Compress, 100..200);
    made.with(|record| {
        record.cpu = Some(ms(380));
        record.steps[0].resources = Some(Resources { cpu_user: ms(180), ..Resources::default() });
    });
    let record = made.finish(200);
    let without = Scenario { faster: vec![("compress".parse().unwrap(), f64::INFINITY)], ..Scenario::default() };
    assert_eq!(predict(&record, Scenario::default()), 200);
    assert_eq!(predict(&record, without), 100);
    assert_eq!(predict(&record, Scenario { cores: Some(1.0), ..Scenario::default() }), 380);
}

#[test]
fn two_holders_of_a_lock_do_not_overlap() {
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    let [first, second] = [made.step(stage, "RUN 1", 0..50), made.step(stage, "RUN 2", 0..90)];
    made.wait(second, buildscope_record::WaitKind::Lock, first, 10..50);
    made.with(|record| record.steps.iter_mut().for_each(|step| step.locks = vec!["cache-mount:x".into()]));
    let record = made.finish(90);
    assert_eq!(predict(&record, Scenario::default()), 90);
    assert_eq!(predict(&record, Scenario { without_locks: true, ..Scenario::default() }), 50);
    assert_eq!(predict(&record, Scenario { jobs: Some(1), ..Scenario::default() }), 100);
}

/// `RUN long` needs the second step, which waits for the lock of the first. Without the second, it starts at once.
#[test]
fn a_step_without_any_time_waits_for_no_lock() {
    let mut made = Synthetic::default();
    let (a, b) = (made.stage("a"), made.stage("b"));
    let first = made.step(a, "RUN first", 0..500);
    let second = made.step(b, "RUN second", 10..600);
    let long = made.step(b, "RUN long", 600..1400);
    made.span(first, Phase::Process, 0..500);
    made.span(second, Phase::Process, 500..600);
    made.span(long, Phase::Process, 600..1400);
    made.wait(second, WaitKind::Lock, first, 10..500);
    made.data(second, long);
    made.with(|record| {
        record.steps[..2].iter_mut().for_each(|step| step.locks = vec!["cache-mount:lk".into()]);
        record.waits.iter_mut().for_each(|wait| wait.name = Some("cache-mount:lk".into()));
    });
    let record = made.finish(1400);
    let without = Scenario { faster: vec![("step:1".parse().unwrap(), f64::INFINITY)], ..Scenario::default() };
    let drag = crate::explain(&record).steps[1].drag;
    assert_eq!((predict(&record, without), drag >= ms(590)), (1400 - drag.0 / 1_000_000, true));
}

/// A cache is free when the process has ended, and then the first in the file has it.
#[test]
fn locks_are_released_before_the_layer_is_written() {
    let mut made = Synthetic::new(Policy::Instructions, 0);
    let stage = made.stage("a");
    let steps: Vec<_> = (0..3).map(|step| made.step(stage, "RUN x", 0..50 + step * 40)).collect();
    for (&step, begin) in steps.iter().zip([0, 40, 80]) {
        made.span(step, Phase::Process, begin..begin + 40);
        made.span(step, Phase::Diff, begin + 40..begin + 50);
        if begin > 0 {
            made.wait(step, WaitKind::Lock, None, 0..begin);
        }
    }
    made.with(|record| record.steps.iter_mut().for_each(|step| step.locks = vec!["cache-mount:x".into()]));
    let record = made.finish(130);
    assert_eq!(predict(&record, Scenario::default()), 130);
    assert_eq!(predict(&record, Scenario { jobs: Some(1), ..Scenario::default() }), 150);
    // The last in the file comes to the lock before the second: ours gives it to the second all the same.
    let mut hasty = record.clone();
    (hasty.steps[1].start, hasty.waits[0].start) = (Some(ms(20)), ms(20));
    let end =
        |record: &Record, step: StepId| whatif(record, &Scenario::default()).unwrap().steps[step.index()].unwrap().1;
    assert_eq!((end(&hasty, steps[1]), end(&hasty, steps[2])), (ms(90), ms(130)));
    hasty.source.tool = Tool::Buildkit;
    assert_eq!((end(&hasty, steps[1]), end(&hasty, steps[2])), (ms(130), ms(90)));
}

#[test]
fn changes_are_ranked_unless_the_replay_is_off() {
    let mut serial = diamond();
    serial.options.policy = Some(Policy::Serial);
    let explanation = crate::explain(&serial);
    let Ranking { drift, refused, changes } = explanation.ranking;
    assert_eq!((drift, refused), (Some(0.0), None));
    assert!(changes.windows(2).all(|pair| pair[0].gain >= pair[1].gain));
    let change = |what: &str| changes.iter().find(|change| change.what == what).unwrap();
    let cached = change("if `RUN b` (stage b, line 2) were cached");
    assert_eq!((cached.gain, cached.wall), (ms(20), ms(120)));
    // Without `a` alone nothing is gained, without both 120 ms: the paths are of about the same length.
    let both = change("if both were cached: `RUN a` (stage a, line 1) and `RUN b` (stage b, line 2)");
    assert_eq!((both.gain, both.wall), (ms(120), ms(20)));
    // Two steps that overlap by the clock although one needs the other, and a wall that no step explains.
    let mut odd = diamond();
    odd.steps[0].locks = vec!["x".into()];
    odd.steps[1].locks = vec!["x".into()];
    let explanation = crate::explain(&odd);
    assert!(explanation.ranking.refused.unwrap().contains("% off"));
}

proptest! {
    /// A limit above the number of steps has no effect, and a limit never makes a replay without contention faster.
    #[test]
    fn limits_only_delay(stages in 1u32..5, steps in 1u32..5, jobs in 1u32..6) {
        let record = chains(stages, steps);
        let limited = whatif(&record, &Scenario { jobs: Some(jobs), ..Scenario::default() }).unwrap().wall;
        prop_assert!(limited >= record.wall);
        if jobs >= stages {
            prop_assert_eq!(limited, record.wall);
        }
        // All the steps on so many slots, and the last alone; a fifth of a step is contended and quicker without others.
        let least = f64::from(stages * steps) / f64::from(jobs.min(stages)) * 8.0 + 9.0;
        prop_assert!(limited.as_millis_f64() >= least, "{} < {}", limited, least);
    }
}

/// Of a short and a long chain that wait for one slot, our scheduler serves the long one first (Hu 1961), also where the
/// others began sooner when there were slots for all; of another builder, that order is kept.
#[test]
fn slots_go_to_the_longest_chain() {
    let mut made = Synthetic::new(Policy::Instructions, 4);
    let (a, b) = (made.stage("a"), made.stage("b"));
    let short: Vec<_> = (0..3).map(|n| made.step(a, "RUN short", n..n + 10)).collect();
    let long: Vec<_> = (0..3u64).map(|n| made.step(b, "RUN long", 5 + n * 10..15 + n * 10)).collect();
    made.data(long[0], long[1]).data(long[1], long[2]);
    let record = made.finish(35);
    assert_eq!((short.len(), &record.source.tool), (3, &Tool::Buildscope));
    let predicted = whatif(&record, &Scenario { jobs: Some(2), ..Scenario::default() }).unwrap();
    let begins = |step: StepId| predicted.steps[step.index()].unwrap().0;
    assert!(begins(long[0]) <= begins(short[1]), "{:?}", predicted.steps);
    let mut other = record.clone();
    other.source.tool = Tool::Buildkit;
    let predicted = whatif(&other, &Scenario { jobs: Some(2), ..Scenario::default() }).unwrap();
    assert!(predicted.steps[long[0].index()] > predicted.steps[short[1].index()], "{:?}", predicted.steps);
}

/// Four sandboxes that were made at once, at the pace of one: each alone takes a quarter of the time.
#[test]
fn sandbox_setup_is_serialised() {
    let mut made = Synthetic::default();
    let steps: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| {
            let stage = made.stage(name);
            made.step(stage, "RUN x", 0..60)
        })
        .into();
    for &step in &steps {
        made.span(step, Phase::SandboxSetup, 0..40);
        made.span(step, Phase::Process, 40..60);
    }
    let record = made.finish(60);
    let serial = Scenario { policy: Some(Policy::Serial), ..Scenario::default() };
    assert_eq!(predict(&record, serial), 4 * (10 + 20));
    // Two at a time share the pace: 20 ms for both.
    assert_eq!(predict(&record, Scenario { jobs: Some(2), ..Scenario::default() }), 2 * (20 + 20));
    let delays = vec![(Selector::Phase(Phase::SandboxSetup), Nanos(30_000_000))];
    assert_eq!(predict(&record, Scenario { delays, ..Scenario::default() }), 30 + 60);
}

/// What is pulled when a later step asks for it takes its time in the replay, too.
#[test]
fn a_base_that_is_pulled_late_is_replayed() {
    let mut made = Synthetic::new(Policy::Instructions, 0);
    let stage = made.stage("a");
    let [base, run] = [made.step(stage, "FROM base", 0..1), made.step(stage, "RUN make", 1..20)];
    made.data(base, run).span(base, Phase::Pull, 2..12);
    made.wait(run, WaitKind::Lock, base, 1..12);
    made.span(run, Phase::Process, 12..20);
    let record = made.finish(20);
    assert_eq!(predict(&record, Scenario::default()), 20);
}
