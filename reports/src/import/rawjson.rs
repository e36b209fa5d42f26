//! BuildKit's `--progress=rawjson`: `SolveStatus` objects, one a line, pretty-printed or in an array, with other lines between them.

use super::buildkit::{Status, Update, Vertices};
use super::draft::Draft;
use super::ending::Destination;
use super::instant::parse_time;
use super::log::Log;
use base64::Engine as _;
use serde::Deserialize;

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
pub(crate) fn builds(log: &Log) -> Vec<Draft> {
    let starts = |text: &str| text.contains("load build definition");
    let mut builds = Vec::new();
    for stream in log.streams(starts) {
        let mut reader = RawjsonReader::default();
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
            reader.client_line(&line.text);
        }
        if several {
            objects(&text, |status, at| reader.status(status, at));
        } else {
            for line in &stream {
                if let Ok(status) = serde_json::from_str::<SolveStatus>(line.text.trim()) {
                    reader.status(status, line.number);
                }
            }
        }
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

#[derive(Default)]
struct RawjsonReader {
    vertices: Vertices,
    first: Option<usize>,
    destination: Destination,
    builds: Vec<Draft>,
}

impl RawjsonReader {
    /// Reads a line. Messages of the client apply to all builds of the log: they come before or after BuildKit's lines.
    fn client_line(&mut self, line: &str) {
        // Texts of steps are in base64.
        if !line.contains("\"vertexes\"") {
            self.destination.line(line);
        }
    }

    fn status(&mut self, status: SolveStatus, line: usize) {
        let time = |text: Option<String>| text.as_deref().and_then(parse_time);
        for vertex in status.vertexes {
            let update = Update {
                digest: vertex.digest,
                name: vertex.name,
                inputs: vertex.inputs,
                cached: vertex.cached,
                started: time(vertex.started),
                completed: time(vertex.completed),
                error: vertex.error,
            };
            if self.vertices.is_over(&update) {
                self.close();
            }
            self.first = self.first.or(Some(line));
            self.vertices.update(update);
        }
        for status in status.statuses {
            self.vertices.status(Status {
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
            self.vertices.log(&log.vertex, &text, time(log.timestamp));
        }
    }

    fn close(&mut self) {
        let mut draft = std::mem::take(&mut self.vertices).draft().0;
        self.destination.judge(&mut draft);
        draft.line = self.first.take().unwrap_or(0);
        self.builds.push(draft);
    }

    fn finish(mut self) -> Vec<Draft> {
        self.close();
        self.builds
    }
}
