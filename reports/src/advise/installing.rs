//! Rules about installs: the copies before them, the stages that they wait for, and their caches.

use super::case::{AdviceCase, about};
use super::suggestion::{Advice, CACHE_MOUNT};
use crate::dialect::CacheMounts;
use crate::inside::{Activity, CommandRow, Inside, RowKind};
use crate::steps::StepExplanation;
use crate::wording::quote_located;
use buildscope_commands::rules::{
    CacheAdvice, Edit, InstructionChange, Reorder, ReorderKind, late_installs, missing_caches, needs_nothing_before,
    split_install,
};
use buildscope_commands::{Content, Script, Surroundings, Tool, Usage, Work, recognise};
use buildscope_record::{Instruction, Nanos, Observed};
use std::collections::BTreeSet;

/// `COPY . .` before an install: any changed file makes the install run again.
pub(super) fn copy_before_install(case: &AdviceCase<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut fetched = BTreeSet::new();
    let late = late_installs(case.file, case.facts);
    let missing = match CacheMounts::of(&case.analysis.record.source.tool) {
        CacheMounts::Known => missing_caches(case.file, case.facts),
        CacheMounts::With(_) | CacheMounts::Unknown => Vec::new(),
    };
    for run in case.runs() {
        let Some(reorder) = late.iter().find(|reorder| reorder.run == run.id.index()) else { continue };
        // The next command finds the dependencies that this one fetched.
        if let ReorderKind::Fetch(command) = &reorder.kind
            && !fetched.insert((reorder.copy, command.clone()))
        {
            continue;
        }
        let remedy = reorder.remedy(&quote_located(run));
        let text = format!("{remedy}: its result then stays cached when only other files of the context change");
        let (gain, caveat) = match &reorder.kind {
            ReorderKind::Whole => (run.drag, "gained when the sources change and the dependencies do not"),
            ReorderKind::Part(_) => (
                time_of_installs(run).unwrap_or(run.drag),
                "gained when the sources change and the dependencies do not; what follows the install runs again in any case",
            ),
            ReorderKind::Fetch(_) | ReorderKind::Hard => (
                network_of(run, reorder.tool).unwrap_or(run.drag),
                "an upper bound: the sources themselves are compiled again in any case",
            ),
        };
        let unread = format!(
            "{caveat}; no diff, because the content of {} is unknown, and it may name other parts of the project (the build context must be where it was during the build)",
            reorder.files.join(", ")
        );
        let instead = format!("{caveat}; instead of a cache mount, which would hide these files of the layer");
        let hidden = missing.iter().any(|advice| hides(advice, reorder));
        let caveat = match (reorder.unread, hidden) {
            (true, _) => unread.as_str(),
            (false, true) => instead.as_str(),
            (false, false) => caveat,
        };
        let advice = about(run, "copy-before-install", gain.min(run.drag), text, caveat);
        found.push(case.edited(advice, if hidden { Vec::new() } else { reorder.edits.clone() }));
    }
    found
}

/// Whether the mounts of an advice hide files that a command fetches before the sources are copied.
fn hides(advice: &CacheAdvice, reorder: &Reorder) -> bool {
    matches!(reorder.kind, ReorderKind::Fetch(_))
        && (advice.run, advice.tool) == (reorder.run, reorder.tool)
        && !advice.edits.is_empty()
        && advice.caches.iter().any(|cache| cache.content == Content::Store)
}

/// An install after a copy from another stage waits for that stage, even if it needs nothing from it.
pub(super) fn late_copy(case: &AdviceCase<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    for run in case.runs() {
        if !needs_nothing_before(case.file, run.id.index()) || run.text.contains("from=") {
            continue;
        }
        let before = case.analysis.steps[..run.id.index()].iter().rev().filter(|step| step.stage == run.stage);
        // From the RUN upwards: the copies before which it could be moved. It may need files in a directory of the system.
        let movable = |step: &&StepExplanation| {
            step.instruction == Instruction::Copy && step.text.contains("--from=") && !goes_to_system(case, step)
        };
        let copies: Vec<_> = before.take_while(movable).collect();
        let Some(first) = copies.last() else { continue };
        let ready = case.analysis.steps[..first.id.index()].iter().rev().filter(|step| step.stage == run.stage);
        let ready = ready.filter_map(|step| Some(step.start? + step.duration)).next().unwrap_or(Nanos::ZERO);
        let waited = first.start.unwrap_or(Nanos::ZERO).saturating_sub(ready);
        let gain = waited.min(run.drag);
        if !case.worth(gain) {
            continue;
        }
        let text = format!(
            "install before copying from other stages: {} could run while they are built, {waited} earlier",
            quote_located(run)
        );
        let caveat = "only if it needs none of the copied files; steps that run at once share processors";
        let advice = about(run, "late-copy", gain, text, caveat);
        let moved = |copy: &&&StepExplanation| Edit {
            step: copy.id.index(),
            change: InstructionChange::MoveAfter(run.id.index()),
        };
        found.push(case.edited(advice, copies.iter().rev().map(|copy| moved(&copy)).collect()));
    }
    found
}

/// Whether a COPY writes to a directory of programs or their settings.
fn goes_to_system(case: &AdviceCase<'_>, step: &StepExplanation) -> bool {
    let step = &case.file.steps[step.id.index()];
    let words = step.instruction.words();
    let Some(target) = words.last() else { return true };
    let target = buildscope_commands::join(step.folder.as_deref().unwrap_or("/"), &target.text);
    target == "/"
        || ["/etc", "/usr", "/lib", "/bin", "/sbin", "/root", "/var/lib", "/opt"]
            .iter()
            .any(|folder| target.starts_with(folder))
}

/// An install without a cache mount downloads and compiles everything again.
pub(super) fn cache_mount(case: &AdviceCase<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    let mounts = CacheMounts::of(&case.analysis.record.source.tool);
    if mounts == CacheMounts::Unknown {
        return found;
    }
    let missing = missing_caches(case.file, case.facts);
    let mut grouped = BTreeSet::new();
    for run in case.runs() {
        for advice in missing.iter().filter(|advice| advice.run == run.id.index()) {
            // One change gives all RUNs of a tool its store.
            let store = advice.caches.iter().any(|cache| cache.content == Content::Store);
            if store && !advice.edits.is_empty() && !grouped.insert((run.stage.clone(), advice.tool)) {
                continue;
            }
            let saved = saved(run, advice);
            if saved.is_some_and(|saved| !case.worth(saved)) {
                continue;
            }
            let with = if let CacheMounts::With(builder) = mounts { format!("{builder} and ") } else { String::new() };
            let text = format!(
                "{with}give {} a cache mount (`{}`): the next run then reuses what this one downloads or compiles",
                quote_located(run),
                advice.flags()
            );
            let mut conditions = vec![match saved {
                Some(_) => "gained from the second run on".to_owned(),
                None => format!(
                    "gained from the second run on; the record does not show how much of its {} is the download",
                    run.drag
                ),
            }];
            conditions.extend(advice.also.iter().cloned());
            let gain = saved.unwrap_or(Nanos::ZERO).min(run.drag);
            let advised = about(run, CACHE_MOUNT, gain, text, &conditions.join("; "));
            // The builder of the record would refuse the changed file.
            let edits = if mounts == CacheMounts::Known { advice.edits.clone() } else { Vec::new() };
            found.push(case.edited(advised, edits));
        }
    }
    found
}

/// The time of a RUN that its caches would save; `None` if the record does not contain it.
fn saved(run: &StepExplanation, advice: &CacheAdvice) -> Option<Nanos> {
    let compiled = advice.caches.iter().any(|cache| cache.content == Content::Objects);
    if compiled { time_of(run, advice.tool, |row| row.wall).or(Some(run.drag)) } else { network_of(run, advice.tool) }
}

/// How long the commands of a tool that install or build downloaded. `None` if no processes were seen: the lines of a log do not
/// show it.
fn network_of(run: &StepExplanation, tool: Tool) -> Option<Nanos> {
    run.inside.as_ref().filter(|inside| inside.observed != Observed::Inferred)?;
    time_of(run, tool, downloads)
}

/// The time in which a command downloads: its waits for the network, or the phases that its tool's lines show. A program that has to wait for a
/// processor, too, hardly waits for the network, and it verifies and unpacks what it downloads.
fn downloads(row: &CommandRow) -> Nanos {
    let phases = row.activities.iter().filter(|done| done.activity == Activity::Download);
    phases.map(|done| done.wall).sum::<Nanos>().max(row.spent.blocked.network)
}

/// The sum over the commands of a tool that install or build. `None` if the inside of the RUN is not known.
fn time_of(run: &StepExplanation, tool: Tool, part: impl Fn(&CommandRow) -> Nanos) -> Option<Nanos> {
    let inside: &Inside =
        run.inside.as_ref().filter(|inside| inside.rows.iter().any(|row| row.kind == RowKind::Command))?;
    let rows = inside.rows.iter().filter(|row| row.kind == RowKind::Command);
    Some(
        rows.filter(|row| usages(&row.text).any(|usage| usage.tool == tool && usage.work != Work::Clean))
            .map(part)
            .sum(),
    )
}

/// The time of the commands that install or prepare an install. `None` if the inside of the RUN is not known.
fn time_of_installs(run: &StepExplanation) -> Option<Nanos> {
    let rows = run.inside.as_ref()?.rows.iter().filter(|row| row.kind == RowKind::Command);
    let installs = |text: &str| usages(text).any(|usage| matches!(usage.work, Work::Install | Work::Prepare));
    Some(rows.filter(|row| installs(&row.text)).map(|row| row.wall).sum())
}

/// The usages of tools in a row.
fn usages(text: &str) -> impl Iterator<Item = Usage> {
    let script = Script::read(text).unwrap_or_default();
    let around = Surroundings::default();
    let found: Vec<Usage> = script.commands().filter_map(|command| recognise(command, &around)).collect();
    found.into_iter()
}

/// An install and other commands in one RUN: any change of the others installs everything again.
pub(super) fn split_run(case: &AdviceCase<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    let late = late_installs(case.file, case.facts);
    for run in case.runs() {
        // After a COPY of the sources, any change of them runs both parts again.
        if late.iter().any(|reorder| reorder.run == run.id.index()) {
            continue;
        }
        let Some(split) = split_install(case.file, run.id.index(), case.facts) else { continue };
        let text = format!(
            "split {} after its install: the layer of the install then stays cached when only the rest changes",
            quote_located(run)
        );
        let known = time_of_installs(run).map(|time| time.min(run.drag));
        let caveat = match known {
            Some(_) => "one more layer",
            None => "an upper bound: the time of the install alone is not known; one more layer",
        };
        let gain = known.unwrap_or(run.drag);
        if !case.worth(gain) {
            continue;
        }
        let flags = case.file.steps[run.id.index()].instruction.flags;
        let flags = if flags.is_empty() { String::new() } else { format!("{flags} ") };
        let lines = vec![format!("RUN {flags}{}", split.first), format!("RUN {flags}{}", split.rest)];
        let advice = about(run, "split-run", gain, text, caveat);
        found.push(case.edited(advice, vec![Edit { step: run.id.index(), change: InstructionChange::Lines(lines) }]));
    }
    found
}
