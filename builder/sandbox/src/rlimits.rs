//! A step's resource limits: docker's defaults, the limits of `--ulimit`, and the limits that the builder is allowed to set.
//!
//! docker and BuildKit set no resource limits themselves: a container inherits its daemon's. So the defaults are the limits that
//! docker's service file and systemd set for the daemon: since docker 25 systemd's `1024:524288` open files, and any number of
//! processes. These defaults do not depend on the shell that starts the build. All other limits are the builder's own.

use super::error::SandboxError;
use super::isolate::initial_user_namespace;
use super::message::Rlimit;
use super::spec::Limits;
use super::sys;
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The value that means no limit: `RLIM_INFINITY`.
const ANY: u64 = u64::MAX;

/// The limits of a step without `--ulimit`: name, (soft, hard). docker's default also allows core files of any size. Here a step
/// has to ask for them (`ulimit -c unlimited`), because a core file in the working directory would get into the layer.
const DEFAULTS: [(&str, (u64, u64)); 3] = [("nofile", (1024, 524_288)), ("nproc", (ANY, ANY)), ("core", (0, ANY))];

/// A step's limits as (soft, hard) by docker's names.
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

/// A step's limits by the kernel's numbers.
///
/// # Errors
/// Fails for a name that docker does not know and for a requested limit above the highest that the builder may set.
pub(super) fn numbered(limits: &Limits) -> Result<Vec<Rlimit>, SandboxError> {
    let refuse = |what, errno| Err(SandboxError::Setup { what, errno });
    for (name, &(_, hard)) in &limits.ulimits {
        match number(name).map(most) {
            None => return refuse(format!("unknown resource limit `{name}`"), Errno::INVAL),
            Some(most) if hard > most => {
                return refuse(
                    format!("the resource limit `{name}`: the highest allowed value is {most}"),
                    Errno::PERM,
                );
            }
            Some(_) => {}
        }
    }
    Ok(named(limits).into_iter().filter_map(|(name, limits)| Some((number(&name)?, limits))).collect())
}

/// Clamps a default to the highest limit that this process may set.
fn within((soft, hard): (u64, u64), most: u64) -> (u64, u64) {
    (soft.min(most), hard.min(most))
}

/// Whether this process may raise hard limits (getrlimit(2)).
fn raises() -> bool {
    let held =
        rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    held && initial_user_namespace()
}

/// The highest hard limit that this process may set. A sysctl bounds the number of open files even for root (proc_sys_fs(5)).
fn most(number: u32) -> u64 {
    let own = sys::rlimit(number).1;
    if !raises() {
        own
    } else if number == libc::RLIMIT_NOFILE {
        let highest = std::fs::read_to_string("/proc/sys/fs/nr_open");
        highest.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(own)
    } else {
        ANY
    }
}

/// Whether docker knows a resource limit of this name.
pub fn knows_resource_limit(name: &str) -> bool {
    number(name).is_some()
}

/// Translates docker's name of a resource limit to the kernel's number.
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
