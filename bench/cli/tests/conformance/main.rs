//! The build cases of `workloads/conformance/`, each under every storage driver, compared with BuildKit's images.

mod bases;
mod case;
mod compare;
mod image;

use buildscope_testing::{Disk, Need, Trial, trial};
use case::Case;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Drivers that run on every file system. Base layers and device nodes keep their owners only for root.
const DRIVERS: [&str; 3] = ["erofs", "overlay", "copy"];
const ROOT: &[Need] = &[Need::Root, Need::Program("busybox")];
const FUSE: &[Need] =
    &[Need::Root, Need::Program("busybox"), Need::Program("fuse-overlayfs"), Need::Device("/dev/fuse")];
const BTRFS: &[Need] = &[Need::LoopDevices, Need::Program("busybox"), Need::Program("mkfs.btrfs")];

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = Vec::new();
    for name in names() {
        for driver in DRIVERS {
            let case = name.clone();
            trials.push(trial(&format!("{driver}::{name}"), ROOT, move || {
                let scratch = tempfile::tempdir().unwrap();
                assert_agrees(&case, driver, &scratch.path().join("store"));
            }));
        }
    }
    trials.push(trial("fuse_overlayfs::all_cases", FUSE, || {
        let scratch = tempfile::tempdir().unwrap();
        assert_all_agree("fuse-overlayfs", scratch.path());
    }));
    trials.push(trial("btrfs::all_cases", BTRFS, || {
        let disk = Disk::mounted("btrfs", 2 << 30);
        assert_all_agree("btrfs", &disk.at);
    }));
    buildscope_testing::run(trials)
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/conformance")
}

fn names() -> Vec<String> {
    let cases = std::fs::read_dir(home().join("cases")).unwrap();
    let mut names: Vec<String> =
        cases.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Builds a case and fails with all differences.
fn assert_agrees(name: &str, driver: &str, store: &Path) {
    let differences = Case::read(&home(), name).differences(driver, store);
    assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
}

/// Builds all cases on one store and fails with the differences of all.
fn assert_all_agree(driver: &str, folder: &Path) {
    let differences: Vec<String> = names()
        .iter()
        .flat_map(|name| {
            let found = Case::read(&home(), name).differences(driver, &folder.join("store"));
            found.into_iter().map(move |difference| format!("{name}: {difference}"))
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
