//! Real processes, observed. The root is a shell that waits for a line; its child takes the place of a step's first process.

use buildscope_observe::Observer;
use buildscope_record::{Cause, Nanos, Observed, Process, Processes};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn waiting_shell(step: &str) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read line; sh -c \"$0\"; exit 0", step]).stdin(Stdio::piped()).stdout(Stdio::null());
    shell.spawn().expect("a shell")
}

fn observed(step: &str) -> Processes {
    let mut shell = waiting_shell(step);
    let epoch = Instant::now();
    let observer = Observer::start(shell.id()).expect("a thread");
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    shell.wait().unwrap();
    let mut steps = observer.finish(epoch);
    assert_eq!(steps.len(), 1, "one child of the root");
    steps.remove(0).processes
}

fn one<'a>(seen: &'a Processes, program: &str) -> &'a Process {
    let mut found = seen.list.iter().filter(|process| process.program == program);
    let process = found.next().unwrap_or_else(|| panic!("no {program}: {seen:?}"));
    assert_eq!(found.next(), None, "one {program}");
    process
}

/// Machines whose kernel gives an ordinary user no events have the other tests of sampling.
fn events(seen: &Processes) -> bool {
    seen.observed == Observed::Events
}

#[test]
fn processes_have_their_arguments_times_and_waits() {
    let seen = observed("sleep 0.3; cat /dev/zero | head -c 300000000 | tail -c 1 > /dev/null; true");
    if !events(&seen) {
        return;
    }
    let sleep = one(&seen, "sleep");
    assert_eq!(sleep.arguments, ["sleep", "0.3"]);
    assert!(sleep.duration() >= Nanos(300_000_000), "{sleep:?}");
    assert!(sleep.time.blocked[Cause::Sleep] >= Nanos(250_000_000), "{sleep:?}");
    assert!(sleep.time.cpu < Nanos(100_000_000), "{sleep:?}");
    let tail = one(&seen, "tail");
    assert!(tail.time.cpu > Nanos(5_000_000), "{tail:?}");
    assert!(sleep.end <= tail.start, "in the order of the text");
    assert_eq!(seen.lost, 0);
    for process in &seen.list {
        assert!(process.time.runnable + process.time.blocked.total() <= process.duration(), "{process:?}");
    }
}

#[test]
fn two_thousand_processes_are_all_seen() {
    let seen = observed("i=0; while [ $i -lt 1000 ]; do /bin/true; (exit 0); i=$((i+1)); done");
    if !events(&seen) {
        return;
    }
    let folded: u64 = seen.folded.iter().map(|folded| folded.count).sum();
    let count = seen.list.iter().filter(|process| process.replaces.is_none()).count() as u64 + folded;
    assert!((2000..=2002).contains(&count), "{count}");
}

#[test]
fn a_process_that_runs_is_on_a_processor() {
    let seen = observed("sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; true");
    if !events(&seen) {
        return;
    }
    let busy = seen.list.iter().max_by_key(|process| process.time.cpu).unwrap();
    let known = busy.running() + busy.time.runnable;
    assert!(known.0 * 100 >= busy.duration().0 * 95, "{busy:?}");
}
