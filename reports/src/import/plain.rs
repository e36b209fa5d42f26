//! BuildKit's `--progress=plain`: numbered vertices, durations to a tenth of a second, no edges.
//!
//! The lines of a vertex begin with its number. A number is a vertex only if a line names it: other programs write `#12 text` too.

use super::draft::{Draft, DraftStep};
use super::duration::duration;
use super::ending::Destination;
use super::instant::Instant;
use super::log::{Log, LogLine, stamp};
use super::marks::plain::{is_name, is_status, numbered, offset};
use super::mixed::{self, MOST_AT_ONCE, are_mixed};
use super::names::{Targets, is_export};
use super::possible::PossibleFiles;
use super::vertices::{Printed, draft};
use buildscope_record::{Nanos, Outcome};
use std::collections::HashMap;

/// Reads the builds of a log.
pub(crate) fn builds(log: &Log, files: &[Vec<String>]) -> Vec<Draft> {
    let starts = |text: &str| numbered(text.trim_start()).is_some_and(|(number, rest)| number <= 1 && is_name(rest));
    let mut builds = Vec::new();
    for stream in log.streams(starts) {
        let files = PossibleFiles::of(files);
        let mut reader = PlainReader { log, files, open: Vec::new(), builds: Vec::new() };
        reader.begin();
        stream.into_iter().for_each(|line| reader.line(line));
        builds.extend(reader.finish());
    }
    builds
}

/// Lines that are written at once arrive within this time.
const AT_ONCE: Instant = 20_000_000;

/// The builds of a stream of lines. Several may run at the same time. Then only names, the vertex that a build shows, times and durations show
/// the build of a line.
struct PlainReader<'l> {
    log: &'l Log,
    /// The Dockerfiles that may have been built.
    files: PossibleFiles<'l>,
    open: Vec<PlainBuild<'l>>,
    builds: Vec<Draft>,
}

/// How surely a build wrote the name of a vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NameFit {
    /// The build has another name for the number, or has ended.
    Other,
    /// It has said so before, and need not say it again.
    Again,
    /// Numbers are left out.
    Later,
    /// It is the next number, but another vertex is shown.
    Next,
    /// It is the next number, or a vertex that was hidden is shown again.
    Sure,
}

impl PlainReader<'_> {
    fn line(&mut self, line: &LogLine) {
        let text = line.text.trim_start();
        let named = numbered(text).filter(|(number, rest)| *number > 0 && is_name(rest));
        let index = match &mut self.open[..] {
            [build] if build.is_over(text) => {
                if build.is_complete() || build.failed.is_some() {
                    let (destination, files) = (build.later, self.files.clone());
                    let next = PlainBuild { destination, files, ..PlainBuild::default() };
                    self.builds.extend(std::mem::replace(build, next).draft(self.log));
                    0
                } else {
                    // It goes on, or was cut off.
                    self.begin()
                }
            }
            [build] if named.is_some_and(|(number, name)| build.is_taken(number, name)) => self.begin(),
            [_] => 0,
            _ => match (numbered(text), named) {
                (Some((0, rest)), _) if rest.starts_with("building with ") => self.begin(),
                (_, Some((number, name))) => self.of_name(number, name),
                _ => self.of_line(line),
            },
        };
        self.open[index].line(line);
    }

    /// Adds a build, whose index it returns. One that has ended, or wrote nothing for the longest time, makes room for it.
    fn begin(&mut self) -> usize {
        if self.open.len() >= MOST_AT_ONCE {
            let rank =
                |(_, build): &(usize, &PlainBuild<'_>)| (!build.is_complete() && build.failed.is_none(), build.wrote);
            let last = self.open.iter().enumerate().min_by_key(rank).map_or(0, |(index, _)| index);
            self.builds.extend(self.open.remove(last).draft(self.log));
        }
        // What the client says after one build may be about the next.
        let before = self.open.iter().max_by_key(|build| build.wrote);
        let destination = before.map(|build| build.later).unwrap_or_default();
        let files = self.files.clone();
        self.open.push(PlainBuild { destination, files, ..PlainBuild::default() });
        self.open.len() - 1
    }

    /// The build that a name belongs to: the one that has to write it next, otherwise the one that wrote last.
    fn of_name(&mut self, number: u32, name: &str) -> usize {
        let rank = |(index, build): (usize, &PlainBuild<'_>)| {
            let fit = build.fits(number, name);
            (fit > NameFit::Again && build.files.have(name), fit, build.wrote, index)
        };
        match self.open.iter().enumerate().map(rank).max() {
            // The first vertex of another build.
            Some((_, NameFit::Other, ..)) => self.begin(),
            Some((_, NameFit::Again, ..)) if number == 1 => self.begin(),
            Some((.., index)) => index,
            None => 0,
        }
    }

    /// The build that another line belongs to: of those in which the vertex runs, the one that shows it, or whose start fits its time best.
    fn of_line(&self, line: &LogLine) -> usize {
        let text = line.text.trim_start();
        let builds = || self.open.iter().enumerate();
        let last = |found: &dyn Fn(&PlainBuild<'_>) -> bool| {
            builds().filter(|(_, build)| found(build)).max_by_key(|(_, build)| build.wrote).map(|(index, _)| index)
        };
        let Some((number, rest)) = numbered(text) else {
            let fails = |build: &PlainBuild<'_>| build.failed.is_none() && build.has_failed();
            let failed = is_failure(text).then(|| last(&fails)).flatten();
            return failed.or_else(|| last(&|_| true)).unwrap_or(0);
        };
        let since = duration(rest.strip_prefix("DONE ").unwrap_or_default()).or(offset(rest).map(|(after, _)| after));
        let start = line.at.zip(since).map(|(at, since)| at - since);
        let rank = |(index, build): (usize, &PlainBuild<'_>)| {
            let vertex = build.vertex(number).filter(|vertex| vertex.outcome.is_none())?;
            let distance = start.zip(vertex.first).map_or(0, |(start, first)| (start - first).abs());
            Some((build.current != Some(number), distance, std::cmp::Reverse(build.wrote), index))
        };
        let running = builds().filter_map(rank).min().map(|(.., index)| index);
        running.or_else(|| last(&|build| build.vertex(number).is_some())).or_else(|| last(&|_| true)).unwrap_or(0)
    }

    fn finish(mut self) -> Vec<Draft> {
        let spans: Vec<(usize, usize)> =
            self.open.iter().map(|build| (build.first.unwrap_or(usize::MAX), build.wrote)).collect();
        for (mut build, is_mixed) in self.open.into_iter().zip(are_mixed(&spans)) {
            if is_mixed {
                // The export of one build may have been assigned to another.
                build.destination = Destination::Nowhere;
            }
            let is_done = build.done == build.vertices.len();
            let mut draft = build.draft(self.log);
            if let Some(draft) = draft.as_mut().filter(|_| is_mixed) {
                // Its first steps may have been assigned to another.
                draft.unfinished &= !is_done;
                draft.notes.push(mixed::note("names, times and durations"));
                let ran = |step: &DraftStep| step.stage.is_some() && step.outcome == Some(Outcome::Executed);
                if draft.is_exported() && !draft.steps.iter().any(ran) {
                    draft.notes.push(mixed::STEPS_ELSEWHERE.to_owned());
                }
            }
            self.builds.extend(draft);
        }
        self.builds
    }
}

/// The lines of one build that were read so far.
#[derive(Default)]
struct PlainBuild<'f> {
    vertices: Vec<PlainVertex>,
    /// The Dockerfiles that may have been built.
    files: PossibleFiles<'f>,
    indices: HashMap<u32, usize>,
    /// The highest number of a vertex.
    highest: u32,
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
    /// The number of the vertex whose lines may follow: it was named, and is neither done nor hidden.
    current: Option<u32>,
    /// The number of the last line.
    wrote: usize,
}

#[derive(Default)]
struct PlainVertex {
    printed: Printed,
    /// Whether the line that gave the name is surely a name.
    sure: bool,
    /// Whether only BuildKit would write the lines after it.
    known: bool,
}

impl PlainBuild<'_> {
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
        // A build reads its Dockerfile once.
        let defines = || rest.contains("load build definition") && self.vertices.len() > 1 && vertex.began.is_none();
        let again = number == 1 && rest == vertex.name && (self.done > 2 || self.failed.is_some() || defines());
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

    /// How surely the build writes this name next.
    fn fits(&self, number: u32, name: &str) -> NameFit {
        if self.is_complete() || self.failed.is_some() || self.is_taken(number, name) {
            return NameFit::Other;
        }
        match self.vertex(number) {
            Some(vertex) if vertex.outcome.is_none() && self.current != Some(number) => NameFit::Sure,
            Some(_) => NameFit::Again,
            None if self.follows(number) && self.current.is_none() => NameFit::Sure,
            None if self.follows(number) => NameFit::Next,
            None => NameFit::Later,
        }
    }

    /// Whether a step failed.
    fn has_failed(&self) -> bool {
        self.vertices.iter().any(|vertex| vertex.printed.outcome == Some(Outcome::Failed))
    }

    /// Whether all started vertices are done and the result is written.
    fn is_complete(&self) -> bool {
        self.exported && self.done == self.vertices.len()
    }

    fn line(&mut self, line: &LogLine) {
        let text = line.text.trim_start();
        self.wrote = line.number;
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
            if self.first.is_some() && is_failure(text) {
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
        self.highest = self.highest.max(number);
        let index = *self.indices.entry(number).or_insert(next);
        if index == next {
            self.vertices.push(PlainVertex::default());
        }
        if self.shown.is_none_or(|(shown, _)| shown != index) {
            self.shown = Some((index, line.at));
        }
        if named {
            self.targets.add(rest);
            self.files.narrow(rest);
            self.current = Some(number);
        } else if rest == "..." {
            self.current = None;
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
            self.current = self.current.filter(|&current| current != number);
        }
        self.exported |= vertex.printed.outcome == Some(Outcome::Executed) && is_export(&vertex.printed.name);
    }

    /// Whether a number is the one after those that were named.
    fn follows(&self, number: u32) -> bool {
        self.highest.checked_add(1) == Some(number)
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

/// Whether the client says that the build failed.
fn is_failure(text: &str) -> bool {
    (text.starts_with("ERROR: ") || text.starts_with("error: "))
        && text.contains("failed to ")
        && !text.contains("context canceled")
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
