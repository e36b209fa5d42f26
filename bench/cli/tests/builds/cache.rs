//! Which steps run again after a change, and which do not.

use crate::world::{World, steps};
use buildscope_record::Outcome::{Cached, Executed, Pruned};
use buildscope_record::Phase;
use buildscope_testing::test;
use std::time::{Duration, UNIX_EPOCH};

const TWO_STAGES: &str = "FROM busybox AS lib\n\
    COPY lib.c /src/\n\
    RUN wc -c < /src/lib.c > /lib.o\n\
    FROM busybox\n\
    COPY app.c /src/\n\
    RUN wc -c < /src/app.c > /app.o\n\
    COPY --from=lib /lib.o /lib.o\n\
    RUN cat /lib.o /app.o > /app\n";

fn two_stages() -> World {
    let world = World::new(TWO_STAGES);
    world.write("lib.c", "int lib;");
    world.write("app.c", "int app;");
    world
}

#[test]
fn an_unchanged_build_runs_nothing() {
    let world = two_stages();
    let first = world.build(&[]).record();
    assert_eq!(steps(&first, Executed).iter().filter(|text| !text.starts_with("FROM")).count(), 6);
    let second = world.build(&[]).record();
    assert_eq!(steps(&second, Executed), [""; 0]);
    assert_eq!(steps(&second, Cached).len(), second.steps.len());
}

#[test]
fn a_changed_file_reruns_only_dependent_steps() {
    let world = two_stages();
    world.build(&[]).record();
    world.write("app.c", "int app = 1;");
    let record = world.build(&[]).record();
    let reran = [
        "COPY app.c /src/",
        "RUN wc -c < /src/app.c > /app.o",
        "COPY --from=lib /lib.o /lib.o",
        "RUN cat /lib.o /app.o > /app",
    ];
    assert_eq!(steps(&record, Executed), reran);
}

#[test]
fn identical_files_keep_dependent_stages_cached() {
    let world = two_stages();
    world.build(&[]).record();
    // The same length as before: the same /lib.o, but with a later timestamp.
    std::thread::sleep(Duration::from_millis(1100));
    world.write("lib.c", "int xyz;");
    let record = world.build(&[]).record();
    assert_eq!(steps(&record, Executed), ["COPY lib.c /src/", "RUN wc -c < /src/lib.c > /lib.o"]);
}

#[test]
fn options_that_a_process_sees_rerun_steps() {
    let world = World::new("FROM busybox\nRUN cat /etc/hosts > /hosts\nRUN --network=none true > /own\n");
    let ran = |options: &[&str]| {
        let record = world.build(options).record();
        (steps(&record, Executed).iter().filter(|text| text.starts_with("RUN")).count(), record)
    };
    assert_eq!(ran(&[]).0, 2);
    let (count, record) = ran(&["--add-host", "db:10.1.2.3"]);
    assert_eq!(
        (count, record.steps[1].cache.as_ref().unwrap().inputs["option:--add-host"].as_str()),
        (2, "db=10.1.2.3")
    );
    assert_eq!(ran(&["--add-host", "db:10.1.2.4"]).0, 2);
    assert_eq!(ran(&["--ulimit", "nofile=100:200"]).0, 2);
    assert_eq!(ran(&["--shm-size", "1m"]).0, 2);
    // The second step says which network it has, but runs on the result of the first.
    assert_eq!(ran(&["--network", "none"]).0, 2);
    // Limits that only end a step, and all options again.
    for options in [&["--memory", "1g", "--cpus", "2", "--timeout", "60"][..], &["--add-host", "db:10.1.2.3"], &[]] {
        assert_eq!(ran(options).0, 0, "{options:?}");
    }
}

#[test]
fn with_an_epoch_rewritten_times_are_compared() {
    let world =
        World::new("FROM busybox AS lib\nCOPY f /in\nRUN cp /in /out\nFROM busybox\nCOPY --from=lib /in /out /\n");
    let file = world.context().join("f");
    let date = |seconds: u64| {
        world.write("f", "text");
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    };
    let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1000"];
    date(500);
    world.build(&epoch).record();
    date(600);
    assert!(steps(&world.build(&epoch).record(), Executed).contains(&"COPY --from=lib /in /out /"));
    date(2000);
    assert!(steps(&world.build(&epoch).record(), Executed).contains(&"COPY --from=lib /in /out /"));
    // Both would be rewritten to 1000.
    date(3000);
    assert!(!steps(&world.build(&epoch).record(), Executed).contains(&"COPY --from=lib /in /out /"));
}

#[test]
fn a_files_time_affects_only_its_own_layer() {
    let world = World::new("FROM busybox\nCOPY f /f\nRUN cat /f\n");
    world.write("f", "text");
    world.build(&[]).record();
    let file = world.context().join("f");
    let change = |command: &str, args: &[&str]| {
        assert!(std::process::Command::new(command).args(args).arg(&file).status().unwrap().success());
    };
    change("touch", &["-d", "@1000000000"]);
    assert_eq!(steps(&world.build(&[]).record(), Executed), ["COPY f /f"]);
    change("chmod", &["755"]);
    assert_eq!(steps(&world.build(&[]).record(), Executed), ["COPY f /f", "RUN cat /f"]);
}

#[test]
fn an_argument_invalidates_only_steps_that_see_it() {
    let world = World::new("FROM busybox\nRUN echo before\nARG WHO=a\nRUN echo $WHO\n");
    world.build(&[]).record();
    let record = world.build(&["--build-arg", "WHO=b"]).record();
    assert_eq!(steps(&record, Executed), ["RUN echo $WHO"]);
}

#[test]
fn no_cache_runs_all_needed_steps() {
    let world = World::new("FROM busybox AS dead\nRUN echo dead\nFROM busybox\nRUN echo live\n");
    world.build(&[]).record();
    let record = world.build(&["--no-cache"]).record();
    assert_eq!(steps(&record, Executed), ["FROM busybox", "RUN echo live"]);
    assert_eq!(steps(&record, Pruned), ["FROM busybox AS dead", "RUN echo dead"]);
}

#[test]
fn an_imported_cache_is_read_only_if_a_step_is_missing_here() {
    let world = two_stages();
    // It cannot be read, which is a warning.
    let from = format!("type=local,src={}", world.path("nowhere").display());
    let is_read = || {
        let built = world.build(&["--cache-from", &from]);
        let record = built.record();
        let reads =
            record.spans.iter().filter(|span| span.phase == Phase::Resolve && span.name.as_deref() == Some("cache"));
        let (reads, warnings) = (reads.count(), built.stderr().matches("a cache is not imported").count());
        assert_eq!(reads > 0, warnings > 0, "{}", built.stderr());
        warnings
    };
    assert_eq!((is_read(), is_read()), (1, 0), "at first, and unchanged");
    world.write("app.c", "int app = 1;");
    assert_eq!((is_read(), is_read()), (1, 0), "changed, and unchanged");
    // A single stage: no step can be skipped.
    world.write("Dockerfile", "FROM busybox\nCOPY app.c /\nRUN wc -c < /app.c > /app\n");
    assert_eq!((is_read(), is_read()), (1, 0), "another file, and unchanged");
}
