//! Checks a Dockerfile by planning its build: errors that only lowering finds, base images, drawings.

use super::bases::Bases;
use super::{CheckSubject, Request};
use crate::{Failure, write_out, write_text};
use buildscope_builder::images::NamedImage;
use buildscope_builder::plan::draw::{Drawing, DrawingFormat};
use buildscope_builder::plan::{self, LowerRequest, NamedContext, Plan};
use buildscope_dockerfile::lint::{BaseImage, Finding, Stop};
use buildscope_dockerfile::{Diagnostics, Dockerfile};
use buildscope_record::Policy;
use buildscope_schedule::order_edges;
use miette::{IntoDiagnostic, miette};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;

/// Lowers a Dockerfile, without building it.
pub(super) struct Planner {
    request: LowerRequest,
    bases: Bases,
}

impl Planner {
    pub(super) fn open(request: &Request) -> Result<Self, Failure> {
        let contexts = request.contexts.iter().map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Failure::usage(miette!("--build-context takes NAME=VALUE, not `{pair}`")))?;
            // Like the engine: images are looked up by the name of the context; all other contexts are files.
            let is_image = NamedImage::parse(value).is_some();
            let kind = if is_image { NamedContext::Image(name.to_owned()) } else { NamedContext::Directory };
            Ok((name.to_owned(), kind))
        });
        let bases = Bases::open(&request.root, &request.contexts)?;
        let request = LowerRequest {
            build_args: request.build_args.clone(),
            target: request.target.clone(),
            platform: request.platform.clone(),
            contexts: contexts.collect::<Result<BTreeMap<_, _>, Failure>>()?,
            ..LowerRequest::default()
        };
        Ok(Self { request, bases })
    }

    /// All errors of a text that cannot be parsed.
    pub(super) fn errors(&self, text: &str) -> Diagnostics {
        plan::diagnose(text, &self.request)
    }

    /// The place at which BuildKit's front end stops in a file with these errors.
    pub(super) fn stop(&self, file: &Dockerfile<'_>, errors: &Diagnostics) -> Option<Stop> {
        plan::stop(file, &self.request, &self.bases, errors)
    }

    /// Lowers every stage, also those that the target does not need, so that their errors are found. Returns the
    /// findings of the rules about builds.
    pub(super) fn lower_all(&self, file: &Dockerfile<'_>) -> Result<Vec<Finding>, Diagnostics> {
        let mut seen: Vec<bool> = Vec::new();
        let mut warnings: Vec<Finding> = Vec::new();
        loop {
            let target = match seen.iter().rposition(|seen| !seen) {
                Some(stage) => Some(stage.to_string()),
                None if seen.is_empty() => self.request.target.clone(),
                None => return Ok(warnings),
            };
            let request = LowerRequest { target, ..self.request.clone() };
            let plan = plan::lower(file, &request, &self.bases)?;
            // Targets share stages.
            let new: Vec<_> = plan.warnings.into_iter().filter(|warning| !warnings.contains(warning)).collect();
            warnings.extend(new);
            seen.resize(plan.stages.len(), false);
            for (seen, stage) in seen.iter_mut().zip(&plan.stages) {
                *seen |= stage.live;
            }
        }
    }

    /// Whether the target needs each stage.
    pub(super) fn needed(&self, file: &Dockerfile<'_>) -> Result<Vec<bool>, Diagnostics> {
        let plan = plan::lower(file, &self.request, &self.bases)?;
        Ok(plan.stages.iter().map(|stage| stage.live).collect())
    }

    /// The base images that lowering found.
    pub(super) fn bases(&self) -> BTreeMap<String, BaseImage> {
        self.bases.found()
    }

    /// Describes the unchecked parts. `stages` are the names of the stages.
    pub(super) fn unchecked<'s>(&self, stages: impl Iterator<Item = &'s str> + Clone) -> Option<String> {
        self.bases.missing(stages)
    }

    /// Draws the plan under one policy, or under each policy in turn.
    pub(super) fn draw(
        &self,
        subject: &CheckSubject,
        file: &Dockerfile<'_>,
        format: &str,
        policy: Option<&str>,
    ) -> Result<(), Failure> {
        let policies = match policy {
            Some(name) => vec![name.parse().map_err(|error| Failure::usage(miette!("--granularity: {error}")))?],
            None => Policy::ALL.to_vec(),
        };
        let format = format.parse::<DrawingFormat>().into_diagnostic().map_err(Failure::Usage)?;
        match plan::lower(file, &self.request, &self.bases) {
            Ok(plan) => draw(&plan, &policies, format),
            Err(errors) => subject.refuse(file, errors)?.print(),
        }
    }
}

fn draw(plan: &Plan, policies: &[Policy], format: DrawingFormat) -> Result<(), Failure> {
    let live = plan.graph.filter_map(|node, step| step.live.then_some(node), |_, _| Some(()));
    let mut documents = Vec::new();
    for &policy in policies {
        let stage = |node: NodeIndex| plan.graph[live[node]].stage.0;
        let order = order_edges(policy, &live, stage).map_err(Failure::internal)?;
        let order: Vec<_> = order.into_iter().map(|(from, to)| (live[from], live[to])).collect();
        let drawing = Drawing { policy, plan, order: &order };
        match format {
            DrawingFormat::Json => documents.push(drawing.json()),
            format => write_text(&drawing.render(format)),
        }
    }
    match (format, &*documents) {
        (DrawingFormat::Json, [only]) => write_out(&format!("{only:#}\n")),
        (DrawingFormat::Json, all) => write_out(&format!("{:#}\n", serde_json::json!(all))),
        _ => {}
    }
    Ok(())
}
