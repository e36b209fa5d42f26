//! The arguments of a program in its stack, which the kernel copies at the moment when the program starts.
//!
//! A sample of the tracepoint `sched:sched_process_exec` may contain the stack of the program. At that moment, the stack has only what the
//! kernel has put there: the arguments, the environment and the auxiliary vector. So even the shortest program has its arguments. But
//! there is a random gap of up to 8 KiB below the strings, and the copy ends at a page that nothing has touched. A stack with a few
//! hundred bytes of arguments and environment nearly always has them; the more strings, the more often they are missing.

use crate::refusal::Refusal;
use crate::ring::{Body, execs};
use perf_event::events::Tracepoint;
use perf_event::{Builder, SampleFlag};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// perf_event.h
pub(crate) const SAMPLE: u32 = 9;
const ABI_32: u64 = 1;

/// The stack pointer among the registers of a sample (linux/arch/*/include/uapi/asm/perf_regs.h).
const STACK_POINTER: Option<u64> = if cfg!(target_arch = "x86_64") {
    Some(1 << 7)
} else if cfg!(target_arch = "aarch64") {
    Some(1 << 31)
} else {
    None
};

/// The part of a stack that is copied. The arguments are up to 8 KiB above the stack pointer, because the kernel leaves a random gap.
const PART: u32 = 12 << 10;

/// The tracepoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExecTracepoint(u64);

impl ExecTracepoint {
    /// Looks up the number of the tracepoint. The file system that has it is mounted for this process only, and at no path.
    pub(crate) fn find() -> Result<Self, Errno> {
        let context = rustix::mount::fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(&context)?;
        let root = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        let path = "events/sched/sched_process_exec/id";
        let file = rustix::fs::openat(root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut number = [0; 20];
        let length = rustix::io::read(&file, &mut number)?;
        let number = std::str::from_utf8(&number[..length]).map_err(|_| Errno::INVAL)?;
        number.trim().parse().map(Self).map_err(|_| Errno::INVAL)
    }

    /// An event of the samples of one processor, and of the reports of execs, which come shortly before them.
    pub(crate) fn event(self, cpu: usize) -> Result<Builder<'static>, Refusal> {
        let registers = STACK_POINTER.ok_or_else(|| Refusal::Event(Errno::NOTSUP.into()))?;
        let mut event = execs(Tracepoint::with_id(self.0), cpu);
        event
            // The kernel is in an exec at the tracepoint.
            .exclude_kernel(false)
            .sample_period(1)
            .sample(SampleFlag::TID | SampleFlag::TIME | SampleFlag::REGS_USER | SampleFlag::STACK_USER)
            .sample_regs_user(registers)
            .sample_stack_user(PART);
        Ok(event)
    }
}

/// The arguments in a sample, each with a zero byte after it: process, thread, time, mode, stack pointer, size, stack, and how much of the
/// stack was copied.
pub(crate) fn arguments(body: Body<'_>) -> Option<&[u8]> {
    const STACK: usize = 40;
    let (mode, pointer) = (body.u64(16)?, body.u64(24)?);
    let size = usize::try_from(body.u64(32)?).ok()?;
    let copied = usize::try_from(body.u64(STACK.checked_add(size)?)?).ok()?;
    let stack = Body(body.0.get(STACK..STACK.checked_add(copied.min(size))?)?);
    let width = if mode == ABI_32 { 4 } else { 8 };
    let word = |index: usize| {
        let at = index.checked_mul(width)?;
        if width == 4 { stack.u32(at).map(u64::from) } else { stack.u64(at) }
    };
    // At the stack pointer: the number of arguments, and a pointer to each.
    let count = usize::try_from(word(0)?).ok()?;
    let begin = usize::try_from(word(1)?.checked_sub(pointer)?).ok()?;
    let strings = stack.0.get(begin..)?;
    let ends = strings.iter().enumerate().filter(|&(_, &byte)| byte == 0).map(|(at, _)| at + 1);
    // Long arguments are cut off.
    let end = count.checked_sub(1).and_then(|last| { ends }.nth(last)).unwrap_or(strings.len());
    (count > 0 && end > 0).then(|| &strings[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample as perf_event_open(2) lays it out, with a stack as the System V ABI lays it out (process initialization), 100 bytes of which
    /// are not used.
    fn sample(mode: u64, words: &[Vec<u8>], strings: &[u8], room: usize) -> Vec<u8> {
        let mut stack = words.concat();
        stack.extend([0xaa; 100]);
        stack.extend(strings);
        let copied = stack.len().min(room);
        stack.resize(room, 0);
        let numbers = [1u64 << 32 | 1, 99, mode, 0x7000, room as u64].map(u64::to_ne_bytes).concat();
        [numbers, stack, (copied as u64).to_ne_bytes().to_vec()].concat()
    }

    #[test]
    fn arguments_are_read_from_the_stack() {
        let strings = b"sh\0-c\0true\0HOME=/\0";
        let wide = [3, 0x7000 + 132, 0x7000 + 135, 0x7000 + 138].map(|word: u64| word.to_ne_bytes().to_vec());
        let narrow = [3, 0x7000 + 116, 0x7000 + 119, 0x7000 + 122].map(|word: u32| word.to_ne_bytes().to_vec());
        assert_eq!(arguments(Body(&sample(2, &wide, strings, 400))), Some(&b"sh\0-c\0true\0"[..]));
        assert_eq!(arguments(Body(&sample(1, &narrow, strings, 400))), Some(&b"sh\0-c\0true\0"[..]));
        assert_eq!(arguments(Body(&sample(2, &wide, strings, 141))), Some(&b"sh\0-c\0tru"[..]), "cut off");
    }

    #[test]
    fn a_stack_without_arguments_has_none() {
        for room in [0, 4, 20, 130] {
            let wide = [3, 0x7000 + 132, 0x7000 + 135, 0x7000 + 138].map(|word: u64| word.to_ne_bytes().to_vec());
            assert_eq!(arguments(Body(&sample(2, &wide, b"", room))), None, "{room}");
        }
        let none = [0, 0].map(|word: u64| word.to_ne_bytes().to_vec());
        assert_eq!(arguments(Body(&sample(2, &none, b"HOME=/\0", 400))), None);
        assert_eq!(arguments(Body(&[1, 2, 3])), None);
        let absurd = [u64::MAX, 0x6fff].map(|word: u64| word.to_ne_bytes().to_vec());
        assert_eq!(arguments(Body(&sample(2, &absurd, b"x\0", 400))), None);
    }
}
