//! Kills processes while they write layers: completed layers survive, and the next build needs no repair.

use buildscope_record::{LayerKey, Probe};
use buildscope_storage::{
    CacheEntry, Content, DriverChoice, DriverName, Entry, EntryKind, Layer, Store, StoreOptions, Timestamp,
};
use buildscope_testing::{Random, test};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

const KILLS: u64 = 200;
/// The number of files in a layer.
const FILES: u64 = 20;

fn main() -> ExitCode {
    match std::env::args().collect::<Vec<_>>().as_slice() {
        [_, mode, dir] if mode == "--write-layers" => write_layers(Path::new(dir)),
        _ => buildscope_testing::main(),
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() }).unwrap()
}

fn layer(store: &Store, files: impl Iterator<Item = (String, String)>) -> Layer {
    let mut builder = store.layer_builder();
    for (path, content) in files {
        let kind = EntryKind::File { size: content.len() as u64 };
        let mtime = Timestamp { seconds: 1_700_000_000, nanos: 0 };
        let entry = Entry { kind, mode: 0o644, mtime, ..Entry::directory(&path) };
        builder.push(entry, Content::Bytes(content.into_bytes().into()));
    }
    builder.finish(&Probe::disabled()).unwrap()
}

/// The process that is killed: writes layers and prints the key of each.
fn write_layers(dir: &Path) -> ExitCode {
    let store = open(dir);
    let run = std::process::id();
    for number in 0_u64.. {
        let content = |file: u64| format!("{run} {number} {file} ").repeat(1 + (number as usize % 7) * 200);
        let made = layer(&store, (0..FILES).map(|file| (format!("{run}-{number}-{file}"), content(file))));
        let key = LayerKey::of(format!("{run} {number}"));
        store.cache().put(key, &CacheEntry { layers: vec![made.diff_id], value: Vec::new() }).unwrap();
        let mut out = std::io::stdout().lock();
        out.write_all(format!("done {key}\n").as_bytes()).unwrap();
        out.flush().unwrap();
        drop(out);
        if number % 5 == 4 {
            store.sync(&Probe::disabled()).unwrap();
        }
    }
    ExitCode::SUCCESS
}

#[test]
fn two_hundred_kills_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let mut reported = 0;
    for number in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--write-layers")
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Every second one has written a layer, however slow the machine is. The others may be killed at the start.
        let first = (number % 2 == 1).then(|| lines.next().unwrap());
        std::thread::sleep(Duration::from_micros(random.number() % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(dir.path());
        for line in first.into_iter().chain(lines) {
            // The last line may be incomplete.
            let Some(Ok(key)) = line.strip_prefix("done ").map(str::parse::<LayerKey>) else { continue };
            let hit = store.cache().get(&key).unwrap().expect("a reported layer is in the cache");
            for digest in &hit.entry.layers {
                store.verify(*digest).unwrap();
                let files = store.tree(&[*digest]).unwrap().children(Path::new("")).count();
                assert_eq!(files as u64, FILES);
            }
            reported += 1;
        }
        layer(&store, [("after".to_owned(), "the next build works".to_owned())].into_iter());
    }
    assert!(reported >= KILLS / 2, "only {reported} layers were written");
}
