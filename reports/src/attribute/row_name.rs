//! The names of the rows of the accounts.

use buildscope_record::Phase;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A group or phase, or time that no span accounts for. In JSON it is the name, or `unattributed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attributed<K> {
    /// Time of a group or phase.
    Of(K),
    /// Time without a span.
    Unattributed,
}

/// A stage, an instruction or a line, or work of the build as a whole. In JSON it is the name, or `(build)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner<K> {
    /// Time of steps with this name.
    Of(K),
    /// The build itself, outside of its steps.
    Build,
}

const UNATTRIBUTED: &str = "unattributed";
const BUILD: &str = "(build)";

impl<K> From<Option<K>> for Attributed<K> {
    fn from(known: Option<K>) -> Self {
        known.map_or(Self::Unattributed, Self::Of)
    }
}

impl<K> From<Option<K>> for Owner<K> {
    fn from(known: Option<K>) -> Self {
        known.map_or(Self::Build, Self::Of)
    }
}

impl<K: PartialEq> PartialEq<K> for Attributed<K> {
    fn eq(&self, other: &K) -> bool {
        matches!(self, Self::Of(known) if known == other)
    }
}

impl Attributed<Phase> {
    /// Whether the row is one of these phases.
    pub(crate) fn is_one_of(self, phases: &[Phase]) -> bool {
        matches!(self, Self::Of(phase) if phases.contains(&phase))
    }
}

impl<K: fmt::Display> fmt::Display for Attributed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(known) => known.fmt(f),
            Self::Unattributed => f.pad(UNATTRIBUTED),
        }
    }
}

impl<K: fmt::Display> fmt::Display for Owner<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(known) => known.fmt(f),
            Self::Build => f.pad(BUILD),
        }
    }
}

impl<K: FromStr> FromStr for Attributed<K> {
    type Err = K::Err;

    fn from_str(name: &str) -> Result<Self, K::Err> {
        if name == UNATTRIBUTED { Ok(Self::Unattributed) } else { name.parse().map(Self::Of) }
    }
}

impl<K: FromStr> FromStr for Owner<K> {
    type Err = K::Err;

    fn from_str(name: &str) -> Result<Self, K::Err> {
        if name == BUILD { Ok(Self::Build) } else { name.parse().map(Self::Of) }
    }
}

/// Both are texts in JSON: `Display` writes them, `FromStr` reads them.
macro_rules! as_text {
    ($name:ident) => {
        impl<K: fmt::Display> Serialize for $name<K> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de, K: FromStr<Err: fmt::Display>> Deserialize<'de> for $name<K> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

as_text!(Attributed);
as_text!(Owner);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip_through_json() {
        for name in [Attributed::Of(Phase::Copy), Attributed::Unattributed] {
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<Attributed<Phase>>(&json).unwrap(), name);
        }
        for name in [Owner::Of(12), Owner::Build] {
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<Owner<u32>>(&json).unwrap(), name);
        }
        assert_eq!(serde_json::to_string(&Owner::Of(12)).unwrap(), "\"12\"");
    }

    #[test]
    fn a_stage_may_have_the_name_of_a_phase() {
        assert_eq!(serde_json::from_str::<Owner<String>>("\"copy\"").unwrap(), Owner::Of("copy".to_owned()));
    }
}
