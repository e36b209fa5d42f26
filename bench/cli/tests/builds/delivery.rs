//! Delivery while steps run: layers are compressed, written and sent as soon as they exist.

use crate::bake::{bake, stderr};
use crate::world::World;
use buildscope_record::{Phase, Record};
use buildscope_testing::{Registry, test};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The size of the first layer's file. It is random, so its compressed layer is about as large.
const EARLY: u64 = 300_000;
/// How long a test waits for delivery, which uses idle processors only. On a busy machine it takes some seconds for each megabyte.
const PATIENCE: Duration = Duration::from_secs(600);

/// A build whose last step waits for a file, after a layer that can be delivered.
struct Gated {
    world: World,
    child: Child,
}

impl Gated {
    /// Starts a build. `end` is what the last step does when the gate is open.
    fn start(end: &str, args: &[&str]) -> Self {
        let wait = "i=0; until [ -e /gate/go ]; do sleep 0.05; i=$((i+1)); [ $i -lt 12000 ] || exit 9; done";
        let world = World::new(&format!(
            "FROM busybox\nRUN head -c {EARLY} /dev/urandom > /early\nRUN --mount=type=cache,id=gate,target=/gate {wait}; {end}\n"
        ));
        let record = world.path("record.json");
        let args = [&["--progress", "plain", "--record", record.to_str().unwrap()], args].concat();
        let log = fs::File::create(world.path("log")).unwrap();
        let child = world.command(&args).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { world, child }
    }

    /// Waits for a condition while the last step runs.
    fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the build has ended before {what}: {}", self.log());
            assert!(start.elapsed() < PATIENCE, "not reached: {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Opens the gate, and returns whether the build succeeds.
    fn open(&mut self) -> bool {
        self.wait("the last step runs", |gated| gated.gate().is_some());
        fs::write(self.gate().unwrap().join("go"), "").unwrap();
        self.child.wait().unwrap().success()
    }

    /// The directory of the cache mount, when the step has it.
    fn gate(&self) -> Option<PathBuf> {
        let mounts = fs::read_dir(self.world.store.join("mounts")).ok()?;
        mounts.map(|entry| entry.unwrap().path()).find(|path| path.is_dir())
    }

    /// The sizes of the builder's open files without a name in a directory or below it.
    fn nameless(&self, folder: &Path) -> Vec<u64> {
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", self.child.id())) else { return Vec::new() };
        let paths = open.filter_map(|entry| Some(entry.ok()?.path()));
        let is_nameless = |path: &PathBuf| {
            let target = fs::read_link(path).unwrap_or_default().display().to_string();
            target.starts_with(&folder.display().to_string()) && target.ends_with(" (deleted)")
        };
        paths.filter(is_nameless).filter_map(|path| Some(fs::metadata(path).ok()?.len())).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.world.path("log")).unwrap_or_default()
    }

    fn record(&self) -> Record {
        Record::read(fs::File::open(self.world.path("record.json")).unwrap()).unwrap()
    }
}

/// The files below a directory, by their paths relative to it.
fn files(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort_unstable();
    found
}

/// Whether so many layers are sent whole: that of the base image, and the first one. Both are larger than the file.
fn are_sent(repository: &Path, layers: usize) -> bool {
    let uploads = fs::read_dir(repository.join("_uploads")).into_iter().flatten();
    let is_sent = |upload: &PathBuf| fs::metadata(upload.join("data")).is_ok_and(|data| data.len() >= EARLY);
    uploads.flatten().map(|upload| upload.path()).filter(is_sent).count() == layers
}

/// The files that a registry keeps, but for the empty hash states that it leaves of cancelled uploads.
fn kept_by_registry(folder: &Path) -> Vec<String> {
    files(folder).into_iter().filter(|path| !path.contains("/hashstates/")).collect()
}

/// Whether some span of the build itself, and of this phase, began before the last step ended.
fn has_early(record: &Record, phase: Phase) -> bool {
    let last = record.steps.iter().filter_map(|step| step.end).max().unwrap();
    record.spans.iter().any(|span| span.step.is_none() && span.phase == phase && span.start < last)
}

#[test(Program("docker-registry"))]
fn a_layer_is_sent_while_a_later_step_runs() {
    let registry = Registry::start();
    let (image, cache) = (registry.name("team/image:one"), registry.name("team/cache:one"));
    let cache_to = format!("type=registry,ref={cache},mode=max,compression=zstd");
    let mut gated = Gated::start("true", &["--push", "-t", &image, "--cache-to", &cache_to]);
    let repositories = ["team/image", "team/cache"].map(|name| registry.repository(name));
    // The base image is not part of the cache.
    gated.wait("both repositories have the layers", |_| are_sent(&repositories[0], 2) && are_sent(&repositories[1], 1));
    for repository in &repositories {
        assert!(!repository.join("_layers").exists() && !repository.join("_manifests").exists(), "{repository:?}");
    }
    assert!(gated.open(), "{}", gated.log());
    let record = gated.record();
    assert!(has_early(&record, Phase::Compress) && has_early(&record, Phase::Push));
    for repository in &repositories {
        assert!(repository.join("_manifests/tags/one").is_dir(), "{repository:?}");
        assert_eq!(kept_by_registry(&repository.join("_uploads")), [""; 0]);
    }
    // Another store finds all of it.
    let fresh = World::new(&format!("FROM {image}\nRUN test $(wc -c < /early) = {EARLY}\n"));
    fresh.build(&[]).record();
}

#[test(Program("docker-registry"))]
fn a_build_that_fails_leaves_nothing_in_a_registry() {
    for signal in [None, Some(Signal::INT), Some(Signal::TERM)] {
        let registry = Registry::start();
        let mut gated = Gated::start("exit 3", &["--push", "-t", &registry.name("team/image:one")]);
        let repository = registry.repository("team/image");
        gated.wait("the layers are sent", |_| are_sent(&repository, 2));
        match signal {
            None => assert!(!gated.open()),
            Some(signal) => {
                kill_process(Pid::from_child(&gated.child), signal).unwrap();
                assert!(!gated.child.wait().unwrap().success());
            }
        }
        // Debian's registry leaves the empty hash states of uploads that were cancelled.
        // A process that is stopped after its grace period leaves the rest to the registry.
        if gated.log().contains("stopped, because it waited") {
            continue;
        }
        assert_eq!(kept_by_registry(&repository), [""; 0], "{signal:?}: {}", gated.log());
    }
}

#[test]
fn archives_and_directories_begin_while_a_later_step_runs() {
    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| out.path().join(name);
    let outputs = |folder: &str| {
        let spec =
            |(name, options): &(&str, &str)| format!("{options},dest={}", at(&format!("{folder}/{name}")).display());
        let kinds = [
            ("oci.tar", "type=oci"),
            ("gzip.tar", "type=oci,compression=gzip"),
            ("docker.tar", "type=docker,compression=zstd"),
            ("dated.tar", "type=oci,rewrite-timestamp=true"),
            ("layout", "type=oci,tar=false"),
            ("layout-gzip", "type=oci,tar=false,compression=gzip,compression-level=1"),
        ];
        kinds.iter().flat_map(|kind| ["--output".to_owned(), spec(kind)]).collect::<Vec<_>>()
    };
    let args =
        |folder: &str| [outputs(folder), vec!["--build-arg".into(), "SOURCE_DATE_EPOCH=1500000000".into()]].concat();
    let texts = |args: &'_ [String]| args.iter().map(|text| text.to_owned()).collect::<Vec<String>>();
    let first = texts(&args("during"));
    let mut gated = Gated::start("echo end > /end", &first.iter().map(String::as_str).collect::<Vec<_>>());
    gated.wait("all files have the layer", |gated| {
        gated.nameless(out.path()).iter().filter(|&&size| size >= EARLY).count() >= 6
    });
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "nothing has a name");
    assert!(gated.open(), "{}", gated.log());
    assert!(has_early(&gated.record(), Phase::Export));
    // Everything is in the cache, so this build delivers after its last step.
    let second = texts(&args("after"));
    gated.world.build(&second.iter().map(String::as_str).collect::<Vec<_>>()).record();
    let (during, after) = (files(&at("during")), files(&at("after")));
    assert_eq!(during, after);
    assert!(during.len() > 10, "{during:?}");
    for file in during {
        assert!(fs::read(at("during").join(&file)).unwrap() == fs::read(at("after").join(&file)).unwrap(), "{file}");
    }
}

#[test]
fn a_build_that_fails_or_is_killed_leaves_no_files() {
    for end in ["fails", "is killed"] {
        let out = tempfile::tempdir().unwrap();
        let at = |name: &str| out.path().join(name).display().to_string();
        let (archive, layout) =
            (format!("type=oci,dest={}", at("new/a.tar")), format!("type=oci,tar=false,dest={}", at("b")));
        let cache = format!("type=local,dest={}", at("c"));
        let mut gated = Gated::start(
            "exit 3",
            &["--output", &archive, "--output", &layout, "--cache-to", &cache, "-t", "team/failed"],
        );
        gated.wait("both outputs have the layer", |gated| {
            gated.nameless(out.path()).iter().filter(|&&size| size >= EARLY).count() >= 2
        });
        if end == "fails" {
            assert!(!gated.open());
        } else {
            gated.child.kill().unwrap();
            gated.child.wait().unwrap();
        }
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "a build that {end}");
        let names = gated.world.store.join("images/names");
        assert_eq!(files(&names), [""; 0], "a build that {end}");
    }
}

#[test(Program("docker-registry"))]
fn a_target_that_fails_takes_nothing_from_others() {
    let registry = Registry::start();
    let world = World::empty();
    world.write(
        "Dockerfile",
        "FROM busybox AS base\nRUN head -c 1000000 /dev/urandom > /shared\nFROM base AS good\nRUN echo good > /end\n\
         FROM base AS bad\nRUN sleep 1; exit 3\n",
    );
    let target = |name: &str| {
        format!(
            "target \"{name}\" {{\n  target = \"{name}\"\n  tags = [\"{}\"]\n  output = [\"type=registry\"]\n}}\n",
            registry.name(&format!("team/{name}:one"))
        )
    };
    let group = "group \"default\" { targets = [\"good\", \"bad\"] }\n";
    world.write("docker-bake.hcl", &[group, &target("good"), &target("bad")].concat());
    let ran = bake(&world, &["--keep-going"]);
    assert!(!ran.status.success(), "{}", stderr(&ran));
    assert!(registry.repository("team/good").join("_manifests/tags/one").is_dir(), "{}", stderr(&ran));
    assert_eq!(kept_by_registry(&registry.repository("team/bad")), [""; 0]);
    assert_eq!(kept_by_registry(&registry.repository("team/good").join("_uploads")), [""; 0]);
}
