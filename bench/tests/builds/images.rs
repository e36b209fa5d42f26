//! Images as other tools see them. `scripts/setup` installs the tools; without them these tests fail, and say so.

use crate::world::World;
use std::process::Command;

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/setup"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn skopeo_and_umoci_read_what_is_written() {
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
    assert!(!bundle.join("rootfs/d/f").exists(), "a whiteout was not followed");
}
