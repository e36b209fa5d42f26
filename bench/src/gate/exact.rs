//! What has no noise: layer bytes and digests, cache hits, steps. Any change is a change.

use buildscope_record::{Outcome, Record};
use std::collections::BTreeMap;

/// A quantity that is the same in every build of one side, and another in every build of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactChange {
    /// What.
    pub quantity: String,
    /// In every build before.
    pub before: String,
    /// In every build after.
    pub after: String,
}

/// One build alone does not show that a digest is constant.
const DIGEST: &str = "layer digest";

/// A build's exact quantities by name.
pub type Quantities = BTreeMap<String, String>;

/// The quantities that changed. One that varies within a side (the digest of a layer that holds a
/// time) has noise after all, and is not looked at.
pub(super) fn changes(before: &[Record], after: &[Record]) -> Vec<ExactChange> {
    let (was, is) = (constant(before), constant(after));
    let changed = was.into_iter().filter_map(|(quantity, before)| {
        let after = is.get(&quantity)?.clone();
        (before != after).then_some(ExactChange { quantity, before, after })
    });
    changed.collect()
}

fn constant(records: &[Record]) -> Quantities {
    let mut builds = records.iter().map(quantities);
    let Some(mut constant) = builds.next() else { return Quantities::new() };
    if records.len() < 2 {
        constant.retain(|quantity, _| !quantity.starts_with(DIGEST));
    }
    for build in builds {
        constant.retain(|quantity, value| build.get(quantity) == Some(value));
    }
    constant
}

fn quantities(record: &Record) -> Quantities {
    let count = |outcome| record.steps.iter().filter(|step| step.outcome == outcome).count().to_string();
    let mut quantities = Quantities::from([
        ("steps executed".to_owned(), count(Outcome::Executed)),
        ("steps cached".to_owned(), count(Outcome::Cached)),
        ("steps pruned".to_owned(), count(Outcome::Pruned)),
    ]);
    for step in &record.steps {
        let Some(layer) = &step.layer else { continue };
        quantities.insert(format!("layer bytes of `{}`", step.text), layer.bytes.0.to_string());
        quantities.insert(format!("layer entries of `{}`", step.text), layer.files.to_string());
        // A cached layer's digest is that of whenever it was made: only making it again shows that it holds no time.
        if let Some(digest) = layer.digest.filter(|_| step.outcome == Outcome::Executed) {
            quantities.insert(format!("{DIGEST} of `{}`", step.text), digest.to_string());
        }
    }
    quantities
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::{ByteSize, Layer};
    use buildscope_reports::synthetic::Synthetic;

    fn record(bytes: u64) -> Record {
        let mut build = Synthetic::new("serial", 1);
        let stage = build.stage("app");
        build.step(stage, "RUN make", 0..10);
        build.with(|record| record.steps[0].layer = Some(Layer { bytes: ByteSize(bytes), files: 2, digest: None }));
        build.finish(10)
    }

    #[test]
    fn any_change_of_a_constant_is_one() {
        let [change] = &changes(&[record(100), record(100)], &[record(101)])[..] else { panic!("one change") };
        assert_eq!((change.before.as_str(), change.after.as_str()), ("100", "101"));
        assert!(change.quantity.contains("layer bytes"), "{change:?}");
    }

    #[test]
    fn what_varies_by_itself_is_not_looked_at() {
        assert_eq!(changes(&[record(100), record(101)], &[record(102)]), []);
    }
}
