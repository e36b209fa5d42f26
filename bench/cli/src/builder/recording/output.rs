//! The lines that the steps print about what their tools do, for the record.
//!
//! *Takes* the events of a build, which it passes on to the view. *Gives* the record the lines with their times. *Must never know* what a
//! line says.

use buildscope_builder::engine::{Event, Progress, Stream};
use buildscope_record::{Nanos, OutputLine, Record, Step, StepId, StepMachine};
use buildscope_reports::inside::TellingLines;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The lines of a build's steps, and the view that shows all of them.
pub(super) struct OutputLines {
    view: Arc<dyn Progress>,
    steps: Mutex<HashMap<StepId, Printed>>,
}

/// What one step has printed.
#[derive(Default)]
struct Printed {
    lines: TellingLines<LineTime>,
    /// When the last lines of standard output and of standard error began. A line of the one that comes within a line of the other begins later.
    last: [Duration; 2],
}

/// When a line came here, and how long after the start of its process it was printed.
#[derive(Clone, Copy)]
struct LineTime {
    came: Instant,
    after: Duration,
}

impl OutputLines {
    pub(super) fn new(view: Arc<dyn Progress>) -> Arc<Self> {
        Arc::new(Self { view, steps: Mutex::default() })
    }

    /// The view, without the lines' being kept.
    pub(super) fn view(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.view)
    }

    /// Gives each step whose processes were observed its lines. Times count from `epoch`.
    pub(super) fn enter(&self, record: &mut Record, epoch: Instant) {
        for (id, printed) in std::mem::take(&mut *self.steps.lock()) {
            let Some(step) = record.steps.get_mut(id.index()) else { continue };
            step.output = lines_of(step, printed, epoch);
        }
    }
}

fn lines_of(step: &Step, printed: Printed, epoch: Instant) -> Vec<OutputLine> {
    let Some(seen) = &step.processes else { return Vec::new() };
    // The output of another machine comes when the step has ended.
    let is_away = step.ran_on.as_ref().is_some_and(StepMachine::is_away);
    let at = |time: LineTime| {
        if is_away { seen.start + nanos(time.after) } else { nanos(time.came.saturating_duration_since(epoch)) }
    };
    printed.lines.into_lines().into_iter().map(|(time, text)| OutputLine { at: at(time), text }).collect()
}

fn nanos(time: Duration) -> Nanos {
    Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl Progress for OutputLines {
    fn event(&self, event: Event) {
        if let Event::Line { step, stream, at, line } = &event {
            let time = LineTime { came: Instant::now(), after: *at };
            let mut steps = self.steps.lock();
            let printed = steps.entry(*step).or_default();
            let number = usize::from(*stream == Stream::Stderr);
            if *at < printed.last[number] {
                // A step that runs again starts from the beginning.
                *printed = Printed::default();
            }
            printed.last[number] = *at;
            for state in String::from_utf8_lossy(line).split('\r') {
                printed.lines.add(time, state);
            }
        }
        self.view.event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ignores the events.
    struct Ignoring;

    impl Progress for Ignoring {
        fn event(&self, _: Event) {}
    }

    fn kept(lines: &[(Stream, u64, &str)]) -> Vec<String> {
        let output = OutputLines::new(Arc::new(Ignoring));
        for &(stream, at, line) in lines {
            output.event(Event::Line { step: StepId(0), stream, at: Duration::from_millis(at), line: line.into() });
        }
        let printed = output.steps.lock().remove(&StepId(0)).unwrap();
        printed.lines.into_lines().into_iter().map(|(_, text)| text).collect()
    }

    /// Maven begins a line of standard output before it prints a warning.
    #[test]
    fn a_line_that_ends_after_one_of_another_stream_is_no_new_run() {
        let (first, second) = ("Unpacking gcc (12) ...", "Setting up gcc (12) ...");
        assert_eq!(kept(&[(Stream::Stderr, 3, first), (Stream::Stdout, 1, second)]), [first, second]);
        assert_eq!(kept(&[(Stream::Stdout, 3, first), (Stream::Stdout, 1, second)]), [second], "it runs again");
    }
}
