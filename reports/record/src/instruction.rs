//! The instruction of a step.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Declares the known instructions once: the variants, and their names in JSON and in texts.
macro_rules! instructions {
    ($($(#[$meta:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// The instruction of a step, by its keyword. Logs of other builders can have keywords that are not known here; they stay
        /// as they are.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Instruction {
            $($(#[$meta])* $variant,)+
            /// Another keyword.
            Other(String),
        }

        impl Instruction {
            /// The keyword: `RUN`.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for Instruction {
            fn from(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

instructions! {
    /// Adds files of the context, or files by URL.
    Add = "ADD",
    /// Declares a build argument.
    Arg = "ARG",
    /// Sets the default command.
    Cmd = "CMD",
    /// Copies files of the context, a stage or an image.
    Copy = "COPY",
    /// Sets the program.
    Entrypoint = "ENTRYPOINT",
    /// Sets variables.
    Env = "ENV",
    /// Names ports.
    Expose = "EXPOSE",
    /// Starts a stage.
    From = "FROM",
    /// Sets the check of a container's health.
    Healthcheck = "HEALTHCHECK",
    /// Adds labels.
    Label = "LABEL",
    /// Names the author.
    Maintainer = "MAINTAINER",
    /// Adds an instruction for builds that start from the image.
    Onbuild = "ONBUILD",
    /// Runs a command.
    Run = "RUN",
    /// Sets the shell of the instructions that follow.
    Shell = "SHELL",
    /// Sets the signal that stops a container.
    Stopsignal = "STOPSIGNAL",
    /// Sets the user.
    User = "USER",
    /// Declares volumes.
    Volume = "VOLUME",
    /// Sets the working directory.
    Workdir = "WORKDIR",
    /// Work of the builder itself that a log shows as a step. This keyword does not occur in Dockerfiles.
    #[default]
    Internal = "INTERNAL",
}

impl Instruction {
    /// Whether it adds a layer to the image.
    pub fn adds_layer(&self) -> bool {
        match self {
            Self::Run | Self::Copy | Self::Add | Self::Workdir => true,
            Self::Arg
            | Self::Cmd
            | Self::Entrypoint
            | Self::Env
            | Self::Expose
            | Self::From
            | Self::Healthcheck
            | Self::Label
            | Self::Maintainer
            | Self::Onbuild
            | Self::Shell
            | Self::Stopsignal
            | Self::User
            | Self::Volume
            | Self::Internal
            | Self::Other(_) => false,
        }
    }

    /// Whether it copies files, from the context or from elsewhere.
    pub fn copies(&self) -> bool {
        matches!(self, Self::Copy | Self::Add)
    }
}

impl From<String> for Instruction {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl FromStr for Instruction {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self::from(name))
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Reports list instructions by name.
impl Ord for Instruction {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl PartialOrd for Instruction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Instruction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Instruction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*Cow::<'de, str>::deserialize(deserializer)?))
    }
}

impl JsonSchema for Instruction {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_keyword_survives_a_round_trip_through_json() {
        for json in ["\"RUN\"", "\"INTERNAL\"", "\"FETCH\"", "\"run\"", "\"\""] {
            let instruction: Instruction = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&instruction).unwrap(), json);
        }
        assert_eq!(Instruction::from("RUN"), Instruction::Run);
        assert_eq!(Instruction::from("FETCH"), Instruction::Other("FETCH".into()));
    }
}
