//! Errors of RUN.

use crate::steps::copy::{CopyError, line_of};
use buildscope_dockerfile::BadId;
use buildscope_sandbox::{Exit, SandboxError};
use buildscope_storage::StorageError;
use std::path::PathBuf;

/// A failure of RUN.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The exit status is not 0. The message is BuildKit's, which people search for.
    #[error("process \"{command}\" did not complete successfully: {}{}", .exit.status, oom(.exit))]
    Failed {
        /// The command line.
        command: String,
        /// The exit of its process.
        exit: Box<Exit>,
    },
    /// The program is built for another processor, and the kernel has no emulator for it.
    #[error(
        "cannot run `{program}`: it is built for {platform}, and this machine has no emulator for that. Register one \
         with binfmt_misc (Debian: apt-get install qemu-user-static), or start the stage with FROM --platform=$BUILDPLATFORM"
    )]
    NoEmulator {
        /// The path of the program.
        program: String,
        /// The platform of the stage.
        platform: String,
    },
    /// The step's changes exceed the memory budget (`--tmpfs-upper`), or it changed one of several hard links that the
    /// storage driver cannot keep together. If the step is run again [on the disk](super::Runner::on_disk), it may
    /// succeed.
    #[error(
        "must be run again on the disk: its changes exceed the memory budget, or it modified a hard-linked file of a \
         lower layer"
    )]
    RetryOnDisk,
    /// A directory on the way to the program, or to the working directory, is closed to the user.
    #[error(
        "cannot run `{program}` in `{workdir}`: user {uid} may not enter the directory `{}` (mode {mode:o}): open it with \
         `RUN chmod a+x {}`, or run the step as another USER",
        directory.display(), directory.display()
    )]
    Closed {
        /// The program as the step names it.
        program: String,
        /// The working directory of the step.
        workdir: String,
        /// The id of the user.
        uid: u32,
        /// The directory that is closed.
        directory: PathBuf,
        /// The mode of the directory.
        mode: u32,
    },
    /// `USER` names a user that the image does not have.
    #[error("unable to find user {0}: no matching entries in /etc/passwd of the image")]
    UnknownUser(String),
    /// `USER` names a group that the image does not have.
    #[error("unable to find group {0}: no matching entries in /etc/group of the image")]
    UnknownGroup(String),
    /// `USER`, or its line in the image's passwd or group file, has an id that a process cannot have.
    #[error("cannot run as `{user}`{}: {error}", line_of(*.file))]
    BadId {
        /// `USER` as written.
        user: String,
        /// The file of the image with the id. `None` if the id is in `USER` itself.
        file: Option<&'static str>,
        /// The problem of the id.
        error: BadId,
    },
    /// A `required` secret is missing on the command line.
    #[error("secret {0} not found: give it with `--secret id={0},src=FILE` or `--secret id={0},env=NAME`")]
    NoSecret(String),
    /// The file or the variable of a secret cannot be read.
    #[error("cannot read secret {id}: {error}")]
    Secret {
        /// The id of the secret.
        id: String,
        /// The error of the read.
        error: std::io::Error,
    },
    /// A `required` agent is missing on the command line.
    #[error("no SSH agent `{0}`: give it with `--ssh {0}` (and an agent in SSH_AUTH_SOCK) or `--ssh {0}=SOCKET`")]
    NoAgent(String),
    /// An agent cannot be forwarded.
    #[error("cannot forward the SSH agent `{id}`: {error}")]
    Agent {
        /// The id of the agent.
        id: String,
        /// The error of starting it or of listening for connections.
        error: std::io::Error,
    },
    /// The step asks for a permission that only the user can grant.
    #[error("{what} is not allowed: a Dockerfile cannot grant it to itself; allow it with `--allow {entitlement}`")]
    NotAllowed {
        /// The flag of the instruction.
        what: String,
        /// The name of the permission, as in buildx.
        entitlement: String,
    },
    /// The step failed on another machine, with this message.
    #[error("{0}")]
    Away(String),
    /// The source of a bind mount does not exist in the build.
    #[error("cannot mount from {0}: the build has no such stage, image or context")]
    NoOrigin(String),
    /// The files of a bind mount cannot be read from a context.
    #[error(transparent)]
    Context(#[from] CopyError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn oom(exit: &Exit) -> &'static str {
    if exit.oom { ": out of memory: the kernel killed a process of this step" } else { "" }
}
