//! What the processes of a step did, watched from outside.
//!
//! *Takes* the process under which steps are started. *Gives*, for every step, its processes: what each executed, when, on
//! what its time went. *Must never know* Dockerfiles, sandboxes or records of builds beyond
//! [`Processes`](buildscope_record::Processes), and must never make a step wait or fail: whatever cannot be observed is
//! said in the result and nothing else happens.
//!
//! [`events`] are the kernel's own, read from its [`ring`] buffers (perf_event_open(2)); where those are not allowed, [`sampled`] makes similar ones from
//! `/proc`. [`exits`] are the kernel's accounts of threads that ended. [`forest`] turns all of them into processes; [`wait`]
//! finds out what a process waits for; [`heard`] are the arguments of the machine's programs; [`stacks`] are samples of what processors run, if they are requested; [`Observer`] is the thread that runs them.

#![forbid(unsafe_code)]

mod account;
mod blocked;
mod compat;
mod event;
mod events;
mod exits;
mod fold;
mod forest;
mod heard;
mod lane;
mod observer;
mod pace;
mod procfs;
mod programs;
mod ring;
mod run;
mod sampled;
mod stacks;
mod symbols;
mod wait;

pub use observer::{Collect, Observer, Prepared, StepProcesses};
