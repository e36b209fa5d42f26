//! The system calls that rustix does not have, each with a proof that its use is sound.

use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use tokio::io::unix::AsyncFd;

/// The id that means "do not change the id" to setresuid(2), setresgid(2) and chown(2).
pub(super) const UNCHANGED: u32 = u32::MAX;

/// The side of a fork that the caller is on.
pub(super) enum Forked {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

/// `struct clone_args` of linux/sched.h, up to the `cgroup` field.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks into new namespaces (`CLONE_NEW*`) and, if given, into a cgroup v2 directory.
///
/// The process must have only one thread. The child may then do everything that its parent could.
pub(super) fn clone3(namespaces: c_int, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked, Errno> {
    let mut pidfd: c_int = -1;
    let mut args = CloneArgs {
        flags: (namespaces | libc::CLONE_PIDFD) as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        // CLONE_INTO_CGROUP of linux/sched.h, which libc has only for some targets.
        args.flags |= 0x2_0000_0000;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the size given and outlives the call. Without CLONE_VM and
    // with a null stack the child continues here on its own copy of the stack, as after fork(2); with one
    // thread no lock can be held by a thread that the child lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    match pid {
        -1 => Err(last_errno()),
        0 => Ok(Forked::Child),
        // SAFETY: CLONE_PIDFD stored a new descriptor, which has no other owner.
        pid => Ok(Forked::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
    }
}

/// Calls `fork(2)`. As for [`clone3`], the process must have only one thread.
pub(super) fn fork() -> Result<Forked, Errno> {
    clone3(0, None)
}

/// Makes a command's program end with the thread that starts it (SIGTERM).
pub(super) fn end_with_this_thread(command: &mut std::process::Command) {
    let parent = rustix::process::getpid();
    let bind = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        // The parent may have ended before the call.
        if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec, the closure only makes two system calls. It allocates nothing and takes no lock.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, bind) };
}

/// Calls `unshare(2)`.
pub(super) fn unshare(namespaces: c_int) -> Result<(), Errno> {
    // SAFETY: new namespaces change what paths and ids mean to this process, not its memory or descriptors
    // (CLONE_FILES is not among the flags used here).
    check(unsafe { libc::unshare(namespaces) }.into())
}

/// Moves this process into a network namespace.
pub(super) fn enter_network(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: setns(2) changes which network this process sees, not its memory. A descriptor of another kind gives an error,
    // because the call names the type.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }.into())
}

/// Makes `target` (0, 1 or 2) a duplicate of `fd` that stays open across an exec.
pub(super) fn redirect(fd: BorrowedFd<'_>, target: c_int) -> Result<(), Errno> {
    // SAFETY: no Rust value owns the standard descriptors of the zygote or of a starting step.
    check(unsafe { libc::dup2(fd.as_raw_fd(), target) }.into())
}

/// Registers a descriptor with the tokio runtime. Call it inside a runtime.
pub(super) fn watched(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and names one description for as long as it lives. The AsyncFd owns it, and no code of this
    // crate takes it out.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

/// Ends this process without running destructors or exit handlers, which belong to the process that it was forked from.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: _exit(2) takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// The mounts that a call is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mounts {
    /// The mount of the descriptor.
    One,
    /// That mount and all mounts below it.
    Tree,
}

/// Changes the attributes of mounts (mount_setattr(2)).
pub(super) fn mount_setattr(
    fd: BorrowedFd<'_>,
    set: MountAttrFlags,
    clear: MountAttrFlags,
    mounts: Mounts,
) -> Result<(), Errno> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attr = MountAttr { set: set.bits().into(), clear: clear.bits().into(), propagation: 0, userns: 0 };
    let recursive = match mounts {
        Mounts::One => 0,
        // AT_RECURSIVE of linux/fcntl.h.
        Mounts::Tree => 0x8000,
    };
    let flags = libc::AT_EMPTY_PATH | recursive;
    // SAFETY: the path is an empty C string and `attr` a mount_attr of the size given; both outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
}

/// One instruction of classic BPF: `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BpfInstruction {
    pub(super) code: u16,
    pub(super) jt: u8,
    pub(super) jf: u8,
    pub(super) k: u32,
}

/// Loads a seccomp filter for this process and its future children. It needs CAP_SYS_ADMIN or no_new_privs.
pub(super) fn seccomp(program: &[BpfInstruction]) -> Result<(), Errno> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const BpfInstruction,
    }
    let length = program.len().try_into().map_err(|_| Errno::TOOBIG)?;
    let program = Program { length, filter: program.as_ptr() };
    // SAFETY: `program` is a sock_fprog whose filter has `length` instructions; the kernel copies and checks it.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })
}

/// Brings up the loopback device of this process's network namespace.
pub(super) fn loopback_up() -> Result<(), Errno> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: an ifreq is plain data; all zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l' as c_char, b'o' as c_char]);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which is what it gets.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into())
}

/// Ignores a signal.
pub(super) fn ignore_signal(signal: c_int) {
    // SAFETY: the disposition runs no code. An error (no such signal) changes nothing.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Gives a signal its default disposition.
pub(super) fn reset_signal(signal: c_int) {
    // SAFETY: the disposition runs no code. An error (no such signal) changes nothing.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Gives every signal its default disposition, including those that the C library reserves.
fn default_signals() {
    /// The kernel's `struct sigaction`, which differs from the C library's. All zeroes mean `SIG_DFL` without flags.
    #[repr(C)]
    struct Action([usize; 4]);
    let default = Action([0; 4]);
    for number in 1..=64 {
        // SAFETY: `default` is as large as the kernel's structure on 64-bit machines, the mask 8 bytes. SIGKILL and
        // SIGSTOP cannot be set and keep their default. An exec follows, so the handlers of the C library are not needed.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, std::ptr::null::<Action>(), 8) };
    }
}

/// Returns large blocks of memory to the system when they are freed. Without this, glibc keeps blocks of up to 32 MiB as soon as one of that
/// size was freed (`M_MMAP_THRESHOLD` of mallopt(3)): a build of many files then needs a quarter more memory. To be called before other
/// threads start.
pub fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    {
        const FROM: c_int = 1 << 20;
        // SAFETY: the call sets a parameter of the allocator. No other thread uses it yet, which mallopt(3) demands.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, FROM) };
    }
}

/// Ends the process with this message and exit code if a page of a mapped file cannot be read or written (SIGBUS): on a full disk, the pages of a
/// mapped file may have no blocks (mmap(2)).
pub fn end_at_bus_error(message: &'static str, code: u8) {
    static END: OnceLock<(&str, u8)> = OnceLock::new();
    extern "C" fn end(_: c_int) {
        // The value was set before the handler. Waiting for a lock could hang.
        let (message, code) = END.get().copied().unwrap_or(("", 1));
        // SAFETY: write(2) and _exit(2) may be called in a signal handler (signal-safety(7)); the message is valid for its length.
        unsafe {
            libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
            libc::_exit(code.into());
        }
    }
    END.get_or_init(|| (message, code));
    // SAFETY: the handler calls only functions that are safe in signal handlers, and does not return to the access that failed.
    unsafe { libc::signal(libc::SIGBUS, end as extern "C" fn(c_int) as libc::sighandler_t) };
}

/// Unblocks all signals for this thread. A program that starts another one may have left some blocked, as buildbox-casd does for its runner.
pub fn unblock_signals() {
    // SAFETY: the set is initialised by sigemptyset before it is used, and the null pointer means that no old set is returned.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Gives this thread the lowest real-time priority: it runs before all ordinary programs of the machine (sched(7)). Returns whether the
/// kernel allows it. Nothing that the thread starts inherits the priority.
pub fn run_before_others() -> bool {
    schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, 1)
}

/// Runs this thread only while a processor has nothing else to do. Returns whether the kernel allows it. Without `CAP_SYS_NICE`, the thread
/// may not be able to return to [`run_with_others`].
pub fn run_after_others() -> bool {
    schedule(libc::SCHED_IDLE | libc::SCHED_RESET_ON_FORK, 0)
}

/// Runs this thread as every other one. Returns whether the kernel allows it.
pub fn run_with_others() -> bool {
    schedule(libc::SCHED_OTHER, 0)
}

/// Sets the scheduling policy and the real-time priority of this thread (sched_setscheduler(2)).
fn schedule(policy: c_int, priority: c_int) -> bool {
    /// `struct sched_param` of linux/sched/types.h.
    #[repr(C)]
    struct Parameters {
        priority: c_int,
    }
    let parameters = Parameters { priority };
    // SAFETY: the structure has the layout that the kernel expects and outlives the call, which reads it. The thread 0 is the calling one.
    check(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameters) }).is_ok()
}

/// Closes every descriptor with the number `first` or higher.
pub(super) fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: only a process that has just started calls this: no value in it owns a descriptor above the standard ones.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
}

/// Gives this process and its future children a new session keyring, which is empty and unnamed.
pub(super) fn new_session_keyring() -> Result<(), Errno> {
    // KEYCTL_JOIN_SESSION_KEYRING of linux/keyctl.h.
    const JOIN: libc::c_long = 1;
    // SAFETY: a null pointer means that the keyring has no name. The call changes which keys this process holds, not its memory.
    check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN, std::ptr::null::<c_char>()) })
}

/// The result of [`wait_any`] and [`reap_any`].
pub(super) enum Waited {
    /// A child ended. The status is that of `waitpid(2)`.
    Ended { pid: i32, status: i32 },
    /// There are children, but no child has ended.
    Running,
    /// There is no child.
    NoChild,
}

/// Waits until any child ends, and reaps it.
pub(super) fn wait_any() -> Waited {
    waitpid_any(libc::__WALL)
}

/// Reaps any child that has ended.
pub(super) fn reap_any() -> Waited {
    waitpid_any(libc::__WALL | libc::WNOHANG)
}

fn waitpid_any(flags: c_int) -> Waited {
    loop {
        let mut status = 0;
        // SAFETY: `status` is written by the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
        match pid {
            -1 if last_errno() == Errno::INTR => {}
            -1 => return Waited::NoChild,
            0 => return Waited::Running,
            pid => return Waited::Ended { pid, status },
        }
    }
}

/// Waits for one child and returns its status in the form of `waitpid(2)`.
pub(super) fn wait_for(child: i32) -> Result<c_int, Errno> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is written by the call.
        match unsafe { libc::waitpid(child, &raw mut status, libc::__WALL) } {
            -1 if last_errno() == Errno::INTR => {}
            -1 => return Err(last_errno()),
            _ => return Ok(status),
        }
    }
}

/// Sets a resource limit by its number (`RLIMIT_*`).
pub(super) fn set_rlimit(resource: u32, (soft, hard): (u64, u64)) -> Result<(), Errno> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is an rlimit. The kernel returns an error for an unknown resource.
    check(unsafe { libc::setrlimit(resource as _, &raw const limit) }.into())
}

/// Returns this process's own resource limit by its number: (soft, hard).
pub(super) fn rlimit(resource: u32) -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an rlimit, which the call fills. It stays unchanged for an unknown resource.
    unsafe { libc::getrlimit(resource as _, &raw mut limit) };
    (limit.rlim_cur, limit.rlim_max)
}

/// The resource usage of all children that were waited for.
pub(super) fn children_usage() -> libc::rusage {
    // SAFETY: a rusage is plain data that the call fills; RUSAGE_CHILDREN cannot fail.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    }
}

/// The pages of a file that are in the page cache, and those that were evicted from it (cachestat(2), Linux 6.5).
pub(super) fn pages_read(file: BorrowedFd<'_>) -> Result<u64, Errno> {
    /// `struct cachestat_range` of linux/mman.h. A length of zero means to the end of the file.
    #[repr(C)]
    struct Range {
        offset: u64,
        length: u64,
    }
    /// `struct cachestat` of linux/mman.h.
    #[repr(C)]
    #[derive(Default)]
    struct Pages {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    // The number of cachestat(2), which libc does not have. New system calls have the same number on all architectures.
    const CACHESTAT: libc::c_long = 451;
    let (range, mut pages) = (Range { offset: 0, length: 0 }, Pages::default());
    // SAFETY: both structures have the layout that the kernel expects and outlive the call, which reads `range` and fills `pages`.
    check(unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut pages, 0) })?;
    Ok(pages.cached + pages.evicted)
}

/// Everything that a new process needs to become the step's program. Nothing here is allocated after the fork.
pub(super) struct Exec<'a> {
    /// The paths to try in order, as in `execvp(3)`.
    pub(super) candidates: &'a [CString],
    pub(super) args: &'a [CString],
    pub(super) env: &'a [CString],
    pub(super) workdir: BorrowedFd<'a>,
    pub(super) stdio: [BorrowedFd<'a>; 3],
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The supplementary groups; `None` if this user namespace denies setgroups(2).
    pub(super) groups: Option<&'a [rustix::fs::Gid]>,
}

/// Starts a program with `vfork(2)` semantics and returns its pid. The result says whether the exec succeeded.
pub(super) fn spawn(exec: &Exec<'_>) -> Result<i32, Errno> {
    struct Shared<'a> {
        exec: &'a Exec<'a>,
        argv: Vec<*const c_char>,
        envp: Vec<*const c_char>,
        failed: Option<Errno>,
    }
    let pointers = |list: &[CString]| list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
    let mut shared = Shared { exec, argv: pointers(exec.args), envp: pointers(exec.env), failed: None };

    extern "C" fn child(shared: *mut c_void) -> c_int {
        // SAFETY: `spawn` passes a `Shared` that lives until the child has exec'ed or exited. `spawn` is suspended for that long
        // (CLONE_VFORK), so no other code accesses it.
        let shared = unsafe { &mut *shared.cast::<Shared<'_>>() };
        shared.failed = Some(become_program(shared.exec, &shared.argv, &shared.envp));
        127
    }

    let mut stack = vec![0_u128; 64 * 1024 / 16];
    // SAFETY: the stack grows down from one past the end of `stack` (16-byte aligned, 64 KiB), which outlives
    // the child's use of it, as `shared` does: CLONE_VFORK suspends us until the child has exec'ed or
    // exited. The child makes raw system calls only; it neither allocates nor unwinds.
    let pid = unsafe {
        libc::clone(
            child,
            stack.as_mut_ptr_range().end.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut shared).cast(),
        )
    };
    if pid == -1 {
        return Err(last_errno());
    }
    match shared.failed {
        None => Ok(pid),
        Some(errno) => Err(errno),
    }
}

/// The child's part of [`spawn`]. It returns only on failure.
fn become_program(exec: &Exec<'_>, argv: &[*const c_char], envp: &[*const c_char]) -> Errno {
    use rustix::fs::{Gid, Uid};
    let prepare = || {
        rustix::process::setsid()?;
        for (fd, target) in exec.stdio.iter().zip(0..) {
            // The sources are all above 2 and close on exec; the duplicates do not.
            redirect(*fd, target)?;
        }
        // The process that started the builder may have left descriptors open, which the step must not get.
        // SAFETY: the call marks the descriptors in this process's own table (CLONE_FILES is not set) to be closed by the exec.
        // If the exec fails, the process ends.
        check(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })?;
        // With this id the process would keep root's ids.
        if [exec.uid, exec.gid].contains(&UNCHANGED) {
            return Err(Errno::INVAL);
        }
        if let Some(groups) = exec.groups {
            rustix::thread::set_thread_groups(groups)?;
        }
        let (gid, uid) = (Gid::from_raw(exec.gid), Uid::from_raw(exec.uid));
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        // The memory is still the init's, and the new user must not read it. Depending on fs.suid_dumpable the change of ids has
        // just allowed that (proc_sys_fs(5)).
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
        default_signals();
        unblock_signals();
        rustix::process::fchdir(exec.workdir)
    };
    if let Err(errno) = prepare() {
        return errno;
    }
    let mut answer = Errno::NOENT;
    for candidate in exec.candidates {
        // SAFETY: a C string and two null-terminated arrays of C strings, all alive in the suspended parent.
        unsafe { libc::execve(candidate.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        match last_errno() {
            Errno::NOENT | Errno::NOTDIR => {}
            // As in execvp(3), the search continues after a file without permission, and the error is remembered.
            Errno::ACCESS => answer = Errno::ACCESS,
            errno => return errno,
        }
    }
    answer
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result == -1 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy of the calling thread in `/proc`, after the name in parentheses: 0 is ordinary, 5 idle (linux/sched.h).
    fn policy() -> u32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // proc_pid_stat(5): the name is field 2, the policy field 41.
        stat[stat.rfind(')').unwrap() + 2..].split(' ').nth(41 - 3).unwrap().parse().unwrap()
    }

    #[test]
    fn a_thread_runs_after_others_and_then_with_them() {
        let policies = std::thread::spawn(|| {
            let before = policy();
            assert!(run_after_others());
            let (idle, returned) = (policy(), run_with_others());
            (before, idle, returned, policy())
        });
        // Without CAP_SYS_NICE, the limit of the nice value decides whether a thread may return.
        let (before, idle, returned, after) = policies.join().unwrap();
        assert_eq!((before, idle, after), (0, 5, if returned { 0 } else { 5 }));
        assert!(returned || !rustix::process::geteuid().is_root());
    }
}
