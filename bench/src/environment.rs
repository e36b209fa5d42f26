//! The environment of a run: two runs are comparable only if the relevant parts are equal.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The machine and its state at the start of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The processor's model name.
    pub cpu: Option<String>,
    /// Number of processors that this process may use.
    pub cpus: Option<usize>,
    /// Physical memory in bytes.
    pub memory: Option<u64>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Frequency governor of the first processor.
    pub governor: Option<String>,
    /// Whether the processor may go above its nominal frequency.
    pub turbo: Option<bool>,
    /// Address space layout randomisation: `randomize_va_space` of proc(5).
    pub aslr: Option<u8>,
    /// Type of the file system that holds the store: a name, or the number from statfs(2).
    pub filesystem: Option<String>,
    /// Load average over one minute.
    pub load: Option<f64>,
    /// Percent of the last ten seconds in which some task waited for a processor.
    pub cpu_pressure: Option<f64>,
    /// Percent of the last ten seconds in which some task waited for I/O.
    pub io_pressure: Option<f64>,
    /// Percent of the last ten seconds in which some task waited for memory.
    pub memory_pressure: Option<f64>,
    /// Whether the machine is virtual.
    pub virtualised: Option<bool>,
    /// Version of the harness.
    pub version: String,
}

/// A condition that makes measurements less reliable. `Display` adds advice.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// The frequency governor is not `performance`.
    Governor(String),
    /// Turbo is on: the processor is faster while it is cool.
    Turbo,
    /// Other programs use the machine.
    Load {
        /// Load average over one minute.
        load: f64,
        /// Usable processors.
        cpus: usize,
    },
    /// Other tasks waited for processors, in percent of the time.
    CpuPressure(f64),
    /// Other tasks waited for the disk, in percent of the time.
    IoPressure(f64),
    /// Other tasks waited for memory, in percent of the time.
    MemoryPressure(f64),
    /// Addresses are the same in every process.
    Layout,
    /// The host may take the processor away from this virtual machine.
    Virtualised,
    /// The overlay driver does not work on this file system, or its speed says nothing about a disk.
    Filesystem(String),
}

impl Environment {
    /// The warnings that a reader of the numbers needs.
    pub fn warnings(&self) -> Vec<Warning> {
        let governor = self.governor.clone().filter(|governor| governor != "performance").map(Warning::Governor);
        let load = self.load.zip(self.cpus).filter(|&(load, cpus)| load > cpus as f64 * 0.25);
        [
            governor,
            (self.turbo == Some(true)).then_some(Warning::Turbo),
            load.map(|(load, cpus)| Warning::Load { load, cpus }),
            self.cpu_pressure.filter(|&percent| percent > 5.0).map(Warning::CpuPressure),
            self.io_pressure.filter(|&percent| percent > 5.0).map(Warning::IoPressure),
            self.memory_pressure.filter(|&percent| percent > 1.0).map(Warning::MemoryPressure),
            (self.aslr == Some(0)).then_some(Warning::Layout),
            (self.virtualised == Some(true)).then_some(Warning::Virtualised),
            self.filesystem
                .clone()
                .filter(|name| matches!(name.as_str(), "tmpfs" | "overlay" | "nfs"))
                .map(Warning::Filesystem),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Describes the state that changes from run to run on one machine.
    pub fn state(&self) -> String {
        let percent = |share: Option<f64>| share.map_or_else(|| "?".to_owned(), |share| format!("{share:.1} %"));
        format!(
            "governor {}, turbo {}, address space randomisation {}, load {}; tasks waited for processors {}, for I/O {}, for memory {} of ten seconds",
            self.governor.as_deref().unwrap_or("?"),
            self.turbo.map_or("?", |on| if on { "on" } else { "off" }),
            self.aslr.map_or_else(|| "?".to_owned(), |level| level.to_string()),
            self.load.map_or_else(|| "?".to_owned(), |load| format!("{load:.2}")),
            percent(self.cpu_pressure),
            percent(self.io_pressure),
            percent(self.memory_pressure),
        )
    }

    /// Whether times of both runs are comparable: same processor model, processor count, kernel and file system.
    pub fn comparable(&self, other: &Self) -> bool {
        (&self.cpu, self.cpus, &self.kernel, &self.filesystem)
            == (&other.cpu, other.cpus, &other.kernel, &other.filesystem)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Governor(governor) => write!(
                f,
                "the frequency governor is `{governor}`: times depend on what ran before. Try `cpupower frequency-set -g performance`."
            ),
            Self::Turbo => f.write_str(
                "turbo is on: a cool processor is faster than a warm one. Turn it off (`no_turbo`, `boost`), or trust the interleaving and look at the drift.",
            ),
            Self::Load { load, cpus } => {
                write!(f, "the load is {load:.2} on {cpus} processors before the first measurement: stop other programs.")
            }
            Self::IoPressure(percent) => {
                write!(f, "tasks waited for I/O in {percent:.0} % of the last ten seconds: another program uses the disk.")
            }
            Self::CpuPressure(percent) => {
                write!(f, "tasks waited for a processor in {percent:.0} % of the last ten seconds: another program uses the processors. Stop it, or wait.")
            }
            Self::MemoryPressure(percent) => {
                write!(f, "tasks waited for memory in {percent:.0} % of the last ten seconds: files may be evicted from the page cache. Free some memory.")
            }
            Self::Layout => f.write_str(
                "addresses are not randomised: every build has the same memory layout, which may favour or penalise it. Try `sysctl kernel.randomize_va_space=2`.",
            ),
            Self::Virtualised => {
                f.write_str("this is a virtual machine: its host may take the processor away. Compare only interleaved measurements.")
            }
            Self::Filesystem(name) => write!(f, "the store is on {name}: its times say little about a disk. Choose another with --root."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_machine_gives_no_warnings() {
        let quiet = Environment {
            governor: Some("performance".into()),
            turbo: Some(false),
            load: Some(0.1),
            cpus: Some(2),
            io_pressure: Some(0.0),
            filesystem: Some("ext4".into()),
            ..Environment::default()
        };
        assert_eq!(quiet.warnings(), []);
        let loud = Environment { load: Some(1.5), filesystem: Some("tmpfs".into()), turbo: Some(true), ..quiet };
        let expected = [Warning::Turbo, Warning::Load { load: 1.5, cpus: 2 }, Warning::Filesystem("tmpfs".into())];
        assert_eq!(loud.warnings(), expected);
        let pressed = Environment {
            cpu_pressure: Some(30.0),
            io_pressure: Some(20.0),
            memory_pressure: Some(3.0),
            aslr: Some(0),
            ..Environment::default()
        };
        let expected =
            [Warning::CpuPressure(30.0), Warning::IoPressure(20.0), Warning::MemoryPressure(3.0), Warning::Layout];
        assert_eq!(pressed.warnings(), expected);
    }
}
