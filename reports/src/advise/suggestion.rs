//! One suggestion, and its change of a Dockerfile.

use crate::steps::StepExplanation;
use buildscope_commands::Source;
use buildscope_commands::rules::Edit;
use buildscope_record::{Nanos, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The rule whose change is a line of the .dockerignore.
pub const IGNORE_RULE: &str = "dockerignore";

/// The rule whose change a rule about a command may have, too.
pub(super) const CACHE_MOUNT: &str = "cache-mount";

/// A suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// The name of the rule, for filters: `copy-before-install`.
    pub rule: String,
    /// The suggestion and its reason, as a sentence.
    pub text: String,
    /// The time by which the build would have ended earlier, as an upper bound; zero if unknown.
    pub gain: Nanos,
    /// The assumption or the cost of the gain.
    pub caveat: String,
    /// The step that the suggestion is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The line of that step in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in that line, in characters, if the advice is about one command of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The change as lines of a diff, one for each instruction; empty if it cannot be written as one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
    /// The change of the Dockerfile, by which [`Advice::applied`] keeps the form of the file.
    #[serde(skip)]
    pub edits: Vec<Edit>,
}

impl Advice {
    /// The Dockerfile with the change. `steps` are those of the explanation. `None` if there is no change, or if an instruction that it
    /// changes is not in the text: the file is another one, or was edited since.
    pub fn applied(&self, dockerfile: &str, steps: &[StepExplanation]) -> Option<String> {
        if self.edits.is_empty() {
            return None;
        }
        let known: Vec<_> =
            steps.iter().map(|step| (step.text.as_str(), step.source.map(|source| source.line))).collect();
        let source = Source::read(dockerfile);
        source.applied(&self.edits, &source.places(&known))
    }

    /// The suggestion with its gain, if that is known, and its caveat.
    pub fn sentence(&self) -> String {
        let gain = if self.gain == Nanos::ZERO { String::new() } else { format!("up to {}: ", self.gain) };
        format!("{gain}{} ({})", self.text, self.caveat)
    }

    /// The line that the change adds to the .dockerignore.
    pub fn ignored(&self) -> Option<&str> {
        if self.rule == IGNORE_RULE { self.diff.first()?.strip_prefix('+') } else { None }
    }
}
