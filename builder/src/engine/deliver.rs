//! Everything after the last step: the image's documents, its outputs, its names.

use super::outcome::StepReport;
use super::provenance::{invocation, predicate};
use super::solve::Solver;
use super::{BuildError, Built, Event, Request, travel};
use crate::http;
use crate::images::{self, CacheTo, Delivery, Image, Made, Output, inline_cache};
use crate::plan::{Op, Step};
use buildscope_oci::{Annotation, Reference};
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, StepId};

/// What `--output` asks for; without any, the image stays in the store.
pub(super) fn outputs(request: &Request) -> Result<Vec<Output>, BuildError> {
    let annotations = request.annotations.iter().map(|text| Annotation::of_flag(text)).collect::<Result<Vec<_>, _>>();
    let annotations = annotations.map_err(|fault| BuildError::Request(format!("--annotation {fault}")))?.concat();
    let parsed = request.outputs.iter().map(|text| Output::parse(text)).collect::<Result<Vec<_>, _>>();
    let mut outputs = parsed.map_err(|error| BuildError::Request(error.to_string()))?;
    outputs.iter_mut().for_each(|output| output.image.annotations.extend(annotations.iter().cloned()));
    Ok(outputs)
}

/// Puts the image together, writes it to all outputs, and gives it its names.
pub(super) fn deliver(
    solver: &Solver,
    request: &Request,
    outputs: &[Output],
    caches: &[CacheTo],
    reports: &[StepReport],
    probe: &Probe,
) -> Result<Built, BuildError> {
    let span = probe.phase(Phase::Commit);
    let names: Vec<Reference> = request
        .tags
        .iter()
        .map(|tag| tag.parse().map_err(|error| BuildError::Request(format!("--tag: {error}"))))
        .collect::<Result<_, _>>()?;
    let image = |target: StepId| {
        let mut image = assemble(solver, request, target);
        if caches.contains(&CacheTo::Inline) {
            let (field, value) = inline_cache(&travel::records(solver, chain(solver, target), reports));
            image.config.other.insert(field, value);
        }
        image
    };
    let images: Vec<Image> = solver.plan.targets().map(image).collect();
    let mut predicates = Vec::new();
    if let Some(wanted) = &request.provenance {
        let invocation = invocation()?;
        let of = |target| predicate(solver, request, wanted, target, reports, &invocation);
        predicates = solver.plan.targets().map(of).collect();
    }
    span.end();
    let delivery = Delivery {
        store: &solver.engine.store,
        images: &images,
        names: &names,
        epoch: request.source_date_epoch,
        registries: solver.images.registries(),
        cache: Some(&solver.imported),
        predicates: &predicates,
    };
    let mut built = Built { id: Some(BlobDigest::of(images[0].config_bytes())), ..Built::default() };
    let attested = images.iter().zip(&predicates).map(|(image, said)| (image.platform(), said.content.clone()));
    built.provenance = attested.collect();
    for (output, text) in outputs.iter().zip(&request.outputs) {
        let task = |done| solver.progress.event(Event::Task { name: format!("exporting to {text}"), done });
        task(false);
        let exported = delivery.write(output, probe)?;
        task(true);
        if built.exported.is_empty() {
            // The image's id is that of the first output: rewritten times make it another than the store's.
            built.id = Some(exported.id());
        }
        built.manifest.get_or_insert(exported.target.digest.to_manifest());
        built.exported.push(exported);
    }
    // What is pushed need not come here first: layers may be where they have always been.
    let here = |layer: &DiffId| solver.engine.store.blobs().contains(layer);
    let wanted = outputs.is_empty() || images.iter().all(|image| image.config.rootfs.diff_ids.iter().all(here));
    if !names.is_empty() && wanted {
        let span = probe.phase(Phase::Commit);
        let kept = delivery.name(&span.probe())?;
        if built.exported.is_empty() {
            built.id = Some(kept.id());
        }
        built.manifest.get_or_insert(kept.target.digest.to_manifest());
        span.end();
    }
    let mut steps: Vec<&Step> = solver.plan.targets().flat_map(|target| chain(solver, target)).collect();
    steps.dedup_by_key(|step| step.id);
    travel::export(solver, caches, &steps, reports, probe)?;
    Ok(built)
}

/// The documents of a target's image: what each step from its base on has added.
fn assemble(solver: &Solver, request: &Request, target: StepId) -> Image {
    let chain = chain(solver, target);
    let made: Vec<_> = chain
        .iter()
        .map(|step| (step, solver.done(step.id).made))
        // Of FROMs only that of a named context has made something.
        .filter(|(step, made)| step.history.is_some() || made.is_some() && matches!(step.op, Op::From(_)))
        .map(|(step, made)| Made {
            created_by: if step.history.is_some() { step.history.to_string() } else { step.text.clone() },
            created: made.map(|made| made.created()),
            layer: made.map(|made| made.diff_id),
        })
        .collect();
    let target = solver.plan.step(target);
    let base = solver.done(target.id).base.and_then(|(_, manifest)| solver.images.resolved(&manifest));
    let mut config = target.config.image();
    config.config.labels.extend(request.labels.clone());
    images::assemble(&config, base.as_ref(), &made, request.source_date_epoch, http::now())
}

/// The steps whose layers a target's image consists of, lowest first.
fn chain(solver: &Solver, target: StepId) -> Vec<&Step> {
    solver.plan.chain(target).map(|id| solver.plan.step(id)).collect()
}
