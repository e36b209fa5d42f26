//! The embedded base image `busybox`: a static program with links for all its applets.
//!
//! As in docker's official image, every applet is a link in `/bin`, and the configuration has `PATH` and `CMD ["sh"]`.
//! The same program gives the same tree, layer, configuration and digest on every machine.

use super::program::{SourceProgram, applets, find};
use crate::http::rfc3339;
use crate::images::{Image, ImageError, Images, Registries, ResolvedImage};
use buildscope_oci::{DEFAULT_PATH, Descriptor, History, ImageConfig, Platform, RuntimeConfig};
use buildscope_record::Probe;
use buildscope_storage::{Content, Entry, EntryKind, Layer, Store, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The version of the tree and the configuration below. A change of it makes stores build the image again.
const RECIPE: u32 = 2;
/// The time of every file and of the image itself, 2017-07-14T02:40:00Z. Any constant would do, but tar programs warn
/// about times in 1970.
const TIME: Timestamp = Timestamp { seconds: 1_500_000_000, nanos: 0 };
/// The name of the note, among the store's images, that remembers the image and the program it was made from.
const NOTE: &str = "busybox.json";

const PASSWD: &str = concat!(
    "root:x:0:0:root:/root:/bin/sh\n",
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n",
    "bin:x:2:2:bin:/bin:/bin/false\n",
    "sys:x:3:3:sys:/dev:/bin/false\n",
    "sync:x:4:100:sync:/bin:/bin/sync\n",
    "mail:x:8:8:mail:/var/spool/mail:/bin/false\n",
    "www-data:x:33:33:www-data:/var/www:/bin/false\n",
    "operator:x:37:37:Operator:/var:/bin/false\n",
    "nobody:x:65534:65534:nobody:/home:/bin/false\n", // prose: quoted
);
const GROUP: &str = concat!(
    "root:x:0:\n",
    "daemon:x:1:\n",
    "bin:x:2:\n",
    "sys:x:3:\n",
    "adm:x:4:\n",
    "tty:x:5:\n",
    "disk:x:6:\n",
    "mail:x:8:\n",
    "wheel:x:10:root\n",
    "www-data:x:33:\n",
    "operator:x:37:\n",
    "users:x:100:\n",
    "nobody:x:65534:\n", // prose: quoted
);
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

#[derive(Serialize, Deserialize)]
struct Note {
    recipe: u32,
    program: SourceProgram,
    target: Descriptor,
}

/// The image. It is made at the first use and remembered in the store. If neither the machine nor its package manager
/// has the program, it is pulled from `registries`.
pub(crate) fn image(
    store: &Store,
    images: &Images,
    registries: Option<&Registries>,
    probe: &Probe,
) -> Result<ResolvedImage, ImageError> {
    let note: Option<Note> = images.note(NOTE)?;
    if let Some(note) = note
        && note.recipe == RECIPE
        && SourceProgram::at(note.program.path()).is_some_and(|program| program == note.program)
        && let Ok(image) = images.load(&note.target, &Platform::host())
        && store.layer(&image.layers[0].diff_id)?.is_some()
    {
        return Ok(image);
    }
    let (program, bytes) = find(store, images, registries, probe)?;
    let applets = applets(program.path())?;
    let layer = layer(store, bytes, &applets, probe)?;
    let target = images.keep(&Image::base(config(layer)))?;
    images.take_note(NOTE, &Note { recipe: RECIPE, program, target: target.clone() })?;
    images.load(&target, &Platform::host())
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
    // `*` locks every account. Day 17361 is the time above.
    let shadow: String = PASSWD
        .lines()
        .filter_map(|line| line.split(':').next())
        .map(|user| format!("{user}:*:17361:0:99999:7:::\n"))
        .collect();
    file("etc/shadow", 0o640, shadow.as_bytes().into());
    for name in applets.iter().filter(|name| *name != "busybox") {
        // Symbolic links, since a driver that unpacks layers may have to copy hard links, 2 MB each.
        layer.push(entry(&format!("bin/{name}"), EntryKind::Symlink { target: "busybox".into() }, 0o777), none());
    }
    // For scripts that start with `#!/usr/bin/env`.
    layer.push(entry("usr/bin/env", EntryKind::Symlink { target: "../../bin/env".into() }, 0o777), none());
    Ok(layer.finish(probe)?)
}

fn config(layer: Layer) -> ImageConfig {
    let Platform { architecture, os, variant, .. } = Platform::host();
    let created = Some(rfc3339(TIME));
    let created_by = Some("buildscope base busybox".into());
    let mut config = ImageConfig { architecture, os, variant, created: created.clone(), ..ImageConfig::default() };
    config.config = RuntimeConfig {
        env: vec![format!("PATH={DEFAULT_PATH}")],
        cmd: Some(vec!["sh".into()]),
        ..RuntimeConfig::default()
    };
    config.rootfs.diff_ids = vec![layer.diff_id];
    config.history = vec![History { created, created_by, ..History::default() }];
    config
}
