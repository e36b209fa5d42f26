//! Logs of incremental BuildKit builds. Their timing is known by construction.

use buildscope_record::{EdgeKind, Nanos, Outcome, Phase, Record, Step, WaitKind};
use buildscope_reports::import::import;
use buildscope_reports::{Explanation, explain};
use std::fmt::Write;

/// A vertex: its name, the numbers of its inputs, its runs in milliseconds, and whether it was cached.
struct Vertex(&'static str, &'static [usize], &'static [(u64, u64)], bool);

fn ran(name: &'static str, inputs: &'static [usize], runs: &'static [(u64, u64)]) -> Vertex {
    Vertex(name, inputs, runs, false)
}

fn cached(name: &'static str, inputs: &'static [usize], at: &'static [(u64, u64)]) -> Vertex {
    Vertex(name, inputs, at, true)
}

fn rawjson(vertices: &[Vertex]) -> String {
    let mut text = String::new();
    let time =
        |millis: u64| format!("2026-03-01T10:{:02}:{:02}.{:03}Z", millis / 60_000, millis / 1000 % 60, millis % 1000);
    for (index, Vertex(name, inputs, runs, cached)) in vertices.iter().enumerate() {
        let inputs: Vec<String> = inputs.iter().map(|input| format!("\"sha256:{input}\"")).collect();
        for (start, end) in *runs {
            writeln!(
                text,
                "{{\"vertexes\":[{{\"digest\":\"sha256:{index}\",\"inputs\":[{}],\"name\":\"{name}\",\"started\":\"{}\",\"completed\":\"{}\",\"cached\":{cached}}}]}}",
                inputs.join(","),
                time(*start),
                time(*end)
            )
            .unwrap();
        }
    }
    text
}

fn read(text: &str) -> (Record, Explanation) {
    let record = import(text.as_bytes()).unwrap();
    let explanation = explain(&record);
    assert!(explanation.bounds.least <= record.wall, "{} of {}", explanation.bounds.least, record.wall);
    (record, explanation)
}

fn step<'r>(record: &'r Record, text: &str) -> &'r Step {
    record.steps.iter().find(|step| step.text.contains(text)).unwrap_or_else(|| panic!("no {text} in {record:#?}"))
}

fn millis(nanos: Nanos) -> u64 {
    nanos.0 / 1_000_000
}

/// The texts of the steps on the path that took any of the time.
fn path<'e>(record: &'e Record, explanation: &'e Explanation) -> Vec<&'e str> {
    let legs = explanation.path.iter().filter(|leg| leg.end > leg.start);
    legs.map(|leg| record.steps[leg.step.index()].text.as_str()).collect()
}

/// How many milliseconds a step has of the critical path.
fn share(explanation: &Explanation, text: &str) -> u64 {
    explanation.steps.iter().filter(|step| step.text.contains(text)).map(|step| millis(step.wall)).sum()
}

#[test]
fn the_path_ends_at_the_last_step_that_ran() {
    let (record, explanation) = read(&rawjson(&[
        cached("[a 1/2] FROM b", &[], &[(0, 10)]),
        ran("[a 2/2] RUN sleep 2", &[0], &[(10, 2010)]),
        cached("[stage-2 1/1] COPY --from=a /a /a", &[1], &[(2020, 2020)]),
        cached("[z 1/1] RUN old", &[0], &[(2020, 2020)]),
    ]));
    assert_eq!(path(&record, &explanation), ["FROM b", "RUN sleep 2"]);
    assert_eq!((share(&explanation, "sleep 2"), share(&explanation, "old")), (2000, 0));
    assert!(explanation.answer.contains("went to `RUN sleep 2`"), "{}", explanation.answer);
    let cached = |span: &&buildscope_record::Span| {
        span.step.is_some_and(|step| record.steps[step.index()].outcome == Outcome::Cached)
    };
    assert!(record.spans.iter().filter(cached).all(|span| span.phase != Phase::Queue), "{:?}", record.spans);
}

#[test]
fn a_cached_step_without_inputs_in_the_log_follows_no_later_step() {
    let vertices = [
        ran("[internal] load build definition from Dockerfile", &[], &[(0, 500)]),
        // Its input was in the lines before the log begins, and it is stamped at the end of the build.
        cached("[a 2/2] RUN old", &[9], &[(5510, 5510)]),
        ran("[b 1/2] COPY --from=a /a /a", &[0, 1], &[(500, 2500)]),
        ran("[b 2/2] RUN make", &[2], &[(2500, 5000)]),
        ran("exporting to image", &[3], &[(5000, 5510)]),
    ];
    let (record, explanation) = read(&rawjson(&vertices));
    let expected =
        ["[internal] load build definition from Dockerfile", "COPY --from=a /a /a", "RUN make", "exporting to image"];
    assert_eq!(path(&record, &explanation), expected);
    assert_eq!((millis(record.wall), share(&explanation, "RUN make")), (5510, 2500));
}

#[test]
fn a_source_that_is_asked_twice_counts_up_to_its_dependant() {
    let (record, explanation) = read(&rawjson(&[
        ran("[context b] OCI load from client", &[], &[(0, 100), (2100, 2101)]),
        ran("[a 1/2] RUN make", &[0], &[(100, 2000)]),
        ran("[a 2/2] COPY x /x", &[0, 1], &[(2101, 2200)]),
    ]));
    let load = step(&record, "OCI load");
    assert_eq!((millis(load.start.unwrap()), millis(load.end.unwrap())), (0, 100));
    assert_eq!(path(&record, &explanation), ["[context b] OCI load from client", "RUN make", "COPY x /x"]);
    assert_eq!(share(&explanation, "RUN make"), 1900);
}

/// What plain progress of BuildKit prints, with the time of each line in milliseconds.
fn plain(lines: &[(u64, &str)]) -> String {
    let line = |&(at, text): &(u64, &str)| format!("2026-03-01T10:00:{:02}.{:03}Z {text}\n", at / 1000, at % 1000);
    lines.iter().map(line).collect()
}

#[test]
fn a_cached_step_that_is_printed_twice_takes_no_time() {
    // Both stages begin with the same WORKDIR. BuildKit prints it again when the second stage asks for it.
    let (record, explanation) = read(&plain(&[
        (0, "#4 [s1 1/3] FROM docker.io/library/busybox"),
        (0, "#4 DONE 0.0s"),
        (0, "#5 [s1 2/3] WORKDIR /w"),
        (0, "#5 CACHED"),
        (150, "#8 [s0 3/3] RUN sleep 2.4"),
        (2650, "#8 DONE 2.5s"),
        (2650, "#5 [s1 2/3] WORKDIR /w"),
        (2650, "#5 CACHED"),
        (2650, "#10 [s1 3/3] COPY --from=s0 /w/out /w/from0"),
        (2750, "#10 DONE 0.1s"),
        (2750, "#11 [s1 4/4] RUN sleep 0.9"),
        (3750, "#11 DONE 1.0s"),
    ]));
    let cached = step(&record, "WORKDIR");
    assert_eq!((cached.outcome, cached.start), (Outcome::Cached, cached.end));
    assert_eq!((share(&explanation, "WORKDIR"), share(&explanation, "sleep 2.4")), (0, 2500));
    assert!(explanation.answer.contains("went to `RUN sleep 2.4`"), "{}", explanation.answer);
}

#[test]
fn a_cached_step_without_a_need_was_known_at_the_start() {
    // The first step of its stage, the FROM, has the name of another stage.
    let (record, explanation) = read(&plain(&[
        (0, "#1 [b 1/2] FROM docker.io/library/alpine"),
        (10, "#1 CACHED"),
        (10, "#2 [b 2/2] RUN sleep 3"),
        (3010, "#2 DONE 3.0s"),
        (3020, "#3 [stage-2 1/1] COPY --from=b /x /x"),
        (3020, "#3 CACHED"),
        (3020, "#4 [z 2/2] RUN older"),
        (3021, "#4 CACHED"),
    ]));
    assert_eq!((share(&explanation, "sleep 3"), share(&explanation, "older")), (3000, 0));
    assert_eq!(path(&record, &explanation).last(), Some(&"RUN sleep 3"));
}

#[test]
fn a_line_that_was_printed_late_makes_no_edge_irrelevant() {
    // docker 20.10 shows one vertex at a time, and writes every 0.15 s. True: `sleep 1` 50 to 1450, `sleep 0.4` 1450 to 2150, both COPYs
    // 100 each, `sleep 0.5` 2400 to 3300. Stage b ends at 1250.
    let (record, explanation) = read(&plain(&[
        (0, "#4 [b 1/2] FROM docker.io/library/busybox"),
        (0, "#4 CACHED"),
        (50, "#11 [b 2/2] RUN sleep 0.8"),
        (1400, "#11 DONE 1.2s"),
        (1400, "#7 [a 2/3] RUN sleep 1"),
        (1400, "#7 1.274 done"),
        (1600, "#7 DONE 1.4s"),
        (1600, "#8 [a 3/3] RUN sleep 0.4"),
        (2150, "#8 DONE 0.7s"),
        (2450, "#9 [stage-2 2/4] COPY --from=a /la /"),
        (2450, "#9 DONE 0.1s"),
        (2450, "#12 [stage-2 3/4] COPY --from=b /lb /"),
        (2600, "#12 DONE 0.1s"),
        (2600, "#13 [stage-2 4/4] RUN sleep 0.5"),
        (3300, "#13 DONE 0.9s"),
    ]));
    let drag = |text: &str| {
        let drags = explanation.steps.iter().filter(|step| step.text.contains(text)).map(|step| millis(step.drag));
        drags.max().unwrap_or_default()
    };
    assert!(millis(record.wall) <= 3301, "{}", record.wall);
    for (text, known) in [("sleep 0.8", 0), ("sleep 0.4", 700), ("from=a", 100), ("from=b", 100), ("sleep 0.5", 900)] {
        assert!(drag(text).abs_diff(known) <= 150, "{text}: {} ms, not {known}", drag(text));
    }
}

/// Durations that are rounded up overlap by a little. The overlaps of a chain do not add up to steps that move before their needs.
#[test]
fn a_chain_of_rounded_durations_stays_a_chain() {
    let mut text = String::new();
    let mut at = 0;
    let mut ends = Vec::new();
    for number in 1..=30 {
        let took = 152 + number * 37 % 900;
        let time = |at: u64| format!("2026-03-01T10:00:{:02}.{:03}Z", at / 1000, at % 1000);
        writeln!(text, "{} #{number} [a {number}/30] RUN step-{number}-", time(at)).unwrap();
        at += took;
        writeln!(text, "{} #{number} DONE {:.1}s", time(at), took as f64 / 1000.0).unwrap();
        ends.push(at);
    }
    let (record, _) = read(&text);
    let mut before = 0;
    for (number, end) in (1..).zip(ends) {
        let step = step(&record, &format!("step-{number}-"));
        let (start, found) = (millis(step.start.unwrap()), millis(step.end.unwrap()));
        assert!(start >= before && start <= before + 100, "step {number} starts at {start}, not {before}");
        assert!(found.abs_diff(end) <= 100, "step {number} ends at {found}, not {end}");
        before = found;
    }
}

#[test]
fn a_step_that_is_done_twice_counts_up_to_its_dependant() {
    // BuildKit prints the sum of the runs. The second one is for another stage, whose steps are cached.
    let (record, explanation) = read(&plain(&[
        (0, "#1 [a 1/3] FROM docker.io/library/gcc"),
        (1000, "#1 DONE 1.0s"),
        (1000, "#2 [a 2/3] RUN make"),
        (3000, "#2 DONE 2.0s"),
        (3000, "#3 [a 3/3] RUN test"),
        (3000, "#1 [a 1/3] FROM docker.io/library/gcc"),
        (3300, "#1 DONE 1.3s"),
        (4500, "#3 DONE 1.5s"),
        (4500, "#2 [a 2/3] RUN make"),
        (4500, "#2 CACHED"),
    ]));
    let (base, make) = (step(&record, "FROM"), step(&record, "make"));
    assert_eq!((millis(base.start.unwrap()), millis(base.end.unwrap())), (0, 1000));
    assert_eq!((make.outcome, millis(make.start.unwrap()), millis(make.end.unwrap())), (Outcome::Executed, 1000, 3000));
    let shares = ["FROM", "make", "test"].map(|text| share(&explanation, text));
    assert_eq!(shares, [1000, 2000, 1500]);
}

#[test]
fn a_base_pulled_for_an_executed_step_is_on_the_path() {
    // BuildKit resolves the base, finds the first step in the cache, and pulls the base when the second has to run.
    let (record, explanation) = read(&rawjson(&[
        ran("[1/3] FROM docker.io/library/gcc", &[], &[(0, 100), (200, 3000)]),
        cached("[2/3] WORKDIR /w", &[0], &[(150, 150)]),
        ran("[3/3] RUN make", &[1], &[(3000, 4000)]),
    ]));
    assert_eq!(path(&record, &explanation), ["FROM docker.io/library/gcc", "RUN make"]);
    assert_eq!((share(&explanation, "FROM"), share(&explanation, "make")), (2800, 1000));
}

#[test]
fn cached_files_that_were_hashed_before_a_step_ran_are_hashing() {
    let (record, explanation) = read(&rawjson(&[
        ran("[internal] load build context", &[], &[(0, 500)]),
        cached("[1/3] FROM gcc", &[], &[(0, 10)]),
        cached("[2/3] COPY . .", &[1, 0], &[(1500, 1500)]),
        ran("[3/3] RUN make", &[2], &[(1500, 2500)]),
    ]));
    let hashed = explanation.accounts.phases.iter().find(|row| row.name == Phase::ContextHash).unwrap();
    assert_eq!(millis(hashed.wall), 1000);
    assert_eq!(share(&explanation, "make"), 2000, "{:?} {:?}", record.spans, explanation.segments);
}

#[test]
fn a_stage_that_began_when_another_ended_names_it() {
    // A lazy solve: stage b is asked for only when the last step of stage a has ended.
    let (record, explanation) = read(&rawjson(&[
        ran("[a 1/3] FROM busybox", &[], &[(0, 100)]),
        ran("[a 2/3] RUN sleep 0.7", &[0], &[(100, 800)]),
        ran("[a 3/3] RUN sleep 0.6", &[1], &[(800, 1400)]),
        ran("[b 1/1] RUN sleep 0.8", &[0], &[(1410, 2210)]),
        ran("[c 1/1] RUN sleep 1.0", &[0], &[(100, 1100)]),
    ]));
    let (a, b) = (step(&record, "0.6").id, step(&record, "0.8").id);
    assert!(record.edges.iter().any(|edge| (edge.from, edge.to, edge.kind) == (a, b, EdgeKind::Order)), "{record:#?}");
    assert_eq!((share(&explanation, "0.7"), share(&explanation, "0.6"), share(&explanation, "0.8")), (700, 600, 810));
    assert_eq!(record.options.jobs, None);
}

#[test]
fn a_limit_of_slots_is_inferred_with_the_step_that_freed_the_slot() {
    let (record, explanation) = read(&rawjson(&[
        ran("[a 1/2] FROM busybox", &[], &[(0, 10)]),
        ran("[a 2/2] RUN sleep 0.4", &[0], &[(10, 410)]),
        ran("[b 2/2] RUN sleep 1.0", &[0], &[(411, 1411)]),
        ran("[c 2/2] RUN sleep 0.5", &[0], &[(1412, 1912)]),
        ran("[d 2/2] RUN sleep 0.6", &[0], &[(1913, 2513)]),
    ]));
    assert_eq!(record.options.jobs, Some(1));
    let waits: Vec<_> = record.waits.iter().map(|wait| (wait.step, wait.kind, wait.on)).collect();
    let id = |text: &str| step(&record, text).id;
    let slot = |waiter: &str, on: &str| (id(waiter), WaitKind::Slot, Some(id(on)));
    assert_eq!(waits, [slot("1.0", "0.4"), slot("0.5", "1.0"), slot("0.6", "0.5")]);
    // Its own setting gives its own length, and each step is on the path for as long as it took.
    let drags: Vec<u64> = ["0.4", "1.0", "0.5", "0.6"].map(|text| share(&explanation, text)).to_vec();
    assert_eq!(drags, [400, 1001, 501, 601]);
    assert!(explanation.ranking.drift.unwrap() < 0.02, "{:?}", explanation.ranking);
    assert!(explanation.ranking.changes.iter().any(|change| millis(change.gain) > 1400), "{:?}", explanation.ranking);
}

#[test]
fn a_copy_from_a_stage_hashes_no_context() {
    let (record, _) = read(&rawjson(&[
        ran("[a 1/1] FROM busybox", &[], &[(0, 1000)]),
        ran("[b 1/1] COPY --from=a /x /x", &[0], &[(1641, 1700)]),
    ]));
    assert!(record.spans.iter().all(|span| span.phase != Phase::ContextHash), "{:?}", record.spans);
}

#[test]
fn twenty_thousand_steps_on_sixteen_slots_replay_to_their_own_length() {
    // Steps of 100 ms without dependencies but their base: 20,000 on 16 slots take 125 s.
    let mut text = String::from(&rawjson(&[ran("[base 1/1] FROM busybox", &[], &[(0, 10)])]));
    let time =
        |millis: u64| format!("2026-03-01T10:{:02}:{:02}.{:03}Z", millis / 60_000, millis / 1000 % 60, millis % 1000);
    for step in 0..20_000_u64 {
        let start = 10 + step / 16 * 100;
        writeln!(text, "{{\"vertexes\":[{{\"digest\":\"sha256:s{step}\",\"inputs\":[\"sha256:0\"],\"name\":\"[s{step} 1/1] RUN x\",\"started\":\"{}\",\"completed\":\"{}\"}}]}}", time(start), time(start + 100)).unwrap();
    }
    let record = import(text.as_bytes()).unwrap();
    assert_eq!((millis(record.wall), record.options.jobs), (125_010, Some(16)));
    let explanation = explain(&record);
    assert!(explanation.ranking.drift.unwrap() < 0.01, "{:?}", explanation.ranking.drift);
}
