//! Why a RUN step has no layer.

use crate::steps::copy::CopyError;
use buildscope_dockerfile::BadId;
use buildscope_sandbox::{Exit, SandboxError};
use buildscope_storage::StorageError;

/// A failure of RUN.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The process ended otherwise than with 0. The words are BuildKit's, which people search for.
    #[error("process \"{command}\" did not complete successfully: {}{}", .exit.status, oom(.exit))]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        exit: Box<Exit>,
    },
    /// The program is for another processor, and the kernel knows no emulator for it.
    #[error(
        "cannot run `{program}`: it is built for {platform}, and this machine has no emulator for that: register one with \
         binfmt_misc (Debian: apt-get install qemu-user-static), or begin the stage with FROM --platform=$BUILDPLATFORM"
    )]
    NoEmulator {
        /// The program.
        program: String,
        /// What the stage is for.
        platform: String,
    },
    /// There is not enough memory for its changes (`--tmpfs-upper`), or it changed a file under one of several names that the storage
    /// driver cannot tell apart: done [again](super::Runner::again), it may succeed.
    #[error(
        "it has to be done again: its changes take more memory than there is for them, or files had to be torn apart"
    )]
    Again,
    /// `USER` names a user that the image does not have.
    #[error("unable to find user {0}: no matching entries in /etc/passwd of the image")]
    UnknownUser(String),
    /// `USER` names a group that the image does not have.
    #[error("unable to find group {0}: no matching entries in /etc/group of the image")]
    UnknownGroup(String),
    /// `USER`, or the line of the image's passwd or group file that it means, has an id that no process can have.
    #[error("cannot run as `{user}`{}: {source}", place(*.file))]
    BadId {
        /// `USER` as written.
        user: String,
        /// The image's file that has the id, if it is not in `USER` itself.
        file: Option<&'static str>,
        /// What is wrong with it.
        source: BadId,
    },
    /// A `required` secret that was not given.
    #[error("secret {0} not found: give it with `--secret id={0},src=FILE` or `--secret id={0},env=NAME`")]
    NoSecret(String),
    /// A secret whose file or variable cannot be read.
    #[error("cannot read secret {id}: {source}")]
    Secret {
        /// Its id.
        id: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A `required` agent that was not given.
    #[error("no SSH agent `{0}`: give it with `--ssh {0}` (and an agent in SSH_AUTH_SOCK) or `--ssh {0}=SOCKET`")]
    NoAgent(String),
    /// An agent that cannot be forwarded.
    #[error("cannot forward the SSH agent `{id}`: {source}")]
    Agent {
        /// Its id.
        id: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Something that the person who builds has to allow.
    #[error("{what} is not allowed: a Dockerfile must not take it by itself; allow it with `--allow {entitlement}`")]
    NotAllowed {
        /// What the step asks for.
        what: String,
        /// The name of the permission, as buildx has it.
        entitlement: String,
    },
    /// A bind mount of something that the build does not have.
    #[error("cannot mount from {0}: the build has no such stage, image or context")]
    NoOrigin(String),
    /// What a bind mount takes from a context cannot be had.
    #[error(transparent)]
    Context(#[from] CopyError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn place(file: Option<&str>) -> String {
    file.map(|file| format!(" (its line in {file} of the image)")).unwrap_or_default()
}

fn oom(exit: &Exit) -> &'static str {
    if exit.oom { ": out of memory: the kernel killed a process of this step" } else { "" }
}
