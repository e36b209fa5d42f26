//! Each rule on a record that calls for it, and silence on one that does not.

mod caches;
mod installs;
mod waiting;

use super::*;
use crate::synthetic::{Synthetic, ms};
use crate::whatif::rank;
use buildscope_record::{
    ByteSize, Cache, ContextEntry, Layer, Phase, Policy, Resources, StepId, StepKey, Tool, WaitKind,
};

fn advice_for(record: &Record, earlier: &[Record]) -> Vec<Advice> {
    let analysis = Analysis::new(record);
    advise(&analysis, &rank(&analysis), earlier, &Readable)
}

/// A context whose lists of dependencies name no other parts of their projects. What those of npm say is unknown.
#[derive(Debug)]
struct Readable;

impl Facts for Readable {
    fn files(&self, _: usize) -> Option<&std::collections::BTreeSet<String>> {
        None
    }

    fn output(&self, _: usize) -> Option<&[String]> {
        None
    }

    fn text(&self, path: &str) -> Option<String> {
        (!path.ends_with(".json")).then(String::new)
    }

    fn is_complete(&self) -> bool {
        true
    }
}

/// The two lists of names belong to crates that do not know each other.
#[test]
fn records_have_a_variant_for_every_instruction_of_a_dockerfile() {
    for &keyword in buildscope_commands::Keyword::ALL {
        let instruction = buildscope_record::Instruction::from(keyword.name());
        assert!(!matches!(instruction, buildscope_record::Instruction::Other(_)), "{}", keyword.name());
    }
}

/// A record of a build in which step `copy` takes these files.
fn build(steps: &[(&str, u64)], copy: usize, files: &[&str]) -> Record {
    let mut made = chain(steps);
    list(&mut made, copy, files);
    made.finish(steps.iter().map(|(_, length)| length).sum())
}

#[test]
fn a_mount_does_not_hide_what_was_fetched_for_it() {
    let of = |run: &str| {
        let mut made = Synthetic::default();
        let (stage, last) = (made.stage("build"), made.stage("last"));
        let from = made.step(stage, "FROM golang", 0..1);
        let folder = made.step(stage, "WORKDIR /app", 1..2);
        let copy = made.step(stage, "COPY . .", 2..20);
        let build = made.step(stage, run, 20..420);
        let base = made.step(last, "FROM debian", 0..1);
        let result = made.step(last, "COPY --from=build /out /out", 420..430);
        made.data(from, folder).data(folder, copy).data(copy, build).data(build, result).data(base, result);
        list(&mut made, copy.index(), &["go.mod", "go.sum", "main.go"]);
        let found = advice_for(&made.finish(430), &[]);
        let diff = |rule: &str| found.iter().find(|advice| advice.rule == rule).map(|advice| advice.diff.len());
        (diff("cache-mount"), diff("copy-before-install"))
    };
    assert_eq!(of("RUN go build -o /out ."), (Some(2), Some(0)), "one of the two has a diff");
    let mounts = "--mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build";
    assert_eq!(of(&format!("RUN {mounts} go build -o /out .")), (None, None));
}

/// The record has the instruction as written, and the base that the build used.
#[test]
fn a_base_that_variables_name_is_known() {
    for (base, from, modules) in [
        ("mirror.example/library/golang:1.23", "FROM ${MIRROR}golang:${GO} AS build", "/go/pkg/mod"),
        ("golang:1.23", "FROM --platform=$BUILDPLATFORM $BASE AS build", "/go/pkg/mod"),
        ("alpine:3", "FROM $BASE AS build", "/root/go/pkg/mod"),
    ] {
        let mut made = Synthetic::default();
        let (stage, last) = (made.stage("build"), made.stage("last"));
        let from = made.step(stage, from, 0..1);
        let copy = made.step(stage, "COPY main.go go.mod /a/", 1..20);
        let build = made.step(stage, "RUN cd /a && go build -o /out", 20..420);
        let result = made.step(last, "COPY --from=build /out /out", 420..430);
        made.data(from, copy).data(copy, build).data(build, result);
        let mut record = made.finish(430);
        record.stages[0].base = base.into();
        let found = advice(&record, "cache-mount").unwrap();
        assert!(found.diff[1].contains(&format!("target={modules} ")), "{base}: {:?}", found.diff);
    }
}

#[test]
fn an_unread_list_of_dependencies_gives_no_diff() {
    let steps =
        [("FROM python", 1), ("WORKDIR /app", 1), ("COPY . .", 20), ("RUN pip install -r requirements.txt", 400)];
    let record = build(&steps, 2, &["requirements.txt", "app.py"]);
    let of = |context: &dyn Facts| {
        let analysis = Analysis::new(&record);
        let found = advise(&analysis, &rank(&analysis), &[], context);
        let advice = found.into_iter().find(|advice| advice.rule == "copy-before-install").unwrap();
        (advice.diff, advice.caveat)
    };
    let (diff, caveat) = of(&Readable);
    assert_eq!(
        diff,
        ["-COPY . .", "+COPY requirements.txt ./", " RUN pip install -r requirements.txt", "+COPY . ."],
        "{caveat}"
    );
    let (diff, caveat) = of(&buildscope_commands::rules::Nothing);
    assert!(diff.is_empty() && caveat.contains("the content of requirements.txt is unknown"), "{diff:?} {caveat}");
}

/// Lists the files that a COPY took.
fn list(made: &mut Synthetic, step: usize, files: &[&str]) {
    made.with(|record| {
        let inputs = files.iter().map(|file| (format!("file:{file}"), "1".to_owned())).collect();
        record.steps[step].cache = Some(Cache { key: StepKey::of("key"), inputs, miss: None, removed: None });
    });
}

fn applied(advice: &Advice, text: &str, record: &Record) -> String {
    advice.applied(text, &Analysis::new(record).steps).unwrap()
}

fn advice(record: &Record, rule: &str) -> Option<Advice> {
    advice_for(record, &[]).into_iter().find(|advice| advice.rule == rule)
}

/// One stage whose steps follow each other, with their lengths in milliseconds.
fn chain(steps: &[(&str, u64)]) -> Synthetic {
    let mut made = Synthetic::default();
    let stage = made.stage("app");
    let (mut at, mut before) = (0, None);
    for &(text, length) in steps {
        let step = made.step(stage, text, at..at + length);
        if let Some(before) = before {
            made.data(before, step);
        }
        (at, before) = (at + length, Some(step));
    }
    made
}

#[test]
fn dependencies_are_installed_before_the_sources_are_copied() {
    let mut made = chain(&[("FROM node", 1), ("COPY . .", 20), ("RUN npm ci", 400)]);
    list(&mut made, 1, &["package.json", "package-lock.json", "src/a.js"]);
    let record = made.finish(421);
    let found = advice(&record, "copy-before-install").unwrap();
    assert_eq!((found.gain, found.line), (ms(400), Some(3)));
    assert_eq!(found.diff, ["-COPY . .", "+COPY package.json package-lock.json ./", " RUN npm ci", "+COPY . ."]);
    let mount = advice(&record, "cache-mount").unwrap();
    assert_eq!(mount.diff[1], "+RUN --mount=type=cache,target=/root/.npm npm ci");
    let good =
        chain(&[("FROM node", 1), ("COPY package.json ./", 1), ("RUN npm ci", 400), ("COPY . .", 20)]).finish(422);
    assert_eq!(advice(&good, "copy-before-install"), None);
}

#[test]
fn an_install_gets_a_layer_of_its_own() {
    let record = chain(&[("FROM node", 1), ("RUN npm ci && npm run build", 400)]).finish(401);
    let found = advice(&record, "split-run").unwrap();
    assert_eq!((found.gain, found.line), (ms(400), Some(2)));
    assert_eq!(found.diff, ["-RUN npm ci && npm run build", "+RUN npm ci", "+RUN npm run build"]);
    let good = chain(&[("FROM node", 1), ("RUN npm ci", 200), ("RUN npm run build", 200)]).finish(401);
    assert_eq!(advice(&good, "split-run"), None);
}

#[test]
fn a_recursive_chown_becomes_a_flag() {
    let mut made = chain(&[("COPY src /app", 20), ("RUN chown -R app:app /app", 300)]);
    made.with(|record| record.steps[1].layer = Some(Layer { bytes: ByteSize(22_000_000), files: 9, digest: None }));
    let found = advice(&made.finish(320), "recursive-chown").unwrap();
    assert_eq!(
        found.diff,
        ["-COPY src /app", "+COPY --chown=app:app src /app", "-RUN chown -R app:app /app", "+RUN chown app:app /app"]
    );
    assert!(found.text.contains("22.0 MB"), "{}", found.text);
    let diff = |steps: &[(&str, u64)]| advice(&chain(steps).finish(320), "recursive-chown").unwrap().diff;
    let several = diff(&[("COPY a /app", 10), ("COPY --link b /app/b", 10), ("RUN chown -R 7 /app", 300)]);
    assert_eq!(
        several,
        [
            "-COPY a /app",
            "+COPY --chown=7:0 a /app",
            "-COPY --link b /app/b",
            "+COPY --chown=7:0 --link b /app/b",
            "-RUN chown -R 7 /app",
            "+RUN chown 7 /app"
        ]
    );
    let none: [String; 0] = [];
    for steps in [
        &[("COPY a /app", 20), ("RUN useradd u && chown -R u /app", 300)][..],
        &[("COPY a /app", 10), ("RUN useradd u", 10), ("RUN chown -R u /app", 300)],
    ] {
        assert_eq!(advice(&chain(steps).finish(320), "recursive-chown"), None, "the COPY cannot name `u` yet");
    }
    assert_eq!(diff(&[("COPY a /app", 20), ("RUN chown -R 7 /data", 300)]), none, "not what was copied");
    let good = chain(&[("COPY --chown=7 a /app", 20), ("RUN chown 7 /app", 300)]).finish(320);
    assert_eq!(advice(&good, "recursive-chown"), None, "one directory, not all below it");
}

/// A workload's Dockerfile as a record of one chain; its RUNs take 100 ms.
fn workload(name: &str) -> (String, Record) {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads/corpus").join(name).join("Dockerfile");
    let text = std::fs::read_to_string(path).unwrap();
    let steps: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| (line, if line.starts_with("RUN") { 100 } else { 1 }))
        .collect();
    let whole = steps.iter().map(|(_, length)| length).sum();
    let record = chain(&steps).finish(whole);
    (text, record)
}

#[test]
fn the_bad_form_of_a_workload_gets_the_good_ones_change() {
    let (text, mut record) = workload("python-wheel-bad");
    let copy = record.steps.iter().position(|step| step.text == "COPY . .").unwrap();
    let inputs = ["file:requirements.txt", "file:pyproject.toml", "file:tally/__init__.py"]
        .map(|name| (name.to_owned(), "1".to_owned()));
    record.steps[copy].cache =
        Some(Cache { key: StepKey::of("key"), inputs: inputs.into(), miss: None, removed: None });
    let found: Vec<_> = advice_for(&record, &[]);
    let moved: Vec<_> = found.iter().filter(|advice| advice.rule == "copy-before-install").collect();
    assert_eq!(moved.len(), 1, "the project's own install needs the sources: {moved:?}");
    let better = applied(moved[0], &text, &record);
    let place = |line: &str| better.lines().position(|other| other == line).unwrap();
    // As python-wheel has it.
    let install = better.lines().position(|line| line.ends_with("--requirement requirements.txt")).unwrap();
    assert_eq!(place("COPY requirements.txt ./") + 1, install);
    assert!(place("COPY . .") > install);
    assert!(!found.iter().any(|advice| advice.rule == "cache-mount"), "`--no-index` fetches nothing");

    let (text, record) = workload("chown");
    let chown = advice(&record, "recursive-chown").unwrap();
    assert!(!chown.text.contains("0 B"), "the record has no size of that layer: {}", chown.text);
    let (good, _) = workload("chown-good");
    let instructions =
        |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let mut better = instructions(&applied(&chown, &text, &record));
    assert_eq!(better.pop().as_deref(), Some("RUN chown 1000:1000 /src"), "the directory may have been there before");
    assert_eq!(better, instructions(&good));

    let (text, record) = workload("c-project-bad");
    let parts = advice(&record, "independent-parts").unwrap();
    assert_eq!(parts.gain, ms(200), "three of 100 ms at once");
    let better = applied(&parts, &text, &record);
    let stages: Vec<_> = better.split("FROM ").skip(1).map(|stage| stage.lines().collect::<Vec<_>>()).collect();
    // As c-project has it: each library compiled from its own sources alone.
    for (stage, library) in stages[1..4].iter().zip(["libparser", "libcodec", "libstore"]) {
        assert_eq!(stage[..2], [format!("common AS {library}"), format!("COPY {library} {library}/")]);
        assert!(stage[2].starts_with(&format!("RUN cd {library} && ")) && stage.len() == 3, "{stage:?}");
    }
    let last = ["common", "COPY . .", "COPY --from=libparser /src ./", "COPY --from=libcodec /src ./"];
    assert_eq!((&stages[0][..], &stages[4][..4]), (&["toolchain-c AS common", "WORKDIR /src"][..], &last[..]));
    assert_eq!(stages.len(), 5, "{better}");

    let (text, record) = workload("go-service-bad");
    let found: Vec<_> = advice_for(&record, &[]);
    let of = |rule: &str| found.iter().filter(|advice| advice.rule == rule).collect::<Vec<_>>();
    assert!(of("copy-before-install").is_empty(), "GOPROXY=off: there is nothing to fetch: {found:?}");
    let better = of("cache-mount").iter().fold(text, |text, advice| applied(advice, &text, &record));
    // As go-service has it: what compiles shares a directory of what is compiled.
    let mount = "RUN --mount=type=cache,target=/root/.cache/go-build ";
    let mounted: Vec<_> = better.lines().filter_map(|line| line.strip_prefix(mount)).collect();
    assert_eq!(mounted, ["go test -vet=off ./internal/...", "go build -trimpath -o /shop ./cmd/shop"]);
    for good in ["python-wheel", "chown-good", "c-project", "go-service"] {
        let (_, record) = workload(good);
        let found = advice_for(&record, &[]);
        let named = |rule: &str| found.iter().any(|advice| advice.rule == rule);
        assert!(!named("copy-before-install") && !named("recursive-chown") && !named("late-copy"), "{good}: {found:?}");
        assert!(!named("independent-parts") && !named("cache-mount"), "{good}: {found:?}");
    }
}

#[test]
fn small_runs_are_merged_and_unused_files_ignored() {
    let mut made = chain(&[("RUN a", 50), ("RUN b", 50), ("RUN c", 50)]);
    for step in 0..3 {
        made.span(StepId(step), Phase::SandboxSetup, u64::from(step) * 50..u64::from(step) * 50 + 40);
        made.span(StepId(step), Phase::Process, u64::from(step) * 50 + 40..u64::from(step) * 50 + 50);
    }
    made.span(None, Phase::ContextScan, 150..160);
    made.with(|record| {
        let entry = |path: &str, bytes, used| ContextEntry {
            path: path.into(),
            files: bytes / 1_000_000,
            bytes: ByteSize(bytes),
            used,
        };
        record.context = vec![entry("src", 1_000_000, true), entry("node_modules", 9_000_000, false)];
    });
    let record = made.finish(160);
    let merge = advice(&record, "many-small-runs").unwrap();
    assert_eq!(
        (merge.gain, merge.diff),
        (ms(80), vec!["-RUN a".into(), "-RUN b".into(), "-RUN c".into(), "+RUN a && b && c".into()])
    );
    let spent = |setup: u64| {
        let mut made = chain(&[("RUN a", 50), ("RUN b", 50), ("RUN c", 50)]);
        for (step, begin) in [(0, 0), (1, 50), (2, 100)] {
            made.span(StepId(step), Phase::SandboxSetup, begin..begin + setup);
            made.span(StepId(step), Phase::Process, begin + setup..begin + 50);
        }
        advice(&made.finish(150), "many-small-runs")
    };
    assert_eq!(spent(10).unwrap().gain, ms(20), "two of three sandboxes less, a seventh of the build");
    assert_eq!(spent(5), None, "a fifteenth: their commands take the time");
    let ignore = advice(&record, "dockerignore").unwrap();
    assert_eq!((ignore.gain, ignore.diff), (ms(9), vec!["+node_modules".to_owned()]));
}

#[test]
fn files_that_are_rarely_needed_are_not_copied() {
    let with = |copy: &str, entry: &str| {
        let mut made = chain(&[("FROM busybox", 10), (copy, 50), ("RUN make", 40)]);
        made.span(StepId(1), Phase::ContextHash, 10..30);
        made.span(StepId(1), Phase::Copy, 30..60);
        made.with(|record| {
            let taken = |path: &str, bytes| ContextEntry {
                path: path.into(),
                files: bytes / 1_000_000,
                bytes: ByteSize(bytes),
                used: true,
            };
            record.context = vec![taken("src", 1_000_000), taken(entry, 9_000_000)];
        });
        advice(&made.finish(100), "dockerignore")
    };
    let found = with("COPY . .", ".git").unwrap();
    assert_eq!((found.gain, found.line, found.diff), (ms(45), Some(2), Vec::new()), "make may ask for the version");
    assert!(
        found.text.contains("9.00 MB in 9 files") && found.caveat.contains("git for its version"),
        "{}",
        found.text
    );
    assert_eq!(with("COPY . .", "assets"), None, "may well be meant");
    assert_eq!(with("COPY target /app", "target"), None, "is meant");
}

#[test]
fn pressure_and_history() {
    // Two that compute all the time on one processor: with another one, both end after half of the time.
    let mut made = Synthetic::default();
    let stage = made.stage("a");
    for _ in 0..2 {
        made.step(stage, "RUN compute", 0..200);
    }
    made.with(|record| {
        record.host.cpus = Some(1);
        let used = Resources { cpu_user: ms(100), cpu_pressure: ms(100), ..Resources::default() };
        record.steps.iter_mut().for_each(|step| step.resources = Some(used));
    });
    assert_eq!(advice(&made.finish(200), "cpu-pressure").unwrap().gain, ms(100));
    // A step that ran alone waited for the programs of others.
    let mut made = chain(&[("RUN make", 100)]);
    made.with(|record| {
        let used = Resources { cpu_user: ms(40), cpu_pressure: ms(60), ..Resources::default() };
        record.steps[0].resources = Some(used);
    });
    let record = made.finish(100);
    assert_eq!(advice(&record, "cpu-pressure"), None);
    let earlier = [40, 50, 45].map(|length| chain(&[("RUN make", length)]).finish(length));
    let found = advice_for(&record, &earlier);
    let slower = found.iter().find(|advice| advice.rule == "slower-than-before").unwrap();
    assert_eq!(slower.gain, ms(55));
    let silent = |earlier: &[u64]| {
        let earlier: Vec<_> = earlier.iter().map(|&length| chain(&[("RUN make", length)]).finish(length)).collect();
        !advice_for(&record, &earlier).iter().any(|advice| advice.rule == "slower-than-before")
    };
    assert!(silent(&[70, 90, 80]), "not half as long again");
    assert!(silent(&[40, 50]), "two builds are too few for a history");
}

#[test]
fn a_build_without_fault_gets_no_advice() {
    let record = chain(&[("FROM busybox", 1), ("COPY a /a", 5), ("RUN cc a.c", 100)]).finish(106);
    assert_eq!(advice_for(&record, &[]), []);
}
