//! Everything before the first step: reading, parsing, lowering, opening contexts.

use super::contexts::{ContextLocation, FetchedContexts, OpenContext};
use super::{BuildError, DockerfileInput, Engine, Event, Progress, Request, cache_import, epoch};
use crate::http;
use crate::images::{Credentials, ImportedCache, NamedImage, ProgressSink, Registries, Resolver};
use crate::plan::{self, ImageResolver, LowerRequest, NamedContext, Plan, ResolveError, ResolvedBase, is_git, is_url};
use crate::sources::{read_bounded, read_text_within};
use buildscope_dockerfile as dockerfile;
use buildscope_oci::Platform;
use buildscope_record::{Phase, Probe, Quantity, StepId};
use buildscope_storage::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that is known before the first step.
pub(super) struct Prepared {
    pub(super) plan: Arc<Plan>,
    /// The parts of the plan: one for each target, and one for a build without targets.
    pub(super) parts: Vec<PreparedPart>,
    /// The part with which each step runs, by [`StepId`].
    pub(super) owners: Vec<usize>,
    /// The start of the build.
    pub(super) started: Timestamp,
}

/// The resources of the steps of one request.
pub(super) struct PreparedPart {
    pub(super) images: Arc<Resolver>,
    pub(super) context: Arc<OpenContext>,
    pub(super) named: BTreeMap<String, Arc<OpenContext>>,
    /// The imported caches of all requests.
    pub(super) imported: Arc<ImportedCache>,
    /// The text of the Dockerfile, for messages that point into it.
    pub(super) dockerfile: dockerfile::FileText,
    /// `SOURCE_DATE_EPOCH` in seconds since 1970.
    pub(super) epoch: Option<i64>,
    /// The steps whose results are the images: one for each platform.
    pub(super) targets: Vec<StepId>,
    /// The steps for which nothing is looked up.
    pub(super) ignored: Vec<StepId>,
}

/// The shared resources of several requests of one process: each context is fetched and opened once, and each image is resolved once.
#[derive(Default)]
pub(super) struct Shared {
    contexts: HashMap<(PathBuf, Option<PathBuf>), Arc<OpenContext>>,
    fetched: FetchedContexts,
    /// The resolvers, by whether they ask registries for newer images.
    resolvers: HashMap<bool, Arc<Resolver>>,
    naming: Naming,
}

/// The name of the image of a named context in a plan.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Naming {
    /// The name of the context.
    #[default]
    Name,
    /// The value of the context, because a name means another image in another request.
    Value,
}

impl Shared {
    pub(super) fn with(naming: Naming) -> Self {
        Self { naming, ..Self::default() }
    }

    fn open(
        &mut self,
        location: ContextLocation,
        own: Option<&Path>,
        engine: &Engine,
    ) -> Result<Arc<OpenContext>, BuildError> {
        let Some(identity) = location.identity(own) else {
            return location.open(own, engine).map(Arc::new);
        };
        if let Some(known) = self.contexts.get(&identity) {
            return Ok(Arc::clone(known));
        }
        let opened = Arc::new(location.open(own, engine)?);
        self.contexts.insert(identity, Arc::clone(&opened));
        Ok(opened)
    }
}

/// The Dockerfile of a request, with its main context.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) context: Arc<OpenContext>,
}

/// Reads the Dockerfile and opens the main context, of which only the ignore file is read.
pub(super) fn read(
    engine: &Engine,
    request: &Request,
    shared: &mut Shared,
    probe: &Probe,
) -> Result<Input, BuildError> {
    let span = probe.phase(Phase::Read);
    let location = shared.fetched.of_request(engine, request, &span.probe())?;
    let (name, text) = read_dockerfile(&request.dockerfile, &location)?;
    let own = match &request.dockerfile {
        DockerfileInput::File(path) => Some(path.clone()),
        DockerfileInput::Within(path) => Some(location.dir().join(path)),
        DockerfileInput::Text { .. } => None,
    };
    let context = shared.open(location, own.as_deref(), engine)?;
    span.quantity(Quantity::BytesRead, text.len() as u64);
    Ok(Input { name, text, context })
}

/// Parses a Dockerfile. The error names all errors of the file.
pub(super) fn parse<'t>(
    input: &'t Input,
    request: &Request,
    probe: &Probe,
) -> Result<dockerfile::Dockerfile<'t>, BuildError> {
    let _span = probe.phase(Phase::Parse);
    let parsed = dockerfile::parse(&input.text).map_err(|_| {
        // Errors of the other lines are reported too.
        let (build_args, target) = (request.build_args.clone(), request.target.clone());
        plan::diagnose(&input.text, &LowerRequest { build_args, target, ..LowerRequest::default() }).named(&input.name)
    })?;
    Ok(parsed)
}

/// Reads, parses and lowers the Dockerfile, and opens the contexts.
pub(super) fn prepare(
    engine: &Engine,
    request: &Request,
    progress: &Arc<dyn Progress>,
    probe: &Probe,
) -> Result<Prepared, BuildError> {
    let started = http::now();
    let mut shared = Shared::default();
    let input = read(engine, request, &mut shared, probe)?;
    let parsed = parse(&input, request, probe)?;
    let span = probe.phase(Phase::Lower);
    let (platform, others) = platforms(request)?;
    let (images, contexts, named) = named_contexts(engine, request, &mut shared, progress, probe)?;
    let wanted: Vec<_> = [&platform].into_iter().chain(&others).cloned().collect();
    let imported = Arc::new(cache_import::import(request, &images, &wanted, progress)?);
    let mut of_first = lower_request(request, platform.clone(), contexts);
    let sources = epoch::EpochSources { context: &input.context, named: &named, images: &images, store: &engine.store };
    let epoch = sources.resolve(&parsed, &mut of_first, probe)?;
    let lower = |platform: Platform| {
        let lower = LowerRequest { platform, ..of_first.clone() };
        plan::lower(&parsed, &lower, &*images).map_err(|errors| errors.named(&input.name))
    };
    let plan = lower(platform.clone())?;
    let others = others.into_iter().map(|platform| Ok::<_, BuildError>((platform.clone(), lower(platform)?)));
    let plan = plan.with_platforms(&platform, others.collect::<Result<_, _>>()?);
    span.end();
    let dockerfile = dockerfile::FileText::new(&input.name, input.text.clone());
    let targets = plan.targets().collect();
    let ignored = plan.steps_of_stages(&request.no_cache_stages);
    let part = PreparedPart { images, context: input.context, named, imported, dockerfile, epoch, targets, ignored };
    let owners = vec![0; plan.graph.node_count()];
    Ok(Prepared { plan: Arc::new(plan), parts: vec![part], owners, started })
}

/// The request for lowering one platform.
pub(super) fn lower_request(
    request: &Request,
    platform: Platform,
    contexts: BTreeMap<String, NamedContext>,
) -> LowerRequest {
    let (build_args, target) = (request.build_args.clone(), request.target.clone());
    let run_options = request.run.seen_by_processes();
    LowerRequest { build_args, target, platform, contexts, run_options, ..LowerRequest::default() }
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
        Err(source) => Err(BuildError::Read { help: help(input, location, &source), path, source }),
    }
}

/// Says where a Dockerfile is looked for that was not found.
fn help(input: &DockerfileInput, location: &ContextLocation, error: &io::Error) -> Option<String> {
    if error.kind() != io::ErrorKind::NotFound {
        return None;
    }
    match input {
        DockerfileInput::Within(_) => {
            Some("the Dockerfile is looked for in the context; name another one with -f".to_owned())
        }
        DockerfileInput::File(path) => {
            let within = location.dir().join(path);
            let help = || format!("-f is relative to the current directory; the context has {}", within.display());
            within.is_file().then(help)
        }
        DockerfileInput::Text { .. } => None,
    }
}

type Named = (Arc<Resolver>, BTreeMap<String, NamedContext>, BTreeMap<String, Arc<OpenContext>>);

/// Sorts `--build-context` into images and directories.
pub(super) fn named_contexts(
    engine: &Engine,
    request: &Request,
    shared: &mut Shared,
    progress: &Arc<dyn Progress>,
    probe: &Probe,
) -> Result<Named, BuildError> {
    let mut images = Vec::new();
    let mut kinds = BTreeMap::new();
    let mut directories = BTreeMap::new();
    for (name, value) in &request.named_contexts {
        match NamedImage::parse(value) {
            Some(image) => {
                let image = image?;
                let reference = match shared.naming {
                    Naming::Name => {
                        images.push((name.clone(), image));
                        name
                    }
                    Naming::Value => value,
                };
                kinds.insert(name.clone(), NamedContext::Image(reference.clone()));
            }
            None if value.contains("://") && !is_git(value) && !is_url(value) => {
                let what = format!(
                    "--build-context {name}={value}: it takes a directory, an archive, the address of a git repository or \
                     of an archive, oci-layout:// or docker-image://"
                );
                return Err(BuildError::Request(what));
            }
            None => {
                let location = shared.fetched.find(Path::new(value), engine, request, probe)?;
                let context = shared.open(location, None, engine)?;
                directories.insert(name.clone(), context);
                kinds.insert(name.clone(), NamedContext::Directory);
            }
        }
    }
    if let Some(known) = shared.resolvers.get(&request.pull) {
        return Ok((Arc::clone(known), kinds, directories));
    }
    let progress = Arc::clone(progress);
    let sink = ProgressSink::of(move |transfer| progress.event(Event::Transfer(transfer)));
    let registries = Registries::new(request.registries.clone(), Credentials::of_docker()?).watched(sink);
    let resolver = Resolver::new(&engine.store, images, probe.clone()).with_registries(registries).newest(request.pull);
    let resolver = Arc::new(resolver);
    shared.resolvers.insert(request.pull, Arc::clone(&resolver));
    Ok((resolver, kinds, directories))
}

impl ImageResolver for Resolver {
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError> {
        let image = self.image(reference, platform).map_err(|error| match error.is_missing_image() {
            true => ResolveError::Missing(error.to_string()),
            false => ResolveError::Failed(error.to_string()),
        })?;
        Ok(ResolvedBase { manifest: image.digest, config: Arc::clone(&image.config) })
    }
}
