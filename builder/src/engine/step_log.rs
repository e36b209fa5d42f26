//! Passes a step's output to the progress view, and keeps the last lines for the error and the record.

use super::{Event, Progress};
use buildscope_record::StepId;
use buildscope_sandbox::{LogLine, LogSink, Stream};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Number of lines that are kept: enough to see why a compiler failed, few enough to read.
const LINES: usize = 20;
/// Number of bytes of a line that are kept.
const WIDTH: usize = 400;

/// The sink of one step.
pub(super) struct StepLog {
    step: StepId,
    begin: Instant,
    progress: Arc<dyn Progress>,
    /// The unfinished line of each stream.
    begun: [Vec<u8>; 2],
    tail: Tail,
}

/// The last lines of a step. They stay readable after the sink is dropped.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl StepLog {
    pub(super) fn new(step: StepId, progress: Arc<dyn Progress>) -> Self {
        Self { step, begin: Instant::now(), progress, begun: Default::default(), tail: Tail::default() }
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail.clone()
    }
}

impl LogSink for StepLog {
    fn line(&mut self, line: LogLine<'_>) {
        let begun = match line.stream {
            Stream::Stdout => &mut self.begun[0],
            Stream::Stderr => &mut self.begun[1],
        };
        // Pieces of a very long line are passed on as lines, so memory stays bounded.
        self.tail.piece(begun, line.text, line.ended);
        let at = line.at.saturating_duration_since(self.begin);
        self.progress.event(Event::Line { step: self.step, stream: line.stream, at, line: line.text.to_vec() });
    }
}

impl Tail {
    /// The last lines, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }

    fn piece(&self, begun: &mut Vec<u8>, text: &[u8], ended: bool) {
        let room = WIDTH.saturating_sub(begun.len());
        begun.extend_from_slice(&text[..text.len().min(room)]);
        if ended {
            let mut lines = self.0.lock();
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(begun).into_owned());
            begun.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let mut log = StepLog::new(StepId(0), Arc::new(()));
        let tail = log.tail();
        let mut say = |text: &[u8], ended| {
            log.line(LogLine { stream: Stream::Stdout, at: Instant::now(), text, ended });
        };
        (0..30).for_each(|i| say(format!("line {i}").as_bytes(), true));
        say(&[b'x'; 300], false);
        say(&[b'y'; 300], true);
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (20, "line 11"));
        assert_eq!(lines[19], format!("{}{}", "x".repeat(300), "y".repeat(100)));
    }
}
