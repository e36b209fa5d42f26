//! The thread that observes: it reads events, and samples running processes.

use crate::account::Switches;
use crate::clock::now;
use crate::collect::Collect;
use crate::commands::StartedCommands;
use crate::events::Rings;
use crate::exec_arguments::{ExecStacks, Listener};
use crate::exits::Exits;
use crate::forest::{Forest, Reports, ThreadState};
use crate::pace::{Arguments, ReadOutcome, ReadingPace};
use crate::refusal::Refusal;
use crate::report::{self, StepProcesses};
use crate::run::ProgramRun;
use crate::scheduling::{SetScheduling, ThreadScheduling};
use crate::{procfs, sampled, wait};
use buildscope_record::Nanos;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// The number of processes that are sampled in one round.
const SAMPLES: usize = 24;
/// The time between checks that processes still run, in nanoseconds.
const CHECK: u64 = 500_000_000;

/// Observes everything that a process starts, until [`finish`](Self::finish) is called.
#[derive(Debug)]
pub struct Observer {
    stop: Arc<AtomicBool>,
    /// `None` if there was nothing to observe.
    thread: JoinHandle<Option<ObserverThread>>,
    /// Disconnected when the thread observes.
    ready: Receiver<()>,
    /// One instant on both clocks.
    instant: Instant,
    nanos: u64,
}

/// An observer without a process yet. The kernel takes up to ten milliseconds to prepare the events of a machine; meanwhile, the process
/// that starts the steps starts itself.
#[derive(Debug)]
pub struct Prepared {
    observer: Observer,
    root: Sender<i32>,
}

impl Prepared {
    /// Observes the steps that this process will start. [`wait_until_ready`](Observer::wait_until_ready) before the first step.
    pub fn of(self, root: u32) -> Option<Observer> {
        self.root.send(i32::try_from(root).ok()?).ok()?;
        Some(self.observer)
    }
}

impl Observer {
    /// Starts to prepare events. Returns `None` if no thread can be started.
    pub fn prepare(collect: Collect, scheduling: SetScheduling) -> Option<Prepared> {
        let (root, known) = channel();
        let observer = Self::spawn((scheduling, Arc::default()), move || {
            let (machine, exits) = (Rings::of_machine(collect), Exits::open().ok());
            // Without a process to observe, the build ran no step.
            Some(ObserverThread::of_steps(known.recv().ok()?, machine, exits, collect))
        });
        Some(Prepared { observer: observer.ok()?, root })
    }

    /// Observes the steps that this process will start. Returns `None` if no thread can be started; nothing else can fail. The caller
    /// goes on while the kernel prepares events; [`wait_until_ready`](Self::wait_until_ready) before the first step.
    pub fn start(root: u32, collect: Collect, scheduling: SetScheduling) -> Option<Self> {
        Self::prepare(collect, scheduling)?.of(root)
    }

    /// Waits until processes are observed: those that start before are missing.
    pub fn wait_until_ready(&self) {
        // Nothing is ever sent: the thread drops its end.
        let _ = self.ready.recv();
    }

    /// Observes the steps through `/proc` alone, as without permission for perf events. Returns `None` if no thread can be started.
    pub fn sampled(root: u32) -> Option<Self> {
        let root = i32::try_from(root).ok()?;
        let source = EventSource::Sampled(sampled::Sampler::new(root, now()));
        let without_events = Some("events were not requested".into());
        let thread = ObserverThread { without_events, ..ObserverThread::new(source, Forest::new(root)) };
        Self::spawn((|_| false, Arc::default()), move || Some(thread)).ok()
    }

    /// Observes every process that starts on this machine, as the processes of one step, and keeps the whole commands of these programs.
    ///
    /// # Errors
    /// Fails if the kernel does not allow it: root or CAP_PERFMON is needed.
    pub fn of_machine(scheduling: SetScheduling, programs: &'static [&'static str]) -> io::Result<Self> {
        let refused = |refusal: Refusal| io::Error::other(refusal.of_machine());
        let mut rings = Rings::of_machine(Collect::Processes).map_err(refused)?;
        rings.report_switches().map_err(refused)?;
        let source = EventSource::Events(Box::new(rings));
        let forest = Forest::of_machine(now()).with_liveness(procfs::lives, Reports::All);
        let late = Arc::default();
        let (exits, listener) = (Exits::open().ok(), Listener::start(scheduling, Arc::clone(&late)).ok());
        let commands = StartedCommands::of(programs);
        let thread = ObserverThread { exits, listener, commands, ..ObserverThread::new(source, forest) };
        Self::spawn((scheduling, late), move || Some(thread))
    }

    fn spawn(
        (scheduling, late): (SetScheduling, Arc<AtomicBool>),
        prepare: impl FnOnce() -> Option<ObserverThread> + Send + 'static,
    ) -> io::Result<Self> {
        let (instant, nanos) = (Instant::now(), now());
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let (unready, ready) = channel();
        let thread = std::thread::Builder::new().name("observer".into());
        let thread = thread.spawn(move || {
            let prepared = prepare()?;
            drop(unready);
            Some(prepared.until(&stopping, ThreadScheduling::new(scheduling, late)))
        })?;
        Ok(Self { stop, thread, ready, instant, nanos })
    }

    /// Ends the observation. Returns the processes of each step, in the order in which the steps started. Times count from `epoch`.
    pub fn finish(self, epoch: Instant) -> Vec<StepProcesses> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // The panic has printed its message. The build goes on without the processes.
        let Ok(Some(ended)) = self.thread.join() else { return Vec::new() };
        let since = self.instant.saturating_duration_since(epoch);
        let epoch = self.nanos.saturating_sub(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        ended.steps(|time| Nanos(time.saturating_sub(epoch)))
    }
}

#[derive(Debug)]
enum EventSource {
    Events(Box<Rings>),
    Sampled(sampled::Sampler),
}

/// What the observer's thread works with: the source of the events, and the processes so far.
#[derive(Debug)]
struct ObserverThread {
    source: EventSource,
    /// The reason why there are no events.
    without_events: Option<String>,
    /// The reason why the requested stacks are missing.
    without_stacks: Option<String>,
    /// The reason why context switches are not reported.
    without_switches: Option<String>,
    /// The accounts of threads that ended, if the kernel gives them.
    exits: Option<Exits>,
    /// The arguments of programs, as their starts are reported, while a step has processes that live for long.
    stacks_of_execs: Option<ExecStacks>,
    /// Whether the kernel may give them.
    may_have_stacks_of_execs: bool,
    /// The arguments of all programs, if they tell which step a process belongs to.
    listener: Option<Listener>,
    commands: StartedCommands,
    /// Processes of which events end, while they go on.
    followed: sampled::Sampler,
    /// The number of rounds in a row with many short processes.
    brief: u32,
    forest: Forest,
}

impl ObserverThread {
    /// Observes by this source alone, for struct update syntax.
    fn new(source: EventSource, forest: Forest) -> Self {
        Self {
            source,
            without_events: None,
            without_stacks: None,
            without_switches: None,
            exits: None,
            stacks_of_execs: None,
            may_have_stacks_of_execs: false,
            listener: None,
            commands: StartedCommands::default(),
            followed: sampled::Sampler::of_followed(now()),
            brief: 0,
            forest,
        }
    }

    /// Observes the descendants of `root`: by the events of the machine, otherwise by those of the process, otherwise by samples.
    fn of_steps(root: i32, machine: Result<Rings, Refusal>, exits: Option<Exits>, collect: Collect) -> Self {
        let (source, without_events, without_stacks) = match machine.or_else(|_| Rings::of_process(root, collect)) {
            Ok(mut rings) => {
                let stacks = rings.without_stacks.take();
                (EventSource::Events(Box::new(rings)), None, stacks.map(|refusal| refusal.to_string()))
            }
            Err(refusal) => {
                let stacks = (collect == Collect::Stacks).then(|| "they need perf events".to_owned());
                (EventSource::Sampled(sampled::Sampler::new(root, now())), Some(refusal.to_string()), stacks)
            }
        };
        let reports = match &source {
            EventSource::Events(rings) if rings.is_of_machine() => Reports::All,
            _ => Reports::Ordinary,
        };
        let forest = Forest::new(root).with_liveness(procfs::lives, reports);
        let may_have_stacks_of_execs = reports == Reports::All;
        let mut this =
            Self { without_events, without_stacks, exits, may_have_stacks_of_execs, ..Self::new(source, forest) };
        if reports == Reports::All {
            this.forest = this.forest.with_switches(Switches::Unreported);
            // Without the kernel's sums, context switches are needed from the beginning.
            if this.exits.is_none() || collect == Collect::Stacks {
                this.report_switches();
            }
        }
        this
    }

    /// Each report of a context switch costs half a microsecond, and opening them costs the kernel up to ten milliseconds. So they begin
    /// when a process has lived for some milliseconds.
    fn report_switches(&mut self) {
        let EventSource::Events(rings) = &mut self.source else { return };
        match rings.report_switches() {
            Ok(()) => self.forest.switches_begin(now(), thread_state),
            Err(refusal) => self.without_switches = Some(refusal.to_string()),
        }
    }

    /// Opening the stacks of programs that start takes a millisecond, so a process has to live for longer. The kernel closes them in up to twenty
    /// milliseconds, so that happens between steps, and not when the build ends.
    fn report_stacks_of_execs(&mut self) {
        const WORTH: u64 = 100_000_000;
        match (&self.stacks_of_execs, self.forest.longest_life(now())) {
            (None, Some(life)) if life > WORTH && self.may_have_stacks_of_execs => {
                self.stacks_of_execs = ExecStacks::open();
                self.may_have_stacks_of_execs = self.stacks_of_execs.is_some();
            }
            (Some(_), None) => self.stacks_of_execs = None,
            _ => {}
        }
    }

    fn arguments(&self) -> Arguments {
        match &self.stacks_of_execs {
            Some(stacks) if !stacks.is_paused() => Arguments::Reported,
            _ => Arguments::Read,
        }
    }

    /// Most context switches are those of short processes, whose times the kernel's accounts of ended threads have. So while nearly all
    /// processes are short, the reports are interrupted, and those of long processes are summed up.
    fn adapt(&mut self, outcome: ReadOutcome) {
        /// Interrupting and continuing costs as much as hundreds of reports.
        const SURELY: u32 = 4;
        self.brief = if outcome == ReadOutcome::Brief { self.brief + 1 } else { 0 };
        if let Some(stacks) = &mut self.stacks_of_execs {
            stacks.pause(self.brief >= SURELY);
        }
        if self.forest.is_paused() {
            match self.brief {
                0 if self.without_switches.is_none() => self.report_switches(),
                _ => self.forest.sum_up(now(), thread_state),
            }
        } else if self.brief >= SURELY
            && self.forest.has_switches()
            && self.exits.is_some()
            && let EventSource::Events(rings) = &mut self.source
            && rings.can_pause_switches()
            && rings.pause_switches().is_ok()
        {
            self.forest.switches_pause(now(), thread_state);
        }
    }

    fn until(mut self, stop: &AtomicBool, mut scheduling: ThreadScheduling) -> Self {
        let mut pace = ReadingPace::new();
        let mut checked = now();
        while !stop.load(Ordering::Acquire) {
            let begun = Instant::now();
            let found = self.round();
            let time = now();
            self.forest.end_hidden(time);
            if time.saturating_sub(checked) > CHECK {
                checked = time;
                self.forest.end_vanished(time, procfs::lives);
            }
            match &mut self.source {
                EventSource::Sampled(sampler) => sampler.wait(stop),
                EventSource::Events(_) => {
                    scheduling.yield_to_others(self.forest.is_paused());
                    scheduling.rest(pace.after(found, self.arguments()), begun.elapsed());
                }
            }
        }
        scheduling.yield_to_others(false);
        if let Some(listener) = &mut self.listener {
            listener.stop();
        }
        self.read(Rings::read_rest);
        self.forest.finish(now());
        self
    }

    /// Reads the events since the last round, and samples living processes.
    fn round(&mut self) -> ReadOutcome {
        let begun = self.forest.begun;
        let count = self.read(|rings| rings.read(now()));
        self.follow();
        if self.without_switches.is_none() && self.forest.wants_switches(now()) {
            self.report_switches();
        }
        self.report_stacks_of_execs();
        let fresh = self.sample();
        let outcome = ReadOutcome::of(self.forest.begun - begun, fresh);
        self.adapt(outcome);
        match &self.source {
            EventSource::Events(rings) if rings.is_crowded_by(outcome.in_shortest(count, self.arguments())) => {
                ReadOutcome::Crowded
            }
            // The few events of other programs do not count.
            _ => outcome,
        }
    }

    /// Reads events, and returns their number. The kernel's accounts of threads that ended have to be known when the events of their ends are
    /// taken.
    fn read(&mut self, read: impl FnOnce(&mut Rings) -> usize) -> usize {
        let mut sampled = Vec::new();
        let count = match &mut self.source {
            EventSource::Events(rings) => {
                let count = read(rings);
                self.forest.lost(now(), rings.take_lost());
                count
            }
            EventSource::Sampled(sampler) => {
                sampled = sampler.read(now());
                sampled.len()
            }
        };
        if let Some(exits) = &mut self.exits {
            self.forest.exits(now(), exits.read());
        }
        match &mut self.source {
            EventSource::Events(rings) => self.forest.take(rings.events()),
            EventSource::Sampled(_) => self.forest.take(sampled),
        }
        self.forest.settle(now(), thread_state);
        let arguments = self.stacks_of_execs.as_mut().map(ExecStacks::read);
        if let Some(arguments) = arguments.or_else(|| Some(self.listener.as_ref()?.take())) {
            self.forest.add_arguments(arguments);
        }
        count
    }

    /// Reads the processes without events from `/proc`.
    fn follow(&mut self) {
        if !self.followed.is_idle() {
            let events = self.followed.read(now());
            self.forest.take(events);
        }
        for pid in self.forest.unfollowed() {
            if self.followed.is_idle() {
                self.followed = sampled::Sampler::of_followed(now());
            }
            self.followed.follow(pid);
        }
    }

    /// Samples living processes for facts that events do not contain. Returns the number of those that have executed a program since the last
    /// round.
    fn sample(&mut self) -> usize {
        let fresh = self.forest.fresh();
        let count = fresh.len();
        for (pid, executed) in fresh {
            let time = now();
            let is_wanted = self.forest.program_of(pid).is_some_and(|program| self.commands.wants(program));
            let mut is_read = !is_wanted || self.commands.read(pid);
            if !self.forest.has_arguments(pid) {
                match procfs::arguments(pid) {
                    Some(arguments) => self.forest.program(time, pid, arguments),
                    None => is_read = false,
                }
            }
            if !is_read {
                self.forest.not_yet(pid, executed, time);
            }
            self.forest.executed_before(pid, || procfs::scheduled(pid, pid));
        }
        let mut left = SAMPLES;
        let has_accounts = self.exits.is_some();
        let time = now();
        self.forest.living(|pid, run, programs| {
            if left > 0 && (run.wants_sample(time) || programs.wants_sample(run)) {
                left -= 1;
                let at = now();
                run.add_sample(at, wait::of_process(pid, run.threads, run.has_children()));
            }
            read_usage(pid, run, time, has_accounts);
        });
        count
    }

    fn steps(mut self, at: impl Fn(u64) -> Nanos + Copy) -> Vec<StepProcesses> {
        let mut unseen = Vec::new();
        let sampler = match &self.source {
            EventSource::Events(_) => None,
            EventSource::Sampled(sampler) => Some(sampler),
        };
        if let (Some(why), Some(sampler)) = (&self.without_events, sampler) {
            unseen.push(format!("{}: /proc was sampled, because {why}", sampler.unseen()));
        }
        if let Some(why) = &self.without_stacks {
            unseen.push(format!("stacks: {why}"));
        }
        if let Some(why) = &self.without_switches {
            unseen.push(format!("what processes waited for: {why}"));
        }
        match &self.exits {
            None => unseen.push("exit codes, and the memory and bytes of short processes: only root gets them".into()),
            Some(exits) if exits.lost() => {
                unseen.push("exit codes, memory and bytes of some processes: the kernel dropped their accounts".into());
            }
            Some(_) => {}
        }
        let steps = std::mem::take(&mut self.forest.steps);
        let mut steps: Vec<_> = steps.into_iter().map(|step| report::step(step, sampler, &unseen, at)).collect();
        if let Some(machine) = steps.first_mut() {
            machine.commands = std::mem::take(&mut self.commands).finish();
        }
        steps
    }
}

/// The state of a thread as the kernel shows it.
fn thread_state(pid: i32, tid: i32) -> Option<ThreadState> {
    let (cpu, delayed) = procfs::scheduled(pid, tid)?;
    Some(ThreadState { cpu, delayed, runs: procfs::runs(pid, tid)? })
}

/// Reads the usage of a process and its waits for processors: soon after its start, then rarely. If the kernel gives accounts of ended
/// threads, the reading only divides the time among the programs that a process executed, and is rarer.
fn read_usage(pid: i32, run: &mut ProgramRun, time: u64, has_accounts: bool) {
    const LAST: u64 = 500_000_000;
    let first = if has_accounts { 100_000_000 } else { 15_000_000 };
    let age = time.saturating_sub(run.start);
    if age < first || time < run.next_reading {
        return;
    }
    run.next_reading = time + (age / 4).clamp(first, LAST);
    if let Some((user, system)) = procfs::ticks(pid) {
        (run.usage.user, run.usage.system) = (user, system);
    }
    if let Some((read, written)) = procfs::transferred(pid) {
        (run.usage.read, run.usage.written) = (Some(read), Some(written));
    }
    run.usage.peak_memory = procfs::peak_memory(pid).or(run.usage.peak_memory);
    if let Some((cpu, delayed)) = procfs::scheduled(pid, pid) {
        run.scheduled(cpu, delayed);
    }
}
