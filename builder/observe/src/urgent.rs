//! The priority of the threads that observe.
//!
//! On a loaded machine, they would read too late. A nice value counts only within a session (`sched_autogroup_enabled`), and an ordinary user
//! may raise neither. A real-time thread interrupts the program on its processor even if another processor is idle, so it is used only
//! once a thread was late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Gives the calling thread a real-time priority. Returns whether the system allows it.
pub type Urgent = fn() -> bool;

/// The delay after the end of a pause from which on a thread is late. The buffers of the kernel hold more than that.
const LATE: Duration = Duration::from_millis(20);

/// The priority of a thread: a real-time priority once a thread of the same observer was late.
#[derive(Debug)]
pub(crate) struct Priority {
    urgent: Urgent,
    late: Arc<AtomicBool>,
    /// Whether a real-time priority was requested.
    requested: bool,
    real_time: bool,
}

impl Priority {
    /// `late` is shared by the threads of an observer.
    pub(crate) fn new(urgent: Urgent, late: Arc<AtomicBool>) -> Self {
        Self { urgent, late, requested: false, real_time: false }
    }

    /// Rests after work. Ordinary programs cannot interrupt a real-time thread: it rests as long as it worked.
    pub(crate) fn rest(&mut self, pause: Duration, worked: Duration) {
        let pause = if self.is_real_time() { pause.max(worked) } else { pause };
        let begun = Instant::now();
        std::thread::park_timeout(pause);
        if begun.elapsed() > pause + LATE {
            self.late.store(true, Ordering::Relaxed);
        }
    }

    /// Requests a real-time priority if a thread was late. Returns whether the calling thread has one.
    pub(crate) fn is_real_time(&mut self) -> bool {
        if !self.requested && self.late.load(Ordering::Relaxed) {
            (self.requested, self.real_time) = (true, (self.urgent)());
        }
        self.real_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_becomes_urgent_when_it_was_late() {
        let late = Arc::new(AtomicBool::new(false));
        let mut priority = Priority::new(|| true, Arc::clone(&late));
        assert!(!priority.is_real_time());
        late.store(true, Ordering::Relaxed);
        assert!(priority.is_real_time());
        let begun = Instant::now();
        priority.rest(Duration::ZERO, Duration::from_millis(30));
        assert!(begun.elapsed() >= Duration::from_millis(30), "it rests as long as it worked");
        assert!(!Priority::new(|| false, late).is_real_time(), "without the permission");
    }
}
