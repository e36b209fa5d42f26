//! BuildKit's `--progress=plain`: numbered vertices, durations to a tenth of a second, no edges.
//!
//! The lines of a vertex begin with its number. A number is a vertex only if a line names it: other programs write `#12 text` too.

use super::draft::Draft;
use super::duration::duration;
use super::ending::Destination;
use super::instant::Instant;
use super::log::{Log, LogLine, stamp};
use super::marks::plain::{is_name, is_status, numbered, offset};
use super::names::{Targets, is_export};
use super::vertices::{Printed, draft};
use buildscope_record::{Nanos, Outcome};
use std::collections::HashMap;

/// Reads the builds of a log.
pub(crate) fn builds(log: &Log) -> Vec<Draft> {
    let starts = |text: &str| numbered(text.trim_start()).is_some_and(|(number, rest)| number <= 1 && is_name(rest));
    let mut builds = Vec::new();
    for stream in log.streams(starts) {
        let mut reader = PlainReader { log, open: vec![PlainBuild::default()], builds: Vec::new() };
        stream.into_iter().for_each(|line| reader.line(line));
        builds.extend(reader.finish());
    }
    builds
}

/// The most concurrent builds that are distinguished.
const MOST_AT_ONCE: usize = 16;

/// Lines that are written at once arrive within this time.
const AT_ONCE: Instant = 20_000_000;

/// The builds of a stream of lines. Several may run at the same time. Then only names, times and durations show the build of a line.
struct PlainReader<'l> {
    log: &'l Log,
    open: Vec<PlainBuild>,
    builds: Vec<Draft>,
}

impl PlainReader<'_> {
    fn line(&mut self, line: &LogLine) {
        let named = numbered(line.text.trim_start()).filter(|(number, rest)| *number > 0 && is_name(rest));
        if let [build] = &mut self.open[..] {
            if build.is_over(&line.text) {
                let next = PlainBuild { destination: build.later, ..PlainBuild::default() };
                self.builds.extend(std::mem::replace(build, next).draft(self.log));
            } else if named.is_some_and(|(number, name)| build.is_taken(number, name)) {
                self.open.push(PlainBuild::default());
            }
        }
        let index = match (self.open.len(), named) {
            (1, _) => 0,
            (_, Some((number, name))) => self.of_name(number, name),
            (_, None) => self.of_line(line),
        };
        self.open[index].line(line);
    }

    /// The build that a name belongs to: the one that has it, or the first one without another name for its number.
    fn of_name(&mut self, number: u32, name: &str) -> usize {
        let has =
            |build: &PlainBuild| build.vertex(number).is_some_and(|vertex| build.targets.are_one(&vertex.name, name));
        let free = |build: &PlainBuild| !build.is_taken(number, name);
        let found = self.open.iter().position(has).or_else(|| self.open.iter().position(free));
        found.unwrap_or_else(|| {
            if self.open.len() < MOST_AT_ONCE {
                self.open.push(PlainBuild::default());
            }
            self.open.len() - 1
        })
    }

    /// The build that another line belongs to: of those in which the vertex runs, the one whose start fits its time best.
    fn of_line(&self, line: &LogLine) -> usize {
        let Some((number, rest)) = numbered(line.text.trim_start()) else { return 0 };
        let since = duration(rest.strip_prefix("DONE ").unwrap_or_default()).or(offset(rest).map(|(after, _)| after));
        let start = line.at.zip(since).map(|(at, since)| at - since);
        let runs = |build: &PlainBuild| {
            build.vertex(number).filter(|vertex| vertex.outcome.is_none()).map(|vertex| vertex.first)
        };
        let running = self.open.iter().enumerate().filter_map(|(index, build)| Some((index, runs(build)?)));
        let distance =
            |(_, first): &(usize, Option<Instant>)| start.zip(*first).map(|(start, first)| (start - first).abs());
        let known = || self.open.iter().position(|build| build.vertex(number).is_some());
        running.min_by_key(distance).map(|(index, _)| index).or_else(known).unwrap_or(0)
    }

    fn finish(mut self) -> Vec<Draft> {
        let several = self.open.len() > 1;
        for mut build in self.open {
            if several {
                // The export of one build may have been assigned to another.
                build.destination = Destination::Nowhere;
            }
            let mut draft = build.draft(self.log);
            if let Some(draft) = draft.as_mut().filter(|_| several) {
                draft.notes.push(
                    "the lines of several builds are mixed: names, times and durations tell them apart, and some lines may be \
                     counted with the wrong one"
                        .to_owned(),
                );
            }
            self.builds.extend(draft);
        }
        self.builds
    }
}

/// The lines of one build that were read so far.
#[derive(Default)]
struct PlainBuild {
    vertices: Vec<PlainVertex>,
    indices: HashMap<u32, usize>,
    /// The targets that names of vertices show.
    targets: Targets,
    /// The number of vertices that are done.
    done: usize,
    /// Whether the result was written.
    exported: bool,
    /// The words in which the client said that the build failed.
    failed: Option<String>,
    /// The client's messages about the result.
    destination: Destination,
    /// The client's messages after the end of a step. They may be about the next build.
    later: Destination,
    /// The time and the number of the first line, and the time of the last.
    first: Option<usize>,
    last: Option<Instant>,
    /// The vertex that is shown, and since when.
    shown: Option<(usize, Option<Instant>)>,
}

#[derive(Default)]
struct PlainVertex {
    printed: Printed,
    /// Whether the line that gave the name is surely a name.
    sure: bool,
    /// Whether only BuildKit would write the lines after it.
    known: bool,
}

impl PlainBuild {
    /// Whether a line starts another build: it gives another name to a vertex that is done, or names the first vertex again.
    fn is_over(&self, text: &str) -> bool {
        let Some((number, rest)) = numbered(text.trim_start()) else { return false };
        if number == 0 {
            return self.done > 0 && rest.starts_with("building with ");
        }
        let Some(vertex) = self.indices.get(&number).map(|&index| &self.vertices[index].printed) else {
            // A vertex is named before anything else is said about it. After a complete build, one without a name belongs to another build
            // whose beginning is missing.
            return self.is_complete() && !is_name(rest) && is_status(rest);
        };
        if !is_name(rest) || vertex.outcome.is_none() || vertex.name.is_empty() {
            return false;
        }
        let other = rest.starts_with('[') && !self.targets.are_one(&vertex.name, rest);
        let again = number == 1 && rest == vertex.name && (self.done > 2 || self.failed.is_some());
        other || again
    }

    fn vertex(&self, number: u32) -> Option<&Printed> {
        self.indices.get(&number).map(|&index| &self.vertices[index].printed)
    }

    /// Whether a running vertex has this number and another name: then the line belongs to another build.
    fn is_taken(&self, number: u32, name: &str) -> bool {
        let are_names = |vertex: &&Printed| vertex.name.starts_with('[') && name.starts_with('[');
        let other = |vertex: &&Printed| are_names(vertex) && !self.targets.are_one(&vertex.name, name);
        self.vertex(number).filter(other).is_some()
    }

    /// Whether all started vertices are done and the result is written.
    fn is_complete(&self) -> bool {
        self.exported && self.done == self.vertices.len()
    }

    fn line(&mut self, line: &LogLine) {
        let text = line.text.trim_start();
        if self.first.is_some() {
            self.last = line.at.or(self.last);
        }
        let Some((number, rest)) = numbered(text).filter(|&(number, _)| number > 0) else {
            if !self.exported {
                self.destination.line(text);
            }
            if self.done > 0 {
                self.later.line(text);
            }
            if self.first.is_some()
                && (text.starts_with("ERROR: ") || text.starts_with("error: "))
                && text.contains("failed to ")
                && !text.contains("context canceled")
            {
                self.failed.get_or_insert_with(|| text.trim_start_matches("ERROR: ").to_owned());
            }
            return;
        };
        let named = is_name(rest);
        let status = !named && is_status(rest);
        // The first vertex of another front end may have any name.
        let first = number == 1 && self.indices.is_empty();
        if !named && !status && !first && !self.indices.contains_key(&number) && !self.follows(number) {
            return;
        }
        // A copy of a line after the build, as in a summary, adds nothing.
        if status && self.is_complete() && self.indices.contains_key(&number) {
            return;
        }
        self.first = self.first.or(Some(line.number));
        self.last = line.at.or(self.last);
        let next = self.vertices.len();
        let index = *self.indices.entry(number).or_insert(next);
        if index == next {
            self.vertices.push(PlainVertex::default());
        }
        if self.shown.is_none_or(|(shown, _)| shown != index) {
            self.shown = Some((index, line.at));
        }
        if named {
            self.targets.add(rest);
        }
        let vertex = &mut self.vertices[index];
        if named && !vertex.sure && !vertex.known {
            // Another program wrote the name so far.
            *vertex = PlainVertex::default();
        }
        let before = vertex.printed.outcome;
        vertex.known |= status;
        vertex.printed.named = vertex.printed.named.or(Some(line.number));
        if named || (!status && vertex.printed.name.is_empty()) {
            if vertex.printed.name.is_empty() {
                (vertex.printed.name, vertex.sure) = (rest.to_owned(), named);
            }
            vertex.printed.saw(line.at);
        } else {
            read_line(&mut vertex.printed, line.at, rest);
        }
        if before.is_none() && vertex.printed.outcome.is_some() {
            vertex.printed.done = Some(line.number);
            let since = self.shown.and_then(|(_, since)| since);
            vertex.printed.held = since.zip(line.at).is_some_and(|(since, at)| at - since <= AT_ONCE);
            self.done += 1;
        }
        self.exported |= vertex.printed.outcome == Some(Outcome::Executed) && is_export(&vertex.printed.name);
    }

    /// Whether a number is the one after those that were named.
    fn follows(&self, number: u32) -> bool {
        self.indices.keys().max().is_some_and(|&last| number == last + 1)
    }

    fn draft(self, log: &Log) -> Option<Draft> {
        let Self { vertices, indices, failed, first, last, destination, .. } = self;
        let vertices = in_turn(vertices, &indices);
        let unnamed = vertices.iter().filter(|vertex| vertex.printed.name.is_empty() && vertex.known);
        let unnamed: Instant = unnamed.filter_map(|vertex| vertex.printed.took).sum();
        let named =
            vertices.into_iter().filter(|vertex| !vertex.printed.name.is_empty() && (vertex.sure || vertex.known));
        let printed: Vec<Printed> = named.map(|vertex| vertex.printed).collect();
        let mut draft = (!printed.is_empty()).then(|| draft(printed, last, log.resolution))?;
        draft.dated |= log.dated && draft.source.fidelity.starts;
        draft.failed |= failed.is_some();
        draft.unfinished &= !draft.failed;
        draft.fails_outside_of_steps(failed.as_deref().unwrap_or_default());
        destination.judge(&mut draft);
        draft.line = first.unwrap_or(0);
        if unnamed > 0 {
            let took = Nanos(u64::try_from(unnamed).unwrap_or(u64::MAX));
            draft.notes.push(format!(
                "the log starts after the build did: steps of {took} have no name in it and are left out"
            ));
        }
        Some(draft)
    }
}

/// Without names that other programs wrote before the build: BuildKit numbers its vertices in turn, so a name with a higher number than
/// those after it, about which nothing else is said, is none of its own.
fn in_turn(vertices: Vec<PlainVertex>, indices: &HashMap<u32, usize>) -> Vec<PlainVertex> {
    let mut numbers = vec![0; vertices.len()];
    indices.iter().for_each(|(&number, &index)| numbers[index] = number);
    let mut least = u32::MAX;
    let mut own: Vec<PlainVertex> = Vec::with_capacity(vertices.len());
    for (vertex, number) in vertices.into_iter().zip(numbers).rev() {
        if vertex.known || vertex.printed.outcome.is_some() || number < least {
            own.push(vertex);
        }
        least = least.min(number);
    }
    own.reverse();
    own
}

/// Reads a line of a vertex.
fn read_line(vertex: &mut Printed, at: Option<Instant>, rest: &str) {
    let (word, more) = rest.split_once(' ').map_or((rest, ""), |(word, more)| (word, more.trim()));
    let outcome = match word {
        // Without a duration, the log is cut off at this line.
        "DONE" => {
            if let Some(took) = duration(more) {
                vertex.ends(at, Outcome::Executed, Some(took));
            }
            None
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
        "cached:" if more == "true" => {
            vertex.outcome = Some(Outcome::Cached);
            None
        }
        "error:" => {
            vertex.error = Some(more.trim_matches('"').to_owned());
            Some(Outcome::Failed)
        }
        _ => None,
    };
    match outcome {
        // A vertex that is done twice (looked up, then run) ends with the last line.
        Some(outcome) => vertex.ends(at, outcome, None),
        None => {
            if let Some((after, output)) = offset(rest) {
                vertex.output(at, after, output);
            }
        }
    }
    vertex.saw(at);
}
