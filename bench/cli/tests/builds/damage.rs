//! A store with corrupted files: damaged data is never used, and the same build recreates it.

use crate::world::{World, steps};
use buildscope_record::Digest;
use buildscope_record::Outcome::{Cached, Executed};
use buildscope_testing::{Registry, test};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DOCKERFILE: &str = "FROM busybox\nRUN head -c 100000 /dev/zero | tr '\\0' A > /f\nRUN echo after > /g\n";

/// The paths of the store's layers that contain this text.
fn blobs_with(world: &World, text: &[u8]) -> Vec<PathBuf> {
    let blobs = fs::read_dir(world.path("store/blobs/sha256")).unwrap().map(|blob| blob.unwrap().path());
    blobs.filter(|blob| fs::read(blob).unwrap().windows(text.len()).any(|window| window == text)).collect()
}

/// Changes a byte of the only layer that contains this text; returns the layer's digest.
fn rot(world: &World, text: &[u8]) -> String {
    let blobs = blobs_with(world, text);
    assert_eq!(blobs.len(), 1);
    let bytes = fs::read(&blobs[0]).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    fs::File::options().write(true).open(&blobs[0]).unwrap().write_all_at(b"Z", at as u64 + 1).unwrap();
    blobs[0].file_name().unwrap().to_str().unwrap().to_owned()
}

/// Asserts that all blobs of an OCI archive match their digests.
fn assert_whole(archive: &Path) {
    let mut archive = tar::Archive::new(fs::File::open(archive).unwrap());
    let mut blobs = 0;
    for member in archive.entries().unwrap() {
        let mut member = member.unwrap();
        let path = member.path().unwrap().into_owned();
        let Ok(name) = path.strip_prefix("blobs/sha256") else { continue };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        if !name.as_os_str().is_empty() {
            assert_eq!(Digest::of(bytes).hex(), name.to_str().unwrap());
            blobs += 1;
        }
    }
    assert!(blobs > 2);
}

fn store(world: &World, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    command.arg("store").args(args).arg("--root").arg(&world.store);
    command.env_remove("BUILDSCOPE_ROOT").output().unwrap()
}

#[test]
fn exporting_rebuilds_a_damaged_layer() {
    for (kind, driver) in [
        ("oci", "erofs"),
        ("oci,compression=gzip", "copy"),
        ("docker", "overlay"),
        ("tar", "erofs"),
        ("local", "erofs"),
    ] {
        let world = World::new(DOCKERFILE);
        world.build(&["--driver", driver]).record();
        let damaged = rot(&world, &[b'A'; 2000]);
        let output = format!("type={kind},dest={}", world.path("out").display());
        let built = world.build(&["--driver", driver, "--output", &output]);
        let record = built.record();
        assert!(built.stderr().contains(&damaged), "{kind}: {}", built.stderr());
        assert_eq!(steps(&record, Cached), ["FROM busybox"], "{kind}");
        // The step above may have been built from the damaged layer.
        assert_eq!(steps(&record, Executed).len(), 2, "{kind}");
        match kind {
            "oci" | "oci,compression=gzip" | "docker" => assert_whole(&world.path("out")),
            "local" => assert_eq!(fs::read(world.path("out/f")).unwrap(), vec![b'A'; 100_000]),
            _ => assert!(!fs::read(world.path("out")).unwrap().windows(7).any(|seven| seven == b"AZAAAAA")),
        }
        // Afterwards the store has no damage.
        let built = world.build(&["--driver", driver, "--output", &output]);
        assert_eq!(steps(&built.record(), Executed), Vec::<&str>::new(), "{kind}");
        assert!(!built.stderr().contains("damaged"), "{kind}: {}", built.stderr());
        assert!(store(&world, &["check"]).status.success(), "{kind}");
    }
}

/// Builds with a damaged layer, which a step reads that was not in the Dockerfile before. The same build must make it again.
#[track_caller]
fn assert_found_by_reader(before: &str, reader: &str, driver: &str) {
    let world = World::new(before);
    world.build(&["--driver", driver]).record();
    let damaged = rot(&world, &[b'A'; 2000]);
    world.write("Dockerfile", &format!("{before}{reader}"));
    let built = world.build(&["--driver", driver]);
    let record = built.record();
    assert!(built.stderr().contains(&damaged), "{reader}: {}", built.stderr());
    assert!(steps(&record, Executed).iter().any(|step| step.contains("head -c 100000")), "{reader}");
    let output = format!("type=local,dest={}", world.path("out").display());
    world.build(&["--driver", driver, "--output", &output]).record();
    assert_eq!(fs::read(world.path("out/h")).unwrap(), vec![b'A'; 100_000], "{reader}");
}

#[test]
fn damage_that_a_step_reads_is_found() {
    let other = "FROM busybox AS other\nRUN head -c 100000 /dev/zero | tr '\\0' A > /f\nFROM busybox\nCOPY --from=other /etc/passwd /p\n";
    for driver in ["erofs", "overlay", "copy"] {
        assert_found_by_reader(DOCKERFILE, "RUN cp /f /h\n", driver);
        // The step fails because of the damage.
        assert_found_by_reader(DOCKERFILE, "RUN ! grep -q Z /f && cp /f /h\n", driver);
        assert_found_by_reader(other, "COPY --from=other /f /h\n", driver);
        assert_found_by_reader(other, "RUN --mount=type=bind,from=other,target=/o cp /o/f /h\n", driver);
    }
}

#[test(Program("docker-registry"))]
fn a_damaged_layer_is_not_pushed() {
    let registry = Registry::start();
    let world = World::new(DOCKERFILE);
    world.build(&[]).record();
    let damaged = rot(&world, &[b'A'; 2000]);
    let name = format!("{}/app:1", registry.host);
    let built = world.build(&["--tag", &name, "--push"]);
    built.record();
    assert!(built.stderr().contains(&damaged), "{}", built.stderr());
    // A fresh store pulls what was pushed, and checks every digest.
    let other = World::new(&format!("FROM {name}\nRUN cp /f /h\n"));
    let output = format!("type=local,dest={}", other.path("out").display());
    other.build(&["--output", &output]).record();
    assert_eq!(fs::read(other.path("out/h")).unwrap(), vec![b'A'; 100_000]);
}

#[test]
fn a_damaged_embedded_base_is_recreated() {
    let world = World::new(DOCKERFILE);
    world.build(&[]).record();
    let damaged = rot(&world, b"root:x:0:0:root:/root:/bin/sh");
    let output = format!("type=oci,dest={}", world.path("out").display());
    let built = world.build(&["--output", &output]);
    built.record();
    assert!(built.stderr().contains(&damaged), "{}", built.stderr());
    assert_whole(&world.path("out"));
}

#[test]
fn an_image_that_cannot_be_read_is_not_called_missing() {
    let world = World::new("FROM x\n");
    let layout = world.path("layout");
    fs::create_dir(&layout).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let context = format!("x=oci-layout://{}", layout.display());
    let (failed, missing) =
        ("this image could not be prepared", "no stage above has this name, and no image was found");
    for (index, said, other) in [("{", failed, missing), (r#"{"schemaVersion":2,"manifests":[]}"#, missing, failed)] {
        fs::write(layout.join("index.json"), index).unwrap();
        let shown = world.build(&["--build-context", &context]).stderr();
        assert!(shown.contains(said) && !shown.contains(other), "{shown}");
    }
}

#[test]
fn check_reports_and_repairs_damage() {
    let world = World::new(DOCKERFILE);
    world.build(&[]).record();
    let whole = store(&world, &["check"]);
    assert!(whole.status.success());
    assert!(String::from_utf8_lossy(&whole.stdout).contains("no damage"));
    let damaged = rot(&world, &[b'A'; 2000]);
    let found = store(&world, &["check", "--format", "json"]);
    assert_eq!(found.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["damaged"][0]["blob"], format!("sha256:{damaged}"));
    assert_eq!(found["damaged"][0]["repaired"], false);
    let repaired = store(&world, &["check", "--repair"]);
    assert!(repaired.status.success());
    assert!(String::from_utf8_lossy(&repaired.stdout).contains(&damaged));
    assert!(store(&world, &["check"]).status.success());
    assert!(steps(&world.build(&[]).record(), Executed).iter().any(|step| step.contains("head -c")));

    // An unpacked layer.
    world.build(&["--driver", "overlay", "--no-cache"]).record();
    let lowers = fs::read_dir(world.path("store/lowers")).unwrap().map(|entry| entry.unwrap().path());
    let file = lowers.map(|lower| lower.join("f")).find(|file| file.exists()).unwrap();
    fs::File::options().write(true).open(&file).unwrap().write_all_at(b"Z", 1).unwrap();
    let found = store(&world, &["check"]);
    assert_eq!(found.status.code(), Some(1));
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(text.contains("`f`: other content") || text.contains("`f`: another time"), "{text}");
    let repaired = store(&world, &["check", "--repair"]);
    assert!(repaired.status.success());
    assert!(!file.exists());
    // The step that read it.
    assert!(steps(&world.build(&["--driver", "overlay"]).record(), Executed).iter().any(|step| step.contains("after")));
    assert!(store(&world, &["check"]).status.success());
}

#[test]
fn a_damaged_cache_index_is_reported_and_recreated() {
    let world = World::new(DOCKERFILE);
    world.build(&[]).record();
    fs::write(world.path("store/cache.db"), "no index").unwrap();
    let built = world.build(&[]);
    assert_eq!(steps(&built.record(), Executed).len(), 2);
    assert!(built.stderr().contains("cache.db.damaged-"), "{}", built.stderr());
    let again = world.build(&[]);
    assert_eq!(steps(&again.record(), Executed), Vec::<&str>::new());
    assert!(!again.stderr().contains("damaged"));
}

#[test]
fn a_default_dockerfile_cannot_escape_the_context() {
    let world = World::empty();
    fs::write(world.path("secret"), "hidden words\n").unwrap();
    std::os::unix::fs::symlink("../secret", world.context().join("Dockerfile")).unwrap();
    let built = world.build(&[]);
    assert!(!built.output.status.success());
    assert!(built.stderr().contains("outside the context"), "{}", built.stderr());
    assert!(!built.stderr().contains("hidden words"), "{}", built.stderr());
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_buildscope")).arg("check").arg(world.context()).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let checked = check();
    assert!(checked.contains("outside the context") && !checked.contains("hidden words"), "{checked}");
    // A Dockerfile that the user names may be anywhere.
    fs::write(world.path("secret"), "FROM scratch\nCOPY f /\n").unwrap();
    world.write("f", "");
    world.build(&["-f", world.context().join("Dockerfile").to_str().unwrap()]).record();
    // A link within the context is followed.
    fs::remove_file(world.context().join("Dockerfile")).unwrap();
    world.write("sub/real", "FROM scratch\nCOPY f /\n");
    std::os::unix::fs::symlink("sub/real", world.context().join("Dockerfile")).unwrap();
    world.build(&[]).record();
    std::os::unix::fs::symlink("../secret", world.context().join(".dockerignore")).unwrap();
    assert!(world.build(&[]).stderr().contains("outside the context"));
    assert!(check().contains("outside the context"));
}

#[test]
fn the_ignore_file_of_a_dockerfile_elsewhere_is_read_there() {
    let world = World::new("FROM scratch\n");
    world.write("keep", "1");
    world.write("leave", "2");
    world.write("sub/Dockerfile", "FROM scratch\nCOPY . /\n");
    fs::create_dir(world.path("other")).unwrap();
    fs::copy(world.context().join("sub/Dockerfile"), world.path("other/Dockerfile")).unwrap();
    fs::write(world.path("other/Dockerfile.dockerignore"), "leave\n").unwrap();
    let copied = |file: &str| {
        let mut command = world.command_on(&[], &[]);
        command.current_dir(world.context()).args(["-f", file, "--output", "type=local,dest=../out", "."]);
        let output = command.output().unwrap();
        let names = fs::read_dir(world.path("out")).into_iter().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let _ = fs::remove_dir_all(world.path("out"));
        (output.status.success(), names, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for file in ["../other/Dockerfile", "./../other/Dockerfile", "sub/../../other/Dockerfile"] {
        let (built, names, stderr) = copied(file);
        assert!(built && names == ["Dockerfile", "keep", "sub"], "{file}: {names:?} {stderr}");
    }
    // Within the context, a link must not show a file of elsewhere, however the path is written.
    std::os::unix::fs::symlink(
        world.path("other/Dockerfile.dockerignore"),
        world.context().join("sub/Dockerfile.dockerignore"),
    )
    .unwrap();
    for file in ["sub/Dockerfile", "./sub/Dockerfile", "../context/sub/Dockerfile"] {
        let (built, _, stderr) = copied(file);
        assert!(!built && stderr.contains("outside the context"), "{file}: {stderr}");
    }
}

#[test]
fn a_pipe_as_ignore_file_is_an_error() {
    let world = World::new("FROM scratch\nCOPY f /\n");
    world.write("f", "");
    let (pipe, mode) = (world.context().join(".dockerignore"), rustix::fs::Mode::from_raw_mode(0o644));
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let built = world.build(&[]);
    assert!(built.stderr().contains("not a regular file"), "{}", built.stderr());
}
