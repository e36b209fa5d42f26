//! Effects of the flags of the store, and results that they must not change.

use crate::world::World;
use buildscope_record::Phase;
use buildscope_testing::{in_time, test, undisturbed};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_step_over_the_memory_budget_reruns_on_disk() {
    undisturbed(|factor| {
        // The step ignores all errors and runs until its builder has looked at the memory.
        let world = World::new(&format!(
            "FROM busybox\n\
             RUN touch -d @1400000000 /small\n\
             RUN dd if=/dev/zero of=/big bs=1M count=8 || true; sleep {:.1}; touch -d @1400000000 /big\n",
            0.3 * f64::from(factor)
        ));
        let on_disk = world.digest(&["--tmpfs-upper", "0"]);
        world.forget();
        let record = world.build(&["--tmpfs-upper", "4m"]).record();
        let of = |text: &str| {
            let step = record.steps.iter().find(|step| step.text.contains(text)).unwrap().id;
            record.spans.iter().filter(|span| span.step == Some(step) && span.phase == Phase::Process).count()
        };
        // Processes of a step that fits, and of one that does not.
        in_time((of("/small"), of("/big")) == (1, 2), &record.spans)?;
        for memory in ["4m", "auto"] {
            world.forget();
            assert_eq!(world.digest(&["--tmpfs-upper", memory]), on_disk);
        }
        Ok(())
    });
}

#[test]
fn a_step_always_sees_the_disks_free_space() {
    let world = World::new("FROM busybox\nRUN df -k / | tail -n 1\n");
    let free = |memory: &str| -> u64 {
        let built = world.build(&["--no-cache", "--progress", "plain", "--tmpfs-upper", memory]);
        let words = built.stderr().lines().find_map(|line| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            words.iter().any(|word| word.ends_with('%')).then_some(words)
        });
        let words = words.unwrap_or_else(|| panic!("{}", built.stderr()));
        let percent = words.iter().position(|word| word.ends_with('%')).unwrap();
        words[percent - 1].parse().unwrap()
    };
    let (disk, memory) = (free("0"), free("64m"));
    // Other programs write to the disk meanwhile.
    assert!(disk.abs_diff(memory) < 2 << 20, "{memory} of {disk} KiB");
}

#[test]
fn a_step_that_fails_otherwise_is_not_rerun() {
    let world = World::new("FROM busybox\nRUN echo once; exit 3\n");
    let built = world.build(&["--tmpfs-upper", "64m", "--progress", "plain"]);
    assert_eq!(built.output.status.code(), Some(1));
    let processes = built.read().spans.iter().filter(|span| span.phase == Phase::Process).count();
    assert_eq!(processes, 1, "{}", built.stderr());
}

#[test]
fn fsync_happens_as_often_as_requested() {
    let world = World::new("FROM busybox\nRUN echo 1 > /one\nRUN echo 2 > /two\n");
    let syncs = |when: &str| {
        world.forget();
        let record = world.build(&["--sync", when]).record();
        record.spans.iter().filter(|span| span.phase == Phase::Sync).count()
    };
    // The base image is a layer, too.
    assert_eq!([syncs("never"), syncs("build"), syncs("layer")], [0, 1, 4]);
    let refused = world.build(&["--sync", "sometimes"]);
    assert_eq!(refused.output.status.code(), Some(2));
}

#[test]
fn the_temporary_directory_is_empty_after_a_build() {
    for (dockerfile, code) in
        [("FROM busybox\nRUN mkdir /d && touch /d/f\n", 0), ("FROM busybox\nRUN mkdir /d && touch /d/f && false\n", 1)]
    {
        for driver in ["copy", "overlay", "erofs"] {
            let world = World::new(dockerfile);
            assert_eq!(world.build(&["--driver", driver]).output.status.code(), Some(code));
            let left: Vec<_> = std::fs::read_dir(world.path("store/tmp")).unwrap().collect();
            assert!(left.is_empty(), "{driver}: {left:?}");
        }
    }
}

#[test]
fn pruning_spares_running_builds() {
    let world = World::new(
        "FROM busybox AS made\nRUN echo 1 > /one\nRUN echo 2 > /two\nFROM busybox\nCOPY --from=made /one /two /\nRUN cat /one /two\n",
    );
    let prune = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        let run = command.args(["store", "prune", "--format", "json", "--root"]).arg(&world.store).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        serde_json::from_slice::<Vec<serde_json::Value>>(&run.stdout).unwrap().len()
    };
    world.digest(&[]);
    let done = AtomicBool::new(false);
    let removed = std::thread::scope(|scope| {
        let pruner = scope.spawn(|| {
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                removed += prune();
            }
            removed
        });
        // A panic in this thread ends the other one.
        let stop = OnDrop(|| done.store(true, Ordering::Relaxed));
        let first = world.digest(&["--no-cache"]);
        for round in 0..10 {
            let args: &[&str] = if round % 2 == 0 { &[] } else { &["--no-cache"] };
            // Writing the archive reads every layer of the image.
            assert_eq!(world.digest(args), first, "round {round}");
        }
        drop(stop);
        pruner.join().unwrap()
    });
    assert!(removed + prune() > 0, "unused data is removed");
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// A tar's size field holds eleven octal digits: 8 GiB less a byte. The blob has holes where the file has them.
#[test]
fn files_over_eight_gib_are_stored_sparse() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new(
        "FROM busybox\n\
         RUN printf x | dd of=/f bs=1 seek=8589934592 2>/dev/null\n\
         RUN test $(stat -c %s /f) = 8589934593 && test \"$(tail -c 1 /f)\" = x\n",
    );
    let record = world.build(&[]).record();
    let layer = record.steps.iter().find(|step| step.text.contains("dd of")).unwrap().layer.as_ref().unwrap();
    let blob = world.store.join("blobs/sha256").join(layer.digest.unwrap().hex());
    let listed = Command::new("tar").arg("-tvf").arg(&blob).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(" 8589934593 "), "{listed}");
    let blob = std::fs::metadata(blob).unwrap();
    assert!(blob.len() > 8 << 30 && blob.blocks() * 512 < 64 << 20, "{} bytes on the disk", blob.blocks() * 512);
}

#[test]
fn pruning_removes_only_the_requested_types() {
    let world = World::new("FROM busybox\nRUN --mount=type=cache,target=/c echo 1 | tee /c/kept > /made\n");
    world.build(&[]).record();
    let store = |args: &[&str]| -> Vec<(String, String)> {
        let run = Command::new(env!("CARGO_BIN_EXE_buildscope"))
            .args(["store", args[0], "--format", "json", "--root"])
            .arg(&world.store)
            .args(&args[1..])
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let items: Vec<serde_json::Value> = serde_json::from_slice(&run.stdout).unwrap();
        items.iter().map(|item| (item["type"].as_str().unwrap().to_owned(), item["name"].to_string())).collect()
    };
    let before = store(&["du"]);
    let removed = store(&["prune", "--filter", "type=cache-mount"]);
    assert!(removed.len() == 1 && removed[0].0 == "cache-mount", "{removed:?}");
    let kept: Vec<_> = before.into_iter().filter(|item| !removed.contains(item)).collect();
    assert_eq!(store(&["du"]), kept);
    assert!(!kept.is_empty() && kept.iter().all(|(kind, _)| kind != "cache-mount"), "{kept:?}");
    // The step's result is of another type and is still there.
    assert_eq!(world.build(&["--expect-cached"]).output.status.code(), Some(0));
}
