//! `buildscope bake`: builds the targets of bake and compose files in one graph.

mod arguments;
mod files;
mod privileges;
mod request;
mod table;

pub(crate) use arguments::Arguments;

use super::build::{Options, Subrequest};
use super::{interrupt, observe, progress};
use crate::{Failure, write_message, write_out};
use buildscope_bake::{Definition, ListFormat, Selection};
use buildscope_builder::engine::{self, Engine, FleetOutcome, FleetRequest, FleetTarget, TargetEnd};
use buildscope_record::{Collector, Phase};
use buildscope_sandbox::{self as sandbox, Isolation, Zygote};
use buildscope_storage::Store;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Prints, lists, checks or builds targets.
pub(super) fn run(arguments: Arguments, began: Instant) -> Result<(), Failure> {
    let inputs = files::inputs(&arguments)?;
    let definition = Definition::read(&files::read(&arguments)?, &inputs).map_err(definition_fault)?;
    if let Some(list) = &arguments.list {
        write_out(&listed(&definition, list)?);
        return Ok(());
    }
    let selection = definition
        .select(&arguments.targets(), &arguments.settings(), &inputs.environment)
        .map_err(definition_fault)?;
    if arguments.print {
        write_out(&(selection.print() + "\n"));
        return Ok(());
    }
    privileges::check(&selection, &arguments.allow)?;
    let targets = request::targets(&selection, &arguments)?;
    if targets.iter().any(|target| target.options.asks() != Subrequest::Build) {
        return answer(targets);
    }
    build(targets, &selection, &arguments, began)
}

/// A target that is ready to be built.
struct Target {
    name: String,
    options: Options,
}

/// A fault of a definition is the user's.
fn definition_fault(error: buildscope_bake::Error) -> Failure {
    Failure::usage(miette!("{error}"))
}

/// The list that `--list` asks for.
fn listed(definition: &Definition, list: &str) -> Result<String, Failure> {
    let unknown =
        || Failure::usage(miette!("--list takes targets or variables, or type=targets,format=json; not `{list}`"));
    let (mut kind, mut format) = (None, ListFormat::Table);
    for field in list.split(',') {
        match field.split_once('=') {
            None if kind.is_none() => kind = Some(field),
            Some(("type", value)) => kind = Some(value),
            Some(("format", "json")) => format = ListFormat::Json,
            Some(("format", "table")) => format = ListFormat::Table,
            _ => return Err(unknown()),
        }
    }
    match kind {
        Some("targets") => Ok(definition.list_targets(format)),
        Some("variables") => Ok(definition.list_variables(format)),
        _ => Err(unknown()),
    }
}

/// Answers `--check` and `--call` for each target.
fn answer(targets: Vec<Target>) -> Result<(), Failure> {
    let mut failed = false;
    for (index, target) in targets.iter().enumerate() {
        let line = if index == 0 { "" } else { "\n" };
        write_out(&format!("{line}{}\n\n", target.name));
        if let Err(failure) = target.options.answer() {
            failed = true;
            failure.report();
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Builds all targets, and shows what became of them.
fn build(targets: Vec<Target>, selection: &Selection, arguments: &Arguments, began: Instant) -> Result<(), Failure> {
    let Some(first) = targets.first() else {
        return Err(Failure::usage(miette!("no targets to build")));
    };
    let options = first.options.shared();
    let fleet = FleetRequest {
        targets: targets
            .into_iter()
            .map(|target| FleetTarget { name: target.name, request: target.options.request })
            .collect(),
        keep_going: arguments.keep_going,
    };
    let names: Vec<String> = fleet.targets.iter().map(|target| target.name.clone()).collect();
    // Both must happen before any thread exists, as in `build`.
    let isolation = sandbox::isolate_process().map_err(Failure::internal)?;
    let zygote = Arc::new(Zygote::start().map_err(Failure::internal)?);
    if let Isolation::SingleId { reason } = isolation {
        write_message(&format!("warning: {reason}"));
    }
    let listening = observe::listen(arguments.record.is_some(), None)?;
    let collector = Collector::start(began);
    let store = Store::open(&options.root, options.store.clone()).map_err(Failure::internal)?;
    collector.interval(Phase::SandboxSetup, None, None, began, Instant::now());
    let engine = Engine { store, zygote };
    let setting = fleet.targets.first().map(|target| engine::Setting::of(&target.request, &engine.store));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
    let cancel = CancellationToken::new();
    interrupt::watch(cancel.clone(), interrupt::GRACE).map_err(Failure::internal)?;
    let progress = progress::view(options.progress, || None);
    let probe = collector.probe();
    let FleetOutcome { outcome, ends } =
        runtime.block_on(engine::build_fleet(&engine, fleet, &probe, progress, cancel));
    if let (Some(path), Some(setting)) = (&arguments.record, setting) {
        let record = engine::record(&outcome, collector, setting, |_| Vec::new(), || None);
        let written = File::create(path).into_diagnostic().and_then(|file| record.write(file).into_diagnostic());
        written.wrap_err_with(|| format!("writing the record to {}", path.display())).map_err(Failure::Usage)?;
    }
    listening.finish()?;
    if ends.is_empty() {
        return match outcome.result {
            Err(error) => Err(Failure::failed(error)),
            Ok(_) => Ok(()),
        };
    }
    if let Some(path) = &arguments.metadata_file {
        let text = format!("{:#}\n", table::metadata(&names, &ends, selection));
        std::fs::write(path, text)
            .into_diagnostic()
            .wrap_err_with(|| path.display().to_string())
            .map_err(Failure::Usage)?;
    }
    conclude(&names, ends)
}

/// Prints the table, and then the error of each target that failed.
fn conclude(names: &[String], ends: Vec<TargetEnd>) -> Result<(), Failure> {
    write_out(&table::of(names, &ends));
    let all_built = ends.iter().all(|end| matches!(end, TargetEnd::Built(..)));
    for (name, end) in names.iter().zip(ends) {
        if let TargetEnd::Failed(error) = end {
            write_message(&format!("target {name}:"));
            Failure::failed(error).report();
        }
    }
    if all_built { Ok(()) } else { Err(Failure::Reported) }
}
