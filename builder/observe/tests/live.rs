//! Real processes, observed. The root is a shell that waits for a line; its child takes the place of a step's first process.

use buildscope_observe::{Collect, Observer};
use buildscope_record::{Cause, Nanos, Observed, Process, Processes, StackSamples};
use buildscope_testing::{in_time, test, undisturbed};
use std::io::Write;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

fn main() -> ExitCode {
    buildscope_testing::main()
}

fn waiting_shell(step: &str) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read line; sh -c \"$0\"; exit 0", step]).stdin(Stdio::piped()).stdout(Stdio::null());
    shell.spawn().expect("a shell")
}

fn observed(step: &str) -> Processes {
    observed_by(events_of, step)
}

fn events_of(root: u32) -> Option<Observer> {
    Observer::start(root, Collect::Processes, |_| false)
}

fn observed_by(start: fn(u32) -> Option<Observer>, step: &str) -> Processes {
    let mut shell = waiting_shell(step);
    let epoch = Instant::now();
    let observer = start(shell.id()).expect("a thread");
    observer.wait_until_ready();
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

#[test(PerfEvents)]
fn processes_have_their_arguments_times_and_waits() {
    undisturbed(|factor| {
        let nap = format!("{:.1}", f64::from(factor) * 0.3);
        let seen = observed(&format!("sleep {nap}; cat /dev/zero | head -c 300000000 | tail -c 1 > /dev/null; true"));
        assert_eq!(seen.observed, Observed::Events);
        let sleep = one(&seen, "sleep");
        assert_eq!(sleep.arguments, ["sleep", &nap]);
        let least = Nanos(300_000_000 * u64::from(factor));
        assert!(sleep.duration() >= least, "{sleep:?}");
        let tail = one(&seen, "tail");
        assert!(tail.time.cpu > Nanos(5_000_000), "{tail:?}");
        assert!(sleep.end <= tail.start, "in the order of the text");
        for process in &seen.list {
            assert!(process.time.runnable + process.time.blocked.total() <= process.duration(), "{process:?}");
        }
        let has_slept = sleep.time.blocked[Cause::Sleep].0 >= least.0 * 5 / 6;
        in_time(has_slept && sleep.time.cpu < Nanos(100_000_000), sleep)
    });
}

/// A shell whose text is `true` ends within a millisecond. Another builder's steps are found by these texts. Four stacks in five have them, on
/// a loaded machine, too.
#[test(PerfEvents, InitialNamespaces)]
fn most_programs_of_the_machine_have_arguments_however_short_they_are() {
    undisturbed(|_| {
        let epoch = Instant::now();
        let observer = Observer::of_machine(|_| false, &[]).expect("events of the machine");
        observer.wait_until_ready();
        for number in 0..100 {
            let text = format!("true mark-{number}");
            assert!(Command::new("sh").args(["-c", &text]).status().expect("a shell").success());
        }
        let steps = observer.finish(epoch);
        let [machine] = &steps[..] else { panic!("one step") };
        let texts = machine.processes.list.iter().filter_map(|process| process.arguments.get(2));
        let known = texts.filter(|text| text.starts_with("true mark-")).count();
        in_time(known >= 60, known)
    });
}

#[test(PerfEvents)]
fn two_thousand_processes_are_all_seen() {
    undisturbed(|_| {
        let seen = observed("i=0; while [ $i -lt 1000 ]; do /bin/true; (exit 0); i=$((i+1)); done");
        assert_eq!(seen.observed, Observed::Events);
        // The kernel drops events that are not read in time.
        in_time(seen.lost == 0, seen.lost)?;
        let folded: u64 = seen.folded.iter().map(|folded| folded.count).sum();
        let count = seen.list.iter().filter(|process| process.replaces.is_none()).count() as u64 + folded;
        assert!((2000..=2002).contains(&count), "{count}");
        Ok(())
    });
}

#[test(PerfEvents)]
fn a_process_that_runs_is_on_a_processor() {
    let seen = observed("sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; true");
    assert_eq!(seen.observed, Observed::Events);
    let busy = seen.list.iter().max_by_key(|process| process.time.cpu).unwrap();
    let known = busy.running() + busy.time.runnable;
    assert!(known.0 * 100 >= busy.duration().0 * 95, "{busy:?}");
}

/// The kernel tells the exit of every process to root of the initial namespaces; others know it of none.
#[test(PerfEvents, InitialNamespaces)]
fn short_processes_have_their_exit_code_bytes_and_memory() {
    let seen = observed("sh -c 'exit 3'; head -c 2000000 /dev/zero > /dev/null; sh -c 'kill -9 $$'; true");
    assert_eq!(seen.observed, Observed::Events);
    let exits: Vec<i32> = seen.list.iter().filter_map(|process| process.exit).collect();
    assert!(exits.contains(&3) && exits.contains(&137), "{seen:?}");
    let head = one(&seen, "head");
    assert_eq!(head.exit, Some(0));
    // The kernel rounds down to KiB.
    assert!(head.written.is_some_and(|bytes| bytes.0 == 2_000_000 / 1024 * 1024), "{head:?}");
    assert!(head.peak_memory.is_some_and(|bytes| bytes.0 > 100_000), "{head:?}");
}

/// The shell's waits for a processor are not those of the program that it executes in its place.
#[test]
fn a_program_in_the_place_of_a_shell_has_its_own_waits() {
    for start in [events_of, Observer::sampled] {
        undisturbed(|factor| {
            let busy = format!("i=0; while [ $i -lt {} ]; do i=$((i+1)); done", 300_000 * factor);
            let nap = (f64::from(factor) * 0.5).to_string();
            let seen = observed_by(start, &format!("sh -c '{busy} & {busy} & {busy}; exec sleep {nap}'; true"));
            let sleep = one(&seen, "sleep");
            assert_eq!(sleep.arguments, ["sleep", &nap]);
            let has_slept = sleep.time.blocked[Cause::Sleep] >= Nanos(350_000_000 * u64::from(factor));
            in_time(has_slept && sleep.time.cpu < Nanos(100_000_000), sleep)?;
            let mut forked = seen.list.iter().filter(|process| process.forked);
            let waits = |busy: &&Process| busy.time.blocked.total().0 * 10 >= busy.duration().0;
            forked.find(waits).map_or(Ok(()), |busy| in_time(false, busy))
        });
    }
}

#[test]
fn without_events_the_longer_processes_are_seen_by_samples() {
    undisturbed(|factor| {
        let busy = format!("i=0; while [ $i -lt {} ]; do i=$((i+1)); done", 400_000 * factor);
        let nap = (f64::from(factor) * 0.5).to_string();
        let seen = observed_by(Observer::sampled, &format!("sleep {nap}; sh -c '{busy}'; /bin/true"));
        assert_eq!(seen.observed, Observed::Sampled);
        assert!(seen.unseen.iter().any(|unseen| unseen.contains("/proc was sampled")), "{seen:?}");
        assert!(seen.resolution >= Nanos(30_000_000), "an interval and a tick: {:?}", seen.resolution);
        for process in &seen.list {
            assert!(process.parent.is_none_or(|parent| seen.list[parent as usize].start <= process.start));
            assert!(process.time.runnable + process.time.blocked.total() <= process.duration(), "{process:?}");
        }
        let sleep = one(&seen, "sleep");
        assert_eq!(sleep.arguments, ["sleep", &nap]);
        // Two intervals, and what a loaded machine adds.
        let (least, most) = (400_000_000 * u64::from(factor), 500_000_000 * u64::from(factor) + 400_000_000);
        in_time((least..most).contains(&sleep.duration().0), sleep)?;
        in_time(sleep.time.blocked[Cause::Sleep].0 * 2 > sleep.duration().0, sleep)?;
        let loops = seen.list.iter().max_by_key(|process| process.time.cpu).unwrap();
        in_time(loops.running() + loops.time.runnable > Nanos(loops.duration().0 / 2), loops)
    });
}

/// A process may give itself any arguments, and the name of a program may be any bytes but a slash.
#[test]
fn odd_names_and_arguments_are_escaped() {
    for start in [events_of, Observer::sampled] {
        undisturbed(|factor| {
            let script = r#"d=$(mktemp -d); n=$(printf 'a\033[2Jb\377'); cp "$(command -v sleep)" "$d/$n"; "$d/$n" TIME; rm -r "$d""#;
            let seen = observed_by(start, &script.replace("TIME", &(f64::from(factor) * 0.3).to_string()));
            let json = serde_json::to_string(&seen).unwrap();
            assert!(json.chars().all(|character| !character.is_control()), "{json}");
            // Samples may be late.
            let odd = seen.list.iter().find(|process| process.program.starts_with("a\\u{1b}[2Jb"));
            let odd = odd.ok_or_else(|| format!("{seen:?}"))?;
            assert_eq!(odd.program, "a\\u{1b}[2Jb\\xff");
            assert!(odd.arguments[0].ends_with("/a\\u{1b}[2Jb\\xff"), "{odd:?}");
            Ok(())
        });
    }
}

#[test(PerfEvents)]
fn stacks_have_the_functions_of_a_program() {
    let start = |root| Observer::start(root, Collect::Stacks, |_| false);
    let seen = observed_by(start, "sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done'; true");
    assert_eq!(seen.observed, Observed::Events);
    let busy = seen.list.iter().max_by_key(|process| process.time.cpu).unwrap();
    let samples: u64 = busy.stacks.iter().map(|stack| u64::from(stack.samples)).sum();
    // A sample each 9.9 ms of processor time in user mode, which is nearly all of it.
    assert!(samples * 9_900_990 * 2 > busy.time.cpu.0, "{busy:?}");
    // Each time it gets a processor back, there may be one more.
    let is_alone = busy.time.runnable < busy.time.cpu;
    assert!(!is_alone || samples * 9_900_990 < busy.time.cpu.0 * 5 / 4 + 50_000_000, "{busy:?}");
    let inner = |stack: &StackSamples| stack.frames.last().map(|&frame| &*seen.functions[frame as usize]);
    let known = busy.stacks.iter().filter(|stack| inner(stack).is_some_and(|name| name != "[unknown]"));
    let known: u64 = known.map(|stack| u64::from(stack.samples)).sum();
    assert!(known * 10 >= samples * 9, "{seen:?}");
}
