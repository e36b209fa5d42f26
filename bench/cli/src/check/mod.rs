//! `buildscope check`: the linter and, if the builder is included, the errors that only a plan of the build shows.

#[cfg(all(feature = "build", target_os = "linux"))]
mod bases;
#[cfg(all(feature = "build", target_os = "linux"))]
mod plan;
#[cfg(not(all(feature = "build", target_os = "linux")))]
mod text_only;

#[cfg(all(feature = "build", target_os = "linux"))]
use plan::Planner;
#[cfg(not(all(feature = "build", target_os = "linux")))]
use text_only::Planner;

use super::context_files::ContextFiles;
use super::input::{LARGEST_DOCKERFILE, cannot_read, read_file, read_file_within, read_standard_input};
use super::{Failure, Root, write_message, write_out, write_text};
use buildscope_dockerfile::lint::{self, Finding, LintContext, Options, Pass, Stop};
use buildscope_dockerfile::{self as dockerfile, Diagnostics, Dockerfile, Ignore, Kind, Outline, Parsed};
use buildscope_oci::{Platform, Reference};
use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Report, WrapErr, miette};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Check a Dockerfile for errors and improvements, without building it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A build context, or a Dockerfile
    #[arg(default_value = ".")]
    context: PathBuf,
    /// The Dockerfile [default: Dockerfile in the context]; `-` reads it from standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set an ARG; without VALUE, from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// An additional context: NAME=DIRECTORY or NAME=oci-layout://DIRECTORY[:TAG]
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<String>,
    /// The stage that --graph and --outline show, with the stages that it needs [default: the last stage, and all stages]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Target platform [default: the platform of this machine]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Output format; json has the fields that BuildKit prints
    #[arg(long, value_enum, default_value_t)]
    format: FindingsFormat,
    /// Skip rules or enable experimental rules: skip=Rule,Other;experimental=all
    #[arg(long, value_name = "OPTIONS")]
    rules: Option<String>,
    /// Fail also on advice: on findings of our own rules, about slow builds and unused arguments
    #[arg(long)]
    strict: bool,
    /// List the stages, arguments, secrets and cache mounts instead
    #[arg(long, conflicts_with = "graph")]
    outline: bool,
    /// Print the build graph instead: dot, mermaid or json
    #[arg(long, value_name = "FORMAT")]
    graph: Option<String>,
    /// Granularity of the printed graph: serial, stages or instructions [default: all three]
    #[arg(long = "granularity", alias = "policy", value_name = "GRANULARITY", requires = "graph")]
    policy: Option<String>,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope check .
  buildscope check --strict .                             fails on advice, too
  buildscope check --format json --rules skip=JSONArgsRecommended .
  buildscope check --outline .
  buildscope check --graph dot --granularity stages . | dot -Tsvg -o plan.svg";

/// The format of findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FindingsFormat {
    /// For people to read
    #[default]
    Text,
    /// For programs
    Json,
}

/// The build for which the Dockerfile is checked.
#[cfg_attr(
    not(all(feature = "build", target_os = "linux")),
    expect(dead_code, reason = "only a plan needs the target, the contexts and the store")
)]
pub(super) struct Request {
    pub(super) build_args: BTreeMap<String, String>,
    pub(super) target: Option<String>,
    pub(super) platform: Platform,
    /// `--build-context`: NAME=VALUE.
    pub(super) contexts: Vec<String>,
    /// The store in which base images are looked up.
    pub(super) root: PathBuf,
    /// The effect of findings of our own rules.
    pub(super) own_rules: OwnRules,
}

/// The effect of findings of our own rules. Findings of BuildKit's rules always fail a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnRules {
    /// They are advice.
    Advise,
    /// They fail the check.
    Fail,
}

/// A Dockerfile.
pub(super) struct Source {
    /// The name in messages.
    pub(super) name: String,
    pub(super) text: String,
    /// The path, if it is a file.
    pub(super) path: Option<PathBuf>,
}

/// A Dockerfile to be checked.
pub(super) struct CheckSubject {
    pub(super) source: Source,
    /// The directory of the build context.
    context: PathBuf,
    ignore: Option<Ignore>,
    request: Request,
    rules: Option<String>,
    format: FindingsFormat,
    planner: Planner,
}

/// What is said about a Dockerfile.
pub(super) struct Answer {
    pub(super) shown: Shown,
    /// The error, or that what is shown has failed the check.
    pub(super) end: Result<(), Failure>,
}

/// The text of an answer.
pub(super) enum Shown {
    /// For people, with its line breaks.
    Text(String),
    /// A JSON document, without the last line break.
    Json(String),
}

impl Answer {
    /// Prints the text on standard output.
    ///
    /// # Errors
    /// The error of the answer.
    pub(super) fn print(self) -> Result<(), Failure> {
        match self.shown {
            Shown::Text(text) => write_text(&text),
            Shown::Json(document) => write_out(&format!("{document}\n")),
        }
        self.end
    }
}

/// Checks a Dockerfile, or shows its outline or its plan.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let (outline, graph, policy) = (arguments.outline, arguments.graph.clone(), arguments.policy.clone());
    let subject = arguments.resolve()?;
    let Ok(file) = dockerfile::parse(&subject.source.text) else { return subject.refuse_text()?.print() };
    match graph {
        Some(format) => subject.planner.draw(&subject, &file, &format, policy.as_deref()),
        None if outline => subject.outline(&file)?.print(),
        None => subject.lint(&file)?.print(),
    }
}

impl Arguments {
    fn resolve(self) -> Result<CheckSubject, Failure> {
        let platform = match &self.platform {
            Some(platform) => platform.parse().into_diagnostic().wrap_err("--platform").map_err(Failure::Usage)?,
            None => Platform::host(),
        };
        // The argument may also be a Dockerfile.
        let (context, file) = match (self.context.is_file(), self.file) {
            (true, None) => {
                let parent = self.context.parent().filter(|parent| !parent.as_os_str().is_empty());
                (parent.unwrap_or(Path::new(".")).to_owned(), Some(self.context))
            }
            (_, file) => (self.context, file),
        };
        let source = match file {
            Some(file) if file == Path::new("-") => Source::standard_input()?,
            Some(file) => Source::file(&file)?,
            None => Source::within(&context, &context.join("Dockerfile"))?,
        };
        let build_args = self.build_arg.iter().filter_map(|arg| match arg.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((arg.clone(), std::env::var(arg).ok()?)),
        });
        let request = Request {
            build_args: build_args.collect(),
            target: self.target,
            platform,
            contexts: self.build_context,
            root: self.root.resolve()?,
            own_rules: if self.strict { OwnRules::Fail } else { OwnRules::Advise },
        };
        CheckSubject::new(source, &context, request, self.rules, self.format)
    }
}

impl Source {
    pub(super) fn file(path: &Path) -> Result<Self, Failure> {
        Self::of(path, read_file(path, LARGEST_DOCKERFILE))
    }

    /// A Dockerfile in a context, which must not be a link out of it.
    fn within(context: &Path, path: &Path) -> Result<Self, Failure> {
        Self::of(path, read_file_within(context, path, LARGEST_DOCKERFILE))
    }

    fn of(path: &Path, bytes: io::Result<Vec<u8>>) -> Result<Self, Failure> {
        let read = bytes.and_then(|bytes| text(&bytes)).into_diagnostic();
        let text = read.wrap_err_with(|| cannot_read(path)).map_err(Failure::Usage)?;
        Ok(Self { name: path.display().to_string(), text, path: Some(path.to_owned()) })
    }

    pub(super) fn standard_input() -> Result<Self, Failure> {
        let read = read_standard_input(LARGEST_DOCKERFILE).and_then(|bytes| text(&bytes)).into_diagnostic();
        let text = read.wrap_err("cannot read the Dockerfile from standard input").map_err(Failure::Usage)?;
        Ok(Self { name: "standard input".into(), text, path: None })
    }
}

impl CheckSubject {
    pub(super) fn new(
        source: Source,
        context: &Path,
        request: Request,
        rules: Option<String>,
        format: FindingsFormat,
    ) -> Result<Self, Failure> {
        let ignore = read_ignore(context, source.path.as_deref())?;
        let rules = rules.or_else(|| request.build_args.get("BUILDKIT_DOCKERFILE_CHECK").cloned());
        let planner = Planner::open(&request)?;
        Ok(Self { source, context: context.to_owned(), ignore, request, rules, format, planner })
    }

    pub(super) fn options(&self, file: &Dockerfile<'_>) -> Result<Options, Failure> {
        let given = Options::parse(self.rules.as_deref().unwrap_or_default());
        let given = given.map_err(|error| Failure::usage(miette!("{error}")))?;
        let of_file = Options::of_file(file);
        let of_file = of_file.map_err(|diagnostic| Failure::failed(Diagnostics::new(file.text, vec![diagnostic])))?;
        Ok(given.and(&of_file))
    }

    /// The inputs of the target and of the stages that it needs, or of all stages if no target is named.
    pub(super) fn outline_of(&self, file: &Dockerfile<'_>) -> Result<Outline, Diagnostics> {
        match self.request.target.as_deref().filter(|target| !target.is_empty()) {
            Some(_) => {
                let needed = self.planner.needed(file)?;
                Ok(Outline::of_stages(file, |stage| needed.get(stage).copied().unwrap_or(true)))
            }
            None => Ok(Outline::of(file)),
        }
    }

    /// Whether the target can be built, as far as the text shows.
    pub(super) fn plan(&self, file: &Dockerfile<'_>) -> Result<(), Diagnostics> {
        self.planner.needed(file).map(drop)
    }

    pub(super) fn outline(&self, file: &Dockerfile<'_>) -> Result<Answer, Failure> {
        let outline = match self.outline_of(file) {
            Ok(outline) => outline,
            Err(errors) => return self.refuse(file, errors),
        };
        let shown = match self.format {
            FindingsFormat::Text => Shown::Text(outline.to_string()),
            FindingsFormat::Json => Shown::Json(serde_json::to_string_pretty(&outline).map_err(Failure::internal)?),
        };
        Ok(Answer { shown, end: Ok(()) })
    }

    pub(super) fn lint(&self, file: &Dockerfile<'_>) -> Result<Answer, Failure> {
        let warnings = match self.planner.lower_all(file) {
            Ok(warnings) => warnings,
            Err(errors) => {
                let all = errors.iter().cloned().chain(Options::of_file(file).err()).collect();
                return self.refuse(file, Diagnostics::new(file.text, all));
            }
        };
        let mut report = match self.report(file, None)? {
            Ok(report) => report,
            Err(errors) => return self.refuse(file, errors),
        };
        let options = self.options(file)?;
        report.findings.extend(warnings.into_iter().filter(|finding| options.applies(finding.rule)));
        let stages = file.instructions.iter().filter_map(|instruction| match &instruction.kind {
            Kind::From(from) => from.name.as_deref(),
            _ => None,
        });
        if let Some(note) = self.planner.unchecked(stages) {
            write_message(&format!("note: {note}"));
        }
        let name = &self.source.name;
        let shown = match self.format {
            FindingsFormat::Json => Shown::Json(format!("{:#}", lint::json(file, name, &report))),
            FindingsFormat::Text if report.findings.is_empty() => Shown::Text(format!("{name}: nothing found\n")),
            FindingsFormat::Text => {
                let count = report.findings.len();
                let found = Report::new(report.diagnostics(file).named(name));
                Shown::Text(format!("{found:?}\n{name}: {count} found\n"))
            }
        };
        let own = self.request.own_rules == OwnRules::Fail;
        let fails = |finding: &Finding| own || finding.rule.family().is_of_buildkit();
        let end = if report.findings.iter().any(fails) { Err(Failure::Reported) } else { Ok(()) };
        Ok(Answer { shown, end })
    }

    /// The findings of the rules about the file, as far as BuildKit comes in it. The inner error is an invalid `check` directive.
    fn report(&self, file: &Dockerfile<'_>, stop: Option<Stop>) -> Result<Result<lint::Report, Diagnostics>, Failure> {
        let options = Options::parse(self.rules.as_deref().unwrap_or_default());
        let files = ContextFiles::of(&self.context, self.ignore.as_ref());
        let context = LintContext {
            build_args: self.request.build_args.clone(),
            ignore: self.ignore.as_ref(),
            options: options.map_err(|error| Failure::usage(miette!("{error}")))?,
            bases: self.planner.bases(),
            facts: &files,
            is_image_name: |word| word.parse::<Reference>().is_ok(),
            platform_of: |word| word.parse::<Platform>().ok().map(|platform| [platform.os, platform.architecture]),
            stop,
        };
        Ok(lint::run(file, &context))
    }

    /// The errors of a text that cannot be parsed. The rules are applied to the instructions that can.
    pub(super) fn refuse_text(&self) -> Result<Answer, Failure> {
        let parsed = Parsed::of(&self.source.text);
        self.refuse_at(&parsed.file, self.planner.errors(&self.source.text), parsed.stop)
    }

    /// The errors of a file that can be parsed, and what the rules found besides them.
    pub(super) fn refuse(&self, file: &Dockerfile<'_>, errors: Diagnostics) -> Result<Answer, Failure> {
        let stop = self.planner.stop(file, &errors);
        self.refuse_at(file, errors, stop)
    }

    fn refuse_at(&self, file: &Dockerfile<'_>, errors: Diagnostics, stop: Option<Stop>) -> Result<Answer, Failure> {
        let name = &self.source.name;
        // An error without a place comes after everything that the rules report.
        let stop = stop.or(Some(Stop::after(Pass::Commands)));
        let report = self.report(file, stop)?.ok().filter(|report| !report.findings.is_empty());
        match self.format {
            FindingsFormat::Text => {
                let found = report.map(|report| format!("{:?}\n", Report::new(report.diagnostics(file).named(name))));
                let end = Err(Failure::failed(errors.named(name)));
                Ok(Answer { shown: Shown::Text(found.unwrap_or_default()), end })
            }
            FindingsFormat::Json => {
                let findings = report.map(|report| report.findings).unwrap_or_default();
                let document = lint::broken(&self.source.text, name, &errors, &findings);
                Ok(Answer { shown: Shown::Json(format!("{document:#}")), end: Err(Failure::Reported) })
            }
        }
    }
}

fn text(bytes: &[u8]) -> io::Result<String> {
    dockerfile::decode(bytes).map(Cow::into_owned).map_err(io::Error::other)
}

/// `NAME.dockerignore` next to the Dockerfile takes precedence over the context's `.dockerignore`.
pub(crate) fn read_ignore(context: &Path, dockerfile: Option<&Path>) -> Result<Option<Ignore>, Failure> {
    let own = dockerfile.map(|path| {
        let mut name = OsString::from(path);
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in own.into_iter().chain([context.join(".dockerignore")]) {
        // Reading a pipe would block.
        if !path.is_file() {
            continue;
        }
        let named = |error: miette::Report| error.wrap_err(path.display().to_string());
        let read = if is_below(context, &path) {
            read_file_within(context, &path, LARGEST_DOCKERFILE)
        } else {
            read_file(&path, LARGEST_DOCKERFILE)
        };
        let bytes = read.into_diagnostic().map_err(named).map_err(Failure::Usage)?;
        return Ignore::parse(&bytes).into_diagnostic().map(Some).map_err(named).map_err(Failure::Failed);
    }
    Ok(None)
}

/// Whether the directory of a file is in a context, however its path is written.
fn is_below(context: &Path, path: &Path) -> bool {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = directory.canonicalize().and_then(|directory| Ok(directory.starts_with(context.canonicalize()?)));
    found.unwrap_or(false)
}
