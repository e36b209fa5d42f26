//! Data attached to an image: provenance, annotations, `--metadata-file`.

use crate::world::{World, member};
use buildscope_testing::{Registry, test};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const DOCKERFILE: &str = "FROM busybox AS lib\nARG SECRETIVE\nRUN --network=none echo one > /lib.o\nFROM scratch\nCOPY --from=lib /lib.o /\n";

fn json(archive: &Path, name: &str) -> Value {
    serde_json::from_slice(&member(archive, name)).unwrap()
}

fn blob(archive: &Path, descriptor: &Value) -> Value {
    json(archive, &format!("blobs/sha256/{}", &descriptor["digest"].as_str().unwrap()["sha256:".len()..]))
}

/// Returns an image's index, its attestation manifest, and the statement in that manifest.
fn attested(archive: &Path) -> (Value, Value, Value) {
    let index = blob(archive, &json(archive, "index.json")["manifests"][0]);
    let manifest = blob(archive, &index["manifests"][1]);
    let statement = blob(archive, &manifest["layers"][0]);
    (index, manifest, statement)
}

#[test]
fn provenance_has_buildkits_form_and_names_the_record() {
    let world = World::new(DOCKERFILE);
    let (archive, record, metadata) = (world.path("image.tar"), world.path("r.json"), world.path("metadata"));
    let output = format!("type=oci,dest={}", archive.display());
    let common = ["--output", &output, "-t", "example.org/team/app:1", "--build-arg", "SECRETIVE=told"];
    let files = ["--record", record.to_str().unwrap(), "--metadata-file", metadata.to_str().unwrap()];
    let build = |args: &[&str]| {
        let run = world.command(&[&common[..], &files, args].concat()).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    build(&["--provenance", "true"]);
    let (index, manifest, statement) = attested(&archive);
    // moby/buildkit, docs/attestations/attestation-storage.md.
    let entry = &index["manifests"][1];
    assert_eq!(entry["platform"], serde_json::json!({ "architecture": "unknown", "os": "unknown" }));
    assert_eq!(entry["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(entry["annotations"]["vnd.docker.reference.digest"], index["manifests"][0]["digest"]);
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.in-toto+json");
    assert_eq!(layer["annotations"]["in-toto.io/predicate-type"], "https://slsa.dev/provenance/v0.2");
    assert_eq!(blob(&archive, &manifest["config"])["rootfs"]["diff_ids"][0], layer["digest"]);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v0.1");
    let subject = &statement["subject"][0];
    assert_eq!(
        format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap()),
        index["manifests"][0]["digest"].as_str().unwrap()
    );
    let name = subject["name"].as_str().unwrap();
    assert!(name.starts_with("pkg:docker/example.org/team/app@1?platform=linux%2F"), "{name}");

    let predicate = &statement["predicate"];
    let materials = predicate["materials"].as_array().unwrap();
    assert!(materials.len() == 1 && materials[0]["uri"].as_str().unwrap().starts_with("pkg:docker/busybox@latest"));
    assert_eq!(materials[0]["digest"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(predicate["metadata"]["completeness"]["materials"], true, "no context was copied from");
    assert_eq!(predicate["metadata"]["urn:buildscope:build:v1#hermetic"], true);
    assert!(!statement.to_string().contains("told") && predicate["buildConfig"].is_null(), "mode=min omits values");
    // The digest of the build's result, as jq computes it from the record.
    let filter = "{stages, edges: [.edges[] | select(.kind == \"data\")], \
        steps: [.steps[] | del(.start, .end, .slot, .base, .log, .resources, .processes, .network)]}";
    let sum = format!("jq -cSj '{filter}' {} | sha256sum", record.display());
    let sum = Command::new("sh").args(["-c", &sum]).output().unwrap().stdout;
    let digest = predicate["metadata"]["urn:buildscope:build:v1#record"]["sha256"].as_str().unwrap();
    assert_eq!(String::from_utf8_lossy(&sum).split(' ').next().unwrap(), digest);
    let metadata: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    assert_eq!(metadata["buildx.build.provenance"], *predicate);
    let top = &json(&archive, "index.json")["manifests"][0];
    assert_eq!(metadata["containerimage.digest"], top["digest"]);
    let config = &blob(&archive, &index["manifests"][0])["config"]["digest"];
    assert_eq!(&metadata["containerimage.config.digest"], config);
    assert_eq!(&metadata["containerimage.descriptor"]["annotations"]["config.digest"], config);
    assert_eq!(metadata["image.name"], "example.org/team/app:1");

    build(&["--attest", "type=provenance,mode=max,version=v1,builder-id=https://ci/7"]);
    let (_, _, statement) = attested(&archive);
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["request"]["args"]["build-arg:SECRETIVE"], "told");
    let steps = definition["internalParameters"]["buildConfig"]["steps"].as_array().unwrap();
    assert_eq!(steps.iter().filter(|step| step["layer"].is_string()).count(), 2);
    let run = &statement["predicate"]["runDetails"];
    assert_eq!(
        (&run["builder"]["id"], &run["byproducts"][0]["name"]),
        (&"https://ci/7".into(), &"build record".into())
    );

    // Readers that ignore attestations find the image.
    let inspect = Command::new("skopeo").arg("inspect").arg(format!("oci-archive:{}", archive.display())).output();
    let inspect = inspect.unwrap();
    assert!(inspect.status.success(), "{}", String::from_utf8_lossy(&inspect.stderr));
    let files = world.path("files");
    build(&["--provenance=mode=min", "--output", &format!("type=local,dest={}", files.display())]);
    let beside: Value = serde_json::from_slice(&fs::read(files.join("provenance.json")).unwrap()).unwrap();
    assert_eq!(beside["buildType"], "urn:buildscope:build:v1");
}

#[test(Program("docker-registry"))]
fn an_image_pushed_with_provenance_can_be_a_base() {
    let registry = Registry::start();
    let world = World::new("FROM scratch\nCOPY Dockerfile /d\n");
    let name = registry.name("attested:1");
    world.build(&["-t", &name, "--push", "--provenance=mode=max"]).record();
    world.forget();
    world.write("Dockerfile", &format!("FROM {name}\nCOPY Dockerfile /e\n"));
    let files = world.path("files");
    world.build(&["--output", files.to_str().unwrap()]).record();
    assert!(files.join("d").exists() && files.join("e").exists());
}

#[test]
fn annotations_are_placed_as_by_buildx() {
    let world = World::new("FROM scratch\nCOPY Dockerfile /d\n");
    let archive = world.path("image.tar");
    let output = format!("type=oci,dest={},annotation.from.output=o", archive.display());
    let args = ["--platform", "linux/amd64,linux/arm64", "--output", &output, "--annotation", "plain=p"];
    let levels = "index,index-descriptor,manifest-descriptor[linux/arm64]:deep=d";
    world.build(&[&args[..], &["--annotation", levels]].concat()).record();
    let top = json(&archive, "index.json")["manifests"][0].clone();
    let index = blob(&archive, &top);
    assert_eq!((&top["annotations"]["deep"], &index["annotations"]["deep"]), (&"d".into(), &"d".into()));
    let [amd64, arm64] = &index["manifests"].as_array().unwrap()[..] else { panic!("{index}") };
    assert!(amd64["annotations"]["deep"].is_null() && arm64["annotations"]["deep"] == "d");
    for entry in [amd64, arm64] {
        let annotations = &blob(&archive, entry)["annotations"];
        assert_eq!(annotations, &serde_json::json!({ "plain": "p", "from.output": "o" }));
    }
    let one = world.build(&["--output", &output, "--annotation", "index:k=v"]);
    assert!(!one.output.status.success() && one.stderr().contains("no index to annotate"), "{}", one.stderr());
}
