//! One process in one sandbox.
//!
//! *Takes* a [`StepSpec`]. *Gives* its exit and its resource usage. *Must never know* Dockerfiles, layers or drivers: file systems come
//! as detached mounts. This is the only crate with `unsafe` code.
//!
//! There are three kinds of processes, which communicate over socket pairs. The builder calls [`Zygote::run`]. The zygote is started
//! before the builder has threads and forks the steps. Each step's init (process 1 of the step's pid namespace) sets up the sandbox
//! from inside, drops its privileges, starts the program and reaps its orphans.
//!
//! # Start here
//!
//! ```no_run
//! use buildscope_record::Probe;
//! use buildscope_sandbox::{Credentials, Limits, LogLine, Privileges, StepNetwork, StepSpec, Zygote};
//! use buildscope_sandbox::{detached, isolate_process, serve_if_zygote};
//! use tokio_util::sync::CancellationToken;
//!
//! // Before the process has threads.
//! serve_if_zygote();
//! isolate_process()?;
//! let zygote = Zygote::start()?;
//!
//! let step = StepSpec {
//!     rootfs: detached("/srv/rootfs".as_ref())?,
//!     args: vec!["sh".into(), "-c".into(), "id".into()],
//!     env: vec!["PATH=/bin".into()],
//!     workdir: "/".into(),
//!     user: Credentials::default(),
//!     mounts: Vec::new(),
//!     network: StepNetwork::None,
//!     privileges: Privileges::Docker,
//!     devices: Vec::new(),
//!     stdin: None,
//!     hostname: "step".into(),
//!     extra_hosts: Vec::new(),
//!     limits: Limits::default(),
//! };
//! let log = |line: LogLine<'_>| println!("{}", String::from_utf8_lossy(line.text));
//! let runtime = tokio::runtime::Runtime::new()?;
//! let exit = runtime.block_on(zygote.run(step, log, CancellationToken::new(), &Probe::disabled()))?;
//! println!("exit code {}", exit.status.code());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! What a step may do: SECURITY.md. Reasons: docs/design/execution.md.

mod bundle;
mod cgroup;
mod channel;
mod counters;
#[cfg(test)]
mod docker;
mod error;
mod exit;
mod filesystem;
#[doc(hidden)]
pub mod fuzzing;
mod init;
mod isolate;
mod logs;
mod masks;
mod message;
mod mountpoint;
mod mounts;
mod network;
mod oci;
mod page_cache;
mod pressure;
mod privileges;
mod profile;
mod program;
mod request;
mod rlimits;
mod scratch;
mod seccomp;
mod signal;
mod spec;
mod step;
#[expect(unsafe_code, reason = "the system calls that rustix lacks; every block has its proof")]
mod sys;
mod syscalls;
mod wire;
mod zygote;

pub use error::SandboxError;
pub use exit::{Exit, Status};
pub use filesystem::detached;
pub use isolate::{Isolation, NoRange, isolate_process};
pub use logs::{LONGEST_LINE, LogLine, LogSink, Stream};
pub use network::IsolatedNetwork;
pub use oci::OciRuntime;
pub use page_cache::bytes_read;
pub use pressure::time_waited;
pub use program::{end_helpers, end_with_this_thread, helper, output as output_of_helper, read_output as read_helper};
pub use rlimits::knows_resource_limit;
pub use signal::signal_names;
pub use spec::*;
pub use sys::{
    end_at_bus_error, return_large_blocks, run_after_others, run_before_others, run_with_others, unblock_signals,
};
pub use zygote::{Zygote, serve_if_zygote};
