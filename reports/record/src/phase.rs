//! The closed set of phases (docs/design/record.md) and the tracing span of each.

use crate::names::{UnknownName, closed_set};
use crate::probe::{Probe, TARGET};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tracing::{Span, field::Empty};

closed_set! {
    /// A group of phases: where a build's time can go.
    Group, "group of phases":
    /// From text to graph.
    Parsing = "parsing",
    /// Deciding what runs, and waiting for slots and locks.
    Scheduling = "scheduling",
    /// The steps' own processes and their sandbox.
    Execution = "execution",
    /// Everything that writes or moves layers.
    Storage = "storage",
    /// Everything over a network.
    Transfer = "transfer",
}

/// Declares the phases once: the enum, its names, its groups, and a `tracing` callsite for each, because the name of a span must be
/// known at compile time.
macro_rules! phases {
    ($($(#[$doc:meta])* $variant:ident = $name:literal in $group:ident),+ $(,)?) => {
        /// The kind of work that a span's time was spent on.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        pub enum Phase {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl Phase {
            /// All phases, in the order of their groups.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used in JSON, timelines and tables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The phase with that name; `None` if there is none.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// The group that the phase belongs to.
            pub fn group(self) -> Group {
                match self { $(Self::$variant => Group::$group),+ }
            }

            pub(crate) fn open(self, probe: &Probe) -> Span {
                match self {
                    $(Self::$variant => tracing::info_span!(
                        target: TARGET, parent: probe.parent(), $name,
                        build = probe.build().0, step = probe.step_field(), slot = probe.slot_field(), detail = Empty,
                        files_walked = Empty, files_changed = Empty, bytes_read = Empty,
                        bytes_written = Empty, bytes_hashed = Empty, bytes_compressed = Empty, ended = Empty, began_ago = Empty, ended_ago = Empty,
                    )),+
                }
            }
        }
    };
}

phases! {
    /// Reading the Dockerfile and its ignore file.
    Read = "read" in Parsing,
    /// Parsing the text into instructions.
    Parse = "parse" in Parsing,
    /// Word expansion.
    Expand = "expand" in Parsing,
    /// Checking for errors and possible improvements.
    Lint = "lint" in Parsing,
    /// Turning instructions into a graph.
    Lower = "lower" in Parsing,
    /// Computing cache keys.
    CacheKey = "cache.key" in Scheduling,
    /// Looking up the cache index.
    CacheLookup = "cache.lookup" in Scheduling,
    /// Waiting for a slot.
    Queue = "queue" in Scheduling,
    /// Waiting for a lock that another step or build holds.
    Lock = "lock" in Scheduling,
    /// A step's time outside all other phases: passing between threads, entering its result.
    Dispatch = "dispatch" in Scheduling,
    /// Creating the namespaces, mounts and cgroup of a step.
    SandboxSetup = "sandbox.setup" in Execution,
    /// The step's own process, from exec to exit.
    Process = "process" in Execution,
    /// Reaping processes, reading the accounts, removing the cgroup.
    SandboxTeardown = "sandbox.teardown" in Execution,
    /// Walking the build context.
    ContextScan = "context.scan" in Storage,
    /// Hashing the content of context files.
    ContextHash = "context.hash" in Storage,
    /// Creating the directories of a snapshot. Unpacking layers for a driver is [`Unpack`](Self::Unpack).
    SnapshotPrepare = "snapshot.prepare" in Storage,
    /// Mounting and unmounting.
    Mount = "mount" in Storage,
    /// Moving file data into a layer.
    Copy = "copy" in Storage,
    /// Finding what a step changed.
    Diff = "diff" in Storage,
    /// Writing the layer's tar.
    Archive = "archive" in Storage,
    /// Hashing a finished blob.
    Digest = "digest" in Storage,
    /// Compressing a blob.
    Compress = "compress" in Storage,
    /// Entering a layer into the store and the cache.
    Commit = "commit" in Storage,
    /// Waiting for data to be durable (fsync).
    Sync = "sync" in Storage,
    /// Converting a layer into the form that the driver mounts.
    Unpack = "unpack" in Storage,
    /// Writing the image out.
    Export = "export" in Storage,
    /// Resolving a reference to a manifest.
    Resolve = "resolve" in Transfer,
    /// Downloading layers.
    Pull = "pull" in Transfer,
    /// Uploading layers.
    Push = "push" in Transfer,
    /// Downloading anything else: git, HTTP.
    Fetch = "fetch" in Transfer,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Phase {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let expected = || Self::ALL.iter().map(|phase| phase.name()).collect();
        Self::from_name(name).ok_or_else(|| UnknownName { set: "phase", name: name.to_owned(), expected: expected() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialised_ones_and_can_be_parsed() {
        for &phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
            assert_eq!(Phase::from_name(phase.name()), Some(phase));
        }
    }
}
