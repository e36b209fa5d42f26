//! A step's init, process 1 of its pid namespace: it sets up the sandbox, starts the program, reaps orphans and reports.
//!
//! It ends when the program ends. The kernel then kills every process that the program left running.
//!
//! If a stock runtime makes the sandbox, the init gives it a view of the host and a bundle, and is the runtime's parent. The
//! processes that the runtime starts stay in this pid namespace, become the init's children when the runtime exits, and end
//! with the init. So waiting for a step's program is the same with both executors, and the program never outlives the builder.

use super::bundle::{self, Bundle};
use super::message::{InitMessage, InitReport, Mountpoint, NetworkMessage, StepExit};
use super::mounts::{PreparedMounts, Template, View};
use super::privileges::Restrictions;
use super::spec::{Credentials, Privileges};
use super::sys::{self, Exec};
use super::wire::{Bytes, Wire};
use super::{channel, mounts};
use rustix::fs::{Gid, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The state that the zygote prepares once for all steps.
pub(super) struct Ready {
    pub(super) template: Template,
    pub(super) restrictions: Restrictions,
    pub(super) null: OwnedFd,
    /// Whether setgroups(2) is allowed in this user namespace.
    pub(super) groups: bool,
}

/// Runs the step that arrives on `channel`. This process does nothing else and ends when this returns.
///
/// Work that does not depend on the step is done before its message arrives: the builder requests the next step's init while
/// a step runs.
pub(super) fn run(ready: &Ready, channel: &OwnedFd, privileges: Privileges) {
    // If the zygote dies, so does the step. If it died before this line, the builder is gone as well and the channel is
    // closed.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // The step must not read this process's memory, which is a copy of the zygote's.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    sys::reset_signal(libc::SIGCHLD);
    // Mountpoints and device nodes get exactly the modes they are made with. The step gets docker's umask later.
    rustix::process::umask(Mode::empty());
    let prepared = prepare(ready, privileges);
    let Ok(Some((bytes, fds))) = channel::receive_long(channel) else { return };
    let Some(message) = InitMessage::take(&mut &bytes[..]) else { return };
    match prepared.and_then(|prepared| start(ready, prepared, &message, &fds)) {
        Ok(StartedStep { program, made, spent }) => {
            report(channel, &InitReport::Running { made });
            // Now only the program holds the write ends of its pipes, so they close when the program ends.
            drop(fds);
            report(channel, &InitReport::Ended(wait(program, spent)));
        }
        Err(failed) => report(channel, &failed),
    }
}

/// Reports to the builder that a step's init could not be forked.
pub(super) fn refuse(channel: &OwnedFd, what: &str, errno: Errno) {
    report(channel, &InitReport::Failed { what: what.into(), errno: errno.raw_os_error() });
}

fn report(channel: &OwnedFd, report: &InitReport) {
    let mut bytes = Vec::new();
    report.put(&mut bytes);
    if bytes.len() > channel::REPORT {
        bytes.clear();
        InitReport::Failed { what: "the step's mounts need too many new mountpoints".into(), errno: libc::E2BIG }
            .put(&mut bytes);
    }
    // An error means that the builder is gone and needs no report.
    let _ = channel::send(channel, &bytes, &[]);
}

fn failed(what: &str) -> impl FnOnce(Errno) -> InitReport {
    move |errno: Errno| InitReport::Failed { what: what.into(), errno: errno.raw_os_error() }
}

fn view_failed((what, errno): mounts::MountFailure) -> InitReport {
    failed(&what)(errno)
}

/// Does the work that does not depend on the step.
fn prepare(ready: &Ready, privileges: Privileges) -> Result<PreparedMounts, InitReport> {
    if privileges != Privileges::Insecure {
        ready.restrictions.bound().map_err(failed("dropping privileges"))?;
    }
    ready.template.prepare(privileges).map_err(view_failed)
}

/// The result of a successful start.
struct StartedStep {
    program: InitProgram,
    made: Vec<Mountpoint>,
    /// The resource usage of the runtime that started the program, if one did.
    spent: Option<libc::rusage>,
}

/// The program to wait for.
enum InitProgram {
    Running(i32),
    /// The runtime was killed before it reported a program. This is the runtime's status.
    Lost(i32),
}

fn start(
    ready: &Ready,
    prepared: PreparedMounts,
    message: &InitMessage,
    fds: &[OwnedFd],
) -> Result<StartedStep, InitReport> {
    let fd = |index: u32| {
        fds.get(index as usize).map(AsFd::as_fd).ok_or_else(|| failed("invalid descriptor index")(Errno::BADF))
    };
    for tasks in &message.join {
        // "0" means the writing thread: the kernel moves one thread without blocking the forks of the whole system.
        let joined = rustix::io::write(fd(*tasks)?, b"0").map_err(failed("joining a cgroup"));
        if message.must_join {
            joined?;
        }
    }
    match message.network {
        NetworkMessage::Host | NetworkMessage::HostWithoutRawSockets => {}
        NetworkMessage::Loopback => sys::loopback_up().map_err(failed("bringing up the loopback device"))?,
        NetworkMessage::Enter(namespace) => {
            sys::enter_network(fd(namespace)?).map_err(failed("entering the step's network"))?;
        }
    }
    // After joining: this process's cgroup becomes the root of the cgroups that the step sees.
    sys::unshare(libc::CLONE_NEWCGROUP).map_err(failed("making a cgroup namespace"))?;
    let stdin = message.stdin.map_or(Ok(ready.null.as_fd()), fd)?;
    let stdio = [stdin, fd(message.stdout)?, fd(message.stderr)?];
    if let Some(runtime) = &message.runtime {
        let bundle = bundle::enter(&prepared, message, runtime, fds).map_err(view_failed)?;
        return start_by_runtime(ready, message, bundle, stdio);
    }
    let View { made, workdir } = ready.template.enter(prepared, message, fds).map_err(view_failed)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::system::sethostname(&message.hostname.0).map_err(failed("setting the host name"))?;
    for (resource, limits) in &message.rlimits {
        sys::set_rlimit(*resource, *limits).map_err(failed("setting a resource limit"))?;
    }
    if message.privileges != Privileges::Insecure {
        ready.restrictions.drop(message.network.raw_sockets()).map_err(failed("dropping privileges"))?;
    }
    let user = Credentials { uid: message.uid, gid: message.gid, groups: message.groups.clone() };
    let program = spawn(ready, message, &user, workdir.as_fd(), stdio).map_err(not_executed)?;
    Ok(StartedStep { program: InitProgram::Running(program), made, spent: None })
}

/// Starts the program through a runtime and waits until the runtime is done.
fn start_by_runtime(
    ready: &Ready,
    message: &InitMessage,
    bundle: Bundle,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<StartedStep, InitReport> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let top = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(failed("opening the root directory"))?;
    let runtime = spawn(ready, message, &Credentials::default(), top.as_fd(), stdio).map_err(not_executed)?;
    drop(top);
    // From here on this process needs nothing that a step must not have.
    bundle.leave().map_err(failed("entering an empty root"))?;
    let drop = || ready.restrictions.drop(message.network.raw_sockets());
    ready.restrictions.bound().and_then(|()| drop()).map_err(failed("dropping privileges"))?;
    let status = sys::wait_for(runtime).map_err(failed("waiting for the runtime"))?;
    // The program is not counted yet: it is reaped later, even if it has already ended.
    let spent = Some(sys::children_usage());
    let program = match status {
        0 => {
            let pid = bundle.read(bundle::PID).map_err(failed("reading the pid file of the runtime"))?;
            let pid = std::str::from_utf8(&pid).ok().and_then(|pid| pid.trim().parse().ok());
            InitProgram::Running(pid.ok_or_else(|| failed("invalid pid file of the runtime")(Errno::INVAL))?)
        }
        status if libc::WIFSIGNALED(status) => InitProgram::Lost(status),
        _ => {
            let log = bundle.read(bundle::LOG).unwrap_or_default();
            let last = log.trim_ascii().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
            return Err(InitReport::Refused { reason: last.into() });
        }
    };
    Ok(StartedStep { program, made: bundle.made, spent })
}

fn not_executed(errno: Errno) -> InitReport {
    InitReport::NotExecuted { errno: errno.raw_os_error() }
}

fn spawn(
    ready: &Ready,
    message: &InitMessage,
    user: &Credentials,
    workdir: BorrowedFd<'_>,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<i32, Errno> {
    let strings = |list: &[Bytes]| list.iter().map(|bytes| c_string(&bytes.0)).collect::<Result<Vec<_>, _>>();
    let (args, env) = (strings(&message.args)?, strings(&message.env)?);
    let candidates = candidates(args.first().ok_or(Errno::NOENT)?, &env)?;
    let groups: Vec<_> = user.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    sys::spawn(&Exec {
        candidates: &candidates,
        args: &args,
        env: &env,
        workdir,
        stdio,
        uid: user.uid,
        gid: user.gid,
        groups: ready.groups.then_some(&groups),
    })
}

fn c_string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
}

/// The paths at which a program may be: the name itself if it has a slash, else that name in each directory of `PATH`.
fn candidates(program: &CStr, env: &[CString]) -> Result<Vec<CString>, Errno> {
    if program.to_bytes().contains(&b'/') {
        return Ok(vec![program.to_owned()]);
    }
    let path = env.iter().rev().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH="));
    path.unwrap_or_default()
        .split(|&byte| byte == b':')
        // An empty entry means the working directory.
        .map(|directory| {
            c_string(&[if directory.is_empty() { b"." } else { directory }, b"/", program.to_bytes()].concat())
        })
        .collect()
}

/// Reaps until the program has ended, then reaps every other child that has ended by then.
fn wait(program: InitProgram, spent: Option<libc::rusage>) -> StepExit {
    let (running, mut status) = match program {
        InitProgram::Running(pid) => (pid, None),
        InitProgram::Lost(status) => (0, Some(status)),
    };
    let mut alone = false;
    while status.is_none() {
        match sys::wait_any() {
            sys::Waited::Ended { pid, status: ended } if pid == running => status = Some(ended),
            sys::Waited::Ended { .. } => {}
            sys::Waited::Running | sys::Waited::NoChild => break,
        }
    }
    // Orphans that have ended count as the step's usage. Those that still run are about to be killed.
    loop {
        match sys::reap_any() {
            sys::Waited::Ended { .. } => {}
            sys::Waited::Running => break,
            sys::Waited::NoChild => {
                alone = true;
                break;
            }
        }
    }
    let usage = sys::children_usage();
    // The usage of the step without that of its runtime, except for the peak, which is that of the largest process of both.
    let own = |number: fn(&libc::rusage) -> u64| number(&usage) - spent.as_ref().map_or(0, number);
    StepExit {
        status: status.unwrap_or_default(),
        alone,
        user: own(|usage| micros(usage.ru_utime)),
        system: own(|usage| micros(usage.ru_stime)),
        peak: usage.ru_maxrss as u64 * 1024,
        minor_faults: own(|usage| usage.ru_minflt as u64),
        major_faults: own(|usage| usage.ru_majflt as u64),
        blocks_in: own(|usage| usage.ru_inblock as u64),
        blocks_out: own(|usage| usage.ru_oublock as u64),
        // Unknown with a runtime: its own threads count too, and their number is not available.
        tasks: if spent.is_none() { tasks_started() } else { None },
    }
}

fn micros(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64
}

/// The number of tasks, threads included, that were started in this pid namespace besides this one. It comes from the last
/// pid that was assigned: a new namespace counts from 1, and this process has pid 1.
fn tasks_started() -> Option<u64> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    load.split_ascii_whitespace().next_back()?.parse::<u64>().ok()?.checked_sub(1)
}
