//! Several records of one build: which one was slower, and why, in one sentence.

use crate::analysis::Analysis;
use crate::attribute::{Attributed, Link};
use crate::counterpart::Counterparts;
use crate::misses::{Cause, Miss, misses};
use crate::needless::NeedlessWait;
use crate::others::Others;
use crate::steps::StepExplanation;
use crate::wording::quote;
use buildscope_record::{DriverName, Nanos, Outcome, Phase, Policy, Record, StepId};
use serde::Serialize;

/// Explains why the slowest of these builds is slower than the fastest; `None` for fewer than two builds.
///
/// Builds are named after their policies, or, if those are the same, after their drivers, their tools or their numbers.
pub fn slower(records: &[Record]) -> Option<String> {
    let analyses: Vec<_> = records.iter().map(Analysis::new).collect();
    let names = names(records);
    let slow = (0..records.len()).max_by_key(|&at| records[at].wall)?;
    let fast = (0..records.len()).filter(|&at| at != slow).min_by_key(|&at| records[at].wall)?;
    let ratio = records[slow].wall.0 as f64 / records[fast].wall.0.max(1) as f64;
    let verdict = if ratio < 1.05 {
        format!(
            "{} and {} take the same time within 5 % ({} and {}).",
            names[slow], names[fast], records[slow].wall, records[fast].wall
        )
    } else {
        let is_later = is_later(&records[slow], &records[fast]).unwrap_or(slow > fast);
        let missed = if is_later { missed_by(&analyses[slow], &records[fast]) } else { Vec::new() };
        let cause = cause(&analyses[slow], (&analyses[fast], &names[fast]), &missed);
        format!("{} is {ratio:.1}x slower than {} because {cause}.", names[slow], names[fast])
    };
    let caveats = [slow, fast].into_iter().flat_map(|at| caveats(&records[at], &names[at]));
    Some([verdict].into_iter().chain(caveats).collect::<Vec<_>>().join(" "))
}

/// Whether a build did not start before the other one; `None` if a start is unknown.
fn is_later(record: &Record, other: &Record) -> Option<bool> {
    Some(record.started.as_ref()? >= other.started.as_ref()?)
}

/// The misses of `later`, the most expensive first: of steps that `earlier` had found in the cache, and of those that changed since.
pub fn missed(earlier: &Record, later: &Record) -> Vec<Miss> {
    if is_later(later, earlier).unwrap_or(true) { missed_by(&Analysis::new(later), earlier) } else { Vec::new() }
}

fn missed_by(later: &Analysis<'_>, earlier: &Record) -> Vec<Miss> {
    let before = Counterparts::between(later.record, earlier);
    let was_cached = |id: &StepId| before.of(*id).is_some_and(|step| step.outcome == Outcome::Cached);
    let mut found = misses(later, std::slice::from_ref(earlier));
    let changed = |cause: &Cause| {
        let open = matches!(cause, Cause::Unnamed | Cause::Missing | Cause::Uncached | Cause::Unknown);
        !open && !matches!(cause, Cause::Gone | Cause::Unasked(_) | Cause::Recorded(_))
    };
    found.retain(|miss| changed(&miss.cause) || was_cached(&miss.step) || miss.caused.iter().any(was_cached));
    found
}

/// What makes the time of a build a poor measure: it did not end, or other programs used the processors.
fn caveats(record: &Record, name: &str) -> impl Iterator<Item = String> {
    let cut = match (record.succeeded, record.unfinished) {
        (true, _) => None,
        (false, true) => Some(format!("The record of {name} ends before the build did.")),
        (false, false) => Some(format!("{name} failed, so its time is not that of a whole build.")),
    };
    let loaded = Others::of(record).filter(|others| others.is_important());
    let loaded = loaded.map(|others| format!("During {name}, {}.", others.sentence()));
    [cut, loaded].into_iter().flatten().map(|sentence| capitalized(&sentence))
}

fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn names(records: &[Record]) -> Vec<String> {
    let by = |name: fn(&Record) -> Option<&str>| {
        let names: Option<Vec<_>> = records.iter().map(|record| name(record).map(str::to_owned)).collect();
        names.filter(|names| names.iter().any(|name| *name != names[0]))
    };
    by(|record| record.options.policy.map(Policy::name))
        .or_else(|| by(|record| record.options.driver.map(DriverName::name)))
        .or_else(|| by(|record| Some(record.source.tool.name())))
        .unwrap_or_else(|| (1..=records.len()).map(|number| format!("build {number}")).collect())
}

/// The cause of the difference: a needless wait if that explains more than the step that grew most, else that step, else the
/// build's own work. `fast` has the name of its build.
fn cause(slow: &Analysis<'_>, fast: (&Analysis<'_>, &str), missed: &[Miss]) -> String {
    let difference = slow.record.wall.saturating_sub(fast.0.record.wall);
    let longer = grown(slow, fast, missed);
    let waited = waited(slow);
    match (waited, longer) {
        (Some(wait), None) => wait.sentence,
        (Some(wait), Some(step)) if wait.time >= step.time => wait.sentence,
        (_, Some(step)) => step.sentence,
        (None, None) => format!("its own work outside of the steps took {difference} longer"),
    }
}

/// A cause and the time that it explains.
struct SlowdownCause {
    time: Nanos,
    sentence: String,
}

/// The longest wait on the critical path for a step whose result is not needed.
fn waited(analysis: &Analysis<'_>) -> Option<SlowdownCause> {
    let ordered = NeedlessWait::longest(analysis)
        .map(|needless| SlowdownCause { time: needless.lost, sentence: needless.sentence(analysis) });
    let graph = &analysis.activities.graph;
    let busy = analysis.path.windows(2).filter_map(|pair| {
        let (on, step) = (analysis.step(pair[0].step), analysis.step(pair[1].step));
        let free = graph.before(step.id).iter().map(|need| end(analysis.step(need.step))).max();
        let queued = step.start?.saturating_sub(free.unwrap_or(Nanos::ZERO));
        let (what, time) = match pair[1].after? {
            Link::Slot => ("slot", queued),
            Link::Lock => ("lock", queued.max(step.duration.saturating_sub(step.own))),
            Link::Data | Link::Order => return None,
        };
        let (text, of, holder) = (quote(&step.text), of_stage(step), quote(&on.text));
        let sentence = format!("{text}{of} waited {time} for the {what} that {holder}{} had", of_stage(on));
        (time.0 > 0).then_some(SlowdownCause { time, sentence })
    });
    ordered.into_iter().chain(busy).max_by_key(|cause| cause.time)
}

fn end(step: &StepExplanation) -> Nanos {
    step.start.unwrap_or(Nanos::ZERO) + step.duration
}

fn of_stage(step: &StepExplanation) -> String {
    step.stage.as_ref().map(|stage| format!(" of stage {stage}")).unwrap_or_default()
}

/// The step on the critical path that grew most against its counterpart in the other build.
fn grown(slow: &Analysis<'_>, (fast, name): (&Analysis<'_>, &str), missed: &[Miss]) -> Option<SlowdownCause> {
    let others = Counterparts::between(slow.record, fast.record);
    let pairs = slow.steps.iter().filter(|step| step.on_path).map(|step| {
        let other = others.of(step.id).map(|other| fast.step(other.id));
        (step, other, step.own.saturating_sub(other.map_or(Nanos::ZERO, |other| other.own)))
    });
    let (step, other, time) = pairs.filter(|(_, _, grown)| grown.0 > 0).max_by_key(|&(_, _, grown)| grown)?;
    let (text, of) = (quote(&step.text), of_stage(step));
    if other.is_some_and(|other| other.outcome == Outcome::Cached && step.outcome != Outcome::Cached) {
        let miss = missed.iter().find(|miss| miss.step == step.id || miss.caused.contains(&step.id));
        let reason = miss.map(|miss| format!("; it ran because {}", miss.reason())).unwrap_or_default();
        return Some(SlowdownCause {
            time,
            sentence: format!("{text}{of} took {} and was cached in {name}{reason}", step.own),
        });
    }
    let grew = |name: Attributed<Phase>, work: Nanos| {
        let phases = other.map_or(&[][..], |other| &other.phases);
        let before = phases.iter().find(|row| row.name == name).map_or(Nanos::ZERO, |row| row.work);
        work.saturating_sub(before)
    };
    let phase = step.phases.iter().max_by_key(|row| grew(row.name, row.work));
    let mostly =
        phase.filter(|row| grew(row.name, row.work).0 > time.0 / 2).map(|row| format!(", mostly in {}", row.name));
    let against = match other {
        Some(other) if other.text == step.text => format!("instead of {}", other.own),
        Some(other) => format!("where {} took {}", quote(&other.text), other.own),
        None => "and is not in the other".to_owned(),
    };
    let mostly = mostly.unwrap_or_default();
    Some(SlowdownCause { time, sentence: format!("{text}{of} took {} {against}{mostly}", step.own) })
}

/// A step in two builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The name of the stage.
    pub stage: String,
    /// The text of the step, in the second build if they differ.
    pub text: String,
    /// The length in each build without waits. `None` if the step did not run or is missing.
    pub times: [Option<Nanos>; 2],
    /// The share of the wall time in each build.
    pub walls: [Nanos; 2],
    /// Whether the step was in the cache of each build.
    pub cached: [bool; 2],
    /// The phase whose work changed most, and its work in each build.
    pub phase: Option<(Attributed<Phase>, [Nanos; 2])>,
}

impl Pair {
    /// The largest change: of a phase, or from a result in the cache to a step that ran.
    pub(crate) fn change(&self) -> Option<String> {
        let phase = self.phase.as_ref();
        match self.cached {
            [true, false] => {
                Some(phase.map_or("cached -> ran".to_owned(), |(name, [_, now])| format!("cached -> {name} {now}")))
            }
            [false, true] => Some(
                phase.map_or("ran -> cached".to_owned(), |(name, [before, _])| format!("{name} {before} -> cached")),
            ),
            _ => phase.map(|(name, [before, now])| format!("{name} {before} -> {now}")),
        }
    }
}

/// Two builds side by side, aligned by step. The steps that changed the critical path most come first.
pub fn side_by_side(first: &Record, second: &Record) -> Vec<Pair> {
    let [first, second] = [first, second].map(Analysis::new);
    let in_first = Counterparts::between(second.record, first.record);
    let mut seen = vec![false; first.steps.len()];
    let mut pairs: Vec<Pair> = Vec::new();
    for step in &second.record.steps {
        let before = in_first.of(step.id).map(|before| before.id);
        let before = before.filter(|before| !std::mem::replace(&mut seen[before.index()], true));
        pairs.push(pair(before.map(|id| first.step(id)), Some(second.step(step.id))));
    }
    let gone = first.steps.iter().zip(seen).filter(|(_, seen)| !seen);
    pairs.extend(gone.map(|(step, _)| pair(Some(step), None)));
    pairs.retain(|pair| pair.times != [None, None]);
    pairs.sort_by_key(|pair| std::cmp::Reverse((pair.walls[0].0.abs_diff(pair.walls[1].0), difference(pair))));
    pairs
}

fn difference(pair: &Pair) -> u64 {
    let [first, second] = pair.times.map(|time| time.map_or(0, |time| time.0));
    first.abs_diff(second)
}

fn pair(first: Option<&StepExplanation>, second: Option<&StepExplanation>) -> Pair {
    let both = [first, second];
    let shown = second.or(first);
    let time = |step: Option<&StepExplanation>| step.filter(|step| step.start.is_some()).map(|step| step.own);
    let work = |step: Option<&StepExplanation>, name: Attributed<Phase>| {
        step.and_then(|step| step.phases.iter().find(|row| row.name == name)).map_or(Nanos::ZERO, |row| row.work)
    };
    let names = both.iter().flatten().flat_map(|step| step.phases.iter().map(|row| row.name));
    let changes = names.map(|name| (name, both.map(|step| work(step, name))));
    let phase = changes
        .max_by_key(|(_, [first, second])| first.0.abs_diff(second.0))
        .filter(|(_, [first, second])| first != second);
    Pair {
        stage: shown.and_then(|step| step.stage.clone()).unwrap_or_default(),
        text: shown.map(|step| step.text.clone()).unwrap_or_default(),
        times: both.map(time),
        walls: both.map(|step| step.map_or(Nanos::ZERO, |step| step.wall)),
        cached: both.map(|step| step.is_some_and(|step| step.outcome == Outcome::Cached)),
        phase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{Synthetic, ms};
    use buildscope_record::{Cache, MachineLoad, Phase, StepKey, WaitKind};

    /// Stage a: 100 ms, stage b: 120 ms, out copies from both.
    fn diamond(policy: Policy, begin_b: u64) -> Record {
        let mut made = Synthetic::new(policy, 2);
        let (a, b, out) = (made.stage("a"), made.stage("b"), made.stage("out"));
        let end = (begin_b + 120).max(100);
        let run_a = made.step(a, "RUN make a", 0..100);
        let run_b = made.step(b, "RUN make b", begin_b..begin_b + 120);
        let copy = made.step(out, "COPY --from=b / /", end..end + 1);
        made.data(run_a, copy).data(run_b, copy);
        if begin_b > 0 {
            made.order(run_a, run_b).wait(run_b, WaitKind::Dependency, run_a, 0..100);
        }
        made.finish(end + 1)
    }

    #[test]
    fn serial_waits_for_what_it_does_not_need() {
        let records = [diamond(Policy::Serial, 100), diamond(Policy::Stages, 0), diamond(Policy::Instructions, 0)];
        let sentence = slower(&records).unwrap();
        assert_eq!(
            sentence,
            "serial is 1.8x slower than stages because `RUN make b` of stage b waited 100 ms for stage a, which it does not need."
        );
    }

    #[test]
    fn a_slower_step_is_named_with_its_phase() {
        let build = |driver: DriverName, copy: u64| {
            let mut made = Synthetic::default();
            let stage = made.stage("a");
            let step = made.step(stage, "COPY . .", 0..copy + 5);
            made.span(step, Phase::Copy, 0..copy);
            made.span(step, Phase::Commit, copy..copy + 5);
            made.with(|record| record.options.driver = Some(driver));
            made.finish(copy + 5)
        };
        let sentence = slower(&[build(DriverName::Overlay, 20), build(DriverName::Copy, 80)]).unwrap();
        assert_eq!(
            sentence,
            "copy is 3.4x slower than overlay because `COPY . .` of stage a took 85.0 ms instead of 25.0 ms, mostly in copy."
        );
    }

    #[test]
    fn a_step_that_missed_the_cache_is_named_with_the_file_that_changed() {
        let build = |digest: &str, cached: bool| {
            let mut made = Synthetic::default();
            let stage = made.stage("a");
            let (copy, run) = if cached {
                let idle = |made: &mut Synthetic, text: &str| made.idle(stage, text, Outcome::Cached);
                (idle(&mut made, "COPY a.txt ."), idle(&mut made, "RUN make"))
            } else {
                (made.step(stage, "COPY a.txt .", 0..5), made.step(stage, "RUN make", 5..80))
            };
            if !cached {
                made.span(run, Phase::Process, 5..80);
            }
            made.data(copy, run).with(|record| {
                for (step, input) in record.steps.iter_mut().zip(["file:a.txt", "parent"]) {
                    let inputs = [(input.to_owned(), digest.to_owned())].into();
                    step.cache = Some(Cache { key: StepKey::of("key"), inputs, miss: None, removed: None });
                }
            });
            made.finish(if cached { 2 } else { 80 })
        };
        let (warm, edited) = (build("1", true), build("2", false));
        let records = [warm.clone(), edited.clone()];
        assert_eq!(
            slower(&records).unwrap(),
            "build 2 is 40.0x slower than build 1 because `RUN make` of stage a took 75.0 ms and was cached in build 1; it ran because \
             `COPY a.txt .` changed: `a.txt`."
        );
        let pairs = side_by_side(&warm, &edited);
        assert_eq!(pairs[0].change().unwrap(), "cached -> process 75.0 ms");
        assert_eq!(side_by_side(&edited, &warm)[0].change().unwrap(), "process 75.0 ms -> cached");
        assert_eq!(missed(&warm, &edited).len(), 1);
        // A change is a miss also if the other build ran the steps, and two builds that ran the same have none.
        assert_eq!(missed(&build("1", false), &edited).len(), 1);
        assert_eq!(missed(&edited, &edited), []);
    }

    #[test]
    fn slower_steps_with_changed_text_are_named() {
        let build = |texts: &[(&str, u64)]| {
            let mut made = Synthetic::default();
            let stage = made.stage("a");
            let mut at = 0;
            for &(text, length) in texts {
                let step = made.step(stage, text, at..at + length);
                made.span(step, Phase::Process, at..at + length);
                at += length;
            }
            made.finish(at)
        };
        let (short, long) = (build(&[("RUN a", 10), ("RUN b 1", 20)]), build(&[("RUN a", 11), ("RUN b 2", 90)]));
        assert_eq!(
            slower(&[short.clone(), long]).unwrap(),
            "build 2 is 3.4x slower than build 1 because `RUN b 2` of stage a took 90.0 ms where `RUN b 1` took 20.0 ms, mostly in process."
        );
        let more = build(&[("RUN a", 10), ("RUN b 1", 20), ("RUN c", 30)]);
        assert_eq!(
            slower(&[short, more]).unwrap(),
            "build 2 is 2.0x slower than build 1 because `RUN c` of stage a took 30.0 ms and is not in the other, mostly in process."
        );
    }

    #[test]
    fn steps_are_aligned_by_stage_and_text() {
        let build = |run: u64, more: bool| {
            let mut made = Synthetic::default();
            let stage = made.stage("a");
            let step = made.step(stage, "RUN make", 0..run);
            made.span(step, Phase::Process, 0..run);
            if more {
                let new = made.step(stage, "RUN test", run..run + 5);
                made.data(step, new);
            }
            made.finish(run + if more { 5 } else { 0 })
        };
        let pairs = side_by_side(&build(10, false), &build(40, true));
        let ms = |value: u64| Nanos(value * 1_000_000);
        assert_eq!((pairs[0].text.as_str(), pairs[0].times), ("RUN make", [Some(ms(10)), Some(ms(40))]));
        assert_eq!(pairs[0].phase, Some((Attributed::Of(Phase::Process), [ms(10), ms(40)])));
        assert_eq!((pairs[1].text.as_str(), pairs[1].times), ("RUN test", [None, Some(ms(5))]));
    }

    /// BuildKit names stages without a name differently.
    #[test]
    fn a_stage_without_name_is_the_same_in_both_builders() {
        let build = |name: &str, run: u64| {
            let mut made = Synthetic::default();
            let stage = made.stage(name);
            made.step(stage, "RUN make", 0..run);
            made.finish(run)
        };
        let pairs = side_by_side(&build("stage-1", 10), &build("1", 40));
        assert_eq!(pairs.len(), 1, "{pairs:?}");
        assert!(pairs[0].times.iter().all(Option::is_some), "{pairs:?}");
    }

    #[test]
    fn a_failed_build_and_the_load_of_others_are_said() {
        let build = |length: u64, succeeded: bool, others: u64| {
            let mut made = Synthetic::default();
            let stage = made.stage("a");
            made.step(stage, "RUN make", 0..length);
            made.with(|record| {
                record.succeeded = succeeded;
                record.load = Some(MachineLoad { others: ms(others), processors: 1, waited: None });
            });
            made.finish(length)
        };
        assert_eq!(
            slower(&[build(1_000, false, 0), build(2_000, true, 1_000)]).unwrap(),
            "build 2 is 2.0x slower than build 1 because `RUN make` of stage a took 2.00 s instead of 1.00 s. During build 2, other programs \
             used 50 % of the processors. Build 1 failed, so its time is not that of a whole build."
        );
        assert_eq!(
            slower(&[build(1_000, true, 100), build(1_000, true, 100)]).unwrap(),
            "build 2 and build 1 take the same time within 5 % (1.00 s and 1.00 s)."
        );
    }

    #[test]
    fn equal_times_are_reported() {
        let sentence = slower(&[diamond(Policy::Stages, 0), diamond(Policy::Instructions, 0)]).unwrap();
        assert_eq!(sentence, "instructions and stages take the same time within 5 % (121 ms and 121 ms).");
        assert_eq!(slower(&[diamond(Policy::Stages, 0)]), None);
    }
}
