//! Records of real builds.

use crate::world::World;
use buildscope_record::{CacheState, Nanos, Phase, Removal, WaitKind};
use buildscope_reports::explain;
use buildscope_testing::{Registry, test};
use std::collections::BTreeMap;
use std::fs;

#[test]
fn the_wall_account_of_a_real_build_sums_to_its_wall_time() {
    let world = World::new(
        "FROM busybox AS a\nRUN sleep 0.2\nFROM busybox AS b\nRUN sleep 0.1\nFROM busybox\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n",
    );
    for policy in ["serial", "stages", "instructions"] {
        let record = world.build(&["--no-cache", "--policy", policy]).record();
        let explanation = explain(&record);
        let groups: Nanos = explanation.accounts.groups.iter().map(|row| row.wall).sum();
        let phases: Nanos = explanation.accounts.phases.iter().map(|row| row.wall).sum();
        assert_eq!((groups, phases), (record.wall, record.wall), "{policy}");
        let mut at = Nanos::ZERO;
        for segment in &explanation.segments {
            assert_eq!(segment.start, at, "{policy}: the path has no gap and no overlap");
            at = segment.end;
        }
        assert_eq!(at, record.wall, "{policy}");
    }
}

#[test]
fn one_slot_causes_slot_waits() {
    let world = World::new(
        "FROM busybox AS a\nRUN sleep 0.2\nFROM busybox AS b\nRUN sleep 0.2\nFROM busybox\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n",
    );
    let record = world.build(&["--jobs", "1"]).record();
    let longest = |kind| {
        let waits = record.waits.iter().filter(|wait| wait.kind == kind);
        waits.map(|wait| wait.end.saturating_sub(wait.start)).max().unwrap_or_default()
    };
    assert!(longest(WaitKind::Slot) >= Nanos(150_000_000), "{:?}", record.waits);
    assert!(record.steps.iter().all(|step| step.slot.is_none_or(|slot| slot == 0)));
}

/// busybox is one layer, which the first build of a store makes.
#[test]
fn a_record_has_the_size_of_its_base_image() {
    let world = World::new("FROM busybox AS a\nRUN true\nFROM a\nRUN echo b > /b\nFROM scratch\nCOPY --from=1 /b /\n");
    let record = world.build(&["--no-cache"]).record();
    let made = record.spans.iter().find(|span| span.phase == Phase::Archive && span.step.is_none());
    let bytes = made.and_then(|span| span.fields.get("bytes_written")).copied();
    let bases: Vec<_> = record.steps.iter().map(|step| step.base.map(|base| (base.bytes.0, base.layers))).collect();
    assert!(bytes.is_some_and(|bytes| bytes > 0 && bytes % 512 == 0), "{bytes:?}");
    assert_eq!(bases, [bytes.map(|bytes| (bytes, 1)), None, None, None, None, None]);
    let again = world.build(&[]).record();
    assert!(again.steps.iter().all(|step| step.base.is_none_or(|base| Some(base.bytes.0) == bytes)));
}

/// Of a base of 8 MB that is pulled, one step reads a file of 1 MB and the shell.
#[test(Root, Program("docker-registry"))]
fn a_record_has_what_steps_read_of_a_pulled_base() {
    const FILE: u64 = 1 << 20;
    let registry = Registry::start();
    let made = World::new("FROM busybox\nRUN for n in 1 2 3 4 5 6 7 8; do head -c 1048576 /dev/urandom > /$n; done\n");
    let name = registry.name("base:1");
    made.build(&["-t", &name, "--push"]).record();

    let world = World::new(&format!("FROM {name}\nRUN cat /3 > /dev/null\n"));
    let pulled = world.build(&["--driver", "erofs"]).record();
    let base = pulled.steps[0].base.unwrap();
    let read = base.read.unwrap().0;
    // busybox has about two megabytes.
    assert!(base.bytes.0 > 8 * FILE && (FILE..5 * FILE).contains(&read), "{read} of {}", base.bytes);
    let bases = explain(&pulled).bases;
    assert_eq!(bases.iter().map(|base| base.read.0).collect::<Vec<_>>(), [read]);

    // The base is here now.
    let again = world.build(&["--driver", "erofs", "--no-cache"]).record();
    assert_eq!(again.steps[0].base.unwrap().read, None);
}

/// The CPU time of the build includes the builder's own work and that of the steps.
#[test]
fn cpu_time_of_the_build_includes_its_steps() {
    let world = World::new("FROM busybox\nRUN i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done\n");
    let record = world.build(&["--no-cache"]).record();
    let used = record.steps.iter().filter_map(|step| step.resources);
    let steps: Nanos = used.map(|used| used.cpu_user + used.cpu_system).sum();
    let whole = record.cpu.unwrap();
    assert!(steps > Nanos::ZERO && whole > steps, "{whole} with {steps} in the steps");
    assert!(whole.0 <= record.wall.0 * u64::from(record.host.cpus.unwrap()) * 2, "{whole} in {}", record.wall);
}

/// Both RUNs of the chain and no COPY run a process: the build takes two delays longer, and its record shows where.
#[test]
fn a_delay_takes_effect_at_its_phase() {
    let world = World::new("FROM busybox\nRUN echo a > /a\nRUN echo b > /b\n");
    let record = world.build(&["--no-cache", "--delay", "process=0.3"]).record();
    let processes = record.spans.iter().filter(|span| span.phase == Phase::Process);
    let long = processes.filter(|span| span.end.saturating_sub(span.start) >= Nanos(300_000_000));
    assert_eq!(long.count(), 2);
    assert!(record.wall >= Nanos(600_000_000));
    let refused = world.command(&["--delay", "nothing=1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn unexpected_cache_misses_fail_with_the_change() {
    let world = World::new("FROM busybox\nCOPY word /word\nRUN cat /word > /copy\n");
    world.write("word", "one");
    let first = world.build(&["--expect-cached"]);
    assert_eq!(first.output.status.code(), Some(1), "the cache is empty");
    assert!(first.stderr().contains("`RUN cat /word > /copy`"), "{}", first.stderr());
    let record = first.read();
    assert_eq!(record.options.cache, None);
    let before = world.path("before.json");
    record.write(std::fs::File::create(&before).unwrap()).unwrap();
    let again = world.build(&["--expect-cached"]);
    assert_eq!(again.output.status.code(), Some(0), "{}", again.stderr());
    assert_eq!(again.record().options.cache, Some(CacheState::Warm));

    world.write("word", "two");
    let changed = world.build(&["--expect-cached", "--why-miss", before.to_str().unwrap()]);
    assert_eq!(changed.output.status.code(), Some(1));
    let printed = changed.stderr().split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
    assert!(
        printed.contains("`COPY word /word` changed: `word`") && printed.contains("with 1 step after it"),
        "{printed}"
    );
}

/// Pruning by age and pruning by size are different reasons, and the next build names the right one.
#[test]
fn expired_and_pruned_results_are_distinguished() {
    let world = World::new("FROM scratch\nCOPY word /word\n");
    world.write("word", "one");
    let prune = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_buildscope"));
        let output = command.args(["store", "prune", "--root"]).arg(&world.store).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    world.build(&[]).record();
    for (args, removed, reason) in [
        (["--keep-duration", "0s"], Removal::Expired, "ran again: its result expired (unused for "),
        (["--keep-bytes", "0"], Removal::Pruned, "ran again: its result was pruned "),
    ] {
        prune(&args);
        let again = world.build(&["--expect-cached"]);
        assert_eq!(again.output.status.code(), Some(1));
        let printed = again.stderr().split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
        assert!(printed.contains(reason), "{printed}");
        let record = again.read();
        let copy = record.steps.iter().find(|step| step.instruction.name() == "COPY").unwrap();
        assert_eq!(copy.cache.as_ref().unwrap().removed, Some(removed));
    }
    assert_eq!(world.build(&["--expect-cached"]).output.status.code(), Some(0));
}

/// The whole protocol of a collector for one export: OTLP/HTTP has a POST to `/v1/traces` and a response of 200.
#[test]
fn a_collector_receives_the_build_as_spans() {
    use std::io::{BufRead, BufReader, Read, Write};
    let world = World::new("FROM busybox\nRUN true\n");
    let built = world.build(&[]);
    let path = world.path("of-collector.json");
    built.read().write(std::fs::File::create(&path).unwrap()).unwrap();
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", collector.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let (stream, _) = collector.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        (lower, body)
    });
    let mut explain = std::process::Command::new(env!("CARGO_BIN_EXE_buildscope"));
    explain.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json").arg("explain").arg(&path);
    let printed = explain.args(["--otlp", &url]).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let (head, body) = received.join().unwrap();
    assert!(head.starts_with("post /v1/traces http/1.1") && head.contains("content-type: application/json"), "{head}");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len());
    let roots = spans.iter().filter(|span| span["parentSpanId"] == "").count();
    let lost =
        spans.iter().filter(|span| span["parentSpanId"] != "" && !ids.contains(span["parentSpanId"].as_str().unwrap()));
    assert_eq!((roots, lost.count()), (1, 0), "one build, and every span's parent exists");
    assert!(spans.iter().any(|span| span["name"] == "RUN true"));
}

#[test]
fn a_profile_names_the_functions_that_ran() {
    let world = World::new("FROM scratch\nCOPY . /\n");
    fs::write(world.context().join("large"), vec![b'x'; 64 << 20]).unwrap();
    let profile = world.path("profile");
    world.build(&["--pprof", profile.to_str().unwrap()]).record();
    let stacks = fs::read_to_string(profile.join("stacks.folded")).unwrap();
    // Hashing 64 MiB takes some of a thousand samples a second. A sample without frames has only the name of its
    // thread.
    assert!(stacks.lines().any(|stack| stack.contains(";buildscope_builder::")), "{stacks}");
    assert!(fs::read_to_string(profile.join("flamegraph.svg")).unwrap().contains("buildscope_builder::"));
}

/// Readers add the start and the length of a slice as doubles. Slices of one track nest in that arithmetic, or readers close them in the
/// wrong order.
#[test]
fn slices_of_both_timelines_nest_in_double_arithmetic() {
    let world = World::new(
        "FROM busybox AS a\nRUN for i in 1 2 3 4 5; do /bin/true; done\nFROM busybox AS b\nRUN sleep 0.1\nFROM busybox\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n",
    );
    let (trace, engine) = (world.path("trace.json"), world.path("engine.json"));
    let args = ["--no-cache", "--trace", trace.to_str().unwrap(), "--engine-trace", engine.to_str().unwrap()];
    world.build(&args).record();
    for file in [trace, engine] {
        let timeline: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let slices = timeline["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
        let mut tracks: BTreeMap<(u64, u64), Vec<(f64, f64)>> = BTreeMap::new();
        for slice in slices {
            let number = |name: &str| slice[name].as_f64().unwrap();
            let track = (slice["pid"].as_u64().unwrap(), slice["tid"].as_u64().unwrap());
            tracks.entry(track).or_default().push((number("ts"), number("ts") + number("dur")));
        }
        assert!(tracks.values().map(Vec::len).sum::<usize>() > 20, "{}", file.display());
        for (track, mut slices) in tracks {
            slices.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
            let mut open: Vec<f64> = Vec::new();
            for (start, end) in slices {
                while open.last().is_some_and(|&last| last <= start) {
                    open.pop();
                }
                assert!(open.last().is_none_or(|&last| end <= last), "{}, {track:?}: {start}..{end}", file.display());
                open.push(end);
            }
        }
    }
}
