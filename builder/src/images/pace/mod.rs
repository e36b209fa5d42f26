//! The pace of work that runs alongside the steps of a build: compressing and sending layers before the image is complete.
//!
//! While steps run, this work takes only processors that nothing else uses, and at most half of the time of its connection. When
//! the last step has ended, it goes on without limits.
//!
//! A low priority alone would not do: where sessions are scheduled as groups (sched(7), "The autogroup feature"), it counts within a session,
//! and each step is a session of its own. A thread of the lowest priority would get half of a processor that a step wants.

mod unused;

use self::unused::{Reading, UnusedTime};
use super::ImageError;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// The time over which unused processor time is measured, and then given to the work. It is some ticks of the counters (10 ms).
const WINDOW: Duration = Duration::from_millis(100);
/// A measurement over more than this time, in which no thread asked, tells nothing about the present.
const STALE: Duration = Duration::from_secs(1);
/// The part of a processor, in percent of the window, that is left to the steps, and covers the error of the counters.
const RESERVE: u32 = 15;
/// The interval of measurements if nothing wakes a thread.
const INTERVAL: Duration = Duration::from_millis(10);
/// The longest time that work waits for an idle processor. On a busy machine, one piece that takes 30 ms then runs each second, at the
/// lowest priority: 3 % of a processor.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pace of some work. It is shared by all threads of that work.
#[derive(Debug, Default)]
pub struct Pace {
    state: Mutex<PaceState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PaceState {
    mode: Mode,
    budget: Budget,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Mode {
    /// Steps are running.
    AlongsideSteps,
    /// No other work.
    #[default]
    Unlimited,
    /// The result of the work is not wanted.
    Stopped,
}

/// The processor time that the work may use until the next measurement.
#[derive(Debug, Default)]
struct Budget {
    counters: Option<UnusedTime>,
    /// The last measurement, and the processor time that the work had used by then.
    measured: Option<(Reading, Duration)>,
    /// The start of the last measurement.
    looked: Option<Instant>,
    /// The processor time that may be used after the last measurement.
    allowed: Duration,
    /// The processor time of pieces that have ended.
    used: Duration,
    /// The pieces that are running, by their start.
    running: Vec<Instant>,
    /// The last time at which a piece ran without an idle processor.
    forced: Option<Instant>,
}

/// A piece of work that may use a processor until this is dropped. It stays in the thread that was admitted.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    pace: &'a Pace,
    start: Instant,
    /// The CPU time of the thread at the start.
    cpu: Duration,
}

impl Pace {
    /// The pace of work while steps run.
    pub(crate) fn alongside_steps() -> Self {
        let state = PaceState { mode: Mode::AlongsideSteps, budget: Budget::default() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Ends the limits: all steps have ended.
    pub(crate) fn hurry(&self) {
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
    pub(crate) fn admit(&self) -> Result<Admission<'_>, ImageError> {
        let asked = Instant::now();
        let mut state = self.state.lock();
        loop {
            match state.mode {
                Mode::Stopped => return Err(ImageError::Stopped),
                Mode::Unlimited => break,
                Mode::AlongsideSteps if asked.elapsed() >= PATIENCE && state.budget.may_force() => {
                    state.budget.forced = Some(Instant::now());
                    break;
                }
                Mode::AlongsideSteps => {}
            }
            if state.budget.is_due() {
                self.measure(&mut state);
            } else if state.budget.has_room() {
                break;
            } else {
                self.changed.wait_for(&mut state, INTERVAL);
            }
        }
        let start = Instant::now();
        state.budget.running.push(start);
        Ok(Admission { pace: self, start, cpu: thread_time() })
    }

    /// Measures without the lock: this thread may have to wait for a processor, and the end of the steps must not wait for it.
    fn measure(&self, state: &mut MutexGuard<'_, PaceState>) {
        state.budget.looked = Some(Instant::now());
        let counters = state.budget.counters.take();
        let (counters, reading) = MutexGuard::unlocked(state, || {
            let counters = counters.unwrap_or_else(UnusedTime::of_this_process);
            let reading = counters.read();
            (counters, reading)
        });
        state.budget.counters = Some(counters);
        state.budget.take(reading);
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

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let used = thread_time().saturating_sub(self.cpu);
        let mut state = self.pace.state.lock();
        state.budget.end(self.start, used);
        drop(state);
        self.pace.changed.notify_one();
    }
}

impl Budget {
    /// Whether a thread should measure now.
    fn is_due(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= WINDOW)
    }

    /// Whether one more piece may run.
    fn has_room(&self) -> bool {
        let used = self.measured.as_ref().map_or(Duration::ZERO, |(_, before)| self.own().saturating_sub(*before));
        let at_once = self.allowed.as_nanos().div_ceil(WINDOW.as_nanos());
        used < self.allowed && (self.running.len() as u128) < at_once
    }

    /// Whether a piece may run although no processor is idle.
    fn may_force(&self) -> bool {
        self.forced.is_none_or(|forced| forced.elapsed() >= PATIENCE)
    }

    /// Uses a measurement. Without counters, nothing is allowed.
    fn take(&mut self, reading: Option<Reading>) {
        let own = self.own();
        self.allowed = match (&reading, &self.measured) {
            (Some(now), Some((before, used))) if now.since(before) <= STALE => {
                let share = now.available(before, own.saturating_sub(*used)).as_secs_f64();
                let processors = share / now.since(before).as_secs_f64().max(f64::MIN_POSITIVE);
                WINDOW.mul_f64((processors - f64::from(RESERVE) / 100.0).max(0.0))
            }
            _ => Duration::ZERO,
        };
        self.measured = reading.map(|reading| (reading, own));
    }

    /// The processor time that the work has used. Running pieces are assumed to have a processor.
    fn own(&self) -> Duration {
        self.used + self.running.iter().map(Instant::elapsed).sum::<Duration>()
    }

    fn end(&mut self, start: Instant, used: Duration) {
        self.used += used;
        if let Some(at) = self.running.iter().position(|running| *running == start) {
            self.running.swap_remove(at);
        }
    }
}

/// The CPU time of the calling thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread::JoinHandle;

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

    /// A budget after two measurements on two processors, which were idle for `idle` ms together and gave `own` ms to the work.
    fn budget(millis: u64, idle: u64, own: u64) -> Budget {
        let begun = Instant::now();
        let mut budget = Budget::default();
        budget.take(Some(Reading::for_test(begun, 0, 7000)));
        budget.used += Duration::from_millis(own);
        budget.take(Some(Reading::for_test(begun, millis, 7000 + idle)));
        budget
    }

    #[test]
    fn an_idle_processor_gives_one_thread_its_time() {
        let mut budget = budget(100, 100, 0);
        assert_eq!(budget.allowed, Duration::from_millis(85));
        assert!(budget.has_room());
        budget.running.push(Instant::now());
        assert!(!budget.has_room(), "one processor is idle, not two");
        let start = budget.running[0];
        budget.end(start, Duration::from_millis(84));
        assert!(budget.has_room(), "1 ms is left");
        budget.used += Duration::from_millis(1);
        assert!(!budget.has_room(), "all is used until the next measurement");
    }

    #[test]
    fn two_idle_processors_admit_two_threads() {
        let mut budget = budget(200, 400, 0);
        assert_eq!(budget.allowed, Duration::from_millis(185));
        budget.running.push(Instant::now());
        assert!(budget.has_room());
        budget.running.push(Instant::now());
        assert!(!budget.has_room());
    }

    #[test]
    fn busy_processors_admit_nothing() {
        assert!(!budget(100, 0, 0).has_room());
        assert!(!budget(100, 10, 0).has_room(), "the reserve covers a tick");
    }

    #[test]
    fn the_works_own_time_stays_available_to_it() {
        assert_eq!(budget(100, 0, 100).allowed, Duration::from_millis(85));
        assert!(!budget(100, 0, 10).has_room(), "steps took the processors from it");
    }

    #[test]
    fn without_a_recent_measurement_nothing_is_admitted() {
        assert!(!budget(2000, 4000, 0).has_room());
        let mut unknown = Budget { looked: Some(Instant::now()), ..Budget::default() };
        unknown.take(None);
        assert!(!unknown.has_room());
        assert!(!unknown.is_due(), "the counters are not read again at once");
    }

    #[test]
    fn one_piece_at_a_time_runs_without_an_idle_processor() {
        let budget = Budget { forced: Some(Instant::now()), ..Budget::default() };
        assert!(!budget.may_force());
        assert!(Budget::default().may_force());
    }

    #[test]
    fn a_piece_that_ends_gives_back_its_place() {
        let pace = Pace::default();
        let admission = pace.admit().unwrap();
        assert_eq!(pace.state.lock().budget.running.len(), 1);
        drop(admission);
        assert_eq!(pace.state.lock().budget.running.len(), 0);
    }
}
