//! Makes events from `/proc` if the kernel's own are not allowed. Processes that are shorter than the interval are not seen.
//!
//! `/proc` has the start of a process, to a tick of the clock, and a descriptor of the process shows its end (pidfd_open(2)). So both are right
//! also when this thread is late.
//!
//! An ordinary user gets no events of a process that executes a set-uid program. Such processes are followed in the same way.

use crate::clock::{ahead, now};
use crate::event::{Event, What};
use crate::procfs::{self, Program, Stat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The interval between readings of `/proc`.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);
/// The most readings that were late whose times are kept: an hour of a machine that is always overloaded.
const LATE: usize = 60_000;
/// How often a wait checks whether it should end, in nanoseconds.
const CHECK: u64 = 5_000_000;
/// The most threads of a process that are distinguished.
const THREADS: usize = 64;
/// The most processes whose end is waited for: each takes a descriptor.
const AWAITED: usize = 200;

/// The state at the last reading.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// The process whose descendants are read; `None` if only followed processes are.
    root: Option<i32>,
    last: u64,
    /// What the clock of `/proc` is ahead. All processes of a reading have the same, so that one of the same tick as its parent is not before it.
    ahead: i64,
    known: HashMap<i32, Known>,
    /// The readings that were late: when, and how long after the one before.
    late: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Known {
    /// The start time by `/proc`. It distinguishes processes that had the same pid one after the other.
    started: u64,
    /// The process that started it.
    parent: i32,
    program: Program,
    threads: HashMap<i32, ThreadTimes>,
    end: End,
}

/// The times of a thread up to a reading.
#[derive(Clone, Copy, Debug, Default)]
struct ThreadTimes {
    cpu: u64,
    /// The time that it waited for a processor, including the current wait.
    delay: u64,
    /// Whether it waited for a processor then.
    waits: bool,
}

impl ThreadTimes {
    /// What the thread did between two readings. The order within the interval is unknown, but samples of waits are taken right after a
    /// reading: if the wait comes first, it has the cause of its sample. A thread that started or executed a program ran first.
    fn switches(self, had: Self, (from, now): (u64, u64), ran_first: bool) -> Vec<(u64, What)> {
        let interval = now - from;
        let ran = self.cpu.saturating_sub(had.cpu).min(interval);
        let delayed = self.delay.saturating_sub(had.delay).min(interval - ran);
        let blocked = interval - ran - delayed;
        if ran_first {
            return vec![
                (from, What::In),
                (from + ran, What::Out { wanted: true }),
                (from + ran + delayed, What::Out { wanted: self.waits }),
            ];
        }
        if blocked == interval && !had.waits {
            // The wait goes on.
            return Vec::new();
        }
        vec![
            (from, What::Out { wanted: false }),
            (from + blocked, What::Out { wanted: true }),
            (now - ran, What::In),
            (now, What::Out { wanted: self.waits }),
        ]
    }
}

/// What is known of the end of a process.
#[derive(Debug)]
enum End {
    /// It becomes readable at that time.
    Awaited(OwnedFd),
    At(u64),
    /// It is seen at the next reading.
    Unknown,
}

/// A process in one reading.
struct Sighting<'a> {
    pid: i32,
    /// The process that started it; 0 if that is unknown.
    parent: i32,
    /// The program of the parent, which a process has until it executes another.
    above: &'a Program,
    stat: Stat,
    /// The state at the last reading.
    known: Option<Known>,
}

impl Sampler {
    pub(crate) fn new(root: i32, now: u64) -> Self {
        Self { root: Some(root), ..Self::of_followed(now) }
    }

    /// Reads only the processes that are [followed](Self::follow).
    pub(crate) fn of_followed(now: u64) -> Self {
        Self { root: None, last: now, ahead: 0, known: HashMap::new(), late: Vec::new() }
    }

    /// Reads this process and its descendants from now on.
    pub(crate) fn follow(&mut self, pid: i32) {
        let Some(stat) = procfs::stat(pid) else { return };
        let times = |tid| {
            let (cpu, delay) = procfs::scheduled(pid, tid)?;
            Some((tid, ThreadTimes { cpu, delay, waits: false }))
        };
        let threads = procfs::threads(pid, THREADS).into_iter().filter_map(times).collect();
        let known = Known { started: stat.started, parent: 0, program: stat.program, threads, end: End::Unknown };
        self.known.insert(pid, known);
    }

    /// Whether no process is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.root.is_none() && self.known.is_empty()
    }

    /// What samples do not show, in words.
    pub(crate) fn unseen(&self) -> String {
        let millis = |nanos: u64| nanos.div_ceil(1_000_000);
        let (interval, longest) = (millis(INTERVAL.as_nanos() as u64), millis(self.longest(0, u64::MAX)));
        let loaded = if longest <= 2 * interval {
            String::new()
        } else {
            format!(" ({longest} ms when the machine was most loaded)")
        };
        format!(
            "processes shorter than {interval} ms{loaded}, and times to better than {} ms",
            longest + millis(tick())
        )
    }

    /// The longest time between two readings from `start` to `end`. A process that lives longer is surely seen.
    fn longest(&self, start: u64, end: u64) -> u64 {
        let during = self.late.iter().filter(|(at, gap)| *at >= start && at.saturating_sub(*gap) <= end);
        during.map(|(_, gap)| *gap).max().unwrap_or(0).max(INTERVAL.as_nanos() as u64)
    }

    /// How far the times of a process between `start` and `end` may be off.
    pub(crate) fn resolution(&self, start: u64, end: u64) -> u64 {
        self.longest(start, end) + tick()
    }

    fn note_gap(&mut self, now: u64) {
        let gap = now.saturating_sub(self.last);
        if gap > INTERVAL.as_nanos() as u64 && self.late.len() < LATE {
            self.late.push((now, gap));
        }
    }

    /// Waits until the next reading, or until it has to stop. Notes when processes end.
    pub(crate) fn wait(&mut self, stop: &AtomicBool) {
        let until = now() + INTERVAL.as_nanos() as u64;
        while !stop.load(Ordering::Acquire) {
            let rest = until.saturating_sub(now());
            if rest == 0 {
                return;
            }
            let (pids, mut fds): (Vec<i32>, Vec<PollFd<'_>>) = self
                .known
                .iter()
                .filter_map(|(&pid, known)| match &known.end {
                    End::Awaited(fd) => Some((pid, PollFd::new(fd, PollFlags::IN))),
                    End::At(_) | End::Unknown => None,
                })
                .unzip();
            let pause = Timespec { tv_sec: 0, tv_nsec: rest.min(CHECK) as i64 };
            // An interrupted wait is as good as one that is over.
            let _ = poll(&mut fds, Some(&pause));
            let time = now();
            let ended: Vec<i32> =
                pids.into_iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|(pid, _)| pid).collect();
            for pid in ended {
                self.known.entry(pid).and_modify(|known| known.end = End::At(time));
            }
        }
    }

    /// Returns the events since the last reading, as far as samples show them.
    pub(crate) fn read(&mut self, now: u64) -> Vec<Event> {
        self.note_gap(now);
        self.ahead = ahead();
        let mut events = Vec::new();
        let mut seen = HashMap::new();
        let mut gone = Vec::new();
        let mut below: Vec<_> = self.root.map(|root| (root, Program::default())).into_iter().collect();
        loop {
            while let Some((parent, above)) = below.pop() {
                for pid in children(parent) {
                    if seen.contains_key(&pid) {
                        continue;
                    }
                    // A zombie does nothing.
                    let Some(stat) = procfs::stat(pid).filter(|stat| stat.state != 'Z') else { continue };
                    let program = stat.program.clone();
                    let known = self.known.remove(&pid).filter(|known| known.started == stat.started);
                    let known = self.update(Sighting { pid, parent, above: &above, stat, known }, now, &mut events);
                    seen.insert(pid, known);
                    below.push((pid, program));
                }
            }
            // An orphan has another parent now, but is a known process. So is one that is followed.
            let Some(pid) = self.known.keys().next().copied() else { break };
            let Some(known) = self.known.remove(&pid) else { break };
            let Some(stat) = procfs::stat(pid).filter(|stat| stat.started == known.started && stat.state != 'Z') else {
                gone.push((pid, known));
                continue;
            };
            let above = stat.program.clone();
            let sighting = Sighting { pid, parent: 0, above: &above, stat, known: Some(known) };
            let known = self.update(sighting, now, &mut events);
            seen.insert(pid, known);
            below.push((pid, above));
        }
        for (pid, known) in gone {
            let time = self.end(&known, now, &events);
            events.push(Event { time, pid, tid: pid, what: What::Exited });
        }
        await_ends(&mut seen);
        (self.known, self.last) = (seen, now);
        events.sort_by_key(|event| event.time);
        events
    }

    /// When a process ended that is gone now. If this thread was late, the process most probably ended when its parent started the next one.
    fn end(&self, known: &Known, now: u64, events: &[Event]) -> u64 {
        let noted = match known.end {
            End::At(time) => time,
            End::Awaited(_) | End::Unknown => now,
        };
        if noted.saturating_sub(self.last) <= 2 * INTERVAL.as_nanos() as u64 {
            return noted;
        }
        let next =
            events.iter().filter(|event| matches!(event.what, What::Forked { parent } if parent == known.parent));
        next.map(|event| event.time).filter(|&time| time > self.last).min().map_or(noted, |time| time.min(noted))
    }

    fn update(&self, sighting: Sighting<'_>, now: u64, events: &mut Vec<Event>) -> Known {
        let Sighting { pid, parent, above, stat, known } = sighting;
        let mut say = |time, tid, what| events.push(Event { time, pid, tid, what });
        let from = if known.is_none() { begin(&stat, self.ahead).clamp(self.last, now) } else { self.last };
        if known.is_none() {
            say(from, pid, What::Forked { parent });
        }
        let mut known = known.unwrap_or_else(|| Known {
            started: stat.started,
            parent,
            program: above.clone(),
            threads: HashMap::new(),
            end: End::Unknown,
        });
        let executed = stat.program.was_executed_after(&known.program);
        if executed {
            say(from, pid, What::Executed { name: stat.program.name.clone() });
        }
        known.program = stat.program;
        let mut threads = HashMap::new();
        for tid in procfs::threads(pid, THREADS) {
            let Some((cpu, delay)) = procfs::scheduled(pid, tid) else { continue };
            if tid != pid && !known.threads.contains_key(&tid) {
                say(from, tid, What::Forked { parent: pid });
            }
            let before = known.threads.remove(&tid);
            let had = before.unwrap_or_default();
            // The kernel adds a wait for a processor at its end. A runnable thread is taken to have waited for the rest of the interval.
            let waits = tid == pid && stat.state == 'R';
            let rest = if waits { (now - from).saturating_sub(cpu.saturating_sub(had.cpu)) } else { 0 };
            let times = ThreadTimes { cpu, delay: delay.max(had.delay + rest), waits };
            let ran_first = before.is_none() || executed;
            times.switches(had, (from, now), ran_first).into_iter().for_each(|(time, what)| say(time, tid, what));
            threads.insert(tid, times);
        }
        for &tid in known.threads.keys().filter(|&&tid| tid != pid) {
            say(now, tid, What::Exited);
        }
        Known { threads, ..known }
    }
}

/// When a process was started, on the monotonic clock. `/proc` counts ticks since the machine's start, and the middle of the tick is meant.
fn begin(stat: &Stat, ahead: i64) -> u64 {
    (stat.started.saturating_mul(tick()) + tick() / 2).saturating_add_signed(-ahead)
}

/// A tick of the clock that `/proc` counts in.
fn tick() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// Opens a descriptor for each process without one, up to the limit.
fn await_ends(known: &mut HashMap<i32, Known>) {
    let taken = known.values().filter(|known| matches!(known.end, End::Awaited(_))).count();
    let without = known.iter_mut().filter(|(_, known)| matches!(known.end, End::Unknown));
    for (&pid, known) in without.take(AWAITED.saturating_sub(taken)) {
        let fd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        known.end = fd.map_or(End::Unknown, End::Awaited);
    }
}

/// The children of all threads of a process (CONFIG_PROC_CHILDREN).
fn children(pid: i32) -> Vec<i32> {
    let list = |tid| procfs::text(&format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    let threads = procfs::threads(pid, THREADS);
    threads
        .into_iter()
        .flat_map(|tid| list(tid).split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A sample is taken right after a reading. It belongs to a wait, also if the thread runs as much as it waits.
    #[test]
    fn a_wait_begins_at_the_reading_before_it() {
        let (off, ready) = (What::Out { wanted: false }, What::Out { wanted: true });
        let times = |cpu, delay, waits| ThreadTimes { cpu, delay, waits };
        let first = times(8, 2, false).switches(ThreadTimes::default(), (0, 20), true);
        assert_eq!(first, [(0, What::In), (8, ready.clone()), (10, off.clone())]);
        let next = times(16, 4, false).switches(times(8, 2, false), (20, 40), false);
        assert_eq!(next, [(20, off.clone()), (30, ready.clone()), (32, What::In), (40, off.clone())]);
        assert_eq!(times(16, 4, false).switches(times(16, 4, false), (40, 60), false), []);
        let waiting = times(16, 24, true).switches(times(16, 4, false), (60, 80), false);
        assert_eq!(waiting, [(60, off), (60, ready.clone()), (80, What::In), (80, ready)]);
    }

    /// The children of the only child of a process.
    fn below(pid: i32) -> Vec<i32> {
        children(pid).first().map(|&shell| children(shell)).unwrap_or_default()
    }

    /// Between two readings, one program ends and the next one starts. Nothing waits for ends meanwhile.
    #[test]
    fn a_late_reading_has_the_right_times() {
        let mut shell = Command::new("sh").args(["-c", "sh -c 'sleep 0.5; sleep 0.5; true'; true"]).spawn().unwrap();
        let root = shell.id() as i32;
        let mut sampler = Sampler::new(root, now());
        let (mut forked, mut ended) = (HashMap::new(), HashMap::new());
        let mut read = |sampler: &mut Sampler| {
            for event in sampler.read(now()) {
                match event.what {
                    What::Forked { .. } => drop(forked.entry(event.pid).or_insert(event.time)),
                    What::Exited => drop(ended.insert(event.pid, event.time)),
                    _ => {}
                }
            }
            forked.len()
        };
        while below(root).is_empty() || read(&mut sampler) < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let first = below(root)[0];
        while below(root).first().is_none_or(|&next| next == first) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(60));
        let second = below(root).first().copied();
        read(&mut sampler);
        shell.wait().unwrap();
        let second = forked[&second.unwrap()];
        assert_eq!(ended[&first], second, "the shell starts one after the other");
        // The start is known to a tick, and the first was seen to run.
        assert!(second - forked[&first] + 10_000_000 >= 500_000_000, "{forked:?}");
        assert!(sampler.resolution(0, now()) >= 70_000_000, "{:?}", sampler.late);
        assert_eq!(
            sampler.resolution(now(), u64::MAX),
            INTERVAL.as_nanos() as u64 + tick(),
            "no reading was late since"
        );
    }

    /// Most of them start in one tick of the clock of `/proc`.
    #[test]
    fn a_process_starts_after_its_parent() {
        let nested = "(((((((read line); true); true); true); true); true); true); true";
        for _ in 0..10 {
            let mut shell =
                Command::new("sh").args(["-c", nested]).stdin(std::process::Stdio::piped()).spawn().unwrap();
            let root = shell.id() as i32;
            let mut sampler = Sampler::new(root, now());
            let deepest = || std::iter::successors(Some(root), |&pid| children(pid).first().copied()).count();
            while deepest() < 8 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let mut begun = vec![root];
            for event in sampler.read(now()) {
                if let What::Forked { parent } = event.what {
                    assert!(begun.contains(&parent), "{parent} starts {} before it is there", event.pid);
                    begun.push(event.pid);
                }
            }
            assert_eq!(begun.len(), 8);
            drop(shell.stdin.take());
            shell.wait().unwrap();
        }
    }

    /// Some of them are found before the process that is followed, some below it.
    #[test]
    fn a_followed_process_has_each_child_once() {
        let script = "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; read line; kill $(jobs -p)";
        let mut shell = Command::new("bash").args(["-c", script]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = shell.id() as i32;
        let mut sampler = Sampler::of_followed(now());
        sampler.follow(pid);
        let mut forks = Vec::new();
        let forked = |event: &Event| match event.what {
            What::Forked { parent } if event.tid == event.pid => Some((event.pid, parent)),
            _ => None,
        };
        while forks.len() < 8 {
            forks.extend(sampler.read(now()).iter().filter_map(forked));
        }
        for _ in 0..4 {
            forks.extend(sampler.read(now()).iter().filter_map(forked));
        }
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(forks.len(), 8, "{forks:?}");
        assert!(forks.iter().all(|(_, parent)| *parent == pid), "{forks:?}");
        while !sampler.is_idle() {
            sampler.read(now());
        }
    }

    #[test]
    fn ends_are_noted_while_it_waits() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 0.1; read line"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut sampler = Sampler::new(shell.id() as i32, now());
        while sampler.known.is_empty() {
            sampler.read(now());
        }
        let is_noted = |sampler: &Sampler| sampler.known.values().all(|known| matches!(known.end, End::At(_)));
        while !is_noted(&sampler) {
            sampler.wait(&AtomicBool::new(false));
        }
        let time = now();
        std::thread::sleep(Duration::from_millis(50));
        let events = sampler.read(now());
        let end = events.iter().find(|event| event.what == What::Exited).map(|event| event.time);
        assert!(end.is_some_and(|end| end <= time), "{events:?}");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
