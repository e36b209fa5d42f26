//! A step's first process, pid 1 of its pid namespace: builds the box, starts the program, reaps, reports.
//!
//! It ends when the program ends; the kernel then kills whatever the program left running.
//!
//! Where a stock runtime is to make the box, the init gives it a view of the host and a bundle, and is the runtime's parent:
//! what the runtime starts stays in this pid namespace, becomes the init's child when the runtime has left, and ends with
//! it. So a step's program is the same to whoever waits for it, and is gone when the builder is.

use super::bundle::{self, Bundle};
use super::mounts::{Begun, Template, View};
use super::order::{Ending, Order, Report};
use super::privileges::Privileges;
use super::sys::{self, Exec};
use super::wire::{Bytes, Wire};
use super::{channel, mounts};
use rustix::fs::{Gid, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the helper has ready for every step.
pub(super) struct Ready {
    pub(super) template: Template,
    pub(super) privileges: Privileges,
    pub(super) null: OwnedFd,
    /// Whether setgroups(2) is allowed in this user namespace.
    pub(super) groups: bool,
}

/// Runs the step that arrives on `channel`. This process does nothing else; it ends when this returns.
///
/// What needs no order is done before there is one: the builder asks for the next step's init while a step runs.
pub(super) fn run(ready: &Ready, channel: &OwnedFd, insecure: bool) {
    // If the helper dies, so does the step; if it died before this line, the builder is gone as well and the
    // channel has ended.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // No one in the box may read this process's memory: it holds what the helper once held.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    sys::signal(libc::SIGCHLD, false);
    // Mountpoints and device nodes get exactly the modes they are made with; the step gets docker's umask.
    rustix::process::umask(Mode::empty());
    let begun = begin(ready, insecure);
    let Ok(Some((bytes, fds))) = channel::receive_long(channel) else { return };
    let Some(order) = Order::take(&mut &bytes[..]) else { return };
    match begun.and_then(|begun| start(ready, begun, &order, &fds)) {
        Ok(Started { program, made, spent }) => {
            report(channel, &Report::Running { made });
            // Only the program holds its pipes now, so that their end is the program's.
            drop(fds);
            report(channel, &Report::Ended(wait(program, spent)));
        }
        Err(failed) => report(channel, &failed),
    }
}

/// Tells the builder that a step could not even be forked.
pub(super) fn refuse(channel: &OwnedFd, what: &str, errno: Errno) {
    report(channel, &Report::Failed { what: what.into(), errno: errno.raw_os_error() });
}

fn report(channel: &OwnedFd, report: &Report) {
    let mut bytes = Vec::new();
    report.put(&mut bytes);
    if bytes.len() > channel::REPORT {
        bytes.clear();
        Report::Failed { what: "more mountpoints had to be made than fit in a report".into(), errno: libc::E2BIG }
            .put(&mut bytes);
    }
    // A builder that has gone needs no report.
    let _ = channel::send(channel, &bytes, &[]);
}

type Made = Vec<(Bytes, bool)>;

fn failed(what: &str) -> impl FnOnce(Errno) -> Report {
    move |errno: Errno| Report::Failed { what: what.into(), errno: errno.raw_os_error() }
}

fn view_failed((what, errno): mounts::Failure) -> Report {
    failed(&what)(errno)
}

/// What does not depend on the order.
fn begin(ready: &Ready, insecure: bool) -> Result<Begun, Report> {
    if !insecure {
        ready.privileges.bound().map_err(failed("giving up privileges"))?;
    }
    ready.template.begin(insecure).map_err(view_failed)
}

/// A program that runs.
struct Started {
    program: Program,
    made: Made,
    /// What the runtime used that started it.
    spent: Option<libc::rusage>,
}

/// A step's program, to be waited for.
enum Program {
    Running(i32),
    /// The runtime was killed, and this is its status: there will be no other.
    Lost(i32),
}

fn start(ready: &Ready, begun: Begun, order: &Order, fds: &[OwnedFd]) -> Result<Started, Report> {
    let fd = |index: u32| fds.get(index as usize).map(AsFd::as_fd).ok_or_else(|| failed("a descriptor")(Errno::BADF));
    for tasks in &order.join {
        // "0" is the writer itself: the kernel moves one thread without stopping the whole system's forks.
        let joined = rustix::io::write(fd(*tasks)?, b"0").map_err(failed("joining a cgroup"));
        if order.must_join {
            joined?;
        }
    }
    if let Some(namespace) = order.namespace {
        sys::enter_network(fd(namespace)?).map_err(failed("the step's network"))?;
    }
    if order.own_network {
        sys::loopback_up().map_err(failed("the loopback device"))?;
    }
    // After it has joined: this is the root of all cgroups that the step sees.
    sys::unshare(libc::CLONE_NEWCGROUP).map_err(failed("a cgroup namespace"))?;
    let stdin = order.stdin.map_or(Ok(ready.null.as_fd()), fd)?;
    let stdio = [stdin, fd(order.stdout)?, fd(order.stderr)?];
    if let Some(runtime) = &order.runtime {
        let bundle = bundle::enter(&begun, order, runtime, fds).map_err(view_failed)?;
        return start_by_runtime(ready, order, bundle, stdio);
    }
    let View { made, workdir } = ready.template.enter(begun, order, fds).map_err(view_failed)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::system::sethostname(&order.hostname.0).map_err(failed("the host name"))?;
    for (resource, limits) in &order.rlimits {
        sys::set_rlimit(*resource, *limits).map_err(failed("a resource limit"))?;
    }
    if !order.insecure {
        ready.privileges.drop().map_err(failed("giving up privileges"))?;
    }
    let who = (order.uid, order.gid, &order.groups[..]);
    let program = spawn(ready, order, who, workdir.as_fd(), stdio).map_err(not_executed)?;
    Ok(Started { program: Program::Running(program), made, spent: None })
}

/// Has a runtime start the program, and waits until it has.
fn start_by_runtime(
    ready: &Ready,
    order: &Order,
    bundle: Bundle,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<Started, Report> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let top = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed("a directory"))?;
    let runtime = spawn(ready, order, (0, 0, &[]), top.as_fd(), stdio).map_err(not_executed)?;
    drop(top);
    // From here on it needs nothing that a step must not have.
    bundle.leave().map_err(failed("an empty root"))?;
    ready.privileges.bound().and_then(|()| ready.privileges.drop()).map_err(failed("giving up privileges"))?;
    let status = sys::wait_for(runtime).map_err(failed("waiting for the runtime"))?;
    // The program is waited for only after this, whether it has ended or not.
    let spent = Some(sys::children_usage());
    let program = match status {
        0 => {
            let pid = bundle.read(bundle::PID).map_err(failed("the file in which the runtime tells a process id"))?;
            let pid = std::str::from_utf8(&pid).ok().and_then(|pid| pid.trim().parse().ok());
            Program::Running(pid.ok_or_else(|| failed("the process id that the runtime tells")(Errno::INVAL))?)
        }
        status if libc::WIFSIGNALED(status) => Program::Lost(status),
        _ => {
            let log = bundle.read(bundle::LOG).unwrap_or_default();
            let last = log.trim_ascii().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
            return Err(Report::Refused { said: last.into() });
        }
    };
    Ok(Started { program, made: bundle.made, spent })
}

fn not_executed(errno: Errno) -> Report {
    Report::NotExecuted { errno: errno.raw_os_error() }
}

/// User, group, supplementary groups.
type Who<'a> = (u32, u32, &'a [u32]);

fn spawn(
    ready: &Ready,
    order: &Order,
    (uid, gid, groups): Who<'_>,
    workdir: BorrowedFd<'_>,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<i32, Errno> {
    let strings = |list: &[Bytes]| list.iter().map(|bytes| c_string(&bytes.0)).collect::<Result<Vec<_>, _>>();
    let (args, env) = (strings(&order.args)?, strings(&order.env)?);
    let candidates = candidates(args.first().ok_or(Errno::NOENT)?, &env)?;
    let groups: Vec<_> = groups.iter().map(|&group| Gid::from_raw(group)).collect();
    sys::spawn(&Exec {
        candidates: &candidates,
        args: &args,
        env: &env,
        workdir,
        stdio,
        uid,
        gid,
        groups: ready.groups.then_some(&groups),
    })
}

fn c_string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
}

/// The paths at which a program may be: itself where it has a slash, else in each directory of `PATH`.
fn candidates(program: &CStr, env: &[CString]) -> Result<Vec<CString>, Errno> {
    if program.to_bytes().contains(&b'/') {
        return Ok(vec![program.to_owned()]);
    }
    let path = env.iter().rev().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH="));
    path.unwrap_or_default()
        .split(|&byte| byte == b':')
        // An empty entry is the working directory.
        .map(|directory| {
            c_string(&[if directory.is_empty() { b"." } else { directory }, b"/", program.to_bytes()].concat())
        })
        .collect()
}

/// Reaps until the program has ended, and then what has ended by then.
fn wait(program: Program, spent: Option<libc::rusage>) -> Ending {
    let (running, mut status) = match program {
        Program::Running(pid) => (pid, None),
        Program::Lost(status) => (0, Some(status)),
    };
    let mut alone = false;
    while status.is_none() {
        match sys::wait_any(true) {
            sys::Waited::Ended { pid, status: ended } if pid == running => status = Some(ended),
            sys::Waited::Ended { .. } => {}
            sys::Waited::Running | sys::Waited::NoChild => break,
        }
    }
    // Orphans that have ended count towards the account; those that run are about to be killed.
    loop {
        match sys::wait_any(false) {
            sys::Waited::Ended { .. } => {}
            sys::Waited::Running => break,
            sys::Waited::NoChild => {
                alone = true;
                break;
            }
        }
    }
    let usage = sys::children_usage();
    // What the step used, without its runtime. Only the peak is that of whichever process was the largest.
    let own = |number: fn(&libc::rusage) -> u64| number(&usage) - spent.as_ref().map_or(0, number);
    Ending {
        status: status.unwrap_or_default(),
        alone,
        user: own(|usage| micros(usage.ru_utime)),
        system: own(|usage| micros(usage.ru_stime)),
        peak: usage.ru_maxrss as u64 * 1024,
        minor_faults: own(|usage| usage.ru_minflt as u64),
        major_faults: own(|usage| usage.ru_majflt as u64),
        blocks_in: own(|usage| usage.ru_inblock as u64),
        blocks_out: own(|usage| usage.ru_oublock as u64),
        // A runtime's own threads count too, and nobody says how many those were.
        tasks: if spent.is_none() { tasks_started() } else { None },
    }
}

fn micros(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64
}

/// How many tasks were started in this pid namespace beside this one: the last pid given out, since a new
/// namespace counts from 1 and this process is 1. Threads count too.
fn tasks_started() -> Option<u64> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    load.split_ascii_whitespace().next_back()?.parse::<u64>().ok()?.checked_sub(1)
}
