//! The regression gate: detects changes that made builds slower, and changes of quantities that must stay constant.
//!
//! *Takes* pairs of cases (before, after) with their build records, and the noise of each case's history. *Gives*
//! judgements. A time is flagged only if the change is significant and exceeds the noise of the case; the judgement
//! names the step and phase that caused it. Exact quantities are flagged on any change. *Must never know* where a
//! history is kept.

mod blame;
mod exact;
mod report;

pub use blame::Blame;
pub use exact::{ExactChange, Quantities};
pub use report::{markdown, text, void};

use crate::run::{Case, CaseSamples, Run};
use crate::stats::{Comparison, Verdict, compare};
use buildscope_record::Record;
use std::fs;
use std::path::{Path, PathBuf};

/// The samples of a case and the folder of its records.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The samples.
    pub samples: &'a CaseSamples,
    /// The folder of the run.
    pub folder: &'a Path,
}

/// The result of comparing one pair.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The compared case.
    pub case: Case,
    /// The comparison of times; `None` if one side has no good sample.
    pub comparison: Option<Comparison>,
    /// The relative change that is still within the noise of this case.
    pub threshold: f64,
    /// The origin of a flagged change of time, if the records show it.
    pub blame: Option<Blame>,
    /// The exact quantities that differ.
    pub exact: Vec<ExactChange>,
    /// The number of samples with a wrong result on the `after` side.
    pub faults: usize,
}

impl Judgement {
    /// Whether it is significantly slower, by more than its noise.
    pub fn slower(&self) -> bool {
        self.beyond_noise(Verdict::Slower)
    }

    /// Whether it is significantly faster, by more than its noise.
    pub fn faster(&self) -> bool {
        self.beyond_noise(Verdict::Faster)
    }

    /// Whether the gate fails: slower, an exact quantity changed, or a wrong result.
    pub fn flagged(&self) -> bool {
        self.slower() || !self.exact.is_empty() || self.faults > 0
    }

    fn beyond_noise(&self, verdict: Verdict) -> bool {
        let beyond = |comparison: &Comparison| {
            comparison.verdict == verdict && (comparison.ratio.point - 1.0).abs() > self.threshold
        };
        self.comparison.as_ref().is_some_and(beyond)
    }
}

/// Judges all pairs as one family of comparisons. `threshold` returns the noise of a case.
pub fn judge(pairs: &[(Side<'_>, Side<'_>)], threshold: impl Fn(&Case) -> f64) -> Vec<Judgement> {
    let times: Vec<_> = pairs.iter().map(|(before, after)| before.samples.paired_with(after.samples)).collect();
    let judged = pairs.iter().zip(compare(&times)).map(|((before, after), comparison)| {
        let records = (records(before), records(after));
        let mut judgement = Judgement {
            case: after.samples.case.clone(),
            comparison,
            threshold: threshold(&after.samples.case),
            blame: None,
            exact: [exact::changes(&records.0, &records.1), exact::calls(&before.samples.calls, &after.samples.calls)]
                .concat(),
            faults: after.samples.samples.iter().filter(|sample| sample.fault.is_some()).count(),
        };
        if judgement.slower() || judgement.faster() {
            judgement.blame = blame::blame(&records.0, &records.1);
        }
        judgement
    });
    judged.collect()
}

/// Returns the pairs of one run: each case of builder `base` with the same case of builder `other`.
pub fn within<'a>(run: &'a Run, folder: &'a Path, base: &str, other: &str) -> Vec<(Side<'a>, Side<'a>)> {
    let of = |builder: &str| {
        let builder = builder.to_owned();
        run.cases.iter().filter(move |case| case.case.subject.builder == builder)
    };
    let side = |samples| Side { samples, folder };
    of(other)
        .filter_map(|after| {
            Some((side(of(base).find(|before| before.case.same_but_builder(&after.case))?), side(after)))
        })
        .collect()
}

/// Returns the pairs of two runs: each case of `head` with the same case of `base`, whichever builder ran it.
pub fn between<'a>(base: (&'a Run, &'a Path), head: (&'a Run, &'a Path)) -> Vec<(Side<'a>, Side<'a>)> {
    let pair = |after: &'a CaseSamples| {
        let before = base.0.cases.iter().find(|before| before.case.same_but_builder(&after.case))?;
        Some((Side { samples: before, folder: base.1 }, Side { samples: after, folder: head.1 }))
    };
    head.0.cases.iter().filter_map(pair).collect()
}

/// Reads the build records of the good samples. Unreadable records are skipped: they only serve to explain.
fn records(side: &Side<'_>) -> Vec<Record> {
    let paths = side.samples.good().filter_map(|sample| sample.record.as_ref()).map(|path| side.folder.join(path));
    let read = |path: PathBuf| Record::read(fs::File::open(path).ok()?).ok();
    paths.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Sample, Subject};
    use buildscope_record::{DriverChoice, Phase, Policy};
    use buildscope_reports::synthetic::Synthetic;
    use buildscope_workloads::Scenario;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// A build of two steps on one slot: COPY spends 100 ms in `diff`, RUN spends 100 ms × `slow` in `process`.
    fn record(slow: f64) -> Record {
        let mut build = Synthetic::new(Policy::Serial, 1);
        let stage = build.stage("app");
        let process = (100.0 * slow) as u64;
        let copy = build.step(stage, "COPY . .", 0..100);
        build.span(copy, Phase::Diff, 0..100);
        let run = build.step(stage, "RUN make", 100..100 + process);
        build.span(run, Phase::Process, 100..100 + process);
        build.data(copy, run);
        build.finish(100 + process)
    }

    fn samples(folder: &Path, builder: &str, slow: f64, random: &mut ChaCha8Rng) -> CaseSamples {
        let subject = Subject {
            builder: builder.into(),
            version: None,
            policy: Some(Policy::Serial),
            driver: DriverChoice::Auto,
            jobs: 0,
        };
        let sample = |round: u32| {
            // Each build's noise of up to 6 % is in the process.
            let slow = slow * (1.0 + 0.06 * random.random::<f64>());
            let record = record(slow);
            let path = PathBuf::from(format!("{builder}-{round}.json"));
            record.write(fs::File::create(folder.join(&path)).unwrap()).unwrap();
            let wall = record.wall.as_secs_f64();
            Sample {
                round,
                position: round,
                wall,
                user: 0.0,
                system: 0.0,
                exit_code: Some(0),
                load: None,
                io_pressure: None,
                record: Some(path),
                fault: None,
            }
        };
        let case = Case { workload: "app".into(), scenario: Scenario::Cold, subject };
        CaseSamples { case, command: String::new(), samples: (0..10).map(sample).collect(), calls: vec![] }
    }

    /// The requirement: a phase that takes 20 % of the build longer is found and named in at least 19 of 20 nights,
    /// and at most one of 20 A/A nights raises a flag.
    #[test]
    fn a_slowdown_is_named_and_equal_sides_pass() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let (mut named, mut alarms) = (0, 0);
        for _ in 0..20 {
            let before = samples(folder.path(), "base", 1.0, &mut random);
            let again = samples(folder.path(), "again", 1.0, &mut random);
            let after = samples(folder.path(), "head", 1.4, &mut random);
            let side = |samples| Side { samples, folder: folder.path() };
            let judged = judge(&[(side(&before), side(&again)), (side(&before), side(&after))], |_| 0.05);
            alarms += usize::from(judged[0].flagged());
            let blame = judged[1].blame.as_ref().map(|blame| (blame.step.as_str(), blame.phase));
            named += usize::from(judged[1].slower() && blame == Some(("RUN make", Some(Phase::Process))));
        }
        assert!(named >= 19 && alarms <= 1, "{named} of 20 found and named, {alarms} of 20 with a false alarm");
    }

    /// Two parallel steps of about the same length alternate on the critical path. The copy after them takes a
    /// quarter of the build longer.
    #[test]
    fn equally_long_parallel_steps_are_not_blamed() {
        let mut random = ChaCha8Rng::seed_from_u64(10);
        let mut build = |copy: u64| {
            let mut build = Synthetic::new(Policy::Instructions, 2);
            let stage = build.stage("app");
            let ends = [1000 + random.random_range(0..20), 1000 + random.random_range(0..20)];
            let steps = ["RUN left", "RUN right"].map(|text| (text, ends[usize::from(text == "RUN right")]));
            let ids = steps.map(|(text, end)| {
                let step = build.step(stage, text, 0..end);
                build.span(step, Phase::Process, 0..end);
                step
            });
            let begin = ends[0].max(ends[1]);
            let last = build.step(stage, "COPY --from=left / /", begin..begin + copy);
            build.span(last, Phase::Copy, begin..begin + copy);
            for id in ids {
                build.data(id, last);
            }
            build.finish(begin + copy)
        };
        for _ in 0..20 {
            let before: Vec<_> = (0..10).map(|_| build(10)).collect();
            let after: Vec<_> = (0..10).map(|_| build(260)).collect();
            let blame = blame::blame(&before, &after).unwrap();
            assert_eq!((blame.step.as_str(), blame.phase), ("COPY --from=left / /", Some(Phase::Copy)));
        }
    }

    #[test]
    fn a_significant_change_within_the_noise_is_not_flagged() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let before = samples(folder.path(), "base", 1.0, &mut random);
        let after = samples(folder.path(), "head", 1.4, &mut random);
        let side = |samples| Side { samples, folder: folder.path() };
        assert!(!judge(&[(side(&before), side(&after))], |_| 0.5)[0].flagged());
    }
}
