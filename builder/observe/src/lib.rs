//! Observes the processes of steps from outside.
//!
//! *Takes* the process under which steps are started. *Gives*, for every step, its processes: their programs, their times, and what the
//! time was spent on. *Must never know* Dockerfiles, sandboxes or records of builds beyond [`Processes`](buildscope_record::Processes), and
//! must never delay a step or make it fail: the result names what could not be observed.
//!
//! [`events`] come from the kernel's [`ring`] buffers (perf_event_open(2)); without permission for those, [`sampled`] makes similar ones
//! from `/proc`. [`exits`] are the kernel's accounts of threads that ended. [`forest`] turns all of them into processes; [`wait`] finds out
//! what a process waits for; [`exec_arguments`] are those of the machine's programs, and [`commands`] are whole;
//! [`stacks`] are samples of what processors run, if they are requested; [`Observer`] is the thread that runs them, and [`report`] has the
//! result in the form of the record.
//!
//! # Start here
//!
//! ```no_run
//! use buildscope_observe::{Collect, Observer};
//! use std::time::Instant;
//!
//! let zygote = 4711; // the process that starts steps
//! let epoch = Instant::now();
//! let observer = Observer::start(zygote, Collect::Processes, |_| false).expect("a thread for the observer");
//! observer.wait_until_ready();
//! // ... steps run ...
//! for step in observer.finish(epoch) {
//!     println!("init {}: {} processes", step.init, step.processes.list.len());
//! }
//! ```

#![forbid(unsafe_code)]

mod account;
mod blocked;
mod clock;
mod collect;
mod commands;
mod compat;
mod demangle;
mod event;
mod events;
mod exec_arguments;
mod exec_stacks;
mod exits;
mod fold;
mod forest;
mod generated;
mod observer;
mod pace;
mod procfs;
mod programs;
mod refusal;
mod report;
mod ring;
mod run;
mod sampled;
mod scheduling;
mod stacks;
mod symbols;
mod timeline;
mod wait;

pub use collect::Collect;
pub use commands::StartedCommand;
pub use observer::{Observer, Prepared};
pub use report::StepProcesses;
pub use scheduling::{Scheduling, SetScheduling};
