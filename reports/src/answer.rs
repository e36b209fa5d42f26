//! The answer in one sentence: how long the build took, and what most of that time went to.

use crate::analysis::Analysis;
use crate::attribute::{Attributed, Owner, Segment};
use crate::needless::NeedlessWait;
use crate::others::Others;
use crate::steps::StepExplanation;
use crate::whatif::{ChangeKind, RankedChanges};
use crate::wording::{percent, quote_located};
use buildscope_record::{Nanos, Outcome, Phase, WaitKind};
use std::collections::BTreeMap;

/// The answer for a build. `ranked` are its changes by gain.
pub(crate) fn answer(analysis: &Analysis<'_>, ranked: &RankedChanges) -> String {
    let wall = analysis.record.wall;
    if wall == Nanos::ZERO {
        let untimed = "the record has no times: it says what ran, not how long it took";
        return if analysis.record.succeeded {
            format!("T{}.", &untimed[1..])
        } else {
            format!("{}; {untimed}.", outcome(analysis))
        };
    }
    let mut sentence = outcome(analysis);
    if analysis.steps.is_empty() && analysis.segments.iter().all(|segment| segment.phase.is_none()) {
        return sentence + "; the record does not say what it did.";
    }
    let told = Told::of(analysis);
    let own = told.without_tail(analysis, outside_of_steps(analysis));
    match main_step(analysis, ranked).filter(|step| step.wall >= own && step.wall > Nanos::ZERO) {
        Some(step) => sentence += &largest_share(analysis, step, told),
        None => {
            sentence += &format!(
                "; {} was spent outside of steps, mostly {}",
                told.part(own),
                phase_outside_of_steps(analysis)
            );
        }
    }
    if let Some(wait) = NeedlessWait::longest(analysis).filter(|wait| wait.lost.0 > wall.0 / 10) {
        sentence += &format!("; {}", wait.sentence(analysis));
    }
    if let Some(others) = Others::of(analysis.record).filter(|others| others.is_important()) {
        sentence += &format!("; {} meanwhile", others.sentence());
    }
    sentence + "."
}

/// The time that the answer divides: all of it, or, of a build that failed, the time until the failure.
#[derive(Clone, Copy)]
enum Told {
    Whole(Nanos),
    UntilFailure(Nanos),
}

impl Told {
    fn of(analysis: &Analysis<'_>) -> Self {
        let failure = failed_at(analysis).filter(|&at| at > Nanos::ZERO);
        failure.map_or(Self::Whole(analysis.record.wall), Self::UntilFailure)
    }

    /// A time of the build as a whole without what came after the failure: ending other steps, or other targets that went on.
    fn without_tail(self, analysis: &Analysis<'_>, own: Nanos) -> Nanos {
        match self {
            Self::Whole(_) => own,
            Self::UntilFailure(at) => Nanos(own.0.saturating_sub(analysis.record.wall.0.saturating_sub(at.0))),
        }
    }

    /// "1.20 s of it (40 %)".
    fn part(self, part: Nanos) -> String {
        match self {
            Self::Whole(whole) => format!("{part} of it ({})", percent(part, whole)),
            Self::UntilFailure(whole) => format!("{part} of the time until the failure ({})", percent(part, whole)),
        }
    }
}

/// When the step whose failure ended the build failed.
fn failed_at(analysis: &Analysis<'_>) -> Option<Nanos> {
    if analysis.record.unfinished {
        return None;
    }
    Some(analysis.activities.interval(analysis.activities.failure()?)?.end)
}

/// The step that the answer names: of the steps with about the most wall time, the one whose absence would shorten the build most, as in the
/// ranking. Of a pair that shortens the build only together, it is the one with more wall time. Where the longest step gains next to nothing, it is
/// the first of the ranking, if that gains enough.
fn main_step<'a>(analysis: &'a Analysis<'_>, ranked: &RankedChanges) -> Option<&'a StepExplanation> {
    let largest = analysis.steps.iter().max_by_key(|step| step.wall)?;
    let best = ranked.changes.iter().find_map(|change| match change.kind {
        ChangeKind::CachedStep(step) => Some((analysis.step(step), change.gain)),
        ChangeKind::CachedPair(one, other) => {
            let longer = [one, other].into_iter().map(|step| analysis.step(step)).max_by_key(|step| step.wall)?;
            Some((longer, change.gain))
        }
        _ => None,
    });
    // A shorter step may have the largest gain in a build of many equal paths. It does not explain the time.
    let explains = |&(best, gain): &(&StepExplanation, Nanos)| {
        let gains = largest.drag.0 < gain.0 / 10 && gain.0 >= analysis.record.wall.0 / 10;
        best.wall.0 >= largest.wall.0 / 10 * 9 || gains
    };
    Some(best.filter(explains).map_or(largest, |(best, _)| best))
}

/// The time of no step. Steps without a stage are the builder's own work, unless no step has one: traces of other programs.
fn outside_of_steps(analysis: &Analysis<'_>) -> Nanos {
    if analysis.record.steps.iter().any(|step| step.stage.is_some()) {
        let build = analysis.accounts.stages.iter().find(|row| row.name == Owner::Build);
        return build.map_or(Nanos::ZERO, |row| row.wall);
    }
    let outside = analysis.segments.iter().filter(|segment| segment.step.is_none());
    Nanos(outside.map(|segment| segment.end.0.saturating_sub(segment.start.0)).sum())
}

/// The phase that took most of the time of no step.
fn phase_outside_of_steps(analysis: &Analysis<'_>) -> Attributed<Phase> {
    let staged = analysis.record.steps.iter().any(|step| step.stage.is_some());
    let outside = |segment: &&Segment| {
        segment.step.is_none_or(|step| staged && analysis.record.steps[step.index()].stage.is_none())
    };
    let mut phases: BTreeMap<Attributed<Phase>, Nanos> = BTreeMap::new();
    for segment in analysis.segments.iter().filter(outside) {
        *phases.entry(segment.phase.into()).or_default() += segment.end.saturating_sub(segment.start);
    }
    phases.into_iter().max_by_key(|(_, time)| *time).map_or(Attributed::Unattributed, |(phase, _)| phase)
}

/// "The build took 1.2 s", or where it failed.
fn outcome(analysis: &Analysis<'_>) -> String {
    let (record, wall) = (analysis.record, analysis.record.wall);
    if record.succeeded {
        return format!("The build took {wall}");
    }
    let end = failed_at(analysis).filter(|&at| at > Nanos::ZERO).unwrap_or(wall);
    let after = if wall == Nanos::ZERO { String::new() } else { format!(" after {end}") };
    if record.unfinished {
        let running = analysis.steps.iter().filter(|step| step.outcome == Outcome::Cancelled);
        let running: Vec<String> = running.map(quote_located).collect();
        return match &running[..] {
            [] => format!("The build did not finish: its record ends{after}"),
            [one] => format!("The build did not finish: its record ends{after}, while {one} was running"),
            [one, ..] => {
                format!(
                    "The build did not finish: its record ends{after}, while {one} and {} more were running",
                    running.len() - 1
                )
            }
        };
    }
    let first = analysis.activities.failure().map(|step| analysis.step(step));
    // A record without times names the failure all the same.
    match first.or_else(|| analysis.steps.iter().find(|step| step.outcome == Outcome::Failed)) {
        Some(failed) => {
            let code = record.steps[failed.id.index()].exit_code;
            let code = code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
            let step = &record.steps[failed.id.index()];
            let words = step.error.as_deref().and_then(failure_words).or_else(|| output_words(&step.log));
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            let later = Nanos(wall.0.saturating_sub(end.0));
            let later = if later.0 > wall.0 / 10 { format!("; the build ended {later} later") } else { String::new() };
            format!("The build failed{code}{after} in {}{words}{later}", quote_located(failed))
        }
        None => format!("The build failed{after}"),
    }
}

/// The longest reason that the answer quotes, in characters.
const LONGEST_REASON: usize = 200;

/// The part of a step's error besides its command and its exit code, on one line: `out of memory: ...`.
fn failure_words(error: &str) -> Option<String> {
    let line = error.lines().map(str::trim).find(|line| !line.is_empty())?;
    // "RUN failed: process "..." did not complete successfully: exit code: 137: out of memory".
    let (_, words) = line.rsplit_once("did not complete successfully").unwrap_or(("", line));
    let words = match words.split_once(" failed: ") {
        Some((keyword, words)) if keyword.bytes().all(|byte| byte.is_ascii_uppercase()) => words,
        _ => words,
    };
    // Each builder's words for the exit code, which the answer has already said.
    let codes = ["exit code: ", "non-zero code: ", "exit status "];
    let after_code = codes
        .iter()
        .find_map(|code| words.rsplit_once(code))
        .map_or(words, |(_, rest)| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let words = after_code.trim_matches([':', ' ', '.']);
    (!words.is_empty()).then(|| shortened(words))
}

/// The line of a step's output that says most likely why it failed: the last that names an error, else the last of all.
fn output_words(log: &[String]) -> Option<String> {
    const LOOK: usize = 10;
    const NAMES: [&str; 8] =
        ["error:", "fatal", "out of memory", "no space left", "killed", "panic", "denied", "not found"];
    let mut last = log.iter().rev().map(|line| line.trim()).filter(|line| !line.is_empty()).take(LOOK);
    let end = last.clone().next()?;
    let named = last.find(|line| {
        let line = line.to_lowercase();
        NAMES.iter().any(|name| line.contains(name))
    });
    Some(shortened(named.unwrap_or(end)))
}

fn shortened(words: &str) -> String {
    let cut = words.char_indices().nth(LONGEST_REASON).map(|(end, _)| &words[..end]);
    cut.map_or_else(|| words.to_owned(), |words| format!("{}…", words.trim_end()))
}

/// The share of the step that had most of the wall time.
fn largest_share(analysis: &Analysis<'_>, step: &StepExplanation, told: Told) -> String {
    let failed = !analysis.record.succeeded && step.outcome == Outcome::Failed;
    let name = if failed { "that step".to_owned() } else { quote_located(step) };
    let mut share = format!("; {} went to {name}", told.part(step.wall));
    if let Some(phase) = step.phases.first().filter(|phase| phase.wall.0 > step.wall.0 / 2) {
        share += &format!(", mostly {}", phase.name);
        if phase.name == Phase::Lock {
            share += &lock_holder(analysis, step).map(|holder| format!(": it waited for {holder}")).unwrap_or_default();
        }
    }
    // Without a step that it needs, a failed build would not have ended sooner: it would have failed otherwise. A drag that is about the share
    // says nothing new.
    if analysis.record.succeeded && step.drag > Nanos::ZERO && step.drag.0 < step.wall.0 / 10 * 9 {
        share += &format!("; without that step it would have ended only {} sooner", step.drag);
    }
    share
}

/// What a step waited for longest: another step, or the same step in another build.
fn lock_holder(analysis: &Analysis<'_>, step: &StepExplanation) -> Option<String> {
    let waits = analysis.record.waits.iter().filter(|wait| wait.step == step.id && wait.kind == WaitKind::Lock);
    let longest = waits.max_by_key(|wait| wait.end.saturating_sub(wait.start))?;
    match longest.on {
        Some(on) => Some(quote_located(analysis.step(on))),
        None => longest.name.clone().filter(|name| name.starts_with("the same step in another build")),
    }
}

#[cfg(test)]
mod tests {
    use super::failure_words;
    use crate::explain;
    use crate::synthetic::Synthetic;
    use buildscope_record::{Nanos, Outcome, Phase};

    /// `test` is longer than `make`, but two other paths take nearly as long, so that `make` has the larger gain.
    #[test]
    fn the_answer_names_the_step_that_the_ranking_names_first() {
        let mut build = Synthetic::default();
        let (main, side, third) = (build.stage("main"), build.stage("side"), build.stage("third"));
        let make = build.step(main, "RUN make", 0..1_000);
        let test = build.step(main, "RUN test", 1_000..2_100);
        let lint = build.step(side, "RUN lint", 1_000..2_000);
        let docs = build.step(third, "RUN docs", 1_000..2_000);
        let last = build.step(main, "RUN last", 2_100..2_400);
        for (from, to) in [(make, test), (make, lint), (make, docs), (test, last), (lint, last), (docs, last)] {
            build.data(from, to);
        }
        let explanation = explain(&build.finish(2_400));
        assert!(explanation.ranking.changes[0].what.contains("RUN make"), "{:?}", explanation.ranking);
        assert!(explanation.answer.contains("went to `RUN make`"), "{}", explanation.answer);
        // The numbers of the sentence are those of the step.
        assert!(explanation.answer.contains("1.00 s of it (42 %)"), "{}", explanation.answer);
        assert_eq!(explanation.steps[make.index()].drag, Nanos(1_000_000_000));
    }

    /// `make` failed after 3 s; the builder needed another second to end `docs`.
    #[test]
    fn the_answer_of_a_failed_build_divides_the_time_until_the_failure() {
        let mut build = Synthetic::default();
        let (main, side) = (build.stage("main"), build.stage("side"));
        let fetch = build.step(main, "RUN fetch", 0..2_000);
        let make = build.step(main, "RUN make", 2_000..3_000);
        build.step(side, "RUN docs", 0..4_000);
        build.data(fetch, make).with(|record| {
            record.succeeded = false;
            record.steps[make.index()].outcome = Outcome::Failed;
            record.steps[make.index()].exit_code = Some(2);
        });
        let mut record = build.finish(4_000);
        let lines = [
            "c++ -c a.cc",
            "c++: fatal error: Killed signal terminated program",
            "make: *** [Makefile:3: a.o] Error 1",
            "",
        ];
        record.steps[make.index()].log = lines.map(str::to_owned).to_vec();
        assert!(
            explain(&record)
                .answer
                .contains("(stage main, line 2): c++: fatal error: Killed signal terminated program; the"),
            "{}",
            explain(&record).answer
        );
        record.steps[make.index()].log = vec!["step 1".into(), "step 2".into()];
        assert!(explain(&record).answer.contains("(stage main, line 2): step 2; the build"));
        record.steps[make.index()].log.clear();
        let answer = explain(&record).answer;
        let expected = "The build failed with exit code 2 after 3.00 s in `RUN make` (stage main, line 2); the build ended 1.00 s later; 2.00 s of the time until the failure (67 %) went to `RUN fetch` (stage main, line 1), mostly unattributed.";
        assert_eq!(answer, expected);
    }

    /// A BuildKit log has the preparation before the first stage as steps without a stage, in the order of time.
    #[test]
    fn no_step_waits_needlessly_for_work_of_the_build_as_a_whole() {
        let mut build = Synthetic::default();
        let main = build.stage("main");
        let internal = build.step(main, "[internal] load metadata for docker.io/library/busybox", 0..3_000);
        let run = build.step(main, "RUN make", 3_000..6_000);
        build.order(internal, run).with(|record| record.steps[internal.index()].stage = None);
        let answer = explain(&build.finish(6_000)).answer;
        assert!(answer.contains("went to") && !answer.contains("does not need"), "{answer}");
    }

    #[test]
    fn the_phase_outside_of_steps_is_not_one_of_a_step() {
        let mut build = Synthetic::default();
        let main = build.stage("main");
        let first = build.step(main, "RUN first", 0..1_000);
        let second = build.step(main, "RUN second", 1_000..2_000);
        build.span(first, Phase::Process, 0..1_000);
        build.span(second, Phase::Process, 1_000..2_000);
        build.span(None, Phase::Export, 2_000..3_800);
        build.data(first, second);
        let answer = explain(&build.finish(3_800)).answer;
        assert_eq!(answer, "The build took 3.80 s; 1.80 s of it (47 %) was spent outside of steps, mostly export.");
    }

    #[test]
    fn a_failed_build_shows_the_last_lines_of_the_failed_step() {
        let mut build = Synthetic::default();
        let main = build.stage("main");
        let make = build.step(main, "RUN make", 0..1_000);
        build.with(|record| {
            record.succeeded = false;
            record.steps[make.index()].outcome = Outcome::Failed;
            record.steps[make.index()].log = (1..=30).map(|number| format!("line {number}")).collect();
        });
        let explanation = explain(&build.finish(1_000));
        assert_eq!((explanation.failed_output.len(), explanation.failed_output[0].as_str()), (20, "line 11"));
        let markdown = crate::render::markdown(&explanation);
        assert!(markdown.contains("\n```text\nline 11\nline 12\n"), "{markdown}");
    }

    /// Only both long steps together shorten the build by much. The short one after them explains little of its time.
    #[test]
    fn a_short_step_with_the_largest_gain_is_not_the_answer() {
        let mut build = Synthetic::default();
        let (main, side) = (build.stage("main"), build.stage("side"));
        let one = build.step(main, "RUN one", 0..60_000);
        let other = build.step(side, "RUN other", 0..59_000);
        let last = build.step(main, "RUN last", 60_000..62_000);
        build.data(one, last);
        build.data(other, last);
        let explanation = explain(&build.finish(62_000));
        assert!(explanation.answer.contains("went to `RUN one`"), "{}", explanation.answer);
    }

    /// Three paths of 60 s: without one of them, the build ends a second sooner at most. Without the last step it ends 20 s sooner.
    #[test]
    fn a_step_without_gain_is_not_the_answer() {
        let mut build = Synthetic::default();
        let stage = build.stage("main");
        let paths = [60_000, 59_500, 59_000].map(|end| build.step(stage, "RUN path", 0..end));
        let last = build.step(stage, "RUN last", 60_000..80_000);
        for path in paths {
            build.data(path, last);
        }
        let explanation = explain(&build.finish(80_000));
        assert_eq!(explanation.steps[paths[0].index()].drag, Nanos(500_000_000));
        assert!(explanation.answer.contains("20.0 s of it (25 %) went to `RUN last`"), "{}", explanation.answer);
    }

    #[test]
    fn the_words_of_a_failure_leave_out_command_and_exit_code() {
        let run = |rest: &str| {
            failure_words(&format!("RUN failed: process \"/bin/sh -c a: b\" did not complete successfully: {rest}"))
        };
        assert_eq!(run("exit code: 1"), None);
        let killed = "exit code: 137: out of memory: the kernel killed a process of the step";
        assert_eq!(run(killed).as_deref(), Some("out of memory: the kernel killed a process of the step"));
        assert_eq!(failure_words("COPY failed: \"/nope\": not found").as_deref(), Some("\"/nope\": not found"));
        assert_eq!(failure_words("executor failed running [/bin/sh -c x]: exit code: 2").as_deref(), None);
        assert_eq!(failure_words("The command '/bin/sh -c x' returned a non-zero code: 1"), None);
        assert_eq!(failure_words("Error: building at STEP \"RUN x\": while running runtime: exit status 1"), None);
    }
}
