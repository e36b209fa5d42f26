//! Whole builds in one process: the proposal's example without its sleeps; thirty trivial steps, uncached and cached;
//! and the export of a large layer. Needs what a build needs (root or user namespaces).

mod profiler;

use buildscope_builder::engine::{Engine, Request, build};
use buildscope_record::Probe;
use buildscope_sandbox::{Zygote, isolate_process, serve_if_zygote};
use buildscope_schedule::Policy;
use buildscope_storage::{Store, StoreOptions};
use criterion::{Criterion, SamplingMode, Throughput};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

fn main() {
    serve_if_zygote();
    // Like the binary: before any other thread.
    if let Err(error) = isolate_process() {
        eprintln!("cannot measure builds on this machine: {error}");
        return;
    }
    let zygote = Zygote::start().expect("a helper");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&folder.path().join("store"), StoreOptions::default()).expect("an empty store");
    let engine = Engine { store, zygote: Arc::new(zygote) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut criterion = profiler::criterion();
    builds(&mut criterion, &engine, &runtime, folder.path());
    images(&mut criterion, &engine, &runtime, folder.path());
    criterion.final_summary();
}

fn builds(criterion: &mut Criterion, engine: &Engine, runtime: &Runtime, folder: &Path) {
    let diamond = "FROM busybox AS st0\nRUN touch /ST0\nFROM busybox AS st1\nRUN touch /ST1\n\
                   FROM busybox\nRUN :\nCOPY --from=st0 /ST0 /ST2.A\nCOPY --from=st1 /ST1 /ST2.B\n";
    let chain = (0..30).fold("FROM busybox\n".to_owned(), |mut text, n| {
        let _ = writeln!(text, "RUN : {n}");
        text
    });
    let mut group = criterion.benchmark_group("build");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for (name, text, steps) in [("diamond", diamond, 8), ("chain", &chain, 31)] {
        let context = folder.join(name);
        std::fs::create_dir_all(&context).expect("a context");
        std::fs::write(context.join("Dockerfile"), text).expect("its Dockerfile");
        group.throughput(Throughput::Elements(steps));
        for &policy in Policy::ALL {
            let request = |no_cache| {
                let dockerfile = buildscope_builder::engine::DockerfileInput::File(context.join("Dockerfile"));
                Request { context: context.clone(), dockerfile, no_cache, policy, ..Request::default() }
            };
            once(engine, runtime, &request(false));
            group.bench_function(format!("{name}/cold/{policy}"), |bench| {
                bench.iter(|| once(engine, runtime, &request(true)))
            });
            group.bench_function(format!("{name}/warm/{policy}"), |bench| {
                bench.iter(|| once(engine, runtime, &request(false)))
            });
        }
    }
    group.finish();
}

fn once(engine: &Engine, runtime: &Runtime, request: &Request) {
    let stop = CancellationToken::new();
    let outcome = runtime.block_on(build(engine, request, &Probe::disabled(), Arc::new(()), stop));
    outcome.result.unwrap_or_else(|error| panic!("{} fails: {error}", request.context.display()));
}

/// Exports a cached layer of 32 MiB, half of it zeros, to an archive.
fn images(criterion: &mut Criterion, engine: &Engine, runtime: &Runtime, folder: &Path) {
    const BYTES: usize = 32 << 20;
    let context = folder.join("image");
    std::fs::create_dir_all(&context).expect("a context");
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY blob /\n").expect("its Dockerfile");
    let mut blob = vec![0; BYTES];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut blob[..BYTES / 2]);
    std::fs::write(context.join("blob"), blob).expect("its file");
    let mut group = criterion.benchmark_group("image");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Bytes(BYTES as u64));
    for compression in ["uncompressed", "gzip", "zstd"] {
        let archive = folder.join("image.tar");
        let output = format!("type=oci,dest={},compression={compression},force-compression=true", archive.display());
        let dockerfile = buildscope_builder::engine::DockerfileInput::File(context.join("Dockerfile"));
        let request = Request { context: context.clone(), dockerfile, outputs: vec![output], ..Request::default() };
        group.bench_function(compression, |bench| bench.iter(|| once(engine, runtime, &request)));
    }
    group.finish();
}
