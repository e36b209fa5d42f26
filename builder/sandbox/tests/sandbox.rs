//! Runs steps in the sandbox as the user that runs the tests: root, or an ordinary user in a user namespace.
//!
//! The root file system is a static busybox. The expected values come from docker's documentation of its defaults, from the
//! conformance kit's observations of BuildKit, and from the manual pages of the calls that must fail.

mod suite;

use buildscope_sandbox::{Zygote, isolate_process, serve_if_zygote};
use std::process::ExitCode;
use std::sync::Arc;
use suite::{World, accounts, ends, escapes, networks, runtimes, views};

fn main() -> ExitCode {
    serve_if_zygote();
    let isolation = isolate_process().expect("this machine has namespaces");
    let zygote = Zygote::start().expect("the zygote starts");
    let world = Arc::new(World::new(isolation, zygote));
    match std::env::args().nth(1).as_deref() {
        Some("--victim") => return ends::victim(&world),
        Some("--step-cost") => return ends::step_cost(&world),
        _ => {}
    }
    let trials = [escapes::TRIALS, ends::TRIALS, views::TRIALS, networks::TRIALS, accounts::TRIALS, runtimes::TRIALS]
        .concat()
        .into_iter()
        .map(|(name, test, needs)| {
            let world = Arc::clone(&world);
            buildscope_testing::trial(name, needs, move || test(&world))
        });
    buildscope_testing::run(trials.collect())
}
