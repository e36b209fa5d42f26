//! The cache, as the steps of a build see it: keys, hits, what is remembered.
//!
//! A step is looked for under its definition key. A COPY from a stage that is not found by it is looked
//! for once more by the content of what it copies: a stage that ran again and gave the same files costs
//! those who copy from it nothing. That second key is then what the steps after it are keyed by, and it is
//! remembered with the first one, so that an unchanged build need not look at the files again.

use super::BuildError;
use super::effects::Files;
use super::outcome::{Done, Made};
use super::solve::Solver;
use crate::execute::copy::Selection;
use crate::plan::{CopyFrom, Op, Step, keys};
use crate::storage::CacheEntry;
use buildscope_record::{Cache, Digest, Phase, Probe};

impl Solver {
    /// The key of what the step is and goes on from. Notes it, and what went into it, in the step's report.
    pub(super) fn definition_key(&self, step: &Step, files: &Files, probe: &Probe) -> Digest {
        let _span = probe.phase(Phase::CacheKey);
        let mut key = keys::definition_key(step, self.parent(step), &|id| self.done(id).key, files.digest);
        if self.detailed {
            let files = files.selection.iter().flat_map(Selection::files);
            key.inputs.extend(files.map(|(path, digest)| (format!("file:{}", path.display()), digest.to_string())));
        }
        self.reports()[step.id.index()].cache = Some(Cache { key: key.digest, inputs: key.inputs, miss: None });
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
        let key = keys::definition_key(step, self.parent(step), &key_of, files.digest);
        Ok((files, key.digest))
    }

    /// What is remembered under a key.
    pub(super) fn look_up(&self, key: Digest, probe: &Probe) -> Result<Option<Made>, BuildError> {
        if self.no_cache {
            return Ok(None);
        }
        let _span = probe.phase(Phase::CacheLookup);
        let hit = self.engine.store.cache().get(&key)?;
        // Another version may have written something else: then it is a miss.
        Ok(hit.and_then(|hit| serde_json::from_slice(&hit.entry.value).ok()))
    }

    pub(super) fn remember(&self, keys: &[Digest], made: Made) {
        let value = serde_json::to_vec(&made).expect("numbers and digests");
        for key in keys {
            let entry = CacheEntry { layers: vec![made.diff_id], value: value.clone() };
            self.engine.store.cache().put(*key, entry);
        }
    }
}
