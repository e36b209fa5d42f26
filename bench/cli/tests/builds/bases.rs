//! `buildscope base`: images for machines without a registry, and the sources of the embedded busybox.

use crate::world::{World, root};
use buildscope_testing::{Registry, test};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `buildscope base` in a view of the machine without busybox and apt.
fn base_without_busybox(world: &World, image: &str) -> Output {
    let script = "for path in /bin/busybox /usr/bin/busybox /bin/busybox-static /usr/bin/busybox-static; do
            [ ! -e $path ] || mount --bind /dev/null $path
        done
        PATH=/nowhere exec \"$@\"";
    let user = if root() { "-m" } else { "-Urm" };
    let mut command = Command::new("unshare");
    command.args([user, "sh", "-ec", script, "sh", env!("CARGO_BIN_EXE_buildscope"), "base", "busybox", "--root"]);
    command.arg(world.path("empty store")).env("BUILDSCOPE_BUSYBOX", image).output().unwrap()
}

#[test(Program("docker-registry"), Program("busybox"))]
fn busybox_is_pulled_by_digest_as_a_last_resort() {
    let registry = Registry::start();
    let host = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists()).unwrap();
    // As in docker's image: the program has many names, and `busybox` is not the first.
    let world = World::new("FROM scratch\nCOPY bin /bin/\n");
    world.write("bin/[", "");
    fs::copy(host, world.context().join("bin/[")).unwrap();
    fs::hard_link(world.context().join("bin/["), world.context().join("bin/busybox")).unwrap();
    let (name, metadata) = (registry.name("library/busybox:musl"), world.path("metadata"));
    let built = world.build(&["-t", &name, "--push", "--metadata-file", metadata.to_str().unwrap()]);
    built.record();
    let metadata: serde_json::Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
    let digest = metadata["containerimage.digest"].as_str().unwrap();

    let failed = base_without_busybox(&world, &name);
    let message = String::from_utf8_lossy(&failed.stderr).replace('\n', " ");
    assert!(!failed.status.success() && message.contains("needs a digest") && message.contains("apt-get"), "{message}");
    let wrong = base_without_busybox(&world, &format!("{name}@sha256:{}", "0".repeat(64)));
    assert!(!wrong.status.success());
    let made = base_without_busybox(&world, &format!("{name}@{digest}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    // The same program gives the same image, whatever its source.
    let near = Command::new(env!("CARGO_BIN_EXE_buildscope"))
        .args(["base", "busybox", "--root"])
        .arg(world.path("store"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&near.stdout));
}
