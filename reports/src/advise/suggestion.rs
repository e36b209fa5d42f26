//! One suggestion, and its diff applied to a Dockerfile.

use buildscope_record::{Nanos, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// The name of the rule, for filters: `copy-before-install`.
    pub rule: String,
    /// What to do and why, in a sentence.
    pub text: String,
    /// How much sooner the build would have ended, as an upper bound.
    pub gain: Nanos,
    /// What the gain assumes, or what it costs.
    pub caveat: String,
    /// The step that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The line of that step in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in that line, in characters, if the advice is about one command of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The change as lines of a diff; empty if it cannot be written as one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
}

impl Advice {
    /// Applies the diff to the Dockerfile (for the rule `dockerignore`, to the .dockerignore). Each removed or kept line is searched
    /// from the line before on. `None` if such a line is missing: the instruction was written over several lines, or the file is
    /// another one.
    pub fn applied(&self, file: &str) -> Option<String> {
        let mut lines: Vec<&str> = file.lines().collect();
        let mut at = 0;
        for change in &self.diff {
            let (mark, text) = change.split_at_checked(1)?;
            if mark != "+" {
                at += lines[at..].iter().position(|line| *line == text)?;
            }
            match mark {
                "+" => lines.insert(at, text),
                "-" => drop(lines.remove(at)),
                _ => {}
            }
            at += usize::from(mark != "-");
        }
        Some(lines.join("\n") + "\n")
    }
}
