//! Why the kernel gives no events, and what to change so that it does.

use rustix::io::Errno;
use std::fmt;
use std::io;

/// What the kernel refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The event (perf_event_open(2)).
    Event(io::Error),
    /// The ring buffer of an event (mmap(2)), of this size in bytes.
    Buffer { size: usize, error: io::Error },
}

impl Refusal {
    /// The setting that explains the refusal, and its remedy; `None` if the error says all that is known.
    fn remedy(&self, scope: Scope, settings: Settings) -> Option<String> {
        let (Self::Event(error) | Self::Buffer { error, .. }) = self;
        match (self, Errno::from_io_error(error)?) {
            (Self::Event(_), Errno::ACCESS | Errno::PERM) => Some(match (scope, settings.paranoid) {
                _ if settings.is_root => FORBIDDEN.into(),
                (Scope::Machine, _) => {
                    "observing all processes of the machine needs root or the capability PERFMON".into()
                }
                (Scope::Steps, Some(level)) if level > 2 => format!(
                    "kernel.perf_event_paranoid is {level}: build as root, or allow it with `sysctl kernel.perf_event_paranoid=2`"
                ),
                (Scope::Steps, _) => FORBIDDEN.into(),
            }),
            (Self::Event(_), Errno::NOSYS | Errno::NOENT | Errno::NODEV) => {
                Some("this kernel has no perf events".into())
            }
            (_, Errno::MFILE | Errno::NFILE) => Some("raise the limit of open files, `ulimit -n`".into()),
            // The kernel counts all buffers of a user against both limits.
            (Self::Buffer { .. }, Errno::PERM) => {
                let allowed =
                    settings.locked_kib.map(|kib| format!("kernel.perf_event_mlock_kb is {kib}: ")).unwrap_or_default();
                Some(format!(
                    "{allowed}raise it (`sysctl kernel.perf_event_mlock_kb=516`) or the limit of locked memory, `ulimit -l`"
                ))
            }
            _ => None,
        }
    }
}

/// The remedy for root, whom the kernel's settings forbid nothing.
const FORBIDDEN: &str = "a seccomp filter or a security module forbids it; a container needs the capability PERFMON";

/// The processes to observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Those that this user starts.
    Steps,
    Machine,
}

impl Refusal {
    /// The refusal to observe all processes of the machine, in words.
    pub(crate) fn of_machine(&self) -> String {
        self.said(Scope::Machine, Settings::read())
    }

    fn said(&self, scope: Scope, settings: Settings) -> String {
        let what = match self {
            Self::Event(error) => format!("perf_event_open failed ({error})"),
            Self::Buffer { size, error } => {
                format!("the kernel refused a ring buffer of {} KiB ({error})", size >> 10)
            }
        };
        self.remedy(scope, settings).map_or(what.clone(), |remedy| format!("{what}; {remedy}"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(Scope::Steps, Settings::read()))
    }
}

/// The kernel's settings for perf events (linux/Documentation/admin-guide/sysctl/kernel.rst).
#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    paranoid: Option<i32>,
    locked_kib: Option<u64>,
    /// Whether this process is root of the machine.
    is_root: bool,
}

impl Settings {
    fn read() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
        Self {
            paranoid: text("perf_event_paranoid").and_then(|text| text.trim().parse().ok()),
            locked_kib: text("perf_event_mlock_kb").and_then(|text| text.trim().parse().ok()),
            is_root: rustix::process::geteuid().is_root()
                && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| has_all_users(&map)),
        }
    }
}

/// Whether the ids of a process are those of the machine (user_namespaces(7)). An ordinary user builds as root of a namespace of its own, for which
/// the kernel's settings count as for that user.
fn has_all_users(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(paranoid: i32, is_root: bool) -> Settings {
        Settings { paranoid: Some(paranoid), locked_kib: Some(16), is_root }
    }

    fn remedy(refusal: &Refusal, paranoid: i32) -> String {
        refusal.remedy(Scope::Steps, settings(paranoid, false)).unwrap_or_default()
    }

    /// Root in a container without PERFMON is refused whatever the setting is, and cannot become root.
    #[test]
    fn root_and_other_users_have_different_remedies() {
        let said =
            |scope, paranoid, is_root| Refusal::Event(Errno::ACCESS.into()).said(scope, settings(paranoid, is_root));
        for paranoid in [2, 3, 4] {
            for scope in [Scope::Steps, Scope::Machine] {
                let root = said(scope, paranoid, true);
                assert!(
                    root.contains("a container needs the capability PERFMON") && !root.contains("as root"),
                    "{root}"
                );
            }
            let user = said(Scope::Machine, paranoid, false);
            assert!(user.contains("needs root or the capability PERFMON") && !user.contains("seccomp"), "{user}");
            assert_eq!(said(Scope::Steps, paranoid, false).contains("build as root"), paranoid > 2);
        }
    }

    #[test]
    fn an_ordinary_user_is_not_root_in_its_own_namespace() {
        assert!(has_all_users("         0          0 4294967295\n"));
        // Of one user, and of a user with a range in /etc/subuid.
        assert!(!has_all_users("         0       1000          1\n"));
        assert!(!has_all_users("         0       1000          1\n         1     100000      65536\n"));
    }

    #[test]
    fn each_refusal_has_its_remedy() {
        let event = |errno: Errno| Refusal::Event(errno.into());
        let buffer = |errno: Errno| Refusal::Buffer { size: 32 << 10, error: errno.into() };
        assert!(remedy(&event(Errno::ACCESS), 3).contains("sysctl kernel.perf_event_paranoid=2"));
        assert!(remedy(&event(Errno::PERM), 2).contains("capability PERFMON"));
        assert!(remedy(&event(Errno::NOSYS), 2).contains("no perf events"));
        assert!(remedy(&event(Errno::MFILE), 2).contains("ulimit -n"));
        let locked = remedy(&buffer(Errno::PERM), 2);
        assert!(locked.contains("kernel.perf_event_mlock_kb is 16") && locked.contains("ulimit -l"), "{locked}");
        assert_eq!(remedy(&buffer(Errno::NOMEM), 2), "");
        assert!(
            buffer(Errno::PERM)
                .to_string()
                .starts_with("the kernel refused a ring buffer of 32 KiB (Operation not permitted")
        );
    }
}
