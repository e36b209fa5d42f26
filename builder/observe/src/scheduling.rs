//! When the kernel runs the threads that observe.
//!
//! On a loaded machine, they would read too late. A nice value counts only within a session (`sched_autogroup_enabled`), and an ordinary user
//! may raise neither. A real-time thread interrupts the program on its processor even if another processor is idle, so it is used only
//! once a thread was late.
//!
//! A step that starts one short program after the other has a processor to spare at each moment, but not always the same one. There, an
//! ordinary thread would often delay the program that starts on its processor, so it runs only on idle processors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// When the kernel runs a thread (sched(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// While a processor has nothing else to do.
    Idle,
    /// As every other program.
    Ordinary,
    /// Before all ordinary programs.
    RealTime,
}

/// Sets the scheduling of the calling thread. Returns whether the system allows it.
pub type SetScheduling = fn(Scheduling) -> bool;

/// The delay after the end of a pause from which on a thread is late. The buffers of the kernel hold more than that.
const LATE: Duration = Duration::from_millis(20);

/// The scheduling of a thread: real-time once a thread of the same observer was late.
#[derive(Debug)]
pub(crate) struct ThreadScheduling {
    set: SetScheduling,
    late: Arc<AtomicBool>,
    now: Scheduling,
    /// Whether real-time scheduling was requested.
    requested: bool,
    /// Whether the processors have enough idle time for this thread.
    has_idle_time: bool,
}

impl ThreadScheduling {
    /// `late` is shared by the threads of an observer.
    pub(crate) fn new(set: SetScheduling, late: Arc<AtomicBool>) -> Self {
        Self { set, late, now: Scheduling::Ordinary, requested: false, has_idle_time: true }
    }

    /// Rests after work. Ordinary programs cannot interrupt a real-time thread: it rests as long as it worked.
    pub(crate) fn rest(&mut self, pause: Duration, worked: Duration) {
        let pause = if self.is_real_time() { pause.max(worked) } else { pause };
        let begun = Instant::now();
        std::thread::park_timeout(pause);
        self.note_pause(begun.elapsed().saturating_sub(pause));
    }

    /// Notes that a pause was longer than requested.
    fn note_pause(&mut self, longer: Duration) {
        if longer <= LATE {
            return;
        }
        if self.now == Scheduling::Idle {
            self.has_idle_time = false;
            self.yield_to_others(false);
        } else {
            self.late.store(true, Ordering::Relaxed);
        }
    }

    /// Lets every other program run first, or no longer.
    pub(crate) fn yield_to_others(&mut self, wanted: bool) {
        let next = if wanted && self.has_idle_time { Scheduling::Idle } else { Scheduling::Ordinary };
        if self.now != Scheduling::RealTime && self.now != next && (self.set)(next) {
            self.now = next;
        }
    }

    /// Requests real-time scheduling if a thread was late. Returns whether the calling thread has it.
    pub(crate) fn is_real_time(&mut self) -> bool {
        if !self.requested && self.late.load(Ordering::Relaxed) {
            self.requested = true;
            if (self.set)(Scheduling::RealTime) {
                self.now = Scheduling::RealTime;
            }
        }
        self.now == Scheduling::RealTime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_becomes_urgent_when_it_was_late() {
        let late = Arc::new(AtomicBool::new(false));
        let mut scheduling = ThreadScheduling::new(|_| true, Arc::clone(&late));
        assert!(!scheduling.is_real_time());
        late.store(true, Ordering::Relaxed);
        assert!(scheduling.is_real_time());
        let begun = Instant::now();
        scheduling.rest(Duration::ZERO, Duration::from_millis(30));
        assert!(begun.elapsed() >= Duration::from_millis(30), "it rests as long as it worked");
        scheduling.yield_to_others(true);
        assert!(scheduling.is_real_time());
        assert!(!ThreadScheduling::new(|_| false, late).is_real_time(), "without the permission");
    }

    #[test]
    fn a_thread_that_gets_no_idle_time_yields_no_longer() {
        let mut scheduling = ThreadScheduling::new(|_| true, Arc::default());
        scheduling.yield_to_others(true);
        assert_eq!(scheduling.now, Scheduling::Idle);
        scheduling.yield_to_others(false);
        assert_eq!(scheduling.now, Scheduling::Ordinary);
        scheduling.yield_to_others(true);
        // As if other programs had used all processors for an hour.
        scheduling.note_pause(Duration::from_secs(3600));
        assert_eq!(scheduling.now, Scheduling::Ordinary);
        scheduling.yield_to_others(true);
        assert_eq!(scheduling.now, Scheduling::Ordinary);
        assert!(!scheduling.is_real_time(), "it was late only because it had yielded");
        scheduling.note_pause(Duration::from_secs(3600));
        assert!(scheduling.is_real_time());
    }
}
