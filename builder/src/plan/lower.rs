//! Lowers a Dockerfile to a plan.

use super::config::Change;
use super::graph::{Base, CopyFrom, Dependency, ImageSource, Op, Plan, Stage, Step};
use super::history::{CreatedBy, quoted_list};
use super::request::{AssumeImages, ImageResolver, LowerRequest};
use super::run::{RunLowering, RunSettings};
use super::scope::Scope;
use super::stages::{BaseOf, Source, Stages, expanded, out_of_range};
use super::{PlanError, arguments, copy, signal};
use buildscope_dockerfile::{
    self as dockerfile, Argument, Command, Diagnostic, Diagnostics, Dockerfile, Expander, Health, Id, Instruction,
    Kind, Pair, Ports, Text, Word, clean, duration,
};
use buildscope_oci::{Healthcheck, ImageConfig, RuntimeConfig};
use buildscope_record::{StageId, StepId};
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The PATH of an image that does not set one.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Lowers a Dockerfile to the graph of its steps. Images are resolved only for stages that the target needs.
///
/// # Errors
/// Every independent error: words that cannot be expanded, unknown stages, stages that depend on themselves, images that are
/// not found, and invalid values.
pub fn lower(file: &Dockerfile<'_>, request: &LowerRequest, images: &dyn ImageResolver) -> Result<Plan, PlanError> {
    let mut diagnostics = Vec::new();
    let globals = arguments::global_arguments(file, request, &mut diagnostics);
    let mut stages = Stages::find(file, request, &globals, &mut diagnostics);
    stages.refuse_cycles(&mut diagnostics);
    let target = stages.target(request.target.as_deref(), &mut diagnostics);
    if diagnostics.is_empty() {
        stages.resolve(target, images, &mut diagnostics);
    }
    if !diagnostics.is_empty() {
        return Err(Diagnostics::new(file.text, diagnostics));
    }
    let mut lowering = Lowering {
        file,
        request,
        globals,
        expander: Expander::new(file.escape),
        settings: Arc::new(arguments::run_settings(request)),
        stages,
        graph: DiGraph::new(),
        ends: Vec::new(),
        diagnostics,
        warnings: arguments::undeclared(file, request),
    };
    let listed: Vec<Stage> = (0..lowering.stages.list.len()).map(|stage| lowering.stage(stage)).collect();
    if !lowering.diagnostics.is_empty() {
        return Err(Diagnostics::new(file.text, lowering.diagnostics));
    }
    let target = listed[target].last;
    Ok(Plan { stages: listed, graph: lowering.graph, target, others: Vec::new(), warnings: lowering.warnings })
}

/// Returns all errors of a text: those of its lines and, for valid lines, those of its words. Images are not resolved.
pub fn diagnose(text: &str, request: &LowerRequest) -> Diagnostics {
    let parsed = dockerfile::Parsed::of(text);
    let mut diagnostics = parsed.diagnostics;
    diagnostics.extend(dockerfile::lint::Options::of_file(&parsed.file).err());
    if parsed.stages_known
        && let Err(more) = lower(&parsed.file, request, &AssumeImages)
    {
        diagnostics.extend(more.iter().cloned());
    }
    Diagnostics::new(text, diagnostics)
}

struct Lowering<'a> {
    file: &'a Dockerfile<'a>,
    request: &'a LowerRequest,
    globals: BTreeMap<Text, String>,
    expander: Expander,
    settings: Arc<RunSettings>,
    stages: Stages<'a>,
    graph: DiGraph<Step, Dependency>,
    /// The last step of each stage so far, and the scope after it.
    ends: Vec<(StepId, Scope)>,
    diagnostics: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

/// The position of a step in the file.
struct Place<'i> {
    stage: StageId,
    instruction: &'i Instruction<'i>,
    /// The text of the ONBUILD trigger, if the step is one.
    trigger: Option<&'i str>,
    live: bool,
}

/// The result of lowering an instruction.
struct Lowered {
    op: Op,
    history: CreatedBy,
    sources: Vec<StepId>,
}

impl Lowered {
    fn config(history: impl Into<Text>) -> Self {
        Self { op: Op::Config, history: CreatedBy::Text(history.into()), sources: Vec::new() }
    }
}

impl Lowering<'_> {
    fn stage(&mut self, index: usize) -> Stage {
        let id = StageId(u32::try_from(index).unwrap_or(u32::MAX));
        let live = self.stages.list[index].live;
        let (mut scope, base) = if live { self.begin(index) } else { (Scope::default(), None) };
        let from = self.stages.list[index].from;
        let mut sources = Vec::new();
        if let Some(Base::Stage(step)) = &base {
            sources.push(*step);
        }
        let lowered = Lowered { op: base.map_or(Op::Pruned, Op::From), history: CreatedBy::None, sources: Vec::new() };
        let place = Place { stage: id, instruction: from, trigger: None, live };
        let first = self.add(&place, lowered, &scope, sources.first().copied());
        let mut last = first;
        let triggers = std::mem::take(&mut self.stages.list[index].triggers);
        let body = self.stages.list[index].body;
        let own = body.iter().map(|instruction| (instruction, None));
        let brought = triggers.iter().map(|trigger| (&trigger.instruction, Some(trigger)));
        for (instruction, trigger) in brought.chain(own) {
            let place = Place { stage: id, instruction, trigger: trigger.map(|trigger| &*trigger.text), live };
            let lowered = if live {
                let before = self.diagnostics.len();
                let lowered = self.instruction(index, instruction, &mut scope);
                if let Some(trigger) = trigger.filter(|trigger| trigger.foreign) {
                    for diagnostic in &mut self.diagnostics[before..] {
                        diagnostic.span = Some(from.span);
                        diagnostic.label = format!("in the base image's trigger `ONBUILD {}`", trigger.text);
                    }
                }
                match lowered {
                    Some(lowered) => lowered,
                    None => continue,
                }
            } else {
                Lowered { op: Op::Pruned, history: CreatedBy::None, sources: Vec::new() }
            };
            last = self.add(&place, lowered, &scope, Some(last));
        }
        self.ends.push((last, scope));
        let this = &self.stages.list[index];
        Stage {
            id,
            name: this.name.clone(),
            base: this.base_name.clone(),
            live,
            platform: this.platform.clone(),
            first,
            last,
        }
    }

    fn add(&mut self, place: &Place<'_>, lowered: Lowered, scope: &Scope, parent: Option<StepId>) -> StepId {
        let id = StepId(u32::try_from(self.graph.node_count()).unwrap_or(u32::MAX));
        let instruction = place.instruction;
        let text = match place.trigger {
            None => self.file.one_line(instruction),
            Some(trigger) => format!("ONBUILD {}", trigger.lines().next().unwrap_or_default()),
        };
        let node = self.graph.add_node(Step {
            id,
            stage: place.stage,
            keyword: instruction.keyword().name().into(),
            text,
            span: instruction.span,
            lines: instruction.lines,
            live: place.live,
            op: lowered.op,
            onbuild: place.trigger.is_some(),
            history: lowered.history,
            config: scope.config.clone(),
        });
        if let Some(parent) = parent {
            self.graph.add_edge(NodeIndex::new(parent.index()), node, Dependency::Parent);
        }
        let sources: BTreeSet<StepId> = lowered.sources.into_iter().collect();
        for source in sources {
            self.graph.add_edge(NodeIndex::new(source.index()), node, Dependency::Source);
        }
        id
    }

    /// Returns the scope at the first instruction of a live stage, and the base of the stage.
    fn begin(&mut self, index: usize) -> (Scope, Option<Base>) {
        let this = &self.stages.list[index];
        let empty = || {
            Arc::new(ImageConfig {
                architecture: this.platform.architecture.clone(),
                os: this.platform.os.clone(),
                variant: this.platform.variant.clone(),
                config: RuntimeConfig { working_dir: "/".into(), ..RuntimeConfig::default() },
                ..ImageConfig::default()
            })
        };
        match &this.base {
            &BaseOf::Stage(base) => {
                // A base is above the stages that use it, so it is already lowered.
                let (last, scope) = &self.ends[base];
                let mut scope = scope.clone();
                scope.cmd_set = false;
                scope.config.push(Change::NoTriggers);
                (scope, Some(Base::Stage(*last)))
            }
            BaseOf::Scratch => (from_image(&empty()), Some(Base::Scratch)),
            BaseOf::Context(name) => (from_image(&empty()), Some(Base::Context(name.clone()))),
            BaseOf::Image(image) => match &this.resolved {
                Some(found) => {
                    let source = ImageSource { reference: image.clone(), manifest: found.manifest };
                    (from_image(&found.config), Some(Base::Image(source)))
                }
                None => (Scope::default(), None),
            },
        }
    }

    /// Resolves `from=` to a source of files.
    fn source(&mut self, stage: usize, word: &Word<'_>, name: &str, sources: &mut Vec<StepId>) -> Option<CopyFrom> {
        let mut ignored = Vec::new();
        Some(match self.stages.source(name, word.span, &mut ignored) {
            Source::Scratch => CopyFrom::Empty,
            Source::Context(name) => CopyFrom::NamedContext(name),
            Source::Image(image) => {
                let found = self.stages.images.get(&image)?;
                CopyFrom::Image(ImageSource { manifest: found.manifest, reference: image })
            }
            Source::Stage(other) if other < stage => {
                let step = self.ends[other].0;
                sources.push(step);
                CopyFrom::Stage(step)
            }
            Source::Stage(other) => {
                let (other, this) = (self.stages.label(other), self.stages.label(stage));
                self.diagnostics.push(
                    Diagnostic::new(
                        word.span,
                        format!(
                            "cannot copy from stage {other:?}, it needs to be defined before current stage {this:?}"
                        ),
                    )
                    .label("this is a later stage")
                    .help(format!("move the stage {other} above this one")),
                );
                return None;
            }
        })
    }

    fn word(&mut self, word: &Word<'_>, scope: &Scope) -> Option<String> {
        expanded(&self.expander, word, scope, &mut self.diagnostics)
    }

    /// Lowers one instruction of a live stage. Returns `None` if it has errors.
    fn instruction(&mut self, stage: usize, instruction: &Instruction<'_>, scope: &mut Scope) -> Option<Lowered> {
        match &instruction.kind {
            Kind::From(_) => None,
            Kind::Arg(arguments) => self.arg(arguments, scope),
            Kind::Env(pairs) => self.env(pairs, scope),
            Kind::Label(pairs) => self.label(pairs, scope),
            Kind::Run(run) => Some(self.run(stage, run, scope)),
            Kind::Copy(copy) => self.copy(stage, copy, scope),
            Kind::Workdir(word) => self.workdir(word, scope),
            Kind::User(word) => self.user(word, scope),
            Kind::Cmd(command) => Some(cmd(command, scope)),
            Kind::Entrypoint(command) => Some(entrypoint(command, scope)),
            Kind::Shell(words) => Some(shell(words, scope)),
            Kind::Expose(words) => self.expose(words, scope),
            Kind::Volume(words) => self.volume(words, scope),
            Kind::Stopsignal(word) => self.stop_signal(word, scope),
            Kind::Healthcheck(health) => {
                let (check, history) = healthcheck(health);
                scope.config.push(Change::Healthcheck(check));
                Some(Lowered::config(history))
            }
            Kind::Maintainer(word) => {
                scope.config.push(Change::Author(word.text.to_string()));
                Some(Lowered::config(format!("MAINTAINER {}", word.text)))
            }
            Kind::Onbuild(onbuild) => {
                scope.config.push(Change::OnBuild(onbuild.text.clone()));
                // BuildKit writes no history entry for triggers.
                Some(Lowered { op: Op::Config, history: CreatedBy::None, sources: Vec::new() })
            }
        }
    }

    fn env(&mut self, pairs: &[Pair<'_>], scope: &mut Scope) -> Option<Lowered> {
        let pairs = self.pairs(pairs, scope)?;
        let mut history = String::from("ENV");
        for (name, value) in &pairs {
            scope.set_env(name, value);
            history += &format!(" {name}={value}");
        }
        Some(Lowered::config(history))
    }

    fn label(&mut self, pairs: &[Pair<'_>], scope: &mut Scope) -> Option<Lowered> {
        let pairs = self.pairs(pairs, scope)?;
        let history = pairs.iter().fold(String::from("LABEL"), |text, (name, value)| format!("{text} {name}={value}"));
        scope.config.push(Change::Labels(pairs));
        Some(Lowered::config(history))
    }

    fn run(&mut self, stage: usize, run: &dockerfile::Run<'_>, scope: &Scope) -> Lowered {
        let (mut sources, mut diagnostics) = (Vec::new(), Vec::new());
        let (expander, settings) = (self.expander, Arc::clone(&self.settings));
        let mut source = |word: &Word<'_>, name: &str| self.source(stage, word, name, &mut sources);
        let (op, history) = RunLowering::new(scope, &expander, &settings, &mut source, &mut diagnostics).lower(run);
        self.diagnostics.append(&mut diagnostics);
        Lowered { op: Op::Run(op), history, sources }
    }

    fn copy(&mut self, stage: usize, copy: &dockerfile::Copy<'_>, scope: &Scope) -> Option<Lowered> {
        let mut sources = Vec::new();
        let from = match copy.from() {
            None => CopyFrom::Context,
            Some(word) => self.source(stage, word, &word.text, &mut sources)?,
        };
        let (op, history) = copy::lower(copy, from, scope, &self.expander, &mut self.diagnostics, &mut self.warnings)?;
        Some(Lowered { op: Op::Copy(op), history, sources })
    }

    fn workdir(&mut self, word: &Word<'_>, scope: &mut Scope) -> Option<Lowered> {
        let path = self.word(word, scope)?;
        if path.is_empty() {
            self.blank(word, "WORKDIR");
            return None;
        }
        scope.workdir = join(&scope.workdir, &path);
        // BuildKit keeps a trailing slash in the image configuration.
        if path.ends_with('/') && scope.workdir != "/" {
            scope.workdir.push('/');
        }
        scope.config.push(Change::WorkingDir(scope.workdir.clone()));
        let history = CreatedBy::Text(format!("WORKDIR {}", scope.workdir).into());
        // The root directory always exists.
        let op = match clean(&scope.workdir) {
            root if root == "/" => Op::Config,
            path => Op::Workdir { path, user: scope.user.clone() },
        };
        Some(Lowered { op, history, sources: Vec::new() })
    }

    fn user(&mut self, word: &Word<'_>, scope: &mut Scope) -> Option<Lowered> {
        let user = self.word(word, scope)?;
        if let Err(error) = Id::check_owner(&user) {
            self.diagnostics.push(out_of_range(word, "user", &user, &error));
            return None;
        }
        scope.user.clone_from(&user);
        let history = format!("USER {user}");
        scope.config.push(Change::User(user));
        Some(Lowered::config(history))
    }

    fn volume(&mut self, words: &[Word<'_>], scope: &mut Scope) -> Option<Lowered> {
        let mut paths = Vec::with_capacity(words.len());
        for word in words {
            let path = self.word(word, scope)?;
            if path.is_empty() {
                self.blank(word, "VOLUME");
                return None;
            }
            paths.push(path);
        }
        let history = format!("VOLUME [{}]", paths.join(" "));
        scope.config.push(Change::Volumes(paths));
        Some(Lowered::config(history))
    }

    fn stop_signal(&mut self, word: &Word<'_>, scope: &mut Scope) -> Option<Lowered> {
        let name = self.word(word, scope)?;
        if !signal::is_signal(&name) {
            let names: Vec<String> = signal::names().collect();
            self.diagnostics.push(
                Diagnostic::new(word.span, format!("Invalid signal: {name}"))
                    .label("not a signal")
                    .help("write a name such as SIGTERM, or a number")
                    .did_you_mean(&name, names.iter().map(String::as_str)),
            );
            return None;
        }
        let history = format!("STOPSIGNAL {name}");
        scope.config.push(Change::StopSignal(name));
        Some(Lowered::config(history))
    }

    fn arg(&mut self, arguments: &[Argument<'_>], scope: &mut Scope) -> Option<Lowered> {
        let mut history = String::from("ARG");
        for argument in arguments {
            let name = &*argument.name.text;
            let value = match (self.request.build_args.get(name), &argument.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.word(default, scope)?),
                (None, None) => self.globals.get(name).cloned(),
            };
            if let Some(value) = &value
                && !arguments::UNSEEN.contains(&name)
            {
                scope.set_argument(name, value);
            }
            scope.declared.push(Text::from(&*argument.name.text));
            history.push(' ');
            history += name;
            if let Some(value) = value {
                history.push('=');
                history += &value;
            }
        }
        Some(Lowered::config(history))
    }

    /// Expands names and values with the variables that are set before the instruction.
    fn pairs(&mut self, pairs: &[Pair<'_>], scope: &Scope) -> Option<Vec<(String, String)>> {
        let mut expanded = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let name = self.word(&pair.name, scope);
            let value = self.word(&pair.value, scope);
            let name = name?;
            if name.is_empty() {
                self.blank(&pair.name, "a name");
                return None;
            }
            expanded.push((name, value?));
        }
        Some(expanded)
    }

    fn expose(&mut self, words: &[Word<'_>], scope: &mut Scope) -> Option<Lowered> {
        let mut sorted: Vec<&Word<'_>> = words.iter().collect();
        // BuildKit sorts the words before it expands them, and its history shows them in this order.
        sorted.sort_by(|a, b| a.text.cmp(&b.text));
        let mut ports = Vec::new();
        for word in sorted {
            let specs = match self.expander.words(&word.text, scope) {
                Ok(specs) => specs,
                Err(error) => {
                    self.diagnostics.push(super::stages::unexpandable(word, &error));
                    return None;
                }
            };
            for spec in specs {
                match Ports::parse(&spec) {
                    Ok(found) => ports.push(found),
                    Err(error) => {
                        self.diagnostics.push(
                            Diagnostic::new(word.span, error)
                                .label("invalid port")
                                .help("write EXPOSE 80, 53/udp or 7000-7003"),
                        );
                        return None;
                    }
                }
            }
        }
        let ports: Arc<[Ports]> = ports.into();
        scope.config.push(Change::Expose(Arc::clone(&ports)));
        Some(Lowered { op: Op::Config, history: CreatedBy::Expose(ports), sources: Vec::new() })
    }

    fn blank(&mut self, word: &Word<'_>, what: &str) {
        self.diagnostics.push(
            Diagnostic::new(word.span, format!("{what} can not be an empty string"))
                .label("expands to nothing")
                .help("set the variable before this line, or give a default: ${NAME:-value}"),
        );
    }
}

/// Returns the scope at the start of a stage that is based on an image.
fn from_image(image: &Arc<ImageConfig>) -> Scope {
    let mut base = ImageConfig::clone(image);
    base.created = None;
    base.history.clear();
    base.rootfs = buildscope_oci::RootFs::default();
    base.config.on_build.clear();
    let mut scope = Scope::default();
    if !base.config.env.iter().any(|entry| entry.starts_with("PATH=")) && base.os != "windows" {
        base.config.env.push(format!("PATH={DEFAULT_PATH}"));
    }
    for entry in &base.config.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        scope.inherit_env(name, value);
    }
    scope.workdir = "/".into();
    if !base.config.working_dir.is_empty() {
        base.config.working_dir = join("/", &base.config.working_dir);
        scope.workdir.clone_from(&base.config.working_dir);
    }
    scope.user.clone_from(&base.config.user);
    scope.shell = base.config.shell.clone().map(Into::into);
    scope.config.push(Change::Base(Arc::new(base)));
    scope
}

/// Resolves a path relative to a directory.
fn join(directory: &str, path: &str) -> String {
    clean(&if path.starts_with('/') { path.to_owned() } else { format!("/{directory}/{path}") })
}

/// Returns the program and its arguments. For the shell form, the program is the shell.
fn words(command: &Command<'_>, scope: &Scope) -> Vec<String> {
    match command {
        Command::Exec(words) => words.iter().map(|word| word.text.to_string()).collect(),
        Command::Shell(word) => scope.with_shell(&word.text),
    }
}

fn cmd(command: &Command<'_>, scope: &mut Scope) -> Lowered {
    let args = words(command, scope);
    let history = format!("CMD {}", quoted_list(&args));
    scope.cmd_set = true;
    scope.config.push(Change::Cmd(args));
    Lowered::config(history)
}

fn entrypoint(command: &Command<'_>, scope: &mut Scope) -> Lowered {
    let args = words(command, scope);
    let history = format!("ENTRYPOINT {}", quoted_list(&args));
    scope.config.push(Change::Entrypoint(args, !scope.cmd_set));
    Lowered::config(history)
}

fn shell(words: &[Word<'_>], scope: &mut Scope) -> Lowered {
    let args: Vec<String> = words.iter().map(|word| word.text.to_string()).collect();
    let history = format!("SHELL [{}]", args.join(" "));
    scope.shell = Some(args.clone().into());
    scope.config.push(Change::Shell(args));
    Lowered::config(history)
}

fn healthcheck(health: &Health<'_>) -> (Healthcheck, String) {
    let (test, times, retries) = match health {
        Health::None => (vec!["NONE".to_owned()], [std::time::Duration::ZERO; 4], 0),
        Health::Command { command, interval, timeout, start_period, start_interval, retries } => {
            let test = match command {
                Command::Shell(word) => vec!["CMD-SHELL".to_owned(), word.text.to_string()],
                Command::Exec(words) => {
                    std::iter::once("CMD".to_owned()).chain(words.iter().map(|word| word.text.to_string())).collect()
                }
            };
            (test, [*interval, *timeout, *start_period, *start_interval], *retries)
        }
    };
    let shown = times.map(duration::show);
    let history = format!(
        "HEALTHCHECK {{Test:[{}] Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{retries}}}",
        test.join(" "),
        shown[0],
        shown[1],
        shown[2],
        shown[3]
    );
    let nanos = |time: std::time::Duration| i64::try_from(time.as_nanos()).ok().filter(|nanos| *nanos != 0);
    let check = Healthcheck {
        test,
        interval: nanos(times[0]),
        timeout: nanos(times[1]),
        start_period: nanos(times[2]),
        start_interval: nanos(times[3]),
        retries: (retries != 0).then_some(retries),
    };
    (check, history)
}
