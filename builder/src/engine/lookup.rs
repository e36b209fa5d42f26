//! The cache, as the steps of a build see it: keys, hits, what is remembered.
//!
//! A step is looked for under its definition key. A COPY from a stage that is not found by it is looked
//! for once more by the content of what it copies: a stage that ran again and gave the same files costs
//! those who copy from it nothing. That second key is then what the steps after it are keyed by, and it is
//! remembered with the first one, so that an unchanged build need not look at the files again.
//!
//! A key says nothing of the times of files, lest a touched file make all that follows run again. A COPY's layer has
//! them though, so it is remembered by its key *and* what else it is made of ([`Solver::layer_key`]): after a touch, the
//! COPY alone is done again, and the image is the one that a build without any cache would give. Files of a stage are made
//! anew whenever it runs: their times count where `SOURCE_DATE_EPOCH` promises one image, and as that rewrites them.

use super::effects::Files;
use super::outcome::{Done, Made};
use super::solve::Solver;
use super::{BuildError, travel};
use crate::plan::{self, CopyFrom, Op, Step, keys};
use crate::steps::copy::Selection;
use buildscope_record::{Cache, Digest, LayerKey, Phase, Probe, Removal, StepId, StepKey};
use buildscope_storage::{CacheEntry, Removed};
use std::time::Duration;

impl Solver {
    /// The key of what the step is and goes on from. Notes it, and what went into it, in the step's report.
    pub(super) fn definition_key(&self, step: &Step, files: &Files, probe: &Probe) -> StepKey {
        let _span = probe.phase(Phase::CacheKey);
        let mut key = keys::definition_key(step, self.plan.parent(step.id), &|id| self.done(id).key, files.digest);
        if self.detailed {
            let files = files.selection.iter().flat_map(Selection::files);
            key.inputs.extend(files.map(|(path, digest)| (format!("file:{}", path.display()), digest.to_string())));
        }
        if self.detailed
            && matches!(&step.op, Op::Copy(copy) if copy.from == CopyFrom::Context)
            && let Some(selection) = &files.selection
        {
            self.reports()[step.id.index()].context = selection.by_top();
        }
        if let Some(times) = files.times {
            key.inputs.insert("times".into(), times.to_string());
        }
        self.reports()[step.id.index()].cache =
            Some(Cache { key: key.digest, inputs: key.inputs, miss: None, removed: None });
        key.digest
    }

    /// What a step takes from other stages, and the key that it is known by from then on: for a COPY from a stage, of
    /// the files themselves.
    pub(super) fn inside(
        &self,
        step: &Step,
        below: &Done,
        files: Files,
        key: StepKey,
        probe: &Probe,
    ) -> Result<(Files, StepKey), BuildError> {
        let Op::Copy(op) = &step.op else { return Ok((files, key)) };
        let CopyFrom::Stage(from) = op.from else { return Ok((files, key)) };
        let files = self.select(step, op, probe)?;
        // Their content stands for the stage, whatever its own key.
        let stage = StepKey::of("content");
        let key_of = |id| if id == from { stage } else { below.key };
        let key = keys::definition_key(step, self.plan.parent(step.id), &key_of, files.digest);
        Ok((files, key.digest))
    }

    /// The key under which the layer of a step is stored in the cache index.
    pub(super) fn layer_key(&self, step: &Step, key: StepKey, files: &Files) -> LayerKey {
        match (&step.op, files.times) {
            (_, Some(times)) => combined(key, times),
            // The files of the stage have not been selected yet, so its layers stand for them.
            (Op::Copy(plan::Copy { from: CopyFrom::Stage(from), .. }), None) if files.selection.is_none() => {
                let layers = self.done(*from).layers.iter().flat_map(|layer| *layer.as_bytes()).collect::<Vec<u8>>();
                combined(key, Digest::of(layers))
            }
            _ => key.into(),
        }
    }

    /// Looks in this store's cache index, then in the imported caches. Files from another machine have other times anyway,
    /// so for imported caches the step key alone decides, as in BuildKit.
    pub(super) fn look_up(
        &self,
        step: StepId,
        layer_key: LayerKey,
        key: StepKey,
        probe: &Probe,
    ) -> Result<Option<Made>, BuildError> {
        if self.no_cache {
            return Ok(None);
        }
        let _span = probe.phase(Phase::CacheLookup);
        let hit = match self.distrusted.contains(&step) {
            true => None,
            false => self.engine.store.cache().get(&layer_key)?,
        };
        // Another version may have written something else: then it is a miss.
        let here = hit.and_then(|hit| serde_json::from_slice(&hit.entry.value).ok());
        Ok(here.or_else(|| travel::look_up(&self.imported, &key)))
    }

    /// Notes in the step's report whether its result was here once, and why it was removed.
    pub(super) fn note_removal(&self, id: StepId, layer_keys: [LayerKey; 2], probe: &Probe) -> Result<(), BuildError> {
        if self.no_cache {
            return Ok(());
        }
        let _span = probe.phase(Phase::CacheLookup);
        for layer_key in layer_keys {
            let Some(removed) = self.engine.store.cache().removed(&layer_key)? else { continue };
            if let Some(cache) = &mut self.reports()[id.index()].cache {
                cache.removed = Some(removed.why);
                cache.miss = Some(said(&removed));
            }
            break;
        }
        Ok(())
    }

    pub(super) fn remember(&self, layer_keys: &[LayerKey], made: Made) -> Result<(), BuildError> {
        let value = serde_json::to_vec(&made).expect("numbers and digests");
        let entry = CacheEntry { layers: vec![made.diff_id], value };
        layer_keys.iter().try_for_each(|key| self.engine.store.cache().put(*key, &entry))?;
        Ok(())
    }
}

/// A layer key made of a step's key and what else its layer depends on.
fn combined(key: StepKey, rest: Digest) -> LayerKey {
    LayerKey::of([*key.as_bytes(), *rest.as_bytes()].concat())
}

/// Why a result is there no more, as the record has it.
fn said(removed: &Removed) -> String {
    let (unused, ago) = (long(removed.unused), long(removed.at.elapsed().unwrap_or_default()));
    match removed.why {
        Removal::Expired => format!("its result expired (unused for {unused} when old ones were removed {ago} ago)"),
        Removal::Pruned => format!("its result was pruned {ago} ago (unused for {unused} then)"),
    }
}

fn long(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
