//! Quantities without noise: layer bytes and digests, cache hits, steps, system calls. Every difference is a real
//! change.

use crate::run::Calls;
use buildscope_record::{Outcome, Record};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A quantity that is constant on each side and differs between the sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactChange {
    /// The name of the quantity.
    pub quantity: String,
    /// The value in every build before.
    pub before: String,
    /// The value in every build after.
    pub after: String,
}

const DIGEST: &str = "layer digest";
/// Layers hold times in whole seconds. A digest counts as constant only if the builds started this far apart.
const APART: SignedDuration = SignedDuration::from_secs(2);

/// The exact quantities of a build by name.
pub type Quantities = BTreeMap<String, String>;

/// Returns the quantities that changed. A quantity that varies within a side (the digest of a layer that contains a
/// time, for example) has noise and is ignored.
pub(super) fn changes(before: &[Record], after: &[Record]) -> Vec<ExactChange> {
    differences(constant(before), constant(after))
}

/// Returns the classes of system calls whose count is constant on each side and differs between the sides. Needs at
/// least two builds a side: one build cannot show that a count is constant.
pub(super) fn calls(before: &[Calls], after: &[Calls]) -> Vec<ExactChange> {
    let constant = |counts: &[Calls]| {
        let [first, others @ ..] = counts else { return Quantities::new() };
        let same = |class: &String, count: &u64| others.iter().all(|other| other.get(class) == Some(count));
        let constant = first.iter().filter(|(class, count)| !others.is_empty() && same(class, count));
        constant.map(|(class, count)| (format!("system calls, {class}"), count.to_string())).collect()
    };
    differences(constant(before), constant(after))
}

fn differences(was: Quantities, is: Quantities) -> Vec<ExactChange> {
    let changed = was.into_iter().filter_map(|(quantity, before)| {
        let after = is.get(&quantity)?.clone();
        (before != after).then_some(ExactChange { quantity, before, after })
    });
    changed.collect()
}

fn constant(records: &[Record]) -> Quantities {
    let mut builds = records.iter().map(quantities);
    let Some(mut constant) = builds.next() else { return Quantities::new() };
    if !are_apart(records) {
        constant.retain(|quantity, _| !quantity.starts_with(DIGEST));
    }
    for build in builds {
        constant.retain(|quantity, value| build.get(quantity) == Some(value));
    }
    constant
}

fn are_apart(records: &[Record]) -> bool {
    let begins = || records.iter().filter_map(|record| record.started.as_deref()?.parse::<Timestamp>().ok());
    begins().max().zip(begins().min()).is_some_and(|(last, first)| last.duration_since(first) >= APART)
}

fn quantities(record: &Record) -> Quantities {
    let count = |outcome| record.steps.iter().filter(|step| step.outcome == outcome).count().to_string();
    let mut quantities = Quantities::from([
        ("steps executed".to_owned(), count(Outcome::Executed)),
        ("steps cached".to_owned(), count(Outcome::Cached)),
        ("steps pruned".to_owned(), count(Outcome::Pruned)),
    ]);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for step in &record.steps {
        // Several steps may have the same text.
        let occurrence = seen.entry(&step.text).or_default();
        *occurrence += 1;
        let name = if *occurrence > 1 {
            format!("`{}` (occurrence {occurrence})", step.text)
        } else {
            format!("`{}`", step.text)
        };
        let bytes = step.layer.as_ref().map_or_else(|| "no layer".to_owned(), |layer| layer.bytes.0.to_string());
        quantities.insert(format!("layer bytes of {name}"), bytes);
        let Some(layer) = &step.layer else { continue };
        quantities.insert(format!("layer entries of {name}"), layer.files.to_string());
        // The digest of a cached layer dates from an earlier build. Only a rebuild shows that it contains no time.
        if let Some(digest) = layer.digest.filter(|_| step.outcome == Outcome::Executed) {
            quantities.insert(format!("{DIGEST} of {name}"), digest.to_string());
        }
    }
    quantities
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::{ByteSize, Layer, Policy};
    use buildscope_reports::synthetic::Synthetic;

    fn record(bytes: u64) -> Record {
        let mut build = Synthetic::new(Policy::Serial, 1);
        let stage = build.stage("app");
        build.step(stage, "RUN make", 0..10);
        build.with(|record| record.steps[0].layer = Some(Layer { bytes: ByteSize(bytes), files: 2, digest: None }));
        build.finish(10)
    }

    #[test]
    fn any_change_of_a_constant_is_reported() {
        let [change] = &changes(&[record(100), record(100)], &[record(101)])[..] else { panic!("one change") };
        assert_eq!((change.before.as_str(), change.after.as_str()), ("100", "101"));
        assert!(change.quantity.contains("layer bytes"), "{change:?}");
    }

    #[test]
    fn steps_with_equal_text_are_numbered() {
        let build = |first: u64, second: Option<u64>| {
            let mut build = Synthetic::new(Policy::Serial, 1);
            let stage = build.stage("app");
            for (step, bytes) in [Some(first), second].into_iter().enumerate() {
                build.step(stage, "COPY --from=shared /a /a", 0..10);
                let layer = bytes.map(|bytes| Layer { bytes: ByteSize(bytes), files: 1, digest: None });
                build.with(|record| record.steps[step].layer = layer);
            }
            build.finish(10)
        };
        let [change] = &changes(&[build(100, Some(7))], &[build(101, Some(7))])[..] else { panic!("one change") };
        assert_eq!((change.before.as_str(), change.after.as_str()), ("100", "101"));
        let [change] = &changes(&[build(100, Some(7))], &[build(100, Some(8))])[..] else { panic!("one change") };
        assert!(change.quantity.ends_with("(occurrence 2)"), "{change:?}");
        // The second step no longer has a layer.
        let [change] = &changes(&[build(100, Some(7))], &[build(100, None)])[..] else { panic!("one change") };
        assert!(change.quantity.ends_with("(occurrence 2)"), "{change:?}");
        assert_eq!((change.before.as_str(), change.after.as_str()), ("7", "no layer"));
    }

    #[test]
    fn one_more_system_call_is_a_change() {
        let counts = |mounts: u64| Calls::from([("mounts".to_owned(), mounts), ("execs".to_owned(), 3)]);
        let [change] = &calls(&[counts(80), counts(80)], &[counts(81), counts(81)])[..] else { panic!("one change") };
        assert_eq!(
            (change.quantity.as_str(), change.before.as_str(), change.after.as_str()),
            ("system calls, mounts", "80", "81")
        );
        // A varying count, a count of one build, and an empty list show nothing.
        let nothing: [(&[Calls], &[Calls]); 3] = [
            (&[counts(80), counts(82)], &[counts(81), counts(81)]),
            (&[counts(80)], &[counts(81), counts(81)]),
            (&[], &[counts(81), counts(81)]),
        ];
        for (before, after) in nothing {
            assert_eq!(calls(before, after), []);
        }
    }

    #[test]
    fn quantities_that_vary_are_ignored() {
        assert_eq!(changes(&[record(100), record(101)], &[record(102)]), []);
    }

    #[test]
    fn a_digest_counts_only_across_different_seconds() {
        let build = |second: u32, digest: &str| {
            let mut record = record(100);
            record.started = Some(format!("2026-01-01T00:00:{second:02}Z"));
            let layer = record.steps[0].layer.as_mut().unwrap();
            layer.digest = Some(buildscope_record::DiffId::of(digest));
            record
        };
        let after = [build(20, "b"), build(25, "b")];
        assert_eq!(changes(&[build(1, "a"), build(1, "a")], &after), []);
        assert_eq!(changes(&[build(1, "a"), build(5, "a")], &after).len(), 1);
    }
}
