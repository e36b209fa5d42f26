//! One suggestion.

use buildscope_record::{Nanos, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What could be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// The rule's name, for filters: `copy-before-install`.
    pub rule: String,
    /// What to do and why, in a sentence.
    pub text: String,
    /// How much sooner the build would have ended, at most.
    pub gain: Nanos,
    /// What the gain takes for granted, or what it costs.
    pub caveat: String,
    /// The step that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Its line in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The change as lines of a diff, where it can be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
}

impl Advice {
    /// The Dockerfile (of the rule `dockerignore`: the .dockerignore) after the diff: a line that goes or stays is looked
    /// for from where the last one was. None where a line is not there as the diff has it: an instruction that was written
    /// over several lines, or another file.
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
