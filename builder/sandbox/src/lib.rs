//! A process in a box.
//!
//! *Takes* a [`StepSpec`]. *Gives* its exit and its account. *Must never know* Dockerfiles, layers
//! or drivers: file systems come as detached mounts. The only room with `unsafe`.
//!
//! Three processes: the builder ([`Zygote::run`]), the helper that it started before it had threads
//! (`zygote`), and each step's pid 1 (`init`), which builds the box from inside, gives up its
//! privileges, starts the program and reaps. They speak over socket pairs (`channel`, `order`).

mod bundle;
mod cgroup;
mod channel;
mod counters;
mod error;
mod init;
mod isolate;
mod logs;
mod mounts;
mod network;
mod oci;
mod order;
mod place;
mod privileges;
mod profile;
mod request;
mod rlimits;
mod seccomp;
mod spec;
mod step;
#[expect(unsafe_code, reason = "the system calls that rustix lacks; every block has its proof")]
mod sys;
mod syscalls;
mod wire;
mod zygote;

pub use error::SandboxError;
pub use isolate::{Isolation, NoRange, isolate_process};
pub use logs::{LONGEST_LINE, LogLine, LogSink, Stream};
pub use mounts::detached;
pub use oci::OciRuntime;
pub use spec::*;
pub use step::{Exit, Status};
pub use zygote::{Zygote, serve_if_helper};
