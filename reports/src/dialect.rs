//! The words of each builder for a change: the option or the setting that a user of that builder would write.

use buildscope_record::{Policy, Tool};

/// The option for another policy, in the words of the builder; `None` if that builder has none.
pub(crate) fn other_policy(tool: &Tool, policy: Policy) -> Option<String> {
    match (tool, policy) {
        (Tool::Buildscope, Policy::Serial) => {
            Some("build one step after the other (`--granularity serial`)".to_owned())
        }
        (Tool::Buildscope, policy) => {
            Some(format!("build independent {policy} in parallel (`--granularity {policy}`)"))
        }
        // BuildKit's graph is one of instructions.
        (Tool::DockerClassic, Policy::Instructions) => {
            Some("build with BuildKit (`DOCKER_BUILDKIT=1`), which builds independent steps in parallel".to_owned())
        }
        (Tool::Buildah, Policy::Stages) => Some("build independent stages in parallel (`--jobs 0`)".to_owned()),
        (Tool::DockerClassic | Tool::Buildah | Tool::Kaniko | Tool::Buildkit, _) => None,
        (Tool::Otlp | Tool::Other(_), policy) => Some(match policy {
            Policy::Serial => "build one step after the other".to_owned(),
            policy => format!("build independent {policy} in parallel"),
        }),
    }
}

/// The option by which steps wait less for each other than with the policy that the build had; `None` if that builder has none.
pub(crate) fn less_order(tool: &Tool, present: Policy) -> Option<String> {
    match (tool, present) {
        // Its stages are as independent as they can be. Only their number at a time is limited.
        (Tool::Buildah, Policy::Stages) => Some("let more stages run at once (`--jobs 0`)".to_owned()),
        _ => [Policy::Instructions, Policy::Stages].into_iter().find_map(|policy| other_policy(tool, policy)),
    }
}

/// The option that lifts a limit of slots.
pub(crate) fn unlimited_slots(tool: &Tool, jobs: u32) -> String {
    let how = match tool {
        Tool::Buildscope | Tool::Buildah => " (`--jobs 0`)",
        Tool::Buildkit => " (`max-parallelism` in buildkitd.toml)",
        Tool::DockerClassic | Tool::Kaniko | Tool::Otlp | Tool::Other(_) => "",
    };
    let slots = if jobs == 1 { "slot" } else { "slots" };
    format!("lift the limit of {jobs} {slots}{how}")
}

/// Whether a builder knows cache mounts (`RUN --mount=type=cache`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheMounts {
    /// It does.
    Known,
    /// Another builder of the same program does: the words say which.
    With(&'static str),
    /// It does not.
    Unknown,
}

impl CacheMounts {
    /// What the builder knows.
    pub(crate) fn of(tool: &Tool) -> Self {
        match tool {
            // An error: "the --mount option requires BuildKit".
            Tool::DockerClassic => Self::With("build with BuildKit (`DOCKER_BUILDKIT=1`)"),
            Tool::Kaniko => Self::Unknown,
            Tool::Buildscope | Tool::Buildkit | Tool::Buildah | Tool::Otlp | Tool::Other(_) => Self::Known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_builders_never_get_our_flags() {
        for tool in
            [Tool::Buildkit, Tool::DockerClassic, Tool::Buildah, Tool::Kaniko, Tool::Otlp, Tool::Other("x".into())]
        {
            let policies = [Policy::Serial, Policy::Stages, Policy::Instructions];
            let words = policies.into_iter().filter_map(|policy| other_policy(&tool, policy));
            let less = policies.into_iter().filter_map(|policy| less_order(&tool, policy));
            let all: Vec<String> = words.chain(less).chain([unlimited_slots(&tool, 2)]).collect();
            assert!(all.iter().all(|words| !words.contains("granularity") && !words.contains("policy")), "{all:?}");
            let jobs = all.iter().any(|words| words.contains("--jobs"));
            assert_eq!(jobs, tool == Tool::Buildah, "{all:?}");
        }
    }
}
