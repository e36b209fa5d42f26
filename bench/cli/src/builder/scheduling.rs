//! The scheduling of the threads that observe, by the crate that makes system calls.

use buildscope_observe::Scheduling;
use buildscope_sandbox::{run_after_others, run_before_others, run_with_others};

/// Sets the scheduling of the calling thread. Returns whether the system allows it.
pub(super) fn set(scheduling: Scheduling) -> bool {
    match scheduling {
        Scheduling::Idle => run_after_others(),
        Scheduling::Ordinary => run_with_others(),
        Scheduling::RealTime => run_before_others(),
    }
}
