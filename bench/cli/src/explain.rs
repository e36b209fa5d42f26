//! `buildscope explain`.

use super::builds::{self, FoundRecord, KeptBuild, KeptBuilds};
use super::context_files::ContextFiles;
use super::format::ReportFormat;
use super::output::{write_exact, write_result};
use super::patch::patch;
use super::{Failure, Root, otlp, output, shown, write_message};
use buildscope_commands::rules::{Facts, Nothing};
use buildscope_record::{Policy, Record, neutralised_json, redacted};
use buildscope_reports::compare::slower;
use buildscope_reports::inside::folded_stacks;
use buildscope_reports::render::Account;
use buildscope_reports::{Explanation, explain_in, record_of, render};
use clap::{Args, ValueEnum};
use miette::miette;
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

/// Explain where the time of a build went, and what determined its duration
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A kept build (`last`, `^1` for the one before, an id), a build record, the log or trace of another builder (any format
    /// that `import` reads; `-` for standard input), or a build context, which is built first [default: last]
    #[arg(value_name = "BUILD")]
    build: Option<PathBuf>,
    /// Take this build of a file with several, counted from 1 [default: the slowest]
    #[arg(long = "build", value_name = "N")]
    number: Option<usize>,
    /// Explain this target of a build of several (`bake`) as if it were a build of its own
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// Print only the times of one division of the build
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "format")]
    by: Option<Division>,
    /// Write to this file [default: `-`, standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say why steps of BUILD missed the cache: what changed since this earlier build (or several, oldest first)
    /// [default for a kept build: the build of the same Dockerfile before it]
    #[arg(long, value_name = "EARLIER", num_args = 1..)]
    why_miss: Vec<PathBuf>,
    /// Also send the build to an OpenTelemetry collector, as spans (OTLP/HTTP)
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Also write a timeline to this file (Chrome trace JSON; open it in Perfetto); `-` writes it instead of the explanation
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Also write the processes inside the steps as folded stacks, for any flame-graph tool; `-` writes them instead of the
    /// explanation
    #[arg(long, value_name = "FILE")]
    folded: Option<PathBuf>,
    /// Also write the changes that the advice suggests as a patch for `git apply`; `-` writes it instead of the explanation
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// The Dockerfile that the patch changes [default: the Dockerfile of the build, else ./Dockerfile]
    #[arg(long, value_name = "FILE", requires = "patch")]
    dockerfile: Option<PathBuf>,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope build . && buildscope explain                the last build
  buildscope explain ^1                                   the one before
  buildscope build --record build.json . && buildscope explain build.json
  buildscope explain build.json --format json -o explanation.json
  buildscope explain --by lines
  buildscope explain --by commands                all commands inside the steps
  buildscope explain --format html -o build.html
  buildscope explain --format markdown >> $GITHUB_STEP_SUMMARY
  buildscope explain --target api                 a target of the last bake
  buildscope explain .                            builds twice: serial and parallel
  buildscope explain now.json --why-miss before.json    (what changed between the two)
  buildscope explain build.rawjson                (of buildx build --progress rawjson)
  buildscope explain ci.log --build 2             (of a job that builds several times)
  docker build . 2>&1 | ts '%.s' | buildscope explain -
  buildscope explain --patch advice.patch && git apply advice.patch
  buildscope explain --folded - | flamegraph.pl > build.svg
  buildscope explain build.json --trace timeline.json   (for https://ui.perfetto.dev)";

/// The key by which the time of a build is divided.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Division {
    /// Groups of phases: parsing, scheduling, execution, storage, transfer
    Groups,
    /// Phases
    Phases,
    /// Stages
    Stages,
    /// Kinds of instruction
    Instructions,
    /// Lines of the Dockerfile
    Lines,
    /// Commands inside the steps, all of them, with what they waited for
    Commands,
    /// The classes of Docker Desktop's Builds view
    DockerDesktop,
}

impl From<Division> for Account {
    fn from(division: Division) -> Self {
        match division {
            Division::Groups => Self::Groups,
            Division::Phases => Self::Phases,
            Division::Stages => Self::Stages,
            Division::Instructions => Self::Instructions,
            Division::Lines => Self::Lines,
            Division::Commands => Self::Commands,
            Division::DockerDesktop => Self::Desktop,
        }
    }
}

/// Explains a record.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let has_standard_output = arguments.explanation_has_standard_output()?;
    let arguments = arguments.with_build();
    let mut verdict = String::new();
    let root = &arguments.root;
    let found = if arguments.build().is_dir() {
        let built = build(arguments.build(), root)?;
        verdict = slower(&built).map(|sentence| sentence + "\n\n").unwrap_or_default();
        let [_, record] = built;
        FoundRecord { record, kept: None }
    } else {
        builds::find(arguments.build(), arguments.number, root)?
    };
    let mut earlier = arguments.why_miss.iter().map(|name| builds::read(name, root)).collect::<Result<Vec<_>, _>>()?;
    let FoundRecord { record, kept } = found;
    let record = builds::narrowed(record, arguments.target.as_deref())?;
    if let Some(kept) = kept.as_ref().filter(|_| earlier.is_empty()) {
        let builds = KeptBuilds::of(&root.resolve()?);
        let list = builds.list().unwrap_or_default();
        earlier.extend(builds::earlier(&builds, &list, &kept.subject, Some(&kept.id)));
    }
    if let Some(target) = &arguments.target {
        // A target that is new was not built before.
        earlier = earlier.iter().filter_map(|record| record_of(record, target).ok()).collect();
    }
    let dockerfile = arguments.dockerfile(&record, kept.as_ref());
    let directory = arguments.context(&record, kept.as_ref(), &dockerfile);
    let files = directory.as_deref().map(|directory| ContextFiles::of(directory, None));
    let context: &dyn Facts = files.as_ref().map_or(&Nothing, |files| files);
    let explanation = explain_in(&record, &earlier, context);
    for note in arguments.comparison(&record, &earlier, explanation.misses.is_empty()) {
        write_message(&note);
    }
    if let Some(path) = &arguments.trace {
        write_timeline(path, &record, &explanation)?;
    }
    if let Some(path) = &arguments.folded {
        write_exact(Some(path), &shown(&folded_stacks(&record)))?;
    }
    if let Some(url) = &arguments.otlp {
        otlp::send(url, &record, &explanation, None)?;
    }
    if has_standard_output || output::file_of_result(arguments.output.as_deref()).is_some() {
        write_explanation(&arguments, &record, &explanation, &verdict)?;
    }
    // Last, so that a Dockerfile that is not found does not cost the explanation.
    match &arguments.patch {
        Some(path) => write_patch(path, &explanation, &dockerfile),
        None => Ok(()),
    }
}

/// Writes the explanation in the requested form, after a verdict for people.
fn write_explanation(
    arguments: &Arguments,
    record: &Record,
    explanation: &Explanation,
    verdict: &str,
) -> Result<(), Failure> {
    let style = output::style_of_result(arguments.output.as_deref());
    let text = match (arguments.by, arguments.format) {
        (Some(division), _) => shown(&render::account(explanation, division.into(), style)).into_owned(),
        (None, ReportFormat::Text) => shown(&format!("{verdict}{}", render::text(explanation, style))).into_owned(),
        (None, ReportFormat::Json) => render::json(explanation).map_err(Failure::internal)?,
        (None, ReportFormat::Html) => render::html(record, explanation),
        (None, ReportFormat::Markdown) => shown(&format!("{verdict}{}", render::markdown(explanation))).into_owned(),
    };
    write_result(arguments.output.as_deref(), &text)
}

impl Arguments {
    /// `--why-miss BEFORE NOW` without a build of its own compares the last of the builds with those before it.
    fn with_build(mut self) -> Self {
        if self.build.is_none() && self.why_miss.len() > 1 {
            self.build = self.why_miss.pop();
        }
        self
    }

    /// The build that is explained.
    fn build(&self) -> &Path {
        self.build.as_deref().unwrap_or(Path::new("last"))
    }

    /// What `--why-miss` compares with what, and what is unusual about it.
    fn comparison(&self, record: &Record, earlier: &[Record], hit: bool) -> Vec<String> {
        let Some(nearest) = earlier.last().filter(|_| !self.why_miss.is_empty()) else { return Vec::new() };
        let named = |path: &Path| format!("`{}`", path.display());
        let builds: Vec<_> = self.why_miss.iter().map(|path| named(path)).collect();
        let (now, before) = (named(self.build()), builds.join(", "));
        let mut notes = vec![format!("note: compares {now} with the earlier {before}")];
        // Times of one program, all in UTC and with the same number of digits, are in the order of their texts.
        let utc = |time: &&String| time.ends_with('Z');
        let (began, other) = (record.started.as_ref().filter(utc), nearest.started.as_ref().filter(utc));
        if record == nearest {
            notes.push(format!("note: {now} and {before} are the same build: nothing changed between them"));
        } else if let (Some(began), Some(other)) = (began, other)
            && began.len() == other.len()
            && began < other
        {
            notes.push(format!(
                "note: {now} began before {before}: put the later build first, and the earlier one after --why-miss"
            ));
        }
        if hit {
            notes.push(format!("note: no step of {now} missed the cache"));
        }
        notes
    }

    /// Whether the explanation goes to standard output: not if another document does. Fails if several do.
    fn explanation_has_standard_output(&self) -> Result<bool, Failure> {
        let files = [
            ("--output", &self.output),
            ("--trace", &self.trace),
            ("--folded", &self.folded),
            ("--patch", &self.patch),
        ];
        let flag = output::flag_of_stdout(files.map(|(flag, path)| (flag, path.as_deref())))?;
        Ok(flag.map_or(self.output.is_none(), |flag| flag == "--output"))
    }

    /// The Dockerfile that a patch changes.
    fn dockerfile(&self, record: &Record, kept: Option<&KeptBuild>) -> PathBuf {
        let existing = |path: Option<&String>| path.map(PathBuf::from).filter(|path| path.is_file());
        let in_context = || self.build().is_dir().then(|| self.build().join("Dockerfile"));
        // The list of builds has the absolute path.
        let of_list = || existing(kept.and_then(|kept| kept.subject.dockerfile.as_ref()));
        let recorded = || existing(record.options.dockerfile.as_ref());
        let found = self.dockerfile.clone().or_else(in_context).or_else(of_list).or_else(recorded);
        found.unwrap_or_else(|| PathBuf::from("Dockerfile"))
    }

    /// The directory of the build context, if it is still there: advice reads the files of its projects. It must have the files that the
    /// build copied.
    fn context(&self, record: &Record, kept: Option<&KeptBuild>, dockerfile: &Path) -> Option<PathBuf> {
        let inputs = record.steps.iter().filter_map(|step| step.cache.as_ref()).flat_map(|cache| cache.inputs.keys());
        let copied: Vec<&str> = inputs.filter_map(|name| name.strip_prefix("file:")).take(MOST_COPIED).collect();
        let of_list = kept.and_then(|kept| kept.subject.context.as_ref()).map(PathBuf::from);
        let of_dockerfile =
            dockerfile.parent().map(|parent| if parent == "" { PathBuf::from(".") } else { parent.to_owned() });
        let candidates = [Some(self.build().to_owned()), of_list, of_dockerfile, Some(PathBuf::from("."))];
        let has_all = |directory: &PathBuf| copied.iter().all(|path| directory.join(path).symlink_metadata().is_ok());
        let is_context = |directory: &PathBuf| !copied.is_empty() && directory.is_dir() && has_all(directory);
        candidates.into_iter().flatten().find(is_context)
    }
}

/// The number of copied files that are looked up in a directory before it is taken as the build context.
const MOST_COPIED: usize = 200;

/// Builds a context cold under two policies and returns the records: serial, then instructions.
///
/// Each build is a separate process: the zygote must be started before a process has threads.
fn build(context: &Path, root: &Root) -> Result<[Record; 2], Failure> {
    if !super::CAN_BUILD {
        let directory = context.display();
        return Err(Failure::usage(miette!(
            help = "build it on Linux with `buildscope build --record FILE`, or give the log of another builder",
            "{directory} is a directory, and this buildscope was compiled without the builder"
        )));
    }
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let one = |policy: Policy| {
        let (mut record, path) = unnamed_file().map_err(Failure::internal)?;
        write_message(&format!("building {} with --granularity {policy} --no-cache", context.display()));
        let mut command = std::process::Command::new(&program);
        command
            .args([
                "build",
                "--no-cache",
                "--no-record",
                "--progress",
                "quiet",
                "--granularity",
                policy.name(),
                "--record",
            ])
            .arg(&path);
        command.arg("--root").arg(root.resolve()?).arg(context).stdout(std::process::Stdio::null());
        let status = command.status().map_err(Failure::internal)?;
        if !status.success() {
            // The build has said why. There is nothing to compare.
            let help = "`buildscope build` keeps a record of a failed build too, which `buildscope explain` explains";
            return Err(Failure::failed(miette!(help = help, "the build ended with {status}")));
        }
        record.rewind().map_err(Failure::internal)?;
        Record::read(record).map_err(Failure::internal)
    };
    Ok([one(Policy::Serial)?, one(Policy::Instructions)?])
}

/// A file without a name, which no kill leaves behind, and the path by which another program opens it (proc_pid_fd(5)).
#[cfg(target_os = "linux")]
fn unnamed_file() -> io::Result<(File, PathBuf)> {
    let file = tempfile::tempfile()?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&file));
    Ok((file, path.into()))
}

/// Nothing is built on other systems.
#[cfg(not(target_os = "linux"))]
fn unnamed_file() -> io::Result<(File, PathBuf)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes a record's timeline.
pub(super) fn write_timeline(path: &Path, record: &Record, explanation: &Explanation) -> Result<(), Failure> {
    let timeline = render::timeline(&[(record, explanation)]);
    let text = serde_json::to_string(&timeline).map_err(Failure::internal)?;
    write_exact(Some(path), &neutralised_json(&redacted(&text)))
}

/// Writes the changes that the advice suggests, and says which.
fn write_patch(path: &Path, explanation: &Explanation, dockerfile: &Path) -> Result<(), Failure> {
    let patch = patch(explanation, dockerfile)?;
    write_exact(Some(path), &patch.text)?;
    let name = output::file_of_result(Some(path)).map_or("standard output".into(), |path| path.display().to_string());
    match &patch.taken[..] {
        [] => write_message(&format!(
            "note: no advice has a change that certainly keeps the build working: {name} is empty"
        )),
        taken => {
            let directory = match &patch.directory {
                Some(directory) => format!("; apply it in {}", directory.display()),
                None => String::new(),
            };
            write_message(&format!("note: {name} has {}{directory}", taken.join(", ")));
        }
    }
    if !patch.left_out.is_empty() {
        write_message(&format!(
            "note: left out, because another change, spaces in quotes, values of variables or credentials in addresses are in their way: {} (build with the patch, then explain again)",
            patch.left_out.join(", ")
        ));
    }
    Ok(())
}
