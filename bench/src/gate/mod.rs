//! The gate: whether a change made builds slower, or changed what must not change.
//!
//! *Takes* pairs of cases (before, after) with their build records, and how noisy each case's
//! history is. *Gives* judgements: flagged only what is significant and beyond its own noise, with
//! the step and the phase that it comes from; exact quantities are flagged on any change. *Must
//! never know* where a history is kept.

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

/// A case's samples and the folder that their records are in.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The samples.
    pub samples: &'a CaseSamples,
    /// The run's folder.
    pub folder: &'a Path,
}

/// What is found of one pair.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The case that is judged.
    pub case: Case,
    /// The times; none where one side has no good sample.
    pub comparison: Option<Comparison>,
    /// The relative change below which this case's history says nothing.
    pub threshold: f64,
    /// Where a flagged change of time comes from, as far as the records tell.
    pub blame: Option<Blame>,
    /// Exact quantities that differ.
    pub exact: Vec<ExactChange>,
    /// What became of the case's samples with wrong results on the judged side.
    pub faults: usize,
}

impl Judgement {
    /// Slower, surely, and by more than its noise.
    pub fn slower(&self) -> bool {
        self.beyond_noise(Verdict::Slower)
    }

    /// Faster, surely, and by more than its noise.
    pub fn faster(&self) -> bool {
        self.beyond_noise(Verdict::Faster)
    }

    /// Whether the gate closes: slower, an exact quantity changed, or a wrong result.
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

/// Judges all pairs as one family of comparisons; `threshold` tells a case's noise.
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

/// The pairs of one run: each case of the first builder against the same case of that other builder.
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

/// The pairs of two runs: each case of the later against the same case of the earlier, whoever built.
pub fn between<'a>(base: (&'a Run, &'a Path), head: (&'a Run, &'a Path)) -> Vec<(Side<'a>, Side<'a>)> {
    let pair = |after: &'a CaseSamples| {
        let before = base.0.cases.iter().find(|before| before.case.same_but_builder(&after.case))?;
        Some((Side { samples: before, folder: base.1 }, Side { samples: after, folder: head.1 }))
    };
    head.0.cases.iter().filter_map(pair).collect()
}

/// The build records of the good samples; one that cannot be read is left out, since it only serves to explain.
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

    /// A build of two steps on one slot: COPY is 100 ms of diff, RUN 100 ms of process, times `slow` for the process.
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

    /// The proof: a phase that takes 20 % of the build longer is found and named in at least
    /// 19 of 20 nights, and at most one of 20 A/A nights raises a flag.
    #[test]
    fn a_slowdown_is_found_and_named_and_an_a_a_pair_is_not() {
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
            let blame = judged[1].blame.as_ref().map(|blame| (blame.step.as_str(), blame.phase.as_str()));
            named += usize::from(judged[1].slower() && blame == Some(("RUN make", "process")));
        }
        assert!(named >= 19 && alarms <= 1, "{named} of 20 found and named, {alarms} of 20 false alarms");
    }

    /// Two steps beside each other that are about as long, so that the path goes through the one or the other, and a copy
    /// behind them, which takes a quarter of the build longer.
    #[test]
    fn of_two_paths_that_are_as_long_neither_is_blamed() {
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
            assert_eq!((blame.step.as_str(), blame.phase.as_str()), ("COPY --from=left / /", "copy"));
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
