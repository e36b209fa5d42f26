//! Steps and builds whose end is missing: cut logs, and cancelled jobs.

use crate::{read, step, times};
use buildscope_record::Outcome;

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
fn a_step_that_a_service_cancels_ends_with_its_message() {
    for message in ["##[error]The operation was canceled.", "ERROR: Job failed: canceled", "Aborted by a user"] {
        let (record, _) = read(&format!(
            "2026-03-01T10:00:00Z #1 [1/1] RUN make\n2026-03-01T10:00:01Z #1 1.000 cc\n2026-03-01T10:01:00Z {message}\n\
             2026-03-01T10:01:30Z Cleaning up\n"
        ));
        assert_eq!((record.wall.0, record.unfinished), (60_000_000_000, true), "{message}");
    }
}
