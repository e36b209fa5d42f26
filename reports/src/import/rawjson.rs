//! BuildKit's `--progress=rawjson`: `SolveStatus` objects, one a line, pretty-printed or in an array, with other lines between them.

use super::buildkit::{Status, Update, Vertices};
use super::draft::Draft;
use super::ending::Destination;
use super::families::Families;
use super::instant::{Instant, parse_time};
use super::log::{Log, LogLine};
use super::mixed::{self, MOST_AT_ONCE, are_mixed};
use super::possible::PossibleFiles;
use base64::Engine as _;
use serde::Deserialize;
use std::collections::HashSet;

#[derive(Deserialize, Default)]
#[serde(default)]
struct SolveStatus {
    #[serde(deserialize_with = "nullable")]
    vertexes: Vec<RawjsonVertex>,
    #[serde(deserialize_with = "nullable")]
    statuses: Vec<VertexStatus>,
    #[serde(deserialize_with = "nullable")]
    logs: Vec<VertexLog>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawjsonVertex {
    digest: String,
    name: String,
    #[serde(deserialize_with = "nullable")]
    inputs: Vec<String>,
    cached: bool,
    started: Option<String>,
    completed: Option<String>,
    error: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VertexStatus {
    id: String,
    vertex: String,
    current: i64,
    timestamp: Option<String>,
    started: Option<String>,
    completed: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VertexLog {
    vertex: String,
    data: String,
    timestamp: Option<String>,
}

/// Go writes an empty list as `null`.
fn nullable<'d, D: serde::Deserializer<'d>, T: Deserialize<'d>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

/// Reads the builds of a log. Truncated objects and lines of another kind are skipped.
pub(crate) fn builds(log: &Log, files: &[Vec<String>]) -> Vec<Draft> {
    let starts = |text: &str| text.contains("load build definition");
    let mut builds = Vec::new();
    for stream in log.streams(starts) {
        let mut destination = Destination::default();
        let mut text = String::new();
        let mut several = false;
        for line in &stream {
            text.push_str(&line.text);
            text.push('\n');
            // An object that continues in the next line, or an array of objects.
            let trimmed = line.text.trim_start();
            several |= trimmed.starts_with('{')
                && serde_json::from_str::<serde::de::IgnoredAny>(trimmed)
                    .is_err_and(|error| error.is_eof() || error.is_syntax());
            several |= trimmed.starts_with('[');
            // Messages of the client apply to all builds of the log: they come before or after BuildKit's lines. Texts of steps are in base64.
            if !line.text.contains("\"vertexes\"") {
                destination.line(&line.text);
            }
        }
        let mut statuses: Vec<(SolveStatus, usize)> = Vec::new();
        if several {
            objects(&text, |status, at| statuses.push((status, at)));
        } else {
            let read = |line: &&LogLine| Some((serde_json::from_str(line.text.trim()).ok()?, line.number));
            statuses.extend(stream.iter().filter_map(read));
        }
        let vertices = statuses.iter().flat_map(|(status, _)| &status.vertexes);
        let families = Families::of(vertices.map(|vertex| (&*vertex.digest, &*vertex.name, &vertex.inputs[..])));
        let files = PossibleFiles::of(files);
        let open = vec![RawjsonBuild { files: files.clone(), ..RawjsonBuild::default() }];
        let mut reader = RawjsonReader { files, families, open, destination, builds: Vec::new() };
        statuses.into_iter().for_each(|(status, line)| reader.status(status, line));
        builds.extend(reader.finish());
    }
    builds
}

/// Calls a function with each object of a text and its offset.
fn objects(text: &str, mut found: impl FnMut(SolveStatus, usize)) {
    let mut at = 0;
    while let Some(next) = text[at..].find('{') {
        at += next;
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<SolveStatus>();
        match values.next() {
            Some(Ok(status)) => {
                found(status, at);
                at += values.byte_offset().max(1);
            }
            // An object that is cut off, or of another program: the next object may start in the next line.
            _ => match text[at..].find('\n') {
                Some(end) => at += end + 1,
                None => return,
            },
        }
    }
}

/// The builds of a stream. If several run at the same time, vertices show the build of an object.
struct RawjsonReader<'f> {
    /// The Dockerfiles that may have been built.
    files: PossibleFiles<'f>,
    families: Families,
    open: Vec<RawjsonBuild<'f>>,
    destination: Destination,
    builds: Vec<Draft>,
}

/// What one build has said so far.
#[derive(Default)]
struct RawjsonBuild<'f> {
    vertices: Vertices,
    /// The families of its vertices.
    families: HashSet<usize>,
    /// The Dockerfiles that may have been built.
    files: PossibleFiles<'f>,
    /// The numbers of the lines of its first object and of its last.
    first: Option<usize>,
    last: usize,
    is_mixed: bool,
}

impl RawjsonReader<'_> {
    fn status(&mut self, status: SolveStatus, line: usize) {
        let time = |text: Option<String>| text.as_deref().and_then(parse_time);
        let update = |vertex: RawjsonVertex| Update {
            digest: vertex.digest,
            name: vertex.name,
            inputs: vertex.inputs,
            cached: vertex.cached,
            started: time(vertex.started),
            completed: time(vertex.completed),
            error: vertex.error,
        };
        let updates: Vec<Update> = status.vertexes.into_iter().map(update).collect();
        let logs: Vec<(&str, Option<Instant>)> =
            status.logs.iter().map(|log| (&*log.vertex, log.timestamp.as_deref().and_then(parse_time))).collect();
        let index = self.owner(&updates, &logs, status.statuses.iter().map(|status| &*status.vertex));
        let build = &mut self.open[index];
        for update in updates {
            if build.vertices.is_over(&update) {
                let next = RawjsonBuild { files: self.files.clone(), ..RawjsonBuild::default() };
                self.builds.push(std::mem::replace(build, next).draft(self.destination));
            }
            build.first = build.first.or(Some(line));
            build.families.extend(self.families.find(&update.digest));
            build.files.narrow(&update.name);
            build.vertices.update(update);
        }
        build.last = line;
        for status in status.statuses {
            build.vertices.status(Status {
                id: status.id,
                vertex: status.vertex,
                current: u64::try_from(status.current).unwrap_or(0),
                started: time(status.started),
                completed: time(status.completed),
                at: time(status.timestamp),
            });
        }
        for log in status.logs {
            // Go writes bytes as base64.
            let bytes = base64::engine::general_purpose::STANDARD.decode(&log.data);
            let text = bytes.map_or(log.data, |bytes| String::from_utf8_lossy(&bytes).into_owned());
            build.vertices.log(&log.vertex, &text, time(log.timestamp));
        }
    }

    /// The build that an object belongs to.
    fn owner<'s>(
        &mut self,
        updates: &'s [Update],
        logs: &[(&'s str, Option<Instant>)],
        statuses: impl Iterator<Item = &'s str>,
    ) -> usize {
        let is_known = |update: &Update| self.open.iter().any(|build| build.vertices.knows(&update.digest));
        let defines = |update: &Update| {
            !is_known(update) && self.open.iter().all(|build| build.vertices.has_definition(&update.name))
        };
        let is_last_over = |update: &Update| self.open.iter().any(|build| build.vertices.is_over(update));
        if updates.iter().any(|update| defines(update) && !is_last_over(update)) && self.open.len() < MOST_AT_ONCE {
            self.open.push(RawjsonBuild { files: self.files.clone(), ..RawjsonBuild::default() });
            return self.open.len() - 1;
        }
        if self.open.len() == 1 {
            return 0;
        }
        let others = logs.iter().map(|(vertex, _)| *vertex).chain(statuses);
        let digests: Vec<&str> = updates.iter().map(|update| &*update.digest).chain(others).collect();
        let rank = |(index, build): (usize, &RawjsonBuild<'_>)| {
            let vertices = &build.vertices;
            let has_news = updates.is_empty() && logs.is_empty()
                || updates.iter().any(|update| vertices.is_news(update))
                || logs.iter().any(|&(digest, at)| vertices.is_new_output(digest, at));
            let fit = updates.iter().map(|update| vertices.fits(update)).max();
            let is_related = |digest: &str| self.families.find(digest).is_some_and(|own| build.families.contains(&own));
            let known = digests.iter().filter(|digest| vertices.knows(digest) || is_related(digest)).count();
            let have = updates.iter().filter(|update| build.files.have(&update.name)).count();
            (has_news, fit, known, have, std::cmp::Reverse(vertices.count()), build.last, index)
        };
        self.open.iter().enumerate().map(rank).max().map_or(0, |(.., index)| index)
    }

    fn finish(mut self) -> Vec<Draft> {
        let spans: Vec<(usize, usize)> =
            self.open.iter().map(|build| (build.first.unwrap_or(usize::MAX), build.last)).collect();
        for (build, is_mixed) in self.open.iter_mut().zip(are_mixed(&spans)) {
            build.is_mixed = is_mixed;
        }
        self.builds.extend(self.open.into_iter().map(|build| build.draft(self.destination)));
        self.builds
    }
}

impl RawjsonBuild<'_> {
    fn draft(self, destination: Destination) -> Draft {
        let mut draft = self.vertices.draft().0;
        destination.judge(&mut draft);
        draft.line = self.first.unwrap_or(0);
        if self.is_mixed {
            draft.notes.push(mixed::note("their vertices"));
        }
        draft
    }
}
