//! The kernel's ring buffers of reports about threads (perf_event_open(2)): the events to open, and the layout of a report.

use crate::refusal::Refusal;
use perf_event::events::Event;
use perf_event::{Builder, Clock, SampleFlag, Sampler};

/// perf_event.h
pub(crate) const COMM: u32 = 3;
pub(crate) const EXIT: u32 = 4;
pub(crate) const FORK: u32 = 7;
pub(crate) const MISC_COMM_EXEC: u16 = 1 << 13;

/// An event on one processor that reports the forks, execs and exits of a process and its descendants, or of the whole machine. Each report
/// ends with the thread and the time.
pub(crate) fn event(counter: impl Event, pid: Option<i32>, cpu: usize) -> Builder<'static> {
    let mut builder = bare(counter, pid, cpu);
    builder.task(true).comm(true).comm_exec(true);
    builder
}

/// An event on one processor that reports the execs of every process of the machine.
pub(crate) fn execs(counter: impl Event, cpu: usize) -> Builder<'static> {
    let mut builder = bare(counter, None, cpu);
    builder.comm(true).comm_exec(true);
    builder
}

/// An event on one processor that reports the context switches of every process of the machine.
pub(crate) fn switches(counter: impl Event, cpu: usize) -> Builder<'static> {
    let mut builder = bare(counter, None, cpu);
    builder.context_switch(true);
    builder
}

fn bare(counter: impl Event, pid: Option<i32>, cpu: usize) -> Builder<'static> {
    let mut builder = Builder::new(counter);
    match pid {
        Some(pid) => builder.observe_pid(pid).inherit(true),
        None => builder.any_pid(),
    };
    builder
        .one_cpu(cpu)
        .sample_id_all(true)
        .sample(SampleFlag::TID | SampleFlag::TIME)
        .clockid(Clock::MONOTONIC)
        .enabled(true);
    builder
}

/// Opens an event with a ring buffer of this size.
pub(crate) fn opened(event: &mut Builder<'_>, size: usize) -> Result<Sampler, Refusal> {
    let counter = event.build().map_err(Refusal::Event)?;
    counter.sampled(size).map_err(|error| Refusal::Buffer { size, error })
}

/// The body of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'b>(pub(crate) &'b [u8]);

impl<'b> Body<'b> {
    pub(crate) fn u32(self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    pub(crate) fn u64(self, at: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    /// The offset of the part that `sample_id_all` adds: process, thread and time.
    pub(crate) fn id(self) -> Option<usize> {
        self.0.len().checked_sub(16)
    }

    /// The time of the report, in nanoseconds on the monotonic clock.
    pub(crate) fn time(self) -> Option<u64> {
        self.u64(self.id()? + 8)
    }

    /// The text from `at` up to the next zero byte or the id.
    pub(crate) fn text(self, at: usize) -> Option<String> {
        let text = self.0.get(at..self.id()?)?.split(|&byte| byte == 0).next()?;
        Some(crate::procfs::shown(text))
    }
}

/// The processors that are online (linux/Documentation/admin-guide/cputopology.rst), or the first one if the list cannot be read.
pub(crate) fn online() -> Vec<usize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = ranges(&list);
    if cpus.is_empty() { vec![0] } else { cpus }
}

fn ranges(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_ranges() {
        assert_eq!(ranges("0-2,5,7-8\n"), [0, 1, 2, 5, 7, 8]);
        assert_eq!(ranges(""), Vec::<usize>::new());
    }
}
