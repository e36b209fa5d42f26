//! Finds the program of the embedded busybox image.
//!
//! It must be a static executable, since the image contains nothing else. The sources are tried in order, the nearest
//! first. Each gives the same program on all machines with the same release of Debian, or the same digest.

use crate::elf;
use crate::http::proxies;
use crate::images::{ImageError, Images, Registries, ensure_layers};
use buildscope_oci::{Platform, Reference};
use buildscope_record::{Phase, Probe};
use buildscope_sandbox::{helper, output_of_helper};
use buildscope_storage::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The paths at which distributions install busybox.
const PATHS: [&str; 4] = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox-static", "/usr/bin/busybox-static"];
/// The last source: docker's official image of 1.36.1 with musl, which is static.
const IMAGE: &str =
    "docker.io/library/busybox:1.36.1-musl@sha256:2f9af5cf39068ec3a9e124feceaa11910c511e23a1670dcfdff0bc16793545fb";
/// The environment variable that names another image. It must have a digest too.
const VARIABLE: &str = "BUILDSCOPE_BUSYBOX";
/// The largest program that is accepted, in bytes. Debian's has 2 MB.
const LARGEST: u64 = 64 << 20;

/// Identifies the program that an image was made from. As in git's index, a file with an unchanged `stat` is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceProgram {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl SourceProgram {
    pub(super) fn at(path: &Path) -> Option<Self> {
        let stat = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            device: stat.dev(),
            inode: stat.ino(),
            size: stat.size(),
            changed: (stat.ctime(), stat.ctime_nsec()),
            modified: (stat.mtime(), stat.mtime_nsec()),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Finds the host's static busybox, else Debian's package through apt, else docker's image from a registry. A fetched
/// program is kept in the store.
pub(super) fn find(
    store: &Store,
    images: &Images,
    registries: Option<&Registries>,
    probe: &Probe,
) -> Result<(SourceProgram, Vec<u8>), ImageError> {
    let kept = store.root().join("images/busybox");
    let mut errors = Vec::new();
    for path in PATHS.iter().map(Path::new).chain([kept.as_path()]) {
        match usable(path) {
            Ok(found) => return Ok(found),
            Err(reason) => errors.extend(reason),
        }
    }
    let span = probe.phase(Phase::Fetch);
    span.detail("busybox");
    let from_package = || fetch_package(&kept);
    let from_image = || match registries {
        Some(registries) => fetch_image(store, images, registries, &kept, &span.probe()),
        None => Err("registries are not used offline".into()),
    };
    for fetch in [&from_package as &dyn Fn() -> Result<(), String>, &from_image] {
        match fetch().map_err(Some).and_then(|()| usable(&kept)) {
            Ok(found) => return Ok(found),
            Err(reason) => errors.extend(reason),
        }
    }
    Err(ImageError::NoBusybox { reason: errors.join("; ") })
}

/// Reads a static busybox. The error is the reason why the file cannot be used, or `None` if there is no file.
fn usable(path: &Path) -> Result<(SourceProgram, Vec<u8>), Option<String>> {
    let program = SourceProgram::at(path).ok_or(None)?;
    let bytes = fs::read(path).map_err(|error| Some(format!("{}: {error}", path.display())))?;
    match elf::reject_reason(&bytes) {
        None => Ok((program, bytes)),
        Some(reason) => Err(Some(format!("{}: {reason}", path.display()))),
    }
}

/// Fetches Debian's package through apt, which verifies it.
fn fetch_package(to: &Path) -> Result<(), String> {
    let folder = to.with_extension(format!("{}", std::process::id()));
    let work = || {
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        run(helper("apt-get").args(["-q", "download", "busybox-static"]).envs(proxies()).current_dir(&folder))?;
        let entries = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let package =
            entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
        let package = package.ok_or("apt-get download left no package")?;
        run(helper("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
        let inside = ["usr/bin/busybox", "bin/busybox"].map(|path| folder.join(path));
        let found = inside.iter().find(|path| path.is_file()).ok_or("the package busybox-static has no busybox")?;
        fs::rename(found, to).map_err(|error| format!("{}: {error}", to.display()))
    };
    let done = work();
    // If this fails, the directory stays in the store, and the next fetch with the same process id uses it again.
    let _ = fs::remove_dir_all(&folder);
    done
}

/// Fetches docker's image by its digest, so that every registry or mirror gives the same program.
fn fetch_image(
    store: &Store,
    images: &Images,
    registries: &Registries,
    to: &Path,
    probe: &Probe,
) -> Result<(), String> {
    let name = std::env::var(VARIABLE).unwrap_or_else(|_| IMAGE.to_owned());
    let work = || {
        let reference: Reference = name.parse()?;
        if reference.digest.is_none() {
            return Err(ImageError::malformed(
                VARIABLE,
                format!("`{name}` needs a digest: without one, the image may change"),
            ));
        }
        let image = registries.pull(&reference, &Platform::host(), images)?;
        let layers = ensure_layers(store, &image, probe)?;
        let tree = store.tree(&layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>())?;
        let program = tree.read(Path::new("bin/busybox"), LARGEST)?;
        let program = program.ok_or_else(|| ImageError::malformed(&name, "it has no file /bin/busybox"))?;
        images.keep_file(to, &program, 0o755)
    };
    work().map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = output_of_helper(command).map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}", text.trim().lines().last().unwrap_or("failed")))
}

/// The names of the applets, from the program itself.
pub(super) fn applets(program: &Path) -> Result<BTreeSet<String>, ImageError> {
    let failed = |error: io::Error| ImageError::NoBusybox { reason: format!("{}: {error}", program.display()) };
    // The program writes each name by itself. Into a pipe, each would wake this thread.
    let list =
        rustix::fs::memfd_create("applets", rustix::fs::MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let mut list = File::from(list);
    let mut command = helper(&program.to_string_lossy());
    command.arg("--list").stdin(Stdio::null()).stdout(list.try_clone().map_err(failed)?).stderr(Stdio::null());
    command.status().map_err(failed)?;
    let mut names = Vec::new();
    list.rewind().and_then(|()| list.read_to_end(&mut names)).map_err(failed)?;
    let names = String::from_utf8_lossy(&names);
    let names: BTreeSet<String> =
        names.lines().filter(|name| !name.is_empty() && !name.contains('/')).map(Into::into).collect();
    if names.contains("sh") {
        Ok(names)
    } else {
        Err(ImageError::NoBusybox { reason: format!("{} --list does not contain `sh`", program.display()) })
    }
}
