//! `RUN --mount`: prepares the mounts of a step and attaches them as detached mounts.

use super::ssh::Agent;
use super::{RunError, Runner};
use crate::plan::{self, CACHE_MODE, CopyFrom, MountKind, Run, Sharing};
use crate::sources::Context;
use crate::steps::copy::{self, CopyError, CopyOrigin, Selection};
use buildscope_record::{DiffId, Digest, Probe};
use buildscope_sandbox::{MountSource, SandboxMount};
use buildscope_storage::{CacheMount, CacheMountOptions, CacheSharing, LayerPath, Store, Timestamp, View};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The source of a bind mount, or of the seed of a cache mount.
#[derive(Clone)]
pub enum MountOrigin<'a> {
    /// The layers of a stage or an image, lowest first.
    Layers(Vec<DiffId>),
    /// A context, without the files that its ignore file excludes.
    Context(&'a Context),
}

/// Returns the COPY that would create the same tree, at the same path, in an empty image as a bind mount from a context
/// shows. It selects the same files, so its digest is the mount's part of the cache key.
///
/// # Errors
/// If the source is a symbolic link that leads to nothing.
pub(crate) fn bind_as_copy(from: &CopyFrom, source: &str, origin: &CopyOrigin<'_>) -> Result<plan::Copy, CopyError> {
    let paths = copy::with_target(origin, source)?;
    // A link may lead to the root.
    if paths.iter().any(|path| path.as_os_str().is_empty()) {
        return Ok(plan::Copy::of(from.clone(), ".", "/"));
    }
    let mut sources: Vec<String> = paths[1..].iter().map(|path| literal(&path.to_string_lossy())).collect();
    sources.insert(0, literal(source.trim_matches('/')));
    Ok(plan::Copy { parents: true, sources, ..plan::Copy::of(from.clone(), ".", "/") })
}

/// A path as a pattern that matches only this path.
fn literal(path: &str) -> String {
    let mut literal = String::new();
    for letter in path.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            literal.push('\\');
        }
        literal.push(letter);
    }
    literal
}

/// The mounts of one step while it runs. Dropping it releases the cache directories and ends the agents.
pub(super) struct Mounts {
    /// The mounts by target, in the plan's order.
    mounts: Vec<(PathBuf, PreparedMounts)>,
    env: Vec<(String, String)>,
}

enum PreparedMounts {
    View { view: View, writable: bool },
    Cache { cache: Arc<CacheMount>, readonly: bool },
    Tmpfs { size: Option<u64> },
    File { content: Vec<u8>, mode: u32, uid: u32, gid: u32 },
    Agent(Agent),
}

impl Mounts {
    pub(super) fn prepare<'o>(
        runner: &Runner<'_>,
        op: &Run,
        origin: &(dyn Fn(&CopyFrom) -> Option<MountOrigin<'o>> + Sync),
        probe: &Probe,
    ) -> Result<Self, RunError> {
        let mut this = Self { mounts: Vec::new(), env: Vec::new() };
        let caches = caches(runner, op, origin, probe)?;
        for mount in &op.mounts {
            let prepared = match &mount.kind {
                MountKind::Bind { from, source, writable } => {
                    let LayerPath { layers, path } = layers(runner, from, source, origin, probe)?;
                    let view = runner.store.view(&layers, &path, probe)?;
                    PreparedMounts::View { view, writable: *writable }
                }
                MountKind::Cache { readonly, .. } => {
                    let (name, _) = cache_name(&mount.kind, origin)?;
                    let cache = caches.get(&name).ok_or_else(|| RunError::NoOrigin(name))?;
                    PreparedMounts::Cache { cache: Arc::clone(cache), readonly: *readonly }
                }
                MountKind::Tmpfs { size } => PreparedMounts::Tmpfs { size: *size },
                MountKind::Inline { content, mode } => {
                    PreparedMounts::File { content: content.as_bytes().to_vec(), mode: *mode, uid: 0, gid: 0 }
                }
                MountKind::Secret { id, required, env, mode, uid, gid } => {
                    let Some(secret) = runner.options.secrets.get(id) else {
                        if *required {
                            return Err(RunError::NoSecret(id.clone()));
                        }
                        continue;
                    };
                    let content = secret.read(id)?;
                    if let Some(name) = env {
                        this.env.push((name.clone(), String::from_utf8_lossy(&content).into_owned()));
                    }
                    PreparedMounts::File { content, mode: *mode, uid: *uid, gid: *gid }
                }
                MountKind::Ssh { id, required, mode, uid, gid } => match runner.options.agents.get(id) {
                    Some(agent) => PreparedMounts::Agent(
                        Agent::forward(agent, *mode, (*uid, *gid))
                            .map_err(|error| RunError::Agent { id: id.clone(), error })?,
                    ),
                    None if *required => return Err(RunError::NoAgent(id.clone())),
                    None => continue,
                },
            };
            // A secret that is only passed in the environment has no target.
            if let Some(target) = &mount.target {
                this.mounts.push((target.into(), prepared));
            }
        }
        Ok(this)
    }

    /// The environment variables that pass secrets.
    pub(super) fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Makes the mounts for the sandbox. Must be called only once.
    pub(super) fn attach(&self, probe: &Probe) -> Result<Vec<SandboxMount>, RunError> {
        let attach = |(target, prepared): &(PathBuf, PreparedMounts)| {
            let source = match prepared {
                // Files written to a writable view are discarded with it.
                PreparedMounts::View { view, writable } => {
                    MountSource::Detached { mount: view.mount(probe)?, readonly: !writable }
                }
                PreparedMounts::Cache { cache, readonly } => {
                    MountSource::Detached { mount: cache.mount()?, readonly: *readonly }
                }
                PreparedMounts::Tmpfs { size } => MountSource::Tmpfs { size: *size },
                PreparedMounts::File { content, mode, uid, gid } => {
                    MountSource::Secret { content: content.clone(), mode: *mode, uid: *uid, gid: *gid }
                }
                PreparedMounts::Agent(agent) => MountSource::Detached { mount: agent.mount()?, readonly: false },
            };
            Ok(SandboxMount { target: target.clone(), source })
        };
        self.mounts.iter().map(attach).collect()
    }
}

/// Locks the cache directories of a step, by name. They are locked in the order of their names, so that two steps that
/// use the same two directories cannot deadlock.
fn caches<'o>(
    runner: &Runner<'_>,
    op: &Run,
    origin: &(dyn Fn(&CopyFrom) -> Option<MountOrigin<'o>> + Sync),
    probe: &Probe,
) -> Result<BTreeMap<String, Arc<CacheMount>>, RunError> {
    let mut wanted = BTreeMap::new();
    for mount in &op.mounts {
        if let MountKind::Cache { .. } = mount.kind {
            let (name, options) = cache_name(&mount.kind, origin)?;
            wanted.insert(name, (options, &mount.kind));
        }
    }
    let mut caches = BTreeMap::new();
    for (name, (mut options, kind)) in wanted {
        if let MountKind::Cache { from: Some((from, source)), .. } = kind {
            options.seed = Some(layers(runner, from, source, origin, probe)?);
        }
        let cache = runner.store.cache_mount(&name, &options, probe)?;
        caches.insert(name, Arc::new(cache));
    }
    Ok(caches)
}

/// The name of a cache mount in the store, and its options. As in BuildKit, caches with the same id but different
/// owners, modes or seeds are different caches, so these are part of the name.
fn cache_name<'o>(
    kind: &MountKind,
    origin: &(dyn Fn(&CopyFrom) -> Option<MountOrigin<'o>> + Sync),
) -> Result<(String, CacheMountOptions), RunError> {
    let MountKind::Cache { id, sharing, from, mode, uid, gid, .. } = kind else {
        return Err(RunError::NoOrigin("a mount that is not a cache".into()));
    };
    let sharing = match sharing {
        Sharing::Shared => CacheSharing::Shared,
        Sharing::Private => CacheSharing::Private,
        Sharing::Locked => CacheSharing::Locked,
    };
    let mut name = id.clone();
    if (*mode, *uid, *gid) != (CACHE_MODE, 0, 0) {
        name.push_str(&format!(" owned by {uid}:{gid} with mode {mode:o}"));
    }
    if let Some((from, source)) = from {
        let of = match origin(from).ok_or_else(|| RunError::NoOrigin(describe(from)))? {
            MountOrigin::Layers(layers) => {
                let stack: Vec<String> = layers.iter().map(DiffId::to_string).collect();
                Digest::of(stack.join("\n")).to_string()
            }
            MountOrigin::Context(context) => context.path().display().to_string(),
        };
        name.push_str(&format!(" from {source} of {of}"));
    }
    Ok((name, CacheMountOptions { sharing, mode: *mode, uid: *uid, gid: *gid, seed: None }))
}

/// The names of the cache mounts that a step locks while it runs (`sharing=locked`), as the waits for them are named.
pub fn exclusive<'o>(op: &Run, origin: &(dyn Fn(&CopyFrom) -> Option<MountOrigin<'o>> + Sync)) -> Vec<String> {
    let locked =
        op.mounts.iter().filter(|mount| matches!(mount.kind, MountKind::Cache { sharing: Sharing::Locked, .. }));
    locked.filter_map(|mount| Some(format!("cache-mount:{}", cache_name(&mount.kind, origin).ok()?.0))).collect()
}

/// The layers that contain the source of a mount, and its path in them.
fn layers<'o>(
    runner: &Runner<'_>,
    from: &CopyFrom,
    source: &str,
    origin: &(dyn Fn(&CopyFrom) -> Option<MountOrigin<'o>> + Sync),
    probe: &Probe,
) -> Result<LayerPath, RunError> {
    let path = Path::new(source.trim_start_matches('/')).to_owned();
    if *from == CopyFrom::Empty {
        return Ok(LayerPath { layers: Vec::new(), path });
    }
    match origin(from).ok_or_else(|| RunError::NoOrigin(describe(from)))? {
        MountOrigin::Layers(layers) => Ok(LayerPath { layers, path }),
        MountOrigin::Context(context) => {
            let layer = context_layer(runner.store, from, source, context, probe)?;
            Ok(LayerPath { layers: vec![layer], path })
        }
    }
}

/// Makes the layer that stands for a bind mount from a context.
pub(crate) fn context_layer(
    store: &Store,
    from: &CopyFrom,
    source: &str,
    context: &Context,
    probe: &Probe,
) -> Result<DiffId, CopyError> {
    let origin = CopyOrigin::Context(context);
    let op = bind_as_copy(from, source, &origin)?;
    let selection = Selection::of(&op, &origin, store, probe)?;
    Ok(copy::copy(&op, selection, &[], Timestamp::default(), store, probe)?.diff_id)
}

fn describe(from: &CopyFrom) -> String {
    match from {
        CopyFrom::Context => "the build context".into(),
        CopyFrom::NamedContext(name) => format!("the context `{name}`"),
        CopyFrom::Stage(step) => format!("the stage of step {step}"),
        CopyFrom::Image(image) => format!("the image `{}`", image.reference),
        CopyFrom::Empty => "nothing".into(),
    }
}
