//! Builds an image as a library does, and writes the build's record.
//!
//! ```text
//! cargo run -p buildscope-builder --example build -- workloads/corpus/diamond /tmp/store record.json
//! ```
//!
//! As root, or as an ordinary user where unprivileged user namespaces are allowed.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use buildscope_builder::engine::{self, DockerfileInput, Engine, Request, Setting};
use buildscope_record::{Collector, Recorder};
use buildscope_sandbox::{Zygote, isolate_process, serve_if_zygote};
use buildscope_schedule::Policy;
use buildscope_storage::{Store, StoreOptions};
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn Error>> {
    // The zygote is this program executed again: in that process, this call does not return.
    serve_if_zygote();
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [context, store, record] = arguments.as_slice() else {
        return Err("usage: build CONTEXT STORE RECORD".into());
    };

    // Both must happen before the process has threads.
    isolate_process()?;
    let zygote = Arc::new(Zygote::start()?);

    // Spans of the build go to the recorder, which passes them to the collector.
    tracing::subscriber::set_global_default(Recorder::default())?;
    let collector = Collector::start(Instant::now());

    let engine = Engine { store: Store::open(store, StoreOptions::default())?, zygote };
    let request = Request {
        context: context.clone(),
        dockerfile: DockerfileInput::File(context.join("Dockerfile")),
        policy: Policy::Instructions,
        ..Request::default()
    };
    // `()` is a progress view that shows nothing.
    let (progress, cancel) = (Arc::new(()), CancellationToken::new());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(engine::build(&engine, &request, &collector.probe(), progress, cancel));

    // Processor time and processes are left out here: see `buildscope build` for both.
    let made = engine::record(&outcome, collector, Setting::of(&request, &engine.store), |_| Vec::new(), || None);
    made.write(BufWriter::new(File::create(record)?))?;

    // A failed build has a record too.
    let built = outcome.result?;
    let image = built.id.ok_or("the build left no image")?;
    println!("{image} in {}", made.wall);
    Ok(())
}
