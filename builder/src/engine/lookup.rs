//! The cache, as the steps of a build see it: keys, hits, what is remembered.
//!
//! A step is looked for under its definition key. A COPY from a stage that is not found by it is looked
//! for once more by the content of what it copies: a stage that ran again and gave the same files costs
//! those who copy from it nothing. That second key is then what the steps after it are keyed by, and it is
//! remembered with the first one, so that an unchanged build need not look at the files again.
//!
//! A key says nothing of the times of files, lest a touched file make all that follows run again. A COPY's layer has
//! them though, so it is remembered by its key *and* what else it is made of ([`Solver::place`]): after a touch, the
//! COPY alone is done again, and the image is the one that a build without any cache would give. Files of a stage are made
//! anew whenever it runs: their times count where `SOURCE_DATE_EPOCH` promises one image, and as that rewrites them.

use super::effects::Files;
use super::outcome::{Done, Made};
use super::solve::Solver;
use super::{BuildError, travel};
use crate::plan::{self, CopyFrom, Op, Step, keys};
use crate::steps::copy::Selection;
use buildscope_record::{Cache, Digest, Phase, Probe, Removal, StepId};
use buildscope_storage::{CacheEntry, Removed};
use std::time::Duration;

impl Solver {
    /// The key of what the step is and goes on from. Notes it, and what went into it, in the step's report.
    pub(super) fn definition_key(&self, step: &Step, files: &Files, probe: &Probe) -> Digest {
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
        key: Digest,
        probe: &Probe,
    ) -> Result<(Files, Digest), BuildError> {
        let Op::Copy(op) = &step.op else { return Ok((files, key)) };
        let CopyFrom::Stage(from) = op.from else { return Ok((files, key)) };
        let files = self.select(step, op, probe)?;
        // Their content stands for the stage, whatever its own key.
        let stage = Digest::of("content");
        let key_of = |id| if id == from { stage } else { below.key };
        let key = keys::definition_key(step, self.plan.parent(step.id), &key_of, files.digest);
        Ok((files, key.digest))
    }

    /// Where the layer of a step with this key is remembered.
    pub(super) fn place(&self, step: &Step, key: Digest, files: &Files) -> Digest {
        let of = |parts: &[Digest]| Digest::of(parts.iter().flat_map(|part| *part.as_bytes()).collect::<Vec<u8>>());
        match (&step.op, files.times) {
            (_, Some(times)) => of(&[key, times]),
            // Not looked at yet: whatever a stage of these very layers gives.
            (Op::Copy(plan::Copy { from: CopyFrom::Stage(from), .. }), None) if files.selection.is_none() => {
                of(&[key, of(&self.done(*from).layers)])
            }
            _ => key,
        }
    }

    /// What is remembered at a place here, else what an imported cache knows of the key: files that come from another
    /// machine have other times anyway, so there the key alone decides, as with BuildKit.
    pub(super) fn look_up(&self, place: Digest, key: Digest, probe: &Probe) -> Result<Option<Made>, BuildError> {
        if self.no_cache {
            return Ok(None);
        }
        let _span = probe.phase(Phase::CacheLookup);
        let hit = self.engine.store.cache().get(&place)?;
        // Another version may have written something else: then it is a miss.
        let here = hit.and_then(|hit| serde_json::from_slice(&hit.entry.value).ok());
        Ok(here.or_else(|| travel::look_up(&self.imported, &key)))
    }

    /// Notes in the step's report whether its result was here once, and why it was removed.
    pub(super) fn note_removal(&self, id: StepId, places: [Digest; 2], probe: &Probe) -> Result<(), BuildError> {
        if self.no_cache {
            return Ok(());
        }
        let _span = probe.phase(Phase::CacheLookup);
        for place in places {
            let Some(removed) = self.engine.store.cache().removed(&place)? else { continue };
            if let Some(cache) = &mut self.reports()[id.index()].cache {
                cache.removed = Some(removed.why);
                cache.miss = Some(said(&removed));
            }
            break;
        }
        Ok(())
    }

    pub(super) fn remember(&self, places: &[Digest], made: Made) -> Result<(), BuildError> {
        let value = serde_json::to_vec(&made).expect("numbers and digests");
        let entry = CacheEntry { layers: vec![made.diff_id], value };
        places.iter().try_for_each(|place| self.engine.store.cache().put(*place, &entry))?;
        Ok(())
    }
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
