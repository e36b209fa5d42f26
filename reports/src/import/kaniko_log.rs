//! kaniko's own log: `INFO[0031] RUN make`, one message after the other, with whole seconds since the start in the brackets.
//!
//! A message starts a phase, which lasts until the next message. A message that is an instruction starts a step.

use super::draft::{Draft, DraftSpan, DraftStep};
use super::instant::{Instant, SECOND};
use super::log::{Log, LogLine, stamp};
use super::marks::kaniko::{instruction, level};
use super::{guess, names};
use buildscope_record::{Fidelity, Instruction, Outcome, Phase, Policy, Tool};
use std::collections::HashSet;

/// Reads the builds of a log.
pub(crate) fn builds(log: &Log) -> Vec<Draft> {
    let mut builds = Vec::new();
    for stream in log.streams(|text| text.contains("Retrieving image manifest")) {
        // Without levels (a log in JSON), every line may be a message.
        let levels = stream.iter().any(|line| level(&line.text).is_some());
        let timed = stream.iter().any(|line| line.at.is_some());
        let mut reader = KanikoReader::default();
        for line in stream {
            let (written, message) = match level(&line.text) {
                Some(found) => found,
                None if levels => ("", ""),
                None => ("", line.text.as_str()),
            };
            let at = if timed { line.at } else { time(written) };
            if reader.is_over(at, message) {
                builds.extend(std::mem::take(&mut reader).finish(log.dated && timed));
            }
            if message.is_empty() {
                reader.output(line, at);
            } else {
                reader.message(line, at, message);
            }
        }
        builds.extend(reader.finish(log.dated && timed));
    }
    builds
}

/// The time in the brackets: seconds since the start, or a time with `--log-timestamp`.
fn time(written: &str) -> Option<Instant> {
    let seconds = written.parse::<u32>().ok().map(|seconds| Instant::from(seconds) * SECOND);
    seconds.or_else(|| stamp::whole(written).map(|stamp| stamp.at))
}

/// The progress of the open step, by kaniko's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// The instruction was announced, or its process runs.
    #[default]
    Works,
    /// The next snapshot is of the files before the step.
    Initializes,
    /// The snapshot after the step was taken, or is not needed: kaniko prints no more about the step.
    Done,
}

impl Progress {
    fn message(self, message: &str) -> Self {
        let starts = |words: &[&str]| words.iter().any(|start| message.starts_with(start));
        if starts(&["Initializing snapshotter"]) {
            Self::Initializes
        } else if starts(&["Taking snapshot"]) {
            if self == Self::Initializes { Self::Works } else { Self::Done }
        } else if starts(&["No files", "Found cached layer"]) {
            Self::Done
        } else if starts(&["Running: [", "Cmd: ", "cmd: "]) {
            Self::Works
        } else {
            self
        }
    }
}

/// The layers that kaniko pushes to its cache while it builds. It says so with the words for a whole image.
#[derive(Default)]
struct CachePushes {
    references: HashSet<String>,
    /// The number of pushes that have not ended.
    pushing: usize,
}

impl CachePushes {
    /// Reads a message if it is about the cache. Returns whether it is.
    fn message(&mut self, message: &str) -> bool {
        if let Some(reference) =
            message.strip_prefix("Pushing layer ").and_then(|rest| rest.strip_suffix(" to cache now"))
        {
            self.pushing += 1;
            self.references.insert(reference.to_owned());
            return true;
        }
        if let Some(reference) = message.strip_prefix("Pushing image to ") {
            return self.references.contains(reference);
        }
        let Some(reference) = message.strip_prefix("Pushed ") else { return false };
        // The reference with its digest in place of its tag.
        let name = reference.split_once('@').map_or(reference, |(name, _)| name);
        let pushed = self.pushing > 0
            && self.references.iter().any(|known| known.rsplit_once(':').is_some_and(|(known, _)| known == name));
        self.pushing -= usize::from(pushed);
        pushed
    }
}

/// The lines of one build that were read so far.
#[derive(Default)]
struct KanikoReader {
    steps: Vec<DraftStep>,
    spans: Vec<DraftSpan>,
    /// The current phase, its start, and its message.
    phase: Option<(Phase, Instant, String)>,
    first: Option<usize>,
    begin: Option<Instant>,
    /// The time of the last message, and of the last line of any kind.
    last: Option<Instant>,
    seen: Option<Instant>,
    stage: Option<String>,
    stages: usize,
    /// The instructions whose results were found in the cache.
    cached: HashSet<String>,
    /// Whether a step is open: its phases are those of the step.
    open: bool,
    /// The progress of the open step.
    progress: Progress,
    /// Whether files are kept for another stage that has not started yet.
    saved: bool,
    cache: CachePushes,
    /// Whether this version of kaniko says what it does with the result: versions that announce stages do.
    tells_end: bool,
    pushed: bool,
    /// The words in which kaniko failed.
    failed: Option<String>,
    /// Whether the last message ends the build.
    finished: bool,
}

impl KanikoReader {
    fn is_over(&self, at: Option<Instant>, message: &str) -> bool {
        let back = matches!((self.last, at), (Some(last), Some(at)) if at < last) && !self.steps.is_empty();
        let first = message.starts_with("Retrieving image manifest") || message.starts_with("Resolved base name");
        first && (back || self.pushed || self.failed.is_some())
    }

    fn output(&mut self, line: &LogLine, at: Option<Instant>) {
        self.seen = at.filter(|_| self.first.is_some()).max(self.seen);
        let text = line.text.trim();
        if is_fatal(text) {
            self.fail(text);
        } else if let Some(step) = self.steps.last_mut().filter(|_| self.open && !text.is_empty()) {
            step.log.push(text.to_owned());
        }
    }

    fn fail(&mut self, text: &str) {
        self.failed.get_or_insert_with(|| text.to_owned());
        if let Some(step) = self.steps.last_mut().filter(|_| self.open) {
            (step.outcome, step.error) = (Some(Outcome::Failed), Some(text.to_owned()));
        }
    }

    fn message(&mut self, line: &LogLine, at: Option<Instant>, message: &str) {
        self.first = self.first.or(Some(line.number));
        self.begin = self.begin.or(at);
        if self.cache.message(message) {
            self.last = at.max(self.last);
            return;
        }
        self.phase_ends(at);
        self.last = at.max(self.last);
        if is_fatal(message) {
            return self.fail(message);
        }
        if let Some(text) = message.strip_prefix("Using caching version of cmd: ") {
            self.cached.insert(text.trim().to_owned());
        }
        self.progress = self.progress.message(message);
        self.saved = match message {
            _ if message.starts_with("Saving file") => true,
            _ if message.starts_with("Building stage '") || message.starts_with("Executing ") => false,
            _ => self.saved,
        };
        self.tells_end |= message.starts_with("Building stage '");
        if ["Building stage '", "Deleting filesystem", "Pushing image"].iter().any(|start| message.starts_with(start)) {
            self.close(at);
            self.stage = None;
        }
        if message.starts_with("Found cached layer")
            && let Some(step) = self.steps.last_mut().filter(|_| self.open)
        {
            step.outcome = Some(Outcome::Cached);
        }
        self.pushed |= message.starts_with("Pushing image") || message.starts_with("Pushed ");
        self.finished |= self.pushed || message.starts_with("Skipping push");
        if instruction(message) {
            self.close(at);
            self.step(at, message);
        }
        // After a step without files kaniko prints nothing more, but may wait for the cache.
        let waits = message.starts_with("No files") && self.cache.pushing > 0;
        if waits {
            self.close(at);
        }
        if let Some(at) = at {
            let phase = if waits { Phase::Push } else { phase(message) };
            self.phase = Some((phase, at, message.to_owned()));
        }
    }

    fn step(&mut self, at: Option<Instant>, text: &str) {
        let stages = &mut self.stages;
        let stage = self.stage.get_or_insert_with(|| {
            *stages += 1;
            (*stages - 1).to_string()
        });
        let outcome = if self.cached.contains(text) { Outcome::Cached } else { Outcome::Executed };
        self.steps.push(DraftStep {
            stage: Some(stage.clone()),
            number: u32::try_from(self.steps.len()).ok().map(|index| (index + 1, 0)),
            instruction: names::instruction(text),
            text: text.to_owned(),
            outcome: Some(outcome),
            start: at,
            ..DraftStep::default()
        });
        (self.open, self.progress, self.saved) = (true, Progress::default(), false);
    }

    /// Ends the phase that lasted until this message.
    fn phase_ends(&mut self, at: Option<Instant>) {
        let (Some((phase, start, message)), Some(end)) = (self.phase.take(), at) else { return };
        let span = DraftSpan::new(phase, start, end).named(message);
        match self.steps.last_mut().filter(|_| self.open) {
            Some(step) => {
                let whole = phase == Phase::Dispatch;
                let own = names::phase(&step.instruction, &step.text);
                step.spans.push(if whole { DraftSpan { phase: own, ..span } } else { span });
            }
            None => self.spans.push(span),
        }
    }

    /// Ends the step at the next message that does not belong to it.
    fn close(&mut self, at: Option<Instant>) {
        if std::mem::take(&mut self.open)
            && let Some(step) = self.steps.last_mut()
        {
            step.end = at.filter(|_| step.start.is_some());
        }
    }

    /// Whether the last step is still running: a snapshot follows every process and every copy. An instruction that only changes the
    /// configuration has no other message than its own.
    fn is_running(&self) -> bool {
        let changes = |step: &DraftStep| step.instruction == Instruction::Run || step.instruction.copies();
        self.open
            && self.progress != Progress::Done
            && self.steps.last().is_some_and(|step| changes(step) && step.outcome == Some(Outcome::Executed))
    }

    fn finish(mut self, dated: bool) -> Option<Draft> {
        let mut draft = Draft::new(Tool::Kaniko, Fidelity::default());
        draft.line = self.first?;
        let running = self.is_running();
        draft.unfinished = (running || self.saved || self.tells_end) && self.failed.is_none() && !self.finished;
        let last = if draft.unfinished { self.last.max(self.seen) } else { self.last };
        self.phase_ends(last);
        if draft.unfinished
            && running
            && let Some(step) = self.steps.last_mut()
        {
            step.outcome = Some(Outcome::Cancelled);
        }
        self.close(last);
        draft.options.policy = Some(Policy::Serial);
        draft.options.jobs = Some(1);
        draft.failed = self.failed.is_some();
        let timed = last.is_some();
        draft.dated = timed && dated;
        draft.source.fidelity = Fidelity { starts: timed, phases: timed, ..Fidelity::default() };
        [self.begin, last].into_iter().flatten().for_each(|at| draft.saw(at));
        (draft.steps, draft.spans) = (self.steps.into(), self.spans);
        guess::guess_needs(&mut draft);
        guess::in_turn(&mut draft);
        draft.fails_outside_of_steps(self.failed.as_deref().unwrap_or_default());
        Some(draft)
    }
}

/// Whether a text is the error with which kaniko ends.
fn is_fatal(text: &str) -> bool {
    const STARTS: [&str; 8] = [
        "error building image:",
        "error building stage:",
        "error pushing image:",
        "error checking push permissions",
        "error resolving dockerfile path:",
        "error resolving source context:",
        "error getting source context:",
        "failed to push to destination ",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
}

/// The phase that starts with a message. A message that is an instruction starts the phase of its kind.
fn phase(message: &str) -> Phase {
    let has = |word: &str| message.starts_with(word);
    if has("Taking snapshot") || has("Initializing snapshotter") {
        Phase::Diff
    } else if has("Unpacking rootfs") || has("Found cached layer") || has("Extracting") {
        Phase::Unpack
    } else if has("Running: [") {
        Phase::Process
    } else if has("Pushing") {
        Phase::Push
    } else if has("Retrieving image") || has("Downloading") || has("Returning cached image") {
        Phase::Pull
    } else if has("Resolved base name")
        || has("Using dockerignore")
        || has("Built cross stage")
        || has("Building stage")
    {
        Phase::Lower
    } else if has("Checking for cached layer") || has("No cached layer") || has("Using caching version") {
        Phase::CacheLookup
    } else if has("Saving file") || has("Storing source image") || has("Deleting filesystem") {
        Phase::Commit
    } else if has("Cmd: ") || has("Args: ") || has("cmd: ") || has("args: ") || has("Util.Lookup") {
        Phase::SandboxSetup
    } else {
        Phase::Dispatch
    }
}
