//! Finishes a build whose steps have succeeded: the image's documents, its outputs, its names, the exported cache.

use super::destinations::Destinations;
use super::finished_build::FinishedBuild;
use super::provenance::{invocation, predicate};
use super::{BuildError, Built, Event, cache_export};
use crate::http;
use crate::images::{self, BuiltStep, CacheTo, Delivery, Draft, Exported, Image, Output, inline_cache};
use crate::plan::{Op, Plan, Step};
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, StepId};
use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

/// Assembles the image, writes it to all outputs, exports the cache, and names the image. `drafts` has the started archive of each output.
pub(super) fn finish(
    build: &FinishedBuild<'_>,
    destinations: &Destinations,
    drafts: Vec<Option<Draft>>,
    probe: &Probe,
) -> Result<Built, BuildError> {
    let Destinations { names, outputs, caches } = destinations;
    let request = build.request;
    let span = probe.phase(Phase::Commit);
    let image = |target: StepId| {
        let mut image = assemble(build, target);
        if caches.contains(&CacheTo::Inline) {
            let (field, value) = inline_cache(&cache_export::records(build, chain(build.plan, target)));
            image.config.other.insert(field, value);
        }
        image
    };
    let images: Vec<Image> = build.targets.iter().copied().map(image).collect();
    let mut predicates = Vec::new();
    if let Some(wanted) = &request.provenance {
        let invocation = invocation()?;
        let of = |target| predicate(build, wanted, target, &invocation);
        predicates = build.targets.iter().copied().map(of).collect();
    }
    span.end();
    let delivery = Delivery {
        store: build.store,
        images: &images,
        names,
        epoch: build.epoch,
        registries: build.images.registries(),
        cache: Some(build.imported),
        predicates: &predicates,
        index: request.is_multi_platform(),
        prepared: build.prepared,
    };
    let mut built = Built { id: Some(BlobDigest::of(images[0].config_bytes())), ..Built::default() };
    let attested = images.iter().zip(&predicates).map(|(image, said)| (image.platform(), said.content.clone()));
    built.provenance = attested.collect();
    let written = write(build, &delivery, destinations, drafts, probe);
    // An image that was there already needs none of the blobs that were sent for it.
    build.prepared.cancel_uploads();
    for exported in written? {
        if built.exported.is_empty() {
            // The first output decides: with rewritten times, its image differs from the one in the store.
            built.id = Some(exported.id());
        }
        built.manifest.get_or_insert(exported.target.digest.to_manifest());
        built.exported.push(exported);
    }
    // Layers of a pushed image may never have been fetched. Then it cannot be named in this store.
    let here = |layer: &DiffId| build.store.blobs().contains(layer);
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
    Ok(built)
}

/// Writes all outputs, and the caches at the same time. Returns what was exported to each output, in their order.
fn write(
    build: &FinishedBuild<'_>,
    delivery: &Delivery<'_>,
    Destinations { outputs, caches, .. }: &Destinations,
    drafts: Vec<Option<Draft>>,
    probe: &Probe,
) -> Result<Vec<Exported>, BuildError> {
    if outputs.iter().any(Output::needs_layers) {
        delivery.fetch(probe)?;
    }
    let write = |((output, text), draft): ((&Output, &String), Option<Draft>)| {
        let task = |done| build.progress.event(Event::Task { name: format!("exporting to {text}"), done });
        task(false);
        let exported = delivery.write(output, draft, probe)?;
        task(true);
        Ok::<_, BuildError>(exported)
    };
    let export_caches = || {
        let mut steps: Vec<&Step> = build.targets.iter().flat_map(|target| chain(build.plan, *target)).collect();
        steps.dedup_by_key(|step| step.id);
        cache_export::export(build, caches, &steps, probe)
    };
    let works =
        outputs.iter().zip(&build.request.outputs).zip(drafts.into_iter().chain(std::iter::repeat_with(|| None)));
    if outputs.len() + caches.len() < 2 || overlap(outputs) {
        let exported = works.map(write).collect::<Result<_, _>>()?;
        return export_caches().map(|()| exported);
    }
    let join = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    std::thread::scope(|scope| {
        let write = &write;
        let threads: Vec<_> = works.map(|work| scope.spawn(move || write(work))).collect();
        let cached = export_caches();
        let exported = threads.into_iter().map(join).collect::<Vec<_>>().into_iter().collect::<Result<_, _>>()?;
        cached.map(|()| exported)
    })
}

/// Whether outputs must be written one after the other, because one is in the directory of another or both are streams.
fn overlap(outputs: &[Output]) -> bool {
    let is_within =
        |one: &Output, other: &Output| one.path().zip(other.path()).is_some_and(|(one, other)| one.starts_with(other));
    let streams = outputs.iter().filter(|output| output.writes_to_stdout()).count();
    let within = |(number, one): (usize, &Output)| {
        outputs.iter().enumerate().any(|(other, output)| other != number && is_within(one, output))
    };
    streams > 1 || outputs.iter().enumerate().any(within)
}

/// The documents of a target's image: its base, and what each step after it has added.
fn assemble(build: &FinishedBuild<'_>, target: StepId) -> Image {
    let added: Vec<_> = chain(build.plan, target)
        .into_iter()
        .map(|step| (step, build.results.of(step.id).layer))
        // A FROM adds something only if it is of a named context.
        .filter(|(step, layer)| step.history.is_some() || layer.is_some() && matches!(step.op, Op::From(_)))
        .map(|(step, layer)| BuiltStep {
            created_by: if step.history.is_some() { step.history.to_string() } else { step.text.clone() },
            created: layer.map(|layer| layer.created()),
            layer: layer.map(|layer| layer.diff_id),
        })
        .collect();
    let target = build.plan.step(target);
    let base = build.results.of(target.id).base.and_then(|(_, manifest)| build.images.resolved(&manifest));
    let mut config = target.config.image();
    config.config.labels.extend(build.request.labels.clone());
    images::assemble(&config, base.as_ref(), &added, build.epoch, http::now())
}

/// The steps whose layers a target's image consists of, lowest first.
fn chain(plan: &Plan, target: StepId) -> Vec<&Step> {
    plan.chain(target).map(|id| plan.step(id)).collect()
}
