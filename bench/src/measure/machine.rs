//! Reads the machine's properties and state from /proc and /sys.

use crate::environment::Environment;
use buildscope_record::Host;
use std::fs;
use std::path::Path;

impl Environment {
    /// Examines the machine. `root` is the folder of the stores.
    pub fn observe(root: &Path) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            cpuinfo.lines().find(|line| line.starts_with(name))?.split_once(':').map(|pair| pair.1.trim().to_owned())
        };
        let no_turbo = word("/sys/devices/system/cpu/intel_pstate/no_turbo").map(|text| text == "0");
        let boost = word("/sys/devices/system/cpu/cpufreq/boost").map(|text| text == "1");
        Self {
            cpu: field("model name"),
            cpus: std::thread::available_parallelism().ok().map(Into::into),
            memory: memory(),
            kernel: rustix::system::uname().release().to_str().ok().map(str::to_owned),
            governor: word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            turbo: no_turbo.or(boost),
            aslr: word("/proc/sys/kernel/randomize_va_space").and_then(|text| text.parse().ok()),
            filesystem: filesystem(root),
            load: load(),
            cpu_pressure: pressure("cpu"),
            io_pressure: pressure("io"),
            memory_pressure: pressure("memory"),
            virtualised: field("flags").map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

fn word(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Physical memory in bytes: `MemTotal` of proc(5)'s meminfo, which counts in KiB.
fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The load average over one minute.
pub(super) fn load() -> Option<f64> {
    word("/proc/loadavg")?.split(' ').next()?.parse().ok()
}

/// The number of times that the processors were throttled for heat since boot (`thermal_throttle` in
/// Documentation/arch/x86/x86_64/machinecheck.rst); `None` if the kernel does not count it.
pub(super) fn throttles() -> Option<u64> {
    let count = |entry: fs::DirEntry| -> Option<u64> {
        word(entry.path().join("thermal_throttle/core_throttle_count").to_str()?)?.parse().ok()
    };
    fs::read_dir("/sys/devices/system/cpu").ok()?.flatten().filter_map(count).reduce(|sum, count| sum + count)
}

/// `some avg10` of the kernel's pressure stall information (Documentation/accounting/psi.rst), in percent.
pub(super) fn pressure(resource: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/pressure/{resource}")).ok()?;
    let some = text.lines().find(|line| line.starts_with("some"))?;
    some.split(' ').find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

/// The file system type of the nearest existing ancestor.
fn filesystem(path: &Path) -> Option<String> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    Some(Host::filesystem_name(rustix::fs::statfs(existing).ok()?.f_type as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_observed() {
        let here = Environment::observe(Path::new("/tmp/no/such/store"));
        assert!(here.cpus >= Some(1) && here.kernel.is_some() && here.filesystem.is_some());
    }
}
