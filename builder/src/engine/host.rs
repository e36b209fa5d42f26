//! The description of the machine in a build record.

use buildscope_record::{ByteSize, Host};
use std::path::Path;

/// Describes this machine. Facts that cannot be determined are left out. `root` is the store's directory.
pub fn host(root: &Path) -> Host {
    let uname = rustix::system::uname();
    Host {
        cpus: std::thread::available_parallelism().ok().and_then(|cpus| u32::try_from(cpus.get()).ok()),
        memory: memory(),
        kernel: uname.release().to_str().ok().map(str::to_owned),
        filesystem: rustix::fs::statfs(root).ok().map(|stat| Host::filesystem_name(stat.f_type as u64)),
        cgroup: cgroup(),
    }
}

/// `MemTotal` of proc(5)'s meminfo, which counts in KiB.
fn memory() -> Option<ByteSize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(ByteSize(kib * 1024))
}

/// The cgroup versions in use, by the files at the usual mount points (cgroups(7)).
fn cgroup() -> Option<String> {
    let root = Path::new("/sys/fs/cgroup");
    let version = match (root.join("cgroup.controllers").exists(), root.join("unified/cgroup.procs").exists()) {
        (true, _) => "2",
        (false, true) => "hybrid",
        (false, false) if root.join("memory").exists() => "1",
        (false, false) => return None,
    };
    Some(version.into())
}
