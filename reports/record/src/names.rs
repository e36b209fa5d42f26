//! The closed sets of names that a record holds, besides [`Phase`](crate::Phase): one enum each, with one spelling and one
//! error message, from the command line to the last report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A name that is not in its closed set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {set} `{name}`: expected {}", alternatives(.expected))]
pub struct UnknownName {
    /// The name of the set: `policy`, `storage driver`.
    pub set: &'static str,
    /// The name that was given.
    pub name: String,
    /// The names in the set, in their own order.
    pub expected: Vec<&'static str>,
}

/// `serial, stages or instructions`.
fn alternatives(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Declares a closed set once: the enum, its names in JSON and on the command line, and how it is read and shown.
macro_rules! closed_set {
    ($(#[$doc:meta])* $set:ident, $called:literal: $($(#[$variant_doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        pub enum $set {
            $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)+
        }

        impl $set {
            /// All members of the set, in the order in which help texts list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in JSON, on the command line and in tables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $set {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                let unknown = || UnknownName { set: $called, name: name.to_owned(), expected: vec![$($name),+] };
                Self::ALL.iter().copied().find(|member| member.name() == name).ok_or_else(unknown)
            }
        }
    };
}

pub(crate) use closed_set;

closed_set! {
    /// The network of a step's processes.
    Network, "network":
    /// The host's.
    Host = "host",
    /// The host's, but the step could not open raw or packet sockets.
    HostWithoutRawSockets = "host-without-raw-sockets",
    /// A network of the build, connected to the outside without the host's loopback.
    Isolated = "isolated",
    /// A loopback device only.
    None = "none",
}

closed_set! {
    /// The condition for a ready step to start.
    #[derive(Default)]
    Admission, "admission":
    /// A free slot, and memory for what the step is expected to need.
    #[default]
    Memory = "memory",
    /// A free slot.
    Slots = "slots",
}

closed_set! {
    /// The results that a build found in its cache.
    CacheState, "cache state":
    /// No results, because it did not look (`--no-cache`).
    Cold = "cold",
    /// The result of every step.
    Warm = "warm",
    /// The results of some steps.
    Edit = "edit",
}

closed_set! {
    /// A storage driver: how layers become the file system of a step.
    DriverName, "storage driver":
    /// Layers mounted in place through an EROFS index, below overlayfs.
    Erofs = "erofs",
    /// Unpacked layers below overlayfs.
    Overlay = "overlay",
    /// Unpacked layers below fuse-overlayfs.
    FuseOverlayfs = "fuse-overlayfs",
    /// Btrfs subvolume snapshots.
    Btrfs = "btrfs",
    /// A full copy for each step.
    Copy = "copy",
}

/// The storage driver that a build was asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DriverChoice {
    /// The best driver that works on this machine: `auto`.
    #[default]
    Auto,
    /// This driver, or an error if it does not work.
    Named(DriverName),
}

impl DriverChoice {
    /// The name on the command line and in the results of benchmarks.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Named(driver) => driver.name(),
        }
    }
}

impl fmt::Display for DriverChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DriverChoice {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        if name == Self::Auto.name() {
            return Ok(Self::Auto);
        }
        name.parse().map(Self::Named).map_err(|mut unknown: UnknownName| {
            unknown.expected.insert(0, Self::Auto.name());
            unknown
        })
    }
}

impl TryFrom<String> for DriverChoice {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        name.parse()
    }
}

impl From<DriverChoice> for String {
    fn from(choice: DriverChoice) -> Self {
        choice.name().to_owned()
    }
}

/// Declares each known program once: its variant and its name.
macro_rules! tools {
    ($($(#[$doc:meta])* $tool:ident = $name:literal),+ $(,)?) => {
        /// The program that observed a build, or whose log or trace a record was imported from.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(from = "String", into = "String")]
        #[schemars(with = "String")]
        pub enum Tool {
            $($(#[$doc])* $tool,)+
            /// Another program. Anyone may write a record by its JSON Schema, so the set is open.
            Other(String),
        }

        impl Tool {
            const KNOWN: &'static [Self] = &[$(Self::$tool),+];

            /// The name in JSON and in tables.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$tool => $name,)+
                    Self::Other(name) => name,
                }
            }
        }
    };
}

tools! {
    /// This project's own builder.
    Buildscope = "buildscope",
    /// BuildKit, through any of its clients.
    Buildkit = "buildkit",
    /// Docker's classic builder.
    DockerClassic = "docker-classic",
    /// Buildah or Podman.
    Buildah = "buildah",
    /// Kaniko.
    Kaniko = "kaniko",
    /// An OpenTelemetry trace whose producer is not known.
    Otlp = "otlp",
}

impl From<String> for Tool {
    fn from(name: String) -> Self {
        Self::KNOWN.iter().find(|known| known.name() == name).cloned().unwrap_or(Self::Other(name))
    }
}

impl From<Tool> for String {
    fn from(tool: Tool) -> Self {
        match tool {
            Tool::Other(name) => name,
            known => known.name().to_owned(),
        }
    }
}

impl FromStr for Tool {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(name.to_owned().into())
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    #[test]
    fn a_closed_set_reads_what_it_writes() {
        for &policy in Policy::ALL {
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.name());
            assert_eq!(policy.name().parse(), Ok(policy));
        }
        for &driver in DriverName::ALL {
            assert_eq!(serde_json::from_value::<DriverName>(driver.name().into()).unwrap(), driver);
        }
        assert_eq!(CacheState::ALL.iter().map(ToString::to_string).collect::<Vec<_>>(), ["cold", "warm", "edit"]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "stage".parse::<Policy>().unwrap_err();
        assert_eq!(error.to_string(), "unknown policy `stage`: expected serial, stages or instructions");
    }

    #[test]
    fn the_choice_of_a_driver_also_knows_auto() {
        assert_eq!("auto".parse(), Ok(DriverChoice::Auto));
        assert_eq!("btrfs".parse(), Ok(DriverChoice::Named(DriverName::Btrfs)));
        assert_eq!(
            "zfs".parse::<DriverChoice>().unwrap_err().to_string(),
            "unknown storage driver `zfs`: expected auto, erofs, overlay, fuse-overlayfs, btrfs or copy"
        );
    }

    #[test]
    fn the_tool_of_a_foreign_record_survives_a_round_trip() {
        for tool in Tool::KNOWN {
            assert_eq!(serde_json::from_value::<Tool>(serde_json::to_value(tool).unwrap()).unwrap(), *tool);
        }
        let foreign: Tool = serde_json::from_str("\"img\"").unwrap();
        assert_eq!(foreign, Tool::Other("img".into()));
        assert_eq!(serde_json::to_value(&foreign).unwrap(), "img");
    }
}
