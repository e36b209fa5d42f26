//! The kernel's reports of forks, execs, exits and context switches (perf_event_open(2)).
//!
//! A dummy software event counts nothing; it only makes the kernel write these reports. Such an event needs one ring buffer per processor.
//! For root it is an event of the processor, which reports every process of the machine and adds no cost to a fork. For an ordinary user it
//! belongs to the observed process and is inherited by its children: the kernel copies it at each fork.
//!
//! The kernel drops reports for which a ring has no room. Context switches are a hundred times as frequent as forks, execs and exits, and
//! without one of them only some times are wrong; without a fork, a process and its children are missing. So as root, context switches
//! have rings of their own. For an ordinary user, they share one: a second event would double the cost of each fork.

use crate::collect::Collect;
use crate::event::{Event, What};
use crate::refusal::Refusal;
use crate::ring::{Body, COMM, EXIT, FORK, MISC_COMM_EXEC, event, online, opened, switches};
use crate::stacks::Stacks;
use perf_event::Sampler;
use perf_event::events::Software;

/// perf_event.h
const LOST: u32 = 2;
const LOST_SAMPLES: u32 = 13;
const SWITCH: u32 = 14;
/// [`SWITCH`] of an event that belongs to a processor.
const SWITCH_CPU_WIDE: u32 = 15;
const MISC_SWITCH_OUT: u16 = 1 << 13;
const MISC_SWITCH_OUT_PREEMPT: u16 = 1 << 14;

/// The time by which reports of different processors may be out of order, in nanoseconds.
const SETTLED: u64 = 1_000_000;

/// The most memory of the ring buffers of one kind together, in bytes, unless each would be smaller than [`SMALLEST`].
const RINGS: usize = 4 << 20;
/// Enough for 200,000 context switches a second during 50 ms. The thread rests for 20 ms at most, and gets a higher priority when it is
/// 20 ms late. The kernel takes 0.8 ms to prepare 4 MiB, while the build starts.
const LARGEST: usize = 512 << 10;
const SMALLEST: usize = 32 << 10;

impl std::fmt::Debug for Rings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rings, {:?}", self.rings.len(), self.lost)
    }
}

/// The number of reports that the kernel dropped because the buffers were full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) all: u64,
    /// Those among which forks, execs and exits may have been.
    pub(crate) of_processes: u64,
}

impl std::ops::AddAssign for Lost {
    fn add_assign(&mut self, more: Self) {
        self.all += more.all;
        self.of_processes += more.of_processes;
    }
}

/// The ring buffers of all processors.
pub(crate) struct Rings {
    /// Forks, execs and exits; of a process also its context switches.
    rings: Vec<Sampler>,
    /// The context switches of the machine, once they are requested.
    switches: Vec<Sampler>,
    /// The sampled stacks, if they are requested.
    stacks: Option<Stacks>,
    /// The reason why the requested stacks are missing.
    pub(crate) without_stacks: Option<Refusal>,
    /// The observed process; `None` for the whole machine.
    pid: Option<i32>,
    /// Events that were read. The first ones are in order.
    waiting: Vec<Event>,
    /// The number of the first ones.
    settled: usize,
    lost: Lost,
    /// The size of one ring.
    size: usize,
}

impl Rings {
    /// Opens the reports of this process and all its future descendants.
    pub(crate) fn of_process(pid: i32, collect: Collect) -> Result<Self, Refusal> {
        Self::open(Some(pid), collect)
    }

    /// Opens the reports of every process of the machine. This needs CAP_PERFMON.
    pub(crate) fn of_machine(collect: Collect) -> Result<Self, Refusal> {
        Self::open(None, collect)
    }

    /// Whether the rings report every process of the machine.
    pub(crate) fn is_of_machine(&self) -> bool {
        self.pid.is_none()
    }

    /// Opens the reports, without stacks if the kernel refuses only those.
    fn open(pid: Option<i32>, collect: Collect) -> Result<Self, Refusal> {
        match Self::largest(pid, collect) {
            Err(refusal) if collect == Collect::Stacks => {
                let rings = Self::largest(pid, Collect::Processes)?;
                Ok(Self { without_stacks: Some(refusal), ..rings })
            }
            rings => rings,
        }
    }

    /// The memory that an ordinary user may lock is limited (perf_event_mlock_kb), and the rings of events and stacks share it.
    fn largest(pid: Option<i32>, collect: Collect) -> Result<Self, Refusal> {
        let cpus = online();
        let mut size = (RINGS / cpus.len().max(1)).clamp(SMALLEST, LARGEST).next_power_of_two();
        loop {
            match Self::of_size(pid, &cpus, size, collect) {
                Err(Refusal::Buffer { .. }) if size > SMALLEST => size /= 2,
                rings => return rings,
            }
        }
    }

    fn of_size(pid: Option<i32>, cpus: &[usize], size: usize, collect: Collect) -> Result<Self, Refusal> {
        let rings = cpus.iter().map(|&cpu| ring(pid, cpu, size)).collect::<Result<_, _>>()?;
        let stacks = match collect {
            Collect::Stacks => Some(Stacks::open(pid, cpus, size)?),
            Collect::Processes => None,
        };
        Ok(Self {
            rings,
            switches: Vec::new(),
            stacks,
            without_stacks: None,
            pid,
            waiting: Vec::new(),
            settled: 0,
            lost: Lost::default(),
            size,
        })
    }

    /// Opens or continues the reports of the machine's context switches. The reports of a process have them from the beginning.
    pub(crate) fn report_switches(&mut self) -> Result<(), Refusal> {
        if self.is_of_machine() && self.switches.is_empty() {
            let open = |cpu| opened(&mut switches(Software::DUMMY, cpu), self.size);
            self.switches = online().into_iter().map(open).collect::<Result<_, _>>()?;
            return Ok(());
        }
        self.switches.iter_mut().try_for_each(|ring| ring.enable()).map_err(Refusal::Event)
    }

    /// Whether the reports of context switches can be interrupted: they have rings of their own. Sampled stacks are of threads whose switches are
    /// reported.
    pub(crate) fn can_pause_switches(&self) -> bool {
        !self.switches.is_empty() && self.stacks.is_none()
    }

    /// Interrupts the reports of the machine's context switches.
    pub(crate) fn pause_switches(&mut self) -> Result<(), Refusal> {
        self.switches.iter_mut().try_for_each(|ring| ring.disable()).map_err(Refusal::Event)
    }

    /// Reads the events before `now`, and returns their number. Events of the last moment are left for the next call.
    pub(crate) fn read(&mut self, now: u64) -> usize {
        self.read_until(now.saturating_sub(SETTLED))
    }

    /// Reads all remaining events.
    pub(crate) fn read_rest(&mut self) -> usize {
        self.read_until(u64::MAX)
    }

    /// The events that were read, in the order of time.
    pub(crate) fn events(&mut self) -> impl Iterator<Item = Event> {
        self.waiting.drain(..std::mem::take(&mut self.settled))
    }

    fn read_until(&mut self, until: u64) -> usize {
        let of_processes = emptied(&mut self.rings, &mut self.waiting);
        let of_switches = emptied(&mut self.switches, &mut self.waiting);
        self.lost += Lost { all: of_processes + of_switches, of_processes };
        self.waiting.extend(self.stacks.iter_mut().flat_map(Stacks::read));
        // A stable sort keeps the order of the reports of one processor.
        self.waiting.sort_by_key(|event| event.time);
        self.settled = self.waiting.partition_point(|event| event.time <= until);
        self.settled
    }

    /// The reports that were dropped since the last call.
    pub(crate) fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// Whether one reading has so many reports that a ring may be full after a longer pause. Reports may come in bursts.
    pub(crate) fn is_crowded_by(&self, reports: usize) -> bool {
        /// The size of a report of a context switch, which most reports are, in bytes.
        const REPORT: usize = 48;
        const PART: usize = 40;
        reports > self.size / REPORT / PART
    }
}

fn ring(pid: Option<i32>, cpu: usize, size: usize) -> Result<Sampler, Refusal> {
    opened(event(Software::DUMMY, pid, cpu).context_switch(pid.is_some()), size)
}

/// Moves the events out of these rings. Returns the number of reports that the kernel dropped.
fn emptied(rings: &mut [Sampler], events: &mut Vec<Event>) -> u64 {
    let mut dropped = 0;
    for ring in rings {
        while let Some(record) = ring.next_record() {
            match parse(record.ty(), record.misc(), &record.to_contiguous()) {
                // The idle loop has the thread id 0.
                ParsedReport::Event(event) if event.pid == 0 => {}
                ParsedReport::Event(event) => events.push(event),
                ParsedReport::Lost(lost) => dropped += lost,
                ParsedReport::Other => {}
            }
        }
    }
    dropped
}

enum ParsedReport {
    Event(Event),
    Lost(u64),
    Other,
}

/// One record's body, as perf_event_open(2) lays it out.
fn parse(kind: u32, misc: u16, body: &[u8]) -> ParsedReport {
    let body = Body(body);
    let event = || {
        let id = body.id()?;
        let (pid, tid, what) = match kind {
            // pid, ppid, tid, ptid, time
            FORK => (body.u32(0)?, body.u32(8)?, What::Forked { parent: body.u32(4)? as i32 }),
            EXIT => (body.u32(0)?, body.u32(8)?, What::Exited),
            // pid, tid, name, padded
            COMM if misc & MISC_COMM_EXEC != 0 => (body.u32(0)?, body.u32(4)?, What::Executed { name: body.text(8)? }),
            COMM if body.text(8).is_some_and(|name| is_task_worker(&name)) => {
                (body.u32(0)?, body.u32(4)?, What::WorksOnTasks)
            }
            SWITCH | SWITCH_CPU_WIDE if misc & MISC_SWITCH_OUT == 0 => (body.u32(id)?, body.u32(id + 4)?, What::In),
            SWITCH | SWITCH_CPU_WIDE => {
                (body.u32(id)?, body.u32(id + 4)?, What::Out { wanted: misc & MISC_SWITCH_OUT_PREEMPT != 0 })
            }
            _ => return None,
        };
        Some(Event { time: body.time()?, pid: pid as i32, tid: tid as i32, what })
    };
    match kind {
        // id, lost
        LOST => ParsedReport::Lost(body.u64(8).unwrap_or(1)),
        LOST_SAMPLES => ParsedReport::Lost(body.u64(0).unwrap_or(1)),
        _ => event().map_or(ParsedReport::Other, ParsedReport::Event),
    }
}

/// Whether a thread works on the tasks of Gradle, by its name: "Execution worker", or before version 7 "Task worker for ':'". The kernel keeps 15
/// bytes.
fn is_task_worker(name: &str) -> bool {
    ["Execution worker", "Task worker for"].iter().any(|known| known[..15] == *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_testing::{Need, require, until};
    use std::io::{Read as _, Write as _, pipe};
    use std::process::Command;

    /// The layout of perf_event_open(2): "pid, ppid, tid, ptid, time" and, with sample_id_all, "pid, tid, time".
    #[test]
    fn records_are_read_as_the_manual_lays_them_out() {
        let numbers = |list: &[u32]| list.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<u8>>();
        let id = [numbers(&[7, 8]), 99u64.to_ne_bytes().to_vec()].concat();
        let fork = [numbers(&[7, 3, 8, 3]), 98u64.to_ne_bytes().to_vec(), id.clone()].concat();
        let ParsedReport::Event(event) = parse(FORK, 0, &fork) else { panic!("an event") };
        assert_eq!(event, Event { time: 99, pid: 7, tid: 8, what: What::Forked { parent: 3 } });
        let comm = [numbers(&[7, 7]), b"cc1\0\0\0\0\0".to_vec(), id.clone()].concat();
        let ParsedReport::Event(event) = parse(COMM, MISC_COMM_EXEC, &comm) else { panic!("an event") };
        assert_eq!(event.what, What::Executed { name: "cc1".into() });
        assert!(matches!(parse(COMM, 0, &comm), ParsedReport::Other), "a thread that names itself executes nothing");
        let worker = [numbers(&[7, 9]), b"Execution worker"[..15].to_vec(), vec![0], id.clone()].concat();
        let ParsedReport::Event(event) = parse(COMM, 0, &worker) else { panic!("an event") };
        assert_eq!((event.pid, event.tid, event.what), (7, 9, What::WorksOnTasks));
        let out = MISC_SWITCH_OUT | MISC_SWITCH_OUT_PREEMPT;
        let ParsedReport::Event(event) = parse(SWITCH, out, &id) else { panic!("an event") };
        assert_eq!((event.tid, event.what), (8, What::Out { wanted: true }));
        // In these, the other process's pid and tid come first.
        let wide = [numbers(&[1, 2]), id.clone()].concat();
        let ParsedReport::Event(event) = parse(SWITCH_CPU_WIDE, 0, &wide) else { panic!("an event") };
        assert_eq!((event.pid, event.tid, event.what), (7, 8, What::In));
        let lost = [1u64, 12].map(u64::to_ne_bytes).concat();
        assert!(matches!(parse(LOST, 0, &lost), ParsedReport::Lost(12)));
        assert!(matches!(parse(FORK, 0, &[1, 2, 3]), ParsedReport::Other), "a record that is too short is left out");
    }

    /// Two processes that pass a byte back and forth fill the rings of context switches; those of the processes must not suffer.
    #[test]
    #[ignore = "needs root and perf events"]
    fn a_storm_of_context_switches_hides_no_process() {
        require(&[Need::Root, Need::PerfEvents]);
        let size = 256 << 10;
        let mut rings = Rings::of_size(None, &online(), size, Collect::Processes).unwrap();
        rings.report_switches().unwrap();
        // A channel may spin instead of waiting.
        let ((mut from, mut to), (mut reply, mut back)) = (pipe().unwrap(), pipe().unwrap());
        let other =
            std::thread::spawn(move || while from.read_exact(&mut [0]).is_ok() && back.write_all(&[0]).is_ok() {});
        for _ in 0..20_000 {
            to.write_all(&[0]).unwrap();
            reply.read_exact(&mut [0]).unwrap();
        }
        drop(to);
        other.join().unwrap();
        let pids: Vec<i32> = (0..20)
            .map(|_| {
                let mut child = Command::new("true").spawn().unwrap();
                child.wait().unwrap();
                child.id() as i32
            })
            .collect();
        let (mut events, mut lost) = (Vec::new(), Lost::default());
        // The kernel reports what it dropped with the next switch on that processor.
        until("context switches are dropped", || {
            rings.read_rest();
            events.extend(rings.events());
            lost += rings.take_lost();
            lost.all > 1000
        });
        assert_eq!(lost.of_processes, 0, "{lost:?}");
        for pid in pids {
            let of = |is: fn(&What) -> bool| events.iter().filter(|event| event.pid == pid && is(&event.what)).count();
            let forked = of(|what| matches!(what, What::Forked { .. }));
            let executed = of(|what| matches!(what, What::Executed { .. }));
            assert_eq!((forked, executed, of(|what| *what == What::Exited)), (1, 1, 1), "{pid}");
        }
    }
}
