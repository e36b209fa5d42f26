//! What a log of a CI job is made of: several builds, targets, platforms, steps without an end, failures, and foreign lines.

use buildscope_record::{Outcome, Record, Step};
use buildscope_reports::import::{Builds, ImportError, builds, import};
use buildscope_reports::{Explanation, explain};
use buildscope_testing::{in_time, undisturbed};

fn read(text: &str) -> (Record, Explanation) {
    let record = import(text.as_bytes()).unwrap();
    let explanation = explain(&record);
    (record, explanation)
}

fn all(text: &str) -> Builds {
    builds(text.as_bytes()).unwrap()
}

fn step<'r>(record: &'r Record, text: &str) -> &'r Step {
    record.steps.iter().find(|step| step.text.contains(text)).unwrap_or_else(|| panic!("no {text} in {record:#?}"))
}

/// Start and end in milliseconds.
fn times(record: &Record, text: &str) -> (u64, u64) {
    let step = step(record, text);
    (step.start.unwrap().0 / 1_000_000, step.end.unwrap().0 / 1_000_000)
}

fn texts(record: &Record) -> Vec<&str> {
    record.steps.iter().map(|step| step.text.as_str()).collect()
}

/// Wall times in milliseconds.
fn walls(builds: &Builds) -> Vec<u64> {
    builds.records().iter().map(|record| record.wall.0 / 1_000_000).collect()
}

#[test]
fn a_note_and_an_issue_number_are_no_steps() {
    let (record, _) = read(
        "2026-03-01T09:59:40Z #1234 fix the login page
2026-03-01T09:59:40Z #1235 and another
2026-03-01T10:00:01Z #0 building with \"b\" instance using docker driver
2026-03-01T10:00:01Z
2026-03-01T10:00:01Z #1 [1/1] RUN x
2026-03-01T10:00:06Z #1 DONE 5.0s
2026-03-01T10:00:09Z #2 is not a vertex
",
    );
    assert_eq!((texts(&record), record.wall.0), (vec!["RUN x"], 5_000_000_000));
}

#[test]
fn a_series_of_commits_is_not_read_as_steps() {
    let log = "#1 [1/2] RUN a\n#1 DONE 1.0s\n#2 [2/2] RUN b\n#2 DONE 2.0s\n#3 exporting to image\n#3 DONE 0.1s\n";
    for before in [
        "#2 [1/2] of the login page\n",
        "HEAD is now at 1a2b3c #2 [1/2] RUN of the page\n",
        "* #9 [2/2] FIX it\n",
        "#41 [release 2/3] RUN candidate\n",
    ] {
        let (record, _) = read(&(before.to_owned() + log));
        assert_eq!(
            (texts(&record), record.wall.0),
            (vec!["RUN a", "RUN b", "exporting to image"], 3_100_000_000),
            "{before}"
        );
    }
}

#[test]
fn a_vertex_of_another_front_end_keeps_its_name() {
    let (record, _) = read("#1 [internal] load x\n#1 DONE 0.1s\n#2 apt install curl\n#2 DONE 2.0s\n#4 fix the page\n");
    assert_eq!(texts(&record), ["[internal] load x", "apt install curl"]);
}

#[test]
fn a_log_that_came_at_once_has_no_times_whatever_follows_it() {
    let (record, _) = read(
        "2026-03-01T10:00:00Z #1 [1/2] RUN a
2026-03-01T10:00:00Z #1 DONE 4.0s
2026-03-01T10:00:00Z #2 [2/2] RUN b
2026-03-01T10:00:00Z #2 DONE 2.0s
2026-03-01T10:09:00Z ##[group]Post Run
",
    );
    assert_eq!((record.wall.0, record.source.fidelity.starts), (6_000_000_000, false));
}

#[test]
fn a_head_that_is_cut_off_leaves_the_name_that_comes_later() {
    let (record, _) = read(
        "#6 ...\n\n#7 [b 1/1] RUN y\n#7 DONE 1.0s\n\n#6 [a 1/1] RUN x\n#6 1.500 out\n#6 DONE 2.0s\n#8 DONE 1.0s\n",
    );
    let mut found = texts(&record);
    found.sort_unstable();
    assert_eq!(found, ["RUN x", "RUN y"]);
}

#[test]
fn builds_of_one_file_are_separated() {
    let builds = all("2026-03-01T10:00:00Z #1 [1/1] RUN make
2026-03-01T10:00:10Z #1 DONE 10.0s
2026-03-01T10:00:20Z #1 [1/1] RUN test
2026-03-01T10:00:40Z #1 DONE 20.0s
");
    assert_eq!(walls(&builds), [10_000, 20_000]);
    let first = builds.clone().choose(Some(1)).unwrap();
    assert_eq!(texts(&first), ["RUN make"]);
    let slowest = builds.clone().choose(None).unwrap();
    assert_eq!(texts(&slowest), ["RUN test"]);
    let expected = [
        "the file has 2 builds; this is build 2, the slowest (`--build N` chooses another)",
        "build 1: 10.0 s, 1 steps, longest `RUN make`",
        "build 2: 20.0 s, 1 steps, longest `RUN test`",
    ];
    assert_eq!(slowest.notes, expected);
    assert!(matches!(builds.choose(Some(3)), Err(ImportError::NoBuild { number: 3, count: 2 })));
}

#[test]
fn a_second_build_of_the_same_dockerfile_starts_at_its_first_vertex() {
    let one = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\n\n#2 [1/1] RUN make\n#2 DONE 5.0s\n\n#3 exporting to image\n#3 DONE 0.5s\n";
    assert_eq!(walls(&all(&format!("{one}{one}"))), [5600, 5600]);
    let noted = format!("#0 building with \"b\" instance using docker driver\n\n{one}");
    assert_eq!(walls(&all(&format!("{noted}{noted}"))), [5600, 5600]);
    // A vertex is named again when its lines go on after those of another.
    let again = "#1 [1/2] FROM x\n#1 DONE 0.1s\n\n#2 [2/2] RUN make\n#2 0.1 a\n\n#1 [1/2] FROM x\n#1 sha256:aa 1MB / 1MB 2.0s done\n#1 DONE 2.0s\n\n#2 [2/2] RUN make\n#2 DONE 5.0s\n";
    assert_eq!(walls(&all(again)), [7000]);
}

#[test]
fn builds_of_the_classic_builder_and_of_buildah_are_separated() {
    let classic = "2026-03-01T10:00:00Z Step 1/2 : FROM busybox
2026-03-01T10:00:00Z Step 2/2 : RUN make
2026-03-01T10:00:10Z Successfully built eeeeeeeeeeee
2026-03-01T10:00:30Z Step 1/2 : FROM busybox
2026-03-01T10:00:30Z Step 2/2 : RUN test
2026-03-01T10:00:33Z Successfully built ffffffffffff
";
    let builds = all(classic);
    assert_eq!(walls(&builds), [10_000, 3000]);
    assert!(builds.records().iter().all(|record| record.stages.len() == 1));
    let buildah = "2026-03-01T10:00:00Z STEP 1/2: FROM busybox
2026-03-01T10:00:00Z STEP 2/2: RUN make
2026-03-01T10:00:10Z COMMIT a
2026-03-01T10:00:11Z --> eeeeeeeeeee
2026-03-01T10:00:30Z STEP 1/2: FROM busybox
2026-03-01T10:00:30Z STEP 2/2: RUN test
2026-03-01T10:00:33Z COMMIT b
2026-03-01T10:00:34Z --> fffffffffff
";
    assert_eq!(walls(&all(buildah)), [11_000, 4000]);
}

#[test]
fn rawjson_with_another_set_of_digests_is_another_build() {
    let vertex = |digest: &str, name: &str, start: u32, end: u32| {
        format!(
            "{{\"vertexes\":[{{\"digest\":\"sha256:{digest}\",\"name\":\"{name}\",\"started\":\"2026-03-01T10:00:{start:02}Z\",\"completed\":\"2026-03-01T10:00:{end:02}Z\"}}]}}\n"
        )
    };
    let one = |id: &str, at: u32| {
        vertex(&format!("d{id}"), "[internal] load build definition from Dockerfile", at, at)
            + &vertex(&format!("r{id}"), "[1/1] RUN make", at, at + 9)
            + &vertex(&format!("e{id}"), "exporting to image", at + 9, at + 10)
    };
    assert_eq!(walls(&all(&(one("a", 0) + &one("b", 20)))), [10_000, 10_000]);
}

#[test]
fn builds_of_several_services_at_once_are_separated() {
    let text = "web-1  | #1 [internal] load build definition
api-1  | #1 [internal] load build definition
web-1  | #1 DONE 0.1s
api-1  | #1 DONE 0.1s
web-1  | #2 [1/1] RUN npm ci
api-1  | #2 [1/1] RUN go build
api-1  | #2 DONE 4.0s
web-1  | #2 DONE 9.0s
";
    let builds = all(text);
    assert_eq!(walls(&builds), [9100, 4100]);
}

#[test]
fn targets_are_different_builds_of_one_log() {
    let (record, explanation) = read(
        "#1 [api internal] load build definition from Dockerfile
#1 DONE 0.1s
#2 [web internal] load build definition from Dockerfile
#2 DONE 0.1s
#3 [api builder 1/1] RUN go build
#3 DONE 10.0s
#4 [web builder 1/2] RUN npm ci
#4 DONE 20.0s
#5 [web builder 2/2] RUN npm test
#5 DONE 1.0s
#6 [api] exporting to image
#6 DONE 2.0s
#7 [web] exporting to image
#7 DONE 5.0s
",
    );
    let stages: Vec<&str> = record.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["api builder", "web builder"]);
    assert_eq!(times(&record, "[api] exporting"), (10_100, 12_100));
    assert_eq!(times(&record, "[web] exporting"), (21_100, 26_100));
    assert_eq!(
        (record.wall.0, explanation.path.last().map(|leg| leg.step)),
        (26_100_000_000, Some(step(&record, "[web] exporting").id))
    );
}

#[test]
fn what_follows_an_export_belongs_to_its_target() {
    let (record, _) = read(
        "#1 [web internal] load build definition from Dockerfile\n#1 DONE 0.0s\n#2 [web 1/1] RUN a\n#2 DONE 30.0s\n\
         #3 [api 1/1] RUN b\n#3 DONE 8.0s\n#4 [web] exporting to docker image format\n#4 DONE 3.0s\n#5 [web] importing to docker\n\
         #5 DONE 1.0s\n#6 [web] resolving provenance for metadata file\n#6 DONE 0.0s\n",
    );
    assert_eq!((record.wall.0, times(&record, "importing")), (33_000_000_000, (30_000, 31_000)));
    assert_eq!(times(&record, "provenance"), (33_000, 33_000));
}

#[test]
fn services_of_compose_are_targets() {
    let (record, _) = read(
        "#1 [web internal] load build definition from Dockerfile
#1 DONE 0.0s
#2 [api internal] load build definition from Dockerfile
#2 DONE 0.0s
#3 [web 1/2] RUN a
#3 DONE 3.0s
#4 [api 1/2] RUN b
#4 DONE 4.0s
#5 [web 2/2] RUN c
#5 DONE 1.0s
#6 [api 2/2] RUN d
#6 DONE 1.0s
",
    );
    assert_eq!((times(&record, "RUN c"), times(&record, "RUN d")), ((3000, 4000), (4000, 5000)));
}

#[test]
fn platforms_are_chains_of_their_own() {
    let (record, _) = read(
        "#1 [linux/amd64 build 1/2] FROM docker.io/library/golang
#1 DONE 1.0s
#2 [linux/amd64 build 2/2] RUN make
#2 DONE 10.0s
#3 [linux/amd64->arm64 build 2/2] RUN make
#3 DONE 30.0s
#4 [linux/arm64 build 1/2] FROM docker.io/library/golang
#4 DONE 1.0s
#5 [linux/arm64 build 2/2] RUN make
#5 DONE 100.0s
#6 [linux/arm64 stage-1 1/1] COPY --from=build /out /out
#6 DONE 1.0s
",
    );
    let mut ends: Vec<(u64, u64)> = record
        .steps
        .iter()
        .filter(|step| step.text == "RUN make")
        .map(|step| (step.start.unwrap().0 / 1_000_000_000, step.end.unwrap().0 / 1_000_000_000))
        .collect();
    ends.sort_unstable();
    assert_eq!(ends, [(1, 11), (1, 31), (1, 101)]);
    let stages: Vec<&str> = record.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["linux/amd64 build", "linux/arm64 build", "linux/amd64->arm64 build", "linux/arm64 stage-1"]);
}

#[test]
fn the_metadata_of_a_platform_is_of_no_target() {
    let (record, explanation) = read(
        "#1 [internal] load build definition from Dockerfile
#1 DONE 0.5s
#2 [linux/amd64 internal] load metadata for docker.io/library/golang:1.22
#2 DONE 1.0s
#3 [auth] library/alpine:pull token for registry-1.docker.io
#3 DONE 0.1s
#4 [linux/arm64 internal] load metadata for docker.io/library/alpine:3
#4 DONE 2.0s
#5 [linux/amd64 build 1/2] FROM docker.io/library/golang:1.22
#5 DONE 3.0s
#6 [linux/amd64->arm64 build 2/2] RUN GOARCH=arm64 go build
#6 DONE 20.0s
#7 [linux/amd64->arm/v7 build 2/2] RUN GOARCH=arm go build
#7 DONE 25.0s
#8 [linux/arm/v7 stage-1 2/2] COPY --from=build /x /x
#8 DONE 1.0s
#9 exporting to image
#9 DONE 2.0s
",
    );
    // Both metadata are asked for at once: 0.5 + 2 + 3 + 25 + 1 + 2.
    assert_eq!((record.wall.0, record.targets.len()), (33_500_000_000, 0));
    assert!(explanation.answer.contains("RUN GOARCH=arm go build"), "{}", explanation.answer);
    assert_eq!(times(&record, "load metadata for docker.io/library/alpine:3"), (500, 2500));
}

#[test]
fn a_stage_without_a_base_image_starts_from_the_stage_that_was_done_before_it() {
    let log = "#1 [internal] load metadata for docker.io/library/node:20
#1 DONE 1.0s
#2 [base 1/2] FROM docker.io/library/node:20
#2 DONE 2.0s
#3 [base 2/2] RUN apt-get install -y git
#3 DONE 5.0s
#4 [deps 1/2] COPY package.json .
#4 DONE 0.1s
#5 [other 1/1] COPY docs /docs
#5 DONE 0.5s
#6 [deps 2/2] RUN npm ci
#6 DONE 10.0s
#7 [build 1/1] RUN npm run build
#7 DONE 20.0s
#8 [stage-4 1/1] COPY --from=build /dist /
#8 DONE 0.4s
#9 exporting to image
#9 DONE 1.0s
";
    let (record, _) = read(log);
    assert_eq!(record.wall.0, 39_500_000_000);
    // Without a RUN it may be a stage FROM scratch.
    assert_eq!((times(&record, "COPY package.json"), times(&record, "COPY docs")), ((8000, 8100), (1000, 1500)));
}

#[test]
fn a_copy_takes_from_the_stage_of_its_own_platform() {
    let (record, _) = read(
        "#1 [linux/amd64 build 1/2] FROM golang
#1 DONE 1.0s
#2 [linux/amd64 build 2/2] RUN make
#2 DONE 10.0s
#3 [linux/amd64->arm64 build 2/2] RUN make
#3 DONE 30.0s
#4 [linux/arm64 stage-1 1/1] COPY --from=build /out /out
#4 DONE 1.0s
#5 [linux/amd64 stage-1 1/1] COPY --from=build /out /out
#5 DONE 1.0s
",
    );
    let starts: Vec<u64> = record
        .steps
        .iter()
        .filter(|step| step.text.starts_with("COPY"))
        .map(|step| step.start.unwrap().0 / 1_000_000_000)
        .collect();
    assert_eq!(starts, [11, 31]);
}

#[test]
fn a_step_whose_end_was_cut_out_ran_until_the_next_one_began() {
    let text = "10:00:00.0 #1 [build 1/3] FROM golang:1\n10:00:00.0 #1 CACHED\n10:00:00.5 #2 [build 2/3] RUN apt-get install -y git\n\
                [... output truncated ...]\n10:00:04.5 #3 [build 3/3] RUN go build\n10:00:10.5 #3 DONE 6.0s\n\
                10:00:10.5 #4 exporting to image\n10:00:12.0 #4 DONE 1.5s\n";
    let (record, _) = read(text);
    assert!(record.succeeded);
    // In milliseconds: from its own line to that of the next step.
    assert_eq!(times(&record, "apt-get"), (500, 4500));
    assert_eq!(times(&record, "go build"), (4500, 10_500));
    assert!(record.notes.iter().any(|note| note.starts_with("a part of the log is missing")), "{:?}", record.notes);
}

#[test]
fn a_step_without_an_end_ran_until_the_last_line() {
    let (record, explanation) = read(
        "2026-03-01T10:00:00Z #2 [1/2] FROM docker.io/library/alpine
2026-03-01T10:00:03Z #2 DONE 2.9s
2026-03-01T10:00:03Z #3 [2/2] RUN make
2026-03-01T10:05:00Z #3 297.0 still at it
2026-03-01T10:06:24Z ##[error]The operation was canceled.
",
    );
    assert_eq!((record.succeeded, record.unfinished, step(&record, "make").outcome), (false, true, Outcome::Cancelled));
    let (start, end) = times(&record, "make");
    assert!((start.abs_diff(3000), end.abs_diff(384_000)) <= (200, 200), "{start} {end}");
    assert!(
        explanation.answer.starts_with(
            "The build did not finish: its record ends after 384 s, while `RUN make` (stage stage-0) was running"
        ),
        "{}",
        explanation.answer
    );
}

#[test]
fn a_vertex_without_an_end_ran_until_the_last_event() {
    let (record, explanation) = read(
        r#"{"vertexes":[{"digest":"sha256:a","name":"[1/1] RUN x","started":"2026-03-01T10:00:00Z"}]}
{"logs":[{"vertex":"sha256:a","stream":1,"data":"aGkK","timestamp":"2026-03-01T10:05:00Z"}]}
"#,
    );
    assert_eq!((times(&record, "RUN x"), record.unfinished, record.succeeded), ((0, 300_000), true, false));
    assert!(explanation.answer.contains("did not finish"), "{}", explanation.answer);
}

#[test]
fn without_times_output_says_how_long_a_step_ran_at_least() {
    let (record, explanation) = read(
        "#1 [1/2] FROM x\n#1 DONE 1.0s\n\n#2 [2/2] RUN make\n#2 0.100 a\n#2 5.000 boom\n#2 ERROR: process \"/bin/sh -c make\" did not complete successfully: exit code: 2\n------\n",
    );
    assert_eq!(times(&record, "make"), (1000, 6000));
    assert!(
        explanation.answer.starts_with("The build failed with exit code 2 after 6.00 s in `RUN make`"),
        "{}",
        explanation.answer
    );
}

#[test]
fn a_failed_log_without_times_says_what_failed() {
    let (_, explanation) = read(
        "Step 1/2 : FROM busybox\n ---> aaaaaaaaaaaa\nStep 2/2 : RUN sleep 2\n ---> Running in bbbbbbbbbbbb\nThe command '/bin/sh -c sleep 2' returned a non-zero code: 1\n",
    );
    assert_eq!(
        explanation.answer,
        "The build failed with exit code 1 in `RUN sleep 2` (stage 0); the record has no times: it says what ran, not how long it took."
    );
    assert!(explanation.notes.iter().any(|note| note.contains("| ts")), "{:?}", explanation.notes);
    let (_, explanation) = read(
        "STEP 1/2: FROM busybox\nSTEP 2/2: RUN false\nError: building at STEP \"RUN false\": while running runtime: exit status 1\n",
    );
    assert!(
        explanation.answer.starts_with("The build failed with exit code 1 in `RUN false` (stage 0)"),
        "{}",
        explanation.answer
    );
    let (_, explanation) = read(
        "#1 [1/1] RUN false\n#1 ERROR: process \"/bin/sh -c false\" did not complete successfully: exit code: 1\n",
    );
    assert!(
        explanation.answer.starts_with("The build failed with exit code 1 in `RUN false`"),
        "{}",
        explanation.answer
    );
}

#[test]
fn of_builds_without_times_the_failed_one_is_explained() {
    let built = "Step 1/2 : FROM a\nStep 2/2 : RUN b\nSuccessfully built aaaaaaaaaaaa\n";
    let failed = "Step 1/2 : FROM a\nStep 2/2 : RUN c\nThe command '/bin/sh -c c' returned a non-zero code: 3\n";
    let (_, explanation) = read(&format!("{built}{failed}{built}"));
    assert!(explanation.answer.starts_with("The build failed with exit code 3 in `RUN c`"), "{}", explanation.answer);
}

#[test]
fn the_words_of_a_failure_are_in_every_form_of_log() {
    let buildah = "STEP 1/2: FROM busybox\nSTEP 2/2: RUN make\ncc a.c\nmake: no rule for b\n\
                   Error: building at STEP \"RUN make\": while running runtime: exit status 2\n";
    let display = "[+] Building 9.9s (3/4)\n => [internal] load build definition from Dockerfile  0.0s\n => CACHED [1/2] FROM a  0.0s\n \
                   => ERROR [2/2] RUN make   9.9s\n------\n > [2/2] RUN make:\n9.812 make: no rule for b\n------\n\
                   ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2\n";
    for log in [buildah, display] {
        let (_, explanation) = read(log);
        let answer = &explanation.answer;
        assert!(
            answer.starts_with("The build failed with exit code 2") && answer.contains("make: no rule for b"),
            "{answer}"
        );
    }
}

#[test]
fn a_cancelled_build_has_not_failed() {
    let (record, explanation) = read(
        "2026-03-01T10:00:00Z #1 [1/2] RUN a\n2026-03-01T10:00:01Z #1 DONE 1.0s\n2026-03-01T10:00:01Z #2 [2/2] RUN b\n\
         2026-03-01T10:00:31Z #2 CANCELED\n2026-03-01T10:00:31Z ERROR: failed to solve: Canceled: context canceled\n",
    );
    assert_eq!((record.unfinished, times(&record, "RUN b")), (true, (1000, 31_000)));
    assert!(explanation.answer.contains("while `RUN b` (stage stage-0) was running"), "{}", explanation.answer);
    let (record, explanation) = read(
        "[+] Building 9.9s (2/4)\n => [internal] load build definition from Dockerfile  0.1s\n => [1/2] RUN a  0.4s\n => [2/2] RUN b   9.0s\n => => # cc b.c\n",
    );
    assert!(record.unfinished);
    assert!(explanation.answer.contains("while `RUN b` (stage stage-0) was running"), "{}", explanation.answer);
}

#[test]
fn a_step_of_another_number_is_output() {
    let docker = "2026-03-01T10:00:00Z Step 1/3 : FROM busybox\n2026-03-01T10:00:01Z Step 2/3 : RUN make\n\
                  2026-03-01T10:00:02Z Step 3/9 : of the test\n2026-03-01T10:00:09Z Step 3/3 : RUN b\n\
                  2026-03-01T10:00:10Z Successfully built aaaaaaaaaaaa\n";
    let (record, _) = read(docker);
    assert_eq!((texts(&record), times(&record, "make")), (vec!["FROM busybox", "RUN make", "RUN b"], (1000, 9000)));
    // The beginning of the second build is missing, and another builder tags an image later.
    let tail = "2026-03-01T10:01:00Z Step 2/3 : RUN c\n2026-03-01T10:01:03Z Step 3/3 : RUN d\n\
                2026-03-01T10:01:07Z Successfully built bbbbbbbbbbbb\n2026-03-01T10:02:00Z STEP 1/1: FROM a\n\
                2026-03-01T10:02:00Z Successfully tagged localhost/a\n";
    assert_eq!(walls(&all(&format!("{docker}{tail}")))[..2], [10_000, 7000]);
}

#[test]
fn times_go_on_where_the_clock_was_set_back() {
    for log in [
        "2026-03-01T03:00:00Z Step 1/2 : FROM a\n2026-03-01T03:00:04Z Step 2/2 : RUN b\n2026-03-01T02:00:09Z Successfully built aaaaaaaaaaaa\n",
        "2026-03-02T03:00:00Z STEP 1/2: FROM a\n2026-03-02T03:00:04Z STEP 2/2: RUN b\n2026-03-01T03:00:05Z COMMIT c\n2026-03-01T03:00:05Z --> 0123456789ab\n",
        "2026-10-25 02:59:00 #1 [1/2] FROM a\n2026-10-25 02:59:04 #1 DONE 4.0s\n2026-10-25 02:00:01 #2 [2/2] RUN b\n2026-10-25 02:00:01 #2 DONE 0.0s\n",
    ] {
        let (record, explanation) = read(log);
        let expected =
            "the clock was set back during the build: the time that passed meanwhile is unknown and left out";
        assert_eq!(
            (record.wall.0, explanation.notes.last().map(String::as_str)),
            (4_000_000_000, Some(expected)),
            "{log}"
        );
    }
}

#[test]
fn a_classic_log_that_ends_early_is_unfinished() {
    let (record, _) = read(
        "2026-03-01T10:00:00Z Step 1/3 : FROM busybox\n2026-03-01T10:00:01Z Step 2/3 : RUN make\n2026-03-01T10:00:01Z  ---> Running in aa\n2026-03-01T10:00:31Z still\n",
    );
    assert_eq!((record.unfinished, record.succeeded, times(&record, "make")), (true, false, (1000, 31_000)));
}

#[test]
fn a_log_that_ends_between_two_steps_is_unfinished() {
    let (record, explanation) = read("#1 [1/3] FROM x\n#1 DONE 1.0s\n\n#2 [2/3] RUN make\n#2 DONE 5.0s\n");
    assert_eq!((record.unfinished, record.succeeded), (true, false));
    assert!(
        explanation.answer.starts_with("The build did not finish: its record ends after 6.00 s"),
        "{}",
        explanation.answer
    );
    let whole = "#1 [1/2] FROM x\n#1 DONE 1.0s\n\n#2 [2/2] RUN make\n#2 DONE 5.0s\n";
    assert!(read(whole).0.succeeded);
    let (record, _) = read("STEP 1/2: FROM busybox\nSTEP 2/2: RUN make\nCOMMIT p\n");
    assert!(record.unfinished);
    let announced = r#"{"vertexes":[{"digest":"sha256:a","name":"[1/2] RUN x","started":"2026-03-01T10:00:00Z","completed":"2026-03-01T10:00:05Z"},{"digest":"sha256:b","name":"[2/2] RUN y"}]}"#;
    assert!(read(announced).0.unfinished);
}

#[test]
fn a_clock_that_was_set_back_is_left_out_with_a_note() {
    let (record, explanation) = read(
        r#"{"vertexes":[{"digest":"sha256:a","name":"[1/2] RUN x","started":"2026-03-02T10:00:00Z","completed":"2026-03-02T10:00:05Z"}]}
{"vertexes":[{"digest":"sha256:b","name":"[2/2] RUN y","started":"2026-03-02T10:00:05Z","completed":"2026-03-01T10:00:06Z"}]}
"#,
    );
    assert_eq!((record.wall.0, step(&record, "RUN y").start), (5_000_000_000, None));
    assert_eq!(explanation.notes, ["`[2/2] RUN y` ends before it starts: those times are left out"]);
    let (record, explanation) = read(
        r#"{"vertexes":[{"digest":"sha256:a","name":"[1/3] RUN x","started":"2026-03-02T10:00:00Z","completed":"2026-03-02T10:00:05Z"}]}
{"vertexes":[{"digest":"sha256:b","name":"[2/3] RUN y","started":"2026-03-01T10:00:06Z","completed":"2026-03-01T10:00:08Z"}]}
{"vertexes":[{"digest":"sha256:c","name":"[3/3] RUN z","started":"2026-03-01T10:00:08Z","completed":"2026-03-01T10:00:09Z"}]}
"#,
    );
    assert_eq!((record.wall.0, step(&record, "RUN x").start), (3_000_000_000, None));
    assert_eq!(explanation.notes, ["the clock was set back during the build: the times of 1 steps are left out"]);
}

#[test]
fn buildkit_of_2018_has_exact_times() {
    let (record, _) = read(
        "#1 [internal] load build definition from Dockerfile
#1       digest: sha256:aa
#1         name: \"[internal] load build definition from Dockerfile\"
#1      started: 2019-08-08 20:20:56.000000000 +0000 UTC
#1    completed: 2019-08-08 20:20:56.500000000 +0000 UTC
#1     duration: 500ms
#6 [1/1] RUN make
#6      started: 2019-08-08 20:20:56.5 +0000 UTC
#6 0.300 out
#6    completed: 2019-08-08 20:20:59.75 +0000 UTC
#6     duration: 3.25s
",
    );
    assert_eq!((times(&record, "RUN make"), record.source.fidelity.starts), ((500, 3750), true));
    assert_eq!(record.started.as_deref(), Some("2019-08-08T20:20:56Z"));
}

#[test]
fn buildah_without_layers_knows_ends_only_with_one_job() {
    let (record, _) = read(
        "2026-03-01T10:00:00Z [1/2] STEP 1/2: FROM busybox AS a
2026-03-01T10:00:00Z [1/2] STEP 2/2: RUN make
2026-03-01T10:00:10Z [2/2] STEP 1/2: FROM busybox
2026-03-01T10:00:10Z [2/2] STEP 2/2: COPY --from=a /x /x
2026-03-01T10:00:12Z [2/2] COMMIT p
2026-03-01T10:00:13Z --> eeeeeeeeeee
",
    );
    assert_eq!((times(&record, "make"), times(&record, "COPY")), ((0, 10_000), (10_000, 12_000)));
    let (record, explanation) = read(
        "2026-03-01T10:00:00Z [1/3] STEP 1/2: FROM busybox AS a
2026-03-01T10:00:00Z [2/3] STEP 1/2: FROM busybox AS b
2026-03-01T10:00:00Z [1/3] STEP 2/2: RUN make a
2026-03-01T10:00:00Z [2/3] STEP 2/2: RUN make b
2026-03-01T10:00:09Z [3/3] STEP 1/2: FROM busybox
2026-03-01T10:00:09Z [3/3] STEP 2/2: COPY --from=a /x /x
2026-03-01T10:00:12Z [3/3] COMMIT p
2026-03-01T10:00:13Z --> eeeeeeeeeee
",
    );
    assert_eq!((record.wall.0, step(&record, "make a").start), (13_000_000_000, None));
    assert!(explanation.notes.iter().any(|note| note.contains("step times are unknown")), "{:?}", explanation.notes);
}

#[test]
fn foreign_builders_get_their_own_words() {
    let classic = "2026-03-01T10:00:00Z Step 1/4 : FROM busybox AS a
2026-03-01T10:00:00Z Step 2/4 : RUN make a
2026-03-01T10:00:10Z Step 3/4 : FROM busybox
2026-03-01T10:00:10Z Step 4/4 : RUN make b
2026-03-01T10:00:20Z Successfully built eeeeeeeeeeee
";
    let (_, explanation) = read(classic);
    let text = serde_json::to_string(&explanation).unwrap();
    assert!(text.contains("DOCKER_BUILDKIT=1") && !text.contains("granularity"), "{text}");
    let buildah = "2026-03-01T10:00:00Z [1/2] STEP 1/2: FROM busybox AS a
2026-03-01T10:00:00Z [1/2] STEP 2/2: RUN make a
2026-03-01T10:00:10Z --> aaaaaaaaaaa
2026-03-01T10:00:10Z [2/2] STEP 1/2: FROM busybox
2026-03-01T10:00:10Z [2/2] STEP 2/2: RUN make b
2026-03-01T10:00:20Z --> bbbbbbbbbbb
2026-03-01T10:00:20Z [2/2] COMMIT p
2026-03-01T10:00:21Z --> eeeeeeeeeee
";
    let (_, explanation) = read(buildah);
    let text = serde_json::to_string(&explanation).unwrap();
    assert!(text.contains("--jobs 0") && !text.contains("granularity"), "{text}");
}

#[test]
fn exports_are_never_cached_in_the_what_if() {
    let (record, explanation) = read("#1 [1/1] RUN x\n#1 DONE 1.0s\n#2 exporting to image\n#2 DONE 8.0s\n");
    assert!(
        explanation.ranking.changes.iter().all(|change| !change.what.contains("exporting")),
        "{:?}",
        explanation.ranking
    );
    let scenario =
        buildscope_reports::whatif::Scenario { cached: vec![step(&record, "exporting").id], ..Default::default() };
    let refused = buildscope_reports::whatif::whatif(&record, &scenario).unwrap_err();
    assert_eq!(refused.to_string(), "`exporting to image` is the builder's own work, which is never in a cache");
}

/// A log of `count` lines is read in time that is proportional to them: four times the lines in less than ten times the time.
#[test]
fn the_time_grows_with_the_lines() {
    let classic = |steps: usize| {
        let mut text = format!("Step 1/{steps} : FROM busybox\n");
        (2..=steps).for_each(|step| {
            text += &format!("Step {step}/{steps} : RUN {step}\n ---> Running in aa\nout\n ---> bb\n")
        });
        text + "Successfully built aa\n"
    };
    let plain = |steps: usize| {
        (1..=steps)
            .map(|step| format!("#{step} [{step}/{steps}] RUN {step}\n#{step} DONE 0.1s\n\n"))
            .collect::<String>()
    };
    for write in [&classic as &dyn Fn(usize) -> String, &plain] {
        let time = |steps: usize| {
            let text = write(steps);
            let began = std::time::Instant::now();
            assert_eq!(import(text.as_bytes()).unwrap().steps.len(), steps);
            began.elapsed().as_secs_f64()
        };
        undisturbed(|_| {
            let few = time(2000).min(time(2000));
            let many = time(8000).min(time(8000));
            in_time(many < few * 10.0, (few, many))
        });
    }
}

#[test]
fn a_build_that_fails_outside_of_its_steps_says_so_in_the_builder_s_words() {
    let step = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\n#2 [1/1] RUN make\n#2 1.001 cc\n";
    let kaniko = "INFO[0000] Retrieving image manifest a\nINFO[0001] Building stage 'a' [idx: '0', base-idx: '-1']\nINFO[0001] RUN make\n\
                  INFO[0009] Taking snapshot of full filesystem...\nINFO[0010] Pushing image to r.example/a:1\n";
    for (log, words) in [
        (format!("{step}ERROR: failed to receive status: rpc error: code = Unavailable desc = EOF\n"), "desc = EOF"),
        (
            "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\nERROR: failed to build: failed to solve: \
             dockerfile parse error on line 3: unknown instruction: RUNN\n"
                .to_owned(),
            "unknown instruction: RUNN",
        ),
        (format!("{kaniko}error pushing image: failed to push to destination r.example/a:1: 401\n"), "401"),
        (format!("{kaniko}error checking push permissions -- make sure you entered the correct tag name\n"), "tag name"),
    ] {
        let (record, _) = read(&log);
        assert!(!record.succeeded && !record.unfinished, "{log}");
        assert!(record.notes.iter().any(|note| note.contains(words)), "{log}: {:?}", record.notes);
    }
    let (record, _) = read(&format!("{step}#2 ERROR: exit code: 1\nERROR: failed to solve: exit code: 1\n"));
    assert!(record.notes.iter().all(|note| !note.contains("outside")), "{:?}", record.notes);
}

#[test]
fn the_first_vertex_may_have_the_name_of_another_front_end() {
    let log = "#1 [depot] launching amd64 machine\n#1 DONE 30.0s\n\n#2 [internal] load build definition from Dockerfile\n\
               #2 DONE 0.1s\n\n#3 [1/1] RUN make\n#3 DONE 5.0s\n\n#4 exporting to image\n#4 DONE 1.0s\n";
    let (record, _) = read(log);
    assert_eq!((record.wall.0, record.steps.len()), (36_100_000_000, 4));
    // Lines of other programs with the same numbers.
    let (record, _) = read(&format!(
        "#1 fix the login page\n#2 and another\n{}",
        &log[log.find("#2 [int").unwrap()..].replace("#2", "#1").replace("#3", "#2").replace("#4", "#3")
    ));
    assert_eq!((texts(&record).len(), record.wall.0), (3, 6_100_000_000));
}

#[test]
fn a_step_that_a_service_cancels_ends_with_its_message() {
    for message in ["##[error]The operation was canceled.", "ERROR: Job failed: canceled", "Aborted by a user"] {
        let (record, _) = read(&format!(
            "2026-03-01T10:00:00Z #1 [1/1] RUN make\n2026-03-01T10:00:01Z #1 1.000 cc\n2026-03-01T10:01:00Z {message}\n\
             2026-03-01T10:01:30Z Cleaning up\n"
        ));
        assert_eq!((record.wall.0, record.unfinished), (60_000_000_000, true), "{message}");
    }
}

#[test]
fn a_terminal_s_lines_may_be_broken_or_in_a_diff() {
    let display = "[+] Building 5.2s (3/3) FINISHED\n => [internal] load metadata for docker.io/library/node:20  0.1s\n \
                   => [1/2] RUN npm ci  3.0s\n => [2/2] RUN make  2.0s\n => => exporting layers  0.1s\n => exporting to image  0.1s\n";
    let broken = display.replace("node:20  ", "node:20\n").replace("RUN make  ", "RUN\nmake\n");
    let diff = format!("+{}", display.trim_end().replace('\n', "\n+"));
    for log in [display, &broken, &diff] {
        let (record, _) = read(log);
        assert_eq!((record.wall.0, times(&record, "RUN make").1 - times(&record, "RUN make").0), (5_200_000_000, 2000));
        assert_eq!(record.steps.len(), 4, "{log}");
    }
    let failed = "[+] Building 1.0s (1/2)\n => ERROR [2/2] RUN make  1.0s\nfailed to solve with frontend dockerfile.v0: failed to build LLB: \
                  executor failed running [make]: exit code: 2\n";
    assert_eq!(step(&read(failed).0, "RUN make").exit_code, Some(2));
}

#[test]
fn a_stage_that_is_shown_late_does_not_start_from_the_one_shown_before() {
    let (record, explanation) = read(
        "2026-03-01T10:00:00.000Z #1 [internal] load build definition from Dockerfile
2026-03-01T10:00:00.100Z #1 DONE 0.1s
2026-03-01T10:00:00.100Z #2 [base 1/1] RUN sleep 1
2026-03-01T10:00:01.100Z #2 DONE 1.0s
2026-03-01T10:00:01.150Z #3 [b 1/1] RUN sleep 1.8
2026-03-01T10:00:01.450Z #3 0.300 line 1
2026-03-01T10:00:02.950Z #3 DONE 1.8s
2026-03-01T10:00:02.951Z #4 [a 1/1] RUN sleep 1.7
2026-03-01T10:00:02.951Z #4 DONE 1.7s
2026-03-01T10:00:02.960Z #5 [stage-3 1/1] RUN sleep 1
2026-03-01T10:00:03.960Z #5 DONE 1.0s
",
    );
    let needs = |to: &str| -> Vec<&str> {
        let to = step(&record, to).id;
        let from =
            record.edges.iter().filter(|edge| edge.to == to).map(|edge| &*record.steps[edge.from.0 as usize].text);
        from.filter(|text| text.starts_with("RUN")).collect()
    };
    assert_eq!((needs("sleep 1.8"), needs("sleep 1.7")), (vec!["RUN sleep 1"], vec!["RUN sleep 1"]));
    let drag = |text: &str| explanation.steps.iter().find(|found| found.id == step(&record, text).id).unwrap().drag.0;
    assert!(drag("load build definition") > 0 && drag("sleep 1.7") > 0, "{:?}", explanation.steps);
}
