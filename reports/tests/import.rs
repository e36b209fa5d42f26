//! Importers against small samples whose answers are arithmetic, and against the same samples torn and twisted.

use buildscope_record::{CacheState, EdgeKind, Outcome, Phase, Record, Step, WaitKind};
use buildscope_reports::import::{Format, ImportError, detect, import};
use buildscope_reports::{Explanation, explain};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)).unwrap()
}

fn read(name: &str) -> (Record, Explanation) {
    let record = import(&sample(name)).unwrap();
    let explanation = explain(&record);
    assert_eq!(explanation.accounts.groups.iter().map(|row| row.wall).sum::<buildscope_record::Nanos>(), record.wall);
    (record, explanation)
}

fn step<'r>(record: &'r Record, text: &str) -> &'r Step {
    record.steps.iter().find(|step| step.text.contains(text)).unwrap_or_else(|| panic!("no {text} in {record:#?}"))
}

/// Start and end in milliseconds.
fn times(step: &Step) -> (u64, u64) {
    (step.start.unwrap().0 / 1_000_000, step.end.unwrap().0 / 1_000_000)
}

fn wall(explanation: &Explanation, phase: Phase) -> u64 {
    explanation.accounts.phases.iter().find(|row| row.name == phase).map_or(0, |row| row.wall.0 / 1_000_000)
}

const SAMPLES: [(&str, Format); 12] = [
    ("buildkit.rawjson", Format::RawJson),
    ("buildkit.failed.rawjson", Format::RawJson),
    ("buildkit.plain.log", Format::Plain),
    ("buildkit.plain.ts.log", Format::Plain),
    ("classic.ts.log", Format::Classic),
    ("classic.log", Format::Classic),
    ("buildah.ts.log", Format::Buildah),
    ("kaniko.json", Format::Kaniko),
    ("kaniko.log", Format::KanikoLog),
    ("console.log", Format::Terminal),
    ("inspect.json", Format::Inspect),
    ("any.otlp.json", Format::Otlp),
];

#[test]
fn formats_are_recognised() {
    for (name, format) in SAMPLES {
        assert_eq!(detect(&sample(name)), Some(format), "{name}");
    }
    let record =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("record/tests/examples/diamond.serial.json")).unwrap();
    assert_eq!(detect(&record), Some(Format::Record));
    // Numbers by name are kaniko's only with its total.
    for text in ["FROM busybox\nRUN true\n", "{}", "{\"a\": \"b\"}", "{\"a\": 1}", "[1]"] {
        assert!(matches!(import(text.as_bytes()), Err(ImportError::Unknown)), "{text}");
    }
    assert!(matches!(import(b""), Err(ImportError::NoBytes)));
}

#[test]
fn vertexes_of_rawjson_become_steps() {
    let (record, explanation) = read("buildkit.rawjson");
    assert!(record.source.fidelity.starts && record.source.fidelity.edges && !record.source.fidelity.waits);
    assert_eq!(record.wall.0, 3_000_000_000);
    assert_eq!(record.started.as_deref(), Some("2026-01-01T00:00:00Z"));
    // A vertex that began twice: looked up for 10 µs, then at work for 99 ms.
    let load = step(&record, "load build definition");
    assert_eq!(times(load), (0, 100));
    let spans: Vec<_> = record.spans.iter().filter(|span| span.step == Some(load.id)).map(|span| span.phase).collect();
    assert_eq!(spans, [Phase::CacheLookup, Phase::Read]);
    assert_eq!(step(&record, "FROM").outcome, Outcome::Cached);
    assert_eq!(step(&record, "make").log, ["made it"]);
    // Between the context's end (300) and the COPY's start (500) nothing is shown: hashing, inferred.
    let hash = record.spans.iter().find(|span| span.phase == Phase::ContextHash).unwrap();
    assert_eq!((hash.start.0, hash.end.0, hash.name.as_deref()), (300_000_000, 500_000_000, Some("inferred")));
    assert_eq!(wall(&explanation, Phase::ContextHash), 200);
    // Both RUNs take one lock: the second waited for the first until 1600, inferred.
    let [wait] = &record.waits[..] else { panic!("{:?}", record.waits) };
    assert_eq!((wait.kind, wait.on, wait.end.0), (WaitKind::Lock, Some(step(&record, "make").id), 1_600_000_000));
    assert!(wait.name.as_ref().unwrap().contains("inferred"));
    let path: Vec<_> = explanation
        .path
        .iter()
        .map(|leg| record.steps[leg.step.index()].text.split(' ').next_back().unwrap())
        .collect();
    assert_eq!(path, ["Dockerfile", "context", "/src", "make", "other", "image"]);
}

/// docker 20.10: two stages ask for the metadata of one image at the same time. Three starts of the vertex are reported, and two ends.
#[test]
fn a_vertex_that_is_done_has_no_open_run_from_before() {
    let at = |milliseconds: u32| format!("2026-01-01T00:00:00.{milliseconds:03}Z");
    let vertex = |name: &str, start: u32, end: Option<u32>| {
        let end = end.map(|end| format!(r#","completed":"{}""#, at(end))).unwrap_or_default();
        format!(r#"{{"vertexes":[{{"digest":"sha256:{name}","name":"{name}","started":"{}"{end}}}]}}"#, at(start))
            + "\n"
    };
    let metadata = "[internal] load metadata for docker.io/library/busybox:latest";
    let log = [
        vertex(metadata, 103, None),
        vertex(metadata, 101, Some(130)),
        vertex(metadata, 102, Some(140)),
        vertex("[1/2] RUN make", 150, Some(400)),
        vertex("exporting to image", 400, Some(450)),
    ];
    let record = import(log.concat().as_bytes()).unwrap();
    assert!(record.succeeded && !record.unfinished, "{record:?}");
    // A vertex that starts again after its end, for the work after the cache lookup, can still be cut off.
    let log = [
        vertex(metadata, 101, Some(102)),
        vertex("[1/2] RUN make", 150, Some(151)),
        vertex("[1/2] RUN make", 152, None),
    ];
    assert!(import(log.concat().as_bytes()).unwrap().unfinished);
}

#[test]
fn rawjson_of_a_failure() {
    let (record, explanation) = read("buildkit.failed.rawjson");
    assert!(!record.succeeded);
    let outcomes: Vec<_> = record.steps.iter().map(|step| (step.text.as_str(), step.outcome)).collect();
    assert_eq!(
        outcomes,
        [("RUN exit 7", Outcome::Failed), ("RUN never", Outcome::Pruned), ("RUN sleep 9", Outcome::Cancelled)]
    );
    assert_eq!(step(&record, "exit 7").exit_code, Some(7));
    assert!(
        explanation.answer.starts_with("The build failed with exit code 7 after 1.00 s in `RUN exit 7`"),
        "{}",
        explanation.answer
    );
}

#[test]
fn plain_without_times_starts_steps_when_their_inputs_end() {
    let (record, explanation) = read("buildkit.plain.log");
    assert_eq!(record.source.fidelity, Default::default());
    // 0.1 + 0.2 + COPY 0.1 + RUN 1.5 + COPY --from 0.3 + export 0.4
    assert_eq!(record.wall.0, 2_600_000_000);
    assert_eq!(times(step(&record, "RUN make")), (400, 1900));
    assert_eq!(times(step(&record, "COPY --from=a")), (1900, 2200));
    assert_eq!(step(&record, "RUN make").log, ["making"]);
    assert_eq!(explanation.missing.len(), 5);
}

#[test]
fn plain_with_times_takes_them() {
    let (record, _) = read("buildkit.plain.ts.log");
    assert!(record.source.fidelity.starts);
    assert_eq!(times(step(&record, "RUN make")), (200, 2200));
    let failed = step(&record, "make install");
    assert_eq!((failed.outcome, failed.exit_code, times(failed)), (Outcome::Failed, Some(2), (2200, 2800)));
}

#[test]
fn times_of_the_classic_builder_become_phases() {
    let (record, explanation) = read("classic.ts.log");
    assert_eq!((record.wall.0, record.succeeded), (8_000_000_000, true));
    assert_eq!(times(step(&record, "RUN make")), (1000, 5000));
    let phases =
        [Phase::ContextScan, Phase::SandboxSetup, Phase::Process, Phase::Commit, Phase::CacheLookup, Phase::Export];
    assert_eq!(phases.map(|phase| wall(&explanation, phase)), [1000, 500, 2500, 1000, 2000, 1000]);
    let copy = step(&record, "COPY");
    assert_eq!(
        (copy.outcome, record.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>()),
        (Outcome::Cached, vec!["a", "1"])
    );
    assert!(
        record
            .edges
            .iter()
            .any(|edge| edge.to == copy.id && edge.from == step(&record, "RUN").id && edge.kind == EdgeKind::Data)
    );
    let (untimed, explanation) = read("classic.log");
    assert_eq!((untimed.steps.len(), untimed.wall.0), (4, 0));
    assert_eq!(explanation.answer, "The record has no times: it says what ran, not how long it took.");
}

#[test]
fn steps_of_buildah_end_at_the_start_of_the_next() {
    let (record, _) = read("buildah.ts.log");
    // Four steps end at 2, 3, 5 and 6 s. The line after 3 s announces the step after COPY --from=a: that one ended at 3.
    assert_eq!(times(step(&record, "make a")), (0, 2000));
    assert_eq!(times(step(&record, "--from=a")), (2000, 3000));
    assert_eq!(times(step(&record, "make b")), (0, 5000));
    assert_eq!(times(step(&record, "--from=b")), (5000, 6000));
    assert_eq!(times(step(&record, "COMMIT")), (6000, 7000));
    assert_eq!(record.wall.0, 7_000_000_000);
}

#[test]
fn timings_of_kaniko_become_phases() {
    let (record, explanation) = read("kaniko.json");
    assert_eq!((record.wall.0, record.steps.len()), (3_100_000_000, 2));
    assert_eq!(
        (wall(&explanation, Phase::Process), wall(&explanation, Phase::Unpack), wall(&explanation, Phase::Diff)),
        (1500, 600, 700)
    );
}

#[test]
fn messages_of_kaniko_become_steps_and_phases() {
    let (record, explanation) = read("kaniko.log");
    assert_eq!((record.wall.0, record.succeeded, record.source.fidelity.phases), (58_000_000_000, true, true));
    assert_eq!(
        (times(step(&record, "RUN make")), step(&record, "RUN make").log.clone()),
        ((5000, 52_000), vec!["made it".to_owned()])
    );
    assert_eq!(times(step(&record, "COPY --from=0")), (53_000, 54_000));
    let phases = [Phase::Process, Phase::Diff, Phase::Unpack, Phase::Pull, Phase::Push];
    // Three snapshots of 3, 3 and 1 s.
    assert_eq!(phases.map(|phase| wall(&explanation, phase)), [40_000, 7000, 3000, 2000, 4000]);
    let data = record.edges.iter().any(|edge| edge.kind == EdgeKind::Data && edge.to == step(&record, "COPY").id);
    assert!(data, "{:?}", record.edges);
}

#[test]
fn the_display_of_a_terminal_has_durations() {
    let (record, explanation) = read("console.log");
    assert_eq!((record.wall.0, record.succeeded, record.unfinished), (7_900_000_000, true, false));
    // 0.1 + 0.4 + RUN 5.0 + COPY 0.3 + export 2.0
    assert_eq!(times(step(&record, "RUN make")), (500, 5500));
    assert_eq!(times(step(&record, "exporting to image")), (5800, 7800));
    assert_eq!(step(&record, "FROM").outcome, Outcome::Cached);
    assert_eq!(step(&record, "RUN make").log, ["making"]);
    assert!(
        explanation.answer.starts_with("The build took 7.90 s; 5.00 s of it (63 %) went to `RUN make`"),
        "{}",
        explanation.answer
    );
}

#[test]
fn a_history_entry_has_a_duration_and_no_steps() {
    let (record, explanation) = read("inspect.json");
    assert_eq!((record.wall.0, record.steps.len(), record.options.cache), (4_000_000_000, 0, Some(CacheState::Cold)));
    assert_eq!(explanation.answer, "The build took 4.00 s; the record does not say what it did.");
}

#[test]
fn spans_of_otlp_become_steps() {
    let (record, _) = read("any.otlp.json");
    assert_eq!((record.wall.0, record.succeeded), (3_000_000_000, false));
    assert_eq!((times(step(&record, "RUN make")), times(step(&record, "COPY x"))), ((500, 2000), (2000, 3000)));
    assert_eq!(record.edges.len(), 1);
}

/// A `.dockerbuild`: an uncompressed tar of an OCI layout with a status stream, a trace and a provenance.
fn dockerbuild() -> Vec<u8> {
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            bytes.push(if value == 0 { low } else { low | 0x80 });
            if value == 0 {
                return bytes;
            }
        }
    };
    let bytes =
        |field: u64, content: &[u8]| [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat();
    let time = |field: u64, millis: u64| {
        let stamp =
            [varint(1 << 3), varint(1_767_225_600 + millis / 1000), varint(2 << 3), varint(millis % 1000 * 1_000_000)]
                .concat();
        bytes(field, &stamp)
    };
    let vertex = |digest: &str, name: &str, inputs: &[&str], start, end| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|input| bytes(2, input.as_bytes())).collect();
        bytes(
            1,
            &[bytes(1, digest.as_bytes()), inputs, bytes(3, name.as_bytes()), time(5, start), time(6, end)].concat(),
        )
    };
    let message = [
        vertex("sha256:0a", "[a 1/2] RUN make", &[], 1000, 3000),
        vertex("sha256:0b", "[a 2/2] RUN make install", &["sha256:0a"], 3000, 3500),
        bytes(3, &[bytes(1, b"sha256:0a"), bytes(4, b"made\n")].concat()),
    ]
    .concat();
    let status = [(message.len() as u32).to_le_bytes().to_vec(), message].concat();
    let trace = r#"{"Name":"build /app","SpanContext":{"SpanID":"01"},"Parent":{"SpanID":"00"},"StartTime":"2026-01-01T00:00:00.5Z","EndTime":"2026-01-01T00:00:04Z","Attributes":[]}
{"Name":"cache request: [a 1/2] RUN make","SpanContext":{"SpanID":"02"},"Parent":{"SpanID":"01"},"StartTime":"2026-01-01T00:00:00.9Z","EndTime":"2026-01-01T00:00:01Z","Attributes":[{"Key":"vertex","Value":{"Type":"STRING","Value":"sha256:0a"}}]}"#;
    let provenance = r#"{"buildDefinition":{"internalParameters":{"buildConfig":{"digestMapping":{"sha256:0a":"step0","sha256:0b":"step1"}}}},
        "runDetails":{"metadata":{"buildkit_metadata":{"source":{"locations":{"step0":{"locations":[{"ranges":[{"start":{"line":4},"end":{"line":5}}]}]}}},
        "layers":{"step1:0":[[{"size":100},{"size":2048}]]},"sysUsage":[{"timestamp":"2026-01-01T00:00:01Z","cpuStat":{"user":10,"system":5},"memoryStat":{"total":1000}},
        {"timestamp":"2026-01-01T00:00:03Z","cpuStat":{"user":13,"system":5.5},"memoryStat":{"total":1000}}]}}}}"#;
    let manifest = r#"{"layers":[{"mediaType":"application/vnd.buildkit.status.v0","digest":"sha256:s"},{"mediaType":"application/vnd.buildkit.otlp.json.v0","digest":"sha256:t"},
        {"mediaType":"application/vnd.in-toto+json","digest":"sha256:p"}]}"#;
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in [
        ("index.json", br#"{"manifests":[{"digest":"sha256:m"}]}"#.to_vec()),
        ("blobs/sha256/m", manifest.into()),
        ("blobs/sha256/s", status),
        ("blobs/sha256/t", trace.into()),
        ("blobs/sha256/p", provenance.into()),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn dockerbuild_joins_status_trace_and_provenance() {
    let tar = dockerbuild();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &tar).unwrap();
    for bytes in [tar.clone(), packed.finish().unwrap()] {
        assert_eq!(detect(&bytes), Some(Format::DockerBuild));
        let record = import(&bytes).unwrap();
        assert_eq!(record.wall.0, 3_500_000_000, "the client's span, 0.5 to 4.0");
        let make = step(&record, "make");
        assert_eq!((times(make), make.source.unwrap().line, make.source.unwrap().end_line), ((500, 2500), 4, 5));
        assert_eq!(make.log, ["made"]);
        assert_eq!(step(&record, "install").layer.unwrap().bytes.0, 2048);
        assert_eq!(record.edges.len(), 1);
        assert!(record.spans.iter().any(|span| span.phase == Phase::CacheLookup && span.step == Some(make.id)));
        // 3.5 s of CPU in 2 s.
        let used = record.counters.iter().find(|counter| counter.name == "machine.cpus_used").unwrap();
        assert_eq!(used.samples[0].value, 1.75);
    }
}

/// buildx writes an index of manifests if it exports several builds.
#[test]
fn dockerbuild_of_several_builds_has_all_of_them() {
    let one = files_of(&dockerbuild());
    let again = |text: &[u8]| String::from_utf8_lossy(text).replace("RUN make", "RUN test").into_bytes();
    let manifest = String::from_utf8_lossy(&one["blobs/sha256/m"]).into_owned();
    let other =
        manifest.replace("sha256:s", "sha256:s2").replace("sha256:t", "sha256:t2").replace("sha256:p", "sha256:p2");
    let mut archive = tar::Builder::new(Vec::new());
    let changed = [
        ("index.json", br#"{"manifests":[{"digest":"sha256:i"}]}"#.to_vec()),
        ("blobs/sha256/i", br#"{"manifests":[{"digest":"sha256:m"},{"digest":"sha256:m2"}]}"#.to_vec()),
        ("blobs/sha256/m2", other.into_bytes()),
        ("blobs/sha256/s2", again(&one["blobs/sha256/s"])),
    ];
    let kept =
        one.iter().filter(|(name, _)| *name != "index.json").map(|(name, content)| (name.as_str(), content.clone()));
    for (name, content) in changed.into_iter().chain(kept) {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    let found = buildscope_reports::import::builds(&archive.into_inner().unwrap()).unwrap();
    let texts: Vec<_> = found.records().iter().map(|record| record.steps[0].text.as_str()).collect();
    assert_eq!(texts, ["RUN make", "RUN test"]);
}

/// Time must grow with the size of a file. These took minutes.
#[test]
fn repeated_references_and_many_spans_take_no_quadratic_time() {
    let start = Instant::now();
    let entries = |name: &str| vec![format!(r#"{{"digest":"sha256:{name}"}}"#); 20_000].join(",");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, below) in [("index.json", "i"), ("blobs/sha256/i", "m")] {
        let content = format!(r#"{{"manifests":[{}]}}"#, entries(below)).into_bytes();
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    assert!(import(&archive.into_inner().unwrap()).is_err(), "no build is in it");
    let span = |number: u64| {
        let (start, end) = (number * 1_000_000_000, number * 1_000_000_000 + 500_000_000);
        format!(
            r#"{{"spanId":"{number:x}","name":"RUN a{number}","startTimeUnixNano":"{start}","endTimeUnixNano":"{end}"}}"#
        )
    };
    let spans: Vec<String> = (1..=20_000).map(span).collect();
    let otlp = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","));
    let record = import(otlp.as_bytes()).unwrap();
    assert_eq!((record.steps.len(), record.edges.len()), (20_000, 19_999));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// The files of an uncompressed tar.
fn files_of(tar: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let file = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    archive.entries().unwrap().map(file).collect()
}

fn survives(bytes: &[u8]) {
    if let Ok(record) = import(bytes) {
        let explanation = explain(&record);
        assert_eq!(explanation.accounts.groups.iter().map(|row| row.wall.0).sum::<u64>(), record.wall.0);
    }
}

#[test]
fn every_truncation_is_survived() {
    let samples = SAMPLES.iter().map(|(name, _)| sample(name)).chain([dockerbuild()]);
    for bytes in samples {
        for end in 0..bytes.len().min(6000) {
            survives(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn twisted_files_are_survived(
        which in 0..=SAMPLES.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        lines in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
        digits in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 0..6),
    ) {
        let mut bytes = SAMPLES.get(which).map_or_else(dockerbuild, |(name, _)| sample(name));
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Other digits keep the form and twist times, numbers and counts.
        let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
        for (at, digit) in digits {
            if !places.is_empty() {
                bytes[*at.get(&places)] = digit;
            }
        }
        let mut parts: Vec<Vec<u8>> = bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        for (a, b) in lines {
            let (a, b) = (a.index(parts.len()), b.index(parts.len()));
            parts.swap(a, b);
        }
        survives(&parts.join(&b'\n'));
    }
}

/// The inside of the step whose text has that, as command, milliseconds and what it did most.
fn inferred(explanation: &Explanation, text: &str) -> Vec<(String, u64, &'static str)> {
    let step = explanation.steps.iter().find(|step| step.text.contains(text)).unwrap();
    let inside = step.inside.as_ref().unwrap_or_else(|| panic!("no inside: {step:#?}"));
    assert_eq!(inside.observed, buildscope_record::Observed::Inferred);
    assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<buildscope_record::Nanos>(), inside.wall);
    let most =
        |row: &buildscope_reports::inside::CommandRow| row.activities.first().map_or("", |done| done.activity.name());
    inside.rows.iter().map(|row| (row.text.clone(), row.wall.0 / 1_000_000, most(row))).collect()
}

/// The output has the seconds since the start of its step.
#[test]
fn the_output_in_a_plain_log_shows_the_inside_of_a_step() {
    let log = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.0s\n\n#2 [1/2] FROM debian\n#2 DONE 0.0s\n\n\
        #3 [2/2] RUN apt-get update && apt-get install -y gcc && make\n#3 1.000 Get:1 http://deb.debian.org/debian bookworm InRelease\n\
        #3 3.000 Fetched 9 MB in 2s\n#3 3.500 Building dependency tree...\n#3 5.000 Setting up gcc (12) ...\n\
        #3 6.000 gcc -c a.c\n#3 DONE 8.0s\n";
    let explanation = explain(&import(log.as_bytes()).unwrap());
    let rows = inferred(&explanation, "apt-get update");
    let expected = [
        ("apt-get update".to_owned(), 3500, "download"),
        ("apt-get install -y gcc".to_owned(), 2500, "plan"),
        ("make".to_owned(), 2000, "compile"),
    ];
    assert_eq!(rows, expected);
}

/// One line in two parts, as BuildKit sends what a process writes.
#[test]
fn the_output_in_rawjson_shows_the_inside_of_a_step() {
    use base64::Engine as _;
    let data = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let line = |json: serde_json::Value| json.to_string() + "\n";
    let time = |second: u32| format!("2026-01-02T03:04:{second:02}Z");
    let vertex = |completed: Option<String>| {
        line(
            serde_json::json!({"vertexes": [{"digest": "sha256:a", "name": "[2/2] RUN cargo build", "started": time(0), "completed": completed}]}),
        )
    };
    let output = |second, text| {
        line(
            serde_json::json!({"logs": [{"vertex": "sha256:a", "stream": 1, "data": data(text), "timestamp": time(second)}]}),
        )
    };
    let log = [
        vertex(None),
        output(2, "   Comp"),
        output(3, "iling serde v1.0.0\n"),
        output(9, "    Finished `release` profile [optimized] target(s) in 7s\n"),
        vertex(Some(time(10))),
    ];
    let explanation = explain(&import(log.concat().as_bytes()).unwrap());
    // cargo's last line comes a second before the end of the step.
    let expected = [("cargo build".to_owned(), 9_000, "compile"), ("unattributed".to_owned(), 1_000, "")];
    assert_eq!(inferred(&explanation, "cargo build"), expected);
}
