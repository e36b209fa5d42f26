//! Rules about stages: their names and platforms, and instructions that count once for each stage.

use super::triggers::Stage;
use super::{Finding, Linter, Rule};
use crate::{Diagnostic, Expander, Instruction, Keyword};
use std::collections::{BTreeMap, BTreeSet};

/// The names with another meaning in FROM and `--from`.
const RESERVED: [&str; 2] = ["scratch", "context"];

pub(super) fn check(linter: &mut Linter<'_>, stages: &[Stage<'_, '_>]) {
    let mut names = BTreeSet::new();
    for stage in stages {
        let Stage { from_line, from, .. } = *stage;
        if let Some(name) = &from.name {
            let lower = name.to_lowercase();
            if *name.text != lower {
                linter.find(
                    Rule::StageNameCasing,
                    from_line,
                    name.span,
                    format!("the stage name {} is not in lower case", name.text),
                    format!("write {lower}"),
                );
            }
            if RESERVED.contains(&&*lower) {
                linter.find(
                    Rule::ReservedStageName,
                    from_line,
                    name.span,
                    format!("the stage name {lower} is reserved"),
                    "choose another name",
                );
            }
            if !names.insert(lower.clone()) {
                linter.find(
                    Rule::DuplicateStageName,
                    from_line,
                    name.span,
                    format!("duplicate stage name {lower}: another stage above has it"),
                    "give each stage its own name",
                );
            }
        }
        platform(linter, from_line, from);
        once(linter, stage);
    }
}

fn platform(linter: &mut Linter<'_>, from_line: &crate::Instruction<'_>, from: &crate::From<'_>) {
    let Some(word) = &from.platform else { return };
    let probe = BTreeMap::from([("TARGETPLATFORM", "\u{1}".to_owned())]);
    let Ok(found) = Expander::new(linter.file.escape).expand(&word.text, &probe) else { return };
    if found.text == "\u{1}" && found.unmatched.is_empty() {
        linter.find(
            Rule::RedundantTargetPlatform,
            from_line,
            word.span,
            format!("--platform={} is the default", word.text),
            "remove the flag",
        );
    }
    // A constant is allowed for a stage with the system or the architecture in its name.
    let constant = found.matched.is_empty() && found.unmatched.is_empty();
    let name = from.name.as_ref().map(|name| name.to_lowercase()).unwrap_or_default();
    let named = |parts: [String; 2]| parts.iter().any(|part| name.contains(part));
    if constant && (linter.context.platform_of)(&found.text).is_some_and(|parts| !named(parts)) {
        linter.find(
            Rule::FromPlatformFlagConstDisallowed,
            from_line,
            word.span,
            format!("--platform={} is a constant", word.text),
            "write --platform=$BUILDPLATFORM for tools, give build --platform, or put the architecture into the stage name",
        );
    }
}

/// Reports every CMD, ENTRYPOINT and HEALTHCHECK but the last one of a stage, because only that one has an effect. BuildKit does so when
/// it meets the next one.
fn once(linter: &mut Linter<'_>, stage: &Stage<'_, '_>) {
    for keyword in [Keyword::Cmd, Keyword::Entrypoint, Keyword::Healthcheck] {
        let all: Vec<&Instruction<'_>> = stage.instructions().filter(|found| found.keyword() == keyword).collect();
        for pair in all.windows(2) {
            let (without_effect, next) = (pair[0], pair[1]);
            let name = keyword.name();
            let message = format!("this {name} has no effect, because another {name} follows in this stage");
            let diagnostic = Diagnostic::new(without_effect.span, message).help("remove it");
            let finding = Finding::new(Rule::MultipleInstructionsDisallowed, without_effect.lines, diagnostic);
            linter.find_when(next.span.range().start, next.comments, finding);
        }
    }
}
