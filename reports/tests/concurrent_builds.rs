//! Logs of builds that ran at the same time and wrote to one pipe. The lines are those of real builds, `a` and `b`, each with two RUN steps.

use buildscope_record::{Outcome, Record};
use buildscope_reports::import::{builds, builds_of};

/// The instructions of both Dockerfiles, each on one line.
fn files() -> Vec<Vec<String>> {
    let file = |runs: [&str; 2]| ["FROM busybox", runs[0], runs[1]].map(str::to_owned).to_vec();
    vec![
        file(["RUN sleep 1.1 && echo a1", "RUN sleep 0.5; echo a2; true"]),
        file(["RUN sleep 0.7 && echo b1", "RUN sleep 0.9; echo b2; true"]),
    ]
}

/// The RUN steps of each build: the text, and the time of its end in tenths of a second after the start of the log.
fn runs(records: &[Record], zero: &str) -> Vec<Vec<(String, i64)>> {
    let zero: jiff::Timestamp = zero.parse().unwrap();
    let of = |record: &Record| {
        let began: jiff::Timestamp = record.started.as_deref().unwrap().parse().unwrap();
        let since = began.as_millisecond() - zero.as_millisecond();
        let ran = record.steps.iter().filter(|step| step.text.starts_with("RUN"));
        ran.map(|step| {
            assert_eq!(step.outcome, Outcome::Executed, "{step:?}");
            let end = i64::try_from(step.end.unwrap().0 / 1_000_000).unwrap();
            (step.text.clone(), (since + end + 50) / 100)
        })
        .collect()
    };
    let mut runs: Vec<Vec<_>> = records.iter().map(of).collect();
    runs.sort();
    runs
}

fn expected(ends: [i64; 4]) -> Vec<Vec<(String, i64)>> {
    let [a, b] = [0, 1].map(|file| files()[file][1..].to_vec());
    vec![b.into_iter().zip(ends[2..].iter().copied()).collect(), a.into_iter().zip(ends[..2].iter().copied()).collect()]
}

fn timed(lines: &[(f64, &str)]) -> String {
    lines.iter().map(|(at, text)| format!("2026-11-30T19:07:{at:09.6}Z {text}\n")).collect()
}

const CLASSIC: [(f64, &str); 28] = [
    (6.870392, "Sending build context to Docker daemon  2.048kB"),
    (6.870433, "Sending build context to Docker daemon  2.048kB"),
    (6.870438, "Step 1/3 : FROM busybox"),
    (6.870441, " ---> e5c72b91faca"),
    (6.870444, "Step 2/3 : RUN sleep 0.7 && echo b1"),
    (6.870447, "Step 1/3 : FROM busybox"),
    (6.870449, " ---> e5c72b91faca"),
    (6.870453, "Step 2/3 : RUN sleep 1.1 && echo a1"),
    (7.464639, " ---> Running in f57fa756eb43"),
    (7.464688, " ---> Running in 4773fd024bd2"),
    (8.611174, "b1"),
    (8.915481, "Removing intermediate container f57fa756eb43"),
    (8.915679, " ---> e0f946027ce7"),
    (8.915704, "Step 3/3 : RUN sleep 0.9; echo b2; true"),
    (8.955048, " ---> Running in 8a5aa57a8493"),
    (8.967137, "a1"),
    (9.215591, "Removing intermediate container 4773fd024bd2"),
    (9.219056, " ---> e470cf676f48"),
    (9.219205, "Step 3/3 : RUN sleep 0.5; echo a2; true"),
    (9.246452, " ---> Running in 8696f6c80492"),
    (9.913735, "a2"),
    (10.038743, "b2"),
    (10.264614, "Removing intermediate container 8696f6c80492"),
    (10.264833, " ---> 1dfdc39ed6e6"),
    (10.268546, "Successfully built 1dfdc39ed6e6"),
    (10.330030, "Removing intermediate container 8a5aa57a8493"),
    (10.330087, " ---> 0d0deb44d0b9"),
    (10.339527, "Successfully built 0d0deb44d0b9"),
];

const BUILDAH: [(f64, &str); 16] = [
    (18.386622, "STEP 1/3: FROM busybox"),
    (18.386659, "STEP 1/3: FROM busybox"),
    (18.387814, "STEP 2/3: RUN sleep 0.7 && echo b1"),
    (18.415646, "STEP 2/3: RUN sleep 1.1 && echo a1"),
    (20.146889, "b1"),
    (20.186902, "STEP 3/3: RUN sleep 0.9; echo b2; true"),
    (20.323841, "a1"),
    (20.393330, "STEP 3/3: RUN sleep 0.5; echo a2; true"),
    (21.602890, "a2"),
    (21.667074, "b2"),
    (21.687747, "COMMIT"),
    (21.787235, "COMMIT"),
    (21.977910, "--> 486e80b387e"),
    (22.039061, "486e80b387e93844877ef88780c62e1e4092624f371f0cea9683d8fc1effc808"),
    (22.050620, "--> 412d073ecac"),
    (22.086670, "412d073ecacd67be2049f44be7d85baddea8340e94deece73be6d82e3ee3d5b1"),
];

/// BuildKit HEAD of 2026-08-21. The first vertices of both came within a millisecond.
const PLAIN: [(f64, &str); 39] = [
    (13.418853, "#1 [internal] load build definition from Dockerfile"),
    (13.418876, "#1 transferring dockerfile: 104B 0.0s done"),
    (13.418879, "#1 DONE 0.0s"),
    (13.418882, ""),
    (13.418886, "#2 [context busybox] load metadata for docker.io/library/busybox:latest"),
    (13.418892, "#2 DONE 0.1s"),
    (13.418896, "#1 [internal] load build definition from Dockerfile"),
    (13.418899, "#1 transferring dockerfile: 104B 0.0s done"),
    (13.418902, "#1 DONE 0.0s"),
    (13.418905, ""),
    (13.418908, "#2 [context busybox] load metadata for docker.io/library/busybox:latest"),
    (13.418910, "#2 DONE 0.1s"),
    (13.418913, ""),
    (13.418915, "#3 [internal] load .dockerignore"),
    (13.418918, "#3 transferring context: 2B done"),
    (13.418921, "#3 DONE 0.0s"),
    (13.418923, ""),
    (13.418926, "#4 [context busybox] OCI load from client"),
    (13.418934, ""),
    (13.418937, "#3 [internal] load .dockerignore"),
    (13.418942, "#3 DONE 0.1s"),
    (13.418945, ""),
    (13.418947, "#4 [context busybox] OCI load from client"),
    (13.418952, "#4 DONE 0.0s"),
    (13.418957, "#5 [context busybox] OCI load from client"),
    (13.418970, "#4 DONE 0.2s"),
    (13.418975, "#5 DONE 0.2s"),
    (13.486613, "#5 [1/3] RUN sleep 0.7 && echo b1"),
    (13.512019, "#6 [1/3] RUN sleep 1.1 && echo a1"),
    (14.213652, "#5 0.878 b1"),
    (14.414221, "#5 DONE 0.9s"),
    (14.414293, "#6 [2/3] RUN sleep 0.9; echo b2; true"),
    (14.723532, "#6 1.388 a1"),
    (14.954418, "#6 DONE 1.5s"),
    (14.954473, "#7 [2/3] RUN sleep 0.5; echo a2; true"),
    (15.348327, "#6 1.085 b2"),
    (15.465058, "#7 0.661 a2"),
    (15.475318, "#6 DONE 1.1s"),
    (15.603074, "#7 DONE 0.7s"),
];

/// The announcements of the classic builder are those of the next step, so a step ends with the next announcement.
#[test]
fn lines_of_classic_builds_have_their_build() {
    let found = builds(timed(&CLASSIC).as_bytes()).unwrap();
    let of = runs(found.records(), "2026-11-30T19:07:06Z");
    assert_eq!(of, expected([32, 43, 29, 43]));
    for record in found.records() {
        assert!(
            record.notes.iter().any(|note| note.contains("lines of several builds are mixed")),
            "{:?}",
            record.notes
        );
        assert!(record.succeeded && record.steps.iter().all(|step| step.end.is_some()));
    }
}

/// Nothing in the log says which build goes on, so the Dockerfiles do.
#[test]
fn dockerfiles_tell_builds_of_buildah_apart() {
    let log = timed(&BUILDAH);
    let found = builds_of(log.as_bytes(), &files()).unwrap();
    assert_eq!(found.records().len(), 2);
    let texts = |records: &[Record]| {
        let of = |record: &Record| {
            let mut texts: Vec<String> = record.steps.iter().map(|step| step.text.clone()).collect();
            texts.retain(|text| text.starts_with("RUN"));
            texts
        };
        let mut texts: Vec<_> = records.iter().map(of).collect();
        texts.sort();
        texts
    };
    let mut files: Vec<_> = files().into_iter().map(|file| file[1..].to_vec()).collect();
    files.sort();
    assert_eq!(texts(found.records()), files);
    // Without them, each step is in one of the two.
    let mut all = texts(builds(log.as_bytes()).unwrap().records()).concat();
    all.sort();
    let mut expected = files.concat();
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn lines_of_plain_progress_have_their_build() {
    let found = builds(timed(&PLAIN).as_bytes()).unwrap();
    let seen = runs(found.records(), "2026-11-30T19:07:13Z").concat();
    // Durations are printed in tenths, and a line comes up to 0.15 s late.
    for ((text, end), (known, expected)) in seen.iter().zip(expected([20, 26, 14, 25]).concat()) {
        assert!(*text == known && (end - expected).abs() <= 2, "{seen:?}");
    }
    assert!(found.records().iter().all(|record| !record.unfinished), "{:#?}", found.records());
}

/// A build is not another one because a step prints what a build prints.
#[test]
fn a_step_that_prints_an_announcement_is_one_build() {
    let log = "10:00:00 Step 1/3 : FROM busybox\n10:00:00  ---> e5c72b91faca\n10:00:00 Step 2/3 : RUN show\n\
        10:00:01  ---> Running in f57fa756eb43\n10:00:02 Step 1/3 : FROM x\n10:00:03 Removing intermediate container f57fa756eb43\n\
        10:00:04  ---> e0f946027ce7\n10:00:04 Step 3/3 : RUN true\n10:00:04  ---> Running in 8a5aa57a8493\n\
        10:00:05  ---> Removed intermediate container 8a5aa57a8493\n10:00:06  ---> 0d0deb44d0b9\n10:00:06 Successfully built 0d0deb44d0b9\n";
    let found = builds(log.as_bytes()).unwrap();
    let [record] = found.records() else { panic!("{} builds", found.records().len()) };
    assert_eq!((record.steps.len(), record.succeeded), (3, true));
    assert!(record.notes.iter().all(|note| !note.contains("mixed")), "{:?}", record.notes);
    // The container of the last step was removed a second before its end (docker 23 and later).
    let commits = record.spans.iter().filter(|span| span.phase == buildscope_record::Phase::Commit);
    let commits: Vec<_> = commits.map(|span| (span.end - span.start).0 / 1_000_000_000).collect();
    assert_eq!(commits, [1, 1]);
}

/// A build that was killed, and then the same one again.
#[test]
fn builds_one_after_the_other_are_not_mixed() {
    let classic = [
        "Step 1/3 : FROM busybox",
        " ---> e5c72b91faca",
        "Step 2/3 : RUN make",
        " ---> Running in f57fa756eb43",
        "Removing intermediate container f57fa756eb43",
        " ---> e0f946027ce7",
        "Step 3/3 : RUN true",
        " ---> Running in 8a5aa57a8493",
        "Removing intermediate container 8a5aa57a8493",
        " ---> 0d0deb44d0b9",
        "Successfully built 0d0deb44d0b9",
    ];
    let buildah = ["STEP 1/3: FROM busybox", "STEP 2/3: RUN make", "STEP 3/3: RUN true", "COMMIT", "--> 486e80b387e"];
    for (lines, killed) in [(&classic[..], 4), (&buildah[..], 2)] {
        let lines = lines[..killed].iter().chain(lines).zip(0..);
        let log: String = lines.map(|(line, second)| format!("2026-11-30T19:07:{second:02}Z {line}\n")).collect();
        let found = builds(log.as_bytes()).unwrap();
        let records = found.records();
        let ended: Vec<_> = records.iter().map(|record| (record.steps.len(), record.succeeded)).collect();
        assert_eq!(ended.iter().map(|(_, succeeded)| *succeeded).collect::<Vec<_>>(), [false, true], "{ended:?}");
        assert!(records.iter().flat_map(|record| &record.notes).all(|note| !note.contains("mixed")), "{log}");
    }
}

/// Two builds of BuildKit with so many vertices that a search among all of them for each takes minutes.
#[test]
fn concurrent_builds_of_very_many_vertices_are_read() {
    let vertex = |number: usize| {
        format!(
            "#{number} [{number}/40000] RUN a\n#{number} DONE 0.0s\n#{number} [{number}/40000] RUN b\n#{number} DONE 0.0s\n"
        )
    };
    let log: String = (1..=40_000).map(vertex).collect();
    let read = builds(log.as_bytes()).unwrap();
    assert_eq!(read.records().iter().map(|record| record.steps.len()).sum::<usize>(), 80_000);
}

/// BuildKit executes a step of two equal builds once, and tells both clients about it, with a start that differs by a millisecond. The vertex
/// of the second client (`6a`, `49`) never starts. Times are those of a real log (BuildKit HEAD of 2026-08-21).
#[test]
fn an_equal_step_of_two_builds_is_a_step_of_both() {
    let vertex = |digest: &str, name: &str, started: &str, completed: &str| {
        let time = |text: &str| (!text.is_empty()).then(|| format!("2026-12-01T03:29:{text}Z"));
        serde_json::json!({ "digest": digest, "name": name, "started": time(started), "completed": time(completed) })
    };
    let message = |vertices: &[serde_json::Value]| format!("{}\n", serde_json::json!({ "vertexes": vertices }));
    let define = "[internal] load build definition from Dockerfile";
    let (first, last) = ("[2/4] RUN sleep 1 && true", "[3/4] RUN sleep 0.2; true");
    let output = |at: &str| {
        format!(
            "{}\n",
            serde_json::json!({ "logs": [{ "vertex": "fd", "data": "b25lCg==", "timestamp": format!("2026-12-01T03:29:{at}Z") }] })
        )
    };
    let log = [
        message(&[vertex("ee", define, "05.150", "05.160")]),
        message(&[vertex("86", define, "05.154", "05.168")]),
        message(&[vertex("f7", last, "", ""), vertex("fd", first, "", "")]),
        message(&[vertex("6a", last, "", ""), vertex("49", first, "", "")]),
        message(&[vertex("fd", first, "05.285", "")]),
        message(&[vertex("fd", first, "05.287", "")]),
        output("05.900"),
        output("05.900"),
        message(&[vertex("fd", first, "05.287", "06.434")]),
        message(&[vertex("fd", first, "05.285", "06.433")]),
        message(&[vertex("f7", last, "06.437", "")]),
        message(&[vertex("f7", last, "06.438", "")]),
        message(&[vertex("f7", last, "06.437", "06.871")]),
        message(&[vertex("f7", last, "06.438", "06.872")]),
    ];
    let records = builds(log.concat().as_bytes()).unwrap().into_records();
    let mut spans: Vec<Vec<_>> = Vec::new();
    for record in &records {
        let zero: jiff::Timestamp = record.started.as_deref().unwrap().parse().unwrap();
        let at = |time: buildscope_record::Nanos| zero.as_millisecond() % 60_000 + (time.0 / 1_000_000) as i64;
        let runs = record.steps.iter().filter(|step| step.text.starts_with("RUN"));
        spans.push(runs.map(|step| (at(step.start.unwrap()), at(step.end.unwrap()), step.log.len())).collect());
    }
    spans.sort();
    assert_eq!(spans, [[(5285, 6433, 1), (6437, 6871, 0)], [(5287, 6434, 1), (6438, 6872, 0)]]);
}

/// The log of a real build (docker 20.10). COPY has no line, ENV has a container that is not started.
#[test]
fn onbuild_instructions_of_the_classic_builder_are_steps() {
    let log = timed(&[
        (1.305651, "Sending build context to Docker daemon  3.072kB"),
        (1.305711, "Step 1/2 : FROM base-on4"),
        (1.305718, "# Executing 4 build triggers"),
        (1.305725, " ---> Running in 4dd52f429536"),
        (1.305730, "one"),
        (2.585692, "Removing intermediate container 4dd52f429536"),
        (2.767411, " ---> Running in dc9dbbebca0c"),
        (5.954011, "Removing intermediate container dc9dbbebca0c"),
        (6.413663, " ---> Running in 3e1ad805b746"),
        (8.797351, "two"),
        (9.146885, "Removing intermediate container 3e1ad805b746"),
        (9.147947, " ---> c9923b83841b"),
        (9.148107, "Step 2/2 : RUN sleep 0.22; true"),
        (9.254083, " ---> Running in c20ffbb84e15"),
        (18.696408, "Removing intermediate container c20ffbb84e15"),
        (18.696466, " ---> 14f6e9e9a0f3"),
        (18.696472, "Successfully built 14f6e9e9a0f3"),
    ]);
    let records = builds(log.as_bytes()).unwrap().into_records();
    let [record] = &records[..] else { panic!("one build") };
    let step = |step: &buildscope_record::Step| {
        let tenth = |time: Option<buildscope_record::Nanos>| (time.unwrap().0 + 50_000_000) / 100_000_000;
        (step.text.clone(), tenth(step.start), tenth(step.end), step.log.join(""))
    };
    let expected = [
        ("FROM base-on4", 0, 0, ""),
        ("ONBUILD of base-on4", 0, 15, "one"),
        ("ONBUILD of base-on4", 15, 51, ""),
        ("ONBUILD of base-on4", 51, 78, "two"),
        ("RUN sleep 0.22; true", 78, 174, ""),
    ];
    let expected = expected.map(|(text, start, end, log)| (text.to_owned(), start, end, log.to_owned()));
    assert_eq!(record.steps.iter().map(step).collect::<Vec<_>>(), expected);
}
