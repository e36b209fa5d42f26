//! Judgements as text, for a terminal and for a pull request.

use super::{Blame, Judgement};
use crate::run::Case;
use crate::stats::Verdict;
use buildscope_record::Phase;
use std::fmt::Write as _;

/// Formats one line per finding, then the number of cases without findings.
pub fn text(judgements: &[Judgement]) -> String {
    let mut text = String::new();
    for judgement in judgements {
        for line in findings(judgement) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {line}", judgement.case);
        }
    }
    let quiet = compared(judgements).filter(|judgement| findings(judgement).is_empty()).count();
    let _ = writeln!(text, "{quiet} of {} cases: nothing beyond their noise.", judgements.len());
    text + &uncompared(judgements)
}

/// Formats a run that is void because one binary, measured twice, differed from itself in that case.
pub fn void(case: &Case) -> String {
    format!(
        "**Void: the same binary measured twice differs in `{case}`.** No result of this run is valid: run it again.\n"
    )
}

/// Formats a comment for a pull request: the verdict first, the findings, then every case in a folded section.
pub fn markdown(judgements: &[Judgement]) -> String {
    let flagged = judgements.iter().filter(|judgement| judgement.flagged()).count();
    let faster = judgements.iter().filter(|judgement| judgement.faster()).count();
    let compared = compared(judgements).count();
    let mut text = match (flagged, faster) {
        (0, 0) if compared == 0 => "**No build times could be compared.**\n".to_owned(),
        (0, 0) => "**No change in build times beyond noise.**\n".to_owned(),
        (0, faster) => format!("**{faster} of {} cases faster, none slower.**\n", judgements.len()),
        (flagged, _) => format!("**{flagged} of {} cases flagged.**\n", judgements.len()),
    };
    text.push_str(&uncompared(judgements));
    for judgement in judgements {
        for line in findings(judgement) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n- `{}`: {line}", judgement.case);
        }
    }
    text.push_str("\n\n<details><summary>All cases</summary>\n\n");
    text.push_str("| Case | Before [s] | After [s] | Ratio | 95 % | p (Holm) | Noise | |\n|:---|---:|---:|---:|:---:|---:|---:|:---|\n");
    for judgement in judgements {
        let Some(comparison) = &judgement.comparison else {
            let _ = writeln!(text, "| `{}` | | | | | | | no good sample |", judgement.case);
            continue;
        };
        let ratio = comparison.ratio;
        let _ = writeln!(
            text,
            "| `{}` | {:.3} | {:.3} | {:.3} | {:.3} .. {:.3} | {:.3} | {:.0} % | {} |",
            judgement.case,
            comparison.before.median,
            comparison.after.median,
            ratio.point,
            ratio.low,
            ratio.high,
            comparison.adjusted,
            judgement.threshold * 100.0,
            comparison.verdict,
        );
    }
    text.push_str("\n</details>\n");
    text
}

/// The judgements with times of both sides.
fn compared(judgements: &[Judgement]) -> impl Iterator<Item = &Judgement> {
    judgements.iter().filter(|judgement| judgement.comparison.is_some())
}

/// Lists why cases could not be compared, one line per reason; empty if all could be.
fn uncompared(judgements: &[Judgement]) -> String {
    let all = judgements.len();
    let too_few =
        |judgement: &&Judgement| judgement.comparison.as_ref().map(|found| found.verdict) == Some(Verdict::TooFew);
    let reasons = [
        (all - compared(judgements).count(), "one side has no good build"),
        (
            judgements.iter().filter(too_few).count(),
            "there are too few builds for their times to show anything: give more --runs",
        ),
    ];
    let lines = reasons.iter().filter(|(count, _)| *count > 0);
    lines.map(|(count, reason)| format!("Of {count} of {all} cases {reason}.\n")).collect()
}

/// The findings of a case; empty if there are none.
fn findings(judgement: &Judgement) -> Vec<String> {
    let mut lines = Vec::new();
    if judgement.faults > 0 {
        lines.push(format!("{} builds failed or gave a wrong result", judgement.faults));
    }
    if let Some(comparison) = judgement.comparison.as_ref().filter(|_| judgement.slower() || judgement.faster()) {
        let ratio = comparison.ratio;
        let (word, factor) =
            if ratio.point > 1.0 { ("slower", ratio.point - 1.0) } else { ("faster", 1.0 - ratio.point) };
        let mut line = format!(
            "{:.1} % {word} ({:.3} s, was {:.3} s; 95 %: {:.3} .. {:.3}; noise {:.0} %)",
            factor * 100.0,
            comparison.after.median,
            comparison.before.median,
            ratio.low,
            ratio.high,
            judgement.threshold * 100.0
        );
        if let Some(Blame { step, phase, before, after }) = &judgement.blame {
            let whose = if step.is_empty() { "of the build itself".to_owned() } else { format!("of `{step}`") };
            let phase = phase.map_or("unattributed", Phase::name);
            // Writing to a String cannot fail.
            let _ = write!(line, ": {phase} {whose}, {before:.3} s to {after:.3} s of the critical path");
        }
        lines.push(line);
    }
    lines.extend(
        judgement.exact.iter().map(|change| format!("{}: {} to {}", change.quantity, change.before, change.after)),
    );
    lines
}
