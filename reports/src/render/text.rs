//! The explanation as text for a terminal: the answer first, then the steps, then where the time went.

use super::style::{BOLD, DIM, Style, heading};
use super::table::{Align, Cell, Table, cut, paint, shorten_quotes};
use super::terminal::neutralised;
use crate::attribute::{Attributed, Levels, Link};
use crate::compare::Pair;
use crate::whatif::{Bounds, Change};
use crate::wording::percent;
use crate::{Explanation, StepExplanation};
use buildscope_record::{Group, Nanos, Outcome, Phase, redacted};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// SGR parameters, and a mark for text without colours, by group. The last is `unattributed`.
const GROUPS: [(&str, char); 6] = [("35", '▒'), ("33", '░'), ("32", '█'), ("34", '▓'), ("36", '▚'), ("31", '·')];
const CACHED: &str = "36";
const FAILED: &str = "31";

/// The explanation as text that is safe to show on a terminal. Credentials in addresses are left out.
pub fn text(explanation: &Explanation, style: Style) -> String {
    let style = Style { width: style.width.clamp(40, 240), ..style };
    let sections = [
        answer(explanation, style),
        failed_output(explanation, style),
        notes(explanation, style),
        super::targets::text(explanation, style),
        steps(explanation, style),
        super::inside::text(explanation, style),
        machines(explanation, style),
        groups(explanation, style),
        path(explanation, style),
        bounds(explanation, style),
        bases(explanation, style),
        misses(explanation, style),
        changes(explanation, style),
        advice(explanation, style),
        missing(explanation, style),
    ];
    let text = sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n");
    neutralised(&redacted(&text)).into_owned()
}

fn answer(explanation: &Explanation, style: Style) -> String {
    let lines: Vec<_> = wrap(&explanation.answer, style.width)
        .into_iter()
        .map(|line| paint(&line, style.colours.then_some(BOLD)))
        .collect();
    lines.join("\n") + "\n"
}

/// The last lines of the failed step's output.
fn failed_output(explanation: &Explanation, style: Style) -> String {
    explanation.failed_output.iter().map(|line| format!("  {}\n", cut(line, style.width - 2))).collect()
}

/// The notes of the importer, right after the answer: they say which build the answer is about.
fn notes(explanation: &Explanation, style: Style) -> String {
    explanation.notes.iter().map(|note| item(note, style)).collect()
}

fn steps(explanation: &Explanation, style: Style) -> String {
    if explanation.steps.is_empty() {
        return String::new();
    }
    let mut listed: Vec<&StepExplanation> =
        explanation.steps.iter().filter(|step| step.outcome != Outcome::Pruned).collect();
    let ran = listed.len();
    listed.sort_by_key(|step| std::cmp::Reverse((step.wall, step.own)));
    listed.truncate(style.steps);
    listed.sort_by_key(|step| step.id);
    let bar = (style.width / 5).clamp(13, 30);
    use Align::{Flexible, Left, Right};
    let columns = [Left, Flexible, Right, Right, Left, Right, Left];
    // A narrow terminal has no room for the bar.
    let shown = if style.width < 72 { columns.len() - 1 } else { columns.len() };
    let mut table = Table::new(&columns[..shown]);
    let when_head = if bar < 28 { "when (█ path)" } else { "when (█ on the critical path)" };
    let head = ["stage", "step", "time", "layer", "cached", "drag", when_head];
    table.row(head.map(|head| Cell::from(head).colour(DIM)).into_iter().take(shown));
    for step in &listed {
        // The pull of a base image may come after the end of its FROM.
        let time = if step.start.is_some() { step.duration.max(step.own).to_string() } else { String::new() };
        let layer = step.layer.map(|layer| layer.bytes.to_string()).unwrap_or_default();
        let (outcome, colour) = match step.outcome {
            Outcome::Executed => ("no", None),
            Outcome::Cached => ("yes", Some(CACHED)),
            Outcome::Joined => ("joined", Some(CACHED)),
            Outcome::Failed => ("failed", Some(FAILED)),
            Outcome::Cancelled => ("stopped", Some(DIM)),
            Outcome::Pruned => ("pruned", Some(DIM)),
        };
        let drag = if step.drag > Nanos::ZERO { step.drag.to_string() } else { String::new() };
        let text = Cell::from(step.text.clone());
        let outcome = Cell::from(outcome);
        let row = [
            Cell::from(cut(step.stage.as_deref().unwrap_or(""), 16)),
            if step.on_path { text.colour(BOLD) } else { text },
            time.into(),
            layer.into(),
            colour.into_iter().fold(outcome, Cell::colour),
            drag.into(),
            when(explanation, step, bar).into(),
        ];
        table.row(row.into_iter().take(shown));
    }
    let mut out = table.render(style.width, style.colours);
    let pruned = explanation.steps.len() - ran;
    let rest = [(ran - listed.len(), "shorter steps"), (pruned, "steps that nothing needed")];
    let rest: Vec<_> =
        rest.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !rest.is_empty() {
        let _ = writeln!(out, "  and {}", rest.join(", "));
    }
    out
}

/// A bar that shows when the step ran, with full blocks while it was on the critical path.
fn when(explanation: &Explanation, step: &StepExplanation, columns: usize) -> String {
    let (Some(start), wall) = (step.start, explanation.wall.0 as u128) else { return String::new() };
    if wall == 0 {
        return String::new();
    }
    let column = |at: Nanos| (u128::from(at.0) * columns as u128 / wall) as usize;
    let end = start + step.duration;
    let last = column(end).max(column(start) + 1).min(columns);
    let mut marks: Vec<char> = (0..last).map(|at| if at < column(start) { ' ' } else { '░' }).collect();
    for leg in explanation.path.iter().filter(|leg| leg.step == step.id && leg.end > leg.start) {
        for mark in &mut marks[column(leg.start).min(last)..column(leg.end).max(column(leg.start) + 1).min(last)] {
            *mark = '█';
        }
    }
    marks.into_iter().collect()
}

fn groups(explanation: &Explanation, style: Style) -> String {
    let wall = explanation.wall;
    let mut out = heading("Where the time went", style);
    let mut table = Table::new([Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Flexible]);
    table.row(["", "", "wall", "", "work", "mostly"].map(|head| Cell::from(head).colour(DIM)));
    for (row, (colour, mark)) in explanation.accounts.groups.iter().zip(GROUPS) {
        let phases = explanation
            .accounts
            .phases
            .iter()
            .filter(|phase| phase.wall > Nanos::ZERO && group(phase.name) == row.name);
        let phases: Vec<_> = phases.take(3).map(|phase| format!("{} {}", phase.name, phase.wall)).collect();
        let mostly = if row.name == Attributed::Unattributed { String::new() } else { phases.join(", ") };
        let work = if row.name == Attributed::Unattributed { String::new() } else { row.work.to_string() };
        let mark = Cell::from(mark.to_string()).colour(colour);
        table.row([
            mark,
            row.name.to_string().into(),
            row.wall.to_string().into(),
            percent(row.wall, wall).into(),
            work.into(),
            mostly.into(),
        ]);
    }
    table.row([
        "".into(),
        Cell::from("total").colour(BOLD),
        Cell::from(wall.to_string()).colour(BOLD),
        "".into(),
        "".into(),
        "".into(),
    ]);
    out += &table.render(style.width, style.colours);
    let bar = bar(explanation, style.width.saturating_sub(4), style.colours);
    if !bar.is_empty() {
        let _ = writeln!(out, "  {bar}");
    }
    out
}

/// The group whose row lists a phase.
fn group(phase: Attributed<Phase>) -> Attributed<Group> {
    match phase {
        Attributed::Of(phase) => Attributed::Of(phase.group()),
        Attributed::Unattributed => Attributed::Unattributed,
    }
}

/// The shares of the groups as one bar. It is cut at the rounded sums of the shares, so that it has its full length.
fn bar(explanation: &Explanation, columns: usize, colours: bool) -> String {
    let wall = u128::from(explanation.wall.0);
    if wall == 0 {
        return String::new();
    }
    let (mut sum, mut from, mut out) = (0u128, 0, String::new());
    for (row, (colour, mark)) in explanation.accounts.groups.iter().zip(GROUPS) {
        sum += u128::from(row.wall.0);
        let to = ((sum * columns as u128 + wall / 2) / wall) as usize;
        out += &paint(&mark.to_string().repeat(to - from), colours.then_some(colour));
        from = to;
    }
    out
}

fn path(explanation: &Explanation, style: Style) -> String {
    let legs: Vec<_> = explanation.path.iter().filter(|leg| leg.end > leg.start).collect();
    if legs.is_empty() {
        return String::new();
    }
    let mut out = heading("What delayed the end (critical path)", style);
    let mut table = Table::new([Align::Right, Align::Left, Align::Flexible, Align::Left]);
    const SHOWN: usize = 12;
    let mut longest: Vec<_> = legs.iter().map(|leg| leg.end.saturating_sub(leg.start)).collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    let least = longest.get(SHOWN - 1).copied().unwrap_or(Nanos::ZERO);
    let mut hidden = 0;
    for leg in &legs {
        let length = leg.end.saturating_sub(leg.start);
        if length < least {
            hidden += 1;
            continue;
        }
        let step = &explanation.steps[leg.step.index()];
        let why = match leg.after {
            None => "",
            Some(Link::Data) => "needs the step before",
            Some(Link::Order) => "after the step before",
            Some(Link::Slot) => "waited for its slot",
            Some(Link::Lock) => "waited for its lock",
        };
        table.row([
            length.to_string().into(),
            Cell::from(cut(step.stage.as_deref().unwrap_or(""), 16)),
            step.text.clone().into(),
            Cell::from(why).colour(DIM),
        ]);
    }
    out += &table.render(style.width, style.colours);
    if hidden > 0 {
        let _ = writeln!(out, "  and {hidden} shorter stays");
    }
    out
}

/// Why no schedule can be shorter than the bound.
fn reason(bounds: &Bounds) -> String {
    let slots = bounds.slots.map_or_else(
        || "no limit of slots".to_owned(),
        |slots| format!("on {slots} slot{}", if slots == 1 { "" } else { "s" }),
    );
    let work = bounds.slots.map_or(Nanos::ZERO, |slots| Nanos(bounds.work.0 / u64::from(slots.max(1))));
    let outside = bounds.outside;
    let computing = bounds.achieved.as_secs_f64() * bounds.cpu_use.unwrap_or_default();
    if bounds.least <= outside + work.max(bounds.span) {
        format!("max(T1/P, T∞) and {outside} outside of steps, {slots}")
    } else if outside.as_secs_f64() < computing && bounds.least.as_secs_f64() <= computing * 1.001 {
        "the CPU time, on all processors".to_owned()
    } else {
        format!("the steps of one lock in a row, and {outside} outside of steps")
    }
}

fn bounds(explanation: &Explanation, style: Style) -> String {
    let bounds = &explanation.bounds;
    if bounds.work == Nanos::ZERO {
        return String::new();
    }
    let out = heading("How short it could be", style);
    let mut table = Table::new([Align::Left, Align::Right, Align::Flexible]);
    let mut row =
        |name: &str, value: String, what: String| table.row([name.into(), value.into(), Cell::from(what).colour(DIM)]);
    row("all steps in a row", bounds.work.to_string(), "T1".into());
    row("longest chain of needs", bounds.span.to_string(), "T∞".into());
    row("bound", bounds.least.to_string(), reason(bounds));
    row("achieved", bounds.achieved.to_string(), format!("{:.2} steps at a time on average", bounds.parallelism));
    if let (Some(cpu), Some(share)) = (bounds.cpu, bounds.cpu_use) {
        row("CPU time", cpu.to_string(), format!("{:.0} % of the processors' time", share * 100.0));
    }
    if let Some(others) = explanation.others {
        let waiting =
            others.waiting.map(|share| format!("; tasks waited for one in {:.0} % of the time", share * 100.0));
        let what = format!("{:.0} % of the processors' time{}", others.share * 100.0, waiting.unwrap_or_default());
        row("other programs", others.cpu.to_string(), what);
    }
    let Levels { active, ready, held, blocked } = explanation.parallelism.mean;
    row(
        "steps at a time",
        String::new(),
        format!("{active:.2} active, {ready:.2} without slot, {held:.2} held by policy, {blocked:.2} blocked"),
    );
    out + &table.render(style.width, style.colours)
}

fn machines(explanation: &Explanation, style: Style) -> String {
    const SHOWN: usize = 8;
    if explanation.machines.is_empty() {
        return String::new();
    }
    let shown = explanation.machines.iter().take(SHOWN).map(|machine| item(&machine.sentence, style));
    let mut out = heading("Which machines ran the steps", style) + &shown.collect::<String>();
    if explanation.machines.len() > SHOWN {
        out += &item(&format!("and {} more (`--format json` has all)", explanation.machines.len() - SHOWN), style);
    }
    out
}

fn bases(explanation: &Explanation, style: Style) -> String {
    if explanation.bases.is_empty() {
        return String::new();
    }
    let items = explanation.bases.iter().map(|base| item(&base.sentence, style));
    heading("What steps read of the base images", style) + &items.collect::<String>()
}

fn misses(explanation: &Explanation, style: Style) -> String {
    const SHOWN: usize = 8;
    if explanation.misses.is_empty() {
        return String::new();
    }
    let mut out = heading("Why steps missed the cache", style);
    for miss in explanation.misses.iter().take(SHOWN) {
        out += &item(&miss.sentence, style);
    }
    let more = explanation.misses.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(out, "  and {more} cheaper ones");
    }
    out
}

/// An item of a list, with its further lines indented.
fn item(text: &str, style: Style) -> String {
    let lines = wrap(text, style.width.saturating_sub(4)).into_iter().enumerate();
    lines.map(|(number, line)| format!("  {} {line}\n", if number == 0 { '-' } else { ' ' })).collect()
}

fn advice(explanation: &Explanation, style: Style) -> String {
    const SHOWN: usize = 5;
    if explanation.advice.is_empty() {
        return String::new();
    }
    let mut out = heading("Advice", style);
    for advice in explanation.advice.iter().take(SHOWN) {
        out += &item(&advice.sentence(), style);
        for line in &advice.diff {
            let colour = match line.as_bytes().first() {
                Some(b'+') => Some("32"),
                Some(b'-') => Some("31"),
                _ => None,
            };
            let _ = writeln!(out, "      {}", paint(line, colour.filter(|_| style.colours)));
        }
    }
    out
}

fn changes(explanation: &Explanation, style: Style) -> String {
    let ranking = &explanation.ranking;
    if explanation.steps.is_empty() {
        return String::new();
    }
    let mut out = heading("What would help most (by replay)", style);
    let mut table = Table::new([Align::Right, Align::Flexible, Align::Left]);
    let cells = |change: &Change| (format!("-{}", change.gain), format!("to {}", change.wall));
    let numbers = ranking.changes.iter().map(cells).map(|(gain, to)| [gain.width(), to.width()]);
    let [gains, tos] = numbers.fold([0, 0], |most, widths| [most[0].max(widths[0]), most[1].max(widths[1])]);
    for change in &ranking.changes {
        let (gain, to) = cells(change);
        let what = shorten_quotes(&change.what, style.width.saturating_sub(gains + tos + 6));
        table.row([Cell::from(gain).colour("32"), what.into(), Cell::from(to).colour(DIM)]);
    }
    out += &table.render(style.width, style.colours);
    if ranking.changes.is_empty() && ranking.refused.is_none() {
        out += "  nothing that would gain 1 % or more\n";
    }
    if let Some(refused) = &ranking.refused {
        let _ = writeln!(out, "  not ranked: {refused}");
    }
    let mut caveats: Vec<&str> = Vec::new();
    for change in &ranking.changes {
        if !caveats.contains(&change.caveat.as_str()) {
            caveats.push(&change.caveat);
        }
    }
    if !caveats.is_empty() {
        let note = format!("Caveats: {}.", caveats.join("; "));
        for line in wrap(&note, style.width.saturating_sub(2)) {
            let _ = writeln!(out, "  {}", paint(&line, style.colours.then_some(DIM)));
        }
    }
    out
}

fn missing(explanation: &Explanation, style: Style) -> String {
    if explanation.missing.is_empty() {
        return String::new();
    }
    let mut out = heading(&format!("What {} does not record", explanation.source.tool), style);
    for lack in &explanation.missing {
        out += &item(lack, style);
    }
    out
}

/// The text in lines of at most `width` columns, broken at blanks.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The lines of a text, broken at blanks where they are wider than `width`. The rest of such a line has its indentation and two blanks more.
pub fn folded(text: &str, width: usize) -> String {
    let fold = |line: &str| {
        if line.width() <= width {
            return format!("{line}\n");
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let lines = wrap(line, width.saturating_sub(indent.len() + 2).max(20));
        format!("{indent}{}\n", lines.join(&format!("\n{indent}  ")))
    };
    text.lines().map(fold).collect()
}

/// Two builds side by side, with [`Style::steps`] steps at most.
pub fn side_by_side(names: [&str; 2], pairs: &[Pair], style: Style) -> String {
    let mut table =
        Table::new([Align::Left, Align::Flexible, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left]);
    let head = ["stage", "step", names[0], names[1], "on path", "on path", "changed most"];
    table.row(head.map(|head| Cell::from(head).colour(DIM)));
    for pair in pairs.iter().take(style.steps) {
        let time = |time: Option<Nanos>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        let wall = |wall: Nanos| if wall == Nanos::ZERO { String::new() } else { wall.to_string() };
        table.row([
            Cell::from(cut(&pair.stage, 16)),
            pair.text.as_str().into(),
            time(pair.times[0]).into(),
            time(pair.times[1]).into(),
            wall(pair.walls[0]).into(),
            wall(pair.walls[1]).into(),
            pair.change().unwrap_or_default().into(),
        ]);
    }
    let mut out = table.render(style.width, style.colours);
    let more = pairs.len().saturating_sub(style.steps);
    if more > 0 {
        let _ = writeln!(out, "  and {more} steps that differ less");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_below_its_start() {
        assert_eq!(
            folded("short\n\n  caveat: some words about it\n", 24),
            "short\n\n  caveat: some words\n    about it\n"
        );
    }

    #[test]
    fn the_reason_of_a_bound_is_the_largest_of_its_parts() {
        let seconds = |seconds: u64| Nanos(seconds * 1_000_000_000);
        // Two steps of one and two seconds on two processors, in a build of four.
        let two = |least: u64, cpu_use: f64| Bounds {
            work: seconds(3),
            span: seconds(2),
            outside: Nanos::ZERO,
            slots: None,
            least: seconds(least),
            achieved: seconds(4),
            parallelism: 1.0,
            cpu: Some(Nanos((8e9 * cpu_use) as u64)),
            cpu_use: Some(cpu_use),
        };
        assert!(reason(&two(2, 0.1)).starts_with("max(T1/P, T∞)"));
        assert!(reason(&two(3, 0.75)).starts_with("the CPU time"));
        assert!(reason(&two(3, 0.1)).starts_with("the steps of one lock"));
    }
}
