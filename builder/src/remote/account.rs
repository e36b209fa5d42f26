//! The account of a step that another machine ran.

use super::{ACCOUNT, Selected};
use crate::error_chain::distinct_causes;
use crate::steps::copy::CopyError;
use crate::steps::run::RunError;
use buildscope_record::{DiffId, Nanos, Network, Phase, Processes, Resources};
use buildscope_sandbox::{Exit, SandboxError, Status, Stream};
use buildscope_storage::Layer;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::time::Duration;

/// The version of the form.
const FORMAT: u32 = 2;

/// The largest layer that an account may name, in bytes: 1 PiB.
const LARGEST_LAYER: u64 = 1 << 50;
/// The longest name of a machine, in bytes. Linux allows 64.
const LONGEST_NAME: usize = 255;

/// The work of a machine for a step. Times count from the start of the worker's process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    format: u32,
    /// The name of the machine.
    pub machine: String,
    /// The processors of the machine, if it says so.
    #[serde(default)]
    pub(super) processors: Option<NonZeroUsize>,
    /// The layer; `None` if the step failed.
    layer: Option<DescribedLayer>,
    /// The keys of the selected files of a COPY.
    pub(crate) selected: Option<Selected>,
    /// The exit of the step's process, if it was started.
    exit: Option<DescribedExit>,
    /// The error, if there is one.
    pub failure: Option<Failure>,
    /// The network that the step had.
    pub network: Option<Network>,
    /// The phases of the work, in the order of their ends.
    pub phases: Vec<(Phase, Nanos, Nanos)>,
    /// The processes inside the step, if they were observed.
    pub processes: Option<Processes>,
    /// The output of the step.
    pub lines: Vec<PrintedLine>,
}

/// The error of a step, or of the machine that should run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The origin of the error.
    pub kind: FailureKind,
    /// The message.
    pub message: String,
}

/// The origin of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// The step: it would fail on every machine.
    Step,
    /// The machine: the step may succeed on another one.
    Machine,
}

/// A line, or a piece of a long line, that the step printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintedLine {
    /// Whether it was written to standard error.
    error: bool,
    /// The time since the start of the step's process.
    at: Nanos,
    /// The text, if it is UTF-8.
    text: String,
    /// The bytes in hexadecimal digits, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hex: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct DescribedLayer {
    diff_id: DiffId,
    size: u64,
    files: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct DescribedExit {
    code: Option<i32>,
    signal: Option<i32>,
    oom: bool,
    resources: Resources,
}

impl Account {
    /// An empty account.
    pub(super) fn of(machine: String) -> Self {
        Self {
            format: FORMAT,
            machine,
            processors: std::thread::available_parallelism().ok(),
            layer: None,
            selected: None,
            exit: None,
            failure: None,
            network: None,
            phases: Vec::new(),
            processes: None,
            lines: Vec::new(),
        }
    }

    /// Reads an account.
    ///
    /// # Errors
    /// Fails if it is not one of this version.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let account: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("{ACCOUNT} is not valid: {error}"))?;
        if account.format != FORMAT {
            return Err(format!("{ACCOUNT} has version {}; this program reads {FORMAT}", account.format));
        }
        account.check()?;
        Ok(account)
    }

    /// Refuses what no worker of this program writes. Later sums must not overflow, tables have room for a name, and the record of the
    /// build is valid.
    fn check(&self) -> Result<(), String> {
        if let Some(layer) = self.layer.filter(|layer| layer.size > LARGEST_LAYER || layer.files > layer.size) {
            return Err(format!("{ACCOUNT} names a layer of {} bytes with {} files", layer.size, layer.files));
        }
        if let Some(signal) = self.exit.and_then(|exit| exit.signal).filter(|signal| !(1..=64).contains(signal)) {
            return Err(format!("{ACCOUNT} names signal {signal}"));
        }
        if self.machine.len() > LONGEST_NAME {
            return Err(format!("{ACCOUNT} has a machine name of {} bytes", self.machine.len()));
        }
        if let Some((phase, ..)) = self.phases.iter().find(|(_, start, end)| start > end) {
            return Err(format!("{ACCOUNT} has the phase {phase}, which ends before it starts"));
        }
        let processes = self.processes.as_ref().map_or(Ok(()), |processes| processes.validate("processes"));
        processes.map_err(|error| format!("{ACCOUNT} is not valid: {error}"))
    }

    /// The JSON form.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and digests always serialise.
        serde_json::to_vec(self).expect("plain data")
    }

    /// Enters the end of a COPY: its layer and the keys of its files, or its error.
    pub(super) fn copied(&mut self, copied: Result<(Layer, Selected), CopyError>) {
        match copied {
            Ok((Layer { diff_id, size, files }, selected)) => {
                self.layer = Some(DescribedLayer { diff_id, size, files });
                self.selected = Some(selected);
            }
            Err(error) => {
                let of_machine = matches!(error, CopyError::Storage(_) | CopyError::Read { .. });
                self.failed(if of_machine { FailureKind::Machine } else { FailureKind::Step }, &error);
            }
        }
    }

    /// Enters the end of a RUN: its layer, or its error.
    pub(super) fn ended(&mut self, ran: Result<(Layer, Exit), RunError>) {
        match ran {
            Ok((Layer { diff_id, size, files }, exit)) => {
                self.layer = Some(DescribedLayer { diff_id, size, files });
                self.exit = Some(DescribedExit::of(&exit));
            }
            // The status says it.
            Err(RunError::Failed { exit, .. }) => self.exit = Some(DescribedExit::of(&exit)),
            Err(error) => self.failed(kind(&error), &error),
        }
    }

    /// Enters an error with its causes.
    pub(super) fn failed(&mut self, kind: FailureKind, error: &dyn std::error::Error) {
        self.failure = Some(Failure { kind, message: distinct_causes(error) });
    }

    /// The layer of the step.
    pub fn layer(&self) -> Option<Layer> {
        self.layer.map(|DescribedLayer { diff_id, size, files }| Layer { diff_id, size, files })
    }

    /// The exit of the step's process.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let DescribedExit { code, signal, oom, resources } = self.exit?;
        let status = signal.map_or(Status::Code(code.unwrap_or_default()), Status::Signal);
        Some(Exit { status, oom, resources, init: None })
    }

    /// The exit code for the server: that of the step, or 1 for another failure.
    pub fn exit_code(&self) -> i32 {
        match (self.exit(), &self.failure) {
            (Some(exit), None) => exit.status.code(),
            (None, None) if self.layer.is_some() => 0,
            _ => 1,
        }
    }
}

impl DescribedExit {
    fn of(exit: &Exit) -> Self {
        let (code, signal) = match exit.status {
            Status::Code(code) => (Some(code), None),
            Status::Signal(signal) => (None, Some(signal)),
        };
        Self { code, signal, oom: exit.oom, resources: exit.resources }
    }
}

impl PrintedLine {
    pub(super) fn of(stream: Stream, at: Duration, bytes: &[u8]) -> Self {
        let (text, hex) = match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), String::new()),
            Err(_) => (String::new(), hex::encode(bytes)),
        };
        Self { error: stream == Stream::Stderr, at: at.into(), text, hex }
    }

    /// The stream, the time since the start of the process, and the bytes.
    pub(crate) fn parts(&self) -> (Stream, Duration, Vec<u8>) {
        let stream = if self.error { Stream::Stderr } else { Stream::Stdout };
        let bytes = match hex::decode(&self.hex) {
            Ok(bytes) if !bytes.is_empty() => bytes,
            _ => self.text.clone().into_bytes(),
        };
        (stream, Duration::from_nanos(self.at.0), bytes)
    }
}

/// The origin of the error.
fn kind(error: &RunError) -> FailureKind {
    match error {
        RunError::Storage(_) | RunError::RetryOnDisk => FailureKind::Machine,
        RunError::Sandbox(SandboxError::Exec { .. } | SandboxError::TimedOut(_)) => FailureKind::Step,
        RunError::Sandbox(_) => FailureKind::Machine,
        _ => FailureKind::Step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::{Observed, Process};

    fn read(change: impl FnOnce(&mut Account)) -> Result<Account, String> {
        let mut account = Account::of("worker".into());
        change(&mut account);
        Account::read(&account.to_bytes())
    }

    #[test]
    fn what_no_worker_has_is_refused() {
        let layer = |size, files| Some(DescribedLayer { diff_id: DiffId::of("layer"), size, files });
        let killed = |signal| {
            Some(DescribedExit { code: None, signal: Some(signal), oom: false, resources: Resources::default() })
        };
        assert!(read(|account| account.layer = layer(1024, 0)).is_ok());
        let times = |start, end| Processes::of(Observed::Events, Nanos(start), Nanos(end));
        let orphan = Process { parent: Some(0), ..Process::default() };
        assert!(read(|account| account.exit = killed(9)).is_ok());
        assert!(read(|account| account.phases = vec![(Phase::Process, Nanos(2), Nanos(2))]).is_ok());
        assert!(read(|account| account.processes = Some(times(2, 2))).is_ok());
        for refused in [
            read(|account| account.phases = vec![(Phase::Process, Nanos(2), Nanos(1))]),
            read(|account| account.processes = Some(times(2, 1))),
            read(|account| account.processes = Some(Processes { list: vec![orphan], ..times(1, 2) })),
            read(|account| account.layer = layer(u64::MAX, 1)),
            read(|account| account.layer = layer(1024, u64::MAX)),
            read(|account| account.exit = killed(i32::MAX)),
            read(|account| account.machine = "m".repeat(1 << 20)),
        ] {
            assert!(refused.unwrap_err().contains(ACCOUNT));
        }
    }
}
