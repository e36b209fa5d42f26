//! Privileged steps and devices.

use crate::world::{World, executors, member, root};
use buildscope_testing::test;
use std::collections::BTreeMap;
use std::fs;

#[test]
fn privileged_steps_need_allow() {
    let world = World::new("FROM busybox\nRUN --security=insecure mount -t tmpfs none /tmp && touch /tmp/x\n");
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains("--allow security.insecure"), "{stderr}");
    for executor in executors() {
        world.build(&["--no-cache", "--allow", "security.insecure", "--executor", executor]).record();
    }
    let world = World::new("FROM busybox\nRUN --network=host true\n");
    for refused in [&[][..], &["--network", "none"], &["--network", "default"], &["--allow", "security.insecure"]] {
        let stderr = world.build(refused).stderr();
        assert!(stderr.contains("--allow network.host"), "{refused:?}: {stderr}");
    }
    for allowed in [["--network", "host"], ["--allow", "network.host"]] {
        world.build(&[&allowed[..], &["--no-cache"]].concat()).record();
    }
    world.build(&["--no-cache", "--network", "none", "--allow", "network.host"]).record();
}

const DEVICES: &[&str] = &["/dev/fuse", "/dev/net/tun", "/dev/kmsg", "/dev/loop-control"];

#[test(AnyDevice(DEVICES))]
fn devices_need_allow_and_exist_only_in_their_step() {
    let device = DEVICES.iter().find(|device| fs::File::open(device).is_ok()).unwrap();
    let world = World::new(&format!(
        "FROM busybox\nRUN --device={device} test -c {device} && echo seen > /seen\nRUN test ! -e {device}\n"
    ));
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains(&format!("--allow device={device}")), "{stderr}");
    let stderr = world.build(&["--allow", "device=/dev/other"]).stderr();
    assert!(stderr.contains(&format!("--allow device={device}")), "{stderr}");
    for executor in executors() {
        world.build(&["--no-cache", "--allow", &format!("device={device}"), "--executor", executor]).record();
    }
}

/// An ordinary user cannot create device nodes. Its steps do not see them, as with docker, BuildKit and buildah in a user namespace, but
/// the image has them in any case.
#[test]
fn device_nodes_of_a_base_are_in_the_image() {
    let world = World::new("FROM busybox\nADD devices.tar /opt/\nRUN touch /opt/new; ls /opt > /list\n");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind) in [("null", tar::EntryType::Char), ("disk", tar::EntryType::Block)] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_size(0);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        archive.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    fs::write(world.context().join("devices.tar"), archive.into_inner().unwrap()).unwrap();
    for driver in ["auto", "copy"] {
        let out = world.path("out.tar");
        let output = format!("type=tar,dest={}", out.display());
        let built = world.build(&["--driver", driver, "--no-cache", "--output", &output]);
        built.record();
        let mut files = tar::Archive::new(fs::File::open(&out).unwrap());
        let kinds: BTreeMap<String, tar::EntryType> = files
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().entry_type()))
            .collect();
        assert_eq!(kinds["opt/null"], tar::EntryType::Char, "{driver}");
        assert_eq!(kinds["opt/disk"], tar::EntryType::Block, "{driver}");
        assert_eq!(kinds["opt/new"], tar::EntryType::Regular, "{driver}");
        let seen = String::from_utf8(member(&out, "list")).unwrap();
        let warned = built.stderr().contains("steps do not see device nodes of the image (`/opt/disk` and 1 more)");
        let expected = if root() { ("disk\nnew\nnull\n", false) } else { ("new\n", true) };
        assert_eq!((&*seen, warned), expected, "{driver}");
    }
}
