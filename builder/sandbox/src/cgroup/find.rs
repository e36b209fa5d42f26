//! Finds this process's cgroups.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The cgroup directory of this process in the version 2 hierarchy (`None`) or in that of a version 1 controller.
pub(super) fn directory(mounts: &str, own: &str, controller: Option<&str>) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let wanted = match controller {
            None => number == "0",
            Some(controller) => controllers.split(',').any(|name| name == controller),
        };
        wanted.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        // proc_pid_mountinfo(5): the file system's type and options come after " - ".
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let kind = system.next()?;
        let wanted = match controller {
            None => kind == "cgroup2",
            Some(controller) => kind == "cgroup" && system.nth(1)?.split(',').any(|option| option == controller),
        };
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, unescape(mount.next()?));
        let inside = Path::new(path).strip_prefix(root).ok()?;
        wanted.then(|| point.join(inside))
    })
}

/// The version 2 directory below which ours is made: from our own upwards, the nearest one whose children may have
/// controllers, or our own if there is no such directory. The children of a directory with processes, as ours usually is, get
/// no controllers.
pub(super) fn home_v2(own: &Path) -> PathBuf {
    let controlled = |directory: &&Path| {
        let list = std::fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
        list.contains("memory") && rustix::fs::access(*directory, rustix::fs::Access::WRITE_OK).is_ok()
    };
    own.ancestors()
        .take_while(|directory| directory.join("cgroup.procs").exists())
        .find(controlled)
        .unwrap_or(own)
        .to_owned()
}

/// Decodes the octal escapes of mountinfo.
fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let octal = |bytes: &[u8]| u8::from_str_radix(std::str::from_utf8(bytes).ok()?, 8).ok();
        match bytes.get(at + 1..at + 4).and_then(octal).filter(|_| bytes[at] == b'\\') {
            Some(byte) => {
                plain.push(byte);
                at += 4;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    OsString::from_vec(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines have the form of proc_pid_mountinfo(5) and cgroups(7).
    #[test]
    fn own_directory_is_found_in_both_versions() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            35 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            33 31 0:31 /outer /sys/fs/cgroup/cpu\\040set rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "9:name=systemd:/\n4:memory:/session/a:b\n1:cpu,cpuacct:/outer/inner\n0::/user.slice\n";
        let find = |controller| directory(mounts, own, controller).unwrap();
        assert_eq!(find(None), Path::new("/sys/fs/cgroup/unified/user.slice"));
        assert_eq!(find(Some("memory")), Path::new("/sys/fs/cgroup/memory/session/a:b"));
        assert_eq!(find(Some("cpu")), Path::new("/sys/fs/cgroup/cpu set/inner"));
        assert_eq!(directory(mounts, own, Some("pids")), None);
    }
}
