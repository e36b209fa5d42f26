//! Replays on several machines against schedules worked out by hand, and the laws that hold for all of them.

use crate::synthetic::{Synthetic, ms};
use crate::whatif::{
    BaseImages, Here, Machines, Prediction, Processors, Scenario, ScenarioError, Stay, Verdict, whatif,
};
use buildscope_record::{BaseImage, ByteSize, Layer, Nanos, Outcome, Phase, Record, Resources, StepId, StepMachine};
use proptest::prelude::*;

const MB: u64 = 1_000_000;
/// Machines whose steps cost nothing in addition.
const FREE: Machines = Machines {
    count: 1,
    bandwidth: None,
    rtt: Nanos::ZERO,
    step_cost: Some(Nanos::ZERO),
    processors: Processors::OfEach,
    here: Here::Shares,
    base_images: BaseImages::Here,
};

/// So many machines with links of 100 MB/s.
fn machines(count: u32) -> Machines {
    Machines { count, bandwidth: Some("100MB/s".parse().unwrap()), rtt: Nanos::ZERO, ..FREE }
}

fn on(record: &Record, jobs: u32, machines: Machines) -> Prediction {
    let scenario = Scenario { jobs: Some(jobs), machines: Some(machines), ..Scenario::default() };
    let prediction = whatif(record, &scenario).unwrap();
    assert!(prediction.drift < 1e-9, "{prediction:?}");
    prediction
}

fn millis(prediction: &Prediction) -> u64 {
    prediction.wall.0 / 1_000_000
}

fn verdict(prediction: &Prediction) -> Option<Verdict> {
    prediction.machines.as_ref().unwrap().verdict
}

/// The machine of each step, counted from 0.
fn placed(prediction: &Prediction) -> Vec<Option<u32>> {
    prediction.machines.as_ref().unwrap().placed.clone()
}

/// The bytes that each machine fetches and uploads, in megabytes.
fn moved(prediction: &Prediction) -> Vec<(u64, u64)> {
    let uses = &prediction.machines.as_ref().unwrap().uses;
    uses.iter().map(|machine| (machine.fetched.0 / MB, machine.uploaded.0 / MB)).collect()
}

fn layer(record: &mut Record, step: StepId, megabytes: u64) {
    record.steps[step.index()].layer = Some(Layer { bytes: ByteSize(megabytes * MB), files: 1, digest: None });
}

fn base(record: &mut Record, step: StepId, megabytes: u64) {
    record.steps[step.index()].base = Some(BaseImage { bytes: ByteSize(megabytes * MB), layers: 1, read: None });
}

/// Stages of one base image with a step of a second each.
fn fan(steps: u32, base_megabytes: u64) -> Record {
    let mut made = Synthetic::default();
    for number in 0..steps {
        let stage = made.stage(&format!("s{number}"));
        let from = made.step(stage, "FROM busybox", 0..0);
        let run = made.step(stage, "RUN sleep 1", 0..1000);
        made.data(from, run).span(run, Phase::Process, 0..1000);
        made.with(|record| {
            base(record, from, base_megabytes);
            layer(record, run, 0);
        });
    }
    made.finish(1000)
}

#[test]
fn a_fan_takes_its_longest_step_and_the_base_image() {
    let record = fan(16, 100);
    let prediction = on(&record, 4, machines(4));
    assert_eq!(millis(&prediction), 1000 + 1000);
    assert_eq!(moved(&prediction), [(0, 0), (100, 0), (100, 0), (100, 0)], "each of the others fetches it once");
    let machines_of = placed(&prediction);
    for machine in 0..4 {
        let runs = machines_of.iter().skip(1).step_by(2).filter(|&&placed| placed == Some(machine)).count();
        assert_eq!(runs, 4, "{machines_of:?}");
    }
    // Four rounds on one machine.
    let on_machines = prediction.machines.as_ref().unwrap();
    assert_eq!((on_machines.one, on_machines.instant, on_machines.path), (ms(4000), ms(1000), ms(1000)));
    assert_eq!(verdict(&prediction), Some(Verdict::Pays));
    assert_eq!(millis(&on(&record, 16, machines(4))), 1000, "one machine has slots for all");
}

#[test]
fn base_images_can_be_on_all_machines() {
    let prediction = on(&fan(16, 100), 4, Machines { base_images: BaseImages::Everywhere, ..machines(4) });
    assert_eq!((millis(&prediction), moved(&prediction)), (1000, vec![(0, 0); 4]));
}

/// As with `build --remote`: the machine that builds runs no RUN, fetches the layers of the image, and nothing is uploaded.
#[test]
fn all_steps_can_be_sent_away() {
    let mut record = fan(16, 100);
    for step in record.steps.iter().map(|step| step.id).skip(1).step_by(2).collect::<Vec<_>>() {
        layer(&mut record, step, 10);
    }
    let away = Machines { here: Here::OnlyBuilds, ..machines(5) };
    let prediction = on(&record, 4, away);
    assert!(placed(&prediction).iter().skip(1).step_by(2).all(|placed| *placed > Some(0)), "{prediction:?}");
    // A second for the base image, one for the steps, and 1.6 s for the image.
    assert_eq!(moved(&prediction), [(160, 0), (100, 0), (100, 0), (100, 0), (100, 0)]);
    assert_eq!(millis(&prediction), 1000 + 1000 + 1600);
    assert_eq!(millis(&on(&record, 4, Machines { count: 1, ..away })), 4000, "one machine runs all itself");
}

/// A layer of 50 MB from one worker to the other goes through the machine that builds, which has it from then on.
#[test]
fn layers_of_workers_come_through_the_machine_that_builds() {
    let mut made = Synthetic::default();
    let [a, b] = ["a", "b"].map(|name| {
        let stage = made.stage(name);
        let from = made.step(stage, "FROM busybox", 0..0);
        let run = made.step(stage, "RUN work", 0..1000);
        made.data(from, run).span(run, Phase::Process, 0..1000);
        (stage, run)
    });
    let copy = made.step(b.0, "COPY --from=a /x /", 1000..1100);
    made.data(b.1, copy).data(a.1, copy).span(copy, Phase::Copy, 1000..1100);
    made.with(|record| layer(record, a.1, 50));
    let prediction = on(&made.finish(1100), 1, Machines { here: Here::OnlyBuilds, ..machines(3) });
    // The machine of the COPY has the layer of the stage, or fetches 50 MB twice over 100 MB/s.
    let machines_of = placed(&prediction);
    assert_ne!(machines_of[a.1.index()], machines_of[b.1.index()]);
    let same = machines_of[copy.index()] == machines_of[a.1.index()];
    assert_eq!(millis(&prediction), 1100 + if same { 0 } else { 1000 });
}

/// Two pairs of stages, whose second copies from the first. With two slots on each worker, a pair is on one of them, and of the layers
/// nothing moves, whatever the order in which the steps start.
#[test]
fn stages_whose_results_meet_go_to_one_worker() {
    for starts in [[0, 1, 2, 3], [2, 0, 3, 1], [0, 3, 1, 2]] {
        let (mut made, mut runs) = (Synthetic::default(), Vec::new());
        for pair in 0..2 {
            let [a, b] = [0, 1].map(|one| {
                let stage = made.stage(&format!("{one}{pair}"));
                let from = made.step(stage, "FROM busybox", 0..0);
                let run = made.step(stage, "RUN work", starts[2 * pair + one]..1000);
                made.data(from, run).span(run, Phase::Process, starts[2 * pair + one]..1000);
                made.with(|record| {
                    base(record, from, 1);
                    layer(record, run, 50);
                });
                (stage, run)
            });
            let copy = made.step(b.0, &format!("COPY --from=0{pair} /x /"), 1000..1100);
            made.data(b.1, copy).data(a.1, copy).span(copy, Phase::Copy, 1000..1100);
            runs.push([a.1, b.1]);
        }
        let prediction = on(&made.finish(1100), 2, Machines { here: Here::OnlyBuilds, ..machines(3) });
        let machines_of = placed(&prediction);
        for [a, b] in &runs {
            assert_eq!(machines_of[a.index()], machines_of[b.index()], "{machines_of:?}");
        }
        assert_ne!(machines_of[runs[0][0].index()], machines_of[runs[1][0].index()]);
        assert_eq!(moved(&prediction)[1..], [(1, 0), (1, 0)], "the base image");
    }
}

/// Two workers with a slot each. At the start, the first gets `first` and then `queued`, the second gets `other`. When `first` has ended, its
/// slot is taken, and the next step of its stage waits for it if its layer takes longer to the second worker, whose slot is free.
#[test]
fn a_step_waits_for_a_slot_where_its_data_is() {
    let record = |megabytes| {
        let mut made = Synthetic::default();
        let mut chain = Vec::new();
        for name in ["first", "other", "queued"] {
            let stage = made.stage(name);
            let from = made.step(stage, "FROM busybox", 0..0);
            let run = made.step(stage, "RUN work", 0..1000);
            made.data(from, run).span(run, Phase::Process, 0..1000);
            chain.push((stage, run));
        }
        let (stage, run) = chain[0];
        let next = made.step(stage, "RUN next", 1000..2000);
        made.data(run, next).span(next, Phase::Process, 1000..2000);
        made.with(|record| layer(record, run, megabytes));
        (made.finish(2000), next)
    };
    let away = Machines { here: Here::OnlyBuilds, ..machines(3) };
    // The expected wait is half of the mean length of a step. 500 MB over two links take ten seconds.
    let (waits, next) = record(500);
    let prediction = on(&waits, 1, away);
    assert_eq!((placed(&prediction)[next.index()], millis(&prediction)), (Some(1), 3000 + 5000));
    // 1 MB takes 20 ms.
    let (moves, next) = record(1);
    let prediction = on(&moves, 1, away);
    assert_eq!((placed(&prediction)[next.index()], millis(&prediction)), (Some(2), 1000 + 20 + 1000));
}

#[test]
fn a_step_on_another_machine_has_a_cost_that_the_record_may_say() {
    let away = Machines { here: Here::OnlyBuilds, step_cost: None, ..machines(3) };
    let fan = fan(2, 0);
    assert_eq!(millis(&on(&fan, 1, away)), 1000 + 22);
    assert_eq!(millis(&on(&fan, 1, Machines { step_cost: Some(ms(7)), ..away })), 1000 + 7);
    // Steps that ran elsewhere in the record have the cost already, and say it: their process is shorter by 40 ms.
    let mut remote = fan.clone();
    let first = remote.steps[1].id;
    remote.steps[first.index()].ran_on = Some(StepMachine::on("worker"));
    let process = remote.spans.iter_mut().find(|span| span.step == Some(first)).unwrap();
    process.start = ms(40);
    let prediction = on(&remote, 1, away);
    assert_eq!(millis(&prediction), 1000 + 40, "{prediction:?}");
    // So do their results: 50 ms for 25 MB are 20 ms for the 10 MB of the other step.
    let mut results = remote.clone();
    layer(&mut results, first, 25);
    layer(&mut results, StepId(3), 10);
    let process = results.spans.iter_mut().find(|span| span.step == Some(first)).unwrap();
    let push = buildscope_record::Span { phase: Phase::Push, name: Some("worker".into()), ..process.clone() };
    process.end = ms(950);
    results.spans.push(buildscope_record::Span { start: ms(950), ..push });
    assert_eq!(millis(&on(&results, 1, away)), 1000 + 40 + 20 + 350, "35 MB of the image over 100 MB/s");
    // Without them, a megabyte takes 4.5 ms.
    let mut large = fan.clone();
    layer(&mut large, first, 10);
    assert_eq!(millis(&on(&large, 1, away)), 1000 + 22 + 45 + 100);
    // Or five times as long as it took to archive it here: 20 ms for 10 MB, which the process was shorter.
    let process = large.spans.iter_mut().find(|span| span.step == Some(first)).unwrap();
    let archive = buildscope_record::Span { phase: Phase::Archive, ..process.clone() };
    process.end = ms(980);
    large.spans.push(buildscope_record::Span { start: ms(980), ..archive });
    assert_eq!(millis(&on(&large, 1, away)), 1000 + 22 + 5 * 20 + 100);
    // Steps of the machine that builds have none.
    assert_eq!(millis(&on(&fan, 2, Machines { here: Here::Shares, ..away })), 1000);
}

/// Four steps that each keep a processor busy, on four machines of one host with two processors.
#[test]
fn machines_of_one_host_share_its_processors() {
    let mut record = fan(4, 0);
    record.host.cpus = Some(4);
    for step in record.steps.iter_mut().filter(|step| step.text.starts_with("RUN")) {
        step.resources = Some(Resources { cpu_user: ms(1000), ..Resources::default() });
    }
    let wall = |processors| {
        let machines = Some(Machines { processors, ..machines(4) });
        millis(
            &whatif(&record, &Scenario { jobs: Some(1), cores: Some(2.0), machines, ..Scenario::default() }).unwrap(),
        )
    };
    assert_eq!([wall(Processors::OfEach), wall(Processors::OfHost)], [1000, 2000]);
}

/// Four steps that sleep. Each costs 22 ms on a machine of its own. On one host with two processors, the four costs are 4 x 38 ms of
/// processor time together.
#[test]
fn the_costs_of_steps_share_the_processors_of_one_host() {
    let mut record = fan(4, 0);
    record.host.cpus = Some(2);
    let wall = |processors| {
        millis(&on(&record, 1, Machines { processors, here: Here::OnlyBuilds, step_cost: None, ..machines(5) }))
    };
    assert_eq!([wall(Processors::OfEach), wall(Processors::OfHost)], [1000 + 22, 1000 + 4 * 38 / 2]);
}

#[test]
fn round_trips_are_paid_for_the_step_and_for_its_data() {
    let rtt = Machines { rtt: ms(10), ..machines(2) };
    assert_eq!(millis(&on(&fan(2, 100), 1, rtt)), 20 + 10 + 1000 + 1000);
    assert_eq!(millis(&on(&fan(2, 0), 1, rtt)), 20 + 1000, "nothing to fetch");
}

/// Two stages of other base images on the second machine: their fetches share its link.
#[test]
fn fetches_share_a_link() {
    let mut record = fan(4, 100);
    for (index, stage) in record.stages.iter_mut().enumerate() {
        stage.base = format!("image{index}");
    }
    // Two here. The others fetch 100 MB each over one link: two seconds for both.
    assert_eq!(millis(&on(&record, 2, machines(2))), 2000 + 1000);
    assert_eq!(moved(&on(&record, 2, machines(2))), [(0, 0), (200, 0)]);
}

/// Two chains of two steps. The second step of a chain goes where the layer of the first is.
#[test]
fn a_step_follows_its_data() {
    let mut made = Synthetic::default();
    let mut runs = Vec::new();
    for name in ["a", "b"] {
        let stage = made.stage(name);
        let from = made.step(stage, "FROM busybox", 0..0);
        let first = made.step(stage, "RUN first", 0..1000);
        let second = made.step(stage, "RUN second", 1000..2000);
        made.data(from, first).data(first, second);
        made.with(|record| {
            base(record, from, 50);
            layer(record, first, 200);
            layer(record, second, 100);
        });
        runs.extend([first, second]);
    }
    let record = made.finish(2000);
    let prediction = on(&record, 1, machines(2));
    let machines_of = placed(&prediction);
    assert_eq!(runs.iter().map(|run| machines_of[run.index()]).collect::<Vec<_>>(), [0, 0, 1, 1].map(Some));
    // Base image 0.5 s, first step 1 s, upload 2 s, second step 1 s, upload 1 s, and 300 MB of the image 3 s.
    assert_eq!(millis(&prediction), 500 + 1000 + 2000 + 1000 + 1000 + 3000);
    assert_eq!(moved(&prediction), [(300, 0), (50, 300)]);
    // One machine: 4 s.
    assert_eq!(verdict(&prediction), Some(Verdict::Data));
    assert_eq!(prediction.machines.as_ref().unwrap().instant, ms(2000));
}

/// A COPY from a stage runs where the stage is. What moves is its own layer, and what is below it.
#[test]
fn a_copy_moves_what_it_copies() {
    let mut made = Synthetic::default();
    let mut last = Vec::new();
    for name in ["a", "b"] {
        let stage = made.stage(name);
        let run = made.step(stage, "RUN make", 0..1000);
        made.with(|record| layer(record, run, 1000));
        last.push(run);
    }
    let out = made.stage("out");
    let first = made.step(out, "COPY --from=a /x /", 1000..1010);
    let second = made.step(out, "COPY --from=b /x /", 1010..1020);
    made.data(last[0], first).data(last[1], second).data(first, second);
    made.with(|record| [first, second].into_iter().for_each(|step| layer(record, step, 10)));
    let record = made.finish(1020);
    let free = on(&record, 1, Machines { bandwidth: None, ..machines(2) });
    assert_eq!(millis(&free), 1020);
    assert_eq!(placed(&free), [Some(0), Some(1), Some(0), Some(1)]);
    // The upload of 1 GB takes 10 s, that of the COPY, its way here, and the first COPY on its way there 0.1 s each.
    let prediction = on(&record, 1, machines(2));
    assert_eq!(millis(&prediction), 1000 + 10_000 + 10 + 100 + 100 + 100);
    assert_eq!(moved(&prediction), [(10, 0), (10, 1010)]);
}

#[test]
fn machines_do_not_pay_because_of_path_data_cost_or_local_steps() {
    let mut chain = Synthetic::default();
    let stage = chain.stage("a");
    let first = chain.step(stage, "RUN 1", 0..1000);
    let second = chain.step(stage, "RUN 2", 1000..2000);
    chain.data(first, second);
    assert_eq!(verdict(&on(&chain.finish(2000), 1, machines(4))), Some(Verdict::Path));
    assert_eq!(verdict(&on(&fan(2, 200), 1, machines(2))), Some(Verdict::Data), "the fetch takes two seconds");
    assert_eq!(verdict(&on(&fan(2, 50), 1, machines(2))), Some(Verdict::Pays));
    assert_eq!(verdict(&on(&fan(2, 50), 1, machines(1))), None);
    let costly = on(&fan(2, 50), 1, Machines { step_cost: Some(ms(5000)), ..machines(2) });
    assert_eq!(verdict(&costly), Some(Verdict::Cost), "no step has to stay");
    assert_eq!(costly.machines.unwrap().free, ms(1000));
    let mut cached = fan(2, 50);
    cached.steps[1].text = "RUN --mount=type=cache,target=/c sleep 1".into();
    cached.steps[3].text = "RUN --mount=type=secret,id=key sleep 1".into();
    let prediction = on(&cached, 1, machines(2));
    assert_eq!((verdict(&prediction), millis(&prediction)), (Some(Verdict::Stays), 2000));
    let stay = prediction.machines.unwrap().stay;
    assert_eq!(stay.into_iter().collect::<Vec<_>>(), [(Stay::CacheMount, 1), (Stay::Secret, 1)]);
}

#[test]
fn steps_of_this_machine_stay() {
    let stays = |text: &str| {
        let mut record = fan(2, 0);
        record.steps[1].text = text.into();
        record.steps[3].text = text.into();
        on(&record, 1, machines(2)).machines.unwrap().stay.into_keys().next()
    };
    for (text, reason) in [
        ("RUN --mount=type=ssh git fetch", Some(Stay::Ssh)),
        ("RUN --network=host curl x", Some(Stay::HostNetwork)),
        ("RUN --device=/dev/kvm x", Some(Stay::Device)),
        ("RUN --security=insecure x", Some(Stay::Insecure)),
        ("RUN --mount=target=/c,type=cache x", Some(Stay::CacheMount)),
        ("RUN --mount=type=tmpfs,target=/t x", None),
        ("RUN --network=none x --network=host", None),
    ] {
        assert_eq!(stays(text), reason, "{text}");
    }
}

/// Steps that keep a processor busy go to another machine if all processors of this one are in use, even without a limit of slots.
#[test]
fn steps_move_to_idle_processors() {
    let mut record = fan(4, 10);
    record.host.cpus = Some(4);
    for step in record.steps.iter_mut().filter(|step| step.text.starts_with("RUN")) {
        step.resources = Some(Resources { cpu_user: ms(1000), ..Resources::default() });
    }
    let scenario = |count| Scenario { cores: Some(2.0), machines: Some(machines(count)), ..Scenario::default() };
    assert_eq!(whatif(&record, &scenario(1)).unwrap().wall, ms(2000));
    let prediction = whatif(&record, &scenario(2)).unwrap();
    assert_eq!(millis(&prediction), 100 + 1000);
    assert_eq!(prediction.machines.unwrap().uses.iter().map(|machine| machine.steps).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn steps_from_the_cache_move_nothing() {
    let mut record = fan(4, 100);
    for step in record.steps.iter_mut() {
        (step.outcome, step.start, step.end) = (Outcome::Cached, Some(ms(0)), Some(ms(0)));
    }
    record.spans.clear();
    record.wall = ms(0);
    assert_eq!(moved(&on(&record, 1, machines(4))), [(0, 0); 4]);
    let record = fan(4, 100);
    let scenario = Scenario {
        jobs: Some(1),
        machines: Some(machines(4)),
        cached: [1, 3, 5, 7].map(StepId).into(),
        ..Scenario::default()
    };
    let prediction = whatif(&record, &scenario).unwrap();
    assert_eq!((millis(&prediction), moved(&prediction)), (0, vec![(0, 0); 4]));
}

/// Two steps, one after the other on one server. Each takes two round trips, and the first takes three before.
#[test]
fn a_server_is_connected_and_asked_before_its_first_step() {
    let mut made = Synthetic::default();
    let stage = made.stage("s");
    let from = made.step(stage, "FROM busybox", 0..0);
    let first = made.step(stage, "RUN first", 0..1000);
    let second = made.step(stage, "RUN second", 1000..2000);
    made.data(from, first).span(first, Phase::Process, 0..1000);
    made.data(first, second).span(second, Phase::Process, 1000..2000);
    made.with(|record| [first, second].into_iter().for_each(|step| layer(record, step, 0)));
    let here = Here::OnlyBuilds;
    let away = Machines { count: 2, rtt: ms(10), here, base_images: BaseImages::Everywhere, ..FREE };
    assert_eq!(millis(&on(&made.finish(2000), 1, away)), 2000 + (2 + 2 + 2) * 10);
}

#[test]
fn unknown_sizes_are_reported() {
    let mut record = fan(2, 100);
    record.steps.iter_mut().for_each(|step| step.base = None);
    let prediction = on(&record, 1, Machines { rtt: ms(1), ..machines(2) });
    assert_eq!(millis(&prediction), 1003, "two round trips for the step and one for its data");
    assert!(
        prediction.caveats[1].starts_with("the size of one layer or base image is not"),
        "{:?}",
        prediction.caveats
    );
    let count = |count| {
        let scenario = Scenario { machines: Some(machines(count)), ..Scenario::default() };
        whatif(&record, &scenario).map(|_| ())
    };
    assert_eq!(count(0), Err(ScenarioError::Machines(0)));
    assert_eq!(count(Machines::MOST + 1), Err(ScenarioError::Machines(Machines::MOST + 1)));
    assert_eq!(count(Machines::MOST), Ok(()));
}

/// A step of an arbitrary build: its stage, its milliseconds, the share of two processors that it demands, in percent, the megabytes of
/// its layer, and a step that it reads in addition.
#[derive(Clone, Debug)]
struct AnyStep {
    stage: usize,
    length: u64,
    percent: u64,
    megabytes: u64,
    source: Option<prop::sample::Index>,
}

fn any_steps() -> impl Strategy<Value = Vec<AnyStep>> {
    let step = (0..4_usize, 1..200_u64, 0..=100_u64, 0..20_u64, prop::option::of(any::<prop::sample::Index>()));
    let step = step.prop_map(|(stage, length, percent, megabytes, source)| AnyStep {
        stage,
        length,
        percent,
        megabytes,
        source,
    });
    prop::collection::vec(step, 1..12)
}

/// A build in which each step starts when those that it needs have ended. `computes` tells whether steps use processors.
fn build(steps: &[AnyStep], computes: bool) -> Record {
    let mut made = Synthetic::default();
    let stages: Vec<_> = (0..4).map(|stage| made.stage(&format!("s{stage}"))).collect();
    let (mut last, mut ends) = ([None; 4], Vec::new());
    for (number, step) in steps.iter().enumerate() {
        let source = step.source.filter(|_| number > 0).map(|source| source.index(number));
        let needs: Vec<usize> = last[step.stage].into_iter().chain(source).collect();
        let start = needs.iter().map(|&need| ends[need]).max().unwrap_or(0);
        let end = start + step.length;
        let id = made.step(stages[step.stage], "RUN x", start..end);
        made.span(id, Phase::Process, start..end);
        for need in needs {
            made.data(StepId::from_index(need), id);
        }
        made.with(|record| {
            layer(record, id, step.megabytes);
            if computes {
                let cpu = Nanos(ms(step.length).0 * 2 * step.percent / 100);
                record.steps[id.index()].resources = Some(Resources { cpu_user: cpu, ..Resources::default() });
                record.host.cpus = Some(64);
            }
        });
        ends.push(end);
        last[step.stage] = Some(number);
    }
    made.finish(ends.into_iter().max().unwrap_or(0))
}

proptest! {
    /// One machine is the replay without machines, whatever its link.
    #[test]
    fn one_machine_is_the_replay_without_machines(
        steps in any_steps(), jobs in 0u32..4, cores in 1u8..5, bandwidth in prop::option::of(1u32..1000), rtt in 0u64..50,
    ) {
        let record = build(&steps, true);
        let alone = Scenario { jobs: Some(jobs), cores: Some(f64::from(cores)), ..Scenario::default() };
        let bandwidth = bandwidth.map(|rate| format!("{rate}MB/s").parse().unwrap());
        let machines = Some(Machines { count: 1, bandwidth, rtt: ms(rtt), ..FREE });
        let one = whatif(&record, &Scenario { machines, ..alone.clone() }).unwrap();
        let alone = whatif(&record, &alone).unwrap();
        prop_assert_eq!(one.wall, alone.wall);
        prop_assert_eq!(one.steps, alone.steps);
    }

    /// With a machine for each step, and data that moves in no time, a build takes its longest path.
    #[test]
    fn enough_machines_take_the_longest_path(steps in any_steps()) {
        let record = build(&steps, true);
        let count = u32::try_from(steps.len()).unwrap();
        let machines = Some(Machines { count, bandwidth: None, rtt: Nanos::ZERO, ..FREE });
        let scenario = Scenario { jobs: Some(1), cores: Some(64.0), machines, ..Scenario::default() };
        // The record has slots and processors for all.
        prop_assert!(whatif(&record, &scenario).unwrap().wall.0.abs_diff(record.wall.0) <= 1);
    }

    /// No schedule beats the longest path and the work over all slots. A list schedule takes at most their sum (Graham 1969), here with
    /// the longest time that the data of a step can take: each layer crosses a link once, a result is uploaded once, and a step waits for
    /// its own round trips and for those of another step that fetches the same.
    #[test]
    fn several_machines_keep_the_bounds_of_list_scheduling(
        steps in any_steps(), jobs in 1u32..4, count in 1u32..5, rate in 1u32..1000, rtt in 0u64..20,
    ) {
        let record = build(&steps, false);
        let machines = Machines { count, bandwidth: Some(format!("{rate}MB/s").parse().unwrap()), rtt: ms(rtt), ..FREE };
        let wall = on(&record, jobs, machines).wall.as_millis_f64();
        let path = record.wall.as_millis_f64();
        let work: u64 = steps.iter().map(|step| step.length).sum();
        let slots = f64::from(jobs * count);
        prop_assert!(wall >= path - 1e-3 && wall >= work as f64 / slots - 1e-3);
        let all = steps.iter().map(|step| step.megabytes).sum::<u64>() as f64 * 1000.0 / f64::from(rate);
        let data = 6.0 * rtt as f64 + 2.0 * all;
        let length = steps.len() as f64;
        let most = (work as f64 + length * data) / slots + path + length * data + rtt as f64 + all;
        prop_assert!(wall <= most + 1e-3, "{wall} > {most}");
    }

    /// A chain has nothing to gain from other machines, and stays where it is.
    #[test]
    fn a_chain_moves_nothing(mut steps in any_steps(), count in 1u32..5, rate in 1u32..1000) {
        steps.iter_mut().for_each(|step| (step.stage, step.source) = (0, None));
        let record = build(&steps, false);
        let machines = Machines { bandwidth: Some(format!("{rate}MB/s").parse().unwrap()), ..machines(count) };
        let prediction = on(&record, 1, machines);
        prop_assert_eq!(prediction.wall, record.wall);
        prop_assert!(moved(&prediction).into_iter().all(|bytes| bytes == (0, 0)));
    }

    /// Steps that fit into the slots: those on other machines fetch the base image first, so more bandwidth is never slower.
    #[test]
    fn a_fan_that_fits_waits_for_one_fetch(
        count in 1u32..6, jobs in 1u32..5, steps in 1u32..20, megabytes in 1u64..500, rate in 1u32..1000,
    ) {
        let steps = steps.min(count * jobs);
        let machines = Machines { bandwidth: Some(format!("{rate}MB/s").parse().unwrap()), ..machines(count) };
        let wall = on(&fan(steps, megabytes), jobs, machines).wall.as_millis_f64();
        let fetch = if steps > jobs { megabytes as f64 * 1000.0 / f64::from(rate) } else { 0.0 };
        prop_assert!((wall - 1000.0 - fetch).abs() < 1e-3, "{wall}");
    }
}
