//! Builds that are killed, cancelled or run out of space: the next build continues from their finished steps.

use crate::world::{World, steps};
use buildscope_record::Outcome::{Cached, Executed};
use buildscope_testing::{Disk, Random, in_time, test, undisturbed, until};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DRIVERS: [&str; 3] = ["erofs", "overlay", "copy"];
const KILLS: u64 = 10;

#[test(Program("mkfs.ext4"), LoopDevices)]
fn a_full_disk_keeps_finished_steps() {
    let disk = Disk::mounted("ext4", 60 << 20);
    for driver in DRIVERS {
        let mut world =
            World::new("FROM busybox\nRUN echo 1 > /done\nRUN dd if=/dev/urandom of=/big bs=1M count=100\n");
        world.store = disk.at.join(driver);
        let full = world.build(&["--driver", driver]);
        assert_eq!(full.output.status.code(), Some(1), "{driver}: {}", full.stderr());
        assert!(full.stderr().contains("No space left on device"), "{driver}: {}", full.stderr());
        world.write("Dockerfile", "FROM busybox\nRUN echo 1 > /done\nRUN echo 2 > /next\n");
        let record = world.build(&["--driver", driver]).record();
        assert!(steps(&record, Cached).contains(&"RUN echo 1 > /done"), "{driver}");
        assert!(steps(&record, Executed).contains(&"RUN echo 2 > /next"), "{driver}");
    }
}

/// Not even root, for whom ext4 reserves some space, has any left.
#[test(Program("mkfs.ext4"), LoopDevices)]
fn pruning_works_on_a_full_disk() {
    let disk = Disk::mounted("ext4", 32 << 20);
    let mut world = World::new("FROM busybox\nRUN head -c 3000000 /dev/urandom > /f\n");
    world.store = disk.at.join("store");
    world.build(&[]).record();
    let mut ballast = fs::File::create(disk.at.join("ballast")).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    drop(ballast);
    let blobs = || fs::read_dir(disk.at.join("store/blobs/sha256")).unwrap().count();
    assert!(blobs() > 0);
    let mut prune = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    let pruned =
        prune.args(["store", "prune", "--root"]).arg(&world.store).env_remove("BUILDSCOPE_ROOT").output().unwrap();
    assert!(pruned.status.success(), "{}", String::from_utf8_lossy(&pruned.stderr));
    assert_eq!(blobs(), 0);
    fs::remove_file(disk.at.join("ballast")).unwrap();
    world.build(&[]).record();
}

/// What is on the disk when a build ends suffices for the next one, and what a build without a sync leaves there does no harm. The file
/// systems write little by themselves in the first minutes.
fn survives_a_power_cut(make: &[&str], options: &str, repair: &[&str], drivers: &[&str]) {
    for (driver, sync) in drivers.iter().flat_map(|driver| [(*driver, "build"), (*driver, "never")]) {
        let disk = Disk::made(make, options, 320 << 20);
        let mut world = World::new(
            "FROM busybox\nCOPY f /f\nRUN cat /f /f > /twice && mkdir /d\nRUN head -c 3000000 /dev/urandom > /d/big\n",
        );
        world.write("f", &"text".repeat(10_000));
        world.store = disk.at.join("new/store");
        world.build(&["--driver", driver, "--sync", sync]).record();
        let disk = disk.after_power_cut(repair);
        world.store = disk.at.join("new/store");
        // Without a sync, not even the directory needs to be there.
        fs::create_dir_all(&world.store).unwrap();
        fs::write(world.store.join("boot"), "the boot before").unwrap();
        let record = world.build(&["--driver", driver]).record();
        let runs = steps(&record, Executed).iter().filter(|text| text.starts_with("RUN")).count();
        // Without a sync, the kernel may have written some files by itself.
        assert!(runs == 0 || sync == "never", "{make:?} {driver}: {runs} steps ran again");
        let mut check = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        let check =
            check.args(["store", "check", "--root"]).arg(&world.store).env_remove("BUILDSCOPE_ROOT").output().unwrap();
        assert!(check.status.success(), "{make:?} {driver} {sync}: {}", String::from_utf8_lossy(&check.stdout));
    }
}

#[test(Program("mkfs.ext4"), LoopDevices)]
fn a_build_on_ext4_survives_a_power_cut() {
    let repair = ["e2fsck", "-f", "-y"];
    survives_a_power_cut(&["mkfs.ext4", "-q"], "loop,commit=300", &repair, &DRIVERS);
    survives_a_power_cut(&["mkfs.ext4", "-q", "-O", "^has_journal"], "loop", &repair, &DRIVERS);
}

#[test(Program("mkfs.btrfs"), LoopDevices)]
fn a_build_on_btrfs_survives_a_power_cut() {
    survives_a_power_cut(&["mkfs.btrfs", "-q"], "loop,commit=300", &[], &["erofs", "btrfs"]);
}

#[test(Program("mkfs.xfs"), LoopDevices)]
fn a_build_on_xfs_survives_a_power_cut() {
    survives_a_power_cut(&["mkfs.xfs", "-q"], "loop", &[], &["erofs", "overlay"]);
}

#[test]
fn a_build_after_a_kill_gives_the_same_image() {
    let mut random = Random::new(0x2545_F491_4F6C_DD1D);
    for driver in DRIVERS {
        let world = World::new(
            "FROM busybox\nRUN mkdir /d && for i in $(seq 200); do echo $i > /d/$i; done\nRUN mv /d /e && rm /e/1*\nCOPY f /f\n",
        );
        world.write("f", "text");
        let whole = world.digest(&["--driver", driver]);
        world.forget();
        for kill in 0..KILLS {
            let mut build = world.command(&["--driver", driver, "--no-cache"]);
            let mut build = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random.number() % 400_000));
            build.kill().unwrap();
            build.wait().unwrap();
            // The archive contains every layer.
            assert_eq!(world.digest(&["--driver", driver]), whole, "{driver}, kill {kill}");
        }
    }
}

#[test]
fn a_cancelled_build_removes_its_copies() {
    let world = World::new(
        "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=20\n\
         RUN --mount=type=cache,id=mark,target=/mark touch /mark/begun && sleep 600\n",
    );
    undisturbed(|_| {
        world.forget();
        let mut build = world.command(&["--driver", "copy"]);
        let mut build = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let has_begun = || {
            let mounts = fs::read_dir(world.path("store/mounts")).into_iter().flatten().flatten();
            mounts.into_iter().any(|mount| mount.path().join("begun").exists())
        };
        until("the step starts", has_begun);
        let (pid, start) = (rustix::process::Pid::from_child(&build), Instant::now());
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(!build.wait().unwrap().success());
        // After four seconds it ends in any case.
        in_time(start.elapsed() < Duration::from_secs(4), start.elapsed())?;
        let left: Vec<_> = fs::read_dir(world.path("store/tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        Ok(())
    });
}
