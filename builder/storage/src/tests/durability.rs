//! Kills and full disks: what was reported as done stays, and the next build needs no repair.

use super::{file, layer, store_on};
use crate::{CacheEntry, DriverChoice, Store, StoreOptions};
use buildscope_record::{LayerKey, Probe};
use buildscope_testing::{Need, require};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where the child of [`two_hundred_kills_lose_nothing`] works; no other process has it.
const DIRECTORY: &str = "BUILDSCOPE_TEST_KILLED_STORE";
const KILLS: u64 = 200;

fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions { driver: DriverChoice::Copy, ..StoreOptions::default() }).unwrap()
}

/// The victim: makes layers, says so, and is killed. By itself it does nothing.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&dir));
    let run = std::process::id();
    for n in 0u64.. {
        let entries = (0..20)
            .map(|f| file(&format!("{run}-{n}-{f}"), &format!("{run} {n} {f} ").repeat(1 + (n as usize % 7) * 200)));
        let made = layer(&store, entries);
        let key = LayerKey::of(format!("{run} {n}"));
        store.cache().put(key, &CacheEntry { layers: vec![made.diff_id], value: Vec::new() }).unwrap();
        let mut out = std::io::stdout().lock();
        std::io::Write::write_all(&mut out, format!("done {key}\n").as_bytes()).unwrap();
        std::io::Write::flush(&mut out).unwrap();
        drop(out);
        if n % 5 == 4 {
            store.sync(&Probe::disabled()).unwrap();
        }
    }
}

#[test]
fn two_hundred_kills_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut reported = 0;
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::durability::victim", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // xorshift64 (Marsaglia, 2003): any moment from the start to some layers later.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_micros(random % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(dir.path());
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            let Some((_, key)) = line.split_once("done ") else { continue };
            // The last line may be cut.
            let Ok(key) = key.parse::<LayerKey>() else { continue };
            let hit = store.cache().get(&key).unwrap().expect("what was reported as done is there");
            for digest in &hit.entry.layers {
                store.blobs().verify(digest).unwrap();
                assert_eq!(store.tree(&[*digest]).unwrap().children(Path::new("")).count(), 20);
            }
            reported += 1;
        }
        layer(&store, [file("after", "the next build works")]);
    }
    assert!(reported > KILLS, "{reported} layers were made: the kills came too early to show anything");
}

#[test]
#[ignore = "needs root, loop devices and mkfs.ext4"]
fn a_full_disk_is_an_error_and_leaves_a_store_that_works() {
    require(&[Need::LoopDevices, Need::Program("mkfs.ext4")]);
    let fixture = store_on(DriverChoice::Copy, "ext4", 8 << 20);
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
    // Nothing of it takes space now.
    let after = layer(store, [file("after", "works")]);
    store.cache().put(LayerKey::of("after"), &CacheEntry { layers: vec![after.diff_id], value: Vec::new() }).unwrap();
    store.sync(&Probe::disabled()).unwrap();
    for key in ["kept", "after"] {
        assert!(store.cache().get(&LayerKey::of(key)).unwrap().is_some(), "{key}");
    }
}
