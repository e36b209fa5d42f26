//! Control groups measure a step's resource usage, limit it, and are a second way to kill the step.
//!
//! Version 2 is used wherever it is mounted (`/sys/fs/cgroup`, or `unified` below it on hybrid hosts), with the
//! controllers that it has there; CPU time and pressure need no controller. Version 1 is used for limits if it holds their
//! controllers. Steps also run if no cgroup is usable (an ordinary user without delegation). The resource
//! usage then comes from rusage alone, and a requested limit is an error.

mod files;
mod find;

use super::error::SandboxError;
use super::pressure::time_waited;
use super::spec::Limits;
use buildscope_record::{ByteSize, Nanos, Resources};
use files::{read, remove, value, write};
use find::{directory, home_v2};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The name of this process's directory in a hierarchy is this prefix and the process id.
const PREFIX: &str = "buildscope-";
/// The period of CPU quotas, in microseconds: the kernel's default.
const PERIOD: u64 = 100_000;

/// The tasks of a step that are not its own: its init.
const OWN_TASKS: u64 = 1;

/// Converts a number of processors to microseconds of CPU time in each [`PERIOD`]. The kernel's minimum is 1000.
fn quota(cpus: f64) -> u64 {
    ((cpus * PERIOD as f64) as u64).max(1000)
}

/// The controllers that have limits. In version 1 each has a hierarchy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Controller {
    Memory,
    Cpu,
    Pids,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }

    /// The flag whose limit needs it.
    fn flag(self) -> &'static str {
        match self {
            Self::Memory => "--memory",
            Self::Cpu => "--cpus",
            Self::Pids => "--pids-limit",
        }
    }

    /// The file of the limit in version 1.
    fn file_v1(self) -> &'static str {
        match self {
            Self::Memory => "memory.limit_in_bytes",
            Self::Cpu => "cpu.cfs_quota_us",
            Self::Pids => "pids.max",
        }
    }
}

/// The directories below which this process makes its own, which are named by its process id.
///
/// The zygote knows them before anything is made in them. It removes what a builder has made that is killed at any moment.
#[derive(Debug, Default)]
pub(super) struct Parents {
    name: String,
    v2: Option<OwnedFd>,
    /// The directories of version 1, in the order of [`Controller::ALL`].
    v1: [Option<OwnedFd>; 3],
}

/// The directories of this process in the hierarchies that it can use.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    v2: Option<Base>,
    /// The directories of version 1, in the order of [`Controller::ALL`].
    v1: [Option<Base>; 3],
    next: AtomicU64,
}

/// The directory of this process in one hierarchy. The steps' directories are below it.
#[derive(Debug)]
struct Base {
    fd: OwnedFd,
}

/// The cgroups of one step. The zygote clones the init into version 2; the init itself joins version 1.
#[derive(Debug, Default)]
pub(super) struct StepCgroup {
    name: String,
    v2: Option<OwnedFd>,
    /// The directories of version 1, in the order of [`Controller::ALL`].
    v1: [Option<OwnedFd>; 3],
}

impl Parents {
    /// Finds the hierarchies.
    pub(super) fn find() -> Self {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let find = |controller: Option<&str>| directory(&mounts, &own, controller);
        Self {
            name: format!("{PREFIX}{}", std::process::id()),
            v2: find(None).and_then(|own| open(&home_v2(&own))),
            v1: Controller::ALL.map(|controller| find(Some(controller.name())).and_then(|own| open(&own))),
        }
    }

    /// Encodes this value for another process, which decodes it with [`Self::of_parts`].
    pub(super) fn parts(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let mut bytes: Vec<u8> = self.slots().map(|parent| u8::from(parent.is_some())).collect();
        bytes.extend(self.name.as_bytes());
        (bytes, self.slots().flatten().map(AsFd::as_fd).collect())
    }

    /// Decodes the output of [`Self::parts`]. Returns `None` if it is malformed.
    pub(super) fn of_parts(bytes: &[u8], fds: Vec<OwnedFd>) -> Option<Self> {
        let (there, name) = bytes.split_at_checked(1 + Controller::ALL.len())?;
        let mut fds = fds.into_iter();
        let mut parent = |there| match there {
            0 => Some(None),
            _ => Some(Some(fds.next()?)),
        };
        Some(Self {
            name: std::str::from_utf8(name).ok()?.to_owned(),
            v2: parent(there[0])?,
            v1: [parent(there[1])?, parent(there[2])?, parent(there[3])?],
        })
    }

    fn slots(&self) -> impl Iterator<Item = &Option<OwnedFd>> {
        [&self.v2].into_iter().chain(&self.v1)
    }

    /// Makes this process's directories in the hierarchies that are usable, and removes those of dead processes.
    pub(super) fn make(&self) -> Cgroups {
        let make = |parent: &Option<OwnedFd>| parent.as_ref().and_then(|parent| Base::make(parent, &self.name));
        let v2 = make(&self.v2);
        if let Some(base) = &v2 {
            for controller in ["memory", "cpu", "io", "pids"] {
                // One write per controller: the kernel rejects a whole write if one controller is missing.
                let _ = write(&base.fd, "cgroup.subtree_control", &format!("+{controller}"));
            }
        }
        let list = v2.as_ref().and_then(|base| read(&base.fd, "cgroup.subtree_control")).unwrap_or_default();
        let has = |controller: &str| list.split_ascii_whitespace().any(|name| name == controller);
        let v1 = Controller::ALL.map(
            |controller| {
                if has(controller.name()) { None } else { make(&self.v1[controller as usize]) }
            },
        );
        Cgroups { v1, v2, next: AtomicU64::new(0) }
    }

    /// Kills every process that still runs in the process's cgroups and removes all of them.
    pub(super) fn end(&self) {
        if let Some(parent) = &self.v2 {
            let _ = write(parent, format!("{}/cgroup.kill", self.name), "1");
        }
        for parent in self.slots().flatten() {
            // Killed processes need a moment to exit. The next builder removes directories that are still busy after a second.
            for _ in 0..100 {
                if remove(parent, &*self.name) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Opens a directory.
fn open(path: &Path) -> Option<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

impl Cgroups {
    fn bases(&self) -> impl Iterator<Item = &Base> {
        [&self.v2].into_iter().chain(&self.v1).flatten()
    }

    /// Makes the cgroups of a new step. Hierarchies that cannot be used are left out.
    pub(super) fn step(&self) -> StepCgroup {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let make = |base: &Option<Base>| base.as_ref().and_then(|base| base.child(&name));
        // The memory is accounted for every step, the others only limit.
        StepCgroup { v2: make(&self.v2), v1: [make(&self.v1[0]), None, None], name: name.clone() }
    }

    /// Sets a step's limits, except for that of [tasks](StepCgroup::limit_tasks).
    ///
    /// # Errors
    /// Fails if a limit is requested and no usable cgroup has its controller.
    pub(super) fn limit(&self, step: &mut StepCgroup, limits: &Limits) -> Result<(), SandboxError> {
        let wanted = [limits.memory.is_some(), limits.cpus.is_some(), limits.pids.is_some()];
        for ((slot, base), wanted) in step.v1.iter_mut().zip(&self.v1).zip(wanted) {
            if wanted && slot.is_none() {
                *slot = base.as_ref().and_then(|base| base.child(&step.name));
            }
        }
        step.limit(limits)
    }

    /// Removes a step's cgroups. Its processes must be dead.
    pub(super) fn remove_step(&self, step: &StepCgroup) {
        for base in self.bases() {
            // A busy directory is removed when this process ends. A runtime may have made further directories in it.
            if rustix::fs::unlinkat(&base.fd, &step.name, AtFlags::REMOVEDIR) == Err(Errno::BUSY) {
                remove(&base.fd, &*step.name);
            }
        }
    }
}

impl Base {
    fn make(parent: &OwnedFd, name: &str) -> Option<Self> {
        remove_stale(parent);
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(_) => return None,
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).ok()?;
        // Permission to make a cgroup does not imply permission to use it.
        rustix::fs::accessat(&fd, "cgroup.procs", rustix::fs::Access::WRITE_OK, AtFlags::EACCESS).ok()?;
        Some(Self { fd })
    }

    fn child(&self, name: &str) -> Option<OwnedFd> {
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)).ok()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::empty()).ok()
    }
}

impl StepCgroup {
    /// A name that is unique among the steps of this process.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The version 2 directory into which the step's init is cloned.
    pub(super) fn clone_into(&self) -> Option<&OwnedFd> {
        self.v2.as_ref()
    }

    /// Opens, with the builder's rights, the version 1 `tasks` files that the step's init has to join.
    pub(super) fn join(&self) -> Vec<OwnedFd> {
        let tasks =
            |fd: &OwnedFd| rustix::fs::openat(fd, "tasks", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).ok();
        self.v1.iter().flatten().filter_map(tasks).collect()
    }

    fn limit(&self, limits: &Limits) -> Result<(), SandboxError> {
        if let Some(bytes) = limits.memory {
            // With swap the limit would be soft. A kernel without swap has no such file.
            let _ = self.v2.as_ref().map(|fd| write(fd, "memory.swap.max", "0"));
            self.set(Controller::Memory, "memory.max", &bytes.to_string(), &bytes.to_string())?;
        }
        if let Some(cpus) = limits.cpus {
            let quota = quota(cpus);
            self.set(Controller::Cpu, "cpu.max", &format!("{quota} {PERIOD}"), &quota.to_string())?;
        }
        Ok(())
    }

    /// Sets the limit of processes and threads. It also counts those of a stock runtime while that starts the step.
    ///
    /// # Errors
    /// Fails if a limit is requested and no usable cgroup has its controller.
    pub(super) fn limit_tasks(&self, limits: &Limits) -> Result<(), SandboxError> {
        let Some(pids) = limits.pids else { return Ok(()) };
        let most = pids.saturating_add(OWN_TASKS).to_string();
        self.set(Controller::Pids, "pids.max", &most, &most)
    }

    /// Sets a limit in version 2, or else in version 1.
    fn set(&self, controller: Controller, file: &str, value: &str, value_v1: &str) -> Result<(), SandboxError> {
        let in_v1 = || self.v1(controller).is_some_and(|fd| write(fd, controller.file_v1(), value_v1).is_ok());
        if self.v2.as_ref().is_some_and(|fd| write(fd, file, value).is_ok()) || in_v1() {
            return Ok(());
        }
        let what =
            format!("{}: buildscope cannot use a cgroup with that controller on this machine", controller.flag());
        Err(SandboxError::Setup { what, errno: Errno::NODEV })
    }

    fn v1(&self, controller: Controller) -> Option<&OwnedFd> {
        self.v1[controller as usize].as_ref()
    }

    /// Kills every process of the step, if the kernel can do that (version 2, since Linux 5.14).
    pub(super) fn kill(&self) {
        if let Some(fd) = &self.v2 {
            let _ = write(fd, "cgroup.kill", "1");
        }
    }

    /// Whether the OOM killer has killed a process of the step.
    pub(super) fn oom(&self) -> bool {
        let v2 = self.v2.as_ref().and_then(|fd| read(fd, "memory.events"));
        let v1 = || self.v1(Controller::Memory).and_then(|fd| read(fd, "memory.oom_control"));
        v2.or_else(v1).and_then(|text| value(&text, "oom_kill")).is_some_and(|kills| kills > 0)
    }

    /// Adds the peak memory of all processes together, which rusage does not count.
    pub(super) fn account_memory(&self, resources: &mut Resources) {
        let number = |fd: Option<&OwnedFd>, file| read(fd?, file)?.trim().parse::<u64>().ok();
        let peak = number(self.v2.as_ref(), "memory.peak")
            .or_else(|| number(self.v1(Controller::Memory), "memory.max_usage_in_bytes"));
        // A peak of zero means that the step could not be moved into the cgroup.
        if let Some(peak) = peak.filter(|&peak| peak > 0) {
            resources.peak_memory = ByteSize(peak);
        }
    }

    /// Adds everything that rusage does not count: the peak memory, pressure, and the CPU time and bytes of processes that were
    /// never waited for.
    pub(super) fn account(&self, resources: &mut Resources) {
        self.account_memory(resources);
        let Some(fd) = &self.v2 else { return };
        if let Some(stat) = read(fd, "cpu.stat") {
            let time = |name| value(&stat, name).map(|micros| Nanos(micros * 1000));
            if let (Some(user), Some(system)) = (time("user_usec"), time("system_usec"))
                && user + system > Nanos::ZERO
            {
                (resources.cpu_user, resources.cpu_system) = (user, system);
            }
        }
        if let Some(stat) = read(fd, "io.stat") {
            let [read, written] = ["rbytes=", "wbytes="].map(|name| {
                let fields = stat.split_ascii_whitespace();
                ByteSize(fields.filter_map(|field| field.strip_prefix(name)?.parse::<u64>().ok()).sum())
            });
            // rusage counts the bytes that a process dirtied, io.stat those that reached the device by now: zero for a short step.
            resources.read = resources.read.max(read);
            resources.written = resources.written.max(written);
        }
        let pressure = self.pressure();
        let [cpu, memory, io] = pressure.map(Option::unwrap_or_default);
        (resources.cpu_pressure, resources.memory_pressure, resources.io_pressure) = (cpu, memory, io);
    }

    /// The time for which some task has waited for CPU, memory and I/O so far (linux/Documentation/accounting/psi.rst).
    pub(super) fn pressure(&self) -> [Option<Nanos>; 3] {
        ["cpu.pressure", "memory.pressure", "io.pressure"].map(|file| time_waited(&read(self.v2.as_ref()?, file)?))
    }

    /// The bytes of memory that are in use now.
    pub(super) fn memory(&self) -> Option<u64> {
        let v2 = self.v2.as_ref().and_then(|fd| read(fd, "memory.current"));
        let v1 = || self.v1(Controller::Memory).and_then(|fd| read(fd, "memory.usage_in_bytes"));
        v2.or_else(v1)?.trim().parse().ok()
    }

    /// The CPU time that was used so far.
    pub(super) fn cpu(&self) -> Option<Nanos> {
        Some(Nanos(value(&read(self.v2.as_ref()?, "cpu.stat")?, "usage_usec")? * 1000))
    }
}

/// Removes the directories of builders that died without removing them.
fn remove_stale(parent: &OwnedFd) {
    let Ok(entries) = rustix::fs::Dir::read_from(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|pid| pid.parse().ok()).and_then(rustix::process::Pid::from_raw);
        if pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH)) {
            remove(parent, &*name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files are examples from the kernel's documentation of version 2 ("IO Interface Files", "Pressure Stall
    /// Information"), so the test also runs on machines whose controllers are in version 1.
    #[test]
    fn resource_usage_is_read_from_cgroup_files() {
        let cgroup = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "io.stat",
                "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n\
                8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021\n253:0\n",
            ),
            ("cpu.stat", "usage_usec 3500\nuser_usec 3000\nsystem_usec 500\nnice_usec 7\nnr_periods 0\n"),
            ("memory.peak", "47513600\n"),
            ("memory.current", "12288\n"),
            ("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n"),
            (
                "cpu.pressure",
                "some avg10=0.12 avg60=0.00 avg300=0.00 total=61\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
            ),
            (
                "memory.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
            ("io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234567\n"),
        ] {
            std::fs::write(cgroup.path().join(name), text).unwrap();
        }
        let v2 = std::fs::File::open(cgroup.path()).unwrap().into();
        let step = StepCgroup { v2: Some(v2), ..StepCgroup::default() };
        let mut resources = Resources { read: ByteSize(91_889_665), written: ByteSize(5), ..Resources::default() };
        step.account(&mut resources);
        // The larger of rusage and io.stat counts: 1459200 + 90430464 is one less than rusage's number.
        assert_eq!((resources.read.0, resources.written.0), (91_889_665, 613_781_504));
        assert_eq!((resources.cpu_user, resources.cpu_system), (Nanos(3_000_000), Nanos(500_000)));
        assert_eq!(resources.peak_memory.0, 47_513_600);
        assert_eq!((resources.cpu_pressure, resources.memory_pressure), (Nanos(61_000), Nanos(0)));
        assert_eq!(resources.io_pressure, Nanos(1_234_567_000));
        assert_eq!((step.memory(), step.cpu(), step.oom()), (Some(12_288), Some(Nanos(3_500_000)), true));
    }

    /// Ordinary directories take the place of hierarchies. The test is about which process knows of them, and when.
    #[test]
    fn directories_made_after_the_zygote_knew_their_parents_are_removed_by_it() {
        let hierarchies = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [v2, memory] = hierarchies.each_ref().map(|directory| open(directory.path()));
        let builder = Parents { name: "buildscope-7".to_owned(), v2, v1: [memory, None, None] };
        let (bytes, fds) = builder.parts();
        let fds = fds.into_iter().map(|fd| fd.try_clone_to_owned().unwrap()).collect();
        let zygote = Parents::of_parts(&bytes, fds).unwrap();
        for directory in &hierarchies {
            std::fs::create_dir_all(directory.path().join("buildscope-7/0")).unwrap();
            std::fs::create_dir(directory.path().join("buildscope-77")).unwrap();
        }
        zygote.end();
        for directory in &hierarchies {
            let left: Vec<_> =
                std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["buildscope-77"]);
        }
    }

    #[test]
    fn values_are_found_by_whole_name() {
        let text = "oom 7\noom_kill 3\noom_kill_disable 0\n";
        assert_eq!((value(text, "oom_kill"), value(text, "kill")), (Some(3), None));
    }
}
