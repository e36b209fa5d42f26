//! The state of one of the requests of a build.

use super::prepare::PreparedPart;
use super::step_cache::StepCache;
use super::step_runner::StepRunner;
use super::{Engine, Event, Progress, Request};
use crate::images::PreparedBlobs;
use crate::remote::Machines;
use crate::steps::run::Networks;
use buildscope_record::StepId;
use std::sync::Arc;

/// The resources of the steps of one request.
pub(super) struct Part {
    pub(super) cache: StepCache,
    pub(super) runner: StepRunner,
    /// The steps whose results are the images.
    pub(super) targets: Vec<StepId>,
    /// The blobs that were compressed and sent so far.
    pub(super) prepared: Arc<PreparedBlobs>,
}

impl Part {
    pub(super) fn new(
        engine: &Engine,
        request: &Request,
        prepared: PreparedPart,
        machines: Option<Arc<Machines>>,
        progress: Arc<dyn Progress>,
    ) -> Self {
        let PreparedPart { images, context, named, imported, dockerfile, epoch, targets, ignored } = prepared;
        Self {
            cache: StepCache::new(engine.store.clone(), Arc::clone(&imported))
                .no_cache(request.no_cache)
                .ignore(ignored),
            runner: StepRunner {
                engine: engine.clone(),
                images,
                imported,
                context,
                named,
                dockerfile,
                epoch,
                networks: Arc::new(Networks::new(request.run.network, &request.build_args, move |warning| {
                    progress.event(Event::Warning(warning))
                })),
                run_options: request.run.clone(),
                machines,
            },
            targets,
            prepared: Arc::new(PreparedBlobs::of(&engine.store)),
        }
    }
}
