//! The end of a build in at most six lines: what it took, the steps that delayed its end, what missed the cache, and
//! the change that would gain most.

use super::style::{BOLD, DIM, Style};
use super::table::{Align, Cell, Table, cut, paint};
use super::text::wrap;
use crate::wording::{percent, quote};
use crate::{Explanation, StepExplanation};
use buildscope_record::{Nanos, Outcome};

/// A shorter build is described by one line: there is little to gain.
const SHORT: Nanos = Nanos(1_000_000_000);

/// The most lines of a summary.
const LINES: usize = 6;

/// The number of steps that are listed.
const STEPS: usize = 3;

/// The least drag of a listed step, as a share of the wall time: one in `LEAST`.
const LEAST: u64 = 50;

/// The summary, with a line break after each line.
pub fn summary(explanation: &Explanation, style: Style) -> String {
    let style = Style { width: style.width.clamp(40, 240), ..style };
    let mut rest: Vec<String> = Vec::new();
    if explanation.wall >= SHORT {
        rest.extend(steps(explanation, style).lines().map(str::to_owned));
        let notes = [super::targets::line(explanation), missed(explanation), best(explanation)];
        rest.extend(notes.into_iter().flatten().map(|note| cut(&note, style.width)));
    }
    let room = LINES.saturating_sub(rest.len()).max(1);
    let lines = answer(explanation, room, style.width);
    let lines = lines.iter().map(|line| paint(line, style.colours.then_some(BOLD)));
    lines.chain(rest).map(|line| line + "\n").collect()
}

/// The answer and how many steps were cached, in so many lines at most. The answer is cut rather than the number.
fn answer(explanation: &Explanation, room: usize, width: usize) -> Vec<String> {
    let cached = cached(explanation);
    let lines = wrap(format!("{} {cached}", explanation.answer).trim_end(), width);
    if lines.len() <= room {
        return lines;
    }
    let mut lines = wrap(&explanation.answer, width);
    let last = lines.split_off(lines.len().min(room - 1)).join(" ");
    let left = width.saturating_sub(cached.chars().count() + 1);
    lines.push(format!("{} {cached}", cut(&last, left)).trim().to_owned());
    lines
}

/// The sentence about the steps with a layer that were in the cache.
fn cached(explanation: &Explanation) -> String {
    let counted = |step: &&StepExplanation| step.instruction.adds_layer() && step.outcome != Outcome::Pruned;
    let steps: Vec<_> = explanation.steps.iter().filter(counted).collect();
    let cached = steps.iter().filter(|step| matches!(step.outcome, Outcome::Cached | Outcome::Joined)).count();
    match (cached, steps.len()) {
        (_, 0) => String::new(),
        (cached, all) if cached == all => "Every step was cached.".to_owned(),
        (0, _) => "No step was cached.".to_owned(),
        (1, all) => format!("1 of {all} steps was cached."),
        (cached, all) => format!("{cached} of {all} steps were cached."),
    }
}

/// The steps whose absence would have shortened the build most.
fn steps(explanation: &Explanation, style: Style) -> String {
    let wall = explanation.wall;
    let costs = |step: &&StepExplanation| step.drag.0 > wall.0 / LEAST && step.outcome != Outcome::Pruned;
    let mut costly: Vec<_> = explanation.steps.iter().filter(costs).collect();
    costly.sort_by_key(|step| std::cmp::Reverse(step.drag));
    let mut table = Table::new([Align::Right, Align::Right, Align::Flexible, Align::Left]);
    // The line about targets takes the place of one step.
    let most = STEPS - usize::from(!explanation.targets.is_empty());
    for step in costly.into_iter().take(most) {
        let stage = step.stage.clone().unwrap_or_default();
        let line = step.source.map(|source| format!("line {}", source.line));
        let location: Vec<_> = [Some(stage).filter(|stage| !stage.is_empty()), line].into_iter().flatten().collect();
        table.row([
            Cell::from(step.drag.to_string()),
            Cell::from(percent(step.drag, wall)).colour(DIM),
            quote(&step.text).into(),
            Cell::from(location.join(", ")).colour(DIM),
        ]);
    }
    table.render(style.width, style.colours)
}

/// The most expensive cause of cache misses.
fn missed(explanation: &Explanation) -> Option<String> {
    let worst = explanation.misses.first()?;
    let more = match explanation.misses.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Some(format!("not cached: {}{more}", worst.sentence))
}

/// The advice or the change with the largest gain.
fn best(explanation: &Explanation) -> Option<String> {
    let advice = explanation.advice.iter().map(|advice| (advice.gain, advice.text.as_str()));
    let (gain, text) = advice.max_by_key(|(gain, _)| *gain)?;
    let saves = if gain > Nanos::ZERO { format!("saves up to {gain}: ") } else { String::new() };
    Some(format!("best change: {saves}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Synthetic;

    /// Four seconds: a download, a compile after it, and a step that was cached.
    fn build() -> Explanation {
        let mut build = Synthetic::default();
        let stage = build.stage("build");
        build.idle(stage, "WORKDIR /src", Outcome::Cached);
        let fetch = build.step(stage, "RUN fetch", 0..1_000);
        let compile = build.step(stage, "RUN make all", 1_000..4_000);
        build.data(fetch, compile);
        crate::explain(&build.finish(4_000))
    }

    #[test]
    fn the_summary_names_the_costly_steps_in_order() {
        let text = summary(&build(), Style::default());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("The build took 4.00 s") && lines.len() <= 6, "{text}");
        assert!(text.contains("1 of 3 steps was cached"), "{text}");
        let line = |what: &str| lines.iter().position(|line| line.starts_with("  ") && line.contains(what));
        assert!(line("`RUN make all`  build, line 3").unwrap() < line("`RUN fetch`").unwrap(), "{text}");
    }

    #[test]
    fn a_narrow_terminal_has_six_lines_too() {
        for width in [50, 60, 80] {
            let text = summary(&build(), Style { width, ..Style::default() });
            assert!(text.lines().count() <= 6 && text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.replace('\n', " ").contains("1 of 3 steps was cached."), "{text}");
        }
    }
}
