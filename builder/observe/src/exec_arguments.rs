//! The arguments of programs, read at the moment when they start: a program of a millisecond is gone before the next reading of the
//! [`events`](crate::events).
//!
//! A second ring for each processor has the reports of execs, each with the program's stack, where the arguments are ([`exec_stacks`]).
//! Where the arguments say which step a process belongs to, each report also wakes a thread that reads from `/proc` what the stack does not
//! have.

use crate::exec_stacks::{self, ExecTracepoint, SAMPLE};
use crate::procfs;
use crate::ring::{Body, COMM, MISC_COMM_EXEC, execs, online, opened};
use crate::scheduling::{SetScheduling, ThreadScheduling};
use perf_event::events::Software;
use perf_event::{Builder, Sampler};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{ForeignRawFd, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The arguments of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecArguments {
    pub(crate) pid: i32,
    /// The time of the exec, and the time at which the arguments were read.
    pub(crate) executed: u64,
    pub(crate) read: u64,
    pub(crate) arguments: Vec<String>,
}

/// The thread that reads arguments. It ends soon after this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    received: Receiver<ExecArguments>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The size of a ring: several hundred reports.
const SIZE: usize = 32 << 10;
/// The size of all rings with stacks together, and of one of them: from 20 stacks to 80, or to 300 where each exec matters.
const STACKS: usize = 16 << 20;
const FEWEST: usize = 256 << 10;
const MOST: usize = 1 << 20;
const MOST_WITH_WAKES: usize = 4 << 20;
/// The pause between two attempts to read arguments, and the time after which reading is given up, in nanoseconds. The kernel reports an
/// exec up to some tenths of a millisecond before it has copied the arguments.
const AGAIN: i64 = 100_000;
const GIVE_UP: u64 = 100_000_000;
/// The time from the report of an exec to its stack, in nanoseconds. Meanwhile, the kernel loads the program, maybe from a disk.
const STACK_COMES: u64 = 50_000_000;
/// The nice value of the thread: the shorter the wait for a processor, the more programs have known arguments.
const NICE: i32 = -20;
/// Work after which the thread rests as long as it worked, if ordinary programs cannot interrupt it.
const LONG: Duration = Duration::from_millis(1);
/// The interval at which the thread checks whether it should stop, in nanoseconds.
const IDLE: i64 = 50_000_000;

/// The arguments that programs have in their stacks when they start, without a thread: [`read`](Self::read) has to be called often enough.
pub(crate) struct ExecStacks {
    rings: Vec<Sampler>,
    /// Programs whose stack has not come yet, with the time of the exec.
    pending: Vec<(i32, u64)>,
    /// The arguments in stacks of programs whose exec was not reported yet, with the time of the stack.
    early: Vec<(i32, u64, Vec<String>)>,
    paused: bool,
}

struct Execs {
    stacks: ExecStacks,
    has_stacks: bool,
    /// The descriptors of the rings, on which the thread waits for reports.
    wakes: Vec<OwnedFd>,
}

/// The number of the thread in a report, its time, and the arguments in its stack.
fn stack(body: Body<'_>) -> Option<(i32, u64, Vec<String>)> {
    let arguments = procfs::shorten(exec_stacks::arguments(body)?);
    Some((body.u32(0)? as i32, body.u64(8)?, arguments))
}

impl std::fmt::Debug for ExecStacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rings, {} pending", self.rings.len(), self.pending.len())
    }
}

impl ExecStacks {
    /// Opens the rings. Returns `None` if the system does not give stacks of execs: that takes root.
    pub(crate) fn open() -> Option<Self> {
        Some(Self::of(Self::rings(MOST, |_| {})?))
    }

    fn of(rings: Vec<Sampler>) -> Self {
        Self { rings, pending: Vec::new(), early: Vec::new(), paused: false }
    }

    fn rings(most: usize, with: impl Fn(&mut Builder<'_>)) -> Option<Vec<Sampler>> {
        let (tracepoint, cpus) = (ExecTracepoint::find().ok()?, online());
        let size = (STACKS / cpus.len().max(1)).clamp(FEWEST, most).next_power_of_two();
        let ring = |cpu| {
            let mut event = tracepoint.event(cpu).ok()?;
            with(&mut event);
            opened(&mut event, size).ok()
        };
        cpus.into_iter().map(ring).collect()
    }

    /// The arguments that came since the last call. Those of some programs never come.
    pub(crate) fn read(&mut self) -> Vec<ExecArguments> {
        self.take_reports();
        let arguments = self.matched();
        let now = crate::clock::now();
        self.pending.retain(|&(_, executed)| now.saturating_sub(executed) < GIVE_UP);
        arguments
    }

    /// Interrupts or continues the reports, which cost time for each program.
    pub(crate) fn pause(&mut self, paused: bool) {
        if self.paused != paused {
            self.paused = paused;
            // If it fails, the reports stay as they are.
            for ring in &mut self.rings {
                let _ = if paused { ring.disable() } else { ring.enable() };
            }
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    fn take_reports(&mut self) {
        for ring in &mut self.rings {
            while let Some(record) = ring.next_record() {
                let body = record.to_contiguous();
                let body = Body(&body);
                match record.ty() {
                    COMM if record.misc() & MISC_COMM_EXEC != 0 => {
                        self.pending.extend(body.u32(0).zip(body.time()).map(|(pid, time)| (pid as i32, time)));
                    }
                    SAMPLE => self.early.extend(stack(body)),
                    _ => {}
                }
            }
        }
    }

    /// Gives each stack to the last exec of its process before it. They may come from the rings of two processors.
    fn matched(&mut self) -> Vec<ExecArguments> {
        let (pending, now) = (&mut self.pending, crate::clock::now());
        let mut found = Vec::new();
        self.early.sort_by_key(|&(_, time, _)| time);
        self.early.retain_mut(|(pid, time, arguments)| {
            let before =
                pending.iter().enumerate().filter(|&(_, &(other, executed))| other == *pid && executed <= *time);
            let Some((at, executed)) =
                before.max_by_key(|&(_, &(_, executed))| executed).map(|(at, &(_, time))| (at, time))
            else {
                return now.saturating_sub(*time) < GIVE_UP;
            };
            pending.remove(at);
            found.push(ExecArguments { pid: *pid, executed, read: *time, arguments: std::mem::take(arguments) });
            false
        });
        found
    }
}

impl Listener {
    /// Listens to every program of the machine.
    pub(crate) fn start(scheduling: SetScheduling, late: Arc<AtomicBool>) -> io::Result<Self> {
        let mut execs = Execs::open()?;
        let (sender, received) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("arguments".into()).spawn(move || {
            // Of the calling thread alone (setpriority(2)), if the system allows it.
            let _ = rustix::process::setpriority_process(None, NICE);
            let mut scheduling = ThreadScheduling::new(scheduling, late);
            loop {
                let begun = Instant::now();
                // What was reported before the stop is read after it.
                let stops = stopped.load(Ordering::Acquire);
                // After the observer has ended, nothing is received.
                execs.read().into_iter().for_each(|arguments| drop(sender.send(arguments)));
                if stops {
                    break;
                }
                let work = begun.elapsed();
                execs.wait();
                if scheduling.is_real_time() && work > LONG {
                    std::thread::sleep(work);
                }
            }
        })?;
        Ok(Self { received, stop, thread: Some(thread) })
    }

    /// Returns the arguments that were read since the last call.
    pub(crate) fn take(&self) -> Vec<ExecArguments> {
        self.received.try_iter().collect()
    }

    /// Waits until everything that was reported before is read.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The panic of a thread has printed its message.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Execs {
    fn open() -> io::Result<Self> {
        let wakes = |event: &mut Builder<'_>| {
            event.wakeup_watermark(1);
        };
        let (rings, has_stacks) = match ExecStacks::rings(MOST_WITH_WAKES, wakes) {
            Some(rings) => (rings, true),
            None => (Self::without_stacks()?, false),
        };
        // `poll` borrows these duplicates: the descriptors of the rings cannot be borrowed.
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        let wake = |ring: &Sampler| -> io::Result<OwnedFd> {
            let number = ForeignRawFd::from(ring.as_raw_fd());
            Ok(pidfd_getfd(&own, number, PidfdGetfdFlags::empty())?)
        };
        let wakes = rings.iter().map(wake).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { stacks: ExecStacks::of(rings), has_stacks, wakes })
    }

    fn without_stacks() -> io::Result<Vec<Sampler>> {
        let ring = |cpu| execs(Software::DUMMY, cpu).wakeup_watermark(1).build()?.sampled(SIZE);
        online().into_iter().map(ring).collect()
    }

    /// Waits for a report, or until the next attempt is due.
    fn wait(&self) {
        let pause = if self.stacks.pending.is_empty() { IDLE } else { AGAIN };
        let mut wakes: Vec<_> = self.wakes.iter().map(|wake| PollFd::new(wake, PollFlags::IN)).collect();
        // A wait that a signal interrupts is only shorter.
        let _ = poll(&mut wakes, Some(&Timespec { tv_sec: 0, tv_nsec: pause }));
    }

    fn read(&mut self) -> Vec<ExecArguments> {
        self.stacks.take_reports();
        let mut found = self.stacks.matched();
        found.extend(self.ask());
        found
    }

    /// Reads the arguments that are available by now, of programs whose stack did not come or does not have them.
    fn ask(&mut self) -> Vec<ExecArguments> {
        let patience = if self.has_stacks { STACK_COMES } else { 0 };
        let mut found = Vec::new();
        self.stacks.pending.retain(|&(pid, executed)| {
            let read = crate::clock::now();
            let Some(arguments) = procfs::arguments(pid) else {
                let waited = read.saturating_sub(executed);
                return waited < patience || waited < GIVE_UP && procfs::lives(pid);
            };
            found.push(ExecArguments { pid, executed, read, arguments });
            false
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_testing::{Need, require};
    use std::process::Command;

    /// Runs `true` with an argument of its own, and returns its process id and arguments.
    fn run(turn: u32) -> (i32, Vec<String>) {
        let argument = format!("turn-{turn}");
        let mut child = Command::new("/bin/true").arg(&argument).env_clear().spawn().unwrap();
        child.wait().unwrap();
        (child.id() as i32, vec!["/bin/true".to_owned(), argument])
    }

    /// All of these have ended before their arguments are read. With so few strings, hardly any stack is without them.
    #[test]
    #[ignore = "needs root and perf events"]
    fn ended_programs_have_arguments() {
        require(&[Need::Root, Need::PerfEvents]);
        let mut stacks = ExecStacks::open().expect("stacks of execs");
        let ran: Vec<_> = (0..40).map(run).collect();
        let read = stacks.read();
        let known: Vec<_> = ran.iter().filter_map(|(pid, _)| read.iter().find(|exec| exec.pid == *pid)).collect();
        assert!(known.len() > 30, "{} of 40", known.len());
        for exec in known {
            assert!(exec.executed <= exec.read && ran.contains(&(exec.pid, exec.arguments.clone())), "{exec:?}");
        }
        stacks.pause(true);
        let (paused, _) = run(40);
        assert!(stacks.read().iter().all(|exec| exec.pid != paused));
        stacks.pause(false);
        let continued: Vec<_> = (41..81).map(|turn| run(turn).0).collect();
        let read = stacks.read();
        assert!(read.iter().filter(|exec| continued.contains(&exec.pid)).count() > 30);
    }
}
