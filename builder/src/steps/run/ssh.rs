//! `RUN --mount=type=ssh`: an agent's socket inside the sandbox.
//!
//! The host's socket belongs to the user; the step's socket has the owner and the mode that the mount asks for. So the
//! step gets its own socket, whose connections are forwarded. It exists as long as the step runs, and so does an agent
//! that is started for key files.

use super::options::AgentSource;
use buildscope_sandbox::{detached, helper};
use buildscope_storage::StorageError;
use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// A forwarded agent. Forwarding ends when this is dropped.
pub(super) struct Agent {
    socket: PathBuf,
    task: JoinHandle<()>,
    _keyring: Option<Keyring>,
    /// The directory of the socket. It is dropped last.
    _directory: TempDir,
}

impl Agent {
    /// Creates a socket and forwards its connections to the agent.
    pub(super) fn forward(agent: &AgentSource, mode: u32, (uid, gid): (u32, u32)) -> io::Result<Self> {
        let directory = directory()?;
        let (agent, keyring) = match agent {
            AgentSource::Socket(socket) => (socket.clone(), None),
            AgentSource::Keys(keys) => {
                let keyring = Keyring::start(&directory.path().join("keys"), keys)?;
                (keyring.socket.clone(), Some(keyring))
            }
        };
        std::os::unix::net::UnixStream::connect(&agent)?;
        let socket = directory.path().join("agent");
        let listener = UnixListener::bind(&socket)?;
        let task = tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let agent = agent.clone();
                tokio::spawn(async move {
                    // If this connection breaks, the step sees the end of its own connection.
                    if let Ok(mut outer) = UnixStream::connect(&agent).await {
                        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
        });
        let this = Self { socket, task, _keyring: keyring, _directory: directory };
        std::fs::set_permissions(&this.socket, Permissions::from_mode(mode))?;
        std::os::unix::fs::chown(&this.socket, Some(uid), Some(gid))?;
        Ok(this)
    }

    /// Makes a detached mount of the socket.
    pub(super) fn mount(&self) -> Result<OwnedFd, StorageError> {
        detached(&self.socket).map_err(|error| StorageError::Io { action: "mount", path: self.socket.clone(), error })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A directory for sockets, with access for the owner only and a name that no other user can guess. If it cannot be removed at the end,
/// it stays in the system's directory for temporary files.
fn directory() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("buildscope-ssh-").tempdir()
}

/// OpenSSH's agent with some keys. It ends when this is dropped.
struct Keyring {
    socket: PathBuf,
    /// The command that the agent was started for. It ends when its standard input, our pipe, is closed. If the builder
    /// is killed, the agent notices within ten seconds that the command has ended (ssh-agent(1)).
    command: Child,
    agent: Option<rustix::process::Pid>,
}

impl Keyring {
    fn start(socket: &Path, keys: &[PathBuf]) -> io::Result<Self> {
        let mut command = helper("ssh-agent")
            .arg("-a")
            .arg(socket)
            .args(["sh", "-c", "echo $SSH_AGENT_PID; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| named("ssh-agent, which key files need (the package openssh-client has it)", &error))?;
        let output = command.stdout.take().ok_or_else(|| io::Error::other("ssh-agent: no standard output"))?;
        let mut this = Self { socket: socket.to_owned(), command, agent: None };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        this.agent = line.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
        if this.agent.is_none() {
            return Err(io::Error::other("ssh-agent did not start"));
        }
        keys.iter().try_for_each(|key| this.add(key))?;
        Ok(this)
    }

    /// Adds a key through a pipe, so that ssh-add does not check the file's mode. BuildKit does not check it either.
    fn add(&self, key: &Path) -> io::Result<()> {
        let content = std::fs::read(key).map_err(|error| named(&key.display().to_string(), &error))?;
        let mut add = helper("ssh-add")
            .args(["-q", "-"])
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS_REQUIRE", "never")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| named("ssh-add", &error))?;
        if let Some(mut input) = add.stdin.take() {
            input.write_all(&content)?;
        }
        let mut errors = String::new();
        if let Some(mut output) = add.stderr.take() {
            output.read_to_string(&mut errors)?;
        }
        if add.wait()?.success() {
            return Ok(());
        }
        let reason = "ssh-add rejects the key, or the key has a passphrase";
        Err(io::Error::other(format!("{}: {reason}: {}", key.display(), errors.trim())))
    }
}

fn named(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

impl Drop for Keyring {
    fn drop(&mut self) {
        if let Some(agent) = self.agent {
            let _ = rustix::process::kill_process(agent, rustix::process::Signal::TERM);
        }
        drop(self.command.stdin.take());
        let _ = self.command.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_testing::{Need, require};

    /// The messages are those of draft-miller-ssh-agent: 11 asks for the identities. 12 is the response, with their
    /// number and, for each, the public key and the comment.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs ssh-keygen and ssh-add"]
    async fn the_agent_of_key_files_ends_with_the_step() {
        require(&[Need::Program("ssh-keygen"), Need::Program("ssh-add")]);
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| {
            let path = folder.path().join(name);
            let keygen = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(&path)
                .status();
            assert!(keygen.unwrap().success());
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            path
        };
        let (one, two) = (key("first-key"), key("second-key"));
        let agent = Agent::forward(&AgentSource::Keys(vec![one, two]), 0o600, (0, 0)).unwrap();
        let ask = || {
            let mut stream = std::os::unix::net::UnixStream::connect(&agent.socket).unwrap();
            stream.write_all(&[0, 0, 0, 1, 11]).unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut answer = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut answer).unwrap();
            answer
        };
        let answer = tokio::task::block_in_place(ask);
        assert_eq!(answer[..5], [12, 0, 0, 0, 2]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.contains("first-key") && text.contains("second-key"), "{text}");
        let (pid, directory) = (agent._keyring.as_ref().unwrap().agent.unwrap(), agent._directory.path().to_owned());
        drop(agent);
        assert!(!directory.exists());
        while rustix::process::test_kill_process(pid).is_ok() {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
            if state.contains(") Z") {
                break; // a zombie: its parent has not reaped it yet
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let bad = folder.path().join("bad");
        std::fs::write(&bad, "not a key").unwrap();
        let error = Agent::forward(&AgentSource::Keys(vec![bad]), 0o600, (0, 0)).err().unwrap();
        assert!(error.to_string().contains("bad: ssh-add rejects the key"), "{error}");
    }
}
