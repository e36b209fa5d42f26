//! The errors of the sandbox.

use rustix::io::Errno;
use std::time::Duration;

/// A reason why a step could not be run to its end. A process that ran and failed is not an error: see [`Exit`](super::Exit).
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The process could not move into namespaces of its own.
    #[error("cannot isolate the builder: {what}: {errno}{}", isolate_advice(*.errno))]
    Isolate {
        /// The operation that failed.
        what: &'static str,
        /// The kernel's error.
        errno: Errno,
    },
    /// The zygote could not be started.
    #[error("cannot start the process from which steps are cloned: {what}: {errno}")]
    Start {
        /// The operation that failed.
        what: &'static str,
        /// The kernel's error.
        errno: Errno,
    },
    /// The zygote has died. No further step can run.
    #[error("the process from which steps are cloned has died; run the build again")]
    Gone,
    /// The sandbox could not be set up.
    #[error("cannot set up the step's sandbox: {what}: {errno}{}", setup_advice(*.errno))]
    Setup {
        /// The operation that failed.
        what: String,
        /// The kernel's error.
        errno: Errno,
    },
    /// The step's program could not be executed in its root file system.
    #[error("cannot run `{program}`: {}", exec_advice(*.errno))]
    Exec {
        /// The program as the step names it.
        program: String,
        /// The kernel's error.
        errno: Errno,
    },
    /// The OCI runtime did not start the step's program.
    #[error("{runtime} did not start the step: {reason}")]
    Runtime {
        /// The name of the runtime.
        runtime: String,
        /// The error message of the runtime.
        reason: String,
    },
    /// The builder's side of a step failed.
    #[error("{what}: {error}")]
    Io {
        /// The operation that failed.
        what: &'static str,
        /// The reason for the failure.
        error: std::io::Error,
    },
    /// The build was cancelled while the step ran; every process of the step is dead.
    #[error("cancelled")]
    Cancelled,
    /// The step exceeded its time limit; every process of the step is dead.
    #[error("the step was stopped after {}: it ran longer than --timeout allows", seconds(*.0))]
    TimedOut(Duration),
}

impl SandboxError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { what, error }
    }

    pub(super) fn errno(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Io { what, error: errno.into() }
    }
}

fn isolate_advice(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM => {
            " (an ordinary user needs unprivileged user namespaces: see kernel.unprivileged_userns_clone, user.max_user_namespaces and the AppArmor restriction on them; in a container, start the container with these allowed; in a chroot, only root can build)"
        }
        Errno::NOSPC => " (user.max_user_namespaces or user.max_mnt_namespaces is used up)",
        _ => "",
    }
}

fn setup_advice(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM => {
            " (in a container: its seccomp profile forbids this, or it lacks a capability. Start it with `--security-opt seccomp=unconfined --cap-add SYS_ADMIN --cap-add NET_ADMIN`)"
        }
        _ => "",
    }
}

fn exec_advice(errno: Errno) -> String {
    match errno {
        Errno::NOENT => {
            "no such file or directory in the step's file system (or its interpreter or loader is missing)".into()
        }
        Errno::NOEXEC => "exec format error: a binary for another architecture, or a script without `#!`".into(),
        Errno::ACCESS => "permission denied: not executable for this user".into(),
        Errno::TOOBIG => {
            "an argument or variable is longer than 128 KiB, or all together are longer than a quarter of the stack's limit: \
             these are Linux's limits. Begin a long heredoc with `#!/bin/sh`, which makes it a file, or COPY the script"
                .into()
        }
        other => other.to_string(),
    }
}

pub(super) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
