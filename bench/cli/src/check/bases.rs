//! Locally known base images, for checking a Dockerfile without building it.

use crate::Failure;
use buildscope_builder::images::{NamedImage, Resolver};
use buildscope_builder::plan::{AssumeImages, ImageResolver, ResolveError, ResolvedBase};
use buildscope_dockerfile::closest;
use buildscope_dockerfile::lint::BaseImage;
use buildscope_oci::Platform;
use buildscope_record::Probe;
use buildscope_storage::{DriverChoice, DriverName, Store, StoreOptions};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Looks for images in the store and in named contexts and asks no registry. A missing image is replaced by an image
/// with an empty configuration.
pub(super) struct Bases {
    /// `None` if there is no store: checking a file must not create one.
    here: Option<Resolver>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    found: BTreeMap<String, BaseImage>,
    missing: BTreeSet<String>,
    /// Each is looked for once, although a file is lowered for each target, and again where it has errors.
    answers: HashMap<(String, Platform), ResolvedBase>,
}

impl Bases {
    /// Uses the store at `root`, if there is one.
    pub(super) fn open(root: &Path, contexts: &[String]) -> Result<Self, Failure> {
        let mut named = Vec::new();
        for (name, value) in contexts.iter().filter_map(|pair| pair.split_once('=')) {
            if let Some(image) = NamedImage::parse(value) {
                named.push((name.to_owned(), image.map_err(|error| Failure::usage(miette::miette!("{error}")))?));
            }
        }
        // Nothing runs, so the driver without requirements is enough.
        let options = StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() };
        let store = if root.join("blobs").is_dir() { Store::open(root, options).ok() } else { None };
        let here = store.map(|store| Resolver::new(&store, named, Probe::disabled()));
        Ok(Self { here, asked: Mutex::default() })
    }

    /// The configurations of the images that were found.
    pub(super) fn found(&self) -> BTreeMap<String, BaseImage> {
        self.asked.lock().found.clone()
    }

    /// Describes the images that were not found, if any. Suggests a stage if a name is similar to it.
    pub(super) fn missing<'s>(&self, stages: impl Iterator<Item = &'s str> + Clone) -> Option<String> {
        let asked = self.asked.lock();
        let name = |missing: &String| match closest(missing, stages.clone()) {
            Some(stage) => format!("{missing} (did you mean the stage {stage}?)"),
            None => missing.clone(),
        };
        let names: Vec<String> = asked.missing.iter().map(name).collect();
        match &*names {
            [] => None,
            [only] => {
                Some(format!("not in the store, so checked without its variables, triggers and platform: {only}"))
            }
            all => Some(format!(
                "not in the store, so checked without their variables, triggers and platforms: {}",
                all.join(", ")
            )),
        }
    }
}

impl ImageResolver for Bases {
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError> {
        let mut asked = self.asked.lock();
        let question = (reference.to_owned(), platform.clone());
        if let Some(answer) = asked.answers.get(&question) {
            return Ok(answer.clone());
        }
        let answer = match self.here.as_ref().map(|here| here.resolve(reference, platform)) {
            Some(Ok(base)) => {
                let config = &base.config.config;
                let known = BaseImage { env: config.env.clone(), shell: config.shell.is_some() };
                asked.found.insert(reference.to_owned(), known);
                base
            }
            Some(Err(_)) | None => {
                asked.missing.insert(reference.to_owned());
                AssumeImages.resolve(reference, platform)?
            }
        };
        asked.answers.insert(question, answer.clone());
        Ok(answer)
    }
}
