//! Full disks: completed layers survive, and the next build needs no repair.

use super::{file, layer, store_on};
use crate::{CacheEntry, DriverChoice, DriverName};
use buildscope_record::{LayerKey, Probe};
use buildscope_testing::{Need, require};
use std::io::Read;

#[test]
#[ignore = "needs root, loop devices and mkfs.ext4"]
fn the_store_works_after_a_full_disk() {
    require(&[Need::LoopDevices, Need::Program("mkfs.ext4")]);
    let fixture = store_on(DriverChoice::Named(DriverName::Copy), "ext4", 8 << 20);
    let store = &fixture.store;
    let kept = layer(store, [file("kept", "small")]);
    store.cache().put(LayerKey::of("kept"), &CacheEntry { layers: vec![kept.diff_id], value: Vec::new() }).unwrap();
    store.sync(&Probe::disabled()).unwrap();
    let random = |length: usize| {
        let mut bytes = vec![0; length];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        bytes
    };
    let mut builder = store.layer_builder();
    let (mut entry, _) = file("large", "");
    entry.kind = crate::EntryKind::File { size: 16 << 20 };
    builder.push(entry, crate::Content::Bytes(random(16 << 20).into()));
    let error = builder.finish(&Probe::disabled()).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    // The failed layer no longer uses space.
    let after = layer(store, [file("after", "works")]);
    store.cache().put(LayerKey::of("after"), &CacheEntry { layers: vec![after.diff_id], value: Vec::new() }).unwrap();
    store.sync(&Probe::disabled()).unwrap();
    for key in ["kept", "after"] {
        assert!(store.cache().get(&LayerKey::of(key)).unwrap().is_some(), "{key}");
    }
}
