//! `RUN --mount=type=ssh`: an agent's socket inside the box.
//!
//! The host's socket belongs to the person who builds; the step's has the owner and the mode that the mount asks
//! for. So it is another socket, whose connections are passed on. It lives as long as the step.

use crate::execute::sandbox::detached;
use crate::storage::StorageError;
use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A forwarded agent; it ends when this is dropped.
pub(super) struct Agent {
    directory: PathBuf,
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Agent {
    /// Listens on a new socket for the agent at `agent`.
    pub(super) fn forward(agent: &Path, mode: u32, (uid, gid): (u32, u32)) -> io::Result<Self> {
        std::os::unix::net::UnixStream::connect(agent)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("buildscope-ssh-{}-{number}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let socket = directory.join("agent");
        let listener = UnixListener::bind(&socket)?;
        let agent = agent.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let agent = agent.clone();
                tokio::spawn(async move {
                    // A connection that breaks is the step's to notice: it sees the end of its own.
                    if let Ok(mut outer) = UnixStream::connect(&agent).await {
                        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
        });
        let this = Self { directory, socket, task };
        std::fs::set_permissions(&this.socket, Permissions::from_mode(mode))?;
        std::os::unix::fs::chown(&this.socket, Some(uid), Some(gid))?;
        Ok(this)
    }

    /// The socket as a detached mount.
    pub(super) fn mount(&self) -> Result<OwnedFd, StorageError> {
        detached(&self.socket).map_err(|source| StorageError::Io { action: "mount", path: self.socket.clone(), source })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
        // What cannot be removed is an empty directory of ours in the directory for such things.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
