//! `docker buildx history inspect --format json`: it contains only the time of a build and the number of cached steps.

use super::draft::Draft;
use super::instant::parse_time;
use buildscope_record::{CacheState, Fidelity, Tool};
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Inspect {
    started_at: Option<String>,
    completed_at: Option<String>,
    duration: i64,
    status: String,
    dockerfile: Option<String>,
    target: Option<String>,
    config: Config,
    num_total_steps: u32,
    num_cached_steps: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    no_cache: bool,
}

/// Reads the document. It names no steps, so the record has no steps, and its explanation says so.
pub(crate) fn read(text: &str) -> Result<Draft, String> {
    let inspect: Inspect = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut draft = Draft { dated: true, ..Draft::new(Tool::Buildkit, Fidelity::default()) };
    let begin = inspect.started_at.as_deref().and_then(parse_time).ok_or("StartedAt is missing")?;
    draft.saw(begin);
    let end = inspect.completed_at.as_deref().and_then(parse_time).unwrap_or(begin + i128::from(inspect.duration));
    draft.saw(end.max(begin));
    draft.failed = inspect.status != "completed";
    draft.options.dockerfile = inspect.dockerfile;
    draft.options.target = inspect.target.filter(|target| !target.is_empty());
    let cached = inspect.num_cached_steps > 0 && inspect.num_cached_steps == inspect.num_total_steps;
    draft.options.cache =
        if cached { Some(CacheState::Warm) } else { inspect.config.no_cache.then_some(CacheState::Cold) };
    Ok(draft)
}
