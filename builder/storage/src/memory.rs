//! Memory for what steps change: file systems that look as large as the disk, and a budget that all of them share.
//!
//! A program that asks for the free space, or fills it, sees the same as on the disk. So the budget is no size of a file
//! system: whoever runs the step looks at what it uses, and stops it when all together use more than the budget.

use super::StorageError;
use super::error::Context;
use rustix::fs::{StatVfs, XattrFlags, fstatvfs, setxattr, statvfs};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What the kernel needs for a file beside its data, at least (`shmem_inode_cache` and a dentry).
const INODE: u64 = 1024;
/// Of the memory that is available, what all steps together may have, as its divisor.
const PART: u64 = 4;

/// Bytes of memory that the changes of all steps of a build may take.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    used: Mutex<Vec<Weak<OwnedFd>>>,
}

/// A file system in memory, attached nowhere. The memory is free when this and its last mount are gone.
#[derive(Debug)]
pub(crate) struct Memory {
    fs: Arc<OwnedFd>,
    budget: Arc<Budget>,
}

impl Budget {
    /// None where file systems in memory take no `user.` attributes, as before Linux 6.6: a step would see less than on the disk.
    pub(crate) fn new(bytes: u64, like: &Path) -> Option<Arc<Self>> {
        let budget = Arc::new(Self { bytes, used: Mutex::default() });
        let takes = |memory: Memory| setxattr(memory.root(), "user.buildscope", b"1", XattrFlags::empty()).is_ok();
        budget.take(like).is_ok_and(takes).then_some(budget)
    }

    /// A file system with the free space of the disk that `like` is on.
    pub(crate) fn take(self: &Arc<Self>, like: &Path) -> Result<Memory, StorageError> {
        let fs = Arc::new(tmpfs(&statvfs(like).context("stat the file system of", like)?)?);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|fs| fs.strong_count() > 0);
        used.push(Arc::downgrade(&fs));
        Ok(Memory { fs, budget: Arc::clone(self) })
    }
}

impl Memory {
    /// The path of its root, in this process: what is attached nowhere is reached through its descriptor.
    pub(crate) fn root(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.fs.as_raw_fd()).into()
    }

    /// Counts no more. Whoever drops what it gives waits until the kernel has freed it.
    pub(crate) fn leave(self) -> Arc<OwnedFd> {
        let mut used = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|fs| !std::ptr::eq(fs.as_ptr(), Arc::as_ptr(&self.fs)));
        drop(used);
        self.fs
    }

    /// Whether all steps together use more than the budget, and no other as much as this one.
    pub(crate) fn is_outgrown(&self) -> bool {
        let of_all = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        let of_all: Vec<u64> = of_all.iter().filter_map(Weak::upgrade).map(|fs| used(fs.as_fd())).collect();
        let own = used(self.fs.as_fd());
        of_all.iter().sum::<u64>() > self.budget.bytes && of_all.iter().all(|other| *other <= own)
    }
}

/// Bytes of memory that a file system takes, nearly.
fn used(fs: BorrowedFd<'_>) -> u64 {
    let used = |stat: StatVfs| {
        let (blocks, inodes) = (stat.f_blocks - stat.f_bfree, stat.f_files.saturating_sub(stat.f_ffree));
        blocks * stat.f_frsize + inodes * INODE
    };
    // Of a file system that is mounted it does not fail.
    fstatvfs(fs).map_or(0, used)
}

fn tmpfs(like: &StatVfs) -> Result<OwnedFd, StorageError> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).context("open", "tmpfs")?;
    let set = |key: &str, value: &str| fsconfig_set_string(&fs, key, value).context("configure tmpfs", key);
    // 0 would be no limit. A file system that counts no inodes has none.
    set("size", &(like.f_bavail * like.f_frsize).max(like.f_frsize).to_string())?;
    set("nr_inodes", &like.f_favail.to_string())?;
    set("mode", "700")?;
    // Large files in large pages: they are written and read five times as fast, faster than to most disks. A kernel without them
    // refuses the option.
    let _ = set("huge", "within_size");
    fsconfig_create(&fs).context("mount", "tmpfs")?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).context("mount", "tmpfs")
}

/// Bytes of memory that can be spared for steps: a quarter of what is available here and now, to this process's group too.
pub fn spare_memory() -> u64 {
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    let available = read("/proc/meminfo".into()).as_deref().and_then(available).unwrap_or_default();
    let groups = read("/proc/self/cgroup".into()).unwrap_or_default();
    let left = groups.lines().flat_map(|line| left(line, &read)).min();
    left.map_or(available, |left| available.min(left)) / PART
}

/// `MemAvailable` of proc(5)'s meminfo, which counts in KiB.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// What the groups of a line of `/proc/self/cgroup` have left of their limits, as far as they have one.
fn left(line: &str, read: &dyn Fn(PathBuf) -> Option<String>) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (root, limit, usage) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max", "memory.current"),
        "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        _ => return Vec::new(),
    };
    let number = |path: PathBuf| read(path)?.trim().parse::<u64>().ok();
    // A namespace may hide the upper part of the path: then what is there is at the root.
    let groups = Path::new(path.trim_start_matches('/')).ancestors();
    let left = groups.filter_map(|group| {
        let group = Path::new(root).join(group);
        Some(number(group.join(limit))?.saturating_sub(number(group.join(usage))?))
    });
    left.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_what_the_kernel_says() {
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
