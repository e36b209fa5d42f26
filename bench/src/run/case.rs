//! Cases: the combinations of workload, cache state and builder that are measured.

use buildscope_record::{DriverChoice, Policy};
use buildscope_workloads::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A builder with its settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// `buildscope`, the name given on the command line, or the name of a peer.
    pub builder: String,
    /// The version that a peer reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The value of `--granularity`; `None` (an empty string in JSON) for a peer, which has its own order.
    #[serde(with = "policy_or_empty")]
    pub policy: Option<Policy>,
    /// The value of `--driver`.
    pub driver: DriverChoice,
    /// The value of `--jobs`.
    pub jobs: usize,
}

/// A workload, a cache state and a builder. Samples of one case belong together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Case {
    /// The name of the workload.
    pub workload: String,
    /// The cache state before each build.
    pub scenario: Scenario,
    /// The builder.
    pub subject: Subject,
}

impl Subject {
    /// The name of its policy; empty for a peer.
    pub(crate) fn policy_name(&self) -> &'static str {
        self.policy.map_or("", Policy::name)
    }
}

/// Serialises a policy as its name; no policy is an empty string.
mod policy_or_empty {
    use buildscope_record::Policy;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(policy: &Option<Policy>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(policy.map_or("", Policy::name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Policy>, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.is_empty() { Ok(None) } else { name.parse().map(Some).map_err(D::Error::custom) }
    }
}

impl Case {
    /// A name for files: letters, digits, dots and dashes.
    pub fn slug(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
        self.to_string().chars().map(safe).collect()
    }

    /// Whether both have the same workload and cache state.
    pub(crate) fn same_group(&self, other: &Self) -> bool {
        (&self.workload, self.scenario) == (&other.workload, other.scenario)
    }

    /// Whether both are equal except for the builder.
    pub(crate) fn same_but_builder(&self, other: &Self) -> bool {
        let of = |case: &Self| {
            let subject = &case.subject;
            (case.workload.clone(), case.scenario, subject.policy, subject.driver, subject.jobs)
        };
        of(self) == of(other)
    }

    /// The parameters that distinguish the case from others of its run, by name.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        [
            ("workload", self.workload.clone()),
            ("cache", self.scenario.to_string()),
            ("builder", self.subject.builder.clone()),
            ("policy", self.subject.policy_name().to_owned()),
            ("driver", self.subject.driver.to_string()),
            ("jobs", self.subject.jobs.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl fmt::Display for Subject {
    /// Formats all settings that differ from the default: `buildscope stages overlay j2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.builder)?;
        if let Some(policy) = self.policy {
            write!(f, " {policy}")?;
        }
        if self.driver != DriverChoice::Auto {
            write!(f, " {}", self.driver)?;
        }
        if self.jobs > 0 { write!(f, " j{}", self.jobs) } else { Ok(()) }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.workload, self.scenario, self.subject)
    }
}
