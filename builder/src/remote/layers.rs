//! Layers that servers have: those that this machine may have to fetch, and those that it has to send.

use super::machine::Machine;
use crate::images::{Blobs as _, ImageError, ImageLayer, ensure_all, in_parallel};
use buildscope_oci::{Descriptor, Encoding};
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, Quantity, StepId};
use buildscope_storage::{Acquired, OnceMap, Store};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

/// The rate in bytes per second at which this machine takes a layer from a fast link: it is decoded, hashed and written.
const TAKING: f64 = 250e6;
/// The number of layers that are fetched in parallel.
const STREAMS: usize = 4;

/// Opens the files of layers, to send them.
pub(crate) trait LayerFiles: Sync {
    /// The file of a layer. It is fetched first if this machine does not have it.
    fn open(&self, layer: DiffId) -> Result<File, ImageError>;

    /// Whether this machine has the layer.
    fn is_here(&self, layer: DiffId) -> bool;

    /// Keeps a small layer that came with a result. An error does not matter: the server has the layer, too.
    fn keep(&self, layer: DiffId, content: &[u8]);
}

/// The layers that steps on other machines made and this machine may not have.
#[derive(Default)]
pub(crate) struct KeptLayers {
    kept: Mutex<HashMap<DiffId, ServerLayer>>,
    /// The layers that their server has lost.
    lost: Mutex<Vec<BlobDigest>>,
    /// The layers that are being fetched, so that no layer is fetched twice.
    fetching: OnceMap<DiffId, Infallible>,
}

/// A layer on a server.
#[derive(Clone)]
struct ServerLayer {
    size: u64,
    machine: Arc<Machine>,
}

impl KeptLayers {
    pub(super) fn add(&self, layer: DiffId, size: u64, machine: &Arc<Machine>) {
        machine.note_layer(layer);
        self.kept.lock().insert(layer, ServerLayer { size, machine: Arc::clone(machine) });
    }

    fn find(&self, layer: &DiffId) -> Option<ServerLayer> {
        self.kept.lock().get(layer).cloned()
    }

    /// The time to fetch those of these layers that other machines made and the store does not have; `None` if there are none.
    pub(crate) fn fetch_time(&self, layers: &[DiffId], store: &Store) -> Option<Duration> {
        let kept = layers.iter().filter(|layer| !store.blobs().contains(**layer)).filter_map(|layer| self.find(layer));
        let times = kept.map(|kept| {
            let bytes = kept.size as f64;
            kept.machine.transfer_time(bytes).max(bytes * 1e9 / TAKING)
        });
        times.reduce(|sum, time| sum + time).map(|nanos| Duration::from_nanos(nanos as u64))
    }

    /// The size of a layer that a step on another machine made.
    pub(crate) fn size(&self, layer: &DiffId) -> Option<u64> {
        self.find(layer).map(|kept| kept.size)
    }

    /// Fetches the layers that other machines made and the store does not have. A layer that cannot be fetched is
    /// [lost](Self::take_lost).
    pub(crate) fn ensure(&self, store: &Store, layers: &[DiffId], probe: &Probe) -> Result<(), ImageError> {
        let missing = layers.iter().filter(|layer| !store.blobs().contains(**layer));
        let kept: Vec<_> = missing.filter_map(|layer| Some((*layer, self.find(layer)?))).collect();
        let Some((_, first)) = kept.first() else { return Ok(()) };
        let span = probe.phase(Phase::Pull);
        if kept.iter().all(|(_, kept)| Arc::ptr_eq(&kept.machine, &first.machine)) {
            span.detail(first.machine.blobs.origin());
        }
        span.quantity(Quantity::BytesRead, kept.iter().map(|(_, kept)| kept.size).sum());
        // A layer that another step is fetching is waited for; all of this counts as transfer.
        let inside = Probe::disabled();
        in_parallel(&kept, STREAMS, |(layer, kept)| self.fetch(store, *layer, kept, probe.step(), &inside)).map(drop)
    }

    fn fetch(
        &self,
        store: &Store,
        layer: DiffId,
        kept: &ServerLayer,
        step: Option<StepId>,
        probe: &Probe,
    ) -> Result<(), ImageError> {
        let Acquired::Ours(_turn) = self.fetching.acquire_blocking(&layer, step, probe, "remote layer");
        let descriptor = Descriptor::new(&Encoding::Plain.oci_layer(), BlobDigest::from(layer), kept.size);
        let wanted = [ImageLayer { descriptor, diff_id: layer }];
        ensure_all(store, &kept.machine.blobs, &wanted, probe).map(drop).inspect_err(|error| {
            if !matches!(error, ImageError::Store(_)) {
                self.lose(layer);
            }
        })
    }

    /// Forgets a layer that its server no longer has.
    fn lose(&self, layer: DiffId) {
        if self.kept.lock().remove(&layer).is_some() {
            self.lost.lock().push(layer.into());
        }
    }

    /// The layers that were lost since the last call. The steps that made them have to run again.
    pub(crate) fn take_lost(&self) -> Vec<BlobDigest> {
        std::mem::take(&mut self.lost.lock())
    }
}
