//! The thread that observes: reads events, and looks at processes while they live.

use crate::events::{Event, Rings};
use crate::forest::{Forest, Inside, MOST};
use crate::run::Run;
use crate::{fold, procfs, sampled, wait};
use buildscope_record::{Nanos, Observed, Processes};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often events are read: often while processes are started, so that they can be asked while they live.
const SHORTEST: Duration = Duration::from_millis(3);
const LONGEST: Duration = Duration::from_millis(20);
/// setpriority(2), of this thread alone.
const PRIORITY: i32 = -10;
/// How many processes are looked at in one round.
const LOOKS: usize = 24;

/// Observes everything that a process starts, until [`finish`](Self::finish) is called.
#[derive(Debug)]
pub struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Watch>,
    /// One instant on both clocks.
    instant: Instant,
    nanos: u64,
}

/// One step's processes.
#[derive(Clone, Debug)]
pub struct StepProcesses {
    /// The process id of its first process, the one that the observed process started.
    pub init: u32,
    /// What was seen.
    pub processes: Processes,
}

impl Observer {
    /// Observes the steps that this process will start. Returns `None` if no thread can be started; nothing else can fail.
    pub fn start(root: u32) -> Option<Self> {
        let nanos = now();
        let root = i32::try_from(root).ok()?;
        let (source, why) = match Rings::of_process(root) {
            Ok(rings) => (Source::Events(rings), None),
            Err(error) => (Source::Sampled(sampled::Sampler::new(root, nanos)), Some(error.to_string())),
        };
        Self::watch(Watch { source, why, forest: Forest::new(root) }).ok()
    }

    /// Observes every process that starts on this machine; they come back as those of one step.
    ///
    /// # Errors
    /// Where the kernel does not allow it: it takes root, or CAP_PERFMON.
    pub fn of_machine() -> std::io::Result<Self> {
        let source = Source::Events(Rings::of_machine()?);
        Self::watch(Watch { source, why: None, forest: Forest::of_machine(now()) })
    }

    fn watch(watch: Watch) -> std::io::Result<Self> {
        let (instant, nanos) = (Instant::now(), now());
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("observer".into());
        let thread = thread.spawn(move || watch.until(&told))?;
        Ok(Self { stop, thread, instant, nanos })
    }

    /// What was seen of each step, in the order in which they began; times count from `epoch`.
    pub fn finish(self, epoch: Instant) -> Vec<StepProcesses> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // The panic has printed its message. The build goes on without the processes.
        let Ok(watch) = self.thread.join() else { return Vec::new() };
        let since = self.instant.saturating_duration_since(epoch);
        let epoch = self.nanos.saturating_sub(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        watch.steps(|time| Nanos(time.saturating_sub(epoch)))
    }
}

#[derive(Debug)]
enum Source {
    Events(Rings),
    Sampled(sampled::Sampler),
}

#[derive(Debug)]
struct Watch {
    source: Source,
    /// Why there are no events.
    why: Option<String>,
    forest: Forest,
}

/// The monotonic clock, which is that of the events too.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Watch {
    fn until(mut self, stop: &AtomicBool) -> Self {
        // A machine whose processors are all taken would let it read too late. An ordinary user may not ask for that.
        let _ = rustix::process::setpriority_process(None, PRIORITY);
        let mut pause = SHORTEST;
        while !stop.load(Ordering::Acquire) {
            let events = self.read();
            let busy = !events.is_empty();
            self.forest.take(events);
            self.look();
            pause = match self.source {
                Source::Sampled(_) => sampled::INTERVAL,
                Source::Events(_) if busy => SHORTEST,
                Source::Events(_) => (pause * 3 / 2).min(LONGEST),
            };
            std::thread::park_timeout(pause);
        }
        let rest = match &mut self.source {
            Source::Events(rings) => rings.rest(),
            Source::Sampled(sampler) => sampler.read(now()),
        };
        self.forest.take(rest);
        self.forest.finish(now());
        self
    }

    fn read(&mut self) -> Vec<Event> {
        match &mut self.source {
            Source::Events(rings) => {
                let before = rings.lost();
                let events = rings.read(now());
                self.forest.lost(rings.lost() - before);
                events
            }
            Source::Sampled(sampler) => sampler.read(now()),
        }
    }

    /// Asks living processes for what events do not say.
    fn look(&mut self) {
        for pid in self.forest.fresh() {
            if let Some(arguments) = procfs::arguments(pid) {
                self.forest.program(pid, arguments);
            }
        }
        let mut looks = LOOKS;
        let time = now();
        self.forest.living(|pid, run| {
            if looks > 0 && run.wants_a_look(time) {
                looks -= 1;
                let at = now();
                if let Some(cause) = wait::cause(pid, run.has_children()) {
                    run.looked(at, cause);
                }
            }
            ask(pid, run, time);
        });
    }

    fn steps(mut self, at: impl Fn(u64) -> Nanos + Copy) -> Vec<StepProcesses> {
        let mut unseen = Vec::new();
        let observed = match &self.source {
            Source::Events(_) => Observed::Events,
            Source::Sampled(_) => Observed::Sampled,
        };
        if let Some(why) = &self.why {
            unseen.push(format!(
                "processes shorter than {} ms: perf_event_open failed ({why}), so /proc was sampled",
                sampled::INTERVAL.as_millis()
            ));
        }
        let step = |mut inside: Inside| {
            if inside.runs.len() > MOST / 2 {
                fold::fold(&mut inside.runs, &mut inside.totals, MOST / 2);
            }
            processes(&inside, at, observed, &unseen)
        };
        std::mem::take(&mut self.forest.steps).into_iter().map(step).collect()
    }
}

/// Asks a process for its memory, its bytes and its waits for processors: soon after its start, then seldom.
fn ask(pid: i32, run: &mut Run, time: u64) {
    const FIRST: u64 = 15_000_000;
    const LAST: u64 = 500_000_000;
    let age = time.saturating_sub(run.start);
    if age < FIRST || time < run.ask {
        return;
    }
    run.ask = time + (age / 4).clamp(FIRST, LAST);
    run.peak_memory = procfs::peak_memory(pid).or(run.peak_memory);
    run.transferred = procfs::transferred(pid).or(run.transferred);
    if let Some((cpu, delayed)) = procfs::scheduled(pid, pid) {
        run.scheduled(cpu, delayed);
    }
}

fn processes(
    inside: &Inside,
    at: impl Fn(u64) -> Nanos + Copy,
    observed: Observed,
    unseen: &[String],
) -> StepProcesses {
    let places: HashMap<u32, u32> = inside.runs.keys().enumerate().map(|(place, &id)| (id, place as u32)).collect();
    let place = |id: u32| places.get(&id).copied();
    let list = inside.runs.values().map(|run| {
        let mut process = run.process(at);
        (process.parent, process.replaces) = (run.parent.and_then(place), run.replaces.and_then(place));
        process
    });
    StepProcesses {
        init: inside.init as u32,
        processes: Processes {
            observed,
            start: at(inside.start),
            end: at(inside.end.unwrap_or(inside.start)),
            command: Vec::new(),
            list: list.collect(),
            folded: inside.totals.folded(at, place),
            lost: inside.lost,
            unseen: unseen.to_vec(),
        },
    }
}
