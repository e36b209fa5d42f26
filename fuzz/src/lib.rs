//! Fuzz targets for every parser of untrusted bytes.
//!
//! A target is a plain function that accepts any bytes and panics if it finds an error. Two drivers call them:
//! `tests/mutations.rs`, which runs briefly in every test run, and `libfuzzer/`, which needs a nightly toolchain and
//! runs at night.
//!
//! ```
//! let target = buildscope_fuzz::named("parse").unwrap();
//! (target.run)(b"FROM busybox\nRUN echo hello\n");
//! ```

#![forbid(unsafe_code)]

mod bake;
mod base;
mod dockerfile;
mod import;
mod mutate;
mod registry;
mod shell;
mod shown;
mod storage;

pub use mutate::Mutator;

use std::path::{Path, PathBuf};

/// A parser under test.
#[derive(Clone, Copy)]
pub struct FuzzTarget {
    /// The name, which is also the folder of its seeds in `corpus/` and its program under libFuzzer.
    pub name: &'static str,
    /// Parses the bytes. Panics on an error of the parser; rejecting the input is not an error.
    pub run: fn(&[u8]),
    /// Further seeds, as paths from the root of the repository.
    seeds: &'static [&'static str],
}

/// Every target.
pub const TARGETS: [FuzzTarget; 30] = [
    target("parse", dockerfile::parse, &[]),
    target("expand", dockerfile::expand, &[]),
    target("ignore", dockerfile::ignore, &[]),
    target("diagnose", dockerfile::diagnose, &["fuzz/corpus/parse"]),
    target("shell", shell::shell, &[]),
    target("bake", bake::bake, &["builder/bake/tests/cases"]),
    target("tar", storage::tar, &[]),
    target("archive", storage::archive, &["fuzz/corpus/tar"]),
    target("shown", shown::shown, &["fuzz/corpus/parse"]),
    target("layer_index", storage::layer_index, &[]),
    target("stat_cache", storage::stat_cache, &[]),
    target("registry_manifest", registry::manifest, &[]),
    target("registry_config", registry::config, &[]),
    target("registry_challenge", registry::challenge, &[]),
    target("elf", base::elf, &[]),
    target("sandbox_message", buildscope_sandbox::fuzzing::message, &[]),
    target("sandbox_report", buildscope_sandbox::fuzzing::report, &[]),
    target("record", import::record, &["reports/record/tests/examples"]),
    target("import_rawjson", import::rawjson, &["reports/tests/samples"]),
    target("import_plain", import::plain, &["reports/tests/samples"]),
    target("import_classic", import::classic, &["reports/tests/samples"]),
    target("import_buildah", import::buildah, &["reports/tests/samples"]),
    target("import_kaniko", import::kaniko, &["reports/tests/samples"]),
    target("import_kaniko_log", import::kaniko_log, &["reports/tests/samples"]),
    target("import_console", import::console, &["reports/tests/samples"]),
    target("import_inspect", import::inspect, &["reports/tests/samples"]),
    target("import_otlp", import::otlp, &["reports/tests/samples"]),
    target("import_stdouttrace", import::stdouttrace, &[]),
    target("import_dockerbuild", import::dockerbuild, &[]),
    target("import_packed", import::packed, &["reports/tests/samples"]),
];

const fn target(name: &'static str, run: fn(&[u8]), seeds: &'static [&'static str]) -> FuzzTarget {
    FuzzTarget { name, run, seeds }
}

/// The target of this name.
#[must_use]
pub fn named(name: &str) -> Option<FuzzTarget> {
    TARGETS.into_iter().find(|target| target.name == name)
}

impl FuzzTarget {
    /// The committed seeds, sorted by path.
    ///
    /// # Errors
    /// If a folder of seeds cannot be read.
    pub fn seeds(&self) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut seeds = Vec::new();
        for folder in
            [format!("fuzz/corpus/{}", self.name)].iter().map(String::as_str).chain(self.seeds.iter().copied())
        {
            let folder = root.join(folder);
            if !folder.is_dir() {
                continue; // A target may use only the seeds of another one.
            }
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                // Files of one input may be in a folder of their own.
                if path.is_file() {
                    let bytes = std::fs::read(&path)?;
                    seeds.push((path, bytes));
                }
            }
        }
        seeds.sort();
        Ok(seeds)
    }
}
