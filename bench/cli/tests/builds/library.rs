//! The library makes the same record as the command.

use super::world::World;
use buildscope_builder::engine::{self, DockerfileInput, Engine, Request, Setting};
use buildscope_record::{Collector, Record, Recorder, Step};
use buildscope_sandbox::{Zygote, isolate_process, serve_if_zygote};
use buildscope_storage::{Store, StoreOptions};
use buildscope_testing::test;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The first argument with which this program builds through the library instead of running tests: a build needs a
/// process without threads at its start.
const BUILD: &str = "--build-through-the-library";

/// Builds if this process was started for that, and then never returns.
pub(crate) fn build_if_asked() {
    serve_if_zygote();
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if let [first, context, store, record] = arguments.as_slice()
        && first == Path::new(BUILD)
    {
        build(context, store, record);
        std::process::exit(0);
    }
}

fn build(context: &Path, store: &Path, record: &Path) {
    isolate_process().unwrap();
    let zygote = Arc::new(Zygote::start().unwrap());
    tracing::subscriber::set_global_default(Recorder::default()).unwrap();
    let collector = Collector::start(Instant::now());
    let engine = Engine { store: Store::open(store, StoreOptions::default()).unwrap(), zygote };
    let request = Request {
        context: context.to_owned(),
        dockerfile: DockerfileInput::Within("Dockerfile".into()),
        jobs: 2,
        // As in every build of the command that makes a record.
        named_files: usize::MAX,
        ..Request::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (probe, progress, cancel) = (collector.probe(), Arc::new(()), CancellationToken::new());
    let outcome = runtime.block_on(engine::build(&engine, &request, &probe, progress, cancel));
    let setting = Setting::of(&request, &engine.store);
    let made = engine::record(&outcome, collector, setting, |_| Vec::new(), || None);
    made.write(File::create(record).unwrap()).unwrap();
    outcome.result.unwrap();
}

/// The record without times, and without what only an observer of processes knows.
fn without_times(record: &Record) -> serde_json::Value {
    let step = |step: &Step| {
        let step = Step { start: None, end: None, slot: None, resources: None, processes: None, ..step.clone() };
        serde_json::to_value(step).unwrap()
    };
    let mut phases: Vec<String> = record.spans.iter().map(|span| format!("{:?} {:?}", span.step, span.phase)).collect();
    // The command also records how it starts.
    phases.retain(|phase| !phase.starts_with("None"));
    phases.sort_unstable();
    phases.dedup();
    serde_json::json!({
        "schema": record.schema,
        "source": record.source,
        "host": record.host,
        "options": record.options,
        "has started": record.started.is_some(),
        "succeeded": record.succeeded,
        "stages": record.stages,
        "steps": record.steps.iter().map(step).collect::<Vec<_>>(),
        "edges": record.edges,
        "phases of steps": phases,
        "counters": record.counters.iter().map(|counter| &counter.name).collect::<Vec<_>>(),
        "context": record.context,
    })
}

#[test]
fn a_record_made_through_the_library_equals_the_commands() {
    let dockerfile = "FROM scratch AS a\nCOPY f /f\nFROM scratch\nENV a=b\nCOPY --from=a /f /g\n";
    let (world, other) = (World::new(dockerfile), World::new(dockerfile));
    for world in [&world, &other] {
        world.write("f", "text");
    }
    // The second context is a copy of the first, times included: its steps must have the same keys.
    std::fs::remove_dir_all(other.context()).unwrap();
    let copied = Command::new("cp").arg("-a").args([world.context(), other.context()]).status().unwrap();
    assert!(copied.success());

    for cache in ["cold", "warm"] {
        let command = world.build(&["--jobs", "2"]).record();
        let record = other.path("library.json");
        let library = Command::new(std::env::current_exe().unwrap())
            .arg(BUILD)
            .args([other.context(), other.store.clone(), record.clone()])
            .env_remove("SOURCE_DATE_EPOCH")
            .output()
            .unwrap();
        assert!(library.status.success(), "{}", String::from_utf8_lossy(&library.stderr));
        let library = Record::read(File::open(record).unwrap()).unwrap();
        let path = |world: &World| world.context().display().to_string();
        let text = without_times(&library).to_string().replace(&path(&other), &path(&world));
        assert_eq!(text, without_times(&command).to_string(), "{cache}");
    }
}
