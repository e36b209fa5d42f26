//! The arguments of programs, read at the moment when they start: a program of a millisecond is gone before the next reading of the
//! [`events`](crate::events).
//!
//! A second, small ring for each processor has only the reports of execs, and each of them wakes a thread that reads the arguments. That
//! costs a wake-up for each program of the machine, so it is done only where the arguments say which step a process belongs to.

use crate::procfs;
use crate::ring::{Body, COMM, MISC_COMM_EXEC, execs, online};
use perf_event::Sampler;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{ForeignRawFd, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

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
}

/// The size of a ring: several hundred reports.
const SIZE: usize = 32 << 10;
/// The pause between two attempts to read arguments, and the time after which reading is given up, in nanoseconds. The kernel reports an
/// exec up to some tenths of a millisecond before it has copied the arguments.
const AGAIN: i64 = 100_000;
const GIVE_UP: u64 = 100_000_000;
/// The interval at which the thread checks whether it should stop, in nanoseconds.
const IDLE: i64 = 50_000_000;

struct Execs {
    rings: Vec<Sampler>,
    /// The descriptors of the rings, on which the thread waits for reports.
    wakes: Vec<OwnedFd>,
    /// Programs whose arguments are not available yet, with the time of the exec.
    pending: Vec<(i32, u64)>,
}

impl Listener {
    /// Listens to every program of the machine.
    pub(crate) fn start() -> io::Result<Self> {
        let mut execs = Execs::open()?;
        let (sender, received) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new().name("arguments".into()).spawn(move || {
            let _ = rustix::process::setpriority_process(None, crate::observer::PRIORITY);
            while !stopped.load(Ordering::Acquire) {
                execs.wait();
                execs.read();
                execs.ask(&sender);
            }
        })?;
        Ok(Self { received, stop })
    }

    /// Returns the arguments that were read since the last call.
    pub(crate) fn take(&self) -> Vec<ExecArguments> {
        self.received.try_iter().collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Execs {
    fn open() -> io::Result<Self> {
        let ring = |cpu| execs(cpu).build()?.sampled(SIZE);
        let rings = online().into_iter().map(ring).collect::<io::Result<Vec<_>>>()?;
        // `poll` borrows these duplicates: the descriptors of the rings cannot be borrowed.
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        let wake = |ring: &Sampler| -> io::Result<OwnedFd> {
            let number = ForeignRawFd::from(ring.as_raw_fd());
            Ok(pidfd_getfd(&own, number, PidfdGetfdFlags::empty())?)
        };
        let wakes = rings.iter().map(wake).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { rings, wakes, pending: Vec::new() })
    }

    /// Waits for a report, or until the next attempt is due.
    fn wait(&self) {
        let pause = if self.pending.is_empty() { IDLE } else { AGAIN };
        let mut wakes: Vec<_> = self.wakes.iter().map(|wake| PollFd::new(wake, PollFlags::IN)).collect();
        // A wait that a signal interrupts is only shorter.
        let _ = poll(&mut wakes, Some(&Timespec { tv_sec: 0, tv_nsec: pause }));
    }

    fn read(&mut self) {
        for ring in &mut self.rings {
            while let Some(record) = ring.next_record() {
                if record.ty() == COMM && record.misc() & MISC_COMM_EXEC != 0 {
                    let body = record.to_contiguous();
                    let body = Body(&body);
                    self.pending.extend(body.u32(0).zip(body.time()).map(|(pid, time)| (pid as i32, time)));
                }
            }
        }
    }

    /// Reads the arguments that are available by now.
    fn ask(&mut self, sender: &Sender<ExecArguments>) {
        self.pending.retain(|&(pid, executed)| {
            let read = crate::clock::now();
            let Some(arguments) = procfs::arguments(pid) else {
                return read.saturating_sub(executed) < GIVE_UP && procfs::lives(pid);
            };
            // After the observer has ended, nothing is received.
            let _ = sender.send(ExecArguments { pid, executed, read, arguments });
            false
        });
    }
}
