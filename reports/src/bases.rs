//! The part of the pulled base images that steps read, and whether fetching only that part would pay.

use crate::analysis::Analysis;
use crate::whatif::{Scenario, Selector};
use buildscope_record::{ByteSize, Nanos, Phase, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A base image that the build pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PulledBase {
    /// The FROM.
    pub step: StepId,
    /// The size of its uncompressed layers.
    pub bytes: ByteSize,
    /// The bytes of its files that steps read.
    pub read: ByteSize,
    /// The time that the pull took.
    pub pull: Nanos,
    /// The most time by which the build would have ended earlier if only those bytes had been fetched.
    pub saving: Nanos,
    /// The facts in one sentence.
    pub sentence: String,
}

/// The bases of which the record says what steps read.
pub(crate) fn pulled_bases(analysis: &Analysis<'_>) -> Vec<PulledBase> {
    let record = analysis.record;
    let pulls =
        |step: StepId| record.spans.iter().filter(move |span| span.step == Some(step) && span.phase == Phase::Pull);
    let known = record.steps.iter().filter_map(|step| {
        let base = step.base?;
        let pull: Nanos = pulls(step.id).map(|span| span.end.saturating_sub(span.start)).sum();
        (pull > Nanos::ZERO).then_some((step, base.bytes, base.read?, pull))
    });
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return Vec::new();
    }
    // Other work may have run meanwhile, so the build waited for less than the pulls took.
    let without = Scenario { faster: vec![(Selector::Phase(Phase::Pull), f64::INFINITY)], ..Scenario::default() };
    let most = analysis.baseline.gain(record, &without);
    let of = |(step, bytes, read, pull): (&buildscope_record::Step, ByteSize, ByteSize, Nanos)| {
        let share = (read.0 as f64 / bytes.0.max(1) as f64).min(1.0);
        let saving = Nanos((pull.0 as f64 * (1.0 - share)) as u64).min(most);
        let sentence = format!(
            "{}: steps read {read} of the {bytes} base ({}): lazy pulling would save up to {saving} of {pull} of pull",
            step.text,
            shown(share),
        );
        PulledBase { step: step.id, bytes, read, pull, saving, sentence }
    };
    known.into_iter().map(of).collect()
}

/// A share as percent: small ones are not rounded to zero.
fn shown(share: f64) -> String {
    if share < 0.095 { format!("{:.1} %", share * 100.0) } else { format!("{:.0} %", share * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;
    use crate::synthetic::{Synthetic, ms};
    use buildscope_record::BaseImage;

    /// A pull of a second of a base of 1 GB, and a RUN of half a second after it. A stage that the last step needs too takes `aside_until` milliseconds.
    fn pulled(read: Option<u64>, aside_until: u64) -> Vec<PulledBase> {
        let mut made = Synthetic::default();
        let (stage, other) = (made.stage("a"), made.stage("b"));
        let from = made.step(stage, "FROM large", 0..1000);
        made.span(from, Phase::Pull, 0..1000);
        let aside = made.step(other, "RUN aside", 0..aside_until);
        made.span(aside, Phase::Process, 0..aside_until);
        let run = made.step(stage, "RUN make", 1000..1500);
        made.span(run, Phase::Process, 1000..1500);
        made.data(from, run).data(aside, run);
        made.with(|record| {
            let read = read.map(ByteSize);
            record.steps[from.index()].base = Some(BaseImage { bytes: ByteSize(1_000_000_000), layers: 6, read });
        });
        explain(&made.finish(1500)).bases
    }

    #[test]
    fn the_share_that_was_not_read_need_not_be_pulled() {
        let found = pulled(Some(41_000_000), 10);
        let numbers: Vec<_> = found.iter().map(|base| (base.read.0, base.pull, base.saving)).collect();
        assert_eq!(numbers, [(41_000_000, ms(1000), ms(959))], "95.9 % of a second");
        assert_eq!(
            found[0].sentence,
            "FROM large: steps read 41.0 MB of the 1.00 GB base (4.1 %): lazy pulling would save up to 959 ms of 1.00 s of pull"
        );
    }

    #[test]
    fn a_shorter_pull_saves_no_more_than_the_build_waited_for_it() {
        assert_eq!(pulled(Some(41_000_000), 800)[0].saving, ms(200), "the other stage takes 0.8 s");
        assert_eq!(pulled(Some(1_200_000_000), 100)[0].saving, Nanos::ZERO, "everything was read");
    }

    #[test]
    fn no_finding_without_a_measurement() {
        assert_eq!(pulled(None, 100), []);
    }
}
