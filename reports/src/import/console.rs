//! The display of BuildKit and compose on a terminal, as people copy it: `[+] Building 7.9s (8/8) FINISHED` and lines such as ` => [2/3]
//! RUN make   1.3s`.

use super::draft::Draft;
use super::duration::duration;
use super::log::Log;
use super::marks::plain::{is_name, offset};
use super::vertices::{Printed, draft};
use buildscope_record::Outcome;
use std::collections::HashMap;

/// Reads the builds of a log. Of a display that is drawn repeatedly, the last state counts.
pub(crate) fn builds(log: &Log) -> Vec<Draft> {
    let mut builds = Vec::new();
    let mut screen = Screen::default();
    for line in &log.lines {
        let text = line.text.trim();
        if text.starts_with("[+] Building ") && screen.finished {
            builds.extend(std::mem::take(&mut screen).draft());
        }
        screen.first = screen.first.or_else(|| text.starts_with("[+] ").then_some(line.number));
        screen.line(text);
        if screen.first.is_none() && !screen.vertices.is_empty() {
            screen.first = Some(line.number);
        }
    }
    builds.extend(screen.draft());
    builds
}

/// The most lines into which a line is broken, less two.
const MOST_BROKEN: usize = 4;

#[derive(Default)]
struct Screen {
    vertices: Vec<Printed>,
    indices: HashMap<String, usize>,
    first: Option<usize>,
    total: Option<i128>,
    /// The number of vertices that are done, as the head of the display says.
    done: Option<usize>,
    finished: bool,
    last: Option<usize>,
    /// A line without a time, and how many lines may go on with it so far.
    broken: Option<(String, usize)>,
    /// The failed vertex whose output the client repeats after the display.
    repeated: Option<usize>,
}

impl Screen {
    fn line(&mut self, text: &str) {
        if let Some((begin, count)) = self.broken.take()
            && count < MOST_BROKEN
            && !["=>", "[+]", "---"].iter().any(|start| text.starts_with(start))
        {
            let whole = format!("{begin} {text}");
            if whole.split_whitespace().last().and_then(duration).is_some() {
                return self.line(&whole);
            }
            self.broken = Some((whole, count + 1));
        }
        if let Some(rest) = text.strip_prefix("[+] Building ") {
            let mut words = rest.split_whitespace();
            self.total = words.next().and_then(duration).max(self.total);
            for word in words {
                let ratio = word.strip_prefix('(').and_then(|word| word.split_once('/'));
                self.done = ratio.and_then(|(done, _)| done.parse().ok()).or(self.done);
                self.finished |= word == "FINISHED" || word == "done";
            }
            return;
        }
        let Some(rest) = text.strip_prefix("=> ") else { return self.after(text) };
        if let Some(output) = rest.trim_start().strip_prefix("=> # ") {
            if let Some(last) = self.last {
                self.vertices[last].log.push(output.to_owned());
            }
            return;
        }
        let timed = rest.trim().rsplit_once(char::is_whitespace).and_then(|(name, took)| Some((name, duration(took)?)));
        let Some((name, took)) = timed.filter(|_| !rest.starts_with("=>")) else {
            // A mail breaks long lines: the time is in the next one.
            self.broken = Some((text.to_owned(), 0));
            return;
        };
        let name = name.trim();
        let (outcome, name) = match name.split_once(' ') {
            Some(("CACHED", name)) => (Some(Outcome::Cached), name),
            Some(("ERROR", name)) => (Some(Outcome::Failed), name),
            Some(("CANCELED", name)) => (Some(Outcome::Cancelled), name),
            _ => (None, name),
        };
        let name = name.trim().to_owned();
        let next = self.vertices.len();
        let index = *self.indices.entry(name.clone()).or_insert(next);
        if index == next {
            self.vertices.push(Printed { name, ..Printed::default() });
        }
        let vertex = &mut self.vertices[index];
        (vertex.took, vertex.outcome) = (Some(took), outcome.or(Some(Outcome::Executed)));
        self.last = Some(index);
    }

    /// Reads a line after the display: the output of the failed vertex between two rules, and the client's message.
    fn after(&mut self, text: &str) {
        if let Some(name) = text.strip_prefix("> ").and_then(|name| name.strip_suffix(':')) {
            self.repeated = self.indices.get(name).copied();
        } else if text.starts_with("------") {
            self.repeated = None;
        } else if let Some(repeated) = self.repeated {
            let output = offset(text).map_or(text, |(_, output)| output);
            self.vertices[repeated].log.push(output.to_owned());
        } else if let Some(reason) = reason(text) {
            let failed = self.vertices.iter_mut().rfind(|vertex| vertex.outcome == Some(Outcome::Failed));
            if let Some(failed) = failed {
                failed.error = Some(reason.to_owned());
            }
        }
    }

    /// Lets the vertices run that are not done: the head of the display has the number of those that are. Of the others, the ones whose
    /// output is shown run, and those that were shown last.
    fn mark_running(&mut self) {
        let ended = |vertex: &Printed| matches!(vertex.outcome, Some(Outcome::Executed));
        let Some(done) = self.done.filter(|_| !self.finished) else { return };
        let count = self.vertices.len().saturating_sub(done);
        let mut open: Vec<usize> = (0..self.vertices.len()).filter(|&index| ended(&self.vertices[index])).collect();
        open.sort_by_key(|&index| (self.vertices[index].log.is_empty(), std::cmp::Reverse(index)));
        open.into_iter().take(count).for_each(|index| self.vertices[index].outcome = None);
    }

    fn draft(mut self) -> Option<Draft> {
        self.mark_running();
        if !self.vertices.iter().any(|vertex| is_name(&vertex.name)) {
            return None;
        }
        let failed = self.vertices.iter().any(|vertex| vertex.outcome == Some(Outcome::Failed));
        let mut draft = draft(self.vertices, None, 0);
        draft.unfinished = !self.finished && !failed && self.total.is_some();
        if let Some(total) = self.total {
            draft.saw(0);
            draft.saw(total);
        }
        draft.line = self.first.unwrap_or(0);
        Some(draft)
    }
}

/// The reason in a client's message that the build failed, also with the name of the front end, as clients before 2021 write it.
fn reason(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("failed to solve")?;
    let rest = rest.strip_prefix(" with frontend dockerfile.v0").unwrap_or(rest);
    rest.strip_prefix(": ")
}
