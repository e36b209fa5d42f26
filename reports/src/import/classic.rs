//! The log of the classic builder: one step after the other, each with a line when its container starts and one when it ends.

use super::draft::{Draft, DraftSpan, DraftStep};
use super::instant::Instant;
use super::log::{Log, LogLine};
use super::marks::{
    self,
    classic::{fails, removed, step, triggers},
};
use super::mixed::{self, classic::ClassicState};
use super::output::LineTime;
use super::{guess, names};
use buildscope_record::{Fidelity, Instruction, Outcome, Phase, Policy, Tool};

/// Reads the builds of a log.
pub(crate) fn builds(log: &Log, files: &[Vec<String>]) -> Vec<Draft> {
    let streams = log.streams(|text| step(text.trim_start()).is_some_and(|(number, ..)| number == 1));
    let streams = streams.into_iter().flat_map(|stream| mixed::separated::<ClassicState>(stream, files));
    streams.flat_map(|stream| stream.noted(|lines| of_stream(lines, log.dated))).collect()
}

/// The builds of a stream, one after the other.
fn of_stream(lines: &[&LogLine], dated: bool) -> Vec<Draft> {
    let mut builds = Vec::new();
    let mut reader = ClassicReader::default();
    for line in lines {
        let first =
            step(line.text.trim_start()).is_some_and(|(number, ..)| number == 1 || reader.done || reader.failed);
        if first && !reader.steps.is_empty() {
            builds.extend(std::mem::take(&mut reader).finish(dated));
        }
        reader.line(line);
    }
    builds.extend(reader.finish(dated));
    builds
}

/// A step with the times of its lines.
struct OpenStep {
    step: DraftStep,
    began: Option<Instant>,
    running: Option<Instant>,
    removed: Option<Instant>,
    seen: Option<Instant>,
}

/// The lines of one build that were read so far.
#[derive(Default)]
struct ClassicReader {
    steps: Vec<DraftStep>,
    open: Option<OpenStep>,
    /// The base image, while its ONBUILD instructions are executed.
    base: Option<String>,
    stage: String,
    stages: u32,
    /// The number of the first line of the build.
    first: Option<usize>,
    /// The time at which the client started to send the context.
    sending: Option<Instant>,
    built: Option<Instant>,
    tagged: Option<Instant>,
    /// Whether the image was built.
    done: bool,
    /// Whether a line of another builder came after that.
    left: bool,
    failed: bool,
}

impl ClassicReader {
    fn line(&mut self, line: &LogLine) {
        let (at, words) = (line.at, line.text.trim_start());
        if let Some((number, of, text)) = step(words).filter(|&(number, of, _)| self.follows(number, of)) {
            return self.step(line, number, of, text);
        }
        if words.starts_with("Sending build context to Docker daemon") && self.steps.is_empty() && self.open.is_none() {
            self.sending = self.sending.or(at);
            return;
        }
        if self.done && !self.left {
            // A line of another builder ends the list of tags.
            self.left = marks::find(words).is_some();
            if words.starts_with("Successfully tagged") {
                self.tagged = at;
            }
        }
        if triggers(words) && self.is_at_base() {
            self.base = self.open.as_ref().map(|open| open.step.text.clone());
            return self.close(at);
        }
        self.trigger(at, words);
        let Some(current) = &mut self.open else { return };
        current.seen = at.or(current.seen);
        if words.starts_with("---> Running in") {
            current.running = at;
        } else if words.starts_with("---> Using cache") {
            current.step.outcome = Some(Outcome::Cached);
        } else if removed(words).is_some() {
            current.removed = at;
        } else if words.starts_with("Successfully built") {
            (self.built, self.done) = (at, true);
            self.close(at);
        } else if fails(words) {
            current.step.outcome = Some(Outcome::Failed);
            current.step.error = Some(words.to_owned());
            self.close(at);
        } else if !words.starts_with("--->") && !words.is_empty() {
            if let Some(at) = at {
                current.step.output.line(LineTime::At(at), words);
            }
            current.step.log.push(words.to_owned());
        }
    }

    /// Whether a line for a step with this number may come next. Otherwise a step printed it.
    fn follows(&self, number: u32, of: u32) -> bool {
        let last = self.open.as_ref().map(|open| &open.step).or(self.steps.last());
        last.and_then(|step| step.number).is_none_or(|(before, all)| all == of && number > before)
    }

    fn is_at_base(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.step.instruction == Instruction::From && open.running.is_none())
    }

    /// Begins the step of an ONBUILD instruction of the base image. The log has its container, but not its text. One without a container,
    /// such as COPY, has no line.
    fn trigger(&mut self, at: Option<Instant>, words: &str) {
        let begins = words.starts_with("---> Running in") || words.starts_with("---> Using cache");
        let Some(base) = self.base.clone().filter(|_| begins) else { return };
        let image = names::sources(&Instruction::From, &base).into_iter().next().unwrap_or_default();
        let number = self.steps.last().and_then(|step| step.number);
        self.close(at);
        let step = DraftStep {
            stage: Some(self.stage.clone()),
            number,
            instruction: Instruction::Onbuild,
            text: names::trigger(&image),
            start: at,
            ..DraftStep::default()
        };
        self.open = Some(OpenStep { step, began: at, running: None, removed: None, seen: at });
    }

    fn step(&mut self, line: &LogLine, number: u32, of: u32, text: &str) {
        self.close(line.at);
        self.base = None;
        self.first = self.first.or(Some(line.number));
        let instruction = names::instruction(text);
        if instruction == Instruction::From {
            let name = text.split_whitespace().rev().nth(1).filter(|word| word.eq_ignore_ascii_case("as"));
            let last = name.and_then(|_| text.split_whitespace().last());
            self.stage = last.map_or_else(|| self.stages.to_string(), str::to_owned);
            self.stages += 1;
        }
        let (stage, number) = (Some(self.stage.clone()), Some((number, of)));
        let step =
            DraftStep { stage, number, instruction, text: text.to_owned(), start: line.at, ..DraftStep::default() };
        self.open = Some(OpenStep { step, began: line.at, running: None, removed: None, seen: line.at });
    }

    /// Ends a step at the next line that does not belong to it. The lines of its container divide it into three phases.
    fn close(&mut self, at: Option<Instant>) {
        let Some(OpenStep { mut step, began, running, removed, .. }) = self.open.take() else { return };
        step.outcome = step.outcome.or(Some(Outcome::Executed));
        self.failed |= step.outcome == Some(Outcome::Failed);
        if let (Some(began), Some(end)) = (began, at) {
            step.end = Some(end);
            let cached = step.outcome == Some(Outcome::Cached);
            let whole = match step.instruction {
                _ if cached => Phase::CacheLookup,
                Instruction::Onbuild if running.is_some() => Phase::Process,
                _ => names::phase(&step.instruction, &step.text),
            };
            let mut span = |phase, start, end| step.spans.push(DraftSpan::new(phase, start, end));
            match (running, removed) {
                (Some(running), Some(removed)) => {
                    span(Phase::SandboxSetup, began, running);
                    span(whole, running, removed);
                    span(Phase::Commit, removed, end);
                }
                (Some(running), None) => {
                    span(Phase::SandboxSetup, began, running);
                    span(whole, running, end);
                }
                _ => span(whole, began, end),
            }
        }
        self.steps.push(step);
    }

    fn finish(mut self, dated: bool) -> Option<Draft> {
        let mut draft = Draft::new(Tool::DockerClassic, Fidelity::default());
        draft.options.policy = Some(Policy::Serial);
        draft.options.jobs = Some(1);
        draft.line = self.first?;
        if let Some(last) = &mut self.open {
            // Without a last line the step was still running when the log ended.
            draft.unfinished = true;
            last.step.outcome = last.step.outcome.or(Some(Outcome::Cancelled));
            let seen = last.seen;
            self.close(seen);
        }
        let (first, built, tagged) = (self.steps.first().and_then(|step| step.start), self.built, self.tagged);
        if let (Some(sending), Some(first)) = (self.sending, first) {
            draft.spans.push(DraftSpan::new(Phase::ContextScan, sending, first).named("sending build context"));
        }
        if let (Some(built), Some(tagged)) = (built, tagged) {
            draft.spans.push(DraftSpan::new(Phase::Export, built, tagged).named("tagging"));
        }
        draft.failed = self.failed;
        draft.unfinished &= !draft.failed;
        draft.steps = self.steps.into();
        let timed = draft.steps.iter().any(|step| step.start.is_some());
        draft.source.fidelity = Fidelity { starts: timed, ..Fidelity::default() };
        draft.dated = timed && dated;
        if !timed {
            draft.notes.push(
                "the classic builder's log has no times: give each line its time, as in `docker build . 2>&1 | ts '%.s'`, \
                 or build with BuildKit (`DOCKER_BUILDKIT=1`, `--progress=plain`)"
                    .to_owned(),
            );
        }
        guess::guess_needs(&mut draft);
        guess::in_turn(&mut draft);
        Some(draft)
    }
}
