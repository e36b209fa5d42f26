//! Compares configurations and histories, as lowering alone computes them, with the images that BuildKit built: for the
//! project's own cases, and for the conformance kit in the folder that `BUILDSCOPE_CONFORMANCE` names.

use buildscope_builder::plan::{self, ImageResolver, LowerRequest, NamedContext, Op, ResolveError, ResolvedBase};
use buildscope_dockerfile as dockerfile;
use buildscope_oci::{ImageConfig, Platform};
use buildscope_record::ManifestDigest;
use buildscope_testing::test;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    buildscope_testing::main()
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The base images of the kit, as its README describes them.
struct Bases(BTreeMap<String, String>);

impl ImageResolver for Bases {
    fn resolve(&self, reference: &str, _: &Platform) -> Result<ResolvedBase, ResolveError> {
        let name = reference.strip_suffix(":latest").unwrap_or(reference);
        let base = self.0.get(name).ok_or_else(|| ResolveError::Missing("pull access denied".into()))?;
        let config = match &**base {
            "parent" => json!({
                "Env": [PATH, "PARENT=yes", "CHAIN=a"], "Cmd": ["parent-cmd"], "Entrypoint": ["/bin/echo", "parent"],
                "WorkingDir": "/opt", "User": "bin:mail", "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/data": {}},
                "Labels": {"kit.parent": "yes", "kit.over": "parent"}, "StopSignal": "SIGUSR1", "Shell": ["/bin/sh", "-ec"],
                "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000_u64, "Retries": 4},
            }),
            "onbuild" => json!({ "Env": [PATH], "Cmd": ["sh"], "OnBuild": [
                "ENV FROM_ONBUILD=1",
                "RUN mkdir /opt && echo triggered > /opt/triggered && touch -d @1500000001 /opt/triggered",
                "COPY fr* /opt/",
            ] }),
            _ => json!({ "Env": [PATH], "Cmd": ["sh"] }),
        };
        let config: ImageConfig =
            serde_json::from_value(json!({ "architecture": "amd64", "os": "linux", "config": config })).unwrap();
        Ok(ResolvedBase { manifest: ManifestDigest::of(base), config: Arc::new(config) })
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn map(value: &Value) -> BTreeMap<String, String> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").into()))
        .collect()
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn the_kits_configurations_and_histories_are_buildkits() {
    assert_agree(&PathBuf::from(std::env::var_os("BUILDSCOPE_CONFORMANCE").unwrap()));
}

#[test]
fn our_configurations_and_histories_are_buildkits() {
    assert_agree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads/conformance"));
}

/// Lowers each case of a folder, and fails with a list of the differences.
fn assert_agree(folder: &Path) {
    let mut faults = Vec::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no cases", folder.display());
    for path in paths {
        let case = read(&path);
        let golden = read(&folder.join("goldens").join(path.file_name().unwrap()));
        if let Err(reason) = compare(&case, &golden["buildkit"]) {
            faults.push(format!("{}: {reason}", case["id"]));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn compare(case: &Value, golden: &Value) -> Result<(), String> {
    let contexts = case["contexts"].as_object().into_iter().flatten();
    let request = LowerRequest {
        build_args: map(&case["buildArgs"]),
        target: case["target"].as_str().map(str::to_owned),
        platform: Platform::new("linux", "amd64", None),
        build_platform: Platform::new("linux", "amd64", None),
        contexts: contexts.map(|(name, _)| (name.clone(), NamedContext::Directory)).collect(),
        ..LowerRequest::default()
    };
    let lowered = dockerfile::parse(case["text"].as_str().unwrap())
        .and_then(|file| plan::lower(&file, &request, &Bases(map(&case["bases"]))));
    let plan = match lowered {
        Ok(plan) => plan,
        Err(faults) if case["expect"] == "ok" => return Err(format!("refused: {faults}")),
        Err(_) => return Ok(()),
    };
    if golden["ok"] != true {
        return Ok(());
    }
    let chain: Vec<_> = plan.chain(plan.target).collect();
    let config = plan.step(plan.target).config.image().config;
    let mut found = serde_json::to_value(&config).unwrap();
    let found = found.as_object_mut().unwrap();
    found.remove("ArgsEscaped");
    found.retain(|_, value| !(value.is_null() || value == &json!([]) || value == &json!({})));
    let mut expected = golden["config"].as_object().cloned().unwrap_or_default();
    expected.retain(|_, value| !(value.is_null() || value == &json!([]) || value == &json!({})));
    if *found != expected {
        return Err(format!("config\n  {}\n  {}", Value::Object(found.clone()), Value::Object(expected)));
    }
    let steps = chain.iter().map(|id| plan.step(*id)).filter(|step| step.history.is_some());
    let history: Vec<Value> =
        steps.map(|step| json!([step.history.to_string(), matches!(step.op, Op::Config)])).collect();
    let ours = |entry: &&Value| {
        let text = entry[0].as_str().unwrap();
        !text.ends_with(" base") && !text.starts_with("[stage-") && !text.starts_with("opt")
    };
    let expected: Vec<Value> = golden["history"].as_array().unwrap().iter().filter(ours).cloned().collect();
    if history != expected {
        return Err(format!("history\n  {}\n  {}", json!(history), json!(expected)));
    }
    Ok(())
}
