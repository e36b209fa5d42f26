//! BuildKit's `--progress=rawjson`: one `SolveStatus` per line.

use super::buildkit::{Status, Update, Vertices};
use super::draft::{Draft, parse_time};
use base64::Engine as _;
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(default)]
struct SolveStatus {
    vertexes: Vec<Vertex>,
    statuses: Vec<VertexStatus>,
    logs: Vec<VertexLog>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Vertex {
    digest: String,
    name: String,
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
    started: Option<String>,
    completed: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VertexLog {
    vertex: String,
    data: String,
}

/// Reads the stream. Truncated lines and lines of another kind are skipped.
pub(crate) fn read(text: &str) -> Draft {
    let mut vertices = Vertices::default();
    for line in text.lines() {
        let Ok(status) = serde_json::from_str::<SolveStatus>(line) else { continue };
        let time = |text: Option<String>| text.as_deref().and_then(parse_time);
        for vertex in status.vertexes {
            vertices.update(Update {
                digest: vertex.digest,
                name: vertex.name,
                inputs: vertex.inputs,
                cached: vertex.cached,
                started: time(vertex.started),
                completed: time(vertex.completed),
                error: vertex.error,
            });
        }
        for status in status.statuses {
            vertices.status(Status {
                id: status.id,
                vertex: status.vertex,
                current: u64::try_from(status.current).unwrap_or(0),
                started: time(status.started),
                completed: time(status.completed),
            });
        }
        for log in status.logs {
            // Go writes bytes as base64.
            let bytes = base64::engine::general_purpose::STANDARD.decode(&log.data);
            let text = bytes.map_or(log.data, |bytes| String::from_utf8_lossy(&bytes).into_owned());
            vertices.log(&log.vertex, &text);
        }
    }
    vertices.draft().0
}
