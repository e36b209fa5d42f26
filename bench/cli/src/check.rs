//! `buildscope check`.

use super::bases::Bases;
use super::{Failure, Root};
use buildscope_builder::engine::DockerfileInput;
use buildscope_builder::plan::draw::{Drawing, Format as GraphFormat};
use buildscope_builder::plan::{self, BuildArgs, LowerRequest, NamedContext, Plan};
use buildscope_dockerfile::lint::{self, Context, Finding, Options, Rule};
use buildscope_dockerfile::{self as dockerfile, Diagnostic, Diagnostics, Dockerfile, Ignore, Kind, Outline};
use buildscope_oci::Platform;
use buildscope_schedule::{Policy, order_edges};
use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Report, WrapErr, miette};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Look for faults and advice in a Dockerfile, without building
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The build context, or a Dockerfile
    #[arg(default_value = ".")]
    context: PathBuf,
    /// The Dockerfile [default: Dockerfile in the context]; `-` reads it from standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set an ARG; without a value, from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Another context: NAME=DIRECTORY or NAME=oci-layout://DIRECTORY[:TAG]
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<String>,
    /// The stage that --graph begins from [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// The platform that is built for
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// How it is said; json has the fields of BuildKit's
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Skip rules, ask for experimental ones: skip=Rule,Other;experimental=all
    #[arg(long, value_name = "OPTIONS")]
    rules: Option<String>,
    /// List stages, arguments, secrets and caches instead
    #[arg(long, conflicts_with = "graph")]
    outline: bool,
    /// Draw the plan instead: dot, mermaid or json
    #[arg(long, value_name = "FORMAT")]
    graph: Option<String>,
    /// Draw it under this policy: serial, stages or instructions [default: each in turn]
    #[arg(long, value_name = "POLICY", requires = "graph")]
    policy: Option<String>,
    /// Where base images are looked for; registries are not asked
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope check .
  buildscope check --format json --rules skip=JSONArgsRecommended .
  buildscope check --outline .
  buildscope check --graph dot --policy stages . | dot -Tsvg -o plan.svg";

/// How findings are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// A Dockerfile to be looked at.
pub(super) struct Subject {
    /// Its name, for messages.
    name: String,
    text: String,
    ignore: Option<Ignore>,
    request: LowerRequest,
    rules: Option<String>,
    bases: Bases,
}

/// Looks at a Dockerfile.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let format = arguments.format;
    let policies = match &arguments.policy {
        Some(name) => vec![name.parse::<Policy>().into_diagnostic().map_err(Failure::Usage)?],
        None => Policy::ALL.to_vec(),
    };
    let graph = arguments.graph.as_deref().map(str::parse::<GraphFormat>).transpose();
    let graph = graph.into_diagnostic().map_err(Failure::Usage)?;
    let outline = arguments.outline;
    let subject = arguments.resolve()?;
    let file = match dockerfile::parse(&subject.text) {
        Ok(file) => file,
        Err(_) => return subject.refuse(format, plan::diagnose(&subject.text, &subject.request)),
    };
    if outline {
        let outline = Outline::of(&file);
        match format {
            Format::Text => super::say(&outline.to_string()),
            Format::Json => {
                super::say(&format!("{}\n", serde_json::to_string_pretty(&outline).map_err(Failure::internal)?));
            }
        }
        return Ok(());
    }
    if let Some(graph) = graph {
        let plan = match plan::lower(&file, &subject.request, &subject.bases) {
            Ok(plan) => plan,
            Err(faults) => return subject.refuse(format, faults),
        };
        return draw(&plan, &policies, graph);
    }
    subject.lint(&file, format)
}

impl Arguments {
    fn resolve(self) -> Result<Subject, Failure> {
        let platform = match &self.platform {
            Some(platform) => platform.parse().into_diagnostic().wrap_err("--platform").map_err(Failure::Usage)?,
            None => Platform::host(),
        };
        // A Dockerfile alone may be named, too.
        let (context, file) = match (self.context.is_file(), self.file) {
            (true, None) => {
                let parent = self.context.parent().filter(|parent| !parent.as_os_str().is_empty());
                (parent.unwrap_or(Path::new(".")).to_owned(), Some(self.context))
            }
            (_, file) => (self.context, file),
        };
        let input = match file {
            Some(file) if file == Path::new("-") => None,
            Some(file) => Some(file),
            None => Some(context.join("Dockerfile")),
        };
        let (name, text) = match &input {
            None => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text).into_diagnostic();
                read.wrap_err("reading the Dockerfile from standard input").map_err(Failure::Usage)?;
                ("standard input".to_owned(), text)
            }
            Some(path) => {
                let text = fs::read_to_string(path).into_diagnostic();
                (path.display().to_string(), text.wrap_err_with(|| path.display().to_string()).map_err(Failure::Usage)?)
            }
        };
        let build_args = self.build_arg.iter().filter_map(|arg| match arg.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((arg.clone(), std::env::var(arg).ok()?)),
        });
        let contexts = self.build_context.iter().map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Failure::usage(miette!("--build-context takes NAME=VALUE, not `{pair}`")))?;
            let image = value.contains("://");
            Ok((name.to_owned(), if image { NamedContext::Image(value.to_owned()) } else { NamedContext::Directory }))
        });
        let request = LowerRequest {
            build_args: build_args.collect(),
            target: self.target,
            platform,
            build_platform: Platform::host(),
            contexts: contexts.collect::<Result<BTreeMap<_, _>, Failure>>()?,
        };
        let bases = Bases::open(&self.root.resolve()?, &self.build_context)?;
        Subject::new(name, text, &context, input.as_deref(), request, self.rules, bases)
    }
}

impl Subject {
    /// What a build of this Dockerfile would be checked for (`build --check`).
    pub(super) fn of_build(
        context: &Path,
        input: &DockerfileInput,
        build_args: &BuildArgs,
        target: Option<&str>,
        bases: Bases,
    ) -> Result<Self, Failure> {
        let request = LowerRequest {
            build_args: build_args.clone(),
            target: target.map(str::to_owned),
            ..LowerRequest::default()
        };
        match input {
            DockerfileInput::Within(_) => {
                Err(Failure::usage(miette!("check looks at contexts that are directories here")))
            }
            DockerfileInput::Text { name, text } => {
                Self::new(name.clone(), text.clone(), context, None, request, None, bases)
            }
            DockerfileInput::File(path) => {
                let text = fs::read_to_string(path).into_diagnostic().wrap_err_with(|| path.display().to_string());
                let text = text.map_err(Failure::Usage)?;
                Self::new(path.display().to_string(), text, context, Some(path), request, None, bases)
            }
        }
    }

    fn new(
        name: String,
        text: String,
        context: &Path,
        path: Option<&Path>,
        request: LowerRequest,
        rules: Option<String>,
        bases: Bases,
    ) -> Result<Self, Failure> {
        let ignore = read_ignore(context, path)?;
        let rules = rules.or_else(|| request.build_args.get("BUILDKIT_DOCKERFILE_CHECK").cloned());
        Ok(Self { name, text, ignore, request, rules, bases })
    }

    /// Parses and lints: `build --check`.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match dockerfile::parse(&self.text) {
            Ok(file) => self.lint(&file, Format::Text),
            Err(_) => self.refuse(Format::Text, plan::diagnose(&self.text, &self.request)),
        }
    }

    /// `# check=error=true`: a build whose Dockerfile has findings is none.
    pub(super) fn check_if_demanded(&self) -> Result<(), Failure> {
        match dockerfile::parse(&self.text) {
            Ok(file) if self.options(&file).is_ok_and(|options| options.error) => self.lint(&file, Format::Text),
            _ => Ok(()),
        }
    }

    fn options(&self, file: &Dockerfile<'_>) -> Result<Options, Failure> {
        let given = Options::parse(self.rules.as_deref().unwrap_or_default());
        let given = given.map_err(|error| Failure::usage(miette!("{error}")))?;
        let of_file = Options::of_file(file);
        let of_file = of_file.map_err(|fault| Failure::failed(Diagnostics::new(file.text, vec![fault])))?;
        Ok(given.and(&of_file))
    }

    fn lint(&self, file: &Dockerfile<'_>, format: Format) -> Result<(), Failure> {
        let odd = match self.lower_all(file) {
            Ok(odd) => odd,
            Err(faults) => {
                let all = faults.iter().cloned().chain(Options::of_file(file).err()).collect();
                return self.refuse(format, Diagnostics::new(file.text, all));
            }
        };
        let options = Options::parse(self.rules.as_deref().unwrap_or_default());
        let context = Context {
            build_args: self.request.build_args.clone(),
            ignore: self.ignore.as_ref(),
            platform: self.request.platform.to_string(),
            options: options.map_err(|error| Failure::usage(miette!("{error}")))?,
            bases: self.bases.found(),
            is_image_name: |word| word.parse::<buildscope_oci::Reference>().is_ok(),
        };
        let mut report = match lint::run(file, &context) {
            Ok(report) => report,
            Err(faults) => return self.refuse(format, faults),
        };
        if self.options(file).is_ok_and(|options| options.asks(Rule::UndeclaredBuildArg)) {
            let found = odd.into_iter().map(|diagnostic| {
                let rule = Rule::UndeclaredBuildArg;
                Finding { rule, diagnostic: Diagnostic { code: rule.name(), ..diagnostic }, lines: (0, 0) }
            });
            report.findings.extend(found);
        }
        let stages = file.instructions.iter().filter_map(|instruction| match &instruction.kind {
            Kind::From(from) => from.name.as_deref(),
            _ => None,
        });
        if let Some(note) = self.bases.missing(stages) {
            eprintln!("note: {note}");
        }
        match format {
            Format::Json => super::say(&format!("{:#}\n", lint::json(file, &self.name, &report))),
            Format::Text if report.findings.is_empty() => super::say(&format!("{}: nothing found\n", self.name)),
            Format::Text => {
                let count = report.findings.len();
                let shown = Report::new(report.diagnostics(file).named(&self.name));
                super::say(&format!("{shown:?}\n{}: {count} found\n", self.name));
            }
        }
        if report.findings.is_empty() { Ok(()) } else { Err(Failure::Told) }
    }

    /// Every stage is lowered, also those that the last one does not need: what is wrong with them is wrong.
    /// What is odd about the request is returned.
    fn lower_all(&self, file: &Dockerfile<'_>) -> Result<Vec<Diagnostic>, Diagnostics> {
        let mut seen: Vec<bool> = Vec::new();
        let mut odd = Vec::new();
        loop {
            let target = match seen.iter().rposition(|seen| !seen) {
                Some(stage) => Some(stage.to_string()),
                None if seen.is_empty() => self.request.target.clone(),
                None => return Ok(odd),
            };
            let request = LowerRequest { target, ..self.request.clone() };
            let plan = plan::lower(file, &request, &self.bases)?;
            odd = plan.warnings;
            seen.resize(plan.stages.len(), false);
            for (seen, stage) in seen.iter_mut().zip(&plan.stages) {
                *seen |= stage.live;
            }
        }
    }

    fn refuse(&self, format: Format, faults: Diagnostics) -> Result<(), Failure> {
        match format {
            Format::Text => Err(Failure::failed(faults.named(&self.name))),
            Format::Json => {
                super::say(&format!("{:#}\n", lint::broken(&self.text, &self.name, &faults)));
                Err(Failure::Told)
            }
        }
    }
}

/// `NAME.dockerignore` beside the Dockerfile goes before the context's `.dockerignore`.
fn read_ignore(context: &Path, dockerfile: Option<&Path>) -> Result<Option<Ignore>, Failure> {
    let own = dockerfile.map(|path| {
        let mut name = OsString::from(path);
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in own.into_iter().chain([context.join(".dockerignore")]) {
        let Ok(bytes) = fs::read(&path) else { continue };
        let ignore = Ignore::parse(&String::from_utf8_lossy(&bytes)).into_diagnostic();
        return ignore.wrap_err_with(|| path.display().to_string()).map(Some).map_err(Failure::Failed);
    }
    Ok(None)
}

fn draw(plan: &Plan, policies: &[Policy], format: GraphFormat) -> Result<(), Failure> {
    let live = plan.graph.filter_map(|node, step| step.live.then_some(node), |_, _| Some(()));
    let mut documents = Vec::new();
    for policy in policies {
        let stage = |node: NodeIndex| plan.graph[live[node]].stage.0;
        let order = order_edges(*policy, &live, stage).map_err(Failure::internal)?;
        let order: Vec<_> = order.into_iter().map(|(from, to)| (live[from], live[to])).collect();
        let drawing = Drawing { policy: policy.name(), plan, order: &order };
        match format {
            GraphFormat::Json => documents.push(drawing.json()),
            format => super::say(&drawing.render(format)),
        }
    }
    match (format, &*documents) {
        (GraphFormat::Json, [only]) => super::say(&format!("{only:#}\n")),
        (GraphFormat::Json, all) => super::say(&format!("{:#}\n", serde_json::json!(all))),
        _ => {}
    }
    Ok(())
}
