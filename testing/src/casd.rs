//! buildbox-casd on loopback, for one test: a server of the Remote Execution API.

use crate::{free_port, program, until};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A running server. It is stopped on drop.
pub struct Casd {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

/// The executor of actions.
#[derive(Clone, Copy)]
enum Worker<'a> {
    None,
    /// The runner of this program.
    Buildscope(&'a Path),
    /// The runner of buildbox, with this script instead of bubblewrap.
    Stock(&'a str),
}

impl Casd {
    /// Starts a server that stores blobs and results. The test needs the program `buildbox-casd`.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::serve(Worker::None)
    }

    /// Starts a server that also executes actions, with `buildscope`'s runner. The store of its worker ends with it.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn executing(buildscope: &Path) -> Self {
        Self::serve(Worker::Buildscope(buildscope))
    }

    /// Starts a server whose worker knows nothing of buildscope: the runner that comes with buildbox-casd. `bwrap` is the script of
    /// the program that it calls in place of bubblewrap.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn with_stock_worker(bwrap: &str) -> Self {
        Self::serve(Worker::Stock(bwrap))
    }

    fn serve(worker: Worker<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(program("buildbox-casd").unwrap());
        // Its worker leaves folders with results there.
        command.env("TMPDIR", folder.path());
        command.arg(format!("--bind=127.0.0.1:{port}"));
        let mut run = |runner: &Path| {
            command.arg(format!("--buildbox-run={}", runner.display())).arg("--jobs=4");
        };
        match worker {
            Worker::None => {}
            Worker::Buildscope(buildscope) => {
                let link = folder.path().join("buildbox-run-buildscope");
                symlink(buildscope, &link).unwrap();
                run(&link);
                command.env("BUILDSCOPE_ROOT", folder.path().join("store")).env("BUILDSCOPE_MACHINE", "machine-1");
            }
            Worker::Stock(bwrap) => {
                let casd = program("buildbox-casd").unwrap().canonicalize().unwrap();
                run(&casd.with_file_name("buildbox-run"));
                command.env("BUILDSCOPE_ROOT", folder.path().join("store"));
                let programs = folder.path().join("programs");
                fs::create_dir(&programs).unwrap();
                fs::write(programs.join("bwrap"), bwrap).unwrap();
                fs::set_permissions(programs.join("bwrap"), fs::Permissions::from_mode(0o755)).unwrap();
                let path = std::env::var_os("PATH").unwrap_or_default();
                let all = std::iter::once(programs).chain(std::env::split_paths(&path));
                command.env("PATH", std::env::join_paths(all).unwrap());
            }
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.arg(folder.path().join("cache")).stdout(log.try_clone().unwrap()).stderr(log);
        let casd = Self { child: command.spawn().unwrap(), port, folder };
        until("buildbox-casd comes up", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        casd
    }

    /// `grpc://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The output of the server.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The file of a blob, by the hexadecimal digits of its digest.
    #[must_use]
    pub fn blob(&self, hex: &str) -> PathBuf {
        self.folder.path().join("cache/cas/objects").join(&hex[..2]).join(&hex[2..])
    }

    /// The directory of all that the server and its worker keep.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The directory of the worker's store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Casd {
    fn drop(&mut self) {
        self.kill();
    }
}
