//! The embedded base image `busybox`: one static program under all its names.
//!
//! Like docker's official image: every applet is a link in `/bin`, the configuration has `PATH`
//! and `CMD ["sh"]`. The same program gives the same tree, layer, configuration and digest everywhere.

use super::program::{Program, applets, find};
use crate::http::rfc3339;
use crate::images::{Image, ImageError, Images, Registries, ResolvedImage};
use buildscope_oci::Descriptor;
use buildscope_oci::{History, ImageConfig, Platform, RuntimeConfig};
use buildscope_record::Probe;
use buildscope_storage::{Content, Entry, EntryKind, Layer, Store, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Raised when the tree or the configuration below changes: the remembered image is made again.
const RECIPE: u32 = 2;
/// The time of every file and of the image itself, 2017-07-14T02:40:00Z: any constant would do, but tar programs warn
/// of 1970.
const TIME: Timestamp = Timestamp { seconds: 1_500_000_000, nanos: 0 };
/// Docker's default.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
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

#[derive(Serialize, Deserialize)]
struct Note {
    recipe: u32,
    program: Program,
    target: Descriptor,
}

/// The image, made at the first use and remembered in the store. `registries` are asked for the program where neither
/// the machine nor its packages have it.
pub(crate) fn image(
    store: &Store,
    images: &Images,
    registries: Option<&Registries>,
    probe: &Probe,
) -> Result<ResolvedImage, ImageError> {
    let note: Option<Note> = images.note(NOTE)?;
    if let Some(note) = note
        && note.recipe == RECIPE
        && Program::at(note.program.path()).is_some_and(|program| program == note.program)
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
