//! The targets of a build of several, as a table and as lines of a summary.

use super::style::{BOLD, DIM, Style, heading};
use super::table::{Align, Cell, Table, cut};
use crate::wording::{percent, quote};
use crate::{Explanation, TargetExplanation};
use buildscope_record::{Nanos, TargetOutcome};
use std::fmt::Write as _;

/// The number of targets that are listed.
pub(super) const SHOWN: usize = 20;

/// A row for each target, the last to end first; empty for a build without targets.
pub(super) fn text(explanation: &Explanation, style: Style) -> String {
    if explanation.targets.is_empty() {
        return String::new();
    }
    let mut out = heading("Targets", style);
    use Align::{Flexible, Left, Right};
    let mut table = Table::new([Left, Left, Right, Right, Right, Right, Right, Flexible]);
    let head = ["target", "result", "after", "steps", "shared", "cached", "drag", "longest on its critical path"];
    table.row(head.map(|head| Cell::from(head).colour(DIM)));
    let listed = listed(explanation);
    for target in listed.iter().take(SHOWN) {
        let last = explanation.targets.iter().filter_map(|target| target.end).max() == target.end;
        let name = Cell::from(cut(&target.name, 30));
        table.row([
            if last { name.colour(BOLD) } else { name },
            target.outcome.name().into(),
            target.end.map(|end| end.to_string()).unwrap_or_default().into(),
            target.steps.to_string().into(),
            target.shared.to_string().into(),
            target.cached.to_string().into(),
            time(target.drag).into(),
            reason(explanation, target).into(),
        ]);
    }
    out += &table.render(style.width, style.colours);
    if let Some(more) = listed.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more");
    }
    let _ = writeln!(out, "  {}", sharing(explanation));
    out
}

/// One line about all targets: which one ended last, and what they share.
pub(super) fn line(explanation: &Explanation) -> Option<String> {
    let last = explanation.targets.iter().max_by_key(|target| target.end)?;
    last.end?;
    let drag = match last.drag {
        Nanos::ZERO => String::new(),
        drag => format!(" ({} by its own steps)", percent(drag, explanation.wall)),
    };
    Some(format!("targets: {} ended last{drag}; {}", last.name, sharing(explanation)))
}

/// The targets that were not built first, then the last to end first.
pub(super) fn listed(explanation: &Explanation) -> Vec<&TargetExplanation> {
    let mut listed: Vec<_> = explanation.targets.iter().collect();
    listed.sort_by_key(|target| (target.outcome == TargetOutcome::Built, std::cmp::Reverse(target.end)));
    listed
}

/// The common work of the targets, in one sentence without a full stop.
pub(super) fn sharing(explanation: &Explanation) -> String {
    let steps: usize = explanation.targets.iter().map(|target| target.steps).sum();
    let nodes = explanation.steps.iter().filter(|step| step.outcome != buildscope_record::Outcome::Pruned).count();
    let targets = explanation.targets.len();
    format!("{steps} steps of {targets} target{} are {nodes} in one graph", if targets == 1 { "" } else { "s" })
}

pub(super) fn time(time: Nanos) -> String {
    if time > Nanos::ZERO { time.to_string() } else { String::new() }
}

/// The reason why a target was not built, or the longest leg of its critical path.
fn reason(explanation: &Explanation, target: &TargetExplanation) -> String {
    if let Some(error) = &target.error {
        return error.lines().next().unwrap_or_default().to_owned();
    }
    let longest = target.path.iter().max_by_key(|leg| leg.end.saturating_sub(leg.start));
    let stay = |leg: &crate::attribute::Leg| {
        let length = leg.end.saturating_sub(leg.start);
        format!("{length} {}", quote(&explanation.steps[leg.step.index()].text))
    };
    longest.filter(|leg| leg.end > leg.start).map(stay).unwrap_or_default()
}
