//! Everything before the first step: reading, parsing, lowering, opening contexts.

use super::contexts::{ContextLocation, OpenContext};
use super::{BuildError, DockerfileInput, Engine, Event, Progress, Request, cache_import, epoch};
use crate::http;
use crate::images::{Credentials, ImportedCache, NamedImage, ProgressSink, Registries, Resolver};
use crate::plan::{self, ImageResolver, LowerRequest, NamedContext, Plan, ResolveError, ResolvedBase, is_git, is_url};
use crate::sources::{read_bounded, read_text_within};
use buildscope_dockerfile as dockerfile;
use buildscope_oci::Platform;
use buildscope_record::{Phase, Probe, Quantity};
use buildscope_storage::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Everything that is known before the first step.
pub(super) struct Prepared {
    pub(super) plan: Arc<Plan>,
    pub(super) images: Resolver,
    pub(super) context: OpenContext,
    pub(super) named: BTreeMap<String, OpenContext>,
    pub(super) imported: ImportedCache,
    /// The text of the Dockerfile, for messages that point into it.
    pub(super) dockerfile: dockerfile::FileText,
    /// `SOURCE_DATE_EPOCH` in seconds since 1970.
    pub(super) epoch: Option<i64>,
    /// When the build started.
    pub(super) started: Timestamp,
}

/// Reads, parses and lowers the Dockerfile, and opens the contexts. Of a context only the ignore file is read.
pub(super) fn prepare(
    engine: &Engine,
    request: &Request,
    progress: &Arc<dyn Progress>,
    probe: &Probe,
) -> Result<Prepared, BuildError> {
    let started = http::now();
    let span = probe.phase(Phase::Read);
    let location = ContextLocation::of_request(engine, request, &span.probe())?;
    let (name, text) = read_dockerfile(&request.dockerfile, &location)?;
    let own = match &request.dockerfile {
        DockerfileInput::File(path) => Some(path.clone()),
        DockerfileInput::Within(path) => Some(location.dir().join(path)),
        DockerfileInput::Text { .. } => None,
    };
    let context = location.open(own.as_deref(), engine)?;
    span.quantity(Quantity::BytesRead, text.len() as u64);
    span.end();

    let span = probe.phase(Phase::Parse);
    let parsed = dockerfile::parse(&text).map_err(|_| {
        // Errors of the other lines are reported too.
        let (build_args, target) = (request.build_args.clone(), request.target.clone());
        plan::diagnose(&text, &LowerRequest { build_args, target, ..LowerRequest::default() }).named(&name)
    })?;
    span.end();

    let span = probe.phase(Phase::Lower);
    let (platform, others) = platforms(request)?;
    let (images, contexts, named) = named_contexts(engine, request, progress, probe)?;
    let wanted: Vec<_> = [&platform].into_iter().chain(&others).cloned().collect();
    let imported = cache_import::import(request, &images, &wanted, &**progress, probe)?;
    let (build_args, target) = (request.build_args.clone(), request.target.clone());
    let mut of_first =
        LowerRequest { build_args, target, platform: platform.clone(), contexts, ..LowerRequest::default() };
    let sources = epoch::Sources { context: &context, named: &named, images: &images, store: &engine.store };
    let epoch = sources.resolve(&parsed, &mut of_first, probe)?;
    let lower = |platform: Platform| {
        let lower = LowerRequest { platform, ..of_first.clone() };
        plan::lower(&parsed, &lower, &images).map_err(|faults| faults.named(&name))
    };
    let plan = lower(platform.clone())?;
    let others = others.into_iter().map(|platform| Ok::<_, BuildError>((platform.clone(), lower(platform)?)));
    let plan = plan.with_platforms(&platform, others.collect::<Result<_, _>>()?);
    span.end();
    let dockerfile = dockerfile::FileText::new(&name, text);
    Ok(Prepared { plan: Arc::new(plan), images, context, named, imported, dockerfile, epoch, started })
}

/// The platforms to build for: the first one, and the others.
pub(super) fn platforms(request: &Request) -> Result<(Platform, Vec<Platform>), BuildError> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in &request.platforms {
        let platform = match text.as_str() {
            "local" => Platform::host(),
            text => text.parse().map_err(|error| BuildError::Request(format!("--platform: {error}")))?,
        };
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    let mut platforms = platforms.into_iter();
    Ok((platforms.next().unwrap_or_else(Platform::host), platforms.collect()))
}

fn read_dockerfile(input: &DockerfileInput, location: &ContextLocation) -> Result<(String, String), BuildError> {
    let (path, read) = match (input, location.dockerfile()) {
        (DockerfileInput::Within(path), Some(text)) => return Ok((path.display().to_string(), text.to_owned())),
        (DockerfileInput::Within(path), None) => (location.dir().join(path), read_text_within(location.dir(), path)),
        // The user named this file, so it may be a link or a pipe of the shell.
        (DockerfileInput::File(path), _) => (path.clone(), File::open(path).and_then(read_bounded)),
        (DockerfileInput::Text { name, text }, _) => return Ok((name.clone(), text.clone())),
    };
    match read {
        Ok(bytes) => {
            let name = path.display().to_string();
            match dockerfile::decode(&bytes) {
                Ok(text) => Ok((name, text.into_owned())),
                Err(error) => Err(BuildError::Request(format!("cannot read {name}: {error}"))),
            }
        }
        Err(source) => Err(BuildError::Read { path, source }),
    }
}

type Named = (Resolver, BTreeMap<String, NamedContext>, BTreeMap<String, OpenContext>);

/// Sorts `--build-context` into images and directories.
fn named_contexts(
    engine: &Engine,
    request: &Request,
    progress: &Arc<dyn Progress>,
    probe: &Probe,
) -> Result<Named, BuildError> {
    let mut images = Vec::new();
    let mut kinds = BTreeMap::new();
    let mut directories = BTreeMap::new();
    for (name, value) in &request.named_contexts {
        match NamedImage::parse(value) {
            Some(image) => {
                images.push((name.clone(), image?));
                kinds.insert(name.clone(), NamedContext::Image(name.clone()));
            }
            None if value.contains("://") && !is_git(value) && !is_url(value) => {
                let what = format!(
                    "--build-context {name}={value}: it takes a directory, an archive, the address of a git repository or \
                     of an archive, oci-layout:// or docker-image://"
                );
                return Err(BuildError::Request(what));
            }
            None => {
                let context = ContextLocation::find(Path::new(value), engine, request, probe)?.open(None, engine)?;
                directories.insert(name.clone(), context);
                kinds.insert(name.clone(), NamedContext::Directory);
            }
        }
    }
    let progress = Arc::clone(progress);
    let sink = ProgressSink::of(move |transfer| progress.event(Event::Transfer(transfer)));
    let registries = Registries::new(request.registries.clone(), Credentials::of_docker()?).watched(sink);
    let resolver = Resolver::new(&engine.store, images, probe.clone()).with_registries(registries).newest(request.pull);
    Ok((resolver, kinds, directories))
}

impl ImageResolver for Resolver {
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError> {
        let image = self.image(reference, platform).map_err(|error| ResolveError(error.to_string()))?;
        Ok(ResolvedBase { manifest: image.digest, config: Arc::clone(&image.config) })
    }
}
