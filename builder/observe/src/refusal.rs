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
    fn remedy(&self, settings: Settings) -> Option<String> {
        let (Self::Event(error) | Self::Buffer { error, .. }) = self;
        match (self, Errno::from_io_error(error)?) {
            (Self::Event(_), Errno::ACCESS | Errno::PERM) => Some(match settings.paranoid {
                Some(level) if level > 2 => format!(
                    "kernel.perf_event_paranoid is {level}: build as root, or allow it with `sysctl kernel.perf_event_paranoid=2`"
                ),
                _ => {
                    "a seccomp filter or a security module forbids it; a container needs the capability PERFMON".into()
                }
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

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(error) => write!(f, "perf_event_open failed ({error})")?,
            Self::Buffer { size, error } => {
                write!(f, "the kernel refused a ring buffer of {} KiB ({error})", size >> 10)?
            }
        }
        match self.remedy(Settings::read()) {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// The kernel's settings for perf events (linux/Documentation/admin-guide/sysctl/kernel.rst).
#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    paranoid: Option<i32>,
    locked_kib: Option<u64>,
}

impl Settings {
    fn read() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
        Self {
            paranoid: text("perf_event_paranoid").and_then(|text| text.trim().parse().ok()),
            locked_kib: text("perf_event_mlock_kb").and_then(|text| text.trim().parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(refusal: &Refusal, paranoid: i32) -> String {
        refusal.remedy(Settings { paranoid: Some(paranoid), locked_kib: Some(16) }).unwrap_or_default()
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
