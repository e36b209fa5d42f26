//! Images as other tools see them. `scripts/setup` installs the tools; a missing tool is reported.

use crate::world::World;
use buildscope_testing::test;
use std::process::Command;

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/setup"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn skopeo_and_umoci_read_our_images() {
    let world = World::new(
        "FROM busybox\nENV A=1\nRUN mkdir /d && echo hello > /d/f && chmod 4711 /d/f\nCOPY --chown=1:2 f /d/g\nRUN rm /d/f\n\
         WORKDIR /w\nUSER 7\nEXPOSE 80\nCMD [\"x\"]\n",
    );
    world.write("f", "text");
    let archive = world.path("image.tar");
    let layout = world.path("layout");
    let (tar, dir) =
        (format!("type=oci,dest={}", archive.display()), format!("type=oci,tar=false,dest={}", layout.display()));
    let built = world.build(&["-t", "one:two", "--output", &tar, "--output", &dir]);
    built.record();

    let inspected =
        run(Command::new("skopeo").args(["inspect", "--config"]).arg(format!("oci-archive:{}", archive.display())));
    let config: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    let runtime = &config["config"];
    assert_eq!(
        (&runtime["User"], &runtime["WorkingDir"], &runtime["Cmd"][0]),
        (&"7".into(), &"/w".into(), &"x".into())
    );
    assert_eq!(runtime["ExposedPorts"], serde_json::json!({ "80/tcp": {} }));
    // RUN, COPY, RUN and WORKDIR on the base.
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 5);

    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let name = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
    let bundle = world.path("bundle");
    run(Command::new("umoci").args(["unpack", "--image"]).arg(format!("{}:{name}", layout.display())).arg(&bundle));
    let listed =
        run(Command::new("stat").args(["-c", "%n %a %u:%g"]).arg("d/g").arg("w").current_dir(bundle.join("rootfs")));
    assert_eq!(listed, "d/g 644 1:2\nw 755 0:0\n");
    assert!(!bundle.join("rootfs/d/f").exists(), "a whiteout was ignored");
}

#[test]
fn images_of_other_tools_are_bases() {
    let world = World::new(ON_THEIRS);
    let text = world.path("text");
    std::fs::write(&text, "theirs").unwrap();
    let at = |name: &str| world.path(name).display().to_string();
    let mut sources = Vec::new();

    let layout = at("umoci");
    run(Command::new("umoci").args(["init", "--layout", &layout]));
    run(Command::new("umoci").args(["new", "--image", &format!("{layout}:one")]));
    run(Command::new("umoci").args(["insert", "--image", &format!("{layout}:one")]).arg(&text).arg("/theirs"));
    let host = run(Command::new("dpkg").arg("--print-architecture"));
    let platform = ["config", "--os=linux", &format!("--architecture={}", host.trim()), "--image"];
    run(Command::new("umoci").args(platform).arg(format!("{layout}:one")));
    sources.push(format!("{layout}:one"));

    let archive = at("skopeo.tar");
    let copy = [format!("oci:{layout}:one"), format!("docker-archive:{archive}:theirs:one")];
    run(Command::new("skopeo").args(["copy", "--quiet"]).args(copy));
    sources.push(archive);

    for source in sources {
        builds_on(&world, &source);
    }
}

#[test(Program("buildah"), Root)]
fn an_image_of_buildah_is_a_base() {
    let world = World::new(ON_THEIRS);
    let text = world.path("text");
    std::fs::write(&text, "theirs").unwrap();
    let at = |name: &str| world.path(name).display().to_string();
    let buildah = |args: &[&str]| {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs", "--root", &at("buildah"), "--runroot", &at("buildah-run")]);
        run(command.args(args)).trim().to_owned()
    };
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", &container, text.to_str().unwrap(), "/theirs"]);
    let archive = at("buildah.tar");
    buildah(&["commit", "--quiet", &container, &format!("oci-archive:{archive}:one")]);
    buildah(&["rm", "--all"]);
    builds_on(&world, &archive);
}

/// A build on another tool's image, in which `/theirs` names the tool.
const ON_THEIRS: &str = "FROM theirs\nCOPY --from=busybox /bin /bin\nRUN cat /theirs > /read\n";

fn builds_on(world: &World, source: &str) {
    let out = world.path("out");
    let context = format!("theirs=oci-layout://{source}");
    world.build(&["--build-context", &context, "--output", out.to_str().unwrap()]).record();
    assert_eq!(std::fs::read_to_string(out.join("read")).unwrap(), "theirs", "{source}");
    std::fs::remove_dir_all(out).unwrap();
}
