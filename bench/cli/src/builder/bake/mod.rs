//! `buildscope bake`: builds the targets of bake and compose files in one graph.

mod answer;
mod arguments;
mod files;
mod privileges;
mod remote;
mod request;
mod table;

pub(crate) use arguments::Arguments;

use super::build::{Options, Subrequest};
use super::recording::{Experiment, first_of};
use crate::builds::Subject;
use crate::output::{flag_of_stdout, write_result};
use crate::{Failure, destination, write_message, write_out, write_text};
use buildscope_bake::{Definition, ListFormat, Selection};
use buildscope_builder::engine::{self, Engine, FleetOutcome, FleetRequest, FleetTarget, Progress, TargetEnd};
use buildscope_record::Probe;
use buildscope_storage::Store;
use miette::miette;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Prints, lists, checks or builds targets.
pub(super) fn run(arguments: Arguments, began: Instant) -> Result<(), Failure> {
    arguments.docker_flags().check()?;
    privileges::check_names(&arguments.allow)?;
    let inputs = files::inputs(&arguments)?;
    let source = files::read(&arguments)?;
    let definition = Definition::read(&source.files, &inputs).map_err(definition_fault)?;
    if let Some(list) = &arguments.list {
        match listed(&definition, list)? {
            (ListFormat::Json, text) => write_out(&text),
            (ListFormat::Table, text) => write_text(&text),
        }
        return Ok(());
    }
    let mut selection = definition
        .select(&arguments.targets(), &arguments.settings(), &inputs.environment)
        .map_err(definition_fault)?;
    if let Some(remote) = &source.remote {
        remote.own_contexts(&mut selection);
    }
    if arguments.print {
        write_out(&(selection.print() + "\n"));
        return Ok(());
    }
    if let Some(remote) = &source.remote {
        remote.contexts_below(&mut selection);
    }
    remote::local_contexts(&mut selection);
    privileges::check(&selection, &arguments.allow)?;
    let targets = request::targets(&selection, &arguments)?;
    if targets.iter().any(|target| target.options.call().subrequest != Subrequest::Build) {
        return answer::print(&targets, &selection);
    }
    build(targets, &selection, &arguments, began)
}

/// A target that is ready to be built.
struct ReadyTarget {
    name: String,
    options: Options,
}

/// An error in a definition is a usage error.
fn definition_fault(error: buildscope_bake::Error) -> Failure {
    Failure::usage(miette!("{error}"))
}

/// The list that `--list` asks for.
fn listed(definition: &Definition, list: &str) -> Result<(ListFormat, String), Failure> {
    let unknown =
        || Failure::usage(miette!("--list takes targets or variables, or type=targets,format=json; not `{list}`"));
    let (mut kind, mut format) = (None, ListFormat::Table);
    for field in list.split(',') {
        match field.split_once('=') {
            None if field == list => kind = Some(field),
            Some(("type", value)) => kind = Some(value),
            Some(("format", "json")) => format = ListFormat::Json,
            Some(("format", "table")) => format = ListFormat::Table,
            _ => return Err(unknown()),
        }
    }
    match kind {
        Some("targets") => Ok((format, definition.list_targets(format))),
        Some("variables") => Ok((format, definition.list_variables(format))),
        _ => Err(unknown()),
    }
}

/// Builds all targets, and shows what became of them.
fn build(
    targets: Vec<ReadyTarget>,
    selection: &Selection,
    arguments: &Arguments,
    began: Instant,
) -> Result<(), Failure> {
    let Some(first) = targets.first() else {
        return Err(Failure::usage(miette!("no targets to build")));
    };
    let store = first.options.store.clone();
    let image = targets.iter().any(|target| target.options.request.writes_to_stdout()).then_some(Path::new("-"));
    let described = [("--metadata-file", arguments.metadata_file.as_deref()), ("--output", image)];
    let stdout = flag_of_stdout(arguments.recording.results().into_iter().chain(described))?;
    if let Some(path) = &arguments.metadata_file {
        destination::check_result("--metadata-file", path)?;
    }
    let tags = targets.iter().flat_map(|target| target.options.request.tags.iter().cloned()).collect();
    let recording = arguments.recording.clone().resolve(&arguments.root, subject(arguments), tags)?;
    let fleet = FleetRequest {
        targets: targets
            .into_iter()
            .map(|target| FleetTarget { name: target.name, request: target.options.request })
            .collect(),
        keep_going: arguments.keep_going,
    };
    let names: Vec<String> = fleet.targets.iter().map(|target| target.name.clone()).collect();
    let setting =
        |store: &Store| engine::Setting::of_targets(fleet.targets.iter().map(|target| &target.request), store);
    let work = async |engine: &Engine, probe: &Probe, progress: Arc<dyn Progress>, cancel: CancellationToken| {
        let FleetOutcome { outcome, ends } = engine::build_fleet(engine, &fleet, probe, progress, cancel).await;
        (outcome, ends)
    };
    let ended = recording.run(&store, Experiment::default(), began, setting, work)?;
    ended.conclude(|outcome, ends| {
        if ends.is_empty() {
            return outcome.result.map(drop).map_err(Failure::failed);
        }
        let described = arguments.metadata_file.as_ref().map_or(Ok(()), |path| {
            write_result(Some(path), &format!("{:#}\n", table::metadata(&names, &ends, selection)))
        });
        first_of([conclude(&names, ends, began, stdout.is_none()), described])
    })
}

/// The subject of the build, for the list of builds: the directory, the files and the targets. Two bakes of one subject can be compared.
fn subject(arguments: &Arguments) -> Subject {
    let here = std::env::current_dir().map(|directory| directory.display().to_string()).ok();
    let files: Vec<String> = arguments.files().iter().map(|file| file.display().to_string()).collect();
    let files = if files.is_empty() { "bake".to_owned() } else { files.join(", ") };
    Subject { context: here, dockerfile: Some(files), target: Some(arguments.targets().join(" ")) }
}

/// Prints the table, unless a file is standard output, and then the error of each target that failed.
fn conclude(names: &[String], ends: Vec<TargetEnd>, began: Instant, prints: bool) -> Result<(), Failure> {
    if prints {
        write_text(&table::of(names, &ends, began));
    }
    let all_built = ends.iter().all(|end| matches!(end, TargetEnd::Built(..)));
    for (name, end) in names.iter().zip(ends) {
        if let TargetEnd::Failed(error) = end {
            write_message(&format!("target {name}:"));
            Failure::failed(error).report();
        }
    }
    if all_built { Ok(()) } else { Err(Failure::Reported) }
}
