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
    /// Text to graph.
    Parsing = "parsing",
    /// Deciding what runs, and waiting for a turn.
    Scheduling = "scheduling",
    /// The steps' own processes and their sandbox.
    Execution = "execution",
    /// Everything that makes or moves layers.
    Storage = "storage",
    /// Everything over a network.
    Transfer = "transfer",
}

/// Declares the phases once: the enum, its names, its groups, and a `tracing` callsite for each
/// (a span's name must be known at compile time).
macro_rules! phases {
    ($($(#[$doc:meta])* $variant:ident = $name:literal in $group:ident),+ $(,)?) => {
        /// What a span's time was spent on.
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

            /// The phase of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// The group that its time is counted in.
            pub fn group(self) -> Group {
                match self { $(Self::$variant => Group::$group),+ }
            }

            pub(crate) fn open(self, probe: &Probe) -> Span {
                match self {
                    $(Self::$variant => tracing::info_span!(
                        target: TARGET, parent: probe.parent(), $name,
                        build = probe.build().0, step = probe.step_field(), slot = probe.slot_field(), detail = Empty,
                        files_walked = Empty, files_changed = Empty, bytes_read = Empty,
                        bytes_written = Empty, bytes_hashed = Empty, bytes_compressed = Empty, ended = Empty,
                    )),+
                }
            }
        }
    };
}

phases! {
    /// Reading the Dockerfile and its ignore file.
    Read = "read" in Parsing,
    /// Text to instructions.
    Parse = "parse" in Parsing,
    /// Word expansion.
    Expand = "expand" in Parsing,
    /// Looking for faults and advice.
    Lint = "lint" in Parsing,
    /// Instructions to graph.
    Lower = "lower" in Parsing,
    /// Computing cache keys.
    CacheKey = "cache.key" in Scheduling,
    /// Asking the cache index.
    CacheLookup = "cache.lookup" in Scheduling,
    /// Ready to run, but no slot is free.
    Queue = "queue" in Scheduling,
    /// Waiting for a lock that another step or build holds.
    Lock = "lock" in Scheduling,
    /// A step's turn outside of all its other phases: handed from thread to thread, its result entered.
    Dispatch = "dispatch" in Scheduling,
    /// Namespaces, mounts and cgroup of a step.
    SandboxSetup = "sandbox.setup" in Execution,
    /// The step's own process, from exec to exit.
    Process = "process" in Execution,
    /// Reaping, reading the accounts, removing the cgroup.
    SandboxTeardown = "sandbox.teardown" in Execution,
    /// Walking the build context.
    ContextScan = "context.scan" in Storage,
    /// Hashing the content of context files.
    ContextHash = "context.hash" in Storage,
    /// Making a snapshot's directories, unpacking what a driver needs unpacked is `Unpack`.
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
    /// Making a layer known to the store and the cache.
    Commit = "commit" in Storage,
    /// Waiting for the disk to have it.
    Sync = "sync" in Storage,
    /// Turning a layer into what the driver mounts.
    Unpack = "unpack" in Storage,
    /// Writing the image out.
    Export = "export" in Storage,
    /// From a reference to a manifest.
    Resolve = "resolve" in Transfer,
    /// Downloading layers.
    Pull = "pull" in Transfer,
    /// Uploading layers.
    Push = "push" in Transfer,
    /// Downloading anything else: git, http.
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
    fn names_are_the_serialised_ones_and_lead_back() {
        for &phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
            assert_eq!(Phase::from_name(phase.name()), Some(phase));
        }
    }
}
