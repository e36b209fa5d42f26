//! `docker buildx history export`: an OCI layout with a manifest for each build, which holds BuildKit's status stream,
//! its trace and its provenance. For several builds, the layout has an index of these manifests.

use super::archive::ArchiveFiles;
use super::buildkit::{Status, Update, Vertices};
use super::draft::Draft;
use super::protobuf::{Fields, Value, timestamp};
use super::{provenance, trace};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct ImageIndex {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct ExportManifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    #[serde(default)]
    digest: String,
}

/// Reads the builds of the export, in its order.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Draft>, String> {
    let files = ArchiveFiles::read(bytes)?;
    let index: ImageIndex = document(&files, "index.json")?;
    // Each document is read once, even if several manifests name it.
    let (mut seen, mut opened) = (BTreeSet::new(), BTreeSet::new());
    let mut drafts = Vec::new();
    for descriptor in index.manifests {
        if !opened.insert(descriptor.digest.clone()) {
            continue;
        }
        // A manifest, or an index of manifests.
        let below = document::<ImageIndex>(&files, &blob(&descriptor.digest)).map(|index| index.manifests);
        for descriptor in below.ok().filter(|below| !below.is_empty()).unwrap_or_else(|| vec![descriptor]) {
            if seen.insert(descriptor.digest.clone())
                && let Ok(manifest) = document::<ExportManifest>(&files, &blob(&descriptor.digest))
            {
                drafts.push(build(&files, manifest, &mut seen));
            }
        }
    }
    Ok(drafts)
}

/// The build of one manifest.
fn build(files: &ArchiveFiles, manifest: ExportManifest, seen: &mut BTreeSet<String>) -> Draft {
    let mut vertices = Vertices::default();
    let (mut traces, mut provenances) = (Vec::new(), Vec::new());
    for layer in manifest.layers {
        if !seen.insert(layer.digest.clone()) {
            continue;
        }
        let Some(content) = files.get(&blob(&layer.digest)) else { continue };
        match layer.media_type.as_str() {
            "application/vnd.buildkit.status.v0" => statuses(content, &mut vertices),
            "application/vnd.buildkit.otlp.json.v0" => traces.push(content),
            "application/vnd.in-toto+json" => provenances.push(content),
            _ => {}
        }
    }
    let (mut draft, indices) = vertices.draft();
    for content in traces {
        trace::enrich(&String::from_utf8_lossy(content), &mut draft, &indices);
    }
    for content in provenances {
        provenance::enrich(content, &mut draft, &indices);
    }
    draft
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn document<T: for<'d> Deserialize<'d>>(files: &ArchiveFiles, name: &str) -> Result<T, String> {
    let content = files.get(name).ok_or_else(|| format!("{name} is missing"))?;
    serde_json::from_slice(content).map_err(|error| format!("{name}: {error}"))
}

/// Reads a sequence of messages, each after its length in four little-endian bytes. A message is a `moby.buildkit.v1.StatusResponse`
/// (control.proto).
fn statuses(mut stream: &[u8], vertices: &mut Vertices) {
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let message = rest.get(..length).unwrap_or(rest);
        stream = rest.get(length..).unwrap_or(&[]);
        for field in Fields(message) {
            match field {
                (1, Value::Bytes(vertex)) => vertices.update(update(vertex)),
                (2, Value::Bytes(status)) => vertices.status(self::status(status)),
                (3, Value::Bytes(log)) => self::log(log, vertices),
                _ => {}
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn update(message: &[u8]) -> Update {
    let mut update = Update::default();
    for field in Fields(message) {
        match field {
            (1, Value::Bytes(digest)) => update.digest = text(digest),
            (2, Value::Bytes(input)) => update.inputs.push(text(input)),
            (3, Value::Bytes(name)) => update.name = text(name),
            (4, Value::Number(cached)) => update.cached = cached != 0,
            (5, Value::Bytes(started)) => update.started = Some(timestamp(started)),
            (6, Value::Bytes(completed)) => update.completed = Some(timestamp(completed)),
            (7, Value::Bytes(error)) => update.error = text(error),
            _ => {}
        }
    }
    update
}

fn status(message: &[u8]) -> Status {
    let mut status = Status::default();
    for field in Fields(message) {
        match field {
            (1, Value::Bytes(id)) => status.id = text(id),
            (2, Value::Bytes(vertex)) => status.vertex = text(vertex),
            (4, Value::Number(current)) => status.current = current,
            (6, Value::Bytes(at)) => status.at = Some(timestamp(at)),
            (7, Value::Bytes(started)) => status.started = Some(timestamp(started)),
            (8, Value::Bytes(completed)) => status.completed = Some(timestamp(completed)),
            _ => {}
        }
    }
    status
}

fn log(message: &[u8], vertices: &mut Vertices) {
    let (mut vertex, mut line, mut at) = (String::new(), String::new(), None);
    for field in Fields(message) {
        match field {
            (1, Value::Bytes(digest)) => vertex = text(digest),
            (2, Value::Bytes(stamp)) => at = Some(timestamp(stamp)),
            (4, Value::Bytes(bytes)) => line = text(bytes),
            _ => {}
        }
    }
    vertices.log(&vertex, &line, at);
}
