//! Installs the subscriber of a build, if anything needs one. Without a subscriber, the builder's spans are disabled
//! callsites and cost almost nothing.

use super::engine_trace;
use crate::Failure;
use buildscope_record::{RecordLayer, Recorder};
use std::path::Path;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Keeps the engine's trace open until the end of the build.
#[must_use = "the engine's trace ends with this"]
pub(super) struct Listening {
    engine: Option<(tracing_chrome::FlushGuard, engine_trace::Trace)>,
}

impl Listening {
    /// Writes the remaining events.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Some((guard, trace)) = self.engine else { return Ok(()) };
        drop(guard);
        trace.finish()
    }
}

/// Installs the subscriber for the requested outputs.
pub(super) fn listen(record: bool, engine_trace: Option<&Path>) -> Result<Listening, Failure> {
    let Some(path) = engine_trace else {
        if record {
            Recorder::default().install().expect("a process has one build and so one subscriber");
        }
        return Ok(Listening { engine: None });
    };
    let created = engine_trace::create(path);
    let (output, trace) =
        created.map_err(|error| Failure::usage(miette::miette!("cannot write {}: {error}", path.display())))?;
    // Async: the spans of a step follow it across threads instead of being drawn as the stack of one thread.
    let style = tracing_chrome::TraceStyle::Async;
    let (engine, guard) =
        tracing_chrome::ChromeLayerBuilder::new().writer(output).trace_style(style).include_args(true).build();
    let layer = record.then(|| RecordLayer.with_filter(FilterFn::new(RecordLayer::wants)));
    tracing_subscriber::registry().with(layer).with(engine.with_filter(LevelFilter::INFO)).init();
    Ok(Listening { engine: Some((guard, trace)) })
}
