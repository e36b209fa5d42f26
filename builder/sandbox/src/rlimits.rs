//! A step's resource limits: docker's defaults, what `--ulimit` asks for, and what whoever builds may give.
//!
//! docker and BuildKit set none by themselves: a container has its daemon's. So the default is what docker's service file and
//! systemd give the daemon: since docker 25 systemd's `1024:524288` open files, and any number of processes. Here these do not
//! depend on the shell that a build is started from; all others are as whoever builds has them.

use super::error::SandboxError;
use super::oci::initial_user_namespace;
use super::order::Rlimit;
use super::spec::Limits;
use super::sys;
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Without limit: `RLIM_INFINITY`.
const ANY: u64 = u64::MAX;

/// What a step has without `--ulimit`: name, (soft, hard). docker's daemon may also leave core files of any size; here a step has to
/// ask for them (`ulimit -c unlimited`): a file that a crash leaves in the working directory would be in the layer.
const DEFAULTS: [(&str, (u64, u64)); 3] = [("nofile", (1024, 524_288)), ("nproc", (ANY, ANY)), ("core", (0, ANY))];

/// A step's limits by docker's names: (soft, hard).
pub(super) fn named(limits: &Limits) -> BTreeMap<String, (u64, u64)> {
    static DEFAULT: OnceLock<BTreeMap<String, (u64, u64)>> = OnceLock::new();
    let default = DEFAULT.get_or_init(|| {
        let given = |(name, limits): (&str, _)| Some((name.to_owned(), within(limits, most(number(name)?))));
        DEFAULTS.into_iter().filter_map(given).collect()
    });
    let mut all = default.clone();
    all.extend(limits.ulimits.iter().map(|(name, &limits)| (name.clone(), limits)));
    all
}

/// The same by the kernel's numbers.
///
/// # Errors
/// For a name that docker does not know, and for what was asked for and is more than whoever builds may give.
pub(super) fn numbered(limits: &Limits) -> Result<Vec<Rlimit>, SandboxError> {
    let refuse = |what, errno| Err(SandboxError::Setup { what, errno });
    for (name, &(_, hard)) in &limits.ulimits {
        match number(name).map(most) {
            None => return refuse(format!("the resource limit `{name}`"), Errno::INVAL),
            Some(most) if hard > most => {
                return refuse(
                    format!("the resource limit `{name}`: {most} is the most that may be given"),
                    Errno::PERM,
                );
            }
            Some(_) => {}
        }
    }
    Ok(named(limits).into_iter().filter_map(|(name, limits)| Some((number(&name)?, limits))).collect())
}

/// A default as far as it may be given.
fn within((soft, hard): (u64, u64), most: u64) -> (u64, u64) {
    (soft.min(most), hard.min(most))
}

/// Whether this process may raise hard limits (getrlimit(2)).
fn raises() -> bool {
    let held =
        rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    held && initial_user_namespace()
}

/// The highest hard limit that this process may give. Open files end at a sysctl, whoever asks (proc_sys_fs(5)).
fn most(number: u32) -> u64 {
    let own = sys::rlimit(number).1;
    match raises() {
        false => own,
        true if number == libc::RLIMIT_NOFILE => {
            let highest = std::fs::read_to_string("/proc/sys/fs/nr_open");
            highest.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(own)
        }
        true => ANY,
    }
}

/// docker's names of resource limits to the kernel's numbers.
fn number(name: &str) -> Option<u32> {
    Some(match name {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "locks" => libc::RLIMIT_LOCKS,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    })
}
