//! Registries: Debian's `docker-registry` on loopback, and one of our own with faults.

mod exchange;
mod faulty;
mod pulls;
mod pushes;

use buildscope_builder::images::{
    BuiltStep, Export, Image, ImageError, ImageFormat, ImageOptions, Images, Registries, ResolvedImage, assemble,
};
use buildscope_oci::{ImageConfig, Platform, Reference};
use buildscope_record::{ManifestDigest, Probe};
use buildscope_storage::{Content, Entry, EntryKind, Store, StoreOptions, Timestamp};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--pull-with-helper") {
        exchange::pull_with_helper();
        return ExitCode::SUCCESS;
    }
    buildscope_testing::main()
}

/// A temporary store.
struct Scene {
    folder: tempfile::TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), StoreOptions::default()).unwrap();
        Self { folder, store }
    }

    fn images(&self) -> Images {
        Images::of(&self.store)
    }

    /// Builds an image with one layer, which has a single file, over `base` or over nothing.
    fn built(&self, base: Option<&Arc<ResolvedImage>>, content: &[u8]) -> Image {
        let mtime = Timestamp { seconds: 1_700_000_000, nanos: 0 };
        let kind = EntryKind::File { size: content.len() as u64 };
        let entry = Entry { path: "file".into(), kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: Default::default() };
        let mut layer = self.store.layer_builder();
        layer.push(entry, Content::Bytes(content.into()));
        let layer = layer.finish(&Probe::disabled()).unwrap();
        let Platform { architecture, os, .. } = Platform::host();
        let config = ImageConfig { architecture, os, ..Default::default() };
        let made = [BuiltStep {
            created_by: "COPY file / # buildkit".into(),
            created: Some(mtime),
            layer: Some(layer.diff_id),
        }];
        assemble(&config, base, &made, None, mtime)
    }

    fn push(
        &self,
        image: &Image,
        to: &Reference,
        registries: &Registries,
        options: &ImageOptions,
    ) -> Result<ManifestDigest, ImageError> {
        let names = std::slice::from_ref(to);
        let export = Export {
            images: std::slice::from_ref(image),
            names,
            options,
            epoch: None,
            format: ImageFormat::Oci,
            predicates: &[],
            index: false,
        };
        Ok(export.to_registry(&self.store, registries, None, &Probe::disabled())?.target.digest.to_manifest())
    }
}

fn noise(length: usize) -> Vec<u8> {
    // A linear congruential generator (Knuth's MMIX constants), whose output does not compress well.
    let mut state = 1u64;
    let mut step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut step).take(length).collect()
}
