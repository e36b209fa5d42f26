//! Independent parts of the context that are built one after the other in one stage.

use super::case::{AdviceCase, about};
use super::suggestion::Advice;
use crate::steps::StepExplanation;
use crate::wording::quote_located;
use buildscope_commands::Keyword;
use buildscope_commands::rules::{Edit, InstructionChange};
use buildscope_record::{Instruction, Nanos, Policy};

/// Suggests a stage for each of several consecutive RUNs that work in different directories of one `COPY . .`.
pub(super) fn independent_parts(case: &AdviceCase<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    // Where steps run one after the other, stages do too.
    let options = &case.analysis.record.options;
    if options.policy == Some(Policy::Serial) || options.jobs == Some(1) {
        return found;
    }
    for copy in case.ran().filter(|step| takes_all(case, step)) {
        let behind = &case.analysis.steps[copy.id.index() + 1..];
        let parts: Vec<IndependentPart<'_>> = behind
            .iter()
            .take_while(|step| step.stage == copy.stage)
            .map_while(|step| {
                Some(IndependentPart { step, folder: works_in(&step.text).filter(|folder| has(case, folder))? })
            })
            .collect();
        let others = |part: &IndependentPart<'_>| {
            parts.iter().any(|other| other.folder != part.folder && names(&part.step.text, other.folder))
        };
        let twice = (1..parts.len()).any(|at| parts[..at].iter().any(|part| part.folder == parts[at].folder));
        if parts.len() < 2 || twice || parts.iter().any(others) {
            continue;
        }
        let drags = parts.iter().map(|part| part.step.drag);
        let (sum, longest) = (drags.clone().sum::<Nanos>(), drags.max().unwrap_or_default());
        // In parallel they still need the same CPU time.
        let used = parts.iter().filter_map(|part| part.step.resources);
        let used: u64 = used.map(|used| used.cpu_user.0 + used.cpu_system.0).sum();
        let least = case.analysis.record.host.cpus.map_or(0, |cpus| used / u64::from(cpus.max(1)));
        let gain = sum.saturating_sub(longest.max(Nanos(least)));
        if !case.worth(gain) {
            continue;
        }
        let folders = parts.iter().map(|part| format!("`{}`", part.folder)).collect::<Vec<_>>().join(", ");
        let text = format!(
            "give {folders} a stage each, starting with {}: they then run in parallel, and each stays cached when only other files change",
            quote_located(parts[0].step)
        );
        let caveat = "only if no part reads or writes files of another, and all results are below the WORKDIR";
        let advice = about(parts[0].step, "independent-parts", gain, text, caveat);
        let advice = match edits(case, copy, &parts) {
            Some(edits) => case.edited(advice, edits),
            None => advice,
        };
        found.push(advice);
    }
    found
}

/// Whether a step copies the whole context.
pub(super) fn takes_all(case: &AdviceCase<'_>, step: &StepExplanation) -> bool {
    let instruction = &case.file.steps[step.id.index()].instruction;
    (instruction.is(Keyword::Copy) || instruction.is(Keyword::Add))
        && instruction.flag("from").is_none()
        && instruction.words().first().is_some_and(|word| matches!(word.text.as_str(), "." | "./"))
}

/// A RUN that works in its own directory.
struct IndependentPart<'c> {
    step: &'c StepExplanation,
    folder: &'c str,
}

/// The directory below the working directory that a RUN changes to first.
fn works_in(text: &str) -> Option<&str> {
    let (folder, _) = text.strip_prefix("RUN cd ")?.split_once(" && ")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (!folder.is_empty() && folder.bytes().all(plain)).then_some(folder)
}

/// Whether a text contains the name as a word.
fn names(text: &str, name: &str) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '-' | '_')).any(|word| word == name)
}

/// Whether the context contains the directory; true if the record does not list the context.
fn has(case: &AdviceCase<'_>, folder: &str) -> bool {
    case.analysis.record.context.is_empty() || case.analysis.record.context.iter().any(|entry| entry.path == folder)
}

/// The change: the instructions before the COPY become a common stage from which all parts are built. `None` if the location of the
/// files is not known, or if a name is taken.
fn edits(case: &AdviceCase<'_>, copy: &StepExplanation, parts: &[IndependentPart<'_>]) -> Option<Vec<Edit>> {
    let mut before = case.analysis.steps[..copy.id.index()].iter().filter(|step| step.stage == copy.stage);
    let from = before.clone().find(|step| step.instruction == Instruction::From)?;
    let folder = before.rfind(|step| step.instruction == Instruction::Workdir)?.text.split_once(' ')?.1.trim();
    // With another destination, the files would not be where the parts expect them.
    if !folder.starts_with('/') || !copy.text.ends_with(" . .") && !copy.text.ends_with(" . ./") {
        return None;
    }
    let (base, name) = match from.text.split_once(" AS ") {
        Some((base, name)) => (base, Some(name)),
        None => (from.text.as_str(), None),
    };
    let common = "common";
    let taken = |name: &str| case.analysis.record.stages.iter().any(|stage| stage.name == name);
    if taken(common) || parts.iter().any(|part| taken(part.folder) || part.folder == common) {
        return None;
    }
    let mut lines = Vec::new();
    for IndependentPart { step, folder } in parts {
        lines.extend([
            format!("FROM {common} AS {folder}"),
            copy.text.replacen(" . .", &format!(" {folder} {folder}/"), 1).replace("//", "/"),
            step.text.clone(),
        ]);
    }
    lines.push(format!("FROM {common}{}", name.map(|name| format!(" AS {name}")).unwrap_or_default()));
    lines.push(copy.text.clone());
    lines.extend(parts.iter().map(|part| format!("COPY --from={} {folder} ./", part.folder)));
    let first = Edit { step: from.id.index(), change: InstructionChange::Lines(vec![format!("{base} AS {common}")]) };
    let stages = Edit { step: copy.id.index(), change: InstructionChange::Lines(lines) };
    let gone = parts.iter().map(|part| Edit { step: part.step.id.index(), change: InstructionChange::Remove });
    Some([first, stages].into_iter().chain(gone).collect())
}
