//! The control group of this process (cgroups(7)).

use std::path::{Path, PathBuf};

/// The usual mount point of the hierarchy of version 2.
pub(crate) const ROOT: &str = "/sys/fs/cgroup";

/// The directory of this process's group in the hierarchy of version 2. `None` in the root group and under version 1.
pub(crate) fn own() -> Option<PathBuf> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!own.is_empty()).then(|| Path::new(ROOT).join(own))
}
