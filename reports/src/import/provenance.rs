//! SLSA provenance of BuildKit: source lines and layers of the vertices, and samples of the machine's load.

use super::draft::{Draft, DraftId};
use super::instant::parse_time;
use buildscope_record::{ByteSize, CacheState, Layer};
use serde_json::Value;
use std::collections::HashMap;

/// Adds the facts of the provenance to a draft. `steps` maps the digest of a vertex to its step.
pub(crate) fn enrich(content: &[u8], draft: &mut Draft, steps: &HashMap<String, DraftId>) {
    let Ok(document) = serde_json::from_slice::<Value>(content) else { return };
    // An in-toto statement contains the predicate. The export contains the predicate alone.
    let predicate = document.get("predicate").unwrap_or(&document);
    let steps = vertex_steps(predicate, steps);
    let metadata = &predicate["runDetails"]["metadata"]["buildkit_metadata"];
    lines(&metadata["source"]["locations"], &steps, draft);
    layers(&metadata["layers"], &steps, draft);
    machine(&metadata["sysUsage"], draft);
    if predicate["externalParameters"]["request"]["args"].get("no-cache").is_some()
        || predicate["buildDefinition"]["externalParameters"]["request"]["args"].get("no-cache").is_some()
    {
        draft.options.cache = Some(CacheState::Cold);
    }
}

/// Maps the step names of the provenance (`step3`) to the steps of the draft.
fn vertex_steps<'p>(predicate: &'p Value, steps: &HashMap<String, DraftId>) -> HashMap<&'p str, DraftId> {
    let config = &predicate["buildDefinition"]["internalParameters"]["buildConfig"];
    let mapping = config["digestMapping"].as_object().into_iter().flatten();
    mapping.filter_map(|(digest, step)| Some((step.as_str()?, *steps.get(digest)?))).collect()
}

fn lines(locations: &Value, steps: &HashMap<&str, DraftId>, draft: &mut Draft) {
    for (name, location) in locations.as_object().into_iter().flatten() {
        let Some(&step) = steps.get(name.as_str()) else { continue };
        // A vertex that several stages share has several locations. The first in the file is used.
        let ranges = location["locations"].as_array().into_iter().flatten().filter_map(|one| one["ranges"].as_array());
        let line = |range: &Value, end: &str| u32::try_from(range[end]["line"].as_u64()?).ok();
        let all = ranges.flatten().filter_map(|range| Some((line(range, "start")?, line(range, "end")?)));
        if let Some((first, last)) = all.min() {
            draft.steps[step].lines = Some((first, last.max(first)));
        }
    }
}

/// `stepN:0` maps to chains of layers up to that step. The last layer of the longest chain is that of the step. Sizes are those of
/// compressed blobs.
fn layers(layers: &Value, steps: &HashMap<&str, DraftId>, draft: &mut Draft) {
    for (name, chains) in layers.as_object().into_iter().flatten() {
        let Some(&step) = name.split(':').next().and_then(|step| steps.get(step)) else { continue };
        let chains = chains.as_array().into_iter().flatten().filter_map(Value::as_array);
        let last = chains.max_by_key(|chain| chain.len()).and_then(|chain| chain.last());
        if let Some(bytes) = last.and_then(|layer| layer["size"].as_u64()) {
            draft.steps[step].layer = Some(Layer { bytes: ByteSize(bytes), files: 0, digest: None });
        }
    }
}

/// Samples of the whole machine, every second or two. They include other work on the machine.
fn machine(samples: &Value, draft: &mut Draft) {
    let mut before: Option<(i128, f64, f64)> = None;
    for sample in samples.as_array().into_iter().flatten() {
        let Some(at) = sample["timestamp"].as_str().and_then(parse_time) else { continue };
        let cpu = &sample["cpuStat"];
        let used =
            ["user", "nice", "system", "irq", "softirq"].iter().filter_map(|kind| cpu[kind].as_f64()).sum::<f64>();
        let pressure = sample["cpuPressure"]["some"]["total"].as_f64().unwrap_or(0.0);
        if let Some((earlier, used_before, pressure_before)) = before.filter(|&(earlier, ..)| at > earlier) {
            let seconds = (at - earlier) as f64 / 1e9;
            let mut add =
                |name: &str, value: f64| draft.counters.entry(name.to_owned()).or_default().push((earlier, value));
            add("machine.cpus_used", (used - used_before) / seconds);
            // Microseconds in which at least one task waited for a processor.
            add("machine.cpu_pressure", (pressure - pressure_before) / 1e6 / seconds);
        }
        before = Some((at, used, pressure));
        draft.memory =
            sample["memoryStat"]["total"].as_u64().map(|kilobytes| kilobytes.saturating_mul(1024)).or(draft.memory);
    }
}
