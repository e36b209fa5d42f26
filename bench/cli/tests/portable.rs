//! The crates that the command is compiled from on macOS and Windows, as `cargo tree` lists them.

use std::process::Command;

const TARGETS: [&str; 2] = ["x86_64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Our crates that compile everywhere. All others belong to the builder.
const PORTABLE: [&str; 8] = [
    "buildscope",
    "buildscope-bench",
    "buildscope-dockerfile",
    "buildscope-oci",
    "buildscope-record",
    "buildscope-commands",
    "buildscope-reports",
    "buildscope-workloads",
];

/// Crates of others that need Linux or Unix, used only by the builder.
const OF_LINUX: [&str; 8] = ["caps", "fuser", "linux-raw-sys", "nix", "perf-event", "pprof", "procfs", "seccompiler"];

/// Features of rustix for system calls that only Linux has, or only the builder needs.
const OF_LINUX_IN_RUSTIX: [&str; 5] = ["mount", "pipe", "process", "system", "thread"];

/// Each crate with its features.
fn tree(target: &str, flags: &[&str]) -> Vec<(String, String)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--package", "buildscope", "--edges", "normal,build", "--prefix", "none"]);
    cargo.args(["--format", "{p}|{f}", "--target", target]).args(flags).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (package, features) = line.split_once('|').unwrap();
        (package.split(' ').next().unwrap().to_owned(), features.to_owned())
    };
    text.lines().map(line).collect()
}

#[test]
fn other_systems_need_no_linux_crates() {
    for target in TARGETS {
        for flags in [&[][..], &["--no-default-features"]] {
            let crates = tree(target, flags);
            assert!(crates.iter().any(|(name, _)| name == "buildscope-reports"), "{crates:?}");
            for (name, features) in &crates {
                let ours = name.starts_with("buildscope");
                assert!(!ours || PORTABLE.contains(&name.as_str()), "{target} {flags:?}: {name}");
                assert!(!OF_LINUX.contains(&name.as_str()), "{target} {flags:?}: {name}");
                let of_linux = |feature: &str| OF_LINUX_IN_RUSTIX.contains(&feature);
                let foreign = name == "rustix" && features.split(' ').flat_map(|word| word.split(',')).any(of_linux);
                assert!(!foreign, "{target} {flags:?}: rustix has {features}");
            }
        }
    }
}

#[test]
fn linux_includes_the_builder() {
    let has =
        |flags: &[&str]| tree("x86_64-unknown-linux-gnu", flags).iter().any(|(name, _)| name == "buildscope-builder");
    assert!(has(&[]) && !has(&["--no-default-features"]));
}
