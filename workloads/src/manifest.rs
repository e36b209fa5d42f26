//! `workload.toml`: what a workload is and what its build must give.

use crate::{Edit, Generate};
use buildscope_record::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A workload's description.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What it exercises.
    pub category: Category,
    /// In one sentence: why it is here and which real problem it stands for.
    pub why: String,
    /// The public issue it comes from: `owner/repository#number`.
    pub issue: Option<String>,
    /// The workload of which it is another form, as bad to good: it has that one's files, generated parts and edits too. Files of its
    /// own take their place.
    pub form_of: Option<String>,
    /// The cache states it is measured in.
    pub scenarios: Vec<Scenario>,
    /// The base images its Dockerfile names, beyond `scratch`.
    pub bases: Vec<String>,
    /// Whether `bench --quick` has it: a cold build takes at most about three seconds.
    #[serde(default)]
    pub quick: bool,
    /// Parts of the context that are made, not stored.
    #[serde(default)]
    pub generate: Vec<Generate>,
    /// Changes for the edit scenarios.
    #[serde(default)]
    pub edit: Vec<Edit>,
    /// What the image must hold.
    pub expect: Expect,
}

/// What a workload exercises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// The graph: hermetic, from busybox.
    Shape,
    /// The storage: hermetic, from busybox.
    Storage,
    /// A real toolchain's build.
    Real,
}

/// The cache state that a build begins from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Base images are there; no step's result is used.
    Cold,
    /// Nothing changed since the last build.
    Warm,
    /// One source file changed.
    Edit,
    /// One file that lists dependencies changed.
    Dependency,
    /// The base image changed.
    Base,
    /// The cache comes from an export, the store is empty.
    Imported,
}

impl Scenario {
    /// All of them, in the order in which tables show them.
    pub const ALL: [Self; 6] = [Self::Cold, Self::Warm, Self::Edit, Self::Dependency, Self::Base, Self::Imported];

    /// Its name in manifests, on the command line and in tables.
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
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| format!("no scenario `{text}`: {}", known()))
    }
}

/// The result that every measured build is checked against.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Absolute path in the image to what is there.
    pub files: BTreeMap<String, ExpectedFile>,
    /// Paths that must not be there.
    pub absent: Vec<String>,
    /// Facts of the image's configuration.
    pub image: ExpectedImage,
}

/// What is expected of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedFile {
    /// Digest of its content.
    pub digest: Option<Digest>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its permission bits, in octal.
    pub mode: Option<String>,
    /// Its owner and group: `uid:gid`.
    pub owner: Option<String>,
    /// Text that it contains.
    pub contains: Option<String>,
    /// How many regular files lie below it, if it is a directory.
    pub files_below: Option<u64>,
}

/// What is expected of an image's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedImage {
    /// All its layers, the base image's included (busybox has one).
    pub layers: Option<usize>,
    /// `CMD`.
    pub cmd: Option<Vec<String>>,
    /// Labels that must be there.
    pub labels: BTreeMap<String, String>,
    /// `NAME=value` entries that must be there.
    pub env: Vec<String>,
}

impl Expect {
    /// Whether it demands nothing: such a workload would measure without checking.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}
