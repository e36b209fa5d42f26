//! The limits of a step, and what it used of the machine.

use crate::world::{World, cgroups, executors, member};
use buildscope_testing::{in_time, test, undisturbed};
use std::fs;

#[test]
fn the_number_of_processes_can_be_limited() {
    let world = World::empty();
    for executor in executors() {
        undisturbed(|factor| {
            // The shell is the fifth process. It waits, because a runtime is not counted once it has started the step.
            let nap = 0.5 * f64::from(factor);
            let forks = "for i in 1 2 3 4 5 6 7 8; do sleep 30 & echo started; done";
            world.write("Dockerfile", &format!("FROM busybox\nRUN sleep {nap}; {forks}\n"));
            let built = world.build(&["--no-cache", "--pids-limit", "5", "--executor", executor]);
            if !cgroups() {
                assert!(built.stderr().contains("--pids-limit: buildscope cannot use a cgroup"), "{}", built.stderr());
                return Ok(());
            }
            let record = built.read();
            let step = record.steps.iter().find(|step| step.exit_code.is_some()).unwrap();
            let started = step.log.iter().filter(|line| *line == "started").count();
            let refused = step.log.iter().any(|line| line.contains("can't fork"));
            // On a busy machine, the limit may come after the nap.
            in_time(started == 4 && refused, (executor, &step.log))
        });
    }
    world.write("Dockerfile", "FROM busybox\nRUN for i in 1 2 3 4 5 6 7 8; do sleep 30 & echo started; done\n");
    for any in ["-1", "0", "1000"] {
        if any != "1000" || cgroups() {
            let built = world.build(&["--no-cache", "--pids-limit", any]);
            assert!(built.output.status.success(), "{any}: {}", built.stderr());
        }
    }
    assert_eq!(world.build(&["--pids-limit", "-2"]).output.status.code(), Some(2));
}

#[test]
fn sizes_that_overflow_are_errors() {
    for size in ["99999999999999999999", "9223372036854775808", "8192p"] {
        let world = World::new(&format!("FROM busybox\nRUN --mount=type=tmpfs,target=/t,size={size} true\n"));
        let stderr = world.build(&[]).stderr();
        assert!(stderr.contains("invalid value") && stderr.contains("for size"), "{size}: {stderr}");
        for flag in ["--memory", "--shm-size"] {
            let built = world.build(&[flag, size]);
            assert!(built.output.status.code() == Some(2) && built.stderr().contains(flag), "{}", built.stderr());
        }
    }
    let world = World::new("FROM busybox\nRUN true\n");
    for wrong in [["--cpus", "0"], ["--cpus", "1e300"], ["--cpus", "nan"], ["--timeout", "1e300"], ["--timeout", "-1"]]
    {
        assert_eq!(world.build(&[&wrong.join("=")]).output.status.code(), Some(2), "{wrong:?}");
    }
}

/// A step that keeps a processor busy for a while.
const BUSY: &str = "FROM busybox\nRUN i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done\n";

#[test]
fn resource_use_of_a_step_is_recorded() {
    let record = World::new(BUSY).build(&[]).record();
    let step = record.steps.iter().find(|step| step.instruction.name() == "RUN").unwrap();
    let resources = step.resources.unwrap();
    assert!(resources.minor_faults > 0 && resources.processes == Some(1), "{resources:?}");
}

#[test(Cgroups, Pressure)]
fn resource_use_over_time_is_recorded() {
    let world = World::new(BUSY);
    let trace = world.path("trace.json");
    let record = world.build(&["--trace", trace.to_str().unwrap()]).record();
    let step = record.steps.iter().find(|step| step.instruction.name() == "RUN").unwrap();
    let counted = |name: &str| {
        let mine = record.counters.iter().find(|counter| counter.name == name && counter.step == Some(step.id));
        mine.map_or(0, |counter| counter.samples.len())
    };
    let trace = fs::read_to_string(trace).unwrap();
    for name in ["cpu.used", "memory.used", "cpu.pressure", "memory.pressure", "io.pressure"] {
        assert!(counted(name) > 0, "{name} of {:?}", record.counters);
        assert!(trace.contains(name), "{name} is in the timeline");
    }
}

/// A step that needs 200 MB.
pub(crate) const HUNGRY: &str = "FROM busybox\nRUN head -c 200m /dev/zero | tail -n 1 | wc -c | grep -q 209715200\n";

/// The message of a build with less memory. Without its own cgroup, buildscope cannot enforce the limit.
pub(crate) fn short_of_memory() -> &'static str {
    if cgroups() { "out of memory" } else { "--memory: buildscope cannot use a cgroup with that controller" }
}

#[test]
fn deaths_are_explained_and_recorded() {
    let world = World::new("FROM busybox\nRUN kill -9 $$\n");
    let built = world.build(&[]);
    assert!(built.stderr().contains("exit code: 137: killed by SIGKILL"), "{}", built.stderr());
    assert_eq!(built.read().steps.iter().find_map(|step| step.exit_code), Some(137));
    let world = World::new("FROM busybox\nRUN sleep 1000\n");
    let built = world.build(&["--timeout", "0.3"]);
    assert!(built.stderr().contains("--timeout allows"), "{}", built.stderr());
    let stderr = World::new(HUNGRY).build(&["--memory", "24m"]).stderr();
    assert!(stderr.contains(short_of_memory()), "{stderr}");
    let world = World::new("FROM busybox\nRUN i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done\n");
    let record = world.build(&[]).record();
    let resources = record.steps.iter().find_map(|step| step.resources).unwrap();
    assert!((resources.cpu_user + resources.cpu_system).0 > 10_000_000 && resources.peak_memory.0 > 0, "{resources:?}");
}

/// A fifth of a processor: all work takes five times as long, except for the share of the first period of 100 ms.
#[test]
fn processors_are_limited_as_requested() {
    let world = World::new("FROM busybox\nRUN i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done\n");
    let built = world.build(&["--cpus", "0.2"]);
    if !cgroups() {
        let refused = "--cpus: buildscope cannot use a cgroup with that controller";
        return assert!(built.stderr().contains(refused), "{}", built.stderr());
    }
    let record = built.record();
    let step = record.steps.iter().find(|step| step.instruction.name() == "RUN").unwrap();
    let used = step.resources.map(|used| (used.cpu_user + used.cpu_system).as_secs_f64()).unwrap();
    let lasted = (step.end.unwrap() - step.start.unwrap()).as_secs_f64();
    assert!(used > 0.1 && lasted > 4.0 * used - 0.1, "{used} s of CPU time in {lasted} s");
}

#[test]
fn hosts_and_limits_apply_without_a_trace() {
    let world = World::new(
        "FROM busybox\nRUN grep -q '10.9.8.7.*elsewhere' /etc/hosts && test $(ulimit -n) = 99 && df -k /dev/shm | grep -q ' 2048 '\n\
         RUN test -e /etc/hosts && echo x > /y\n",
    );
    let archive = world.path("image.tar");
    let output = format!("type=tar,dest={}", archive.display());
    let args = ["--add-host", "elsewhere:10.9.8.7", "--ulimit", "nofile=99", "--shm-size", "2m", "--output", &output];
    for executor in executors() {
        world.build(&[&args[..], &["--no-cache", "--executor", executor]].concat()).record();
        assert_eq!(member(&archive, "y"), b"x\n");
        assert!(!String::from_utf8_lossy(&fs::read(&archive).unwrap()).contains("10.9.8.7"), "{executor}");
    }
}

/// The kernel adds the CPU time of reaped descendants, and so of the steps' processes.
#[test]
fn cpu_time_of_steps_counts_for_the_builder() {
    let world = World::new("FROM busybox\nRUN i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done\n");
    let path = world.path("record.json");
    let build = world.command(&["--record", path.to_str().unwrap()]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "\"$@\" && times", "sh"]).arg(build.get_program()).args(build.get_args());
    let run = shell.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let record = buildscope_record::Record::read(fs::File::open(path).unwrap()).unwrap();
    let step = record.steps[1].resources.unwrap().cpu_user.as_secs_f64();
    let used = children_cpu(&String::from_utf8(run.stdout).unwrap());
    assert!(step > 0.05, "the loop takes time: {step}");
    assert!(used >= step - 0.01, "{used} s of the shell's children, {step} s of the step"); // times counts hundredths
}

/// User CPU time of a shell's exited children, from the second line of `times`: `0m0.520000s 0m0.040000s`.
fn children_cpu(times: &str) -> f64 {
    let children = times.lines().last().unwrap().split('s').next().unwrap();
    let (minutes, seconds) = children.split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}
