//! The explanation as Markdown, for job summaries and comments on pull requests: what matters is visible, the rest is
//! collapsed. GitHub and GitLab render the critical path as a Mermaid gantt chart.

use super::table::cut;
use super::targets;
use crate::compare::Pair;
use crate::wording::percent;
use crate::{Explanation, StepExplanation};
use buildscope_record::{Nanos, Outcome, acts_on_view};
use std::collections::HashMap;
use std::fmt::Write as _;

/// The number of steps, legs, changes and pieces of advice that are listed.
const SHOWN: usize = 10;

/// The longest text of a step in a table, in characters.
const WIDTH: usize = 80;

/// The explanation as Markdown.
pub fn markdown(explanation: &Explanation) -> String {
    let verdict = if explanation.succeeded { "Build" } else { "Failed build" };
    let mut out = format!("### {verdict}: {}\n\n{}\n\n", explanation.wall, prose(&explanation.answer));
    out += &failed_output(explanation);
    out += &targets(explanation);
    out += &steps(explanation);
    let misses: Vec<_> = explanation.misses.iter().take(SHOWN).map(|miss| item(&miss.sentence)).collect();
    if !misses.is_empty() {
        let _ = write!(out, "**Why steps missed the cache**\n\n{}\n", misses.concat());
    }
    out += &details("Critical path", &gantt(explanation));
    out += &details("Where the time went", &groups(explanation));
    let machines: String = explanation.machines.iter().take(SHOWN).map(|machine| item(&machine.sentence)).collect();
    out += &details("Which machines ran the steps", &machines);
    let bases: String = explanation.bases.iter().map(|base| item(&base.sentence)).collect();
    out += &details("What steps read of the base images", &bases);
    out += &details("What would help most (by replay)", &changes(explanation));
    out += &details("Advice", &advice(explanation));
    out
}

/// Two builds side by side as a table, with at most that many steps.
pub fn side_by_side(names: [&str; 2], pairs: &[Pair], most: usize) -> String {
    let mut out = row(["stage", "step", names[0], names[1], "changed most"].map(str::to_owned));
    out += "|---|---|--:|--:|---|\n";
    for pair in pairs.iter().take(most) {
        let time = |time: Option<Nanos>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        let [first, second] = pair.times.map(time);
        out += &row([prose(&pair.stage), code(&pair.text), first, second, pair.change().unwrap_or_default()]);
    }
    out
}

/// The last lines of the failed step's output; empty if there are none.
fn failed_output(explanation: &Explanation) -> String {
    if explanation.failed_output.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = explanation.failed_output.iter().map(|line| printable(line)).collect();
    let fence = fence(&lines.join("\n"), 3);
    format!("{fence}text\n{}\n{fence}\n\n", lines.join("\n"))
}

/// The targets of a build of several; empty for other builds.
fn targets(explanation: &Explanation) -> String {
    if explanation.targets.is_empty() {
        return String::new();
    }
    let head = ["target", "result", "after", "steps", "shared", "cached", "drag"].map(str::to_owned);
    let mut out = row(head) + "|---|---|--:|--:|--:|--:|--:|\n";
    for target in targets::listed(explanation).into_iter().take(targets::SHOWN) {
        out += &row([
            prose(&target.name),
            target.outcome.name().to_owned(),
            target.end.map(|end| end.to_string()).unwrap_or_default(),
            target.steps.to_string(),
            target.shared.to_string(),
            target.cached.to_string(),
            targets::time(target.drag),
        ]);
    }
    out + "\n" + &targets::sharing(explanation) + "\n\n"
}

fn steps(explanation: &Explanation) -> String {
    let ran = |step: &&StepExplanation| step.outcome != Outcome::Pruned && step.duration > Nanos::ZERO;
    let mut steps: Vec<_> = explanation.steps.iter().filter(ran).collect();
    if steps.is_empty() {
        return String::new();
    }
    steps.sort_by_key(|step| std::cmp::Reverse((step.drag, step.wall, step.own)));
    let more = steps.len().saturating_sub(SHOWN);
    let head = ["step", "stage", "line", "time", "share", "drag", "cached"].map(str::to_owned);
    let mut out = row(head) + "|---|---|--:|--:|--:|--:|---|\n";
    for step in steps.into_iter().take(SHOWN) {
        let line = step.source.map(|source| source.line.to_string()).unwrap_or_default();
        let drag = if step.drag > Nanos::ZERO { step.drag.to_string() } else { String::new() };
        let outcome = match step.outcome {
            Outcome::Executed => "no",
            Outcome::Cached => "yes",
            Outcome::Joined => "joined",
            Outcome::Failed => "**failed**",
            Outcome::Cancelled => "stopped",
            Outcome::Pruned => "pruned",
        };
        let share = percent(step.wall, explanation.wall);
        let stage = prose(step.stage.as_deref().unwrap_or_default());
        out += &row([code(&step.text), stage, line, step.duration.to_string(), share, drag, outcome.to_owned()]);
    }
    if more > 0 {
        let _ = write!(out, "\nand {more} steps that matter less\n");
    }
    out + "\n"
}

/// The observed critical path, one bar for each stay at a step.
fn gantt(explanation: &Explanation) -> String {
    let legs: Vec<_> = explanation.path.iter().filter(|leg| leg.end > leg.start).collect();
    if legs.is_empty() {
        return String::new();
    }
    let mut lengths: Vec<_> = legs.iter().map(|leg| leg.end.saturating_sub(leg.start)).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let least = lengths.get(2 * SHOWN).copied().unwrap_or(Nanos::ZERO);
    let axis = axis_format(explanation.wall);
    let mut out = format!("```mermaid\ngantt\n    dateFormat x\n    axisFormat {axis}\n");
    let mut sections = Sections::default();
    let mut section = None;
    for leg in legs.iter().filter(|leg| leg.end.saturating_sub(leg.start) >= least) {
        let step = &explanation.steps[leg.step.index()];
        let stage = step.stage.as_deref();
        if section != Some(stage) {
            let _ = writeln!(out, "    section {}", sections.title(stage));
            section = Some(stage);
        }
        let kind = if step.outcome == Outcome::Failed { "crit, " } else { "" };
        let (start, end) = (leg.start.0 / 1_000_000, leg.end.0 / 1_000_000);
        let _ = writeln!(out, "    {} :{kind}{start}, {}", label(&step.text), end.max(start + 1));
    }
    out + "```\n"
}

/// The format of the labels of the axis: labels of a short build have milliseconds, so that they differ.
fn axis_format(wall: Nanos) -> &'static str {
    match wall.0 / 1_000_000_000 {
        0..60 => "%-S.%L s",
        60..3_600 => "%M:%S",
        _ => "%H:%M:%S",
    }
}

/// The titles of the sections of a chart. Mermaid joins sections of the same title, and puts a title that is a number before all others.
#[derive(Default)]
struct Sections(HashMap<String, usize>);

impl Sections {
    fn title(&mut self, stage: Option<&str>) -> String {
        let title = match stage {
            Some(stage) if stage.bytes().all(|byte| byte.is_ascii_digit()) => format!("stage {stage}"),
            Some(stage) => label(stage),
            None => "(build)".to_owned(),
        };
        let count = self.0.entry(title.clone()).or_default();
        *count += 1;
        if *count > 1 { format!("{title} ({count})") } else { title }
    }
}

fn groups(explanation: &Explanation) -> String {
    let mut out = row(["", "wall", "share", "work"].map(str::to_owned)) + "|---|--:|--:|--:|\n";
    for group in &explanation.accounts.groups {
        let share = percent(group.wall, explanation.wall);
        out += &row([group.name.to_string(), group.wall.to_string(), share, group.work.to_string()]);
    }
    out
}

fn changes(explanation: &Explanation) -> String {
    let change = |change: &crate::whatif::Change| format!("saves {}: {} ({})", change.gain, change.what, change.caveat);
    explanation.ranking.changes.iter().take(SHOWN).map(|found| item(&change(found))).collect()
}

fn advice(explanation: &Explanation) -> String {
    let mut out = String::new();
    for advice in explanation.advice.iter().take(SHOWN) {
        out += &item(&advice.sentence());
        if !advice.diff.is_empty() {
            let fence = fence(&advice.diff.join("\n"), 3);
            let _ = write!(out, "\n  {fence}diff\n");
            for line in &advice.diff {
                let _ = writeln!(out, "  {}", printable(line));
            }
            let _ = write!(out, "  {fence}\n\n");
        }
    }
    out
}

/// A collapsed section; nothing if it has no content.
fn details(title: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    // Markdown within HTML needs a blank line around it.
    format!("<details><summary>{title}</summary>\n\n{content}\n</details>\n\n")
}

/// A row of a table.
pub fn row(cells: impl IntoIterator<Item = String>) -> String {
    // A pipe ends a cell even within a code span.
    let cells: Vec<_> = cells.into_iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn item(text: &str) -> String {
    format!("- {}\n", prose(text))
}

/// Text as a code span. The fence is longer than every run of backquotes in the text.
pub(crate) fn code(text: &str) -> String {
    let text = cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), WIDTH);
    let fence = fence(&text, 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A run of backquotes that the text does not contain, at least this long.
fn fence(text: &str, least: usize) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(least.max(longest + 1))
}

/// A sentence of ours that may quote a Dockerfile. Quotes become code spans. Nothing else in it is interpreted: no HTML, no mentions. If a
/// quote holds backquotes itself, its parts are code or plain text, and if one is left over, all of them are shown.
pub fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let part = |(index, part): (usize, &&str)| match index % 2 {
        0 => escaped(part),
        _ if part.trim().is_empty() => escaped(&format!("`{part}`")),
        _ => code(&printable(part)),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A text in which nothing is interpreted.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        match c {
            '<' => out += "&lt;",
            '&' => out += "&amp;",
            '@' => out += "&#64;",
            '`' | '*' | '_' | '[' | ']' | '#' | '\\' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A name in a Mermaid chart, whose own characters end a name.
fn label(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || " ./-_=+$@()'".contains(c) { c } else { ' ' };
    let text: String = text.chars().map(plain).collect();
    let text = cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), 50);
    if text.is_empty() { "step".to_owned() } else { text }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || acts_on_view(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Synthetic;
    use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

    /// A build whose Dockerfile tries to break out of tables and code spans.
    fn hostile() -> String {
        let mut build = Synthetic::default();
        let stage = build.stage("a|b");
        let first = build.step(stage, "RUN echo `a | b` </details> && ``c``", 0..2_000);
        let second = build.step(stage, "RUN make: #x; @me <b>", 2_000..5_000);
        build.data(first, second);
        markdown(&crate::explain(&build.finish(5_000)))
    }

    fn events(text: &str) -> Vec<Event<'_>> {
        Parser::new_ext(text, Options::ENABLE_TABLES).collect()
    }

    #[test]
    fn the_steps_are_a_table_of_seven_columns() {
        let text = hostile();
        let events = events(&text);
        let head = events.iter().position(|event| matches!(event, Event::Start(Tag::Table(_)))).unwrap();
        let cells =
            events[head..].iter().take_while(|event| !matches!(event, Event::End(pulldown_cmark::TagEnd::Table)));
        let cells: Vec<_> = cells.collect();
        let count = |tag: fn(&Tag<'_>) -> bool| {
            cells.iter().filter(|event| matches!(event, Event::Start(found) if tag(found))).count()
        };
        let rows = count(|tag| matches!(tag, Tag::TableRow));
        assert_eq!((rows, count(|tag| matches!(tag, Tag::TableCell))), (2, 3 * 7), "{text}");
        let code = |event: &&Event<'_>| match event {
            Event::Code(code) => Some(code.to_string()),
            _ => None,
        };
        let codes: Vec<_> = cells.iter().filter_map(code).collect();
        assert_eq!(codes, ["RUN make: #x; @me <b>", "RUN echo `a | b` </details> && ``c``"], "{text}");
    }

    #[test]
    fn the_critical_path_is_a_gantt_chart() {
        let text = hostile();
        let events = events(&text);
        let start = events.iter().position(
            |event| matches!(event, Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) if **kind == *"mermaid"),
        );
        let Event::Text(chart) = &events[start.unwrap() + 1] else { panic!("{text}") };
        let bars: Vec<_> = chart.lines().filter(|line| line.contains(" :")).map(str::trim).collect();
        assert_eq!(bars, ["RUN echo a b /details c :0, 2000", "RUN make x @me b :2000, 5000"]);
        // Labels at whole seconds would repeat.
        assert!(chart.contains("axisFormat %-S.%L s\n"), "{chart}");
    }

    /// Mermaid 11 draws `section 2` above the section before it, and one label for both sections `a`.
    #[test]
    fn the_sections_of_the_chart_differ_and_are_not_numbers() {
        let mut build = Synthetic::default();
        let (a, second) = (build.stage("a"), build.stage("2"));
        let steps = [
            build.step(a, "RUN 1", 0..2_000),
            build.step(second, "RUN 2", 2_000..4_000),
            build.step(a, "RUN 3", 4_000..6_000),
        ];
        build.data(steps[0], steps[1]);
        build.data(steps[1], steps[2]);
        let text = markdown(&crate::explain(&build.finish(6_000)));
        let sections: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("section ")).collect();
        assert_eq!(sections, ["a", "stage 2", "a (2)"], "{text}");
    }

    #[test]
    fn quotes_in_a_sentence_are_code() {
        assert_eq!(prose("`RUN a && b *c*` took 1 s"), "`RUN a && b *c*` took 1 s");
        assert_eq!(prose("one ` and <b>"), "one \\` and &lt;b>");
        assert_eq!(prose("`` and ` `"), "\\`\\` and \\` \\`");
        // A quote with backquotes in it: no part of it is HTML or emphasis.
        for text in ["`RUN echo `<b>*x*` y`", "`a``<i>b`", "`<b>` `<i>` `"] {
            let prose = prose(text);
            for event in events(&prose) {
                assert!(
                    !matches!(event, Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::Emphasis)),
                    "{prose}"
                );
            }
        }
    }

    #[test]
    fn text_of_a_dockerfile_is_never_html() {
        let text = hostile();
        for event in events(&text) {
            if let Event::Html(html) | Event::InlineHtml(html) = event {
                let ours = ["<details>", "</details>", "<summary>"];
                assert!(ours.iter().any(|tag| html.trim_start().starts_with(tag)), "{html}");
            }
        }
    }
}
