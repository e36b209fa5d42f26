//! Advice about steps that wait: for stages, slots, locks, processors, disks and the policy.

use super::*;

#[test]
fn an_install_does_not_wait_for_a_stage_that_it_does_not_need() {
    let late = |between: &str| {
        let mut made = Synthetic::default();
        let (build, run) = (made.stage("build"), made.stage("run"));
        let compile = made.step(build, "RUN make", 0..300);
        let from = made.step(run, "FROM debian", 0..1);
        let copy = made.step(run, "COPY --from=build /app /app", 300..310);
        let install = made.step(run, between, 310..510);
        made.data(compile, copy).data(from, copy).data(copy, install);
        made.finish(510)
    };
    let found = advice(&late("RUN apt-get update && apt-get install -y curl"), "late-copy").unwrap();
    // It could begin after 1 ms, and takes 200: the build would end at 310 at best.
    assert_eq!((found.gain, found.line), (ms(200), Some(4)));
    assert_eq!(
        found.diff,
        [
            "-COPY --from=build /app /app",
            " RUN apt-get update && apt-get install -y curl",
            "+COPY --from=build /app /app"
        ]
    );
    assert_eq!(advice(&late("RUN /app --self-test"), "late-copy"), None, "it may need what is copied");
}

#[test]
fn a_slot_or_a_lock_that_holds_the_build_back() {
    let two = |jobs, locked: bool| {
        let mut made = Synthetic::new(Policy::Instructions, jobs);
        let stages = [made.stage("a"), made.stage("b")];
        let text = "RUN --mount=type=cache,target=/c,sharing=locked make";
        let steps = [made.step(stages[0], text, 0..100), made.step(stages[1], text, 100..200)];
        if locked {
            made.with(|record| {
                record.steps[1].start = Some(ms(0));
                record.steps.iter_mut().for_each(|step| step.locks = vec!["cache-mount:/c".into()]);
            });
            made.wait(steps[1], WaitKind::Lock, steps[0], 0..100);
        } else {
            made.wait(steps[1], WaitKind::Slot, steps[0], 0..100);
        }
        made.finish(200)
    };
    let slots = advice(&two(1, false), "slots").unwrap();
    assert_eq!(slots.gain, ms(100));
    assert!(slots.text.contains("lift the limit of 1 slot") && slots.caveat.contains("memory"), "{slots:?}");
    assert_eq!(advice(&two(1, false), "locked-cache-mount"), None);
    let lock = advice(&two(0, true), "locked-cache-mount").unwrap();
    assert_eq!((lock.gain, lock.line), (ms(100), Some(2)));
    assert!(lock.text.contains("waited 100 ms for a lock"), "{}", lock.text);
    assert_eq!(lock.diff[1], "+RUN --mount=type=cache,target=/c,sharing=shared make");
    assert_eq!(advice(&two(0, true), "slots"), None);
}

#[test]
fn compression_and_bases_where_they_take_a_tenth() {
    let with = |phase: Phase, length: u64| {
        let mut made = chain(&[("FROM debian", 10), ("RUN make", 90)]);
        let step = if phase == Phase::Compress { None } else { Some(StepId(0)) };
        let time = if step.is_some() { 0..10 } else { 100..100 + length };
        made.span(step, phase, time);
        made.finish(100 + length)
    };
    let compress = advice(&with(Phase::Compress, 80), "compression").unwrap();
    assert_eq!(compress.gain, ms(60), "four times faster");
    assert_eq!(advice(&with(Phase::Compress, 0), "compression"), None);
    let mut zstd = with(Phase::Compress, 80);
    zstd.spans.iter_mut().filter(|span| span.phase == Phase::Compress).for_each(|span| span.name = Some("zstd".into()));
    let compress = advice(&zstd, "compression").unwrap();
    assert_eq!(compress.gain, ms(80), "nothing faster is to be had: all of it or none");
    assert!(compress.text.starts_with("do not compress"), "{}", compress.text);
    let base = |phase: Phase| {
        let mut made = chain(&[("FROM debian", 50), ("RUN make", 50)]);
        made.span(StepId(0), phase, 0..40);
        let pull = advice(&made.finish(100), "base-pull").unwrap();
        assert_eq!((pull.gain, pull.line), (ms(40), Some(1)));
        pull.text
    };
    let named =
        |text: &str| ["a local mirror", "a smaller base", "a pinned digest"].map(|remedy| text.contains(remedy));
    assert_eq!(named(&base(Phase::Pull)), [true, true, false]);
    assert_eq!(named(&base(Phase::Unpack)), [false, true, false], "it is on this machine already");
    assert_eq!(named(&base(Phase::Resolve)), [false, false, true]);
    assert_eq!(advice(&chain(&[("FROM debian", 50), ("RUN make", 50)]).finish(100), "base-pull"), None);
}

#[test]
fn processors_that_idle_and_disks_that_are_waited_for() {
    let wide = |cpus, cpu: u64| {
        let mut made = chain(&[("RUN a", 100), ("RUN b", 100)]);
        made.with(|record| {
            record.host.cpus = Some(cpus);
            record.steps[0].resources = Some(Resources { cpu_user: ms(cpu), ..Resources::default() });
        });
        advice(&made.finish(200), "idle-processors")
    };
    let idle = wide(16, 160).unwrap();
    assert!(idle.text.contains("16 processors, but 0.8 in use"), "{}", idle.text);
    assert_eq!(idle.gain, ms(100), "one of them in parallel with the other");
    assert_eq!(wide(2, 160), None, "few processors are soon busy");
    assert_eq!(wide(16, 1600), None, "they are in use");
    let mut made = chain(&[("RUN make", 100)]);
    made.with(|record| record.steps[0].resources = Some(Resources { io_pressure: ms(40), ..Resources::default() }));
    let found = advice(&made.finish(100), "io-pressure").unwrap();
    assert_eq!((found.gain, found.line), (ms(40), Some(1)));
    let mut calm = chain(&[("RUN make", 100)]);
    calm.with(|record| record.steps[0].resources = Some(Resources { io_pressure: ms(10), ..Resources::default() }));
    assert_eq!(advice(&calm.finish(100), "io-pressure"), None);
}

#[test]
fn a_policy_that_keeps_independent_stages_apart() {
    let serial = |policy: Policy| {
        let mut made = Synthetic::new(policy, if policy == Policy::Serial { 1 } else { 0 });
        let (a, b) = (made.stage("a"), made.stage("b"));
        let first = made.step(a, "RUN a", 0..100);
        let second =
            if policy == Policy::Serial { made.step(b, "RUN b", 100..200) } else { made.step(b, "RUN b", 0..100) };
        if policy == Policy::Serial {
            made.order(first, second);
        }
        made.finish(if policy == Policy::Serial { 200 } else { 100 })
    };
    let found = advice(&serial(Policy::Serial), "needless-order").unwrap();
    assert_eq!((found.gain, found.line), (ms(100), Some(2)));
    assert_eq!(advice(&serial(Policy::Instructions), "needless-order"), None);
}
