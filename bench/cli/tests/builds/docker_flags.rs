//! Flags of docker's command line, through whole builds, and buildscope as a plugin of the docker command.

use crate::world::{World, steps};
use buildscope_record::Outcome;
use buildscope_testing::{program, test};
use std::fs;
use std::process::Command;

#[test]
fn a_filter_ignores_the_cache_of_its_stages_only() {
    let world = World::new(
        "FROM busybox AS first\nRUN echo one > /one\nFROM busybox AS second\nRUN echo two > /two\n\
         FROM busybox\nCOPY --from=first /one /\nCOPY --from=second /two /\n",
    );
    world.build(&[]).record();
    let record = world.build(&["--no-cache-filter", "FIRST,other"]).record();
    assert_eq!(steps(&record, Outcome::Executed), ["RUN echo one > /one"]);
    assert_eq!(steps(&world.build(&[]).record(), Outcome::Executed), [""; 0]);
}

#[test]
fn calls_answer_instead_of_building() {
    let world = World::new(
        "ARG VERSION=1\n# tools compiles the tools\nFROM busybox AS tools\nRUN exit 7\nFROM busybox AS app\nRUN exit 7\n",
    );
    let call = |call: &str| {
        let output = world.command(&["--call", call]).output().unwrap();
        assert!(output.status.success(), "{call}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(call("targets"), "TARGET         DESCRIPTION\ntools          compiles the tools\napp (default)\n");
    let json: serde_json::Value = serde_json::from_str(&call("targets,format=json")).unwrap();
    assert_eq!(json["targets"][1]["default"], true);
    let json: serde_json::Value = serde_json::from_str(&call("outline,format=json")).unwrap();
    assert_eq!(json["args"][0]["name"], "VERSION");
    // As buildx 0.36 prints them, with the linter.
    let described = call("subrequests.describe");
    assert!(described.starts_with("NAME                  VERSION  DESCRIPTION\nlint "), "{described}");
    let json: serde_json::Value = serde_json::from_str(&call("subrequests.describe,format=json")).unwrap();
    assert_eq!((&json[3]["name"], &json[3]["type"]), (&"frontend.subrequests.describe".into(), &"rpc".into()));
}

#[test]
fn flags_that_are_refused_name_the_alternative() {
    let world = World::new("FROM busybox\n");
    for (flags, reason) in [
        (&["--sbom=true"][..], "syft"),
        (&["--attest", "type=sbom"], "syft"),
        (&["--attest", "type=other"], "use type=provenance"),
        (&["--policy", "filename=a.rego"], "Rego"),
        (&["--builder", "b"], "leave"),
        (&["--add-host", "a:host-gateway"], "--network host"),
        (&["--allow", "device"], "device=/dev/fuse"),
        (&["--allow", "buildx.local.delete"], "before the build"),
        (&["--output", "type=docker,context=remote"], "DOCKER_HOST"),
        (&["--secret", "id=a,src=/dev/null,colour=red"], "`colour`"),
        (&["--ssh", "default=/nonexistent/key"], "/nonexistent/key"),
    ] {
        let output = world.command(flags).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(crate::world::flat(&output.stderr).contains(reason), "{stderr}");
    }
    let accepted: [&[&str]; 8] = [
        &["--policy", "disabled=true"],
        &["--attest", "type=sbom,disabled=true"],
        &["--attest", "mode=max,type=provenance"],
        &["--provenance", "0"],
        &["--add-host", "a:10.0.0.1,b=10.0.0.2"],
        &["--label", "alone"],
        &["--memory-swap", "-1", "--cpu-quota", "-1", "--cpu-period", "0"],
        &["--cache-from", "localhost:1/a,localhost:1/b:1"],
    ];
    for flags in accepted {
        let output = world.command(flags).output().unwrap();
        assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(world.command(&["--policy", "serial", "--progress", "none", "--rm"]).output().unwrap().status.success());
}

/// As with buildx: findings of `check` fail the command, unless the status is ignored; a file without a name is standard output.
#[test]
fn a_check_may_ignore_its_findings_and_an_archive_may_have_no_name() {
    let world = World::new("FROM scratch AS Big\nCOPY Dockerfile /d\n");
    assert!(!world.command(&["--call", "check"]).output().unwrap().status.success());
    assert!(world.command(&["--call", "check,ignorestatus=true"]).output().unwrap().status.success());
    for (output, member) in [("type=tar", "d"), ("type=oci", "oci-layout")] {
        let archive = world.path("archive");
        fs::write(&archive, world.command(&["--output", output]).output().unwrap().stdout).unwrap();
        assert!(!crate::world::member(&archive, member).is_empty(), "{output}");
    }
}

/// BuildKit's README: `reset` removes blobs in the directory that its `index.json` does not lead to.
#[test]
fn a_cache_directory_keeps_no_layers_of_old_builds_on_request() {
    let world = World::new("FROM busybox\nRUN echo 1 > /one\n");
    let directory = world.path("cache");
    let export = |more: &str| {
        let cache = format!("type=local,dest={},mode=max{more}", directory.display());
        world.build(&["--cache-to", &cache]).record();
        fs::read_dir(directory.join("blobs/sha256")).unwrap().count()
    };
    // The layer, the configuration and the manifest.
    assert_eq!(export(""), 3);
    world.write("Dockerfile", "FROM busybox\nRUN echo 2 > /two\n");
    assert_eq!(export(""), 6);
    world.write("Dockerfile", "FROM busybox\nRUN echo 3 > /three\n");
    assert_eq!(export(",tag=other"), 9);
    // Two caches have names: the second and the third. The fourth replaces the second.
    world.write("Dockerfile", "FROM busybox\nRUN echo 4 > /four\n");
    assert_eq!(export(",reset=true"), 6);
    world.forget();
    let cache = format!("type=local,src={},tag=other", directory.display());
    world.write("Dockerfile", "FROM busybox\nRUN echo 3 > /three\n");
    assert_eq!(steps(&world.build(&["--cache-from", &cache]).record(), Outcome::Executed), [""; 0]);
}

#[test]
fn switches_take_values_and_the_last_of_equal_flags_counts() {
    let world = World::new("FROM busybox AS one\nRUN echo 1 > /one\nFROM one\nRUN exit 7\n");
    let flags = [
        "--push=true",
        "--push=false",
        "--load=0",
        "--no-cache=false",
        "-q=true",
        "--target",
        "none",
        "--target",
        "one",
    ];
    assert!(world.command(&flags).output().unwrap().status.success());
    let record = world.build(&["--no-cache=true", "--target", "one"]).record();
    assert!(steps(&record, Outcome::Executed).contains(&"RUN echo 1 > /one"));
    let output = world.command(&["--push=maybe"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_wrong_limit_and_a_missing_secret_are_found_before_the_build() {
    let world = World::new("FROM scratch\n");
    for (flags, reason) in [
        (["--ulimit", "nope=1"], "resource limit"),
        (["--ulimit", "nofile=2:1"], "soft limit"),
        (["--secret", "id=s,src=/nonexistent/s"], "/nonexistent/s"),
    ] {
        let output = world.command(&flags).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
    }
}

#[test]
fn an_argument_asks_for_the_inline_cache() {
    let world = World::new("FROM busybox\nRUN echo hello > /f\n");
    assert_eq!(caches(&world, &[]), 0);
    assert!(caches(&world, &["--build-arg", "BUILDKIT_INLINE_CACHE=1"]) > 0);
}

/// How many blobs of the image hold an inline cache.
fn caches(world: &World, args: &[&str]) -> usize {
    let archive = world.path("image.tar");
    let output = format!("type=oci,dest={}", archive.display());
    let built = world.command(&[&["--output", &output], args].concat()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let names = Command::new("tar").arg("-tf").arg(&archive).output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    let blobs = names.lines().filter(|name| name.starts_with("blobs/sha256/"));
    let found = blobs.filter(|name| {
        crate::world::member(&archive, name).windows(25).any(|text| text == b"moby.buildkit.cache.v0\":\"")
    });
    found.count()
}

#[test(Docker)]
fn docker_runs_the_program_as_a_plugin() {
    let world = World::new("FROM busybox\nRUN true\n");
    let plugins = world.path("config/cli-plugins");
    fs::create_dir_all(&plugins).unwrap();
    let buildscope = world.command(&[]).get_program().to_owned();
    std::os::unix::fs::symlink(buildscope, plugins.join("docker-buildscope")).unwrap();
    let docker = |args: &[&str]| {
        let mut command = Command::new(program("docker").unwrap());
        command.env("DOCKER_CONFIG", world.path("config")).env("BUILDSCOPE_ROOT", &world.store).args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(docker(&["--help"]).contains("Build images and show where every second went"));
    assert!(docker(&["buildscope", "build", "-q", world.context().to_str().unwrap()]).starts_with("sha256:"));
    assert!(docker(&["buildscope", "explain"]).starts_with("The build took"));
}
