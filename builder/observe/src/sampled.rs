//! Makes events from `/proc` if the kernel's own are not allowed. Processes that are shorter than the interval are not seen.

use crate::event::{Event, What};
use crate::procfs::{self, Stat};
use std::collections::HashMap;
use std::time::Duration;

/// The interval between readings of `/proc`.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);
/// The most threads of a process that are distinguished.
const THREADS: usize = 64;

/// The state at the last reading.
#[derive(Debug)]
pub(crate) struct Sampler {
    root: i32,
    last: u64,
    known: HashMap<i32, Known>,
}

#[derive(Debug)]
struct Known {
    /// The start time by `/proc`. It distinguishes processes that had the same pid one after the other.
    started: u64,
    name: String,
    /// The processor time of each thread, and the time that it waited for a processor, including the current wait.
    threads: HashMap<i32, (u64, u64)>,
}

/// A process in one reading.
struct Sighting<'a> {
    pid: i32,
    /// The process that started it; 0 if that is unknown.
    parent: i32,
    /// The name of the parent, which a process has until it executes a program.
    above: &'a str,
    stat: Stat,
    /// The state at the last reading.
    known: Option<Known>,
}

impl Sampler {
    pub(crate) fn new(root: i32, now: u64) -> Self {
        Self { root, last: now, known: HashMap::new() }
    }

    /// Returns the events since the last reading, as far as samples show them.
    pub(crate) fn read(&mut self, now: u64) -> Vec<Event> {
        let mut events = Vec::new();
        let mut seen = HashMap::new();
        let mut below = vec![(self.root, String::new())];
        while let Some((parent, above)) = below.pop() {
            for pid in children(parent) {
                // A zombie does nothing.
                let Some(stat) = procfs::stat(pid).filter(|stat| stat.state != 'Z') else { continue };
                let name = stat.name.clone();
                let known = self.known.remove(&pid).filter(|known| known.started == stat.started);
                let known = self.update(Sighting { pid, parent, above: &above, stat, known }, now, &mut events);
                seen.insert(pid, known);
                below.push((pid, name));
            }
        }
        // An orphan has another parent now, but is a known process.
        for (pid, known) in std::mem::take(&mut self.known) {
            let alive = procfs::stat(pid).filter(|stat| stat.started == known.started && stat.state != 'Z');
            match alive {
                Some(stat) => {
                    let above = stat.name.clone();
                    let sighting = Sighting { pid, parent: 0, above: &above, stat, known: Some(known) };
                    let known = self.update(sighting, now, &mut events);
                    seen.insert(pid, known);
                }
                None => events.push(Event { time: now, pid, tid: pid, what: What::Exited }),
            }
        }
        (self.known, self.last) = (seen, now);
        events.sort_by_key(|event| event.time);
        events
    }

    fn update(&self, sighting: Sighting<'_>, now: u64, events: &mut Vec<Event>) -> Known {
        let Sighting { pid, parent, above, stat, known } = sighting;
        let mut say = |time, tid, what| events.push(Event { time, pid, tid, what });
        let first = known.is_none();
        let mut known =
            known.unwrap_or_else(|| Known { started: stat.started, name: above.to_owned(), threads: HashMap::new() });
        if first {
            say(self.last, pid, What::Forked { parent });
        }
        if known.name != stat.name {
            say(self.last, pid, What::Executed { name: stat.name.clone() });
            known.name = stat.name;
        }
        let mut threads = HashMap::new();
        for tid in procfs::threads(pid, THREADS) {
            let Some((cpu, delay)) = procfs::scheduled(pid, tid) else { continue };
            if tid != pid && !known.threads.contains_key(&tid) {
                say(self.last, tid, What::Forked { parent: pid });
            }
            let (had, waited) = known.threads.remove(&tid).unwrap_or_default();
            // The order within the interval is unknown. Running, then waiting for a processor, then for something else gives the right
            // sums.
            let interval = now - self.last;
            let ran = cpu.saturating_sub(had).min(interval);
            let delayed = delay.saturating_sub(waited).min(interval - ran);
            // The kernel adds a wait for a processor at its end. A runnable thread is taken to have waited for the rest of the interval.
            let waits = tid == pid && stat.state == 'R';
            let rest = if waits { interval - ran - delayed } else { 0 };
            say(self.last, tid, What::In);
            say(self.last + ran, tid, What::Out { wanted: true });
            if !waits {
                say(self.last + ran + delayed, tid, What::Out { wanted: false });
            }
            threads.insert(tid, (cpu, delay.max(waited) + rest));
        }
        for &tid in known.threads.keys().filter(|&&tid| tid != pid) {
            say(now, tid, What::Exited);
        }
        Known { threads, ..known }
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
