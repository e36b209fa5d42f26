//! The size of what is kept of a step. It is a program of its own, because the peak memory is that of a whole process.

use buildscope_observe::{Collect, Observer};
use buildscope_record::{Observed, Processes};
use buildscope_testing::{in_time, undisturbed};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a shell does in the place of a step's first process.
fn observed(step: &str) -> Processes {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read line; sh -c \"$0\"; exit 0", step]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut shell = shell.spawn().expect("a shell");
    let epoch = Instant::now();
    let observer = Observer::start(shell.id(), Collect::Processes, |_| false).expect("a thread");
    observer.wait_until_ready();
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    shell.wait().unwrap();
    observer.finish(epoch).remove(0).processes
}

/// The budget is 5 MB of record and 20 MB of memory for 100,000 processes. A tenth of them is enough here: what is kept has
/// its limits long before.
#[test]
fn ten_thousand_processes_stay_a_small_record() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    undisturbed(|_| {
        let before = peak();
        let seen = observed("i=0; while [ $i -lt 10000 ]; do (exit 0); i=$((i+1)); done");
        let record = serde_json::to_string(&seen).unwrap().len();
        assert!(record < 1_500_000, "{record} bytes");
        assert!(peak() - before < 20_000, "{} kB", peak() - before);
        // The kernel drops events that are not read in time.
        in_time(seen.lost == 0, seen.lost)?;
        if seen.observed == Observed::Events {
            // Of 4,000 processes, half are folded. A busy machine adds a few that are still alive then.
            let folded: u64 = seen.folded.iter().map(|folded| folded.count).sum();
            assert!(folded >= 6_000 && folded + seen.list.len() as u64 >= 10_000, "{folded} and {}", seen.list.len());
        }
        Ok(())
    });
}
