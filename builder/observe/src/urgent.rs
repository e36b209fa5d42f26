//! The priority of the threads that observe.
//!
//! On a machine without an idle processor, they would read too late. A nice value counts only within a session (`sched_autogroup_enabled`),
//! and an ordinary user may raise neither.

/// Gives the calling thread a real-time priority. Returns whether the system allows it.
pub type Urgent = fn() -> bool;

/// Raises the priority of this thread alone: to a real-time one, otherwise to this nice value (setpriority(2)).
pub(crate) fn raise_priority(urgent: Urgent, nice: i32) {
    if !urgent() {
        let _ = rustix::process::setpriority_process(None, nice);
    }
}
