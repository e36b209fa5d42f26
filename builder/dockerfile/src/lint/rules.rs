//! The lint rules: those of BuildKit under its names, and our own.

/// The URL below which BuildKit's rules are documented.
const BUILDKIT_DOCS: &str = "https://docs.docker.com/go/dockerfile/rule/";

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident in $family:ident: $description:literal;)+) => {
        /// A lint rule.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Rule {
            $($(#[$doc])* $variant,)+
        }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the name, which is BuildKit's for its rules.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// Returns the family, which decides when the rule is applied.
            pub fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family),+ }
            }

            /// Returns the rule in one sentence without a full stop.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),+ }
            }
        }
    };
}

/// A family of rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// BuildKit's build checks.
    Buildkit,
    /// BuildKit's build checks that are only applied with `experimental=`.
    Experimental,
    /// Our rules about slow builds.
    Performance,
    /// Our rules about a build: its arguments, and words whose variables only the build knows.
    Build,
}

impl Family {
    /// Returns whether the rules are BuildKit's.
    pub fn is_of_buildkit(self) -> bool {
        matches!(self, Self::Buildkit | Self::Experimental)
    }
}

rules! {
    /// `FROM x AS Name`
    StageNameCasing in Buildkit: "stage names should be in lower case";
    /// `from x AS y`
    FromAsCasing in Buildkit: "AS should be in the case of its FROM";
    /// A blank line in a continuation.
    NoEmptyContinuation in Buildkit: "a blank line within a continued instruction may become an error";
    /// `Run`, or `run` among `RUN`.
    ConsistentInstructionCasing in Buildkit: "all instructions of a file should be in the same case";
    /// Two stages with the same name.
    DuplicateStageName in Buildkit: "stage names should be unique";
    /// `FROM x AS scratch`
    ReservedStageName in Buildkit: "scratch and context are reserved and cannot be stage names";
    /// `CMD text`
    JSONArgsRecommended in Buildkit: "CMD and ENTRYPOINT in JSON form get signals that a shell does not pass on";
    /// `MAINTAINER`
    MaintainerDeprecated in Buildkit: "MAINTAINER is deprecated; use a label";
    /// `FROM $unknown`
    UndefinedArgInFrom in Buildkit: "FROM can only use arguments that are declared above the first FROM";
    /// A first `WORKDIR relative` in a stage.
    WorkdirRelativePath in Buildkit: "the first WORKDIR of a stage should be absolute, so that it does not depend on the base image";
    /// `$unknown`
    UndefinedVar in Buildkit: "variables should be declared before they are used";
    /// Two CMDs in a stage.
    MultipleInstructionsDisallowed in Buildkit: "only the last CMD, ENTRYPOINT and HEALTHCHECK of a stage has an effect";
    /// `ENV a b`
    LegacyKeyValueFormat in Buildkit: "the legacy form NAME value is ambiguous; use NAME=value";
    /// `FROM --platform=$TARGETPLATFORM`
    RedundantTargetPlatform in Buildkit: "the target platform is the default";
    /// `ENV TOKEN=`
    SecretsUsedInArgOrEnv in Buildkit: "ARG and ENV stay in the history of the image and should not contain secrets";
    /// `ARG X` and `FROM $X`
    InvalidDefaultArgInFrom in Buildkit: "without build arguments, FROM should name a valid image";
    /// `FROM --platform=linux/amd64`
    FromPlatformFlagConstDisallowed in Buildkit: "a constant platform prevents builds for other platforms";
    /// A COPY of a file that `.dockerignore` leaves out.
    CopyIgnoredFile in Experimental: "the ignore file should not leave out files that are copied";
    /// A comment above a stage or an argument that does not describe it.
    InvalidDefinitionDescription in Experimental: "a comment directly above a stage or an argument should start with its name";
    /// A base image for another platform.
    InvalidBaseImagePlatform in Buildkit: "the base image should be for the target platform";
    /// `EXPOSE 80/TCP`
    ExposeProtoCasing in Buildkit: "the protocol of a port should be in lower case";
    /// `EXPOSE 127.0.0.1:80:80`
    ExposeInvalidFormat in Buildkit: "EXPOSE names ports of the container, not of the host";
    /// A COPY of all sources before dependencies are installed.
    CopyBeforeInstall in Performance: "if all sources are copied before dependencies are installed, every edit installs them again";
    /// A changing ARG above steps that do not need it.
    CacheBustingOrder in Performance: "a value that changes at every build makes every RUN below it run again";
    /// Downloads one after the other.
    NeedlessChain in Performance: "independent steps of one stage wait for each other";
    /// A package manager without its cache.
    MissingCacheMount in Performance: "a package manager without a cache mount downloads everything again";
    /// `chown -R` in a step of its own.
    RecursiveChown in Performance: "changing the owner or mode of files of an earlier layer stores them a second time";
    /// `--build-arg` for an argument that is not declared.
    UndeclaredBuildArg in Build: "every build argument that is given should be declared by an ARG";
    /// `COPY $UNSET /x`
    EmptyCopySource in Build: "a source that expands to nothing copies everything";
}

impl Rule {
    /// Returns the rule with this name, which may be in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name().eq_ignore_ascii_case(name))
    }

    /// Returns the URL of the documentation. It is empty for our own rules.
    pub fn url(self) -> String {
        if matches!(self.family(), Family::Performance | Family::Build) {
            return String::new();
        }
        // `JSONArgsRecommended` is at `json-args-recommended`.
        let name = self.name();
        let mut slug = String::new();
        for (i, c) in name.char_indices() {
            let word_begins = c.is_ascii_uppercase()
                && i > 0
                && (name[..i].ends_with(|p: char| p.is_ascii_lowercase())
                    || name[i + 1..].starts_with(|n: char| n.is_ascii_lowercase()));
            if word_begins {
                slug.push('-');
            }
            slug.push(c.to_ascii_lowercase());
        }
        format!("{BUILDKIT_DOCS}{slug}/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildkit_s_twenty_two_rules_have_urls() {
        assert_eq!(Rule::ALL.iter().filter(|rule| !rule.url().is_empty()).count(), 22);
        assert!(Rule::JSONArgsRecommended.url().ends_with("/json-args-recommended/"));
        assert!(Rule::FromPlatformFlagConstDisallowed.url().ends_with("/from-platform-flag-const-disallowed/"));
    }
}
