//! Images and caches from machine to machine, through registries and directories, by the command line.

use crate::registry::Registry;
use crate::world::{Built, World, steps};
use buildscope_record::Outcome::{Executed, Pruned};
use buildscope_record::{Phase, Record};
use std::fs;

const TWO_STAGES: &str = "FROM busybox AS lib\n\
    COPY lib.c /src/\n\
    RUN wc -c < /src/lib.c > /lib.o\n\
    FROM busybox\n\
    COPY app.c /src/\n\
    COPY --from=lib /lib.o /lib.o\n\
    RUN cat /lib.o /src/app.c > /app\n";

fn two_stages() -> World {
    let world = World::new(TWO_STAGES);
    world.write("lib.c", "int lib;");
    world.write("app.c", "int app;");
    world
}

fn ran(record: &Record) -> Vec<&str> {
    steps(record, Executed).into_iter().filter(|text| !text.starts_with("FROM")).collect()
}

#[test]
fn an_empty_machine_rebuilds_from_a_cache_at_the_cost_of_lookups() {
    let Some(registry) = Registry::start() else { return };
    let local = World::empty();
    let (image, local) = (registry.name("app:1"), local.path("cache").display().to_string());
    let caches = [
        (format!("type=local,dest={local},mode=min"), format!("type=local,src={local}"), false),
        (format!("type=local,dest={local},mode=max"), format!("type=local,src={local}"), true),
        (format!("type=registry,ref={},mode=min", registry.name("cache:min")), registry.name("cache:min"), false),
        (format!("type=registry,ref={},mode=max", registry.name("cache:max")), registry.name("cache:max"), true),
        ("type=inline".to_owned(), image.clone(), false),
    ];
    for (to, from, max) in caches {
        let world = two_stages();
        world.build(&["-t", &image, "--push", "--cache-to", &to]).record();
        world.forget();
        let out = world.path("out").display().to_string();
        let record = world.build(&["--cache-from", &from, "--output", &out, "--cache-to", &to]).record();
        assert_eq!(ran(&record), [""; 0], "{to}");
        // The stage that the image only copies from: its files are in the cached COPY.
        let spared = steps(&record, Pruned);
        assert_eq!(spared.iter().filter(|text| text.contains("/lib.o")).count(), 1, "{to}: {spared:?}");
        assert_eq!(fs::read_to_string(world.path("out/app")).unwrap(), "8\nint app;");
        // A change of one stage alone. A full cache, which the build before has written from what it imported, has the other.
        world.forget();
        world.write("app.c", "int app = 1;");
        let record = world.build(&["--cache-from", &from, "--output", &out]).record();
        let lib = ran(&record).contains(&"RUN wc -c < /src/lib.c > /lib.o");
        assert_eq!((lib, ran(&record).len()), (!max, if max { 3 } else { 5 }), "{to}: {:?}", ran(&record));
        assert_eq!(fs::read_to_string(world.path("out/app")).unwrap(), "8\nint app = 1;");
    }
}

#[test]
fn a_guarded_registry_takes_and_gives_images_and_caches() {
    let Some(registry) = Registry::guarded() else { return };
    let world = two_stages();
    let (ca, config) = (registry.authority().display().to_string(), world.path("docker"));
    let (image, cache) = (registry.name("team/app:1"), registry.name("team/cache"));
    let build = |config: &std::path::Path, args: &[&str]| -> Built {
        let record = world.path("record.json");
        let args = [args, &["--registry-ca", &ca, "--record", record.to_str().unwrap()]].concat();
        let output = world.command(&args).env("DOCKER_CONFIG", config).output().unwrap();
        Built { output, record }
    };
    let to = format!("type=registry,ref={cache},mode=max");
    let stranger = build(&config, &["-t", &image, "--push"]);
    assert!(!stranger.output.status.success() && stranger.stderr().contains("docker login"), "{}", stranger.stderr());
    fs::create_dir(&config).unwrap();
    // `tester:secret`
    let login = format!(r#"{{"auths": {{"{}": {{"auth": "dGVzdGVyOnNlY3JldA=="}}}}}}"#, registry.host);
    fs::write(config.join("config.json"), login).unwrap();
    build(&config, &["-t", &image, "--push", "--cache-to", &to]).record();
    world.forget();
    assert!(ran(&build(&config, &["--cache-from", &cache]).record()).is_empty());

    world.forget();
    world.write("Dockerfile", &format!("FROM {image} AS one\nFROM {image}\nENV A=1\n"));
    let only_configured = build(&config, &["-t", "other"]).record();
    assert!(!only_configured.steps.is_empty());
    world.forget();
    world
        .write("Dockerfile", &format!("FROM {image} AS one\nRUN cat /app > /b\nFROM {image}\nCOPY --from=one /b /b\n"));
    let record = build(&config, &["--output", world.path("out").to_str().unwrap()]).record();
    assert_eq!(fs::read_to_string(world.path("out/b")).unwrap(), "8\nint app;");
    let pulls = record.spans.iter().filter(|span| span.phase == Phase::Pull).count();
    assert_eq!(pulls, 1, "two stages on one base pull it once");
}

#[test]
fn what_copy_takes_from_an_image_is_pulled_on_nobodys_account() {
    let Some(registry) = Registry::start() else { return };
    let world = two_stages();
    let image = registry.name("app:1");
    world.build(&["-t", &image, "--push"]).record();
    world.forget();
    world.write("Dockerfile", &format!("FROM scratch\nCOPY --from={image} /app /app\n"));
    let record = world.build(&["--output", world.path("out").to_str().unwrap()]).record();
    let pull = record.spans.iter().find(|span| span.phase == Phase::Pull).unwrap();
    assert_eq!(pull.step, None);
    let copy = record.steps.iter().find(|step| step.instruction == "COPY").unwrap();
    assert!(record.waits.iter().any(|wait| wait.step == copy.id && wait.start <= pull.start && wait.end >= pull.end));
    assert_eq!(fs::read_to_string(world.path("out/app")).unwrap(), "8\nint app;");
}
