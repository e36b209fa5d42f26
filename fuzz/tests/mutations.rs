//! Runs every target on its seeds and briefly on random changes of them, the same ones in every run.
//! `BUILDSCOPE_FUZZ_MILLIS` is the time per target, by default 500. Memory is limited as under libFuzzer.

use buildscope_fuzz::{FuzzTarget, Mutator, TARGETS};
use rustix::time::{ClockId, clock_gettime};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// An input takes microseconds of processor time. More than this indicates an endless loop or a quadratic algorithm.
const SLOW: Duration = Duration::from_secs(5);

/// How much memory all targets together may use, in bytes. Exceeding it ends the process.
const MEMORY: u64 = 512 << 20;

fn main() -> ExitCode {
    buildscope_testing::limit_memory(MEMORY);
    let trials = TARGETS.map(|target| buildscope_testing::trial(target.name, &[], move || run(&target)));
    buildscope_testing::run(trials.into())
}

fn run(target: &FuzzTarget) {
    let millis = std::env::var("BUILDSCOPE_FUZZ_MILLIS").map_or(500, |millis| millis.parse().unwrap());
    let seeds: Vec<Vec<u8>> = target.seeds().unwrap().into_iter().map(|(_, bytes)| bytes).collect();
    assert!(!seeds.is_empty(), "fuzz/corpus/{} has no seeds", target.name);
    seeds.iter().for_each(|seed| check(target, seed));
    let mut mutator = Mutator::new(0x9e37_79b9_7f4a_7c15);
    let start = Instant::now();
    let mut inputs = 0_u64;
    while start.elapsed() < Duration::from_millis(millis) {
        check(target, &mutator.input(&seeds));
        inputs += 1;
    }
    eprintln!("{}: {} seeds, {inputs} inputs", target.name, seeds.len());
}

fn check(target: &FuzzTarget, input: &[u8]) {
    let start = used();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let lasted = used() - start;
    assert!(ended.is_ok(), "{}: panic on this input:\n{}", target.name, input.escape_ascii());
    assert!(lasted < SLOW, "{}: {lasted:?} for this input:\n{}", target.name, input.escape_ascii());
}

/// The processor time of this thread, which does not depend on what else the machine does.
fn used() -> Duration {
    // The clock counts from the start of the thread.
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
