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
        workdir(linter, stage);
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
    // A constant is allowed for a stage with the architecture in its name.
    let constant = found.matched.is_empty() && found.unmatched.is_empty();
    let named = from
        .name
        .as_ref()
        .is_some_and(|name| name.to_lowercase().contains(&*word.rsplit('/').next().unwrap_or("").to_lowercase()));
    if constant && !named {
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

fn workdir(linter: &mut Linter<'_>, stage: &[crate::Instruction<'_>]) {
    // A stage that is based on another stage inherits its working directory.
    let Kind::From(from) = &stage[0].kind else { return };
    let base = from.base.to_lowercase();
    let earlier = linter.file.instructions.iter().take_while(|found| found.span.start < stage[0].span.start);
    let from_stage = earlier
        .filter_map(|found| match &found.kind {
            Kind::From(from) => from.name.as_ref(),
            _ => None,
        })
        .any(|name| name.to_lowercase() == base);
    if from_stage {
        return;
    }
    let first = stage.iter().find_map(|instruction| match &instruction.kind {
        Kind::Workdir(word) => Some((instruction, word)),
        _ => None,
    });
    let Some((instruction, word)) = first else { return };
    if !word.trim_start_matches(['"', '\'']).starts_with(['/', '$']) {
        linter.find(
            Rule::WorkdirRelativePath,
            instruction,
            word.span,
            format!("WORKDIR {} depends on the working directory of the base image", word.text),
            format!("write WORKDIR /{}", word.text),
        );
    }
}
