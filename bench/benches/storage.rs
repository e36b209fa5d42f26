//! Writing and reading layers: files and bytes per second.

mod profiler;

use buildscope_record::{DiffId, Digest, Probe};
use buildscope_storage::{Content, Entry, EntryKind, Store, StoreOptions, SyncPolicy, Timestamp};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

const FILES: usize = 20_000;
const BYTES: usize = 1100;

fn entry(path: PathBuf, kind: EntryKind) -> Entry {
    Entry {
        path,
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp { seconds: 1, nanos: 0 },
        xattrs: BTreeMap::new(),
    }
}

/// Writes twenty thousand files of 1.1 kB in two hundred directories from memory.
fn write(store: &Store, content: &Arc<[u8]>) -> DiffId {
    let mut layer = store.layer_builder();
    for file in 0..FILES {
        let directory = PathBuf::from(format!("src/d{}", file / 100));
        if file % 100 == 0 {
            layer.push(entry(directory.clone(), EntryKind::Directory), Content::Bytes(Arc::from([])));
        }
        let kind = EntryKind::File { size: BYTES as u64 };
        layer.push(entry(directory.join(format!("f{}", file % 100)), kind), Content::Bytes(Arc::clone(content)));
    }
    layer.finish(&Probe::disabled()).expect("the store can be written").diff_id
}

fn storage(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let open = |name: &str| {
        let options = StoreOptions { sync: SyncPolicy::Never, ..StoreOptions::default() };
        Store::open(&folder.path().join(name), options).expect("an empty store")
    };
    let store = open("store");
    let content: Arc<[u8]> = (0..BYTES).map(|byte| byte as u8).collect();
    let mut group = criterion.benchmark_group("storage");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);

    group.throughput(Throughput::Elements(FILES as u64));
    group.bench_function("write 20,000 files", |bench| bench.iter(|| write(&store, &content)));

    let layer = write(&store, &content);
    group.bench_function("index and merge 20,000 files", |bench| {
        // A fresh store, because a store keeps trees that it has built.
        bench.iter_with_setup(|| open("store"), |store| store.tree(&[layer]).expect("the layer exists").depth());
    });
    let tree = store.tree(&[layer]).expect("the layer exists");
    group.bench_function("walk 20,000 files", |bench| bench.iter(|| black_box(&tree).walk("src".as_ref()).count()));
    group.throughput(Throughput::Elements(1));
    group.bench_function("look up a path", |bench| {
        bench.iter(|| tree.lookup(black_box("src/d137/f42".as_ref())).expect("the file exists"));
    });

    let big = vec![7_u8; 64 << 20];
    group.throughput(Throughput::Bytes(big.len() as u64));
    group.bench_function("digest 64 MiB", |bench| bench.iter(|| Digest::of(black_box(&big))));
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = storage);
criterion_main!(groups);
