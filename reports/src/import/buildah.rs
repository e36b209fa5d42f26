//! The log of buildah. Steps of several stages run at the same time, and each is announced. The line for a finished step (`--> id`) does
//! not name the step.
//!
//! A step is announced before it waits for other stages. The step that a `--> id` ends is inferred: it is the one whose successor in its
//! stage is announced next. The remaining lines belong to the last steps of the stages.

use super::draft::{Draft, DraftId, DraftSpan, DraftStep};
use super::guess;
use super::instant::Instant;
use super::log::{Log, LogLine};
use super::marks::buildah::{is_error, step, without_numbers};
use super::mixed::{self, buildah::BuildahState};
use super::names;
use super::output::LineTime;
use crate::index::Indexed;
use buildscope_record::{Fidelity, Instruction, Outcome, Policy, Tool};
use std::collections::{HashMap, HashSet};

/// Reads the builds of a log.
pub(crate) fn builds(log: &Log, files: &[Vec<String>]) -> Vec<Draft> {
    let streams =
        log.streams(|text| step(text.trim_start()).is_some_and(|(stage, number, ..)| stage == 1 && number == 1));
    let streams = streams.into_iter().flat_map(|stream| mixed::separated::<BuildahState>(stream, files));
    streams.flat_map(|stream| stream.noted(|lines| of_stream(lines, log.dated))).collect()
}

/// The builds of a stream, one after the other.
fn of_stream(lines: &[&LogLine], dated: bool) -> Vec<Draft> {
    let mut builds = Vec::new();
    let mut reader = BuildahReader::new();
    for line in lines {
        let text = line.text.trim_start();
        if step(text).is_some_and(|(stage, number, ..)| reader.steps.contains_key(&(stage, number))) {
            builds.extend(std::mem::replace(&mut reader, BuildahReader::new()).finish(dated));
        }
        reader.see(line, text);
    }
    builds.extend(reader.finish(dated));
    builds
}

/// The lines of one build that were read so far.
struct BuildahReader {
    draft: Draft,
    /// Steps by stage and number.
    steps: HashMap<(u32, u32), DraftId>,
    /// Names of stages by number.
    names: HashMap<u32, String>,
    /// Stage and number of each step, in the order of the log.
    numbers: Indexed<DraftId, (u32, u32)>,
    /// The times at which steps ended.
    done: Vec<Instant>,
    /// The times at which parts of the commit ended.
    committed: Vec<Instant>,
    commit: Option<DraftId>,
    last: Option<DraftId>,
    /// Whether the log says when steps end: buildah does so only with `--layers`.
    layers: bool,
    /// Whether the image was named.
    tagged: bool,
    /// Whether the image was written.
    ended: bool,
    /// The time of the last line.
    seen: Option<Instant>,
    /// The lines between those of steps, each with the step that was announced last.
    outputs: Vec<(DraftId, Option<Instant>, String)>,
}

impl BuildahReader {
    fn new() -> Self {
        Self {
            draft: Draft::new(Tool::Buildah, Fidelity::default()),
            steps: HashMap::new(),
            names: HashMap::new(),
            numbers: Indexed::default(),
            done: Vec::new(),
            committed: Vec::new(),
            commit: None,
            last: None,
            layers: false,
            tagged: false,
            ended: false,
            seen: None,
            outputs: Vec::new(),
        }
    }

    fn see(&mut self, line: &LogLine, text: &str) {
        let own = step(text).is_some()
            || (!self.steps.is_empty()
                && !self.tagged
                && (text.starts_with("-->")
                    || text.starts_with("Successfully tagged")
                    || without_numbers(text).starts_with("COMMIT")));
        if self.steps.is_empty() {
            self.draft.line = line.number;
        }
        self.line(line.at, text);
        if !self.steps.is_empty() {
            self.seen = line.at.or(self.seen);
        }
        line.at.filter(|_| own).into_iter().for_each(|at| self.draft.saw(at));
    }

    fn line(&mut self, at: Option<Instant>, words: &str) {
        if let Some((stage, number, of, text)) = step(words) {
            self.step(at, (stage, number), of, text);
        } else if words.starts_with("--> Using cache") {
            self.layers = true;
            if let Some(last) = self.last {
                self.draft.steps[last].outcome = Some(Outcome::Cached);
            }
        } else if let Some(rest) = words.strip_prefix("--> ") {
            self.layers |= self.commit.is_none();
            self.ended |= self.commit.is_some();
            let done = if self.commit.is_some() { &mut self.committed } else { &mut self.done };
            done.extend(at.filter(|_| !rest.is_empty()));
        } else if without_numbers(words).starts_with("COMMIT") {
            self.commit(at, without_numbers(words));
        } else if words.starts_with("Successfully tagged") {
            (self.tagged, self.ended) = (true, true);
        } else if is_error(words) && !self.steps.is_empty() && !self.draft.failed {
            self.fail(words);
        } else if let Some(last) =
            self.last.filter(|_| !words.is_empty() && self.commit.is_none() && !self.draft.failed)
        {
            self.outputs.push((last, at, words.to_owned()));
        }
    }

    /// Marks the step that failed: the one whose text the message quotes, otherwise the last one.
    fn fail(&mut self, words: &str) {
        self.draft.failed = true;
        let quoted = words.split('"').nth(1).unwrap_or_default();
        let named = {
            let mut quoting = self.draft.steps.entries().filter(|(_, step)| !quoted.is_empty() && step.text == quoted);
            quoting.next_back().map(|(id, _)| id)
        };
        if let Some(failed) = named.or(self.last) {
            self.draft.steps[failed].outcome = Some(Outcome::Failed);
            self.draft.steps[failed].error = Some(words.to_owned());
        }
    }

    fn step(&mut self, at: Option<Instant>, (stage, number): (u32, u32), of: u32, text: &str) {
        let instruction = names::instruction(text);
        if instruction == Instruction::From {
            let named = text.split_whitespace().rev().nth(1).is_some_and(|word| word.eq_ignore_ascii_case("as"));
            let name = text.split_whitespace().last().filter(|_| named).map_or_else(|| unnamed(stage), str::to_owned);
            self.names.insert(stage, name);
        }
        let stage_name = self.names.entry(stage).or_insert_with(|| unnamed(stage)).clone();
        let id = self.draft.steps.push(DraftStep {
            stage: Some(stage_name),
            number: Some((number, of)),
            instruction,
            text: text.to_owned(),
            outcome: Some(Outcome::Executed),
            start: at,
            // Stages are numbered as in the file, so lines are not needed for sorting.
            lines: None,
            ..DraftStep::default()
        });
        self.numbers.push((stage, number));
        self.steps.insert((stage, number), id);
        self.last = Some(id);
    }

    fn commit(&mut self, at: Option<Instant>, text: &str) {
        self.commit = Some(self.draft.steps.push(DraftStep {
            instruction: Instruction::Internal,
            text: text.to_owned(),
            outcome: Some(Outcome::Executed),
            start: at,
            ..DraftStep::default()
        }));
        self.numbers.push((u32::MAX, 0));
    }

    fn finish(self, dated: bool) -> Option<Draft> {
        let Self { mut draft, steps, numbers, done, committed, commit, layers, ended, last, seen, outputs, .. } = self;
        last?;
        draft.unfinished = !ended && !draft.failed;
        if draft.unfinished || draft.failed {
            seen.into_iter().for_each(|at| draft.saw(at));
        }
        if let Some(commit) = commit {
            draft.steps[commit].end = committed.first().copied().or(draft.end);
        }
        let timed = draft.steps.iter().any(|step| step.start.is_some());
        let parallel = interleaved(&numbers);
        // With several stages at the same time, a line may be of any of them.
        for (id, at, output) in outputs.into_iter().filter(|_| !parallel) {
            let step = &mut draft.steps[id];
            if step.instruction == Instruction::Run {
                if let Some(at) = at {
                    step.output.line(LineTime::At(at), &output);
                }
                step.log.push(output);
            }
        }
        if layers {
            ends(&mut draft, &steps, &numbers, done, commit);
        } else if parallel && timed {
            unknown_ends(&mut draft);
        } else {
            next_begins(&mut draft);
        }
        if let Some(last) = last.filter(|_| draft.unfinished) {
            draft.steps[last].outcome = Some(Outcome::Cancelled);
        }
        draft.source.fidelity = Fidelity { starts: timed && (layers || !parallel), ..Fidelity::default() };
        draft.options.policy = Some(if parallel { Policy::Stages } else { Policy::Serial });
        draft.options.jobs = (!parallel).then_some(1);
        draft.dated = timed && dated;
        if !timed {
            draft.notes.push(
                "the log has no times: give each line its time, as in `buildah build --layers . 2>&1 | ts '%.s'`"
                    .to_owned(),
            );
        }
        guess::guess_needs(&mut draft);
        if let Some(commit) = commit {
            draft.steps[commit].needs = draft.steps.indices().filter(|&step| step != commit).collect();
        }
        if layers || !parallel {
            turns(&mut draft);
            work(&mut draft);
        }
        Some(draft)
    }
}

/// Whether announcements of several stages are interleaved, so that the stages ran at the same time.
fn interleaved(numbers: &Indexed<DraftId, (u32, u32)>) -> bool {
    let mut left = HashSet::new();
    numbers.iter().zip(numbers.iter().skip(1)).any(|(before, after)| {
        if before.0 != after.0 {
            left.insert(before.0);
        }
        left.contains(&after.0)
    })
}

/// Ends each step at the announcement of the next one: right without `--layers` and with one stage at a time.
fn next_begins(draft: &mut Draft) {
    let mut end = draft.end;
    for step in draft.steps.iter_mut().rev() {
        step.end = step.end.or(end.filter(|_| step.start.is_some()));
        end = step.start.or(end);
    }
}

/// Leaves the ends unknown: without `--layers` and with several stages at the same time, the log does not contain them.
fn unknown_ends(draft: &mut Draft) {
    for step in draft.steps.iter_mut().filter(|step| step.instruction != Instruction::Internal) {
        (step.start, step.end) = (None, None);
    }
    draft.notes.push(
        "step times are unknown: with several jobs and without `--layers`, buildah does not say when a step ends; \
         build with `--layers`"
            .to_owned(),
    );
}

/// The name of a stage without `AS`: its index. The log counts stages from 1.
fn unnamed(stage: u32) -> String {
    stage.saturating_sub(1).to_string()
}

/// Orders stages that waited for their turn (`--jobs`): a stage that starts late without a need comes after the stage that ended before it.
fn turns(draft: &mut Draft) {
    let begin = draft.begin;
    for id in draft.steps.indices() {
        let step = &draft.steps[id];
        let (true, Some(start)) = (step.needs.is_empty() && step.start > begin, step.start) else { continue };
        let ended =
            draft.steps.entries().filter(|(other, step)| *other != id && step.end.is_some_and(|end| end <= start));
        let last = ended.max_by_key(|(other, step)| (step.end, *other)).map(|(other, _)| other);
        draft.steps[id].after.extend(last);
    }
}

/// Finds the end of each step among the times of `--> id`.
fn ends(
    draft: &mut Draft,
    by_number: &HashMap<(u32, u32), DraftId>,
    numbers: &Indexed<DraftId, (u32, u32)>,
    mut done: Vec<Instant>,
    commit: Option<DraftId>,
) {
    for (id, &(stage, number)) in numbers.entries() {
        let before = number.checked_sub(1).and_then(|before| by_number.get(&(stage, before)).copied());
        let (Some(before), Some(at)) = (before, draft.steps[id].start) else { continue };
        // FROM and instructions without a layer have no such line. They end when their successor starts.
        let layered = draft.steps[before].instruction.adds_layer();
        let known =
            done.iter().rposition(|&end| end <= at && Some(end) >= draft.steps[before].start).filter(|_| layered);
        draft.steps[before].end = Some(known.map_or(at, |known| done.remove(known)));
    }
    let commit_start = commit.and_then(|id| draft.steps[id].start);
    let mut open: Vec<DraftId> = draft.steps.indices().filter(|&id| draft.steps[id].end.is_none()).collect();
    open.sort_by_key(|&id| draft.steps[id].start);
    for id in open {
        let next = done.iter().position(|&end| Some(end) >= draft.steps[id].start);
        let end = next.map(|next| done.remove(next));
        draft.steps[id].end = end.or(commit_start).or(draft.end).or(draft.steps[id].start);
    }
}

/// Starts each step after its dependencies, even if it was announced before their end.
fn work(draft: &mut Draft) {
    for id in draft.steps.indices() {
        let needs = draft.steps[id].needs.iter().filter_map(|&need| draft.steps[need].end);
        let free = needs.max();
        let step = &mut draft.steps[id];
        let (Some(start), Some(end)) = (step.start, step.end) else { continue };
        let began = free.map_or(start, |free| start.max(free.min(end)));
        step.start = Some(began);
        step.spans.push(DraftSpan::new(names::phase(&step.instruction, &step.text), began, end));
    }
}
