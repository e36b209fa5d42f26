//! Finds the record that a command names: `last`, `^1`, the id of a kept build, or a file.

use super::kept::{KeptBuild, KeptBuilds, Subject};
use crate::input::{LARGEST_LOG, cannot_read, read_input};
use crate::{Failure, Root};
use buildscope_record::Record;
use buildscope_reports::{import, record_of};
use miette::{IntoDiagnostic, WrapErr, miette};
use std::path::Path;

/// A record, and what the list of builds says about it if it is a kept one.
pub(crate) struct FoundRecord {
    pub(crate) record: Record,
    pub(crate) kept: Option<KeptBuild>,
}

/// Reads the record that `name` means: `last` or `^0` for the last build, `^1` for the one before it, a file (a record or
/// anything that `import` reads; `-` is standard input), or the id of a kept build or the start of one. `number` chooses among the builds of
/// a file from 1; without it the slowest is taken.
pub(crate) fn find(name: &Path, number: Option<usize>, root: &Root) -> Result<FoundRecord, Failure> {
    let text = name.to_string_lossy();
    if let Some(back) = back(&text) {
        let builds = KeptBuilds::of(&root.resolve()?);
        let list = builds.list().map_err(Failure::internal)?;
        let count = list.len();
        let kept = list.into_iter().nth(back).ok_or_else(|| {
            Failure::usage(miette!(
                help = "`buildscope build` keeps a record of each build; `buildscope builds import` adds another builder's log",
                "`{text}`: {}",
                match count {
                    0 => "no build is kept".to_owned(),
                    1 => "only one build is kept".to_owned(),
                    _ => format!("only {count} builds are kept"),
                }
            ))
        })?;
        return load(&builds, kept);
    }
    if text != "-" && !name.exists() && !text.contains(['/', '\\', '.']) {
        let builds = KeptBuilds::of(&root.resolve()?);
        if let Some(kept) = by_id(&builds, &text)? {
            return load(&builds, kept);
        }
        return Err(Failure::usage(miette!(
            help = "`buildscope builds` lists the kept builds",
            "`{text}` is neither a file nor the id of a kept build"
        )));
    }
    let bytes = read_input(name, LARGEST_LOG).into_diagnostic();
    let record =
        bytes.and_then(|bytes| import::builds(&bytes).and_then(|builds| builds.choose(number)).into_diagnostic());
    Ok(FoundRecord { record: record.wrap_err_with(|| cannot_read(name)).map_err(Failure::Usage)?, kept: None })
}

/// The record that `name` means; see [`find`].
pub(crate) fn read(name: &Path, root: &Root) -> Result<Record, Failure> {
    Ok(find(name, None, root)?.record)
}

/// The record of a target of a build of several, or the whole record.
pub(crate) fn narrowed(record: Record, target: Option<&str>) -> Result<Record, Failure> {
    match target {
        Some(target) => record_of(&record, target).into_diagnostic().map_err(Failure::Usage),
        None => Ok(record),
    }
}

/// The last of these kept builds that is of the same Dockerfile and succeeded before the build `id`.
pub(crate) fn earlier(builds: &KeptBuilds, list: &[KeptBuild], subject: &Subject, id: Option<&str>) -> Option<Record> {
    subject.context.as_ref()?;
    let mut before = list.iter().filter(|kept| id.is_none_or(|id| kept.id.as_str() < id));
    let last = before.find(|kept| kept.subject == *subject && kept.succeeded)?;
    builds.read(&last.id).ok()
}

/// The kept build with this id, or the only one whose id starts so.
pub(super) fn by_id(builds: &KeptBuilds, id: &str) -> Result<Option<KeptBuild>, Failure> {
    let list = builds.list().map_err(Failure::internal)?;
    let mut starting: Vec<_> = list.into_iter().filter(|kept| !id.is_empty() && kept.id.starts_with(id)).collect();
    match starting.len() {
        0 | 1 => Ok(starting.pop()),
        count => Err(Failure::usage(miette!("`{id}` is the start of {count} builds: give more of the id"))),
    }
}

fn load(builds: &KeptBuilds, kept: KeptBuild) -> Result<FoundRecord, Failure> {
    let record = builds.read(&kept.id).into_diagnostic().wrap_err_with(|| format!("build {}", kept.id));
    Ok(FoundRecord { record: record.map_err(Failure::Usage)?, kept: Some(kept) })
}

/// The number of builds that `last` or `^N` goes back.
fn back(text: &str) -> Option<usize> {
    if text == "last" { Some(0) } else { text.strip_prefix('^')?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_build_and_earlier_ones_have_short_names() {
        assert_eq!(["last", "^0", "^12", "^", "x", "^-1"].map(back), [Some(0), Some(0), Some(12), None, None, None]);
    }
}
