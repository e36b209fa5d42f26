//! Infers the inside of a step from the times of the lines that tools print.
//!
//! A tool may print a line late, or not at all. [`marks`] finds the command of each line, [`silent`] what commands do that print none, and
//! [`gap`] divides the time between two lines.

mod gap;
mod marks;
mod silent;

use super::doing::Doing;
use super::saving::Savings;
use super::shell;
use super::text::{UNATTRIBUTED, command_line, run_text};
use super::{Activity, ActivityRow, CommandRow, Inside, RowKind};
use buildscope_record::{Blocked, Nanos, Observed, Step};
use gap::{Gap, Span};
use marks::LineMark;
pub(super) use marks::traced;
use std::collections::BTreeMap;
use std::ops::Range;

/// Returns the rows of a step; `None` if no line is known, or the times of the step are unknown.
pub(super) fn of_output(step: &Step) -> Option<Inside> {
    let (start, end) = (step.start?, step.end?);
    if end <= start {
        return None;
    }
    let text = run_text(&step.text);
    let units = shell::units(text);
    let marks = marks::of_lines(&units, text, &step.output, (start, end));
    let mut rows: BTreeMap<Span, (Nanos, BTreeMap<Activity, Nanos>)> = BTreeMap::new();
    let mut unattributed = Nanos::ZERO;
    let mut before: Option<&LineMark> = None;
    let mut doing = Doing::default();
    let mut from = start;
    for (to, mark) in marks.iter().map(|mark| (mark.at, Some(mark))).chain([(end, None)]) {
        for part in (Gap { before, doing: doing.now(), mark, from, to }).parts(&units) {
            let Some(span) = part.span else {
                unattributed += part.length;
                continue;
            };
            let (wall, activities) = rows.entry(span).or_default();
            *wall += part.length;
            if let Some(activity) = part.activity {
                *activities.entry(activity).or_default() += part.length;
            }
        }
        from = from.max(to);
        if let Some(mark) = mark {
            let same = before.is_some_and(|before| before.unit == mark.unit);
            doing = mark.says.map(|says| if same { doing } else { Doing::default() }.after(says)).unwrap_or_default();
            before = Some(mark);
        }
    }
    if marks.is_empty() && rows.values().all(|(_, activities)| activities.is_empty()) {
        return None;
    }
    let mut rows: Vec<CommandRow> = rows
        .into_iter()
        .map(|((first, last), (wall, activities))| {
            row(text, units[first].span.start..units[last].span.end, wall, activities)
        })
        .filter(|row| row.wall > Nanos::ZERO)
        .collect();
    if unattributed > Nanos::ZERO {
        rows.push(unknown(CommandRow { wall: unattributed, ..CommandRow::of(RowKind::Unattributed, UNATTRIBUTED) }));
    }
    Some(Inside {
        observed: Observed::Inferred,
        resolution: Nanos::ZERO,
        wall: end - start,
        rows,
        processes: 0,
        unseen: vec!["the processes: times are inferred from the lines that tools print".into()],
        savings: Savings::default(),
    })
}

fn row(text: &str, span: Range<usize>, wall: Nanos, activities: BTreeMap<Activity, Nanos>) -> CommandRow {
    let activities = activities.into_iter().filter(|(_, time)| *time > Nanos::ZERO);
    let activity =
        |(activity, time)| ActivityRow { activity, count: 0, wall: time, time, network: Nanos::ZERO, cpu: Nanos::ZERO };
    let mut activities: Vec<ActivityRow> = activities.map(activity).collect();
    activities.sort_by_key(|row| std::cmp::Reverse(row.time));
    unknown(CommandRow {
        wall,
        place: Some((span.start, span.end)),
        activities,
        ..CommandRow::of(RowKind::Command, command_line(&text[span]))
    })
}

/// Removes the waits of a row: output does not show them.
fn unknown(mut row: CommandRow) -> CommandRow {
    row.spent.blocked = Blocked { unknown: row.wall, ..Blocked::default() };
    row
}

#[cfg(test)]
mod tests;
