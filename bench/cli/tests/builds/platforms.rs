//! Builds for several platforms at once.

use crate::world::{World, member, steps};
use buildscope_record::Outcome::{Executed, Joined};
use buildscope_testing::{Registry, test};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const CROSS: &str = "FROM --platform=$BUILDPLATFORM busybox AS compiler\n\
    RUN echo ready > /compiler\n\
    FROM --platform=$BUILDPLATFORM compiler AS build\n\
    ARG TARGETPLATFORM TARGETARCH\n\
    RUN echo \"$TARGETPLATFORM by $(uname -m)\" > /app-$TARGETARCH\n\
    FROM scratch\n\
    ARG TARGETARCH\n\
    COPY --from=build /app-$TARGETARCH /app\n";

/// This machine's platform and another one.
fn both() -> [&'static str; 2] {
    if cfg!(target_arch = "aarch64") { ["linux/arm64", "linux/amd64"] } else { ["linux/amd64", "linux/arm64"] }
}

fn json(archive: &Path, name: &str) -> Value {
    serde_json::from_slice(&member(archive, name)).unwrap()
}

fn blob(archive: &Path, descriptor: &Value) -> Value {
    json(archive, &format!("blobs/sha256/{}", &descriptor["digest"].as_str().unwrap()["sha256:".len()..]))
}

#[test]
fn cross_building_shares_common_steps_in_one_index() {
    let world = World::new(CROSS);
    let platforms = both().join(",");
    let (archive, files) = (world.path("image.tar"), world.path("files"));
    let outputs = [format!("type=oci,dest={}", archive.display()), format!("type=local,dest={}", files.display())];
    let (metadata, iid) = (world.path("metadata"), world.path("iid"));
    let common = ["--platform", &platforms, "-t", "one:two", "--iidfile", iid.to_str().unwrap()];
    let args = ["--output", &outputs[0], "--output", &outputs[1], "--metadata-file", metadata.to_str().unwrap()];
    let record = world.build(&[&common[..], &args].concat()).record();

    let index = blob(&archive, &json(&archive, "index.json")["manifests"][0]);
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for (entry, platform) in entries.iter().zip(both()) {
        let architecture = platform.strip_prefix("linux/").unwrap();
        assert_eq!(entry["platform"]["architecture"], architecture);
        let config = blob(&archive, &blob(&archive, entry)["config"]);
        assert_eq!((&config["architecture"], &config["os"]), (&architecture.into(), &"linux".into()));
        let text = fs::read_to_string(files.join(platform.replace('/', "_")).join("app")).unwrap();
        assert!(text.starts_with(&format!("{platform} by ")), "{text}");
    }
    let tar = world.path("files.tar");
    world.build(&[&common[..], &["--output", &format!("type=tar,dest={}", tar.display())]].concat()).record();
    for platform in both() {
        let text = member(&tar, &format!("{}/app", platform.replace('/', "_")));
        assert!(String::from_utf8(text).unwrap().starts_with(&format!("{platform} by ")));
    }
    let top = json(&archive, "index.json")["manifests"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(&iid).unwrap(), top);
    let metadata: Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.digest"], top);
    // The compiler's stage is common to both; the second platform reuses its result.
    let of = |outcome, text: &str| steps(&record, outcome).iter().filter(|step| step.contains(text)).count();
    assert_eq!((of(Executed, "/compiler"), of(Joined, "/compiler")), (1, 1));
    assert_eq!(of(Executed, "RUN echo \"$TARGETPLATFORM"), 2);
    assert!(record.stages.iter().any(|stage| stage.name.contains("->") && stage.name.ends_with(" build")));

    // Another tool finds the other platform's image in the index.
    let other = both()[1].strip_prefix("linux/").unwrap();
    let mut inspect = Command::new("skopeo");
    inspect.args(["--override-arch", other, "inspect", "--format", "{{.Architecture}}"]);
    let run = inspect.arg(format!("oci-archive:{}", archive.display())).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), other, "{}", String::from_utf8_lossy(&run.stderr));

    // Every policy gives the same index; with the cache, nothing runs.
    let again = |args: &[&str]| world.digest(&[&["--platform", &platforms], args].concat());
    assert_eq!(again(&["--policy", "serial"]), again(&["--policy", "stages"]));
    assert_eq!(steps(&world.build(&common).record(), Executed), [""; 0]);
    let refused = world.build(&[&common[..], &["--output", "type=docker,dest=x.tar"]].concat());
    assert!(!refused.output.status.success() && refused.stderr().contains("one platform"));
}

#[test(Program("docker-registry"))]
fn each_platform_is_pulled_from_a_pushed_index() {
    let registry = Registry::start();
    let world = World::new(CROSS);
    let (platforms, name) = (both().join(","), registry.name("base:1"));
    world.build(&["--platform", &platforms, "-t", &name, "--push"]).record();
    world.forget();
    world.write("Dockerfile", &format!("FROM {name}\nCOPY Dockerfile /d\n"));
    let files = world.path("files");
    let output = format!("type=local,dest={}", files.display());
    for platform in both() {
        // The store knows the name, but not yet the other platform's image.
        world.build(&["--platform", platform, "--output", &output]).record();
        assert!(fs::read_to_string(files.join("app")).unwrap().starts_with(platform));
    }
    // A local image of that name, only for this machine, does not hide the other platform's.
    world.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /app\n");
    world.build(&["-t", &name]).record();
    world.write("Dockerfile", &format!("FROM {name}\nCOPY Dockerfile /d\n"));
    world.build(&["--platform", both()[1], "--output", &output]).record();
    assert!(fs::read_to_string(files.join("app")).unwrap().starts_with(both()[1]));
}

#[test]
fn a_base_for_another_platform_is_used_with_a_warning() {
    let world = World::new("FROM scratch\nCOPY Dockerfile /d\n");
    let platform = both()[1];
    world.build(&["--platform", platform, "-t", "foreign:1"]).record();
    world.write(
        "Dockerfile",
        "FROM busybox AS first\nFROM scratch\nCOPY --from=foreign:1 /d /d\nFROM foreign:1\nCOPY --from=1 /d /e\n",
    );
    let message =
        format!("InvalidBaseImagePlatform: foreign:1 is an image for {platform}, but the build is for {}", both()[0]);
    let built = world.build(&[]);
    for line in [3, 4] {
        let warning = format!("{message} (line {line})");
        assert!(built.stderr().contains(&format!("warning: {warning}\n")), "{}", built.stderr());
        assert!(built.record().notes.contains(&warning), "{:?}", built.record().notes);
    }
    let check = world.command(&["--call", "check,format=json"]).output().unwrap();
    assert!(!check.status.success());
    let found = String::from_utf8_lossy(&check.stdout).matches("\"InvalidBaseImagePlatform\"").count();
    assert_eq!(found, 2, "{}", String::from_utf8_lossy(&check.stdout));
    // A build for the platform of the base has nothing to say.
    let quiet = world.build(&["--platform", platform]);
    assert!(quiet.record().notes.is_empty() && !quiet.stderr().contains("warning"), "{}", quiet.stderr());
}

/// BuildKit takes the image of `--from` for the platform of the build, not for that of the stage.
#[test(Program("docker-registry"))]
fn an_image_of_a_copy_is_for_the_platform_of_the_build() {
    let registry = Registry::start();
    let world = World::new("FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n");
    let (platforms, name) = (both().join(","), registry.name("each:1"));
    world.build(&["--platform", &platforms, "-t", &name, "--push"]).record();
    world.write("Dockerfile", &format!("FROM --platform={} {name}\nCOPY --from={name} / /from/\n", both()[1]));
    let files = world.path("files");
    world.build(&["--output", &format!("type=local,dest={}", files.display())]).record();
    let [own, other] = both().map(|platform| platform.strip_prefix("linux/").unwrap());
    assert!(files.join(other).exists() && files.join("from").join(own).exists());
    assert!(!files.join("from").join(other).exists());
}

#[test(NoEmulator("s390x"))]
fn foreign_programs_are_reported() {
    // s390x, for which emulators are rarely registered: an ELF header (big-endian, machine 22) and nothing more.
    let world = World::new("FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN echo hello\n");
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x02\x01");
    header[16..20].copy_from_slice(&[0, 2, 0, 22]);
    fs::write(world.context().join("sh"), header).unwrap();
    let built = world.build(&["--platform", "linux/s390x"]);
    assert_eq!(built.output.status.code(), Some(1));
    let message = built.stderr().replace('\n', " ");
    assert!(message.contains("linux/s390x") && message.contains("binfmt_misc"), "{message}");
}
