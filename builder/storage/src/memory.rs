//! Memory for the changes of steps: tmpfs mounts that look as large as the disk, and a budget that all of them share.
//!
//! A program that queries or fills the free space sees the same as on the disk. So the budget is not the size of the tmpfs: the
//! step runner polls the usage, and stops the largest step once all together exceed the budget.

use super::StorageError;
use super::error::IoContext;
use super::scratch::Scratch;
use parking_lot::Mutex;
use rustix::fs::{StatVfs, XattrFlags, fstatvfs, setxattr, statvfs};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Bytes of memory for an inode without data, at least (`shmem_inode_cache` and a dentry).
const INODE: u64 = 1024;
/// The fraction of the available memory that all steps together may use, as a divisor.
const PART: u64 = 4;

/// The memory budget for the changes of all steps of a build.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    used: Mutex<Vec<Weak<OwnedFd>>>,
}

/// A detached tmpfs mount. The memory is freed when this and the last mount of the file system are gone.
#[derive(Debug)]
pub(crate) struct Memory {
    fs: Arc<OwnedFd>,
    budget: Arc<Budget>,
}

impl Budget {
    /// A budget of `bytes`. `None` if tmpfs does not support `user.` attributes, as before Linux 6.6: steps would see a difference from
    /// the disk.
    pub(crate) fn new(bytes: u64, like: &Path, scratch: &Scratch) -> Option<Arc<Self>> {
        let budget = Arc::new(Self { bytes, used: Mutex::default() });
        let takes = |memory: Memory| {
            let takes = setxattr(memory.root(), "user.buildscope", b"1", XattrFlags::empty()).is_ok();
            scratch.discard_mount(memory.leave());
            takes
        };
        budget.take(like).is_ok_and(takes).then_some(budget)
    }

    /// A tmpfs with the same free space as the file system of `like`.
    pub(crate) fn take(self: &Arc<Self>, like: &Path) -> Result<Memory, StorageError> {
        let fs = Arc::new(tmpfs(&statvfs(like).context("stat the file system of", like)?)?);
        let mut used = self.used.lock();
        used.retain(|fs| fs.strong_count() > 0);
        used.push(Arc::downgrade(&fs));
        Ok(Memory { fs, budget: Arc::clone(self) })
    }
}

impl Memory {
    /// The path of its root in this process. A detached mount is reached through its descriptor.
    pub(crate) fn root(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.fs.as_raw_fd()).into()
    }

    /// Removes it from the budget. Dropping the result blocks until the kernel has freed the memory.
    pub(crate) fn leave(self) -> Arc<OwnedFd> {
        let mut used = self.budget.used.lock();
        used.retain(|fs| !std::ptr::eq(fs.as_ptr(), Arc::as_ptr(&self.fs)));
        drop(used);
        self.fs
    }

    /// Whether all steps together exceed the budget, and no other step uses more than this one.
    pub(crate) fn is_outgrown(&self) -> bool {
        let of_all = self.budget.used.lock();
        let of_all: Vec<u64> = of_all.iter().filter_map(Weak::upgrade).map(|fs| used(fs.as_fd())).collect();
        let own = used(self.fs.as_fd());
        of_all.iter().sum::<u64>() > self.budget.bytes && of_all.iter().all(|other| *other <= own)
    }
}

/// The approximate memory use of a tmpfs in bytes.
fn used(fs: BorrowedFd<'_>) -> u64 {
    let used = |stat: StatVfs| {
        let (blocks, inodes) = (stat.f_blocks - stat.f_bfree, stat.f_files.saturating_sub(stat.f_ffree));
        blocks * stat.f_frsize + inodes * INODE
    };
    // This does not fail for a mounted file system.
    fstatvfs(fs).map_or(0, used)
}

fn tmpfs(like: &StatVfs) -> Result<OwnedFd, StorageError> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).context("open", "tmpfs")?;
    let set = |key: &str, value: &str| fsconfig_set_string(&fs, key, value).context("configure tmpfs", key);
    // 0 means unlimited. File systems without an inode limit report 0 as well.
    set("size", &(like.f_bavail * like.f_frsize).max(like.f_frsize).to_string())?;
    set("nr_inodes", &like.f_favail.to_string())?;
    set("mode", "700")?;
    // Huge pages make large files five times as fast to write and read. A kernel without them rejects the option.
    let _ = set("huge", "within_size");
    fsconfig_create(&fs).context("mount", "tmpfs")?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).context("mount", "tmpfs")
}

/// The default memory budget for the changes of steps, in bytes: a quarter of the memory that is available to this process now,
/// within the limits of its control groups.
pub fn spare_memory() -> u64 {
    available_memory() / PART
}

/// The memory in bytes that is available to this process now, within the limits of its control groups.
pub fn available_memory() -> u64 {
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    let available = read("/proc/meminfo".into()).as_deref().and_then(available).unwrap_or_default();
    let groups = read("/proc/self/cgroup".into()).unwrap_or_default();
    let left = groups.lines().flat_map(|line| left(line, &read)).min();
    left.map_or(available, |left| available.min(left))
}

/// `MemAvailable` of `/proc/meminfo` in bytes (proc(5); the file has KiB).
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The bytes of unused files in the page cache, from `memory.stat` of a control group with all groups below it.
fn inactive(text: &str) -> Option<u64> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value("total_inactive_file ").or_else(|| value("inactive_file "))
}

/// The remaining memory in bytes of each limited control group of a line of `/proc/self/cgroup`.
fn left(line: &str, read: &dyn Fn(PathBuf) -> Option<String>) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (root, limit, usage) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max", "memory.current"),
        "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        _ => return Vec::new(),
    };
    let number = |path: PathBuf| read(path)?.trim().parse::<u64>().ok();
    // In a cgroup namespace, the upper part of the path may be hidden, so groups that do not exist are skipped.
    let groups = Path::new(path.trim_start_matches('/')).ancestors();
    let left = groups.filter_map(|group| {
        let group = Path::new(root).join(group);
        // The page cache of files that were not used lately counts as usage, and is freed when memory is needed.
        let cached = read(group.join("memory.stat")).as_deref().and_then(inactive).unwrap_or_default();
        Some(number(group.join(limit))?.saturating_sub(number(group.join(usage))?.saturating_sub(cached)))
    });
    left.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_equals_the_kernels_number() {
        let text = "MemTotal:       24608048 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(available(text), Some(20_480_000_000));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn the_narrowest_group_counts() {
        let files = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "5\n"),
            ("/sys/fs/cgroup/a/memory.max", "1000\n"),
            ("/sys/fs/cgroup/a/memory.current", "400\n"),
            ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "300\n"),
            ("/sys/fs/cgroup/memory/c/memory.usage_in_bytes", "400\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n"),
        ];
        let read =
            |path: PathBuf| files.iter().find(|(name, _)| path == Path::new(name)).map(|(_, text)| (*text).to_owned());
        assert_eq!(left("0::/a/b", &read), [600]);
        assert_eq!(left("4:memory:/c", &read), [0, 9_223_372_036_854_771_712]);
        assert_eq!(left("5:cpu,cpuacct:/c", &read), [0; 0]);
    }
}
