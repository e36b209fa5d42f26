//! The rules: BuildKit's names, and a family of our own about time.

/// Where BuildKit's rules are described.
const BUILDKIT_DOCS: &str = "https://docs.docker.com/go/dockerfile/rule/";

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident in $family:ident: $description:literal;)+) => {
        /// What can be found.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Rule {
            $($(#[$doc])* $variant,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// Whom it comes from.
            pub fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family),+ }
            }

            /// What it says in general.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),+ }
            }
        }
    };
}

/// Where rules come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// BuildKit's build checks.
    Buildkit,
    /// BuildKit's that must be asked for with `experimental=`.
    Experimental,
    /// Ours: what makes builds slow.
    Performance,
    /// Ours: what is odd about the request for this file.
    Request,
}

rules! {
    /// `FROM x AS Name`
    StageNameCasing in Buildkit: "names of stages are written in lower case";
    /// `from x AS y`
    FromAsCasing in Buildkit: "AS is written in the case of its FROM";
    /// A blank line in a continuation.
    NoEmptyContinuation in Buildkit: "a blank line within a continued instruction may become an error";
    /// `Run`, or `run` among `RUN`.
    ConsistentInstructionCasing in Buildkit: "all instructions of a file are written in one case";
    /// Two stages of one name.
    DuplicateStageName in Buildkit: "a stage's name is given once";
    /// `scratch` and `context`.
    ReservedStageName in Buildkit: "names that mean something else are not given to stages";
    /// `CMD text`
    JSONArgsRecommended in Buildkit: "CMD and ENTRYPOINT in JSON form get the signals that a shell would keep";
    /// `MAINTAINER`
    MaintainerDeprecated in Buildkit: "MAINTAINER is deprecated; a label says the same";
    /// `FROM $unknown`
    UndefinedArgInFrom in Buildkit: "a FROM uses only what an ARG above the first FROM declares";
    /// `WORKDIR relative` first.
    WorkdirRelativePath in Buildkit: "the first WORKDIR of a stage is absolute, whatever the base image has";
    /// `$unknown`
    UndefinedVar in Buildkit: "a variable is declared before it is used";
    /// Two CMDs in a stage.
    MultipleInstructionsDisallowed in Buildkit: "of these, only the last one in a stage has an effect";
    /// `ENV a b`
    LegacyKeyValueFormat in Buildkit: "NAME=value is the form that is not ambiguous";
    /// `FROM --platform=$TARGETPLATFORM`
    RedundantTargetPlatform in Buildkit: "the target platform is the default";
    /// `ENV TOKEN=`
    SecretsUsedInArgOrEnv in Buildkit: "ARG and ENV stay in the image's history: no place for secrets";
    /// `ARG X` and `FROM $X`
    InvalidDefaultArgInFrom in Buildkit: "without build arguments, a FROM names a valid image";
    /// `FROM --platform=linux/amd64`
    FromPlatformFlagConstDisallowed in Buildkit: "a constant platform keeps the file from other platforms";
    /// A COPY of what `.dockerignore` leaves out.
    CopyIgnoredFile in Experimental: "what is copied is not left out by the ignore file";
    /// A comment above a stage or an argument that does not describe it.
    InvalidDefinitionDescription in Experimental: "a comment directly above a stage or an argument begins with its name";
    /// A base image of another platform.
    InvalidBaseImagePlatform in Buildkit: "the base image is of the platform that is built for";
    /// `EXPOSE 80/TCP`
    ExposeProtoCasing in Buildkit: "the protocol of a port is written in lower case";
    /// `EXPOSE 127.0.0.1:80:80`
    ExposeInvalidFormat in Buildkit: "EXPOSE names ports of the container, not of the host";
    /// Everything is copied before dependencies are installed.
    CopyBeforeInstall in Performance: "copying all sources before dependencies are installed installs them anew at every edit";
    /// A changing ARG or ENV stands above steps that do not need it.
    CacheBustingOrder in Performance: "a value that changes at every build makes every RUN below it run again";
    /// Downloads one after the other.
    NeedlessChain in Performance: "steps that do not need each other wait for each other in one stage";
    /// A package manager without its cache.
    MissingCacheMount in Performance: "a package manager without a cache mount downloads everything again";
    /// `chown -R` in a step of its own.
    RecursiveChown in Performance: "changing owner or mode of files of an earlier layer stores them a second time";
    /// `--build-arg` of what no ARG declares.
    UndeclaredBuildArg in Request: "a build argument that is given is declared by an ARG";
}

impl Rule {
    /// The rule of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name().eq_ignore_ascii_case(name))
    }

    /// Where it is described; empty for our own.
    pub fn url(self) -> String {
        if matches!(self.family(), Family::Performance | Family::Request) {
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
    fn buildkit_has_twenty_two() {
        assert_eq!(Rule::ALL.iter().filter(|rule| !rule.url().is_empty()).count(), 22);
        assert!(Rule::JSONArgsRecommended.url().ends_with("/json-args-recommended/"));
        assert!(Rule::FromPlatformFlagConstDisallowed.url().ends_with("/from-platform-flag-const-disallowed/"));
    }
}
