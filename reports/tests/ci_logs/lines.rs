//! Which lines of a log are steps, and how long reading them takes.

use crate::{all, read, step, texts, times, walls};
use buildscope_reports::import::import;
use buildscope_testing::{in_time, undisturbed};

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
fn a_head_that_is_cut_off_leaves_the_name_that_comes_later() {
    let (record, _) = read(
        "#6 ...\n\n#7 [b 1/1] RUN y\n#7 DONE 1.0s\n\n#6 [a 1/1] RUN x\n#6 1.500 out\n#6 DONE 2.0s\n#8 DONE 1.0s\n",
    );
    let mut found = texts(&record);
    found.sort_unstable();
    assert_eq!(found, ["RUN x", "RUN y"]);
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
