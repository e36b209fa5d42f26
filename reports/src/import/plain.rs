//! BuildKit's `--progress=plain`: numbered vertices, durations to a tenth of a second, no edges.
//!
//! With a time before each line, a vertex ended when its last line arrived, and started its duration before that. Without times, or
//! if all lines arrived at once through a pipe, each vertex is assumed to start as soon as its guessed dependencies are done.

use super::draft::{Draft, DraftSpan, DraftStep, Instant};
use super::lines::{duration, lines};
use super::names;
use buildscope_record::{Fidelity, Outcome, Phase, Tool};
use std::collections::HashMap;

/// `#12 rest`.
pub(crate) fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
    Some((number.parse().ok()?, rest.trim()))
}

#[derive(Default)]
struct Vertex {
    name: String,
    first: Option<Instant>,
    last: Option<Instant>,
    took: Option<Instant>,
    outcome: Option<Outcome>,
    error: Option<String>,
    log: Vec<String>,
}

/// Reads the log.
pub(crate) fn read(text: &str) -> Draft {
    let mut vertices: Vec<Vertex> = Vec::new();
    let mut indices: HashMap<u32, usize> = HashMap::new();
    for line in lines(text) {
        let Some((number, rest)) = numbered(line.text.trim_start()) else { continue };
        let index = *indices.entry(number).or_insert_with(|| {
            vertices.push(Vertex { name: rest.to_owned(), first: line.at, ..Vertex::default() });
            vertices.len() - 1
        });
        let vertex = &mut vertices[index];
        let done = match rest.split_once(' ').map_or((rest, ""), |(word, more)| (word, more)) {
            ("DONE", took) => {
                vertex.took = duration(took);
                Some(Outcome::Executed)
            }
            ("CACHED", "") => Some(Outcome::Cached),
            ("CANCELED", _) => Some(Outcome::Cancelled),
            ("ERROR" | "ERROR:", error) => {
                vertex.error = Some(error.trim_start_matches(": ").to_owned());
                Some(if error.contains("context canceled") { Outcome::Cancelled } else { Outcome::Failed })
            }
            _ => None,
        };
        if let Some(outcome) = done {
            // A vertex that is done twice (looked up, then run) ends with the last.
            (vertex.outcome, vertex.last) = (Some(outcome), line.at.or(vertex.last));
        } else if rest != vertex.name {
            // Output comes after the seconds since the start of the vertex: `#7 0.123 text`.
            let output = rest.split_once(' ').filter(|(time, _)| time.parse::<f64>().is_ok() && time.contains('.'));
            vertex.log.extend(output.map(|(_, output)| output.to_owned()));
        }
    }
    draft(vertices)
}

fn draft(vertices: Vec<Vertex>) -> Draft {
    let timed = spread(&vertices);
    let fidelity = Fidelity { starts: timed, ..Fidelity::default() };
    let mut draft = Draft { dated: timed, ..Draft::new(Tool::Buildkit, fidelity) };
    let mut took = Vec::new();
    for vertex in vertices {
        let name = names::vertex(&vertex.name);
        draft.failed |= vertex.outcome == Some(Outcome::Failed);
        let length = vertex.took.unwrap_or(0);
        let end = vertex.last.filter(|_| timed);
        let start = end
            .map(|end| vertex.first.map_or(end - length, |first| first.min(end - length)))
            .or(vertex.first.filter(|_| timed));
        took.push(length);
        draft.steps.push(DraftStep {
            stage: name.stage,
            number: name.number,
            instruction: name.instruction,
            text: name.text,
            // Without a last line the vertex was still running when the log ended.
            outcome: Some(vertex.outcome.unwrap_or(Outcome::Cancelled)),
            start,
            end,
            error: vertex.error,
            log: vertex.log,
            ..DraftStep::default()
        });
    }
    draft.guess_needs();
    if !timed {
        as_soon_as_possible(&mut draft, &took);
    }
    for step in &mut draft.steps {
        if let (Some(start), Some(end)) = (step.start, step.end) {
            let looked = step.outcome == Some(Outcome::Cached);
            let phase = if looked { Phase::CacheLookup } else { names::phase(&step.instruction, &step.text) };
            step.spans.push(DraftSpan::new(phase, start, end));
        }
    }
    draft.infer_gaps();
    draft
}

/// Whether the times of the lines are those of the build: they span at least the duration of the longest vertex.
fn spread(vertices: &[Vertex]) -> bool {
    let times = || vertices.iter().flat_map(|vertex| [vertex.first, vertex.last]).flatten();
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return false };
    let longest = vertices.iter().filter_map(|vertex| vertex.took).max().unwrap_or(0);
    // Durations are rounded to a tenth of a second.
    (last - first) * 5 >= (longest - 100_000_000) * 4
}

/// Starts each step at the end of the last one that it needs.
fn as_soon_as_possible(draft: &mut Draft, took: &[Instant]) {
    let count = draft.steps.len();
    // Dependencies have no cycles, so there are at most as many rounds as steps, and few in practice.
    for _ in 0..count {
        let mut changed = false;
        for (index, &took) in took.iter().enumerate() {
            let needs = draft.steps[index].needs.iter().map(|&need| draft.steps[need].end.unwrap_or(0));
            let start = needs.max().unwrap_or(0);
            if draft.steps[index].start != Some(start) {
                (draft.steps[index].start, draft.steps[index].end) = (Some(start), Some(start + took));
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
}
