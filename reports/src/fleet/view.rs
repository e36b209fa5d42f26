//! The report as text, Markdown and HTML. All three show the same tables.

use super::report::Report;
use crate::render::Style;
use crate::render::markdown::{code, prose, row};
use crate::render::table::{Align, Cell, Table};
use crate::wording::percent;
use buildscope_record::{Nanos, acts_on_view};
use std::fmt::Write as _;

/// A table of the report: its heading, the headings of its columns, and its rows. The last column is text of a Dockerfile.
struct Section {
    title: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Section {
    /// Whether a column has names and not numbers.
    fn has_names(&self, column: usize) -> bool {
        column + 1 == self.head.len() || matches!(self.head[column], "dockerfile" | "stage")
    }
}

/// The first sentence.
fn headline(report: &Report) -> String {
    let failed = match (report.failed, report.builds) {
        (0, _) => String::new(),
        (_, 1) => " and failed".to_owned(),
        (failed, _) => format!(", {failed} of them failed"),
    };
    let hours = report.wall.as_secs_f64() / 3_600.0;
    let wall = if hours < 1.0 { report.wall.to_string() } else { format!("{hours:.1} machine hours") };
    let days = match report.days {
        days if days < 1.0 => String::new(),
        days if hours < 1.0 => format!(" in {days:.1} days"),
        days => format!(" in {days:.1} days, {:.1} hours a week", hours / days * 7.0),
    };
    format!("{} took {wall}{days}{failed}.", builds(report))
}

fn builds(report: &Report) -> String {
    match report.builds {
        1 => "1 build".to_owned(),
        count => format!("{count} builds"),
    }
}

fn sections(report: &Report) -> Vec<Section> {
    let time = |time: Nanos| time.to_string();
    let share = |time: Nanos| percent(time, report.wall);
    let section = |title, head: &[&'static str], rows: Vec<Vec<String>>| Section { title, head: head.to_vec(), rows };
    let hours = |hours: Option<f64>| match hours {
        None => "-".to_owned(),
        Some(hours) if hours < 0.05 => "<0.1 h".to_owned(),
        Some(hours) => format!("{hours:.1} h"),
    };
    let saving = |s: &super::Saving| {
        vec![time(s.total), hours(s.hours_per_week), s.builds.to_string(), s.dockerfile.clone(), s.what.clone()]
    };
    let step = |s: &super::Step| {
        let runs = format!("{}/{}", s.runs, s.runs + s.cached);
        vec![time(s.drag), share(s.drag), time(s.time), runs, s.dockerfile.clone(), s.stage.clone(), s.text.clone()]
    };
    let command = |c: &super::Command| vec![time(c.time), c.runs.to_string(), c.text.clone()];
    let cause = |c: &super::Cause| vec![time(c.on_path), time(c.rerun), c.misses.to_string(), c.cause.clone()];
    let base = |b: &super::Base| vec![time(b.time), b.uses.to_string(), b.name.clone()];
    let trend = |t: &super::Trend| {
        let median = |wall: Option<Nanos>| wall.map_or_else(|| "-".to_owned(), time);
        vec![time(t.total), t.builds.to_string(), median(t.older), median(t.newer), t.dockerfile.clone()]
    };
    vec![
        section(
            "Changes that would save most",
            &["total", "a week", "builds", "dockerfile", "change"],
            report.savings.iter().map(saving).collect(),
        ),
        section(
            "Steps that delayed builds most",
            &["drag", "share", "time", "ran", "dockerfile", "stage", "step"],
            report.steps.iter().map(step).collect(),
        ),
        section("Commands inside steps", &["time", "runs", "command"], report.commands.iter().map(command).collect()),
        section(
            "Why steps missed the cache",
            &["on path", "rerun", "misses", "cause"],
            report.causes.iter().map(cause).collect(),
        ),
        section(
            "Files whose change caused misses",
            &["on path", "rerun", "misses", "file"],
            report.files.iter().map(cause).collect(),
        ),
        section("Base images", &["time", "uses", "image"], report.bases.iter().map(base).collect()),
        section(
            "Dockerfiles over time",
            &["total", "builds", "older median", "newer median", "dockerfile"],
            report.trends.iter().map(trend).collect(),
        ),
    ]
}

/// The report for a terminal.
pub fn text(report: &Report, style: Style) -> String {
    let mut out = headline(report) + "\n";
    for section in sections(report).iter().filter(|section| !section.rows.is_empty()) {
        let last = section.head.len() - 1;
        let align = |column: usize| match column {
            column if column == last => Align::Flexible,
            column if section.has_names(column) => Align::Left,
            _ => Align::Right,
        };
        let mut table = Table::new((0..=last).map(align).collect::<Vec<_>>());
        table.row(section.head.iter().map(|&head| Cell::from(head)));
        for row in &section.rows {
            table.row(row.iter().map(|cell| Cell::from(cell.as_str())));
        }
        let _ = write!(out, "\n{}\n{}", section.title, table.render(style.width, style.colours));
    }
    out
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("### {}\n\n", headline(report));
    for section in sections(report).iter().filter(|section| !section.rows.is_empty()) {
        let last = section.head.len() - 1;
        let _ = write!(out, "**{}**\n\n", section.title);
        out += &row(section.head.iter().map(|&head| head.to_owned()));
        out +=
            &row((0..=last).map(|column| if section.has_names(column) { "---".to_owned() } else { "--:".to_owned() }));
        let is_code = !matches!(section.head[last], "change" | "cause");
        for cells in &section.rows {
            let cell = |(column, cell): (usize, &String)| {
                if column == last && is_code { code(cell) } else { prose(cell) }
            };
            out += &row(cells.iter().enumerate().map(cell));
        }
        out.push('\n');
    }
    out
}

/// The report as a page of its own.
pub fn html(report: &Report) -> String {
    let mut body = format!("<h1>{}</h1>\n", escaped(&headline(report)));
    for section in sections(report).iter().filter(|section| !section.rows.is_empty()) {
        let _ = write!(body, "<h2>{}</h2>\n<table><tr>", section.title);
        let class = |column| if section.has_names(column) { " class=\"name\"" } else { "" };
        for (column, head) in section.head.iter().enumerate() {
            let _ = write!(body, "<th{}>{head}</th>", class(column));
        }
        body += "</tr>\n";
        for cells in &section.rows {
            body += "<tr>";
            for (column, cell) in cells.iter().enumerate() {
                let _ = write!(body, "<td{}>{}</td>", class(column), escaped(cell));
            }
            body += "</tr>\n";
        }
        body += "</table>\n";
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>buildscope: {}</title>\n<style>{STYLE}</style>\n{body}</html>\n",
        builds(report)
    )
}

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 14px/1.5 system-ui, sans-serif; max-width: 1300px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .15em .6em; text-align: right; white-space: nowrap; border-bottom: 1px solid #8884; vertical-align: top; }
th.name, td.name { text-align: left; }
th:last-child, td:last-child { width: 100%; white-space: normal; overflow-wrap: anywhere; font-family: ui-monospace, monospace; }
@media (max-width: 700px) {
  body { font-size: 12px; padding: 0 .5em; }
  th, td { padding: .15em .3em; white-space: normal; }
  th:last-child, td:last-child { min-width: 9em; }
}
";

fn escaped(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() || acts_on_view(c) { ' ' } else { c });
    visible.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
