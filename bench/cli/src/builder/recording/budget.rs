//! `--budget` and `--max-regression`: a build that takes too long fails, with the reason.

use super::Recording;
use super::kept::Recorded;
use crate::builds::Expected;
use crate::{Failure, write_message};
use buildscope_record::Nanos;
use buildscope_reports::Explanation;
use miette::miette;
use std::time::Duration;

/// Parses `20%`, or `0.2`, as a share.
pub(super) fn share(text: &str) -> Result<f64, miette::Report> {
    let number = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    let share = number.0.trim().parse::<f64>().map(|value| value / number.1);
    // `20` alone would be two thousand percent.
    let plain = text.contains('%') || text.contains('.') || text == "0";
    share.ok().filter(|share| plain && share.is_finite() && *share >= 0.0).ok_or_else(|| miette!("write 20% or 0.2"))
}

/// Fails if the build took longer than its budget, or than its earlier builds allow.
pub(super) fn check(recording: &Recording, recorded: &Recorded<'_>) -> Result<(), Failure> {
    let wall = recorded.record.wall;
    let over = recording.budget.and_then(|budget| over_budget(wall, budget));
    let over = match (over, recording.max_regression) {
        (None, Some(share)) => slower(wall, share, recorded),
        (over, _) => over,
    };
    let Some(over) = over else { return Ok(()) };
    let reasons = reasons(recorded.explanation()).join("\n  ");
    Err(Failure::failed(miette!(help = "`buildscope explain` shows where the time went", "{over}:\n  {reasons}")))
}

fn over_budget(wall: Nanos, budget: Duration) -> Option<String> {
    let budget = Nanos(u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX));
    (wall > budget).then(|| format!("the build took {wall}, more than its budget of {budget}"))
}

/// Compares with the earlier builds of this Dockerfile that had about as much in the cache.
fn slower(wall: Nanos, share: f64, recorded: &Recorded<'_>) -> Option<String> {
    let Some(expected) = recorded.expected() else {
        let cached = recorded.cached_share() * 100.0;
        write_message(&format!(
            "--max-regression has no baseline yet: it needs three kept builds of this Dockerfile with about {cached:.0} % \
             of the steps in the cache, like this one"
        ));
        return None;
    };
    over_median(wall, share, &expected)
}

fn over_median(wall: Nanos, share: f64, &Expected { median, builds, .. }: &Expected) -> Option<String> {
    let percent = share * 100.0;
    let limit = median.0 as f64 * (1.0 + share);
    (wall.0 as f64 > limit).then(|| {
        format!(
            "the build took {wall}, more than {percent:.0} % above the median of {builds} earlier builds with as much in the cache ({median})"
        )
    })
}

/// The reasons for a long build: the step, the command in it, and the cache miss.
fn reasons(explanation: &Explanation) -> Vec<String> {
    let mut found = vec![explanation.answer.clone()];
    let worst = explanation.steps.iter().max_by_key(|step| (step.drag, step.wall));
    let inside = worst.and_then(|step| step.inside.as_ref());
    if let Some(command) = inside.and_then(|inside| inside.rows.iter().max_by_key(|command| command.wall)) {
        found.push(format!("command: `{}` took {}", command.text, command.wall));
    }
    found.extend(explanation.misses.first().map(|miss| format!("not cached: {}", miss.sentence)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_or_fractions() {
        assert_eq!((share("20%").unwrap(), share("0.2").unwrap(), share(" 5 %").unwrap()), (0.2, 0.2, 0.05));
        assert!(share("-1%").is_err() && share("some").is_err() && share("20").is_err() && share("inf").is_err());
    }

    #[test]
    fn a_build_is_slower_only_beyond_the_share() {
        let earlier = Expected::of_walls([10, 30, 20, 40].map(Nanos).to_vec()).unwrap();
        assert_eq!(over_median(Nanos(30), 0.2, &earlier), None);
        assert!(over_median(Nanos(31), 0.2, &earlier).unwrap().contains("20 % above the median of 4 earlier builds"));
    }

    #[test]
    fn a_budget_is_not_exceeded_by_its_own_length() {
        assert_eq!(over_budget(Nanos(5_000_000_000), Duration::from_secs(5)), None);
        assert!(over_budget(Nanos(5_000_000_001), Duration::from_secs(5)).is_some());
    }
}
