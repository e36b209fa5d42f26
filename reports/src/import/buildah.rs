//! The log of buildah. Steps of several stages run at once, and each is announced. The line for a finished step (`--> id`) does not
//! name the step.
//!
//! A step is announced before it waits for other stages. Which step a `--> id` ends is inferred: the one whose successor in its stage
//! is announced next. The remaining lines belong to the last steps of the stages.

use super::draft::{Draft, DraftSpan, DraftStep, Instant};
use super::lines::lines;
use super::names::{self, INTERNAL};
use buildscope_record::{Fidelity, Outcome, Tool};
use std::collections::HashMap;

/// Parses `[2/5] STEP 3/4: COPY b .`, or the form without a stage if there is only one, as (stage, step, steps, text).
pub(crate) fn step(line: &str) -> Option<(u32, u32, u32, &str)> {
    let (stage, rest) = match line.strip_prefix('[') {
        Some(rest) => {
            let (numbers, rest) = rest.split_once("] ")?;
            (numbers.split_once('/')?.0.parse().ok()?, rest)
        }
        None => (1, line),
    };
    let (numbers, text) = rest.strip_prefix("STEP ")?.split_once(':')?;
    let (at, of) = numbers.trim().split_once('/').unwrap_or((numbers, "0"));
    Some((stage, at.trim().parse().ok()?, of.trim().parse().ok()?, text.trim()))
}

/// Reads the log.
pub(crate) fn read(text: &str) -> Draft {
    let mut reader = Reader::new();
    for line in lines(text) {
        line.at.into_iter().for_each(|at| reader.draft.saw(at));
        reader.line(line.at, line.text.trim_start());
    }
    reader.finish()
}

/// What was read of the log so far. Steps are known by their index in the draft.
struct Reader {
    draft: Draft,
    /// Steps by stage and number.
    steps: HashMap<(u32, u32), usize>,
    /// Names of stages by number.
    names: HashMap<u32, String>,
    /// Stage and number of each step, in the order of the log.
    numbers: Vec<(u32, u32)>,
    /// When steps ended.
    done: Vec<Instant>,
    /// When parts of the commit ended.
    committed: Vec<Instant>,
    commit: Option<usize>,
    last: Option<usize>,
}

impl Reader {
    fn new() -> Self {
        Self {
            draft: Draft::new(Tool::Buildah, Fidelity::default()),
            steps: HashMap::new(),
            names: HashMap::new(),
            numbers: Vec::new(),
            done: Vec::new(),
            committed: Vec::new(),
            commit: None,
            last: None,
        }
    }

    fn line(&mut self, at: Option<Instant>, words: &str) {
        if let Some((stage, number, of, text)) = step(words) {
            self.step(at, (stage, number), of, text);
        } else if words.starts_with("--> Using cache") {
            if let Some(last) = self.last {
                self.draft.steps[last].outcome = Some(Outcome::Cached);
            }
        } else if let Some(rest) = words.strip_prefix("--> ") {
            let done = if self.commit.is_some() { &mut self.committed } else { &mut self.done };
            done.extend(at.filter(|_| !rest.is_empty()));
        } else if without_numbers(words).starts_with("COMMIT") {
            self.commit(at, without_numbers(words));
        } else if words.starts_with("Error:") || words.starts_with("error building") {
            self.draft.failed = true;
            if let Some(last) = self.last {
                self.draft.steps[last].outcome = Some(Outcome::Failed);
                self.draft.steps[last].error = Some(words.to_owned());
            }
        }
    }

    fn step(&mut self, at: Option<Instant>, (stage, number): (u32, u32), of: u32, text: &str) {
        let instruction = names::keyword(text);
        if instruction == "FROM" {
            let named = text.split_whitespace().rev().nth(1).is_some_and(|word| word.eq_ignore_ascii_case("as"));
            let name = text.split_whitespace().last().filter(|_| named).map_or_else(|| unnamed(stage), str::to_owned);
            self.names.insert(stage, name);
        }
        let stage_name = self.names.entry(stage).or_insert_with(|| unnamed(stage)).clone();
        let index = self.draft.steps.len();
        self.steps.insert((stage, number), index);
        self.numbers.push((stage, number));
        self.last = Some(index);
        self.draft.steps.push(DraftStep {
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
    }

    fn commit(&mut self, at: Option<Instant>, text: &str) {
        self.commit = Some(self.draft.steps.len());
        self.numbers.push((u32::MAX, 0));
        self.draft.steps.push(DraftStep {
            instruction: INTERNAL.into(),
            text: text.to_owned(),
            outcome: Some(Outcome::Executed),
            start: at,
            ..DraftStep::default()
        });
    }

    fn finish(self) -> Draft {
        let Self { mut draft, steps, numbers, done, committed, commit, .. } = self;
        if let Some(commit) = commit {
            draft.steps[commit].end = committed.first().copied().or(draft.end);
        }
        ends(&mut draft, &steps, &numbers, done, commit);
        let timed = draft.steps.iter().any(|step| step.start.is_some());
        draft.source.fidelity = Fidelity { starts: timed, ..Fidelity::default() };
        draft.dated = timed;
        draft.guess_needs();
        if let Some(commit) = commit {
            draft.steps[commit].needs = (0..draft.steps.len()).filter(|&step| step != commit).collect();
        }
        turns(&mut draft);
        work(&mut draft);
        draft
    }
}

/// The name of a stage without `AS`: its index. The log counts stages from 1.
fn unnamed(stage: u32) -> String {
    stage.saturating_sub(1).to_string()
}

/// A line without the numbers of stage and step before its text.
fn without_numbers(words: &str) -> &str {
    words.trim_start_matches(|c: char| "[]/0123456789 ".contains(c))
}

/// A stage that starts late without needing another one waited for its turn (`--jobs`): it came after the stage that ended before.
fn turns(draft: &mut Draft) {
    let begin = draft.begin;
    for index in 0..draft.steps.len() {
        let step = &draft.steps[index];
        let (true, Some(start)) = (step.needs.is_empty() && step.start > begin, step.start) else { continue };
        let ended = draft
            .steps
            .iter()
            .enumerate()
            .filter(|(other, step)| *other != index && step.end.is_some_and(|end| end <= start));
        let last = ended.max_by_key(|(other, step)| (step.end, *other)).map(|(other, _)| other);
        draft.steps[index].after.extend(last);
    }
}

/// Finds the end of each step among the times of `--> id`.
fn ends(
    draft: &mut Draft,
    by_place: &HashMap<(u32, u32), usize>,
    numbers: &[(u32, u32)],
    mut done: Vec<Instant>,
    commit: Option<usize>,
) {
    for (index, &(stage, number)) in numbers.iter().enumerate() {
        let before = number.checked_sub(1).and_then(|before| by_place.get(&(stage, before)).copied());
        let (Some(before), Some(at)) = (before, draft.steps[index].start) else { continue };
        // FROM and instructions without a layer have no such line. They end when their successor starts.
        let layered = matches!(draft.steps[before].instruction.as_str(), "RUN" | "COPY" | "ADD" | "WORKDIR");
        let known =
            done.iter().rposition(|&end| end <= at && Some(end) >= draft.steps[before].start).filter(|_| layered);
        draft.steps[before].end = Some(known.map_or(at, |known| done.remove(known)));
    }
    let commit_start = commit.and_then(|index| draft.steps[index].start);
    let mut open: Vec<usize> = (0..draft.steps.len()).filter(|&index| draft.steps[index].end.is_none()).collect();
    open.sort_by_key(|&index| draft.steps[index].start);
    for index in open {
        let next = done.iter().position(|&end| Some(end) >= draft.steps[index].start);
        let end = next.map(|next| done.remove(next));
        draft.steps[index].end = end.or(commit_start).or(draft.end).or(draft.steps[index].start);
    }
}

/// A step that was announced before its dependencies were done started only after them.
fn work(draft: &mut Draft) {
    for index in 0..draft.steps.len() {
        let needs = draft.steps[index].needs.iter().filter_map(|&need| draft.steps[need].end);
        let free = needs.max();
        let step = &mut draft.steps[index];
        let (Some(start), Some(end)) = (step.start, step.end) else { continue };
        let began = free.map_or(start, |free| start.max(free.min(end)));
        step.start = Some(began);
        step.spans.push(DraftSpan::new(names::phase(&step.instruction, &step.text), began, end));
    }
}
