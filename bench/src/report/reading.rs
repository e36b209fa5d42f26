//! The interpretation of a run that the table and the page share: each case against the first of its group, and
//! doubts.

use crate::run::{CaseSamples, Run};
use crate::stats::{ALPHA, Comparison, Summary, compare, trend};

/// The cases of each workload and cache state, in the order of the run. All but the first have a comparison with the
/// first. All comparisons of a run are one family.
pub fn against_first(run: &Run) -> Vec<Vec<(&CaseSamples, Option<Comparison>)>> {
    let groups: Vec<_> = run.cases.chunk_by(|a, b| a.case.same_group(&b.case)).collect();
    let pairs: Vec<_> =
        groups.iter().flat_map(|group| group[1..].iter().map(|case| group[0].paired_with(case))).collect();
    let mut comparisons = compare(&pairs).into_iter();
    let mut judged = Vec::new();
    for group in groups {
        let others = group[1..].iter().map(|case| (case, comparisons.next().flatten()));
        judged.push(std::iter::once((&group[0], None)).chain(others).collect());
    }
    judged
}

/// The doubts that a reader must know, one sentence each.
pub fn doubts(run: &Run) -> Vec<String> {
    run.cases.iter().flat_map(of_case).chain(of_machine(run)).collect()
}

fn of_machine(run: &Run) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(times) = run.throttled.filter(|&times| times > 0) {
        notes.push(format!("the processor was throttled for heat {times} times: cool it, or cap its frequency."));
    }
    if let Some(trend) = trend(&run.canary).filter(|trend| trend.p < ALPHA / 5.0) {
        let direction = if trend.tau > 0.0 { "slower" } else { "faster" };
        notes.push(format!(
            "the canary, the same work each round, got {direction} over the run (Kendall's tau {:.2}): the machine throttles, or \
             another load started or stopped.",
            trend.tau
        ));
    }
    notes
}

fn of_case(case: &CaseSamples) -> Vec<String> {
    let times = case.times();
    let Some(summary) = Summary::of(&times) else { return Vec::new() };
    let name = &case.case;
    let mut notes = Vec::new();
    if summary.slow_first {
        notes.push(format!(
            "{name}: the first build was by far the slowest ({}): caches were probably cold.",
            seconds(times[0])
        ));
    } else if !summary.outliers.is_empty() {
        let outliers: Vec<_> = summary.outliers.iter().map(|&index| seconds(times[index])).collect();
        notes.push(format!("{name}: outliers, kept: {}.", outliers.join(", ")));
    }
    if let Some(trend) = trend(&times).filter(|trend| trend.p < ALPHA / 5.0) {
        let direction = if trend.tau > 0.0 { "slower" } else { "faster" };
        notes.push(format!(
            "{name}: builds got {direction} over the run (Kendall's tau {:.2}): heat, a filling disk or another load.",
            trend.tau
        ));
    }
    notes
}

/// Formats seconds with four significant digits in the unit that fits.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;
    use crate::run::Sample;
    use crate::stats::Verdict;

    #[test]
    fn throttling_is_reported() {
        let mut run = run();
        run.canary = vec![0.010, 0.0101, 0.0099, 0.0102, 0.01, 0.0098, 0.0101, 0.01];
        run.throttled = Some(0);
        assert_eq!(of_machine(&run), Vec::<String>::new());
        // Eight values that only rise: Kendall's tau is 1.
        run.canary = (0..8).map(|round| 0.01 + 0.001 * f64::from(round)).collect();
        run.throttled = Some(3);
        let notes = of_machine(&run);
        assert!(
            notes[0].contains("3 times") && notes[1].contains("got slower") && notes[1].contains("1.00"),
            "{notes:?}"
        );
    }

    /// Four builds each, fully separated: p is 2 of 70. That is enough for one comparison but not for two, in
    /// whichever groups they are.
    #[test]
    fn all_groups_are_one_family_of_comparisons() {
        let mut one = run();
        let template = one.cases[0].samples[0].clone();
        let sample = |round: u32, wall: f64| Sample { round, wall, fault: None, ..template.clone() };
        one.cases.truncate(2);
        for (case, begin) in one.cases.iter_mut().zip([1.0, 2.0]) {
            case.samples = (0..4).map(|round| sample(round, begin + f64::from(round) / 10.0)).collect();
        }
        let verdicts = |run: &Run| -> Vec<Vec<Option<Verdict>>> {
            let of = |group: Vec<(&CaseSamples, Option<Comparison>)>| {
                group.into_iter().map(|(_, comparison)| comparison.map(|found| found.verdict)).collect()
            };
            against_first(run).into_iter().map(of).collect()
        };
        assert_eq!(verdicts(&one), [[None, Some(Verdict::Slower)]]);
        let mut two = one.clone();
        let mut others = one.cases.clone();
        others.iter_mut().for_each(|case| case.case.workload = "other".into());
        two.cases.extend(others);
        assert_eq!(verdicts(&two), [[None, Some(Verdict::TooFew)], [None, Some(Verdict::TooFew)]]);
    }
}
