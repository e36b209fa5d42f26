//! Debian's registry on loopback, for one test.

use crate::{free_port, until};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running registry. It is stopped on drop.
pub struct Registry {
    child: Child,
    /// `localhost:PORT`.
    pub host: String,
    folder: tempfile::TempDir,
}

/// The bcrypt hash of `secret`, computed by libxcrypt.
const HTPASSWD: &str = "tester:$2b$04$.ASNanygje3MuhtQDV7zROKKSHy8BjWgLsG/GWHba3xSvMIM..Gk.\n";

/// The protection of a registry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Plain HTTP without a login.
    Open,
    /// TLS and a login.
    Guarded,
}

impl Registry {
    /// Starts a registry without TLS and login. The test needs the program `docker-registry`.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::serve(Access::Open)
    }

    /// Starts a registry with TLS, its own certificate authority, and the login `tester` with password `secret`. The
    /// test needs the programs `docker-registry` and `openssl`.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn guarded() -> Self {
        Self::serve(Access::Guarded)
    }

    fn serve(access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: '127.0.0.1:{port}'\n",
            folder.path().join("data").display()
        );
        if access == Access::Guarded {
            authority(folder.path());
            let path = |name: &str| folder.path().join(name).display().to_string();
            std::fs::write(path("htpasswd"), HTPASSWD).unwrap();
            config += &format!("  tls: {{certificate: {}, key: {}}}\n", path("server.crt"), path("server.key"));
            config += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path("htpasswd"));
        }
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut command = Command::new("/usr/bin/docker-registry");
        command.arg("serve").arg(folder.path().join("config.yml")).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { child: command.spawn().unwrap(), host: format!("localhost:{port}"), folder };
        until("the registry comes up", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        registry
    }

    /// The certificate of its authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The directory of a repository in the registry's storage (distribution, "Storage drivers": the layout of the paths).
    #[must_use]
    pub fn repository(&self, name: &str) -> PathBuf {
        self.folder.path().join("data/docker/registry/v2/repositories").join(name)
    }

    /// The full name of an image in this registry.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Creates a certificate authority and a certificate for localhost.
fn authority(folder: &Path) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca \\
          -addext basicConstraints=critical,CA:TRUE
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=localhost
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile ext";
    let output = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
