//! A definition in a git repository: its files are read from there, and the contexts of its targets are directories of it.

use crate::Failure;
use buildscope_bake::Selection;
use buildscope_builder::plan::{is_git, is_url};
use buildscope_builder::sources::{Checkout, GitAddress, read_text_within};
use buildscope_dockerfile::clean;
use buildscope_record::{Probe, redacted};
use buildscope_storage::{Store, StoreOptions};
use miette::miette;
use std::io;
use std::path::Path;

/// The prefix of a path in the directory in which the command runs.
const LOCAL: &str = "cwd://";

/// A repository, checked out to read the definition.
pub(super) struct Remote {
    address: String,
    checkout: Checkout,
    /// Its scratch directory has the checkout, so that the next command removes what a kill leaves.
    _store: Store,
}

impl Remote {
    /// Checks a repository out. `root` is the directory of the store.
    pub(super) fn fetch(address: &str, root: &Path) -> Result<Self, Failure> {
        if !is_git(address) {
            return Err(Failure::usage(miette!(
                help = "name a git repository: https://host/name.git#ref:directory",
                "definitions from an archive or a file by URL ({}) are not supported",
                redacted(address)
            )));
        }
        let store = Store::open(root, StoreOptions::default()).map_err(Failure::internal)?;
        let tree = store.scratch_path("definition");
        let checked_out = GitAddress::parse(address).and_then(|parsed| parsed.check_out(tree, &Probe::disabled()));
        let checkout = checked_out.map_err(|error| Failure::failed(miette!("{error}")))?;
        Ok(Self { address: address.to_owned(), checkout, _store: store })
    }

    /// The directory that the address names.
    pub(super) fn directory(&self) -> &Path {
        &self.checkout.tree
    }

    /// The text of a file of the directory. Links out of it are not followed.
    pub(super) fn read(&self, name: &Path) -> io::Result<String> {
        let text = read_text_within(self.directory(), name)?;
        String::from_utf8(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
    }

    /// Makes the repository, or a directory of it, the context of each target, unless that is elsewhere. Like buildx, takes each
    /// other text for a directory of the repository.
    pub(super) fn own_contexts(&self, selection: &mut Selection) {
        for target in selection.targets.values_mut() {
            match target.context.as_deref() {
                Some(context) if target.context_is_here || is_remote(context) => {}
                None | Some(".") => target.context = Some(self.address.clone()),
                Some(context) => target.context = Some(self.below(context)),
            }
            for context in target.contexts.values_mut().filter(|context| *context == ".") {
                context.clone_from(&self.address);
            }
        }
    }

    /// Makes directories of the repository of the relative named contexts.
    pub(super) fn contexts_below(&self, selection: &mut Selection) {
        for context in selection.targets.values_mut().flat_map(|target| target.contexts.values_mut()) {
            if is_relative(context) {
                *context = self.below(context);
            }
        }
    }

    /// The address of a directory below that of this address.
    fn below(&self, directory: &str) -> String {
        let (repository, fragment) = self.address.split_once('#').unwrap_or((&self.address, ""));
        let (reference, own) = fragment.split_once(':').unwrap_or((fragment, ""));
        let full = if own.is_empty() { clean(directory) } else { clean(&format!("{own}/{directory}")) };
        format!("{repository}#{reference}:{full}")
    }
}

/// Makes paths of the named contexts that are relative to the directory in which the command runs.
pub(super) fn local_contexts(selection: &mut Selection) {
    for context in selection.targets.values_mut().flat_map(|target| target.contexts.values_mut()) {
        if let Some(local) = context.strip_prefix(LOCAL) {
            *context = if local.is_empty() { ".".to_owned() } else { local.to_owned() };
        }
    }
}

fn is_relative(context: &str) -> bool {
    let elsewhere = ["target:", "docker-image:", "oci-layout:", LOCAL].iter().any(|kind| context.starts_with(kind));
    !elsewhere && !context.starts_with('/') && !is_url(context) && !is_git(context)
}

/// Whether an argument names a repository or a URL, and not a target.
pub(super) fn is_remote(argument: &str) -> bool {
    is_git(argument) || is_url(argument)
}
