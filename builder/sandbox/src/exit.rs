//! The exit of a step: the status of its program and its resource usage.

use crate::signal::signal_name;
use buildscope_record::Resources;

/// The exit status of a step's program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The program exited with this code.
    Code(i32),
    /// The program was killed by this signal.
    Signal(i32),
}

impl Status {
    /// Whether the program exited with code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// The exit code as a shell reports it: 128 plus the number for a signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code: {code}"),
            Self::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "exit code: {}: killed by SIG{name}", 128 + signal),
                None => write!(f, "exit code: {}: killed by signal {signal}", 128 + signal),
            },
        }
    }
}

/// The exit of a step and its resource usage.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The exit status of the program.
    pub status: Status,
    /// Whether the OOM killer killed a process of the step.
    pub oom: bool,
    /// The resource usage of all processes of the step.
    pub resources: Resources,
    /// The process id of the step's init, by which an observer of processes identifies the step.
    pub init: Option<u32>,
}
