//! `--engine-trace`: every span of the engine, as slices on tracks.
//!
//! Spans of a step continue on other threads, so they are collected with their identities and written as slices when the build is over:
//! those of one thread on its track, and those that do not nest there on further tracks. Viewers that know no asynchronous slices show
//! them too.

use crate::Failure;
use buildscope_record::Nanos;
use buildscope_reports::render::instant;
use miette::{IntoDiagnostic, WrapErr, miette};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The file of a trace. After an error it takes everything and writes nothing: the thread that writes a trace would panic on an error.
pub(super) struct TraceFile {
    file: File,
    failed: Arc<OnceLock<io::Error>>,
}

/// A trace that is being written.
pub(super) struct Trace {
    path: PathBuf,
    failed: Arc<OnceLock<io::Error>>,
}

/// Creates the file of a trace.
pub(super) fn create(path: &Path) -> io::Result<(TraceFile, Trace)> {
    let failed = Arc::default();
    let output = TraceFile { file: File::create(path)?, failed: Arc::clone(&failed) };
    Ok((output, Trace { path: path.to_owned(), failed }))
}

impl Write for TraceFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.get().is_none()
            && let Err(error) = self.file.write_all(bytes)
        {
            let _ = self.failed.set(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Trace {
    /// Completes the trace after the last event. A trace that is not whole is removed.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let written = match self.failed.get() {
            Some(error) => Err(miette!("{error}")),
            None => complete(&self.path),
        };
        // A link stays: `/dev/stdout` is one.
        if written.is_err() && fs::symlink_metadata(&self.path).is_ok_and(|file| file.is_file()) {
            let _ = fs::remove_file(&self.path);
        }
        written.wrap_err_with(|| format!("cannot write the trace to {}", self.path.display())).map_err(Failure::Usage)
    }
}

/// Replaces the asynchronous slices in a trace file by complete ones.
fn complete(path: &Path) -> miette::Result<()> {
    // A pipe cannot be read again. It keeps the asynchronous slices.
    if !path.is_file() {
        return Ok(());
    }
    let events: Vec<Value> = serde_json::from_slice(&fs::read(path).into_diagnostic()?).into_diagnostic()?;
    let text = serde_json::to_string(&json!({"traceEvents": slices(events), "displayTimeUnit": "ms"}));
    fs::write(path, text.into_diagnostic()? + "\n").into_diagnostic()
}

/// A span of the engine.
struct Slice {
    start: Nanos,
    end: Nanos,
    event: Value,
}

fn slices(events: Vec<Value>) -> Vec<Value> {
    let mut open: HashMap<(String, String), Value> = HashMap::new();
    let (mut found, mut others): (Vec<Slice>, Vec<Value>) = (Vec::new(), Vec::new());
    for mut event in events {
        let key = |event: &Value| (event["id"].to_string(), event["name"].to_string());
        match event["ph"].as_str() {
            Some("b") => drop(open.insert(key(&event), event)),
            Some("e") => {
                let Some(begin) = open.remove(&key(&event)) else { continue };
                let (start, end) = (nanos(&begin), nanos(&event));
                // The end has the fields that were recorded meanwhile, and is on the thread that closed the span.
                event["tid"] = begin["tid"].clone();
                found.push(Slice { start, end: end.max(start), event });
            }
            _ => {
                if event.get("ts").is_some() {
                    event["ts"] = instant::micros(nanos(&event)).into();
                }
                others.push(event);
            }
        }
    }
    found.sort_by_key(|slice| (slice.start, std::cmp::Reverse(slice.end)));
    others.extend(on_tracks(found));
    others
}

/// The instant of an event, which is in microseconds with three decimals.
fn nanos(event: &Value) -> Nanos {
    // A float-to-integer `as` saturates.
    Nanos((event["ts"].as_f64().unwrap_or_default() * 1e3).round() as u64)
}

/// The slices, in the order of their starts, on tracks on which they nest.
fn on_tracks(slices: Vec<Slice>) -> Vec<Value> {
    const FURTHER: u64 = 1000;
    let mut ends: HashMap<(u64, u64), Vec<Nanos>> = HashMap::new();
    let complete = |Slice { start, end, mut event }: Slice| {
        let thread = event["tid"].as_u64().unwrap_or_default();
        let nests = |ends: &mut Vec<Nanos>| {
            while ends.last().is_some_and(|&last| last <= start) {
                ends.pop();
            }
            ends.last().is_none_or(|&last| end <= last)
        };
        let track = (0..).find(|&track| nests(ends.entry((thread, track)).or_default())).unwrap_or_default();
        ends.entry((thread, track)).or_default().push(end);
        let tid = if track == 0 { thread } else { (thread + 1) * FURTHER + track };
        event["tid"] = tid.into();
        if let Some(fields) = event.as_object_mut() {
            fields.remove("id");
        }
        instant::placed(event, start, end)
    };
    slices.into_iter().map(complete).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(phase: &str, id: u64, thread: u64, at: f64) -> Value {
        json!({"ph": phase, "id": id, "name": "span", "pid": 1, "tid": thread, "ts": at})
    }

    #[test]
    fn spans_that_do_not_nest_are_on_different_tracks() {
        let events = vec![
            event("b", 1, 7, 10.0),
            event("b", 2, 7, 11.0),
            event("e", 1, 8, 20.001),
            event("e", 2, 7, 30.0),
            event("b", 3, 7, 20.001),
            event("e", 3, 7, 25.0),
        ];
        let found = slices(events);
        let end = |slice: &Value| slice["ts"].as_f64().unwrap() + slice["dur"].as_f64().unwrap();
        let of = |track: u64| found.iter().filter(|slice| slice["tid"] == track).collect::<Vec<_>>();
        let (first, second) = (of(7), of(8001));
        assert_eq!((first.len(), second.len()), (2, 1), "{found:?}");
        assert_eq!(end(first[0]), first[1]["ts"].as_f64().unwrap(), "in double arithmetic");
    }

    #[test]
    fn a_full_disk_is_reported_once_at_the_end() {
        let (mut output, trace) = create(Path::new("/dev/full")).unwrap();
        for _ in 0..3 {
            assert_eq!(output.write(b"[{}]").unwrap(), 4);
        }
        let Err(Failure::Usage(report)) = trace.finish() else { panic!("no error") };
        assert!(format!("{report:?}").contains("No space left"), "{report:?}");
    }
}
