//! BuildKit's `--progress=plain`: numbered vertices, durations to a tenth of a second, no edges.
//!
//! The lines of a vertex begin with its number. A number is a vertex only if a line names it: other programs write `#12 text` too.

use super::draft::Draft;
use super::duration::duration;
use super::instant::Instant;
use super::log::{Line, Log, stamp};
use super::marks::plain::{is_name, is_status, numbered, offset};
use super::vertices::{Printed, draft};
use buildscope_record::Outcome;
use std::collections::HashMap;

/// Reads the builds of a log.
pub(crate) fn builds(log: &Log) -> Vec<Draft> {
    let starts = |text: &str| numbered(text.trim_start()).is_some_and(|(number, rest)| number <= 1 && is_name(rest));
    let mut builds = Vec::new();
    for stream in log.streams(starts) {
        let mut build = Build::default();
        for line in stream {
            if build.is_over(&line.text) {
                builds.extend(std::mem::take(&mut build).draft(log));
            }
            build.line(line);
        }
        builds.extend(build.draft(log));
    }
    builds
}

/// What was read of one build so far.
#[derive(Default)]
struct Build {
    vertices: Vec<Vertex>,
    indices: HashMap<u32, usize>,
    /// How many vertices are done.
    done: usize,
    /// Whether the client said that the build failed.
    failed: bool,
    /// The time and the number of the first line, and the time of the last.
    first: Option<usize>,
    last: Option<Instant>,
}

#[derive(Default)]
struct Vertex {
    printed: Printed,
    /// Whether the line that gave the name is surely a name.
    sure: bool,
    /// Whether only BuildKit would write the lines after it.
    known: bool,
}

impl Build {
    /// Whether a line begins another build: it names a vertex that is done by another name, or the first one again.
    fn is_over(&self, text: &str) -> bool {
        let Some((number, rest)) = numbered(text.trim_start()) else { return false };
        if number == 0 {
            return self.done > 0 && rest.starts_with("building with ");
        }
        let Some(vertex) = self.indices.get(&number).map(|&index| &self.vertices[index].printed) else {
            // A new number is the next one. A lower one was passed over, and belongs to a log that starts again.
            return false;
        };
        if !is_name(rest) || vertex.outcome.is_none() || vertex.name.is_empty() {
            return false;
        }
        let other = rest != vertex.name && rest.starts_with('[');
        let again = number == 1 && rest == vertex.name && (self.done > 2 || self.failed);
        other || again
    }

    fn line(&mut self, line: &Line) {
        let text = line.text.trim_start();
        if self.first.is_some() {
            self.last = line.at.or(self.last);
        }
        let Some((number, rest)) = numbered(text).filter(|&(number, _)| number > 0) else {
            if self.first.is_some()
                && (text.starts_with("ERROR: ") || text.starts_with("error: "))
                && text.contains("failed to ")
            {
                self.failed = true;
            }
            return;
        };
        let named = is_name(rest);
        let status = !named && is_status(rest);
        if !named && !status && !self.indices.contains_key(&number) && !self.follows(number) {
            return;
        }
        self.first = self.first.or(Some(line.number));
        self.last = line.at.or(self.last);
        let next = self.vertices.len();
        let index = *self.indices.entry(number).or_insert(next);
        if index == next {
            self.vertices.push(Vertex::default());
        }
        let vertex = &mut self.vertices[index];
        let before = vertex.printed.outcome;
        vertex.known |= status;
        if named || (!status && vertex.printed.name.is_empty()) {
            if vertex.printed.name.is_empty() {
                (vertex.printed.name, vertex.sure) = (rest.to_owned(), named);
            }
            vertex.printed.saw(line.at);
        } else {
            said(&mut vertex.printed, line.at, rest);
        }
        self.done += usize::from(before.is_none() && vertex.printed.outcome.is_some());
    }

    /// Whether a number is the one after those that were named.
    fn follows(&self, number: u32) -> bool {
        self.indices.keys().max().is_some_and(|&last| number == last + 1)
    }

    fn draft(self, log: &Log) -> Option<Draft> {
        let Self { vertices, failed, first, last, .. } = self;
        let named =
            vertices.into_iter().filter(|vertex| !vertex.printed.name.is_empty() && (vertex.sure || vertex.known));
        let printed: Vec<Printed> = named.map(|vertex| vertex.printed).collect();
        let mut draft = (!printed.is_empty()).then(|| draft(printed, last, log.resolution))?;
        draft.dated |= log.dated && draft.source.fidelity.starts;
        draft.failed |= failed;
        draft.unfinished &= !draft.failed;
        draft.line = first.unwrap_or(0);
        Some(draft)
    }
}

/// Takes in what a line says about its vertex.
fn said(vertex: &mut Printed, at: Option<Instant>, rest: &str) {
    let (word, more) = rest.split_once(' ').map_or((rest, ""), |(word, more)| (word, more.trim()));
    let outcome = match word {
        "DONE" => {
            vertex.took = duration(more).max(vertex.took);
            Some(Outcome::Executed)
        }
        "CACHED" if more.is_empty() => Some(Outcome::Cached),
        "CANCELED" => Some(Outcome::Cancelled),
        "ERROR" | "ERROR:" => {
            let error = more.trim_start_matches(": ");
            vertex.error = Some(error.to_owned());
            Some(if error.contains("context canceled") { Outcome::Cancelled } else { Outcome::Failed })
        }
        // The form of 2018 to 2020, which has all times.
        "name:" => {
            let name = more.trim_matches('"');
            vertex.name = if vertex.name.is_empty() { name.to_owned() } else { std::mem::take(&mut vertex.name) };
            None
        }
        "started:" => {
            vertex.began = stamp::whole(more).map(|stamp| stamp.at).or(vertex.began);
            None
        }
        "completed:" => {
            vertex.ended = stamp::whole(more).map(|stamp| stamp.at).or(vertex.ended);
            vertex.outcome.or(Some(Outcome::Executed))
        }
        "duration:" => {
            vertex.took = duration(more).or(vertex.took);
            None
        }
        "cached:" if more == "true" => Some(Outcome::Cached),
        "error:" => {
            vertex.error = Some(more.trim_matches('"').to_owned());
            Some(Outcome::Failed)
        }
        _ => None,
    };
    match outcome {
        // A vertex that is done twice (looked up, then run) ends with the last.
        Some(outcome) => (vertex.outcome, vertex.last) = (Some(outcome), at.or(vertex.last)),
        None => {
            if let Some((after, output)) = offset(rest) {
                vertex.output(at, after, output);
            }
        }
    }
    vertex.saw(at);
}
