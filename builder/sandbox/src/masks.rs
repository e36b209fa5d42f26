//! The paths of `/proc` and `/sys` that steps do not see or cannot write to, as docker has them.

use std::path::Path;

/// docker's masked paths below `/proc` (moby's default OCI specification, `daemon/pkg/oci/defaults.go`).
pub(super) const MASKED_PROC: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];
/// docker's masked paths below `/sys`, and the cgroups. The directories of single processors are added by [`masked_sys`].
const MASKED_SYS: [&str; 3] = ["firmware", "devices/virtual/powercap", "fs/cgroup"];
/// The paths at which hosts mount other file systems in sysfs. docker's own sysfs does not show these.
pub(super) const MOUNTED_SYS: [&str; 7] = [
    "kernel/debug",
    "kernel/tracing",
    "kernel/security",
    "kernel/config",
    "fs/bpf",
    "fs/pstore",
    "fs/fuse/connections",
];
/// docker's read-only paths.
pub(super) const READONLY_PROC: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// docker's masked paths of the host's sysfs: [`MASKED_SYS`] and `thermal_throttle` of each processor.
pub(super) fn masked_sys(sys: &Path) -> Vec<String> {
    let processors = std::fs::read_dir(sys.join("devices/system/cpu")).into_iter().flatten().flatten();
    let heat = processors.filter_map(|processor| {
        let path = format!("devices/system/cpu/{}/thermal_throttle", processor.file_name().to_str()?);
        sys.join(&path).is_dir().then_some(path)
    });
    MASKED_SYS.map(str::to_owned).into_iter().chain(heat).collect()
}

/// docker's masked paths as absolute paths.
pub(super) fn masked_paths() -> Vec<String> {
    let proc = MASKED_PROC.iter().map(|path| format!("/proc/{path}"));
    proc.chain(masked_sys(Path::new("/sys")).iter().map(|path| format!("/sys/{path}"))).collect()
}

/// docker's read-only paths as absolute paths.
pub(super) fn readonly_paths() -> Vec<String> {
    READONLY_PROC.iter().map(|path| format!("/proc/{path}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only machines with Intel processors have these files (linux/arch/x86/kernel/cpu/mce/therm_throt.c).
    #[test]
    fn thermal_throttle_of_every_processor_is_masked() {
        let sys = tempfile::tempdir().unwrap();
        for name in ["cpu0/thermal_throttle", "cpu11/thermal_throttle", "cpufreq", "cpu1/topology"] {
            std::fs::create_dir_all(sys.path().join("devices/system/cpu").join(name)).unwrap();
        }
        let mut heat = masked_sys(sys.path()).split_off(MASKED_SYS.len());
        heat.sort();
        let of = |number| format!("devices/system/cpu/cpu{number}/thermal_throttle");
        assert_eq!(heat, [of(0), of(11)]);
    }
}
