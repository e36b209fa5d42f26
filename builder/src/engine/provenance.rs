//! `--provenance`: states what an image was made of and how (SLSA provenance, v0.2 and v1).
//!
//! The fields are filled as BuildKit fills them (moby/buildkit, docs/attestations/slsa-definitions.md). The digest of the
//! build record, which BuildKit does not have, is under a name of our own.

use super::finished_build::FinishedBuild;
use super::record::identity;
use super::{BuildError, DockerfileInput, Request};
use crate::http::{now, rfc3339};
use crate::images::{Predicate, csv_fields, package};
use crate::plan::{Base, CopyFrom, ImageSource, MountKind, Network, Op, Plan, Step, is_git, is_url};
use crate::sources::remembered;
use buildscope_oci::Platform;
use buildscope_record::{BlobDigest, StepId, redacted};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The build type: it defines the structure of `buildConfig`.
const BUILD_TYPE: &str = "urn:buildscope:build:v1";

/// The options of `--provenance`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// `mode=max`: includes arguments, names of secrets and the steps.
    pub max: bool,
    /// `version=v1`; otherwise v0.2, BuildKit's default.
    pub v1: bool,
    /// `builder-id=`: identifies the builder.
    pub builder: String,
    /// `reproducible=`: the user's claim that the same sources give the same bytes.
    pub reproducible: bool,
}

impl Provenance {
    /// Reads `--provenance`: `true`, `false`, or `mode=min|max,version=v0.2|v1,builder-id=ID,reproducible=true`.
    ///
    /// # Errors
    /// One sentence on the invalid option.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut provenance = Self::default();
        for field in csv_fields(text)? {
            match field.split_once('=').unwrap_or((&field, "true")) {
                ("1" | "t" | "T" | "True" | "TRUE", "true") => {}
                ("0" | "f" | "F" | "False" | "FALSE", "true") => return Ok(None),
                ("true", "true") | ("min", "true") | ("mode", "min") | ("version", "v0.2") | ("disabled", "false") => {}
                ("false", "true") | ("disabled", "true") => return Ok(None),
                ("max", "true") | ("mode", "max") => provenance.max = true,
                ("version", "v1") => provenance.v1 = true,
                ("builder-id", id) => id.clone_into(&mut provenance.builder),
                ("reproducible", value @ ("true" | "false")) => provenance.reproducible = value == "true",
                _ => {
                    return Err(format!(
                        "--provenance takes true, false, or mode=min|max, version=v0.2|v1, builder-id=ID and reproducible=true, not `{field}`"
                    ));
                }
            }
        }
        Ok(Some(provenance))
    }
}

/// The provenance of a target's image.
pub(super) fn predicate(build: &FinishedBuild<'_>, wanted: &Provenance, target: StepId, invocation: &str) -> Predicate {
    let input = ProvenanceInput::of(build, wanted, target, invocation);
    let (kind, mut content) = if wanted.v1 {
        ("https://slsa.dev/provenance/v1", input.v1(wanted))
    } else {
        ("https://slsa.dev/provenance/v0.2", input.v0_2(wanted))
    };
    redact(&mut content);
    Predicate { kind: kind.into(), content }
}

/// Leaves out the credentials in the addresses of all texts: of the Dockerfile, its steps, and what they fetch.
fn redact(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(shown) = redacted(text) {
                *text = shown;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(fields) => fields.values_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The content that both versions have in common.
struct ProvenanceInput {
    source: Map<String, Value>,
    entry: String,
    parameters: Value,
    materials: Vec<Value>,
    steps: Option<Value>,
    dockerfile: Option<Value>,
    invocation: String,
    started: String,
    finished: String,
    hermetic: bool,
    complete: bool,
    record: Value,
}

impl ProvenanceInput {
    fn of(build: &FinishedBuild<'_>, wanted: &Provenance, target: StepId, invocation: &str) -> Self {
        let request = build.request;
        let needed = needed(build.plan, target);
        let steps: Vec<&Step> = needed.iter().map(|id| build.plan.step(*id)).collect();
        let mut source = Map::new();
        if let Some(origin) = build.context_origin {
            source.insert("uri".into(), origin.uri.clone().into());
            source.insert("digest".into(), json!({ origin.algorithm: origin.hex }));
        }
        let entry = match &request.dockerfile {
            DockerfileInput::File(path) | DockerfileInput::Within(path) => {
                path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
            }
            DockerfileInput::Text { .. } => "-".into(),
        };
        let outside = steps.iter().any(|step| match &step.op {
            Op::Copy(copy) => matches!(copy.from, CopyFrom::Context | CopyFrom::NamedContext(_)),
            Op::From(base) => matches!(base, Base::Context(_)),
            _ => false,
        });
        Self {
            entry,
            parameters: parameters(request, wanted.max, source.is_empty()),
            materials: materials(build, &steps),
            steps: wanted.max.then(|| listed(build, &steps)),
            dockerfile: wanted.max.then(|| build.dockerfile.into()),
            invocation: invocation.to_owned(),
            started: rfc3339(build.started),
            finished: rfc3339(now()),
            hermetic: steps.iter().all(|step| is_hermetic(step)),
            complete: !outside || !source.is_empty(),
            record: json!({ "sha256": identity(build.plan, build.reports, &build.results.used_images()).hex() }),
            source,
        }
    }

    fn v0_2(mut self, wanted: &Provenance) -> Value {
        self.source.insert("entryPoint".into(), self.entry.into());
        let mut metadata = json!({
            "buildInvocationID": self.invocation,
            "buildStartedOn": self.started,
            "buildFinishedOn": self.finished,
            "completeness": { "parameters": wanted.max, "environment": true, "materials": self.complete },
            "reproducible": wanted.reproducible,
        });
        let ours = |name: &str| format!("{BUILD_TYPE}#{name}");
        metadata[ours("hermetic")] = self.hermetic.into();
        metadata[ours("record")] = self.record;
        if let Some(dockerfile) = self.dockerfile {
            metadata[ours("dockerfile")] = dockerfile;
        }
        let mut predicate = json!({
            "builder": { "id": wanted.builder },
            "buildType": BUILD_TYPE,
            "materials": self.materials,
            "invocation": {
                "configSource": self.source,
                "parameters": self.parameters,
                "environment": { "platform": Platform::host().to_string() },
            },
            "metadata": metadata,
        });
        if let Some(steps) = self.steps {
            predicate["buildConfig"] = json!({ "steps": steps });
        }
        predicate
    }

    fn v1(mut self, wanted: &Provenance) -> Value {
        self.source.insert("path".into(), self.entry.into());
        let mut internal = json!({ "builderPlatform": Platform::host().to_string() });
        if let Some(steps) = self.steps {
            internal["buildConfig"] = json!({ "steps": steps });
        }
        let mut metadata = json!({
            "invocationId": self.invocation,
            "startedOn": self.started,
            "finishedOn": self.finished,
            "buildscope_hermetic": self.hermetic,
            "buildscope_completeness": { "request": wanted.max, "resolvedDependencies": self.complete },
            "buildscope_reproducible": wanted.reproducible,
        });
        if let Some(dockerfile) = self.dockerfile {
            metadata["buildscope_dockerfile"] = dockerfile;
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": { "configSource": self.source, "request": self.parameters },
                "internalParameters": internal,
                "resolvedDependencies": self.materials,
            },
            "runDetails": {
                "builder": { "id": wanted.builder },
                "metadata": metadata,
                "byproducts": [{ "name": "build record", "digest": self.record }],
            },
        })
    }
}

/// The target and all steps that it depends on, in the order of the file.
fn needed(plan: &Plan, target: StepId) -> Vec<StepId> {
    use petgraph::Direction::Incoming;
    use petgraph::graph::NodeIndex;
    let graph = &plan.graph;
    let (mut found, mut open) = (std::collections::BTreeSet::new(), vec![NodeIndex::new(target.index())]);
    while let Some(node) = open.pop() {
        if found.insert(graph[node].id) {
            open.extend(graph.neighbors_directed(node, Incoming));
        }
    }
    found.into_iter().collect()
}

fn parameters(request: &Request, max: bool, local: bool) -> Value {
    let mut args = Map::new();
    let mut say = |key: String, value: &str| args.insert(key, value.into());
    if let Some(target) = &request.target {
        say("target".into(), target);
    }
    if max {
        request.build_args.iter().for_each(|(name, value)| drop(say(format!("build-arg:{name}"), value)));
        request.labels.iter().for_each(|(name, value)| drop(say(format!("label:{name}"), value)));
        if request.no_cache {
            say("no-cache".into(), "");
        }
    }
    let mut parameters = json!({ "frontend": "dockerfile.v0", "args": args });
    if local {
        parameters["locals"] = json!([{ "name": "context" }, { "name": "dockerfile" }]);
    }
    if max {
        let named = |id: &String| json!({ "id": id, "optional": true });
        parameters["secrets"] = request.run.secrets.keys().map(named).collect();
        parameters["ssh"] = request.run.agents.keys().map(named).collect();
    }
    parameters
}

/// The sources from outside, each with its digest if that is known.
fn materials(build: &FinishedBuild<'_>, steps: &[&Step]) -> Vec<Value> {
    let mut materials: Vec<Value> = Vec::new();
    let mut add = |material: Value| {
        if !materials.contains(&material) {
            materials.push(material);
        }
    };
    if let Some(origin) = build.context_origin {
        add(json!({ "uri": origin.uri, "digest": { origin.algorithm: origin.hex } }));
    }
    for step in steps {
        let platform = &build.plan.stages[step.stage.index()].platform;
        let image = |image: &ImageSource| {
            let uri = match (build.request.named_contexts.contains_key(&image.reference), image.reference.parse()) {
                (false, Ok(name)) => package(&name, Some(platform)),
                (false, Err(_)) => image.reference.clone(),
                (true, _) => format!("context:{}", image.reference),
            };
            json!({ "uri": uri, "digest": { "sha256": image.manifest.hex() } })
        };
        let mut from = |from: &CopyFrom| {
            if let CopyFrom::Image(source) = from {
                add(image(source));
            }
        };
        match &step.op {
            Op::Run(run) => {
                for mount in &run.mounts {
                    match &mount.kind {
                        MountKind::Bind { from: source, .. } | MountKind::Cache { from: Some((source, _)), .. } => {
                            from(source);
                        }
                        _ => {}
                    }
                }
            }
            Op::Copy(copy) => {
                from(&copy.from);
                for url in copy.sources.iter().filter(|source| copy.add && (is_url(source) || is_git(source))) {
                    let mut material = json!({ "uri": url });
                    let known = if is_git(url) { None } else { remembered(url, build.store) };
                    let digest = known.map(|digest: BlobDigest| ("sha256", digest.hex()));
                    let commit = copy.checksum.clone().filter(|_| is_git(url)).map(|commit| ("sha1", commit));
                    if let Some((algorithm, hex)) = digest.or(commit) {
                        material["digest"] = json!({ algorithm: hex });
                    }
                    add(material);
                }
            }
            Op::From(Base::Image(source)) => add(image(source)),
            Op::From(_) | Op::Config | Op::Workdir { .. } | Op::Pruned => {}
        }
    }
    materials
}

/// The steps with their inputs and results.
fn listed(build: &FinishedBuild<'_>, steps: &[&Step]) -> Value {
    use petgraph::Direction::Incoming;
    let graph = &build.plan.graph;
    let name = |id: StepId| format!("step{}", id.0);
    let list = |step: &&Step| {
        let report = &build.reports[step.id.index()];
        let node = petgraph::graph::NodeIndex::new(step.id.index());
        let mut inputs: Vec<StepId> = graph.neighbors_directed(node, Incoming).map(|input| graph[input].id).collect();
        inputs.sort_unstable();
        json!({
            "id": name(step.id),
            "text": step.text,
            "line": step.lines.0,
            "inputs": inputs.into_iter().map(name).collect::<Vec<_>>(),
            "key": report.cache.as_ref().map(|cache| cache.key),
            "layer": report.layer.map(|layer| layer.diff_id),
        })
    };
    steps.iter().map(list).collect()
}

/// Whether only the declared inputs can have reached the step: its process had no network, and it fetched nothing.
fn is_hermetic(step: &Step) -> bool {
    match &step.op {
        Op::Run(run) => run.network == Network::None,
        Op::Copy(copy) => !copy.add || !copy.sources.iter().any(|source| is_url(source) || is_git(source)),
        _ => true,
    }
}

/// A unique id of this build: 128 random bits.
pub(super) fn invocation() -> Result<String, BuildError> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| BuildError::Request(format!("cannot get random numbers: {error}")))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildx_s_words() {
        let parse = |text: &str| Provenance::parse(text).unwrap();
        assert_eq!((parse("true"), parse("mode=min")), (Some(Provenance::default()), Some(Provenance::default())));
        assert_eq!((parse("false"), parse("disabled=true")), (None, None));
        let max = parse("mode=max,version=v1,builder-id=https://ci/1,reproducible=true").unwrap();
        assert!(max.max && max.v1 && max.reproducible && max.builder == "https://ci/1");
        assert!(Provenance::parse("mode=some").is_err());
    }
}
