//! Everything before the first step: reading, parsing, lowering, opening contexts.

use super::{BuildError, DockerfileInput, Engine, Progress, Request, travel};
use crate::dockerfile::{self, Ignore};
use crate::image::{Credentials, ImportedCache, NamedImage, Platform, Registries, Resolver};
use crate::plan::{self, ImageResolver, LowerRequest, NamedContext, Plan, ResolveError, ResolvedBase};
use crate::source::{Context, Verdict};
use buildscope_record::{Phase, Probe, Quantity};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A build that can begin.
pub(super) struct Prepared {
    pub(super) plan: Arc<Plan>,
    pub(super) images: Resolver,
    pub(super) context: Context,
    pub(super) named: BTreeMap<String, Context>,
    pub(super) imported: ImportedCache,
    /// The Dockerfile, for messages that point into it.
    pub(super) dockerfile: miette::NamedSource<String>,
}

/// Reads the Dockerfile and finds out all that it means. Nothing of a context is read yet but its ignore file.
pub(super) fn prepare(
    engine: &Engine,
    request: &Request,
    progress: &dyn Progress,
    probe: &Probe,
) -> Result<Prepared, BuildError> {
    let span = probe.phase(Phase::Read);
    let (name, text) = read_dockerfile(&request.dockerfile)?;
    let ignore = read_ignore(request)?;
    span.quantity(Quantity::BytesRead, text.len() as u64);
    span.end();

    let span = probe.phase(Phase::Parse);
    let parsed = dockerfile::parse(&text).map_err(|_| {
        // What is wrong with the other lines is told as well.
        let (build_args, target) = (request.build_args.clone(), request.target.clone());
        plan::diagnose(&text, &LowerRequest { build_args, target, ..LowerRequest::default() }).named(&name)
    })?;
    span.end();

    let span = probe.phase(Phase::Lower);
    let platform = match &request.platform {
        None => Platform::host(),
        Some(text) => text.parse().map_err(|error| BuildError::Request(format!("--platform: {error}")))?,
    };
    let (images, contexts, named) = named_contexts(engine, request, probe)?;
    let imported = travel::import(request, &images, &platform, progress, probe)?;
    let lower = LowerRequest {
        build_args: request.build_args.clone(),
        target: request.target.clone(),
        platform,
        build_platform: Platform::host(),
        contexts,
    };
    let plan = plan::lower(&parsed, &lower, &images).map_err(|faults| faults.named(&name))?;
    let cache = engine.store.root().join("context");
    let context = Context::open(&request.context, ignore.map(filter), Some(&cache)).map_err(BuildError::Context)?;
    span.end();
    let dockerfile = miette::NamedSource::new(name, text);
    Ok(Prepared { plan: Arc::new(plan), images, context, named, imported, dockerfile })
}

fn read_dockerfile(input: &DockerfileInput) -> Result<(String, String), BuildError> {
    match input {
        DockerfileInput::Text { name, text } => Ok((name.clone(), text.clone())),
        DockerfileInput::File(path) => match std::fs::read(path) {
            Ok(bytes) => {
                let name = path.display().to_string();
                let text = String::from_utf8(bytes)
                    .map_err(|error| BuildError::Request(format!("{name} is no UTF-8 text: {}", error.utf8_error())))?;
                Ok((name, text))
            }
            Err(source) => Err(BuildError::Read { path: path.clone(), source }),
        },
    }
}

/// `NAME.dockerignore` beside the Dockerfile goes before the context's `.dockerignore`.
fn read_ignore(request: &Request) -> Result<Option<Ignore>, BuildError> {
    let own = match &request.dockerfile {
        DockerfileInput::File(path) => {
            let mut name = OsString::from(path);
            name.push(".dockerignore");
            Some(PathBuf::from(name))
        }
        DockerfileInput::Text { .. } => None,
    };
    for path in own.into_iter().chain([request.context.join(".dockerignore")]) {
        match std::fs::read(&path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let ignore = Ignore::parse(&text)
                    .map_err(|error| BuildError::Request(format!("{}: {error}", path.display())))?;
                return Ok((!ignore.is_empty()).then_some(ignore));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(BuildError::Read { path, source }),
        }
    }
    Ok(None)
}

fn filter(ignore: Ignore) -> impl Fn(&Path) -> Verdict + Send + Sync + 'static {
    move |path| {
        let path = path.as_os_str().as_encoded_bytes();
        let excluded = ignore.excludes(path, false);
        Verdict { excluded, reincluded_below: excluded && ignore.may_include_below(path) }
    }
}

type Named = (Resolver, BTreeMap<String, NamedContext>, BTreeMap<String, Context>);

/// Sorts `--build-context` into images and directories.
fn named_contexts(engine: &Engine, request: &Request, probe: &Probe) -> Result<Named, BuildError> {
    let mut images = Vec::new();
    let mut kinds = BTreeMap::new();
    let mut directories = BTreeMap::new();
    for (name, value) in &request.named_contexts {
        match NamedImage::parse(value) {
            Some(image) => {
                images.push((name.clone(), image?));
                kinds.insert(name.clone(), NamedContext::Image(name.clone()));
            }
            None if value.contains("://") => {
                let what = format!(
                    "--build-context {name}={value}: only directories, oci-layout:// and docker-image:// are supported yet"
                );
                return Err(BuildError::Request(what));
            }
            None => {
                let ignore = std::fs::read(Path::new(value).join(".dockerignore")).ok();
                let ignore = ignore.map(|bytes| Ignore::parse(&String::from_utf8_lossy(&bytes))).transpose();
                let ignore = ignore.map_err(|error| BuildError::Request(format!("{value}/.dockerignore: {error}")))?;
                let cache = engine.store.root().join("context");
                let context =
                    Context::open(Path::new(value), ignore.map(filter), Some(&cache)).map_err(BuildError::Context)?;
                directories.insert(name.clone(), context);
                kinds.insert(name.clone(), NamedContext::Directory);
            }
        }
    }
    let registries = Registries::new(request.registries.clone(), Credentials::of_docker()?);
    let resolver = Resolver::new(&engine.store, images, probe.clone()).with_registries(registries).newest(request.pull);
    Ok((resolver, kinds, directories))
}

impl ImageResolver for Resolver {
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError> {
        let image = self.image(reference, platform).map_err(|error| ResolveError(error.to_string()))?;
        Ok(ResolvedBase { manifest: image.digest, config: Arc::clone(&image.config) })
    }
}
