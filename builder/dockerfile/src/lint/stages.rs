//! Rules about stages: their names and platforms, and instructions that count once for each stage.

use super::{Linter, Rule};
use crate::{Expander, Keyword, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// The names with another meaning in FROM and `--from`.
const RESERVED: [&str; 2] = ["scratch", "context"];

pub(super) fn check(linter: &mut Linter<'_>) {
    let file = linter.file;
    let mut names = BTreeSet::new();
    for stage in super::by_stage(file) {
        let from_line = &stage[0];
        let Kind::From(from) = &from_line.kind else { continue };
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

/// Reports every CMD, ENTRYPOINT and HEALTHCHECK but the last one of a stage, because only that one has an effect.
fn once(linter: &mut Linter<'_>, stage: &[crate::Instruction<'_>]) {
    for keyword in [Keyword::Cmd, Keyword::Entrypoint, Keyword::Healthcheck] {
        let all: Vec<_> = stage.iter().filter(|instruction| instruction.keyword() == keyword).collect();
        let Some((_, without_effect)) = all.split_last() else { continue };
        for instruction in without_effect {
            linter.find(
                Rule::MultipleInstructionsDisallowed,
                instruction,
                instruction.span,
                format!("this {0} has no effect, because another {0} follows in this stage", keyword.name()),
                "remove it",
            );
        }
    }
}
