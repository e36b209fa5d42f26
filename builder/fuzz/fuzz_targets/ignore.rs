//! Any ignore file and path: no panic; a walk is never pruned where something below comes back; a glob without
//! wildcards matches itself alone.
#![no_main]

use buildscope_dockerfile::{Glob, Ignore, clean, glob};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (patterns, path) = input;
    if patterns.len() > 2048 || path.len() > 256 {
        return;
    }
    if let Ok(glob) = Glob::parse(patterns) {
        let _ = glob.matches(path);
    }
    assert!(Glob::parse(&glob::escape(path)).unwrap().matches(path));
    let Ok(ignore) = Ignore::parse(patterns) else { return };
    let path = clean(&format!("/{path}"));
    let path = path.trim_start_matches('/');
    if path.is_empty() || ignore.excludes(path, false) {
        return;
    }
    // The path is kept: no parent of it may have been pruned.
    for (at, _) in path.match_indices('/') {
        let parent = &path[..at];
        assert!(!ignore.excludes(parent, true) || ignore.may_include_below(parent), "{parent} hides {path}");
    }
});
