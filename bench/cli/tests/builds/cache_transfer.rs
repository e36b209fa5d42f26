//! Moving images and caches between machines through registries and directories, by the command line.

use crate::world::{Built, World, steps};
use buildscope_record::Outcome::{Executed, Pruned};
use buildscope_record::{Phase, Record};
use buildscope_testing::{Random, Registry, test};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

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

/// The paths of the layers in a cache in a directory: the files that gzip has written.
fn layers_of_cache(cache: &Path) -> Vec<PathBuf> {
    let blobs = fs::read_dir(cache.join("blobs/sha256")).unwrap().map(|blob| blob.unwrap().path());
    blobs.filter(|blob| fs::read(blob).unwrap().starts_with(&[0x1f, 0x8b])).collect()
}

#[test]
fn a_layer_that_a_cache_does_not_give_is_made_again() {
    let corrupt = |blob: &Path| {
        let mut bytes = fs::read(blob).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(blob, bytes).unwrap();
    };
    let remove = |blob: &Path| fs::remove_file(blob).unwrap();
    for (fault, damage) in [("corrupt", &corrupt as &dyn Fn(&Path)), ("missing", &remove)] {
        let (world, local) = (two_stages(), World::empty());
        let cache = local.path("cache").display().to_string();
        world.build(&["--cache-to", &format!("type=local,dest={cache},mode=max")]).record();
        world.forget();
        layers_of_cache(Path::new(&cache)).iter().for_each(|blob| damage(blob));
        let out = world.path("out").display().to_string();
        let built = world.build(&["--cache-from", &format!("type=local,src={cache}"), "--output", &out]);
        assert!(ran(&built.record()).contains(&"RUN cat /lib.o /src/app.c > /app"), "{fault}: {}", built.stderr());
        assert!(built.stderr().contains(fault) && built.stderr().contains("runs again"), "{}", built.stderr());
        assert_eq!(fs::read_to_string(world.path("out/app")).unwrap(), "8\nint app;");
    }
}

#[test(Program("docker-registry"))]
fn an_imported_cache_replaces_all_steps() {
    let registry = Registry::start();
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
        // The final image only copies from this stage; its files are in the cached COPY.
        let skipped = steps(&record, Pruned);
        assert_eq!(skipped.iter().filter(|text| text.contains("/lib.o")).count(), 1, "{to}: {skipped:?}");
        assert_eq!(fs::read_to_string(world.path("out/app")).unwrap(), "8\nint app;");
        // Only one stage changes. A full cache, which the previous build exported from its imports, contains the
        // other.
        world.forget();
        world.write("app.c", "int app = 1;");
        let record = world.build(&["--cache-from", &from, "--output", &out]).record();
        let lib = ran(&record).contains(&"RUN wc -c < /src/lib.c > /lib.o");
        assert_eq!((lib, ran(&record).len()), (!max, if max { 3 } else { 5 }), "{to}: {:?}", ran(&record));
        assert_eq!(fs::read_to_string(world.path("out/app")).unwrap(), "8\nint app = 1;");
    }
}

#[test(Program("docker-registry"), Program("openssl"))]
fn images_and_caches_pass_a_guarded_registry() {
    let registry = Registry::guarded();
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

#[test(Program("docker-registry"))]
fn copy_from_an_image_has_its_own_pull_step() {
    let registry = Registry::start();
    let world = two_stages();
    let image = registry.name("app:1");
    world.build(&["-t", &image, "--push"]).record();
    world.forget();
    world.write("Dockerfile", &format!("FROM scratch\nCOPY --from={image} /app /app\n"));
    let record = world.build(&["--output", world.path("out").to_str().unwrap()]).record();
    let pull = record.spans.iter().find(|span| span.phase == Phase::Pull).unwrap();
    let copy = record.steps.iter().find(|step| step.instruction.name() == "COPY").unwrap();
    let brought = &record.steps[pull.step.unwrap().index()];
    assert_eq!((&*brought.text, brought.stage), (&*format!("FROM {image}"), None));
    assert!(record.edges.iter().any(|edge| (edge.from, edge.to) == (brought.id, copy.id)));
    assert!(record.waits.iter().any(|wait| wait.step == copy.id && wait.start <= pull.start && wait.end >= pull.end));
    assert_eq!(fs::read_to_string(world.path("out/app")).unwrap(), "8\nint app;");
}

/// The media types of a pushed image's layers, as skopeo sees them.
fn layers(image: &str) -> Vec<(String, u64)> {
    let mut inspect = Command::new("skopeo");
    inspect.args(["inspect", "--tls-verify=false", "--raw"]).arg(format!("docker://{image}"));
    let run = inspect.output().unwrap_or_else(|error| panic!("skopeo: {error}: run scripts/setup"));
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let manifest: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let layer =
        |layer: &serde_json::Value| (layer["mediaType"].as_str().unwrap().to_owned(), layer["size"].as_u64().unwrap());
    manifest["layers"].as_array().unwrap().iter().map(layer).collect()
}

#[test(Program("docker-registry"))]
fn a_push_by_digest_gives_no_tag() {
    let registry = Registry::start();
    let world = two_stages();
    let (name, metadata) = (registry.name("app"), world.path("metadata.json"));
    let output = format!("type=image,name={name},push-by-digest=true,name-canonical=true,push=true");
    let built = world.build(&["--output", &output, "--metadata-file", metadata.to_str().unwrap()]);
    assert!(built.output.status.success(), "{}", built.stderr());
    let metadata: serde_json::Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    let digest = metadata["containerimage.digest"].as_str().unwrap();
    assert!(!layers(&format!("{name}@{digest}")).is_empty());
    let tags =
        Command::new("skopeo").args(["list-tags", "--tls-verify=false"]).arg(format!("docker://{name}")).output();
    let tags = String::from_utf8(tags.unwrap().stdout).unwrap();
    assert!(!tags.contains("latest"), "{tags}");
    let tagged = world.command(&["--output", &output, "-t", &registry.name("app:1")]).output().unwrap();
    assert_eq!(tagged.status.code(), Some(2));
}

#[test(Program("docker-registry"))]
fn compression_options_apply_to_base_layers_only_by_force() {
    let registry = Registry::start();
    let world = World::new("FROM scratch\nCOPY text /base\n");
    // Text that compresses better with more effort: numbers in words.
    let text: String = (0..200_000_u32).map(|n| format!("{} ", n.wrapping_mul(2_654_435_761) % 977)).collect();
    world.write("text", &text);
    let name = |tag: &str| registry.name(&format!("app:{tag}"));
    let push = |tag: &str, options: &str| {
        let output = format!("type=registry,name={}{options}", name(tag));
        world.build(&["--output", &output]).record();
        layers(&name(tag))
    };
    let gzip = |level: u32| push(&format!("gzip-{level}"), &format!(",compression=gzip,compression-level={level}"));
    let (fast, small) = (gzip(1), gzip(9));
    assert!(fast[0].0.ends_with("tar+gzip") && small[0].1 < fast[0].1, "{fast:?} {small:?}");
    assert!(push("plain", ",compression=uncompressed")[0].0.ends_with(".tar"));
    // Two outputs at once, each with its own compression.
    let outputs = [("two-zstd", "zstd"), ("two-gzip", "gzip")]
        .map(|(tag, kind)| format!("type=registry,name={},compression={kind}", name(tag)));
    world.build(&["--output", &outputs[0], "--output", &outputs[1]]).record();
    assert!(
        layers(&name("two-zstd"))[0].0.ends_with("tar+zstd") && layers(&name("two-gzip"))[0].0.ends_with("tar+gzip")
    );

    world.forget();
    world.write("Dockerfile", &format!("FROM {}\nCOPY Dockerfile /d\n", name("gzip-9")));
    let kinds = |layers: &[(String, u64)]| {
        layers.iter().map(|(kind, _)| kind.rsplit(['+', '.']).next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let kept = push("kept", ",compression=zstd");
    assert_eq!((kinds(&kept), kept[0].1), (vec!["gzip".to_owned(), "zstd".to_owned()], small[0].1));
    assert_eq!(kinds(&push("forced", ",compression=zstd,force-compression=true")), ["zstd", "zstd"]);
}

#[test(Program("docker-registry"))]
fn mirrors_come_first_and_fetches_are_lazy() {
    let (registry, empty) = (Registry::start(), Registry::start());
    let world = World::new("FROM scratch\nCOPY Dockerfile /here\n");
    world.build(&["-t", &registry.name("library/thing:1"), "--push"]).record();
    world.forget();
    let out = world.path("out");
    world.write("Dockerfile", "FROM thing:1\nCOPY Dockerfile /d\n");
    let mirror = format!("docker.io={}", registry.host);
    world.build(&["--registry-mirror", &mirror, "--output", out.to_str().unwrap()]).record();
    assert!(out.join("here").exists());
    // A mirror without the image is skipped.
    world.forget();
    let metadata = world.path("metadata");
    world.write("Dockerfile", &format!("FROM {}\nENV A=1\n", registry.name("library/thing:1")));
    let mirror = format!("{}={}", registry.host, empty.host);
    let push = ["-t", &registry.name("library/other:1"), "--push", "--metadata-file", metadata.to_str().unwrap()];
    let record = world.build(&[&push[..], &["--registry-mirror", &mirror]].concat()).record();
    assert!(record.spans.iter().all(|span| span.phase != Phase::Pull), "ENV and push do not need its files");
    // By tag and digest: only the digest counts.
    let metadata: serde_json::Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
    let digest = metadata["containerimage.digest"].as_str().unwrap();
    world.forget();
    world.write("Dockerfile", &format!("FROM {}@{digest}\nRUN [\"/none\"]\n", registry.name("library/other:moved")));
    assert!(world.build(&[]).stderr().contains("`/none`"));
    world.write("Dockerfile", &format!("FROM {}@sha256:{}\n", registry.name("library/other:1"), "0".repeat(64)));
    assert!(!world.build(&[]).output.status.success());
}

#[test(Program("docker-registry"))]
fn progress_shows_transferred_bytes() {
    let registry = Registry::start();
    let world = World::new("FROM scratch\nCOPY text /text\n");
    world.write("text", &"x".repeat(5000));
    let name = registry.name("app:1");
    let pushed = world.build(&["--output", &format!("type=registry,name={name},compression=uncompressed")]);
    assert!(pushed.stderr().contains(&format!("pushing {name}")), "{}", pushed.stderr());
    let size = layers(&name)[0].1;
    world.forget();
    world.write("Dockerfile", &format!("FROM {name}\nCOPY text /again\n"));
    let pulled = world.build(&["--output", world.path("out").to_str().unwrap()]);
    let (title, line) = (format!("pulling {name}"), format!("/ {:.2}kB done", size as f64 / 1e3));
    assert!(pulled.stderr().contains(&title) && pulled.stderr().contains(&line), "{}", pulled.stderr());
    world.forget();
    let raw = world.build(&["--progress", "rawjson", "--output", world.path("out").to_str().unwrap()]).stderr();
    let statuses: Vec<serde_json::Value> = raw.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = statuses.iter().filter_map(|line| line["statuses"].as_array()?.last()).next_back().unwrap();
    assert_eq!((&last["current"], &last["total"]), (&size.into(), &size.into()));
    assert!(last["completed"].is_string());
}

#[test(Program("docker-registry"), Program("openssl"))]
fn an_untrusted_registry_needs_a_flag() {
    let registry = Registry::guarded();
    let world = World::new("FROM scratch\nCOPY Dockerfile /d\n");
    let (config, name) = (world.path("docker"), registry.name("app:1"));
    fs::create_dir(&config).unwrap();
    let login = format!(r#"{{"auths": {{"{}": {{"auth": "dGVzdGVyOnNlY3JldA=="}}}}}}"#, registry.host);
    fs::write(config.join("config.json"), login).unwrap();
    let push = |args: &[&str]| {
        let args = [&["-t", &name, "--push"], args].concat();
        world.command(&args).env("DOCKER_CONFIG", &config).output().unwrap()
    };
    let refused = push(&[]);
    assert!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
    let taken = push(&["--insecure-registry", &registry.host]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
}

/// A proxy to a local port that breaks `breaks` times, each time after some bytes have been sent.
fn shaky(to: &str, breaks: usize, after: usize) -> String {
    let (listener, to) = (TcpListener::bind("127.0.0.1:0").unwrap(), to.replace("localhost", "127.0.0.1"));
    let port = listener.local_addr().unwrap().port();
    // It ends with the test's process.
    std::thread::spawn(move || {
        let left = Arc::new(Mutex::new(breaks));
        for client in listener.incoming().flatten() {
            let (server, left) = (TcpStream::connect(&to).unwrap(), Arc::clone(&left));
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back, &mut forth);
                let _ = forth.shutdown(Shutdown::Both);
            });
            std::thread::spawn(move || {
                let (mut client, mut server, mut buffer, mut gone) = (client, server, vec![0; 64 << 10], 0);
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    gone += read;
                    let mut left = left.lock().unwrap();
                    if gone > after && *left > 0 {
                        *left -= 1;
                        break;
                    }
                    drop(left);
                    if server.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
            });
        }
    });
    format!("localhost:{port}")
}

#[test(Program("docker-registry"))]
fn a_broken_push_resumes() {
    let registry = Registry::start();
    let world = World::new("FROM scratch\nCOPY noise /noise\n");
    let noise = Random::new(1).bytes(40 << 20);
    fs::write(world.context().join("noise"), &noise).unwrap();
    let host = shaky(&registry.host, 3, 9 << 20);
    world.build(&["--output", &format!("type=registry,name={host}/app:1,compression=uncompressed")]).record();
    let out = world.path("out");
    world.forget();
    world.write("Dockerfile", &format!("FROM {}\nCOPY Dockerfile /d\n", registry.name("app:1")));
    world.build(&["--output", out.to_str().unwrap()]).record();
    assert!(fs::read(out.join("noise")).unwrap() == noise);
}
