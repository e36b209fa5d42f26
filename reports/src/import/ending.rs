//! The end of a BuildKit log: whether the build has an output, and whether the log says that it was written.
//!
//! *Takes* the client's messages around a build, and the draft of the build. *Gives* the draft, marked as unfinished if the result is
//! missing.

use super::draft::Draft;

/// The client's messages about the result of a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Destination {
    /// No message, as docker before 23 and buildctl.
    #[default]
    Unsaid,
    /// docker itself builds. It writes every result.
    Docker,
    /// Another driver builds. buildx warns if it has no output, but not if the output is `type=cacheonly`.
    Driver,
    /// The build has no output.
    Nowhere,
}

impl Destination {
    /// Reads a line that is not about a vertex.
    pub(crate) fn line(&mut self, text: &str) {
        if is_without_output(text) {
            *self = Self::Nowhere;
        } else if *self != Self::Nowhere && text.starts_with("#0 building with ") {
            *self = if text.ends_with(" using docker driver") { Self::Docker } else { Self::Driver };
        }
    }

    /// Marks the build as unfinished if its log ends before the result was written.
    pub(crate) fn judge(self, draft: &mut Draft) {
        if draft.failed || draft.unfinished || draft.is_exported() {
            return;
        }
        // A log of a few steps shows a part of a build. One that begins with the Dockerfile shows a whole one.
        let whole = || draft.steps.iter().any(|step| step.text.contains("load build definition"));
        match self {
            Self::Docker => draft.unfinished = true,
            Self::Unsaid if whole() => {
                draft.unfinished = true;
                draft.notes.push(AMBIGUOUS.to_owned());
            }
            Self::Driver => draft.notes.push(AMBIGUOUS.to_owned()),
            Self::Unsaid | Self::Nowhere => {}
        }
    }
}

const AMBIGUOUS: &str =
    "the log ends without a result being written: it was cut off after its last step, or the build had no output";

/// Whether buildx says that a build has no output. It does so before or after the build.
pub(crate) fn is_without_output(text: &str) -> bool {
    ["No output specified with ", "No output specified for "].iter().any(|words| text.contains(words))
}
