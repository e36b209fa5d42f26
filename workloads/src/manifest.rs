//! `workload.toml`: the description of a workload and the expected result of its build.

use crate::{Edit, Generate};
use buildscope_record::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A workload's description.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The aspect of a builder that it exercises.
    pub category: Category,
    /// One sentence: why it is in the corpus and which real problem it represents.
    pub why: String,
    /// The public issue that shows the problem: `owner/repository#number`.
    pub issue: Option<String>,
    /// The good form of this workload. It inherits that workload's files, generated parts and edits; its own files
    /// take precedence.
    pub form_of: Option<String>,
    /// The cache states in which it is measured.
    pub scenarios: Vec<Scenario>,
    /// The base images that its Dockerfile names, other than `scratch`.
    pub bases: Vec<String>,
    /// Whether it is in the quick corpus: a cold build takes at most about three seconds.
    #[serde(default)]
    pub quick: bool,
    /// Parts of the context that are generated.
    #[serde(default)]
    pub generate: Vec<Generate>,
    /// Changes for the edit scenarios.
    #[serde(default)]
    pub edit: Vec<Edit>,
    /// Arguments of the first, untimed build of buildscope, from which later builds know what steps need.
    #[serde(default)]
    pub first: Vec<String>,
    /// The options for building the targets of its bake or compose file; `None` for a Dockerfile.
    #[serde(default)]
    pub bake: Option<Bake>,
    /// The expected result.
    pub expect: Expect,
}

/// A workload of several targets in one bake or compose file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bake {
    /// The target whose image is compared with the expectations.
    pub checked: String,
}

/// The aspect that a workload exercises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// The shape of the graph: hermetic, from busybox.
    Shape,
    /// The storage: hermetic, from busybox.
    Storage,
    /// The build of a real toolchain.
    Real,
}

/// The cache state at the start of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Base images are in the store; results of steps are not used.
    Cold,
    /// Nothing changed since the last build.
    Warm,
    /// One source file changed.
    Edit,
    /// One file that lists dependencies changed.
    Dependency,
    /// The base image changed.
    Base,
    /// The cache is imported; the store is empty.
    Imported,
}

impl Scenario {
    /// All scenarios, in the order of tables.
    pub const ALL: [Self; 6] = [Self::Cold, Self::Warm, Self::Edit, Self::Dependency, Self::Base, Self::Imported];

    /// The name in manifests, on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Edit => "edit",
            Self::Dependency => "dependency",
            Self::Base => "base",
            Self::Imported => "imported",
        }
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Scenario {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|it| it.name() == text)
            .ok_or_else(|| format!("unknown scenario `{text}`: use {}", known()))
    }
}

/// The result that every measured build is checked against.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The expected file of each absolute path in the image.
    pub files: BTreeMap<String, ExpectedFile>,
    /// Paths that must not exist in the image.
    pub absent: Vec<String>,
    /// The expected configuration of the image.
    pub image: ExpectedImage,
}

/// Expectations of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedFile {
    /// The digest of the content.
    pub digest: Option<Digest>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The permission bits, in octal.
    pub mode: Option<String>,
    /// The owner and group: `uid:gid`.
    pub owner: Option<String>,
    /// A text that the file contains.
    pub contains: Option<String>,
    /// The number of regular files below it, if it is a directory.
    pub files_below: Option<u64>,
}

/// Expectations of an image's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedImage {
    /// The number of all layers, including those of the base image (busybox has one).
    pub layers: Option<usize>,
    /// `CMD`.
    pub cmd: Option<Vec<String>>,
    /// Labels that must be present.
    pub labels: BTreeMap<String, String>,
    /// `NAME=value` entries that must be present.
    pub env: Vec<String>,
}

impl Expect {
    /// Whether it has no expectations. Such a workload would be measured without being checked.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}
