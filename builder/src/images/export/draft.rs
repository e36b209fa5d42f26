//! Archives and layout directories that are started before all layers of their images exist.
//!
//! The layers of an image follow each other from the lowest, and so do the steps that make them. So what a draft has is what an
//! export would write first, and the completed file is the same. A draft that is dropped leaves nothing.

use super::super::ImageError;
use super::super::pace::Pace;
use super::copy::copy_range;
use super::destination::OutputFile;
use super::sink::{DirectorySink, Sink, TarSink};
use super::transform::Transform;
use super::{Destination, Layers, compress, unchanged};
use buildscope_oci::Encoding;
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use buildscope_storage::Store;
use std::path::Path;

/// The part of a layer, in bytes, that is copied before the pace is asked again: some milliseconds of work.
const PIECE: u64 = 16 << 20;
/// The number of open files of a directory draft. Later layers are written after the last step.
const MOST_OPEN: usize = 64;

/// The result of offering a layer to a draft.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Added {
    /// The draft has the layer.
    Done,
    /// The layer cannot be added now.
    NotYet,
}

/// The layers that a draft has.
#[derive(Default)]
pub(super) struct DraftLayers {
    /// The layers that were added, in this order.
    order: Vec<(DiffId, Transform)>,
    pub(super) layers: Layers,
}

/// A started archive. Its file has no name.
pub(crate) struct ArchiveDraft {
    pub(super) target: OutputFile,
    pub(super) tar: TarSink,
    pub(super) begun: DraftLayers,
}

/// A started layout directory. Its files have no names.
pub(crate) struct DirectoryDraft {
    pub(super) sink: DirectorySink,
    pub(super) begun: DraftLayers,
}

/// The resources for adding a layer to a draft.
#[derive(Clone, Copy)]
pub(crate) struct LayerWriter<'a> {
    pub(crate) store: &'a Store,
    pub(crate) pace: &'a Pace,
    pub(crate) probe: &'a Probe,
}

impl ArchiveDraft {
    pub(crate) fn begin(destination: &Destination, store: &Store) -> Result<Self, ImageError> {
        let target = OutputFile::open(destination, store)?;
        let tar = TarSink::begin(target.file()?, &target.what)?;
        Ok(Self { target, tar, begun: DraftLayers::default() })
    }

    /// Adds the next layer of the images.
    pub(crate) fn add(&mut self, layer: (DiffId, Transform), writer: LayerWriter<'_>) -> Result<Added, ImageError> {
        let span = writer.probe.phase(Phase::Export);
        span.detail(&self.target.what);
        let from = self.tar.size();
        let added = self.begun.add(layer, &mut self.tar, LayerWriter { probe: &span.probe(), ..writer })?;
        self.tar.begin_writing(from);
        Ok(added)
    }
}

impl DirectoryDraft {
    /// Starts a directory; `None` where files without a name are not possible.
    pub(crate) fn begin(directory: &Path) -> Option<Self> {
        Some(Self { sink: DirectorySink::unpublished(directory)?, begun: DraftLayers::default() })
    }

    /// Adds the next layer of the images.
    pub(crate) fn add(&mut self, layer: (DiffId, Transform), writer: LayerWriter<'_>) -> Result<Added, ImageError> {
        if self.sink.open_files() == MOST_OPEN {
            return Ok(Added::NotYet);
        }
        let span = writer.probe.phase(Phase::Export);
        span.detail(&self.sink.root().display().to_string());
        self.begun.add(layer, &mut self.sink, LayerWriter { probe: &span.probe(), ..writer })
    }
}

impl DraftLayers {
    /// Whether an export of these layers starts with those of the draft.
    pub(super) fn fits(&self, wanted: impl Iterator<Item = (DiffId, Transform)>) -> bool {
        let mut distinct: Vec<(DiffId, Transform)> = Vec::new();
        for layer in wanted {
            if distinct.len() == self.order.len() {
                break;
            }
            if !distinct.contains(&layer) {
                distinct.push(layer);
            }
        }
        distinct == self.order
    }

    /// Writes a layer to the sink as an export does.
    fn add(
        &mut self,
        (diff_id, transform): (DiffId, Transform),
        sink: &mut dyn Sink,
        LayerWriter { store, pace, probe }: LayerWriter<'_>,
    ) -> Result<Added, ImageError> {
        if self.layers.contains_key(&(diff_id, transform)) {
            return Ok(Added::Done);
        }
        if !store.blobs().contains(diff_id) {
            return Ok(Added::NotYet);
        }
        drop(pace.admit()?);
        let (file, whole) = unchanged(store, diff_id)?;
        let encoded = if transform.is_identity() && sink.has(&diff_id.into(), whole.size) {
            whole
        } else if transform.encoding != Encoding::Plain {
            compress(store, diff_id, transform, sink, pace, probe)?
        } else {
            let region = sink.reserve(whole.size)?;
            let encoded = if transform.is_identity() {
                let span = probe.phase(Phase::Copy);
                span.quantity(Quantity::BytesWritten, whole.size);
                store.look_through(diff_id.into())?;
                let failed = |error| ImageError::Write { what: format!("layer {diff_id}"), error };
                let mut at = 0;
                while at < whole.size {
                    let _admission = pace.admit()?;
                    let length = PIECE.min(whole.size - at);
                    copy_range(&file, at, length, &region.file, region.at + at).map_err(failed)?;
                    at += length;
                }
                whole
            } else {
                let span = probe.phase(Phase::Digest);
                span.quantity(Quantity::BytesHashed, whole.size);
                transform.run(store, diff_id, &region, pace)?
            };
            sink.settle(region, &encoded.digest, encoded.size)?;
            encoded
        };
        self.order.push((diff_id, transform));
        self.layers.insert((diff_id, transform), encoded);
        Ok(Added::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests stand for layers.
    fn layers(names: &str) -> Vec<(DiffId, Transform)> {
        let transform = Transform { epoch: None, encoding: Encoding::Gzip, level: None };
        names.chars().map(|name| (DiffId::of(name.to_string()), transform)).collect()
    }

    #[test]
    fn a_draft_fits_an_export_that_starts_with_its_layers() {
        let fits = |begun: &str, wanted: &str| {
            let begun = DraftLayers { order: layers(begun), layers: Layers::new() };
            begun.fits(layers(wanted).into_iter())
        };
        assert!(fits("", "") && fits("", "ab") && fits("ab", "abc") && fits("abc", "abc"));
        // An export writes a layer that an image has twice once.
        assert!(fits("abc", "abacb"));
        assert!(!fits("abc", "ab") && !fits("ab", "acb") && !fits("a", "b"));
    }
}
