//! The requirements of a test, and the handling of missing ones.

use perf_event::Builder;
use perf_event::events::Software;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable with requirements that continuous integration cannot provide, separated by commas.
const WITHOUT: &str = "BUILDSCOPE_TEST_WITHOUT";

/// A requirement of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The machine's root user.
    Root,
    /// Root in the first user namespace and the first process namespace. The kernel reports the exits of processes only there.
    InitialNamespaces,
    /// A program in `PATH` or in a directory of system programs.
    Program(&'static str),
    /// One of several equivalent programs.
    AnyProgram(&'static [&'static str]),
    /// A device that can be opened for reading and writing.
    Device(&'static str),
    /// One of several devices that can be opened for reading.
    AnyDevice(&'static [&'static str]),
    /// Loop devices, to mount the test's own file system.
    LoopDevices,
    /// The test's own cgroups: root has them, and an ordinary user if `BUILDSCOPE_TEST_CGROUPS` is set.
    Cgroups,
    /// Pressure stall information of the kernel.
    Pressure,
    /// Perf events of all processes (perf_event_open(2)). Many containers forbid them.
    PerfEvents,
    /// Temporary files on a disk, not in memory.
    TemporaryFilesOnDisk,
    /// A docker daemon that starts.
    Docker,
    /// An environment variable with the object of the test.
    Variable(&'static str),
    /// No emulator for programs of this architecture may be registered.
    NoEmulator(&'static str),
}

impl Need {
    /// The name of the requirement in `BUILDSCOPE_TEST_WITHOUT`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::InitialNamespaces => "initial-namespaces",
            Self::Program(name) | Self::Device(name) | Self::Variable(name) => name,
            Self::AnyProgram(names) | Self::AnyDevice(names) => names[0],
            Self::LoopDevices => "loop-devices",
            Self::Cgroups => "cgroups",
            Self::Pressure => "pressure",
            Self::PerfEvents => "perf-events",
            Self::TemporaryFilesOnDisk => "disk",
            Self::Docker => "docker",
            Self::NoEmulator(_) => "no-emulator",
        }
    }

    /// The reason why the requirement is not met; `None` if it is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let unless = |met: bool, reason: String| (!met).then_some(reason);
        match self {
            Self::Root => unless(root(), "needs root".into()),
            Self::InitialNamespaces => {
                // PROC_PID_INIT_INO of linux/proc_ns.h
                let own = std::fs::read_link("/proc/self/ns/pid");
                let initial = own.is_ok_and(|path| path.as_os_str() == "pid:[4026531836]");
                unless(root() && initial, "needs root of the initial namespaces".into())
            }
            Self::Program(name) => unless(program(name).is_some(), format!("needs the program {name}")),
            Self::AnyProgram(names) => {
                let found = names.iter().any(|name| program(name).is_some());
                unless(found, format!("needs one of the programs {}", names.join(", ")))
            }
            Self::Device(path) => {
                let opened = OpenOptions::new().read(true).write(true).open(path);
                opened.err().map(|error| format!("needs {path}: {error}"))
            }
            Self::AnyDevice(paths) => {
                let found = paths.iter().any(|path| File::open(path).is_ok());
                unless(found, format!("needs one of the devices {}", paths.join(", ")))
            }
            Self::LoopDevices => unless(root() && loop_devices(), "needs root and loop devices".into()),
            Self::Cgroups => {
                let given = std::env::var_os("BUILDSCOPE_TEST_CGROUPS").is_some();
                unless(given || root(), "needs cgroups of its own".into())
            }
            Self::Pressure => {
                let readable = std::fs::read_to_string("/proc/pressure/cpu").is_ok();
                unless(readable, "needs a kernel with pressure stall information".into())
            }
            Self::PerfEvents => {
                let opened = Builder::new(Software::DUMMY).any_pid().one_cpu(0).build();
                opened.err().map(|error| format!("needs perf events of all processes: {error}"))
            }
            Self::TemporaryFilesOnDisk => {
                // TMPFS_MAGIC of linux/magic.h
                let kind = rustix::fs::statfs(std::env::temp_dir()).map(|found| found.f_type);
                unless(kind != Ok(0x0102_1994), "needs temporary files on a disk, but they are in memory".into())
            }
            Self::Docker => {
                let found = root() && ["dockerd", "docker"].iter().all(|name| program(name).is_some());
                unless(found, "needs dockerd, docker and root (Debian: docker.io)".into())
            }
            Self::Variable(name) => unless(std::env::var_os(name).is_some(), format!("needs the variable {name}")),
            Self::NoEmulator(name) => {
                let path = format!("/proc/sys/fs/binfmt_misc/qemu-{name}");
                unless(!Path::new(&path).exists(), format!("this machine runs programs of {name}"))
            }
        }
    }
}

/// The decision about a test.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TestVerdict {
    Run,
    /// Not run, for this reason.
    Ignore(String),
    /// Not run, which is a failure here.
    Fail(String),
}

pub(crate) fn verdict(needs: &[Need]) -> TestVerdict {
    let without = std::env::var(WITHOUT).unwrap_or_default();
    judge(needs, Need::missing, std::env::var("CI").is_ok_and(|value| value == "true"), &without)
}

fn judge(needs: &[Need], missing: impl Fn(&Need) -> Option<String>, ci: bool, without: &str) -> TestVerdict {
    let mut ignored = None;
    for need in needs {
        let Some(reason) = missing(need) else { continue };
        if ci && !without.split(',').any(|name| name.trim() == need.name()) {
            return TestVerdict::Fail(format!("{reason}; under CI=true a missing requirement is a failure"));
        }
        ignored.get_or_insert(reason);
    }
    ignored.map_or(TestVerdict::Run, TestVerdict::Ignore)
}

/// The path of an installed program. System programs are often outside the `PATH` of an ordinary user.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Whether the process is root, and not in a user namespace without other ids (user_namespaces(7)).
fn root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    rustix::process::geteuid().is_root() && map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

fn loop_devices() -> bool {
    Path::new("/dev/loop-control").exists()
        && Command::new("losetup").arg("-f").output().is_ok_and(|run| run.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: [Need; 2] = [Need::Root, Need::Program("strace")];

    fn nothing(need: &Need) -> Option<String> {
        Some(format!("needs {}", need.name()))
    }

    #[test]
    fn a_test_runs_if_its_requirements_are_met() {
        assert_eq!(judge(&NEEDS, |_| None, true, ""), TestVerdict::Run);
        assert_eq!(judge(&[], nothing, true, ""), TestVerdict::Run);
    }

    #[test]
    fn a_missing_requirement_ignores_the_test() {
        assert_eq!(judge(&NEEDS, nothing, false, ""), TestVerdict::Ignore("needs root".into()));
    }

    #[test]
    fn a_missing_requirement_fails_in_continuous_integration() {
        assert!(
            matches!(judge(&NEEDS, nothing, true, ""), TestVerdict::Fail(reason) if reason.starts_with("needs root;"))
        );
    }

    #[test]
    fn waived_requirements_do_not_fail() {
        assert!(
            matches!(judge(&NEEDS, nothing, true, "root"), TestVerdict::Fail(reason) if reason.starts_with("needs strace;"))
        );
        assert_eq!(judge(&NEEDS, nothing, true, "strace, root"), TestVerdict::Ignore("needs root".into()));
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(program("sh").is_some());
        assert_eq!(Need::Program("no such program").missing().as_deref(), Some("needs the program no such program"));
    }
}
