//! What the logs of two builds say about a step that ran again. A log has texts and digests of base images, but no inputs of steps.
//!
//! *Takes* a step without inputs, its record and the earlier ones. *Gives* what changed, or what the logs leave open.

use super::cause::{Cause, of_parent};
use crate::counterpart::Counterparts;
use buildscope_record::{Instruction, Outcome, Record, Step};
use std::collections::BTreeMap;

/// The change of the text of a step; `None` if one of the two records has its inputs.
pub(super) fn of_text(step: &Step, earlier: &[Counterparts<'_>]) -> Option<Cause> {
    if step.cache.is_some() || earlier.is_empty() {
        return None;
    }
    let Some(before) = earlier.iter().rev().find_map(|pairs| pairs.of(step.id)) else { return Some(Cause::New) };
    if before.cache.is_some() || before.text == step.text {
        return None;
    }
    if step.instruction == Instruction::From {
        let (image, was, is) = digests(&before.text, &step.text)?;
        return Some(Cause::Base { image, before: was, now: is });
    }
    Some(Cause::Text(before.text.clone()))
}

/// The reason of the first step that ran again, whose text is the same.
pub(super) fn of_first(record: &Record, step: &Step, earlier: &[Counterparts<'_>]) -> Cause {
    let nearest = earlier.iter().rev().find_map(|pairs| Some((pairs.other(), pairs.of(step.id)?)));
    let Some((other, counterpart)) = nearest.filter(|_| step.cache.is_none()) else { return Cause::Unknown };
    if counterpart.cache.is_some() {
        return Cause::Unknown;
    }
    let moved = of_parent(record, step, earlier);
    if moved != Cause::Parent {
        return moved;
    }
    if let Some(base) = base(record, other, step) {
        return base;
    }
    if is_of_context(step) { Cause::Unnamed } else { Cause::Missing }
}

/// Whether a step reads files that are named by neither its text nor the log.
fn is_of_context(step: &Step) -> bool {
    match step.instruction {
        Instruction::Copy | Instruction::Add => true,
        Instruction::Run => {
            let mut mounts = step.text.split(' ').filter_map(|word| word.strip_prefix("--mount="));
            mounts.any(|mount| mount.contains("type=bind") || !mount.contains("type="))
        }
        _ => false,
    }
}

/// Whether the steps of a build ran without its cache: none that can be cached was.
pub(super) fn used_no_cache(record: &Record) -> bool {
    let mut steps = record.steps.iter().filter(|step| step.stage.is_some() && step.instruction != Instruction::From);
    !steps.any(|step| step.outcome == Outcome::Cached)
}

/// The base image of a step's stage, if its digest is another one. A log without a step for the base names it where its metadata are loaded.
fn base(record: &Record, other: &Record, step: &Step) -> Option<Cause> {
    let stage = step.stage.and_then(|stage| record.stages.get(stage.index()));
    let named = stage.map(|stage| stage.base.as_str()).unwrap_or_default();
    let (now, before) = (images(record), images(other));
    let pairs = now.iter().filter_map(|(image, now)| Some((*image, before.get(image)?, now)));
    let mut changed = pairs.filter(|(_, before, now)| before != now);
    let first = changed.next()?;
    // Of several images, the one of this stage.
    let found = match changed.next() {
        None if named.is_empty() || untagged(named) == first.0 => first,
        _ => return None,
    };
    let (image, before, now) = found;
    Some(Cause::Base { image: image.to_owned(), before: (*before).to_owned(), now: (*now).to_owned() })
}

/// The digests of the images that a log names, by their names without tags.
fn images(record: &Record) -> BTreeMap<&str, &str> {
    let named = |step: &&Step| step.instruction == Instruction::From || step.text.contains("load metadata for ");
    let words = record.steps.iter().filter(named).flat_map(|step| step.text.split(' '));
    words
        .filter_map(|word| word.split_once('@'))
        .filter(|(_, digest)| digest.contains(':'))
        .map(|(name, digest)| (untagged(name), digest))
        .collect()
}

/// The name of an image without its tag and digest.
fn untagged(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once(':') {
        Some((image, tag)) if !tag.contains('/') => image,
        _ => name,
    }
}

/// The image and its two digests, if two FROM instructions of logs differ in the digest alone.
fn digests(before: &str, now: &str) -> Option<(String, String, String)> {
    let image = |text: &str| -> Option<(String, String)> {
        let (name, digest) = text.split(' ').find_map(|word| word.split_once('@'))?;
        Some((name.to_owned(), digest.to_owned()))
    };
    let ((old, was), (new, is)) = (image(before)?, image(now)?);
    (old == new && was != is).then_some((new, was, is))
}
