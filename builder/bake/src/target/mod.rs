//! A target: what to build, and with which options.
//!
//! *Takes* values of attributes and overrides. *Gives* targets that inherit from and merge with each other. *Must never
//! know* files or expressions.

pub(crate) mod decode;
mod entries;
mod overrides;
mod resources;

use std::collections::BTreeMap;

use crate::paths;

pub use entries::{Attest, CacheEntry, Export, Policy, Secret, Ssh};
pub(crate) use overrides::Overrides;
pub use resources::Resources;

pub(crate) use decode::field_type;
pub(crate) use entries::{ListEntry, cache_entries, canonical_attest, merge_entries};
pub(crate) use overrides::SetFlag;

/// The attributes of a target.
pub(crate) const FIELDS: [&str; 31] = [
    "description",
    "inherits",
    "annotations",
    "attest",
    "context",
    "contexts",
    "dockerfile",
    "dockerfile-inline",
    "args",
    "labels",
    "tags",
    "cache-from",
    "cache-to",
    "target",
    "secret",
    "ssh",
    "platforms",
    "output",
    "pull",
    "no-cache",
    "network",
    "no-cache-filter",
    "shm-size",
    "ulimits",
    "resources",
    "call",
    "entitlements",
    "extra-hosts",
    "policy",
    "matrix",
    "name",
];

/// A target with its options. `None` is an unset attribute; an empty list is a set one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BakeTarget {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The targets from which it inherits attributes.
    pub inherits: Vec<String>,
    /// Annotations of the image.
    pub annotations: Option<Vec<String>>,
    /// Attestations.
    pub attest: Option<Vec<Attest>>,
    /// The build context.
    pub context: Option<String>,
    /// Further contexts by name.
    pub contexts: BTreeMap<String, String>,
    /// The path of the Dockerfile.
    pub dockerfile: Option<String>,
    /// The text of the Dockerfile.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Names of the image.
    pub tags: Option<Vec<String>>,
    /// Caches to read.
    pub cache_from: Option<Vec<CacheEntry>>,
    /// Caches to write.
    pub cache_to: Option<Vec<CacheEntry>>,
    /// The stage to build.
    pub target: Option<String>,
    /// Secrets.
    pub secrets: Option<Vec<Secret>>,
    /// SSH agents and keys.
    pub ssh: Option<Vec<Ssh>>,
    /// Platforms to build for.
    pub platforms: Option<Vec<String>>,
    /// The outputs.
    pub outputs: Option<Vec<Export>>,
    /// Whether to look for newer bases.
    pub pull: Option<bool>,
    /// Whether to run all steps again.
    pub no_cache: Option<bool>,
    /// The network of RUN.
    pub network: Option<String>,
    /// Stages whose steps run again.
    pub no_cache_filter: Option<Vec<String>>,
    /// The size of `/dev/shm`.
    pub shm_size: Option<String>,
    /// Limits of processes.
    pub ulimits: Option<Vec<String>>,
    /// Limits of cgroups.
    pub resources: Option<Resources>,
    /// The action instead of a build.
    pub call: Option<String>,
    /// Privileges that the build requests.
    pub entitlements: Option<Vec<String>>,
    /// Hosts that RUN can resolve.
    pub extra_hosts: BTreeMap<String, String>,
    /// Policies of sources.
    pub policy: Option<Vec<Policy>>,
    /// Whether it is built only because another target uses it as a context.
    pub linked: bool,
    /// Whether the context is relative to the working directory (`cwd://`), wherever the definition is from.
    pub context_is_here: bool,
    /// The directory of its file, which is the default context. `None`: the working directory.
    pub(crate) directory: Option<String>,
}

impl BakeTarget {
    /// Merges another target into this. Its attributes replace those of this, or are added, as buildx does it.
    pub fn merge(&mut self, other: &BakeTarget) {
        fn replace<T: Clone>(own: &mut Option<T>, other: &Option<T>) {
            if other.is_some() {
                own.clone_from(other);
            }
        }
        fn append(own: &mut Option<Vec<String>>, other: &Option<Vec<String>>) {
            if let Some(other) = other {
                own.get_or_insert_default().extend_from_slice(other);
            }
        }
        fn extend(own: &mut BTreeMap<String, String>, other: &BTreeMap<String, String>) {
            own.extend(other.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        replace(&mut self.context, &other.context);
        replace(&mut self.directory, &other.directory);
        replace(&mut self.dockerfile, &other.dockerfile);
        replace(&mut self.dockerfile_inline, &other.dockerfile_inline);
        extend(&mut self.args, &other.args);
        extend(&mut self.contexts, &other.contexts);
        extend(&mut self.labels, &other.labels);
        replace(&mut self.tags, &other.tags);
        replace(&mut self.target, &other.target);
        replace(&mut self.call, &other.call);
        append(&mut self.annotations, &other.annotations);
        merge_entries(&mut self.attest, &other.attest);
        if let Some(policy) = &other.policy {
            self.policy.get_or_insert_default().extend_from_slice(policy);
        }
        merge_entries(&mut self.secrets, &other.secrets);
        merge_entries(&mut self.ssh, &other.ssh);
        replace(&mut self.platforms, &other.platforms);
        merge_entries(&mut self.cache_from, &other.cache_from);
        replace(&mut self.cache_to, &other.cache_to);
        replace(&mut self.outputs, &other.outputs);
        replace(&mut self.pull, &other.pull);
        replace(&mut self.no_cache, &other.no_cache);
        replace(&mut self.network, &other.network);
        append(&mut self.no_cache_filter, &other.no_cache_filter);
        replace(&mut self.shm_size, &other.shm_size);
        append(&mut self.ulimits, &other.ulimits);
        if let Some(resources) = &other.resources {
            self.resources.get_or_insert_default().merge(resources);
        }
        if !other.description.is_empty() {
            self.description.clone_from(&other.description);
        }
        append(&mut self.entitlements, &other.entitlements);
        extend(&mut self.extra_hosts, &other.extra_hosts);
        self.inherits.extend_from_slice(&other.inherits);
    }

    /// Makes local contexts relative to `directory` instead of the working directory.
    pub(crate) fn relocate(&mut self, directory: &str) {
        self.directory = Some(paths::join(directory, ""));
        for context in self.context.iter_mut().chain(self.contexts.values_mut()).filter(|context| !context.is_empty()) {
            let elsewhere = ["target:", "docker-image:", "oci-layout:", "cwd://"];
            let is_local = !paths::is_remote(context) && !elsewhere.iter().any(|kind| context.starts_with(kind));
            if is_local && !context.starts_with('/') {
                *context = paths::join(directory, context);
            }
        }
    }

    /// Removes repeated and empty entries.
    pub(crate) fn normalize(&mut self) {
        fn entries<T: ListEntry>(list: &mut Option<Vec<T>>) {
            if let Some(entries) = list {
                T::dedup(entries);
            }
            list.take_if(|entries| entries.is_empty());
        }
        if self.network.as_deref() == Some("host") {
            self.entitlements.get_or_insert_default().push("network.host".into());
        }
        let lists = [
            &mut self.annotations,
            &mut self.tags,
            &mut self.platforms,
            &mut self.no_cache_filter,
            &mut self.ulimits,
            &mut self.entitlements,
        ];
        for texts in lists.into_iter().flatten() {
            texts.retain(|text| !text.is_empty());
            crate::definition::dedup(texts);
        }
        entries(&mut self.attest);
        entries(&mut self.secrets);
        entries(&mut self.ssh);
        entries(&mut self.cache_from);
        entries(&mut self.cache_to);
        entries(&mut self.outputs);
        self.contexts.retain(|_, context| !context.is_empty());
    }
}
