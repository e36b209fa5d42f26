//! The list of builds: which ones, and how they are shown.

use super::kept::{KeptBuild, KeptBuilds};
use crate::format::TableFormat;
use crate::output::style_of_result;
use crate::{Failure, shown, units, write_out};
use buildscope_reports::render::markdown;
use buildscope_reports::render::table::{Align, Cell, Table, cut_start};
use clap::Args;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

/// The filter and the format of the list.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only builds that took longer
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    slower_than: Option<Duration>,
    /// Only builds that failed
    #[arg(long, conflicts_with = "succeeded")]
    failed: bool,
    /// Only builds that succeeded
    #[arg(long)]
    succeeded: bool,
    /// Only builds whose Dockerfile, context or image name contains this text
    #[arg(long, value_name = "TEXT")]
    dockerfile: Option<String>,
    /// Only builds of this target stage
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Maximum number of builds, newest first
    #[arg(short = 'n', long, value_name = "N")]
    number: Option<usize>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Prints the list.
pub(super) fn run(builds: &KeptBuilds, options: &Options) -> Result<(), Failure> {
    let list = builds.list().map_err(Failure::internal)?;
    let most = options.number.unwrap_or(usize::MAX);
    let list: Vec<KeptBuild> = list.into_iter().filter(|kept| options.includes(kept)).take(most).collect();
    write_out(&match options.format {
        TableFormat::Json => serde_json::to_string_pretty(&list).map_err(Failure::internal)? + "\n",
        TableFormat::Text => shown(&text(&list)).into_owned(),
        TableFormat::Markdown => shown(&as_markdown(&list)).into_owned(),
    });
    Ok(())
}

impl Options {
    fn includes(&self, kept: &KeptBuild) -> bool {
        let subject = [&kept.subject.dockerfile, &kept.subject.context].into_iter().flatten();
        let mut names = subject.chain(&kept.tags);
        self.slower_than.is_none_or(|least| u128::from(kept.wall.0) > least.as_nanos())
            && (!self.failed || !kept.succeeded && !kept.cancelled)
            && (!self.succeeded || kept.succeeded)
            && self.target.as_ref().is_none_or(|target| kept.subject.target.as_ref() == Some(target))
            && self.dockerfile.as_ref().is_none_or(|text| names.any(|name| name.contains(text)))
    }
}

const HEAD: [&str; 6] = ["BUILD", "STARTED (UTC)", "WALL", "CACHED", "OUTCOME", "DOCKERFILE"];

fn row(kept: &KeptBuild) -> [String; 6] {
    let started = kept.started.get(..19).map_or_else(|| kept.started.clone(), |time| time.replace('T', " "));
    let cached = format!("{}/{}", kept.cached, kept.steps);
    let outcome = match (kept.succeeded, kept.cancelled) {
        (true, _) => "done",
        (false, true) => "cancelled",
        (false, false) => "failed",
    };
    let mut subject = kept.subject.dockerfile.clone().or_else(|| kept.subject.context.clone());
    if let (Some(subject), Some(target)) = (&mut subject, &kept.subject.target) {
        // Writing to a String cannot fail.
        let _ = write!(subject, " ({target})");
    }
    let subject = subject.unwrap_or_else(|| kept.tool.to_string());
    [kept.id.clone(), started, kept.wall.to_string(), cached, outcome.to_owned(), subject]
}

fn text(list: &[KeptBuild]) -> String {
    if list.is_empty() {
        return "no builds\n".to_owned();
    }
    use Align::{Left, Right};
    let mut table = Table::new([Left, Left, Right, Right, Left, Left]).flush();
    table.row(HEAD.map(Cell::from));
    let rows: Vec<_> = list.iter().map(row).collect();
    // Only the path may have letters that are not ASCII.
    let widest =
        |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0).max(HEAD[column].len()) + 2;
    // The end of a path says more than its start. A pipe gets it whole.
    let others: usize = (0..HEAD.len() - 1).map(widest).sum();
    let most =
        if io::stdout().is_terminal() { style_of_result(None).width.saturating_sub(others).max(8) } else { usize::MAX };
    for mut row in rows {
        let path = &mut row[HEAD.len() - 1];
        *path = cut_start(path, most);
        table.row(row.map(Cell::from));
    }
    table.plain(usize::MAX)
}

fn as_markdown(list: &[KeptBuild]) -> String {
    let mut text = markdown::row(HEAD.map(|head| head.to_lowercase())) + "|---|---|--:|--:|---|---|\n";
    text.extend(list.iter().map(|kept| markdown::row(row(kept).map(|cell| markdown::prose(&cell)))));
    text
}
