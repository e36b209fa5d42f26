//! `buildscope builds`: the kept records of builds.
//!
//! Every build leaves a record in the store. The other commands read it as `last`, `^1` (the one before) or by its id.

#[cfg(all(feature = "build", target_os = "linux"))]
mod expect;
mod find;
mod kept;
mod limits;
mod list;

#[cfg(all(feature = "build", target_os = "linux"))]
pub(crate) use expect::Expected;
pub(crate) use find::{FoundRecord, earlier, find, narrowed, read};
pub(crate) use kept::{KeptBuild, KeptBuilds, Subject};
pub(crate) use limits::Limits;

use crate::input::{LARGEST_LOG, cannot_read, read_input};
use crate::output::write_result;
use crate::{Failure, Root, write_message, write_out};
use buildscope_record::Record;
use buildscope_reports::import;
use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, WrapErr, miette};
use std::path::{Path, PathBuf};

/// List the kept builds, or export, import and remove their records
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    work: Option<BuildsCommand>,
    #[command(flatten)]
    list: list::Options,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope builds
  buildscope builds --slower-than 30s --failed
  buildscope builds --dockerfile app --format json
  buildscope builds export last build.json
  buildscope builds import ci-log.txt exported.dockerbuild
  buildscope explain ^1                         the build before the last one";

#[derive(Debug, Subcommand)]
enum BuildsCommand {
    /// Write the record of a build to a file
    #[command(
        after_help = "Examples:\n  buildscope builds export last build.json\n  buildscope builds export 20261128 | jq .wall"
    )]
    Export {
        /// `last`, `^1`, or the id of a build
        build: PathBuf,
        /// The file [default: `-`, standard output]
        file: Option<PathBuf>,
    },
    /// Keep the builds of these files: records, logs of other builders, or .dockerbuild files with all their builds
    #[command(
        after_help = "Examples:\n  buildscope builds import ci-log.txt\n  docker buildx history export -o a.dockerbuild && buildscope builds import a.dockerbuild"
    )]
    Import {
        /// Files that `buildscope import` reads; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How many records are kept
        #[arg(long, value_name = "LIMITS", env = "BUILDSCOPE_KEEP_RECORDS", default_value = "")]
        keep_records: Limits,
    },
    /// Remove the records of builds
    #[command(after_help = "Examples:\n  buildscope builds rm last ^1\n  buildscope builds rm --all")]
    Rm {
        /// The ids of builds, or `last` and `^1`
        #[arg(required_unless_present = "all")]
        builds: Vec<PathBuf>,
        /// Remove all records
        #[arg(long, conflicts_with = "builds")]
        all: bool,
    },
}

/// Runs the subcommand.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let builds = KeptBuilds::of(&arguments.root.resolve()?);
    match arguments.work {
        None => {
            warn_of_damage(&builds)?;
            list::run(&builds, &arguments.list)
        }
        Some(BuildsCommand::Export { build, file }) => export(&build, file.as_deref(), &arguments.root),
        Some(BuildsCommand::Import { files, keep_records }) => keep_files(&builds, &files, &keep_records),
        Some(BuildsCommand::Rm { all: true, .. }) => builds.clear().map_err(Failure::internal),
        Some(BuildsCommand::Rm { builds: names, .. }) => {
            // All are looked up first: `^1` means another build once `last` is removed.
            let found = names.iter().map(|name| kept(name, &builds, &arguments.root)).collect::<Result<Vec<_>, _>>()?;
            found.iter().try_for_each(|id| builds.remove(id)).map_err(Failure::internal)
        }
    }
}

fn export(build: &Path, file: Option<&Path>, root: &Root) -> Result<(), Failure> {
    write_record(file, &read(build, root)?)
}

/// Writes a record to a file, or to standard output.
pub(crate) fn write_record(file: Option<&Path>, record: &Record) -> Result<(), Failure> {
    let mut text = Vec::new();
    record.write(&mut text).map_err(Failure::internal)?;
    write_result(file, &String::from_utf8_lossy(&text))
}

fn keep_files(builds: &KeptBuilds, files: &[PathBuf], limits: &Limits) -> Result<(), Failure> {
    for path in files {
        let named = || cannot_read(path);
        let bytes = read_input(path, LARGEST_LOG).into_diagnostic().wrap_err_with(named).map_err(Failure::Usage)?;
        let records = import::builds(&bytes)
            .map(import::Builds::into_records)
            .into_diagnostic()
            .wrap_err_with(named)
            .map_err(Failure::Usage)?;
        for record in &records {
            let subject = Subject {
                context: None,
                dockerfile: record.options.dockerfile.clone(),
                target: record.options.target.clone(),
            };
            let kept = builds.keep(record, subject, Vec::new(), limits).map_err(Failure::internal)?;
            write_out(&format!("{}\n", kept.id));
        }
    }
    Ok(())
}

/// Warns of kept builds that cannot be read.
fn warn_of_damage(builds: &KeptBuilds) -> Result<(), Failure> {
    for (path, error) in builds.damaged().map_err(Failure::internal)? {
        let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let id = id.split('.').next().unwrap_or_default();
        write_message(&format!(
            "warning: {}: the record of this build is damaged: {error} (`buildscope builds rm {id}` removes it)",
            path.display()
        ));
    }
    Ok(())
}

/// The id of the kept build that `name` means. The file may be damaged.
fn kept(name: &Path, builds: &KeptBuilds, root: &Root) -> Result<String, Failure> {
    let id = name.to_string_lossy();
    if builds.contains(&id) {
        return Ok(id.into_owned());
    }
    let FoundRecord { kept, .. } = find(name, None, root)?;
    let file = || Failure::usage(miette!("{} is a file, not a kept build", name.display()));
    Ok(kept.ok_or_else(file)?.id)
}
