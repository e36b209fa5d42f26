//! The display of BuildKit and compose on a terminal, as people copy it: `[+] Building 7.9s (8/8) FINISHED` and lines such as ` => [2/3]
//! RUN make   1.3s`.

use super::draft::Draft;
use super::duration::duration;
use super::log::Log;
use super::marks::plain::is_name;
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

#[derive(Default)]
struct Screen {
    vertices: Vec<Printed>,
    indices: HashMap<String, usize>,
    first: Option<usize>,
    total: Option<i128>,
    finished: bool,
    last: Option<usize>,
}

impl Screen {
    fn line(&mut self, text: &str) {
        if let Some(rest) = text.strip_prefix("[+] Building ") {
            let mut words = rest.split_whitespace();
            self.total = words.next().and_then(duration).max(self.total);
            self.finished = words.any(|word| word == "FINISHED" || word == "done");
            return;
        }
        let Some(rest) = text.strip_prefix("=> ") else { return };
        if let Some(output) = rest.trim_start().strip_prefix("=> # ") {
            if let Some(last) = self.last {
                self.vertices[last].log.push(output.to_owned());
            }
            return;
        }
        let Some((name, took)) = rest.trim().rsplit_once(char::is_whitespace) else { return };
        let (Some(took), false) = (duration(took), rest.starts_with("=>")) else { return };
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

    fn draft(self) -> Option<Draft> {
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
