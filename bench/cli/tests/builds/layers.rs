//! What layers hold, and what layers of base images mean. The expected results are BuildKit's.

use crate::world::{World, flat, member};
use buildscope_testing::test;
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Builds an OCI archive and returns the names in the last layer, as tar lists them.
fn last_layer(world: &World, args: &[&str]) -> Vec<String> {
    let archive = world.path("image.tar");
    let output = format!("type=oci,dest={}", archive.display());
    let built = world.build(&[args, &["--output", &output]].concat());
    assert!(built.output.status.success(), "{}", built.stderr());
    let json = |name: &str| -> Value { serde_json::from_slice(&member(&archive, name)).unwrap() };
    let blob = |digest: &Value| format!("blobs/{}", digest.as_str().unwrap().replacen(':', "/", 1));
    let manifest = json(&blob(&json("index.json")["manifests"][0]["digest"]));
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    let file = world.path("layer.tar");
    fs::write(&file, member(&archive, &blob(&layer["digest"]))).unwrap();
    let list = Command::new("tar").arg("-tf").arg(&file).output().unwrap();
    assert!(list.status.success());
    String::from_utf8(list.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_copy_holds_what_it_changes() {
    let world = World::new("FROM busybox\nWORKDIR /app\nCOPY big ./\nCOPY . .\n");
    world.write("big", &"x".repeat(1 << 20));
    world.write("sub/small", "s");
    world.write(".dockerignore", "Dockerfile\n.dockerignore\n");
    assert_eq!(last_layer(&world, &[]), ["app/", "app/sub/", "app/sub/small"]);
    // Other content, another mode, owner or time is a change. The same file again is not.
    for (last, expected) in [
        ("COPY . .", &["app/"][..]),
        ("COPY --chown=1:1 big ./", &["app/", "app/big"]),
        ("COPY --chmod=600 big ./", &["app/", "app/big"]),
        ("COPY --link big ./", &["app/", "app/big"]),
        ("RUN rm big && echo new > big\nCOPY big ./", &["app/", "app/big"]),
        ("FROM busybox\nCOPY --from=0 /app /app\nCOPY --from=0 /app /app", &["app/"]),
    ] {
        world.write("Dockerfile", &format!("FROM busybox\nWORKDIR /app\nCOPY . .\n{last}\n"));
        let held = last_layer(&world, &[]);
        let files: Vec<_> = held.iter().filter(|name| !name.ends_with('/')).collect();
        let expected: Vec<_> = expected.iter().filter(|name| !name.ends_with('/')).collect();
        assert_eq!(files, expected, "{last}: {held:?}");
    }
}

/// As with BuildKit, a linked copy with a mode is an ordinary one: directories that exist keep their modes. With an owner it is linked.
#[test]
fn a_linked_copy_with_a_mode_leaves_existing_directories_alone() {
    let world = World::new(
        "FROM busybox AS made\nRUN mkdir -m 711 /old /older\nCOPY --link --chmod=640 d /old/\nCOPY --link --chmod=700 d/f /older/new/f\n\
         ADD --link --chmod=u=rwx,go= d /old/added/\n\
         FROM busybox\nRUN --mount=from=made,target=/m cd /m && stat -c '%a %n' old old/f older older/new old/added > /modes\n\
         FROM scratch\nCOPY --from=1 /modes /modes\n",
    );
    world.write("d/f", "");
    let out = world.path("out");
    world.build(&["--output", out.to_str().unwrap()]).record();
    let expected = "711 old\n640 old/f\n711 older\n700 older/new\n755 old/added\n";
    assert_eq!(fs::read_to_string(out.join("modes")).unwrap(), expected);
}

#[test]
fn an_owner_may_have_empty_halves() {
    let world = World::new(
        "FROM busybox\nRUN echo g:x:77: >> /etc/group\nARG U\nCOPY --chown=:g f /a\nCOPY --chown=:88 f /b\n\
         COPY --chown=$U:$U f /c\nCOPY --chown=5: f /d\nCOPY --chown=:root f /e\n\
         RUN stat -c '%u:%g' /a /b /c /d /e > /owners\n\
         FROM scratch\nCOPY --chown=root:root --from=0 /owners /owners\n",
    );
    world.write("f", "");
    let out = world.path("out");
    world.build(&["--output", out.to_str().unwrap()]).record();
    assert_eq!(fs::read_to_string(out.join("owners")).unwrap(), "0:77\n0:88\n0:0\n5:0\n0:0\n");
}

/// A base whose layer has an entry `./` of mode 700, and a RUN that changes the mode of `/`.
#[test(Program("umoci"))]
fn the_root_directory_has_the_same_mode_in_every_image() {
    let world = World::new("FROM closed\nUSER 1000\nRUN stat -c '%a %u' / > /t/root\n");
    world.write("busybox/Dockerfile", "FROM busybox\nRUN mkdir -m 1777 /t && chmod 700 /\n");
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    // As a tool writes it that stores the directory itself.
    let root = world.path("root");
    let made = world
        .command_on(
            &["--output", &format!("type=local,dest={}", root.display())],
            &[world.context().join("busybox").to_str().unwrap()],
        )
        .status();
    assert!(made.unwrap().success());
    let (layer, layout) = (world.path("root.tar"), world.path("layout"));
    run(Command::new("chmod").arg("700").arg(&root));
    run(Command::new("tar").args(["--numeric-owner", "-C"]).arg(&root).arg("-cf").arg(&layer).arg("."));
    let image = format!("{}:latest", layout.display());
    run(Command::new("umoci").args(["init", "--layout"]).arg(&layout));
    run(Command::new("umoci").args(["new", "--image", &image]));
    run(Command::new("umoci").args(["raw", "add-layer", "--image", &image]).arg(&layer));
    let out = world.path("out");
    let context = format!("closed=oci-layout://{}", layout.display());
    for driver in ["auto", "copy"] {
        let args = ["--driver", driver, "--build-context", &context, "--output", out.to_str().unwrap()];
        world.build(&args).record();
        assert_eq!(fs::read_to_string(out.join("t/root")).unwrap(), "755 0\n", "{driver}");
        fs::remove_dir_all(&out).unwrap();
    }
    world.write("Dockerfile", "FROM busybox\nRUN mkdir /d && chmod 700 /\n");
    assert_eq!(last_layer(&world, &[]), ["d/"], "no layer holds the root");
}

/// In a layer, `.wh.bin` removes `/bin` (OCI image specification, "Whiteouts"). The image would not be what the steps see.
#[test]
fn a_step_cannot_leave_names_that_mean_removal() {
    let drivers: &[&str] = if crate::world::root() { &["erofs", "overlay", "copy"] } else { &["copy"] };
    for (step, named) in [("touch /.wh.bin", ".wh.bin"), ("mkdir -p /d/.wh..wh.x/y", "d/.wh..wh.x")] {
        let world = World::new(&format!("FROM busybox\nRUN {step}\n"));
        for driver in drivers {
            let built = world.build(&["--driver", driver]);
            let said = format!("`{named}` cannot be put in a layer: names that start with `.wh.`");
            assert!(flat(&built.output.stderr).contains(&said), "{driver}: {}", built.stderr());
            assert_eq!(built.output.status.code(), Some(1));
        }
    }
    World::new("FROM busybox\nRUN touch /.wh.bin && rm /.wh.bin\n").build(&[]).record();
}

#[test]
fn a_mount_without_a_target_is_at_the_working_directory() {
    let world = World::new(
        "FROM busybox AS a\nRUN mkdir /d && echo of-a > /d/f\nFROM busybox\nWORKDIR /w\n\
         RUN --mount=from=a,src=/d cat f > /one\nRUN --mount=ro cat own > /two\n\
         RUN --mount=type=tmpfs sh -c 'echo x > gone; df . | tail -1 | cut -d\" \" -f1 > /three'\n\
         RUN --mount=type=cache echo kept > f\nRUN --mount=type=cache cat f > /four\nRUN ls > /five\n",
    );
    world.write("own", "own\n");
    let out = world.path("out");
    world.build(&["--output", out.to_str().unwrap()]).record();
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!((read("one"), read("two"), read("four")), ("of-a\n".into(), "own\n".into(), "kept\n".into()));
    assert_eq!(read("five"), "", "the mounts leave nothing");
}

#[test]
fn a_process_sees_buildkits_directory_and_environment() {
    let world = World::new(
        "FROM scratch AS e\nFROM busybox\nARG D\nWORKDIR /a\nWORKDIR $D\nENV A=1\nENV PATH=/x:$PATH\nRUN pwd > /pwd && env > /env\n\
         WORKDIR /a/b/..\nRUN pwd >> /pwd\nWORKDIR b/../c/\nRUN pwd >> /pwd\n",
    );
    let out = world.path("out");
    world.build(&["--output", out.to_str().unwrap()]).record();
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("pwd"), "/a\n/a\n/a/c\n");
    let env = read("env");
    let at = |name: &str| env.lines().position(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{env}"));
    assert!(at("A=") < at("PATH="), "{env}");
}
