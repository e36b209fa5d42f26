//! The times of a log: their precision, and clocks that were set back.

use crate::{read, step, times};

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
