//! `--load`: hands an image to the docker daemon, without what the daemon has.
//!
//! An image that the daemon has is only named. Otherwise the archive leaves out the lowest layers that the image shares with one of
//! the daemon's: it reads the file of a layer only if it lacks the layer and those below (moby, image/tarexport/load.go). A daemon
//! that needs more, because it keeps images in another form or has just removed some, gets the whole archive.

use super::daemon::{Daemon, DaemonImage, Temporary};
use super::export::{Export, Exported};
use super::{Destination, ImageError};
use buildscope_oci::Reference;
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use buildscope_storage::Store;

/// The number of the daemon's images, besides those of the same name, that are searched for the first layers of this image.
const SEARCHED: usize = 16;

pub(crate) fn load(export: &Export<'_>, store: &Store, probe: &Probe) -> Result<Exported, ImageError> {
    let daemon = Daemon::find()?;
    let mut known: &[DiffId] = &[];
    // A multi-platform image cannot be loaded, so there is one.
    if let (Some(exported), [image]) = (export.described(store)?, export.images) {
        let span = probe.phase(Phase::Export);
        span.detail("docker: what it has");
        if is_loaded(&daemon, &exported, export.names) {
            return Ok(exported);
        }
        let layers = &image.config.rootfs.diff_ids;
        known = &layers[..shared(&daemon, layers, export.names)];
    }
    match send(&daemon, export, known, store, probe) {
        Err(_) if !known.is_empty() => send(&daemon, export, &[], store, probe),
        sent => sent,
    }
}

/// Whether the daemon has the image and now knows it by all names.
fn is_loaded(daemon: &Daemon, exported: &Exported, names: &[Reference]) -> bool {
    // The classic store calls an image by the digest of its configuration, containerd's by that of its manifest or index.
    let ids = exported.configs.iter().chain([&exported.target]).map(|document| document.digest.to_string());
    let found = ids.filter_map(|id| daemon.inspect(&id).filter(|found| found.id == id)).next();
    let Some(found) = found else { return false };
    let is_named = |name: &Reference| found.has_tag(name) || daemon.tag(&found.id, name);
    names.iter().all(is_named)
}

/// The number of the lowest layers that an image of the daemon has too.
fn shared(daemon: &Daemon, layers: &[DiffId], names: &[Reference]) -> usize {
    let shared = |found: DaemonImage| {
        let theirs = found.layers();
        layers.iter().zip(theirs).take_while(|(ours, theirs)| ours.to_string() == **theirs).count()
    };
    let by_name = names.iter().filter_map(|name| daemon.inspect(&name.to_string())).map(shared).max().unwrap_or(0);
    // An earlier image of the same name mostly has all layers but the last ones.
    if by_name > 0 {
        return by_name;
    }
    daemon.list().iter().take(SEARCHED).filter_map(|id| daemon.inspect(id)).map(shared).max().unwrap_or(0)
}

/// Writes an archive into the store's scratch space and sends it to the daemon (Docker Engine API, `POST /images/load`).
fn send(
    daemon: &Daemon,
    export: &Export<'_>,
    known: &[DiffId],
    store: &Store,
    probe: &Probe,
) -> Result<Exported, ImageError> {
    let archive = Temporary::new(store, "load");
    let exported = export.archive_without(known, store, &Destination::Path(archive.path().to_owned()), probe)?;
    let span = probe.phase(Phase::Export);
    span.detail("docker");
    span.quantity(Quantity::BytesWritten, daemon.load(archive.path())?);
    Ok(exported)
}
