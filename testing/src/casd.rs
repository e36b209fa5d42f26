//! buildbox-casd on loopback, for one test: a server of the Remote Execution API.

use crate::{free_port, program};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A running server. It is stopped on drop.
pub struct Casd {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Casd {
    /// Starts a server that stores blobs and results. The test needs the program `buildbox-casd`.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// Starts a server that also executes actions, with `buildscope`'s runner. The store of its worker ends with it.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn executing(buildscope: &Path) -> Self {
        Self::serve(Some(buildscope))
    }

    fn serve(runner: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(program("buildbox-casd").unwrap());
        command.arg(format!("--bind=127.0.0.1:{port}"));
        if let Some(buildscope) = runner {
            let link = folder.path().join("buildbox-run-buildscope");
            std::os::unix::fs::symlink(buildscope, &link).unwrap();
            command.arg(format!("--buildbox-run={}", link.display())).arg("--jobs=4");
            command.env("BUILDSCOPE_ROOT", folder.path().join("store")).env("BUILDSCOPE_MACHINE", "machine-1");
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.arg(folder.path().join("cache")).stdout(log.try_clone().unwrap()).stderr(log);
        let casd = Self { child: command.spawn().unwrap(), port, folder };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "buildbox-casd does not come up: {}", casd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
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

    /// What the server has printed.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
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
