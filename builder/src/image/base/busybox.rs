//! The embedded base image `busybox`: one static program under all its names.
//!
//! Like docker's official image: every applet is a link in `/bin`, the configuration has `PATH`
//! and `CMD ["sh"]`. The same program gives the same tree, layer, configuration and digest everywhere.

use super::elf;
use crate::image::document::Descriptor;
use crate::image::time::rfc3339;
use crate::image::{History, Image, ImageConfig, ImageError, Images, Platform, ResolvedImage, RuntimeConfig};
use crate::storage::{Content, Entry, EntryKind, Layer, Store, Timestamp};
use buildscope_record::Probe;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Raised when the tree or the configuration below changes: the remembered image is made again.
const RECIPE: u32 = 2;
/// The time of every file and of the image itself, 2017-07-14T02:40:00Z: any constant would do, but tar programs warn
/// of 1970.
const TIME: Timestamp = Timestamp { seconds: 1_500_000_000, nanos: 0 };
/// Docker's default.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where distributions keep it.
const PLACES: [&str; 4] = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox-static", "/usr/bin/busybox-static"];
/// The file beside the store's images that remembers which program gave which image.
const NOTE: &str = "busybox.json";

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
";
const GROUP: &str = "\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
wheel:x:10:root
www-data:x:33:
operator:x:37:
users:x:100:
nobody:x:65534:
";
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n";

/// Directories and their modes.
const DIRECTORIES: [(&str, u32); 20] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("sbin", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("usr/local", 0o755),
    ("usr/local/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
    ("var/spool", 0o755),
    ("var/spool/mail", 0o755),
    ("var/tmp", 0o1777),
    ("var/www", 0o755),
];

/// Which program an image was made of. A program that looks the same (as git's index looks at files) is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Program {
    recipe: u32,
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

#[derive(Serialize, Deserialize)]
struct Note {
    program: Program,
    target: Descriptor,
}

/// The image, made at the first use and remembered in the store.
pub(crate) fn image(store: &Store, images: &Images, probe: &Probe) -> Result<ResolvedImage, ImageError> {
    let note: Option<Note> = images.note(NOTE)?;
    if let Some(note) = note
        && Program::at(&note.program.path).is_some_and(|program| program == note.program)
        && let Ok(image) = images.load(&note.target, &Platform::host())
        && store.layer(&image.layers[0].diff_id)?.is_some()
    {
        return Ok(image);
    }
    let (program, bytes) = find(store)?;
    let applets = applets(&program.path)?;
    let layer = layer(store, bytes, &applets, probe)?;
    let target = images.keep(&Image::base(config(layer)))?;
    images.take_note(NOTE, &Note { program, target: target.clone() })?;
    images.load(&target, &Platform::host())
}

impl Program {
    fn at(path: &Path) -> Option<Self> {
        let stat = fs::metadata(path).ok()?;
        Some(Self {
            recipe: RECIPE,
            path: path.to_owned(),
            device: stat.dev(),
            inode: stat.ino(),
            size: stat.size(),
            changed: (stat.ctime(), stat.ctime_nsec()),
            modified: (stat.mtime(), stat.mtime_nsec()),
        })
    }
}

/// The host's static busybox, else Debian's, fetched through apt and kept in the store.
fn find(store: &Store) -> Result<(Program, Vec<u8>), ImageError> {
    let kept = store.root().join("images/busybox");
    let mut faults = Vec::new();
    for path in PLACES.iter().map(Path::new).chain([kept.as_path()]) {
        match usable(path) {
            Ok(found) => return Ok(found),
            Err(fault) => faults.extend(fault),
        }
    }
    match fetch(&kept) {
        Ok(()) => usable(&kept).map_err(|fault| ImageError::NoBusybox { fault: fault.unwrap_or_default() }),
        Err(fault) => {
            faults.push(fault);
            Err(ImageError::NoBusybox { fault: faults.join("; ") })
        }
    }
}

/// A static busybox and its bytes; else why not, which for a missing file needs no saying.
fn usable(path: &Path) -> Result<(Program, Vec<u8>), Option<String>> {
    let program = Program::at(path).ok_or(None)?;
    let bytes = fs::read(path).map_err(|error| Some(format!("{}: {error}", path.display())))?;
    match elf::fault(&bytes) {
        None => Ok((program, bytes)),
        Some(fault) => Err(Some(format!("{}: {fault}", path.display()))),
    }
}

/// Debian's package, by apt, which verifies it.
fn fetch(to: &Path) -> Result<(), String> {
    let folder = to.with_extension(format!("{}", std::process::id()));
    let work = || {
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        run(Command::new("apt-get").args(["-q", "download", "busybox-static"]).current_dir(&folder))?;
        let entries = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let package =
            entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
        let package = package.ok_or("apt-get download left no package")?;
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
        let inside = ["usr/bin/busybox", "bin/busybox"].map(|path| folder.join(path));
        let found = inside.iter().find(|path| path.is_file()).ok_or("the package busybox-static has no busybox")?;
        fs::rename(found, to).map_err(|error| format!("{}: {error}", to.display()))
    };
    let done = work();
    // What is left of a failed removal is a folder of the store that the next fetch of this process id uses again.
    let _ = fs::remove_dir_all(&folder);
    done
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program}: {}", text.trim().lines().last().unwrap_or("failed")))
        }
    }
}

/// The names that the program itself says it has.
fn applets(program: &Path) -> Result<BTreeSet<String>, ImageError> {
    let output = Command::new(program).arg("--list").output();
    let output = output.map_err(|error| ImageError::NoBusybox { fault: format!("{}: {error}", program.display()) })?;
    let names = String::from_utf8_lossy(&output.stdout);
    let names: BTreeSet<String> =
        names.lines().filter(|name| !name.is_empty() && !name.contains('/')).map(Into::into).collect();
    match names.contains("sh") {
        true => Ok(names),
        false => Err(ImageError::NoBusybox { fault: format!("{} --list names no `sh`", program.display()) }),
    }
}

fn layer(store: &Store, program: Vec<u8>, applets: &BTreeSet<String>, probe: &Probe) -> Result<Layer, ImageError> {
    let mut layer = store.layer_builder();
    let entry = |path: &str, kind, mode| Entry {
        path: path.into(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime: TIME,
        xattrs: Default::default(),
    };
    let none = || Content::Bytes(Arc::default());
    for (path, mode) in DIRECTORIES {
        layer.push(entry(path, EntryKind::Directory, mode), none());
    }
    let mut file = |path: &str, mode, bytes: Arc<[u8]>| {
        layer.push(entry(path, EntryKind::File { size: bytes.len() as u64 }, mode), Content::Bytes(bytes));
    };
    file("bin/busybox", 0o755, program.into());
    file("etc/passwd", 0o644, PASSWD.as_bytes().into());
    file("etc/group", 0o644, GROUP.as_bytes().into());
    file("etc/nsswitch.conf", 0o644, NSSWITCH.as_bytes().into());
    // No password opens any account; day 17361 is the time above.
    let shadow: String = PASSWD
        .lines()
        .filter_map(|line| line.split(':').next())
        .map(|user| format!("{user}:*:17361:0:99999:7:::\n"))
        .collect();
    file("etc/shadow", 0o640, shadow.as_bytes().into());
    for name in applets.iter().filter(|name| *name != "busybox") {
        // Symlinks, not hard links: those a driver that unpacks has to make files of their own, 2 MB each.
        layer.push(entry(&format!("bin/{name}"), EntryKind::Symlink { target: "busybox".into() }, 0o777), none());
    }
    // `#!/usr/bin/env`
    layer.push(entry("usr/bin/env", EntryKind::Symlink { target: "../../bin/env".into() }, 0o777), none());
    Ok(layer.finish(probe)?)
}

fn config(layer: Layer) -> ImageConfig {
    let Platform { architecture, os, variant, .. } = Platform::host();
    let created = Some(rfc3339(TIME));
    let created_by = Some("buildscope base busybox".into());
    let mut config = ImageConfig { architecture, os, variant, created: created.clone(), ..ImageConfig::default() };
    config.config = RuntimeConfig { env: vec![PATH.into()], cmd: Some(vec!["sh".into()]), ..RuntimeConfig::default() };
    config.rootfs.diff_ids = vec![layer.diff_id];
    config.history = vec![History { created, created_by, ..History::default() }];
    config
}
