//! The same input gives the same digest, whatever the policy, the driver, the number of slots and the observation.

use crate::world::{World, as_user, program_for_all};
use buildscope_testing::{Disk, test};
use buildscope_workloads::{Category, Corpus, Workload};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `world` in many ways, each with its own store, and expects one digest.
fn one_digest(name: &str, world: &World, ways: &[&[&str]]) {
    let digests: Vec<_> = ways
        .iter()
        .map(|way| {
            world.forget();
            world.digest(way)
        })
        .collect();
    for (digest, way) in digests.iter().zip(ways) {
        assert_eq!(digest, &digests[0], "{name}: {way:?} against {:?}", ways[0]);
    }
}

#[test]
fn one_digest_for_the_whole_corpus() {
    let corpus = Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/corpus")).unwrap();
    for workload in corpus.all().unwrap() {
        if !workload.manifest.quick || workload.manifest.bake.is_some() {
            continue;
        }
        let world = World::empty();
        workload.materialise(&world.context()).unwrap();
        let trace = world.path("trace.json");
        one_digest(
            &workload.name,
            &world,
            &[
                &["--policy", "serial"],
                &["--policy", "stages", "--jobs", "3"],
                &["--policy", "instructions", "--driver", "overlay"],
                &["--policy", "instructions", "--driver", "copy", "--jobs", "2"],
                &["--driver", "erofs", "--tmpfs-upper", "256m", "--sync", "layer"],
                &["--policy", "instructions", "--trace", trace.to_str().unwrap()],
            ],
        );
    }
}

/// The workloads of the corpus that exercise layer contents.
pub(crate) const FILES: [&str; 6] = ["delete-heavy", "deep-tree", "hard-links", "metadata", "rename-heavy", "sparse"];

/// Asserts that each of those workloads, and each quick one, has the same digest with erofs and with this driver, on
/// a store created by `store`.
fn same_digests(driver: &str, store: impl Fn(&World, &str) -> PathBuf) {
    let corpus = Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/corpus")).unwrap();
    for workload in corpus.all().unwrap() {
        // `stages-1000` and `files` are the same under every driver, and slow with the copy driver.
        let name = workload.name.as_str();
        let quick =
            workload.manifest.quick && workload.manifest.bake.is_none() && !["files", "stages-1000"].contains(&name);
        if !quick && !FILES.contains(&name) {
            continue;
        }
        let mut world = World::empty();
        workload.materialise(&world.context()).unwrap();
        let expected = world.digest(&["--driver", "erofs"]);
        world.forget();
        world.store = store(&world, name);
        assert_eq!(world.digest(&["--driver", driver]), expected, "{name}: {driver} against erofs");
    }
}

#[test]
fn one_digest_under_overlay() {
    same_digests("overlay", |world, _| world.store.clone());
}

#[test]
fn one_digest_under_copy() {
    same_digests("copy", |world, _| world.store.clone());
}

#[test(Program("fuse-overlayfs"))]
fn one_digest_under_fuse_overlayfs() {
    same_digests("fuse-overlayfs", |world, _| world.store.clone());
}

#[test(Program("mkfs.btrfs"), LoopDevices)]
fn one_digest_under_btrfs() {
    let disk = Disk::mounted("btrfs", 4 << 30);
    same_digests("btrfs", |_, name| disk.at.join(name));
}

/// `scripts/test-rootless` creates the user and names it in BUILDSCOPE_TEST_USER. Builds the quick workloads and those in [`FILES`], and with
/// BUILDSCOPE_TEST_WHOLE_CORPUS also the large ones, which takes minutes.
#[test(Variable("BUILDSCOPE_TEST_USER"))]
fn an_ordinary_user_builds_the_hermetic_corpus_to_roots_digests() {
    let user = std::env::var("BUILDSCOPE_TEST_USER").unwrap();
    let whole = std::env::var_os("BUILDSCOPE_TEST_WHOLE_CORPUS").is_some();
    // A first build with arguments of its own needs more memory than most machines have. `stages-10000` takes minutes, and is
    // `stages-1000` on a larger scale.
    let plain = |workload: &Workload| {
        workload.manifest.bake.is_none() && workload.manifest.first.is_empty() && workload.name != "stages-10000"
    };
    let wanted = |workload: &Workload| whole || workload.manifest.quick || FILES.contains(&workload.name.as_str());
    let hermetic =
        |workload: &Workload| workload.manifest.category != Category::Real && plain(workload) && wanted(workload);
    assert_eq!(other_digests(&user, hermetic, None), Vec::<String>::new());
}

/// The workloads that need the bases of `scripts/bases DIR`: BUILDSCOPE_TEST_BASES names that directory.
#[test(Variable("BUILDSCOPE_TEST_USER"), Variable("BUILDSCOPE_TEST_BASES"))]
fn an_ordinary_user_builds_the_real_corpus_to_roots_digests() {
    let [user, bases] = ["BUILDSCOPE_TEST_USER", "BUILDSCOPE_TEST_BASES"].map(|name| std::env::var(name).unwrap());
    let real = |workload: &Workload| workload.manifest.category == Category::Real;
    assert_eq!(other_digests(&user, real, Some(Path::new(&bases))), Vec::<String>::new());
}

/// Builds workloads twice as root and once as an ordinary user. Returns those whose digests differ, with all three.
fn other_digests(user: &str, wanted: impl Fn(&Workload) -> bool, bases: Option<&Path>) -> Vec<String> {
    let corpus = Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/corpus")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let program = program_for_all(place.path());
    let mut others = Vec::new();
    for workload in corpus.all().unwrap().into_iter().filter(wanted) {
        let context = place.path().join(&workload.name);
        workload.materialise(&context).unwrap();
        let readable = Command::new("chmod").args(["-R", "a+rX"]).arg(&context).status().unwrap();
        assert!(readable.success());
        let build = |who: &str, mut command: Command| {
            let [store, metadata, image] =
                ["store", "json", "tar"].map(|kind| place.path().join(format!("{who}.{kind}")));
            let output = format!("type=oci,dest={},rewrite-timestamp=true", image.display());
            command.arg(&program).args(["build", "--quiet", "--output", &output, "--root"]).arg(&store);
            for base in workload.manifest.bases.iter().filter(|base| *base != "busybox") {
                let layout = bases.unwrap().join(base);
                command.arg("--build-context").arg(format!("{base}=oci-layout://{}", layout.display()));
            }
            command
                .args(["--build-arg", "SOURCE_DATE_EPOCH=1500000000", "--metadata-file"])
                .arg(&metadata)
                .arg(&context);
            let run = command.output().unwrap();
            assert!(run.status.success(), "{who}, {}: {}", workload.name, String::from_utf8_lossy(&run.stderr));
            let described: serde_json::Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
            fs::remove_dir_all(&store).unwrap();
            described["containerimage.digest"].as_str().unwrap().to_owned()
        };
        let root = build("root", Command::new("env"));
        let again = build("again", Command::new("env"));
        let user = build("user", as_user(user));
        if root != again || root != user {
            others.push(format!("{}: root {root}, root again {again}, user {user}", workload.name));
        }
        fs::remove_dir_all(context).unwrap();
    }
    others
}

#[test]
fn one_digest_for_all_kinds_of_file_changes() {
    let world = World::new(
        "FROM busybox AS base\n\
         RUN mkdir -p /d/sub && echo a > /d/a && ln /d/a /d/b && ln -s a /d/c && echo x > /d/sub/x && mkfifo /d/fifo\n\
         FROM base AS changes\n\
         RUN rm /d/b && mv /d/sub /d/moved && echo b >> /d/a && chmod 4755 /d/a\n\
         RUN rm -r /d/moved && mkdir /d/moved && touch /d/moved/new\n\
         RUN touch -d @1400000000 /d/a && chown -R 1000:1000 /d\n\
         COPY --from=base /d /copied\n\
         RUN :\n",
    );
    one_digest(
        "files",
        &world,
        &[&["--policy", "serial"], &["--policy", "instructions"], &["--driver", "overlay"], &["--driver", "copy"]],
    );
}

#[test]
fn a_cached_build_has_the_digest_of_the_first() {
    let world = World::new("FROM busybox\nRUN echo 1 > /one\nCOPY f /f\nLABEL a=b\n");
    world.write("f", "text");
    let first = world.digest(&[]);
    assert_eq!(first, world.digest(&[]));
    assert_eq!(first, world.digest(&["--no-cache"]));
}
