//! `buildscope build`.

mod arguments;
mod attestations;
mod call;
mod check;
mod docker_flags;
mod flag_values;
mod options;
mod run_options;

pub(crate) use arguments::Arguments;
pub(super) use call::{Call, Subrequest};
pub(super) use docker_flags::DockerFlags;
pub(super) use options::Options;

use super::recording::{Experiment, first_of};
use crate::output::write_result;
use crate::{Failure, write_out};
use buildscope_builder::engine::{self, BuildError, Built, Engine, Outcome, Progress};
use buildscope_oci::Reference;
use buildscope_record::Probe;
use buildscope_storage::Store;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Builds an image.
pub(super) fn run(arguments: Arguments, began: Instant) -> Result<(), Failure> {
    let options = arguments.resolve()?;
    if let Some(subject) = check::subject(&options)? {
        if options.call.subrequest != Subrequest::Build {
            return subject.answer(options.call)?.print();
        }
        subject.check_if_demanded()?;
    }
    let experiment = Experiment { delay: options.delay.as_ref(), pprof: options.pprof.as_deref() };
    let setting = |store: &Store| engine::Setting::of(&options.request, store);
    let work = async |engine: &Engine, probe: &Probe, progress: Arc<dyn Progress>, cancel: CancellationToken| {
        (engine::build(engine, &options.request, probe, progress, cancel).await, ())
    };
    let ended = options.recording.run(&options.store, experiment, began, setting, work)?;
    ended.conclude(|outcome, ()| finish(&options, outcome))
}

/// Reports the outcome: the image ID on standard output, or the error.
fn finish(options: &Options, outcome: Outcome) -> Result<(), Failure> {
    let built = match outcome.result {
        Ok(built) => built,
        Err(error) if is_ours(&error) => return Err(Failure::Internal(error.into())),
        Err(error) => return Err(Failure::failed(error)),
    };
    if options.prints_id {
        write_out(&format!("{}\n", id(&built)));
    }
    let identified = options.iidfile.as_ref().map_or(Ok(()), |path| write_result(Some(path), &id(&built)));
    let described = options.metadata_file.as_ref().map_or(Ok(()), |path| {
        let names: Vec<Reference> = options.request.tags.iter().filter_map(|tag| tag.parse().ok()).collect();
        let metadata = built.exported.first().map(|exported| {
            let digest = exported.target.digest.to_manifest();
            let canonical = names.iter().filter(|_| options.request.names_canonically());
            let canonical = canonical.map(|name| Reference { digest: Some(digest), ..name.clone() });
            let names: Vec<_> = names.iter().cloned().chain(canonical).collect();
            exported.metadata(&names, &built.provenance)
        });
        // Without an output there is no manifest: the image is known by its configuration.
        let of_store = || serde_json::json!({ "containerimage.config.digest": id(&built) });
        write_result(Some(path), &format!("{:#}\n", metadata.unwrap_or_else(of_store)))
    });
    first_of([identified, described])
}

/// The image ID as docker prints it; empty if no image was stored or written.
fn id(built: &Built) -> String {
    built.id.map(|digest| digest.to_string()).unwrap_or_default()
}

/// Whether the store or the machine failed, as opposed to the Dockerfile or its inputs.
fn is_ours(error: &BuildError) -> bool {
    matches!(error, BuildError::Storage(_))
}
