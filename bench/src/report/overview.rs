//! Compares the values of a setting, workload by workload: the granularity of the graph, and the storage driver.

use super::MedianBuild;
use super::svg::{escape, seconds};
use crate::run::{CaseSamples, Run, Subject};
use crate::stats::{Ratio, Summary, paired_ratio};
use buildscope_record::{DriverChoice, DriverName, Policy};
use std::fmt::Write as _;

/// A setting of which the run measured several values.
struct ComparedSetting {
    title: &'static str,
    of: fn(&Subject) -> Option<Value>,
    /// The baseline, if it was measured; otherwise the first value is the baseline.
    base: Value,
    /// Whether storage's share of the build time is shown.
    storage: bool,
}

/// A value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Policy(Policy),
    Driver(DriverChoice),
}

impl Value {
    fn name(self) -> &'static str {
        match self {
            Self::Policy(policy) => policy.name(),
            Self::Driver(driver) => driver.name(),
        }
    }
}

/// The minimum number of rounds for a meaningful interval.
const ENOUGH: usize = 5;

const COMPARED_SETTINGS: [ComparedSetting; 2] = [
    ComparedSetting {
        title: "Granularity",
        of: |subject| subject.policy.map(Value::Policy),
        base: Value::Policy(Policy::Serial),
        storage: false,
    },
    ComparedSetting {
        title: "Storage drivers",
        of: |subject| Some(Value::Driver(subject.driver)),
        base: Value::Driver(DriverChoice::Named(DriverName::Erofs)),
        storage: true,
    },
];

/// Renders a table for each setting that has several values in the run; empty if there is none.
pub(super) fn overview<'a>(run: &Run, built: &impl Fn(&CaseSamples) -> Option<&'a MedianBuild>) -> String {
    COMPARED_SETTINGS.iter().filter_map(|setting| table(run, setting, built)).collect()
}

fn table<'a>(
    run: &Run,
    setting: &ComparedSetting,
    built: &impl Fn(&CaseSamples) -> Option<&'a MedianBuild>,
) -> Option<String> {
    let of = |case: &CaseSamples| (setting.of)(&case.case.subject);
    // The settings of other builders are not comparable.
    let own: Vec<_> = run.cases.iter().filter(|case| case.case.subject.policy.is_some()).collect();
    let mut values: Vec<Value> = Vec::new();
    for value in own.iter().filter_map(|case| of(case)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if let Some(base) = values.iter().position(|value| *value == setting.base) {
        values[..=base].rotate_right(1);
    }
    let (base, others) = values.split_first()?;
    let mut rows = String::new();
    for case in own.iter().filter(|case| of(case) == Some(*base)) {
        let found: Vec<_> = others
            .iter()
            .map(|value| own.iter().find(|other| of(other) == Some(*value) && same_but(setting, case, other)))
            .collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let share = |case: &CaseSamples| match built(case).filter(|_| setting.storage) {
            Some(built) => format!("<br>storage {:.0} %", built.storage * 100.0),
            None => String::new(),
        };
        let median = Summary::of(&case.times()).map_or_else(|| "-".to_owned(), |summary| seconds(summary.median));
        // Writing to a String cannot fail.
        let _ = write!(rows, "<tr><td>{}<td>{median}{}", escape(&row_name(setting, case)), share(case));
        for other in found {
            let cell =
                other.and_then(|other| Some(ratio(case, other)? + &share(other))).unwrap_or_else(|| "-".to_owned());
            let _ = write!(rows, "<td>{cell}");
        }
    }
    if rows.is_empty() {
        return None;
    }
    let heads: String = values.iter().map(|value| format!("<th>{}", escape(value.name()))).collect();
    Some(format!(
        "<h2>{}</h2><p>Wall time under <code>{}</code>, and the others as a multiple of it in the same round (from {ENOUGH} rounds on with the 95 % interval; ~ no difference shown).{}</p>\
         <table><tr><th>{heads}{rows}</table>",
        setting.title,
        escape(base.name()),
        if setting.storage { " Storage: its share of the median build's wall time." } else { "" },
    ))
}

/// Whether the two cases differ only in the setting. A serial build has one slot in any case.
fn same_but(setting: &ComparedSetting, a: &CaseSamples, b: &CaseSamples) -> bool {
    let (one, other) = (&a.case.subject, &b.case.subject);
    let serial = [one, other].iter().any(|subject| subject.policy == Some(Policy::Serial));
    let others = COMPARED_SETTINGS.iter().filter(|known| known.title != setting.title);
    (&a.case.workload, a.case.scenario, &one.builder) == (&b.case.workload, b.case.scenario, &other.builder)
        && (serial || one.jobs == other.jobs)
        && others.map(|known| known.of).all(|of| of(one) == of(other))
}

/// The name of a row: the other settings that differ from the default.
fn row_name(setting: &ComparedSetting, case: &CaseSamples) -> String {
    let subject = &case.case.subject;
    let mut name = format!("{}, {}", case.case.workload, case.case.scenario);
    for known in COMPARED_SETTINGS.iter().filter(|known| known.title != setting.title) {
        let value = (known.of)(subject).filter(|value| *value != Value::Driver(DriverChoice::Auto));
        if let Some(value) = value {
            name = format!("{name}, {}", value.name());
        }
    }
    name
}

/// The ratio of the times, from pairs of one round.
fn ratio(base: &CaseSamples, other: &CaseSamples) -> Option<String> {
    let (before, after) = base.paired_with(other);
    let Ratio { point, low, high } = paired_ratio(&before, &after)?;
    if before.len() < ENOUGH {
        return Some(format!("{point:.2} (n = {})", before.len()));
    }
    let sign = if (low..=high).contains(&1.0) { " ~" } else { "" };
    Some(format!("{point:.2}{sign} ({low:.2} to {high:.2})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;
    use crate::run::Sample;

    /// Serial 2.5, 2.25, 2.75 and by stages 1.5, wrong, 1.75: ratios 0.6 and 0.636, so 0.62 in the middle.
    #[test]
    fn policies_are_compared_with_serial_by_round() {
        let page = overview(&run(), &|_| None);
        assert!(page.contains("<h2>Granularity</h2>") && !page.contains("Storage drivers"), "{page}");
        assert!(page.contains("<tr><td>diamond, cold<td>2.50 s<td>0.62 (n = 2)"), "{page}");
    }

    #[test]
    fn five_rounds_give_an_interval() {
        let mut run = run();
        for case in &mut run.cases {
            let serial = case.case.subject.policy == Some(Policy::Serial);
            let sample = case.samples[0].clone();
            let of = |round: u32| Sample {
                round,
                wall: if serial { 2.0 } else { 1.0 + f64::from(round) / 4.0 },
                ..sample.clone()
            };
            case.samples = (0..5).map(of).collect();
        }
        // Ratios of 0.5, 0.625, 0.75, 0.875 and 1: the interval of their median ends at the extremes.
        assert!(overview(&run, &|_| None).contains("<td>2.00 s<td>0.75 ~ (0.50 to 1.00)"));
    }

    #[test]
    fn the_driver_table_shows_the_share_of_storage() {
        let mut run = run();
        for (case, driver) in run.cases.iter_mut().zip([DriverName::Overlay, DriverName::Erofs]) {
            case.case.subject.policy = Some(Policy::Stages);
            case.case.subject.driver = DriverChoice::Named(driver);
        }
        let built = MedianBuild { page: "p".into(), timeline: "t".into(), storage: 0.25 };
        let page = overview(&run, &|_| Some(&built));
        assert!(page.contains("<th><th>erofs<th>overlay") && !page.contains("Granularity"), "{page}");
        // 2.5 / 1.5 and 2.75 / 1.75.
        assert!(
            page.contains("<td>diamond, cold, stages<td>1.62 s<br>storage 25 %<td>1.62 (n = 2)<br>storage 25 %"),
            "{page}"
        );
    }

    #[test]
    fn a_single_value_gives_no_table() {
        let mut run = run();
        run.cases.truncate(1);
        assert_eq!(overview(&run, &|_| None), "");
    }
}
