//! A directory with a store and a context, and the command to build in it.

use buildscope_record::{Outcome, Record};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A test's own store and context, removed at the end.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) store: PathBuf,
}

/// A finished `buildscope build`.
pub(crate) struct Built {
    pub(crate) output: Output,
    pub(crate) record: PathBuf,
}

impl World {
    /// Creates a context with this Dockerfile.
    pub(crate) fn new(dockerfile: &str) -> Self {
        let world = Self::empty();
        world.write("Dockerfile", dockerfile);
        world
    }

    /// An empty context.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let world = Self { dir, store };
        fs::create_dir(world.context()).unwrap();
        world
    }

    /// Removes the store, so the next build starts from nothing.
    pub(crate) fn forget(&self) {
        if root() && self.store.exists() {
            fs::remove_dir_all(&self.store).unwrap();
        } else if self.store.exists() {
            // An ordinary user can remove directories of other owners only inside its user namespace.
            let aside = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
            fs::rename(&self.store, aside.join("store")).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn context(&self) -> PathBuf {
        self.path("context")
    }

    /// Writes a file of the context.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.context().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// `buildscope build` of the context on this world's store.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_on(args, &[self.context().to_str().unwrap()])
    }

    /// `buildscope build` of another context on this world's store.
    pub(crate) fn command_on(&self, args: &[&str], context: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("build").arg("--root").arg(&self.store).args(args).args(context);
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("BUILDSCOPE_ROOT");
        command
    }

    /// Runs a build with a record.
    pub(crate) fn build(&self, args: &[&str]) -> Built {
        let record = self.path("record.json");
        let args = [args, &["--record", record.to_str().unwrap()]].concat();
        Built { output: self.command(&args).output().unwrap(), record }
    }

    /// Builds an OCI archive with fixed times and returns the digest of the manifest.
    pub(crate) fn digest(&self, args: &[&str]) -> String {
        let archive = self.path("image.tar");
        let output = format!("type=oci,dest={},rewrite-timestamp=true", archive.display());
        let args = [args, &["--output", &output, "--build-arg", "SOURCE_DATE_EPOCH=1500000000"]].concat();
        let run = self.command(&args).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let index: serde_json::Value = serde_json::from_slice(&member(&archive, "index.json")).unwrap();
        index["manifests"][0]["digest"].as_str().unwrap().to_owned()
    }
}

impl Built {
    /// The record of a build that must have succeeded.
    pub(crate) fn record(&self) -> Record {
        assert!(self.output.status.success(), "{}", self.stderr());
        self.read()
    }

    /// The record of a build, whatever its outcome.
    pub(crate) fn read(&self) -> Record {
        Record::read(fs::File::open(&self.record).unwrap()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// A message without the breaks of its long lines.
pub(crate) fn flat(message: &[u8]) -> String {
    String::from_utf8_lossy(message).replace("\n  │ ", " ")
}

/// Whether the process runs as root.
pub(crate) fn root() -> bool {
    rustix::process::getuid().is_root()
}

/// The program under test: cargo's, or the one that BUILDSCOPE_TEST_PROGRAM names for an ordinary user without access
/// to cargo's.
fn program() -> PathBuf {
    std::env::var_os("BUILDSCOPE_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_buildscope").into(), PathBuf::from)
}

/// Whether steps have their own cgroups: always for root, for an ordinary user if the caller has delegated one.
pub(crate) fn cgroups() -> bool {
    root() || std::env::var_os("BUILDSCOPE_TEST_CGROUPS").is_some()
}

/// A copy of the program in a world-writable directory, where an ordinary user can run it and write files next to it.
pub(crate) fn program_for_all(directory: &Path) -> PathBuf {
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(directory, 0o1777);
    let program = directory.join("buildscope");
    fs::copy(self::program(), &program).unwrap();
    open(&program, 0o755);
    program
}

/// A command that runs its arguments as this user. The home directory of root is not readable for the user.
pub(crate) fn as_user(user: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all", "--"]);
    command.env("HOME", "/nonexistent");
    command
}

/// The texts of the steps with this outcome, in the order of the file.
pub(crate) fn steps(record: &Record, outcome: Outcome) -> Vec<&str> {
    record.steps.iter().filter(|step| step.outcome == outcome).map(|step| step.text.as_str()).collect()
}

/// Reads a file in a tar.
pub(crate) fn member(archive: &Path, name: &str) -> Vec<u8> {
    let run = Command::new("tar").arg("-xOf").arg(archive).arg(name).output().unwrap();
    assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

/// The stock runtimes that are installed.
pub(crate) fn runtimes() -> impl Iterator<Item = &'static str> {
    let installed =
        |name: &&str| ["/usr/bin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(name).exists());
    ["crun", "runc"].into_iter().filter(installed)
}

/// All executors that are available here.
pub(crate) fn executors() -> impl Iterator<Item = &'static str> {
    ["native"].into_iter().chain(runtimes())
}
