//! Logs of several builds, and logs that do not hold all of a build.

use buildscope_record::{Phase, Record};
use buildscope_reports::import::{builds, import};

fn read(text: &str) -> Record {
    import(text.as_bytes()).unwrap()
}

/// The stage, the text and the duration in milliseconds of each step that belongs to a stage.
fn steps(record: &Record) -> Vec<(String, String, u64)> {
    let length = |step: &buildscope_record::Step| {
        step.end.unwrap_or_default().saturating_sub(step.start.unwrap_or_default()).0 / 1_000_000
    };
    let named = |step: &buildscope_record::Step| {
        let stage = record.stages.get(step.stage?.index())?;
        Some((stage.name.clone(), step.text.clone(), length(step)))
    };
    record.steps.iter().filter_map(named).collect()
}

fn step(stage: &str, text: &str, took: u64) -> (String, String, u64) {
    (stage.into(), text.into(), took)
}

const API: [(f64, &str); 8] = [
    (0.0, "#1 [internal] load build definition from Dockerfile"),
    (1.0, "#1 DONE 0.1s"),
    (2.0, "#2 [api 1/2] FROM golang"),
    (3.0, "#2 DONE 0.5s"),
    (4.0, "#3 [api 2/2] RUN go build"),
    (14.0, "#3 DONE 10.0s"),
    (15.0, "#4 exporting to image"),
    (16.0, "#4 DONE 1.0s"),
];
const WEB: [(f64, &str); 8] = [
    (0.5, "#1 [internal] load build definition from Dockerfile.web"),
    (1.5, "#1 DONE 0.1s"),
    (2.5, "#2 [web 1/2] FROM node"),
    (3.5, "#2 DONE 0.5s"),
    (4.5, "#3 [web 2/2] RUN npm ci"),
    (24.5, "#3 DONE 20.0s"),
    (25.0, "#4 exporting to image"),
    (26.0, "#4 DONE 1.0s"),
];

fn timed(lines: &[(f64, &str)]) -> String {
    lines.iter().map(|(at, text)| format!("2026-03-01T10:00:{at:06.3}Z {text}\n")).collect()
}

#[test]
fn two_builds_with_mixed_lines_are_separated() {
    let mut lines = [API, WEB].concat();
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    let found = builds(timed(&lines).as_bytes()).unwrap();
    let [api, web] = found.records() else { panic!("{} builds", found.records().len()) };
    assert_eq!(steps(api), [step("api", "FROM golang", 500), step("api", "RUN go build", 10_000)]);
    assert_eq!(steps(web), [step("web", "FROM node", 500), step("web", "RUN npm ci", 20_000)]);
    assert!(web.notes[0].starts_with("the lines of several builds are mixed"), "{:?}", web.notes);
}

#[test]
fn a_repeated_end_after_the_build_moves_no_step() {
    let mut lines = API.to_vec();
    lines.extend([(40.0, "#3 DONE 0.2s"), (50.0, "#2 DONE 0.0s"), (55.0, "#4 DONE 1.0s")]);
    let (alone, again) = (import(timed(&API).as_bytes()).unwrap(), import(timed(&lines).as_bytes()).unwrap());
    assert_eq!((steps(&again), again.wall), (steps(&alone), alone.wall));
}

#[test]
fn a_log_without_its_head_says_what_is_missing() {
    let log = "#7 12.30 compiling b\n#7 DONE 20.0s\n\n#8 [build 4/4] RUN make test\n#8 DONE 10.0s\n\n#9 exporting to image\n#9 DONE 1.0s\n";
    let record = import(log.as_bytes()).unwrap();
    assert_eq!(steps(&record), [step("build", "RUN make test", 10_000)]);
    let expected = "the log starts after the build did: steps of 20.0 s have no name in it and are left out";
    assert_eq!(record.notes, [expected]);
}

/// A vertex of rawjson: its digest, its name, its start and end in seconds, and what it needs.
fn vertex((digest, name, start, end, needs): (&str, &str, f64, f64, &[&str])) -> String {
    let needs: Vec<String> = needs.iter().map(|need| format!("\"sha256:{need}\"")).collect();
    format!(
        "{{\"vertexes\":[{{\"digest\":\"sha256:{digest}\",\"name\":\"{name}\",\"inputs\":[{}],\"started\":\"2026-03-01T10:00:{start:06.3}Z\",\"completed\":\"2026-03-01T10:00:{end:06.3}Z\"}}]}}\n",
        needs.join(",")
    )
}

#[test]
fn rawjson_without_edges_gets_the_edges_of_its_stages() {
    let lines: String = [
        ("a", "[internal] load build definition from Dockerfile", 0.0, 0.1),
        ("b", "[build 1/2] FROM golang", 0.1, 1.0),
        ("c", "[other 1/1] RUN sleep 9", 0.1, 9.1),
        ("d", "[build 2/2] RUN go build", 1.0, 11.0),
        ("e", "[stage-2 1/1] COPY --from=build /o /o", 11.0, 11.3),
    ]
    .map(|(digest, name, start, end)| vertex((digest, name, start, end, &[])))
    .concat();
    let record = import(lines.as_bytes()).unwrap();
    let text = |id: buildscope_record::StepId| record.steps[id.index()].text.as_str();
    let edges: Vec<_> = record.edges.iter().map(|edge| (text(edge.from), text(edge.to))).collect();
    for edge in [("FROM golang", "RUN go build"), ("RUN go build", "COPY --from=build /o /o")] {
        assert!(edges.contains(&edge), "{edges:?}");
    }
    assert!(!record.source.fidelity.edges, "the edges are guessed");
}

#[test]
fn targets_of_bake_are_one_build() {
    let target = |name: &str, start: f64| {
        [
            vertex((
                &format!("a{name}"),
                &format!("[{name} internal] load build definition from Dockerfile"),
                start,
                start + 0.1,
                &[],
            )),
            vertex((&format!("b{name}"), &format!("[{name} 1/2] FROM base"), start + 0.1, start + 1.0, &[])),
            vertex((
                &format!("c{name}"),
                &format!("[{name} 2/2] RUN make"),
                start + 1.0,
                start + 5.0,
                &[&format!("b{name}")],
            )),
            vertex((
                &format!("d{name}"),
                &format!("[{name}] exporting to image"),
                start + 5.0,
                start + 6.0,
                &[&format!("c{name}")],
            )),
        ]
        .concat()
    };
    let both = builds((target("api", 0.0) + &target("web", 6.1)).as_bytes()).unwrap();
    assert_eq!(both.records().len(), 1);
    let record = &both.records()[0];
    assert_eq!(record.wall.0 / 1_000_000, 12_100);
    let millis = |time: Option<buildscope_record::Nanos>| time.unwrap().0 / 1_000_000;
    let delivered =
        |target: &buildscope_record::Target| (target.name.clone(), millis(target.start), millis(target.end));
    let targets: Vec<_> = record.targets.iter().map(delivered).collect();
    assert_eq!(targets, [("api".into(), 5_000, 6_000), ("web".into(), 11_100, 12_100)]);
    // Each target needs its own RUN.
    for (target, needed) in record.targets.iter().zip(record.steps_of_targets()) {
        let stages = needed.iter().filter_map(|step| record.steps[step.index()].stage);
        let names: Vec<_> = stages.map(|stage| record.stages[stage.index()].name.split(' ').next().unwrap()).collect();
        assert!(!names.is_empty() && names.iter().all(|name| *name == target.name), "{names:?}");
    }
    // The same target again is another build.
    let again = target("api", 6.1).replace("sha256:", "sha256:1");
    assert_eq!(builds((target("api", 0.0) + &again).as_bytes()).unwrap().records().len(), 2);
}

/// BuildKit names a vertex after each target that uses it, also in the middle of its lines.
#[test]
fn a_step_of_several_targets_is_one_step() {
    let plain = "#0 building with \"ci\" instance using remote driver\n\n\
        #1 [internal] load local bake definitions\n#1 DONE 0.0s\n\n\
        #2 [api internal] load build definition from Dockerfile\n#2 DONE 0.1s\n\n\
        #3 [api context base] load metadata for docker.io/library/base\n#3 DONE 0.1s\n\n\
        #4 [web internal] load build definition from Dockerfile\n#4 DONE 0.2s\n\n\
        #3 [web context base] load metadata for docker.io/library/base\n#3 DONE 0.3s\n\n\
        #5 [api build 1/2] COPY . /src\n#5 DONE 1.0s\n\n\
        #6 [web build 2/2] RUN make\n#6 0.500 making\n#6 ...\n\n\
        #7 [web files 1/1] COPY file /\n#7 DONE 0.1s\n\n\
        #6 [api build 2/2] RUN make\n#6 DONE 5.0s\n\n\
        #8 [web stage-2 1/1] COPY --from=build /o /o\n#8 DONE 0.1s\n";
    let read = builds(plain.as_bytes()).unwrap();
    let found: Vec<_> = read.records().iter().map(|record| record.steps.len()).collect();
    assert_eq!(found, [8]);
    let record = &read.records()[0];
    assert!(record.succeeded && record.notes.iter().all(|note| !note.contains("mixed")), "{:?}", record.notes);
    assert!(steps(record).contains(&step("web build", "RUN make", 5_000)), "{:?}", steps(record));
    // A stage whose steps are named after two targets is complete.
    let rawjson: String = [
        vertex(("a", "[api internal] load build definition from Dockerfile", 0.0, 0.1, &[])),
        vertex(("b", "[web internal] load build definition from Dockerfile", 0.0, 0.1, &[])),
        vertex(("c", "[api build 1/2] COPY . /src", 0.1, 1.0, &[])),
        vertex(("d", "[web build 2/2] RUN make", 1.0, 5.0, &["c"])),
    ]
    .concat();
    let warning = "WARNING: No output specified for api, web target(s) with remote driver. Build result will only remain in the build cache.\n";
    assert!(import((rawjson + warning).as_bytes()).unwrap().succeeded);
}

#[test]
fn a_log_without_an_export_is_finished_only_if_none_was_due() {
    let log = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\n\n#2 [1/2] FROM x\n#2 DONE 1.0s\n\n#3 [2/2] RUN make\n#3 DONE 5.0s\n";
    let record = read(log);
    assert_eq!((record.unfinished, record.succeeded), (true, false));
    assert!(record.notes.iter().any(|note| note.contains("or the build had no output")), "{:?}", record.notes);
    let warning = "No output specified with docker-container driver. Build result will only remain in the build cache.";
    for whole in [
        format!("WARNING: {warning}\n{log}"),
        format!("{log}time=\"2026-03-01T10:00:00Z\" level=warning msg=\"{warning}\"\n"),
        format!("#0 building with \"ci\" instance using docker-container driver\n\n{log}"),
        format!("{log}\n#4 exporting to image\n#4 DONE 0.1s\n"),
    ] {
        assert!(read(&whole).succeeded, "{whole}");
    }
    // BuildKit gives the FROM of a named context no number, but counts it.
    let start = "#0 building with \"ci\" instance using docker-container driver\n\n#1 [internal] load build definition\n#1 DONE 0.1s\n\n";
    let context = "#2 [context base] load metadata for docker.io/library/base\n#2 DONE 0.1s\n\n";
    let [first, second] = ["#3 [1/3] RUN make\n#3 DONE 5.0s\n\n", "#4 [2/3] RUN test\n#4 DONE 1.0s\n\n"];
    for (log, succeeded) in [
        ([start, context, first, second].concat(), true),
        ([start, context, first].concat(), false),
        ([start, first, second].concat(), false),
    ] {
        assert_eq!(read(&log).succeeded, succeeded, "{log}");
    }
    // The warning about a second build is not about the first.
    let both =
        builds(format!("{log}\n#4 exporting to image\n#4 DONE 0.1s\nWARNING: {warning}\n{log}").as_bytes()).unwrap();
    let ends: Vec<_> = both.records().iter().map(|record| (record.wall.0 / 1_000_000, record.succeeded)).collect();
    assert_eq!(ends, [(6200, true), (6100, true)]);
}

#[test]
fn layers_that_kaniko_pushes_to_its_cache_are_not_its_result() {
    let log = "INFO[0000] Retrieving image manifest golang:1
INFO[0000] Building stage 'golang:1' [idx: '0', base-idx: '-1']
INFO[0000] Checking for cached layer registry.example/c:1a...
INFO[0000] No cached layer found for cmd RUN make
INFO[0000] Unpacking rootfs as cmd RUN make requires it.
INFO[0002] RUN make
INFO[0002] Cmd: /bin/sh
INFO[0002] Running: [/bin/sh -c make]
INFO[0012] Taking snapshot of full filesystem...
INFO[0013] COPY a b
INFO[0013] Pushing layer registry.example/c:1a to cache now
INFO[0013] Pushing image to registry.example/c:1a
INFO[0014] Taking snapshot of files...
INFO[0015] CMD [\"b\"]
INFO[0015] No files changed in this command, skipping snapshotting.
INFO[0025] Pushed registry.example/c@sha256:11
";
    let record = read(log);
    assert_eq!((record.unfinished, record.succeeded), (true, false));
    let record = read(&format!(
        "{log}INFO[0025] Pushing image to registry.example/p:2\nINFO[0028] Pushed registry.example/p@sha256:22\n"
    ));
    assert!(record.succeeded);
    assert_eq!(record.stages.len(), 1);
    let kept = |text: &str, took: u64| step("0", text, took);
    assert_eq!(steps(&record), [kept("RUN make", 11_000), kept("COPY a b", 2000), kept("CMD [\"b\"]", 0)]);
    // The build waited for the cache.
    let waited =
        record.spans.iter().filter(|span| span.phase == Phase::Push).map(|span| span.end.0 - span.start.0).sum::<u64>();
    assert_eq!(waited / 1_000_000_000, 13);
}

#[test]
fn a_kaniko_log_that_ends_within_a_step_or_before_a_stage_is_unfinished() {
    let head =
        "INFO[0000] Retrieving image manifest golang:1\nINFO[0001] Executing 0 build triggers\nINFO[0002] RUN make\n";
    let ran = "INFO[0002] Initializing snapshotter ...\nINFO[0002] Taking snapshot of full filesystem...\n";
    for (end, finished) in [
        ("", false),
        (ran, false),
        ("INFO[0003] Running: [/bin/sh -c make]\ncc a.c\n", false),
        ("INFO[0003] Running: [/bin/sh -c make]\nINFO[0009] Taking snapshot of full filesystem...\n", true),
        ("INFO[0009] Taking snapshot of full filesystem...\nINFO[0010] COPY a b\n", false),
        ("INFO[0009] Taking snapshot of full filesystem...\nINFO[0010] CMD a\n", true),
        (
            "INFO[0009] Taking snapshot of full filesystem...\nINFO[0010] Saving file out for later use\nINFO[0011] Deleting filesystem...\n",
            false,
        ),
    ] {
        let record = read(&format!("{head}{end}"));
        assert_eq!((record.unfinished, record.succeeded), (!finished, finished), "{end}");
    }
}
