//! Lowers a Dockerfile to a plan.

use super::config::ConfigChange;
use super::fleet::{End, Fleet};
use super::graph::{Base, Dependency, ImageSource, Op, Plan, Stage, Step};
use super::history::CreatedBy;
use super::instruction::workdir;
use super::lowering::{Lowered, Lowering, LoweringContext, MAX_EXPANDED, too_much};
use super::request::{AssumeImages, ImageResolver, LowerRequest};
use super::scope::Scope;
use super::stages::{BaseOf, Stages};
use super::{PlanError, arguments};
use buildscope_dockerfile::lint::Stop;
use buildscope_dockerfile::{self as dockerfile, Diagnostics, Dockerfile, Expander, Instruction, Kind, Text};
use buildscope_oci::{DEFAULT_PATH, ImageConfig, RuntimeConfig};
use buildscope_record::{StageId, StepId};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Lowers a Dockerfile to the graph of its steps. Images are resolved only for stages that the target needs.
///
/// # Errors
/// Every independent error: words that cannot be expanded, unknown stages, stages that depend on themselves, images
/// that are not found, and invalid values.
pub fn lower(file: &Dockerfile<'_>, request: &LowerRequest, images: &dyn ImageResolver) -> Result<Plan, PlanError> {
    let mut fleet = Fleet::default();
    fleet.add(file, request, images)?;
    Ok(fleet.plan())
}

impl Fleet {
    /// Lowers the Dockerfile of one more target into the graph. Returns the end of its target stage.
    ///
    /// # Errors
    /// As of [`lower`]. The fleet is of no use then.
    pub fn add(
        &mut self,
        file: &Dockerfile<'_>,
        request: &LowerRequest,
        images: &dyn ImageResolver,
    ) -> Result<End, PlanError> {
        let (globals, stages, target) = found_stages(file, request, images)?;
        let warnings = [arguments::undeclared(file, request), stages.foreign_images(file)].concat();
        let expander = Expander::new(file.escape);
        let context = LoweringContext { file, request, globals, expander, settings: arguments::run_settings(request) };
        let mut lowering = Lowering {
            context: &context,
            stages,
            graph: std::mem::take(&mut self.graph),
            stages_before: self.stages.len(),
            known: &self.known,
            fresh: HashMap::new(),
            ends: Vec::new(),
            diagnostics: Vec::new(),
            warnings,
            expanded: 0,
        };
        let listed: Vec<Stage> = (0..lowering.stages.list.len()).map(|stage| lowering.stage(stage)).collect();
        if !lowering.diagnostics.is_empty() {
            return Err(Diagnostics::new(file.text, lowering.diagnostics));
        }
        let Lowering { graph, fresh, mut ends, warnings, .. } = lowering;
        let platform = listed[target].platform.clone();
        let (step, scope) = ends.swap_remove(target);
        self.graph = graph;
        self.known.extend(fresh);
        self.stages.extend(listed);
        self.warnings.extend(warnings);
        self.targets.push(step);
        Ok(End { step, scope, platform })
    }
}

/// The variables of FROM lines, the stages with their images, and the target.
fn found_stages<'f>(
    file: &'f Dockerfile<'_>,
    request: &LowerRequest,
    images: &dyn ImageResolver,
) -> Result<(BTreeMap<Text, String>, Stages<'f>, usize), PlanError> {
    let mut diagnostics = Vec::new();
    let globals = arguments::global_arguments(file, request, &mut diagnostics);
    let mut stages = Stages::find(file, request, &globals, &mut diagnostics);
    stages.refuse_cycles(&mut diagnostics);
    let target = stages.target(request.target.as_deref(), &mut diagnostics);
    if diagnostics.is_empty() {
        stages.resolve(target, images, &mut diagnostics);
    }
    if diagnostics.is_empty() { Ok((globals, stages, target)) } else { Err(Diagnostics::new(file.text, diagnostics)) }
}

/// Returns the place at which BuildKit's front end stops in a file for which [`lower`] has these errors.
pub fn stop(
    file: &Dockerfile<'_>,
    request: &LowerRequest,
    images: &dyn ImageResolver,
    errors: &Diagnostics,
) -> Option<Stop> {
    let stages = found_stages(file, request, images).is_err();
    let offsets = errors.iter().map(|error| error.span.map(|span| span.range().start));
    offsets.filter_map(|offset| Stop::of_lowering(file, offset, stages)).min()
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

/// The stage and the instruction of a step.
struct StepOrigin<'i> {
    stage: StageId,
    instruction: &'i Instruction<'i>,
    /// The text of the ONBUILD trigger, if the step is one.
    trigger: Option<&'i str>,
    live: bool,
}

impl Lowering<'_> {
    fn stage(&mut self, index: usize) -> Stage {
        let id = StageId::from_index(self.stages_before + index);
        let live = self.stages.list[index].live;
        let (mut scope, base) = if live { self.start(index) } else { (Scope::default(), None) };
        let from = self.stages.list[index].from;
        let mut sources = Vec::new();
        if let Some(Base::Stage(step)) = &base {
            sources.push(*step);
        }
        let lowered = Lowered { op: base.map_or(Op::Pruned, Op::From), history: CreatedBy::None, sources: Vec::new() };
        let origin = StepOrigin { stage: id, instruction: from, trigger: None, live };
        let first = self.add(&origin, lowered, &scope, sources.first().copied());
        // A stage above is already lowered. A base is awaited anyway.
        let after =
            self.stages.list[index].after.map(|after| self.ends[after].0).filter(|step| !sources.contains(step));
        if let Some(after) = after {
            self.graph.add_edge(NodeIndex::new(after.index()), NodeIndex::new(first.index()), Dependency::After);
        }
        let mut last = first;
        let triggers = std::mem::take(&mut self.stages.list[index].triggers);
        let body = self.stages.list[index].body;
        let own = body.iter().map(|instruction| (instruction, None));
        let brought = triggers.iter().map(|trigger| (&trigger.instruction, Some(trigger)));
        for (instruction, trigger) in brought.chain(own) {
            let origin = StepOrigin { stage: id, instruction, trigger: trigger.map(|trigger| &*trigger.text), live };
            // An error was reported. Nothing more is expanded.
            if self.expanded > MAX_EXPANDED {
                break;
            }
            let lowered = if live {
                let before = self.diagnostics.len();
                let lowered = self.instruction(index, instruction, &mut scope);
                if let Some(trigger) = trigger.filter(|trigger| trigger.foreign) {
                    for diagnostic in &mut self.diagnostics[before..] {
                        diagnostic.span = Some(from.span);
                        diagnostic.label = format!("in the base image's trigger `ONBUILD {}`", trigger.text);
                    }
                }
                let Some(lowered) = lowered else { continue };
                self.expanded = self.expanded.saturating_add(lowered.size());
                if self.expanded > MAX_EXPANDED {
                    self.diagnostics.push(too_much(instruction.span));
                    break;
                }
                lowered
            } else {
                Lowered { op: Op::Pruned, history: CreatedBy::None, sources: Vec::new() }
            };
            last = self.add(&origin, lowered, &scope, Some(last));
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

    fn add(&mut self, origin: &StepOrigin<'_>, lowered: Lowered, scope: &Scope, parent: Option<StepId>) -> StepId {
        let sources: BTreeSet<StepId> = lowered.sources.iter().copied().collect();
        // A FROM that waits for another stage must not be one step with a FROM that the other stage needs.
        let waits = matches!(&origin.instruction.kind, Kind::From(from) if from.after.is_some());
        let identity = if waits { None } else { self.identity(&lowered, scope, parent, &sources, origin.stage) };
        let known = |identity: &String| self.known.get(identity).or_else(|| self.fresh.get(identity)).copied();
        if let Some(known) = identity.as_ref().and_then(known) {
            return known;
        }
        let id = StepId::from_index(self.graph.node_count());
        self.fresh.extend(identity.map(|identity| (identity, id)));
        let instruction = origin.instruction;
        let text = match origin.trigger {
            None => self.context.file.one_line(instruction),
            Some(trigger) => format!("ONBUILD {}", trigger.lines().next().unwrap_or_default()),
        };
        let node = self.graph.add_node(Step {
            id,
            stage: origin.stage,
            keyword: instruction.keyword(),
            text,
            span: instruction.span,
            lines: instruction.lines,
            live: origin.live,
            op: lowered.op,
            onbuild: origin.trigger.is_some(),
            history: lowered.history,
            config: scope.config.clone(),
        });
        if let Some(parent) = parent {
            self.graph.add_edge(NodeIndex::new(parent.index()), node, Dependency::Parent);
        }
        for source in sources {
            self.graph.add_edge(NodeIndex::new(source.index()), node, Dependency::Source);
        }
        id
    }

    /// Returns the scope at the first instruction of a live stage, and the base of the stage.
    fn start(&mut self, index: usize) -> (Scope, Option<Base>) {
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
                scope.start_stage();
                (scope, Some(Base::Stage(*last)))
            }
            BaseOf::Target(end) => {
                let mut scope = end.scope.clone();
                scope.start_stage();
                (scope, Some(Base::Stage(end.step)))
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
        base.config.working_dir = workdir("/", &base.config.working_dir);
        scope.workdir.clone_from(&base.config.working_dir);
    }
    scope.user.clone_from(&base.config.user);
    scope.shell = base.config.shell.clone().map(Into::into);
    scope.config.push(ConfigChange::Base(Arc::new(base)));
    scope
}
