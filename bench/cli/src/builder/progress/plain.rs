//! BuildKit's plain progress: `#7 [build 3/5] RUN make`, `#7 0.412 cc -c a.c`, `#7 DONE 1.2s`.
//!
//! Control sequences are shown, not obeyed, also in a file or a pipe: both are often read on a terminal later.

use super::last_state;
use super::moved;
use super::names::PlanNames;
use buildscope_builder::engine::{Event, Progress};
use buildscope_record::{Outcome, StepId};
use buildscope_reports::render::neutralised;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::Write;
use std::time::Instant;

/// Writes each event immediately.
#[derive(Debug)]
pub(super) struct Plain<W>(Mutex<PlainState<W>>);

#[derive(Debug)]
struct PlainState<W> {
    out: W,
    names: PlanNames,
    /// Numbers are assigned in the order of first appearance.
    seen: HashMap<LineSubject, (usize, Instant)>,
    /// The subject of the last line. A different subject repeats its name first.
    current: Option<LineSubject>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum LineSubject {
    Step(StepId),
    Task(String),
}

impl<W: Write> Plain<W> {
    pub(super) fn new(out: W) -> Self {
        Self(Mutex::new(PlainState { out, names: PlanNames::default(), seen: HashMap::new(), current: None }))
    }
}

impl<W: Write + Send> Progress for Plain<W> {
    fn event(&self, event: Event) {
        let mut state = self.0.lock();
        // Progress that cannot be written must not fail the build.
        let _ = state.event(event);
    }
}

impl<W: Write> PlainState<W> {
    fn event(&mut self, event: Event) -> std::io::Result<()> {
        match event {
            Event::Planned(plan) => {
                self.names = PlanNames::of(&plan);
                for warning in super::warnings(&plan) {
                    self.line(&warning)?;
                }
            }
            Event::Warning(warning) => self.line(&format!("warning: {warning}"))?,
            Event::Started(step) => {
                self.turn_to(&LineSubject::Step(step))?;
            }
            Event::Line { step, at, line, .. } => {
                let number = self.turn_to(&LineSubject::Step(step))?;
                let text = String::from_utf8_lossy(&line);
                self.line(&format!("#{number} {:.3} {}", at.as_secs_f64(), last_state(&text)))?;
            }
            Event::Finished { outcome: Outcome::Pruned, .. } => {}
            Event::Finished { step, outcome, error } => {
                let subject = LineSubject::Step(step);
                let number = self.turn_to(&subject)?;
                let seconds = self.seen.get(&subject).map_or(0.0, |seen| seen.1.elapsed().as_secs_f64());
                match outcome {
                    Outcome::Cached | Outcome::Joined => self.line(&format!("#{number} CACHED\n"))?,
                    Outcome::Failed => {
                        self.line(&format!("#{number} ERROR: {}\n", error.unwrap_or_default()))?;
                    }
                    Outcome::Cancelled => self.line(&format!("#{number} CANCELED\n"))?,
                    Outcome::Executed | Outcome::Pruned => self.line(&format!("#{number} DONE {seconds:.1}s\n"))?,
                }
                self.current = None;
            }
            Event::Transfer(moved) => {
                let number = self.turn_to(&LineSubject::Task(moved::title(&moved)))?;
                let end = if moved.current >= moved.total { " done" } else { "" };
                self.line(&format!("#{number} {}{end}", moved::line(&moved)))?;
            }
            Event::Task { name, done } => {
                let subject = LineSubject::Task(name);
                let number = self.turn_to(&subject)?;
                if done {
                    let seconds = self.seen.get(&subject).map_or(0.0, |seen| seen.1.elapsed().as_secs_f64());
                    self.line(&format!("#{number} DONE {seconds:.1}s\n"))?;
                    self.current = None;
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.out, "{}", neutralised(line))
    }

    /// Makes `subject` the writer and returns its number.
    fn turn_to(&mut self, subject: &LineSubject) -> std::io::Result<usize> {
        let next = self.seen.len() + 1;
        let number = self.seen.entry(subject.clone()).or_insert_with(|| (next, Instant::now())).0;
        if self.current.as_ref() != Some(subject) {
            if let Some((left, _)) = self.current.as_ref().and_then(|current| self.seen.get(current)) {
                self.line(&format!("#{left} ...\n"))?;
            }
            let name = match subject {
                LineSubject::Step(step) => self.names.get(*step),
                LineSubject::Task(name) => name,
            };
            let line = format!("#{number} {name}");
            self.line(&line)?;
            self.current = Some(subject.clone());
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_builder::engine::Stream;
    use std::time::Duration;

    #[test]
    fn interleaved_lines_name_their_steps() {
        let plain = Plain::new(Vec::new());
        let line = |step, text: &str| Event::Line {
            step: StepId(step),
            stream: Stream::Stdout,
            at: Duration::from_millis(250),
            line: text.as_bytes().to_vec(),
        };
        let finished =
            |step, outcome| Event::Finished { step: StepId(step), outcome, error: Some("exit code: 7".into()) };
        plain.event(Event::Started(StepId(4)));
        plain.event(Event::Started(StepId(9)));
        plain.event(line(4, "hello"));
        plain.event(finished(4, Outcome::Executed));
        plain.event(finished(9, Outcome::Failed));
        plain.event(finished(2, Outcome::Cached));
        plain.event(finished(3, Outcome::Pruned));
        plain.event(Event::Task { name: "exporting to oci".into(), done: false });
        plain.event(Event::Task { name: "exporting to oci".into(), done: true });
        let state = plain.0.into_inner();
        // There was no plan event, so the steps have no names.
        let expected = "#1 [unknown step]\n#1 ...\n\n#2 [unknown step]\n#2 ...\n\n#1 [unknown step]\n#1 0.250 hello\n#1 DONE 0.0s\n\n\
                        #2 [unknown step]\n#2 ERROR: exit code: 7\n\n#3 [unknown step]\n#3 CACHED\n\n\
                        #4 exporting to oci\n#4 DONE 0.0s\n\n";
        assert_eq!(String::from_utf8(state.out).unwrap(), expected);
    }

    #[test]
    fn control_sequences_are_shown_and_colours_are_kept() {
        let plain = Plain::new(Vec::new());
        let line = b"10%\r20%\x1b]0;title\x07 \x1b[32mgreen\x1b[0m\r".to_vec();
        plain.event(Event::Line { step: StepId(0), stream: Stream::Stdout, at: Duration::ZERO, line });
        let shown = String::from_utf8(plain.0.into_inner().out).unwrap();
        assert!(shown.ends_with("#1 0.000 20%\\u{1b}]0;title\\u{7} \x1b[32mgreen\x1b[0m\n"), "{shown:?}");
    }
}
