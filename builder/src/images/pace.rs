//! The pace of work that runs alongside the steps of a build: compressing and sending layers before the image is complete.
//!
//! While steps run, this work takes only processors that nothing else uses, and at most half of the time of its connection. When
//! the last step has ended, it goes on without limits.
//!
//! A low priority alone would not do: where sessions are scheduled as groups (sched(7), "The autogroup feature"), it counts within a session,
//! and each step is a session of its own. A thread of the lowest priority would get half of a processor that a step wants.

use super::ImageError;
use parking_lot::{Condvar, Mutex};
use std::fs;
use std::time::{Duration, Instant};

/// How often all threads together look for an idle processor, and so how soon after another a thread is admitted. It is often enough to
/// use the pauses of a step. Looking takes some microseconds.
const INTERVAL: Duration = Duration::from_millis(2);
/// How long work waits for an idle processor at most. On a busy machine, a piece that takes 30 ms then runs each second, at the
/// lowest priority.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pace of some work. It is shared by all threads of that work.
#[derive(Debug, Default)]
pub struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    /// When a thread last looked for an idle processor.
    looked: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Mode {
    /// Steps are running.
    AlongsideSteps,
    /// Nothing else is to be done.
    #[default]
    Unlimited,
    /// The result of the work is not wanted.
    Stopped,
}

impl Pace {
    /// The pace of work while steps run.
    pub fn alongside_steps() -> Self {
        let state = State { mode: Mode::AlongsideSteps, looked: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Ends the limits: all steps have ended.
    pub fn hurry(&self) {
        self.set(Mode::Unlimited);
    }

    /// Makes the work end as soon as possible.
    pub fn stop(&self) {
        self.set(Mode::Stopped);
    }

    fn set(&self, mode: Mode) {
        self.state.lock().mode = mode;
        self.changed.notify_all();
    }

    /// Waits until the next piece of work may use a processor.
    ///
    /// # Errors
    /// [`ImageError::Stopped`].
    pub(crate) fn admit(&self) -> Result<(), ImageError> {
        let asked = Instant::now();
        loop {
            let looks = {
                let mut state = self.state.lock();
                match state.mode {
                    Mode::Stopped => return Err(ImageError::Stopped),
                    Mode::Unlimited => return Ok(()),
                    Mode::AlongsideSteps if asked.elapsed() >= PATIENCE => return Ok(()),
                    Mode::AlongsideSteps => state.may_look(),
                }
            };
            // Without the lock: this thread may have to wait for a processor, and the end of the steps must not wait for it.
            if looks && has_idle_processor() {
                return Ok(());
            }
            let mut state = self.state.lock();
            if state.mode == Mode::AlongsideSteps {
                self.changed.wait_for(&mut state, INTERVAL);
            }
        }
    }

    /// Rests for this time, or until the last step has ended.
    ///
    /// # Errors
    /// [`ImageError::Stopped`].
    pub(crate) fn rest(&self, time: Duration) -> Result<(), ImageError> {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        while state.mode == Mode::AlongsideSteps && !self.changed.wait_until(&mut state, until).timed_out() {}
        if state.mode == Mode::Stopped { Err(ImageError::Stopped) } else { Ok(()) }
    }
}

impl State {
    /// Whether a thread may look for an idle processor. Only one in each [`INTERVAL`] does.
    fn may_look(&mut self) -> bool {
        let may = self.looked.is_none_or(|looked| looked.elapsed() >= INTERVAL);
        if may {
            self.looked = Some(Instant::now());
        }
        may
    }
}

/// Whether a processor would be idle without the calling thread.
fn has_idle_processor() -> bool {
    let running = fs::read_to_string("/proc/loadavg").ok().and_then(|text| runnable(&text));
    running.is_some_and(|running| running <= buildscope_storage::pipeline::processors())
}

/// The number of tasks that run or wait for a processor, in the text of `/proc/loadavg` (proc_loadavg(5)). The reader is one of
/// them.
fn runnable(loadavg: &str) -> Option<usize> {
    loadavg.split(' ').nth(3)?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread::JoinHandle;

    #[test]
    fn runnable_tasks_are_the_fourth_field() {
        assert_eq!(runnable("0.20 0.18 0.12 3/80 11206\n"), Some(3));
        assert_eq!(runnable("0.20 0.18"), None);
    }

    #[test]
    fn work_without_steps_has_no_limits() {
        let pace = Pace::default();
        pace.admit().unwrap();
        pace.rest(Duration::from_secs(3600)).unwrap();
    }

    /// A thread that rests for an hour.
    fn resting(pace: &Arc<Pace>) -> JoinHandle<Result<(), ImageError>> {
        let pace = Arc::clone(pace);
        std::thread::spawn(move || pace.rest(Duration::from_secs(3600)))
    }

    #[test]
    fn the_end_of_the_steps_ends_a_rest() {
        let pace = Arc::new(Pace::alongside_steps());
        let resting = resting(&pace);
        pace.hurry();
        resting.join().unwrap().unwrap();
    }

    #[test]
    fn stopped_work_ends() {
        let pace = Arc::new(Pace::alongside_steps());
        let resting = resting(&pace);
        pace.stop();
        assert!(matches!(resting.join().unwrap(), Err(ImageError::Stopped)));
        assert!(matches!(pace.admit(), Err(ImageError::Stopped)));
    }

    /// On a machine without an idle processor it takes `PATIENCE`.
    #[test]
    fn work_alongside_steps_is_admitted_at_last() {
        Pace::alongside_steps().admit().unwrap();
    }
}
