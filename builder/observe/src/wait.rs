//! The cause of a block, from the current system call and its descriptors.

use crate::{compat, procfs};
use buildscope_record::Cause;
use std::os::unix::fs::FileExt;

/// The most threads of a process that are read.
const THREADS: usize = 16;
/// The most descriptors that are read for a call that waits for several.
const DESCRIPTORS: usize = 32;

/// What a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) cause: Cause,
    /// What it waits for a disk to do; `None` if unknown.
    pub(crate) disk: Option<DiskCall>,
}

/// A call that waits for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskCall {
    /// It returns when a file of dpkg's database is on the disk.
    SyncDatabase,
    /// It returns when another file is on the disk.
    SyncFile,
    Other,
}

impl From<Cause> for Wait {
    fn from(cause: Cause) -> Self {
        Self { cause, disk: None }
    }
}

/// What a process waits for; `None` if it does not wait, or has ended. `threads` is the number of threads that it has had.
pub(crate) fn of_process(pid: i32, threads: u32, has_children: bool) -> Option<Wait> {
    if threads == 1 {
        return of_thread(pid, pid, has_children);
    }
    let mut found: Option<Wait> = None;
    for tid in procfs::threads(pid, THREADS) {
        let wait = of_thread(pid, tid, has_children)?;
        // Idle threads wait for locks. A thread that waits for something outside of the process determines the cause.
        let outside = |cause| matches!(cause, Cause::Disk | Cause::Network | Cause::Child);
        found = match found {
            Some(one) if !outside(wait.cause) || outside(one.cause) && one.cause <= wait.cause => Some(one),
            _ => Some(wait),
        };
    }
    found
}

/// What a thread waits for; `None` if it runs.
fn of_thread(pid: i32, tid: i32, has_children: bool) -> Option<Wait> {
    let call = procfs::text(&format!("/proc/{pid}/task/{tid}/syscall"));
    let call = match call.as_deref().map(str::trim) {
        Some("running") => return None,
        Some(line) => Call::parse(line),
        None => None,
    };
    let state = state(pid, tid)?;
    if state == 'R' {
        return None;
    }
    // The system call may be unreadable for this process while the name of the kernel's function is visible.
    let Some(call) = call else {
        let name = procfs::text(&format!("/proc/{pid}/task/{tid}/wchan")).unwrap_or_default();
        return Some(of_channel(&name, state).into());
    };
    // A process with children reads their output, or waits for a thread of its own that waits for them.
    let files = ProcessDescriptors { pid };
    let call = call.native(&files);
    Some(match call.cause(state, &files) {
        Cause::Lock | Cause::Unknown if has_children && !call.is_file_lock() => Cause::Child.into(),
        Cause::Disk => Wait { cause: Cause::Disk, disk: call.disk(&files) },
        cause => cause.into(),
    })
}

fn state(pid: i32, tid: i32) -> Option<char> {
    let stat = procfs::read(&format!("/proc/{pid}/task/{tid}/stat"))?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(close + 2).map(|&state| char::from(state))
}

/// The name of the kernel's function in which a thread sleeps.
fn of_channel(name: &str, state: char) -> Cause {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["do_wait", "vfork"]) {
        Cause::Child
    } else if has(&["futex", "pipe", "unix_", "flock", "lock_"]) {
        Cause::Lock
    } else if has(&["nanosleep", "hrtimer"]) {
        Cause::Sleep
    } else if has(&["inet_", "tcp_", "udp_", "sk_wait", "wait_woken", "skb_wait"]) {
        Cause::Network
    } else if state == 'D' {
        Cause::Disk
    } else {
        Cause::Unknown
    }
}

/// The current system call of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    number: i64,
    arguments: [u64; 6],
    /// Whether it is a call of a 32-bit program.
    compat: bool,
}

/// The kind of file of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DescriptorKind {
    Regular,
    Pipe,
    Inet,
    Unix,
    Child,
    Timer,
    Other,
}

/// Looks up the descriptors of a call.
trait Descriptors {
    fn file(&self, fd: u64) -> DescriptorKind;
    /// The path of a descriptor's file; `None` if it may not be read.
    fn path(&self, fd: u64) -> Option<String>;
    /// The descriptors of a `pollfd` array.
    fn polled(&self, array: u64, count: u64) -> Vec<u64>;
    /// The descriptors that are in an `fd_set`.
    fn selected(&self, set: u64, count: u64) -> Vec<u64>;
    /// The descriptors that an epoll instance watches.
    fn watched(&self, epoll: u64) -> Vec<u64>;
}

impl Call {
    /// proc_pid_syscall(5): the number, six arguments, the stack pointer and the program counter; outside of a call only -1 and the last
    /// two.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let number = fields.next()?.parse().ok()?;
        let mut numbers = [0; 8];
        for number in &mut numbers {
            let field = fields.next().unwrap_or("0x0");
            *number = u64::from_str_radix(field.strip_prefix("0x")?, 16).ok()?;
        }
        let [arguments @ .., stack_pointer, _] = numbers;
        Some(Self { number, arguments, compat: number >= 0 && compat::is_compat(stack_pointer) })
    }

    /// The same call of a 64-bit program. If there is none, a call that never waits.
    fn native(self, files: &impl Descriptors) -> Self {
        const NONE: i64 = i64::MAX;
        if !self.compat {
            return self;
        }
        let mut native = Self { compat: false, ..self };
        if self.number == compat::SOCKETCALL {
            native.number = libc::SYS_recvfrom;
            // The arguments start with a descriptor, like a list for poll(2).
            native.arguments[0] = files.polled(self.arguments[1], 1).first().copied().unwrap_or(u64::MAX);
        } else {
            native.number = compat::native(self.number).unwrap_or(NONE);
        }
        native
    }

    fn is_file_lock(self) -> bool {
        matches!(self.number, libc::SYS_flock | libc::SYS_fcntl)
    }

    /// What it waits for a disk to do; `None` if the file is unknown.
    fn disk(self, files: &impl Descriptors) -> Option<DiskCall> {
        /// The directory of dpkg's database in each root directory.
        const DATABASE: &str = "/var/lib/dpkg";
        // dpkg starts to write files by sync_file_range(2) in any case.
        if !matches!(self.number, libc::SYS_fsync | libc::SYS_fdatasync) {
            return Some(DiskCall::Other);
        }
        let path = files.path(self.arguments[0])?;
        let is_database = path.ends_with(DATABASE) || path.contains(&format!("{DATABASE}/"));
        Some(if is_database { DiskCall::SyncDatabase } else { DiskCall::SyncFile })
    }

    fn cause(self, state: char, files: &impl Descriptors) -> Cause {
        let [first, second, third, ..] = self.arguments;
        match self.number {
            // A page fault.
            -1 => {
                if state == 'D' {
                    Cause::Disk
                } else {
                    Cause::Unknown
                }
            }
            libc::SYS_wait4 | libc::SYS_waitid | libc::SYS_clone | libc::SYS_clone3 => Cause::Child,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_vfork => Cause::Child,
            libc::SYS_futex
            | libc::SYS_futex_waitv
            | libc::SYS_flock
            | libc::SYS_semop
            | libc::SYS_semtimedop
            | libc::SYS_msgrcv => Cause::Lock,
            libc::SYS_fcntl if state == 'S' => Cause::Lock,
            // The other end of a named pipe: files are opened without a sleep that a signal ends.
            libc::SYS_openat if state == 'S' => Cause::Lock,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open if state == 'S' => Cause::Lock,
            libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Cause::Sleep,
            // A shell may wait for its children in this way.
            libc::SYS_rt_sigsuspend | libc::SYS_rt_sigtimedwait => Cause::Unknown,
            libc::SYS_read
            | libc::SYS_write
            | libc::SYS_readv
            | libc::SYS_writev
            | libc::SYS_pread64
            | libc::SYS_pwrite64
            | libc::SYS_ioctl => of_file(files.file(first)),
            libc::SYS_sendfile | libc::SYS_splice | libc::SYS_copy_file_range => {
                let ends =
                    [files.file(first), files.file(if self.number == libc::SYS_splice { third } else { second })];
                strongest(&ends)
            }
            libc::SYS_recvfrom
            | libc::SYS_recvmsg
            | libc::SYS_recvmmsg
            | libc::SYS_sendto
            | libc::SYS_sendmsg
            | libc::SYS_connect
            | libc::SYS_accept
            | libc::SYS_accept4 => of_file(files.file(first)),
            libc::SYS_ppoll => several(&files.polled(first, second), files),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll => several(&files.polled(first, second), files),
            libc::SYS_pselect6 => several(&selected(files, first, second, third), files),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_select => several(&selected(files, first, second, third), files),
            libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => several(&files.watched(first), files),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_epoll_wait => several(&files.watched(first), files),
            libc::SYS_io_uring_enter
            | libc::SYS_fsync
            | libc::SYS_fdatasync
            | libc::SYS_sync_file_range
            | libc::SYS_sync
            | libc::SYS_syncfs => Cause::Disk,
            // All calls on names, directories and mapped files.
            _ if state == 'D' => Cause::Disk,
            _ => Cause::Unknown,
        }
    }
}

fn of_file(file: DescriptorKind) -> Cause {
    match file {
        DescriptorKind::Regular => Cause::Disk,
        DescriptorKind::Pipe | DescriptorKind::Unix => Cause::Lock,
        DescriptorKind::Inet => Cause::Network,
        DescriptorKind::Child => Cause::Child,
        DescriptorKind::Timer => Cause::Sleep,
        DescriptorKind::Other => Cause::Unknown,
    }
}

fn selected(files: &impl Descriptors, count: u64, read: u64, write: u64) -> Vec<u64> {
    [read, write].into_iter().filter(|&set| set != 0).flat_map(|set| files.selected(set, count)).collect()
}

/// The cause of a wait for any of these descriptors; without a descriptor it is a wait for time.
fn several(fds: &[u64], files: &impl Descriptors) -> Cause {
    if fds.is_empty() {
        return Cause::Sleep;
    }
    let kinds: Vec<_> = fds.iter().take(DESCRIPTORS).map(|&fd| files.file(fd)).collect();
    strongest(&kinds)
}

/// The most probable cause of several.
fn strongest(kinds: &[DescriptorKind]) -> Cause {
    let order = [
        DescriptorKind::Inet,
        DescriptorKind::Child,
        DescriptorKind::Pipe,
        DescriptorKind::Unix,
        DescriptorKind::Regular,
        DescriptorKind::Timer,
    ];
    order.into_iter().find(|kind| kinds.contains(kind)).map_or(Cause::Unknown, of_file)
}

/// The descriptors of a living process.
struct ProcessDescriptors {
    pid: i32,
}

impl ProcessDescriptors {
    fn memory(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = std::fs::File::open(format!("/proc/{}/mem", self.pid))
            .and_then(|memory| memory.read_at(&mut bytes, at))
            .unwrap_or(0);
        bytes.truncate(read);
        bytes
    }
}

impl Descriptors for ProcessDescriptors {
    fn path(&self, fd: u64) -> Option<String> {
        let target = rustix::fs::readlink(format!("/proc/{}/fd/{fd}", self.pid), Vec::new()).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    fn file(&self, fd: u64) -> DescriptorKind {
        let Some(target) = self.path(fd) else { return DescriptorKind::Other };
        let path = format!("/proc/{}/fd/{fd}", self.pid);
        if target.starts_with("pipe:") || target.contains("[eventfd]") {
            DescriptorKind::Pipe
        } else if target.starts_with("socket:") {
            let mut name = [0; 32];
            // "UNIX", "UNIX-STREAM", "TCP", "TCPv6", "UDP", ... (net/socket.c)
            match rustix::fs::getxattr(&*path, "system.sockprotoname", &mut name) {
                Ok(length) if name[..length].starts_with(b"UNIX") => DescriptorKind::Unix,
                Ok(_) => DescriptorKind::Inet,
                Err(_) => DescriptorKind::Other,
            }
        } else if target.contains("[pidfd]") || target.contains("[signalfd]") {
            DescriptorKind::Child
        } else if target.contains("[timerfd]") {
            DescriptorKind::Timer
        } else if target.starts_with("/dev/") || !target.starts_with('/') {
            DescriptorKind::Other
        } else {
            // A named pipe is shown by its path.
            match rustix::fs::stat(&*path).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode)) {
                Ok(rustix::fs::FileType::Fifo) => DescriptorKind::Pipe,
                _ => DescriptorKind::Regular,
            }
        }
    }

    fn polled(&self, array: u64, count: u64) -> Vec<u64> {
        // struct pollfd: int fd, short events, short revents.
        let bytes = self.memory(array, 8 * count.min(DESCRIPTORS as u64) as usize);
        let fds = bytes.chunks_exact(8).map(|one| i32::from_ne_bytes([one[0], one[1], one[2], one[3]]));
        fds.filter_map(|fd| u64::try_from(fd).ok()).collect()
    }

    fn selected(&self, set: u64, count: u64) -> Vec<u64> {
        let bytes = self.memory(set, (count.min(1024) as usize).div_ceil(8));
        let bits =
            bytes.iter().enumerate().flat_map(|(at, byte)| (0..8).map(move |bit| (at * 8 + bit, byte >> bit & 1)));
        bits.filter(|&(fd, bit)| bit == 1 && (fd as u64) < count).map(|(fd, _)| fd as u64).collect()
    }

    fn watched(&self, epoll: u64) -> Vec<u64> {
        let text = procfs::text(&format!("/proc/{}/fdinfo/{epoll}", self.pid)).unwrap_or_default();
        let fd = |line: &str| line.strip_prefix("tfd:")?.split_ascii_whitespace().next()?.parse().ok();
        text.lines().filter_map(fd).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(&'static [(u64, DescriptorKind)]);

    impl Descriptors for Table {
        fn file(&self, fd: u64) -> DescriptorKind {
            self.0.iter().find(|(one, _)| *one == fd).map_or(DescriptorKind::Other, |(_, file)| *file)
        }
        fn path(&self, fd: u64) -> Option<String> {
            let paths =
                ["/var/lib/dpkg/status-new", "/store/root/var/lib/dpkg/info", "/usr/bin/x.dpkg-new", "/var/lib/dpkg"];
            paths.get(fd as usize).map(|&path| path.to_owned())
        }
        fn polled(&self, _: u64, count: u64) -> Vec<u64> {
            self.0.iter().map(|(fd, _)| *fd).take(count as usize).collect()
        }
        fn selected(&self, _: u64, count: u64) -> Vec<u64> {
            self.polled(0, count)
        }
        fn watched(&self, _: u64) -> Vec<u64> {
            self.polled(0, 99)
        }
    }

    fn cause(number: i64, first: u64, second: u64, state: char) -> Cause {
        let table = Table(&[(3, DescriptorKind::Regular), (4, DescriptorKind::Pipe), (5, DescriptorKind::Inet)]);
        Call { number, arguments: [first, second, 0, 0, 0, 0], compat: false }.cause(state, &table)
    }

    #[test]
    fn a_call_says_what_is_waited_for() {
        assert_eq!(cause(libc::SYS_read, 3, 0, 'D'), Cause::Disk);
        assert_eq!(cause(libc::SYS_read, 4, 0, 'S'), Cause::Lock);
        assert_eq!(cause(libc::SYS_read, 5, 0, 'S'), Cause::Network);
        assert_eq!(cause(libc::SYS_wait4, 0, 0, 'S'), Cause::Child);
        assert_eq!(cause(libc::SYS_futex, 0, 0, 'S'), Cause::Lock);
        assert_eq!(cause(libc::SYS_clock_nanosleep, 0, 0, 'S'), Cause::Sleep);
        assert_eq!(cause(libc::SYS_unlinkat, 0, 0, 'D'), Cause::Disk);
        assert_eq!(cause(libc::SYS_openat, 0, 0, 'S'), Cause::Lock, "a named pipe without another end");
        assert_eq!(cause(libc::SYS_openat, 0, 0, 'D'), Cause::Disk);
        assert_eq!(cause(libc::SYS_ppoll, 0, 3, 'S'), Cause::Network);
        assert_eq!(cause(libc::SYS_ppoll, 0, 2, 'S'), Cause::Lock);
        assert_eq!(cause(libc::SYS_epoll_pwait2, 0, 0, 'S'), Cause::Network);
        assert_eq!(cause(libc::SYS_ppoll, 0, 0, 'S'), Cause::Sleep, "poll of nothing is a sleep");
        assert_eq!(cause(-1, 0, 0, 'D'), Cause::Disk, "a page that has to be read");
    }

    /// `--force-unsafe-io` leaves out only the calls for files of packages.
    #[test]
    fn syncs_of_the_database_are_distinguished() {
        let call = |number, fd| Call { number, arguments: [fd, 0, 0, 0, 0, 0], compat: false }.disk(&Table(&[]));
        assert_eq!(call(libc::SYS_fsync, 0), Some(DiskCall::SyncDatabase));
        assert_eq!(call(libc::SYS_fsync, 1), Some(DiskCall::SyncDatabase), "below the root directory of a container");
        assert_eq!(call(libc::SYS_fsync, 3), Some(DiskCall::SyncDatabase), "the directory itself");
        assert_eq!(call(libc::SYS_fdatasync, 2), Some(DiskCall::SyncFile));
        assert_eq!(call(libc::SYS_sync_file_range, 2), Some(DiskCall::Other));
        assert_eq!(call(libc::SYS_fsync, 9), None, "its path may not be read");
        assert_eq!(call(libc::SYS_read, 2), Some(DiskCall::Other));
        assert_eq!(cause(libc::SYS_sync_file_range, 3, 0, 'S'), Cause::Disk);
    }

    /// Lines as in proc_pid_syscall(5).
    #[test]
    fn lines_of_proc_are_read() {
        let call = Call::parse("7 0x55 0x2 0xffffffff 0x0 0x0 0x0 0x7ffe 0x7f1d").unwrap();
        assert_eq!((call.number, call.arguments[..3].to_vec()), (7, vec![0x55, 2, 0xffff_ffff]));
        assert_eq!(Call::parse("-1 0x7ffe 0x7f1d").unwrap().number, -1);
        assert_eq!(Call::parse("running"), None);
    }

    /// 162 is nanosleep of 32-bit programs and sync of 64-bit ones; 3 is read and close; `socketcall` 10 is recv.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_of_32_bit_programs_have_other_numbers() {
        let table = Table(&[(5, DescriptorKind::Inet), (4, DescriptorKind::Pipe)]);
        let cause = |line: &str| Call::parse(line).unwrap().native(&table).cause('S', &table);
        let rest = "0x0 0x0 0x0 0x0";
        assert_eq!(cause(&format!("162 0xffe0 0x0 {rest} 0xffffd000 0xf7f01549")), Cause::Sleep);
        assert_eq!(cause(&format!("162 0xffe0 0x0 {rest} 0x7ffd4a5be0f8 0x401549")), Cause::Disk);
        assert_eq!(cause(&format!("3 0x4 0x0 {rest} 0xffffd000 0xf7f01549")), Cause::Lock);
        assert_eq!(cause(&format!("102 0xa 0xffe0 {rest} 0xffffd000 0xf7f01549")), Cause::Network);
        assert_eq!(cause(&format!("5 0xffe0 0x0 {rest} 0xffffd000 0xf7f01549")), Cause::Lock);
        assert_eq!(cause(&format!("1 0x0 0x0 {rest} 0xffffd000 0xf7f01549")), Cause::Unknown);
    }

    #[test]
    fn the_wait_of_a_child_has_a_cause() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut child = std::process::Command::new("cat").stdin(reader).spawn().unwrap();
        let pid = child.id() as i32;
        let mut seen = None;
        for _ in 0..200 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            seen = cause_of(pid);
            if seen == Some(Cause::Lock) {
                break;
            }
        }
        drop(writer);
        child.wait().unwrap();
        assert_eq!(seen, Some(Cause::Lock));
        assert_eq!(cause_of(pid), None, "it has gone");
    }

    fn cause_of(pid: i32) -> Option<Cause> {
        of_process(pid, 1, false).map(|wait| wait.cause)
    }
}
