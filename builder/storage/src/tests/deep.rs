//! Trees that are thousands of directories deep.

use super::{directory, file, layer, store};
use crate::{DriverChoice, DriverName, MAX_LAYERS, StorageError};
use buildscope_record::Probe;
use std::path::{Path, PathBuf};

const DEPTH: usize = 5000;

/// Runs a test with a stack that recursion over the depth of a tree overflows.
fn with_a_small_stack(test: fn()) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(test).unwrap().join().unwrap();
}

fn deep(depth: usize) -> PathBuf {
    PathBuf::from(vec!["d"; depth].join("/"))
}

#[test]
fn a_tree_of_5000_levels_is_merged_read_and_dropped() {
    with_a_small_stack(|| {
        let fixture = store(DriverChoice::Named(DriverName::Copy));
        let path = |name: &str| deep(DEPTH).join(name);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        // The first layer has the parents only as parts of names, the second one has them all.
        let below = layer(&fixture.store, [file(&text(&path("old")), "1"), file(&text(&path("gone")), "2")]);
        let parents = (1..=DEPTH).map(|depth| directory(&text(&deep(depth))));
        let mut builder = fixture.store.layer_builder();
        for (entry, content) in parents.chain([file(&text(&path("new")), "3")]) {
            builder.push(entry, content);
        }
        builder.whiteout(&path("gone"));
        let above = builder.finish(&Probe::disabled()).unwrap();
        let tree = fixture.store.tree(&[below.diff_id, above.diff_id]).unwrap();
        assert_eq!(tree.walk(Path::new("")).count(), 1 + DEPTH + 2);
        let names: Vec<_> = tree.children(&deep(DEPTH)).map(|entry| entry.path).collect();
        assert_eq!(names, [path("new"), path("old")]);
        assert_eq!(tree.read(&path("old"), 9).unwrap().as_deref(), Some(&b"1"[..]));
    });
}

/// overlayfs refuses more than 500 layers (`OVL_MAX_STACK`). Without a limit, WORKDIRs that grow take memory that grows with the cube of
/// their number.
#[test]
fn a_tree_has_a_limit_of_layers() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let one = layer(&fixture.store, [file("a", "a")]).diff_id;
    assert!(fixture.store.tree(&vec![one; MAX_LAYERS]).is_ok());
    let error = fixture.store.tree(&vec![one; MAX_LAYERS + 1]).err();
    assert!(matches!(error, Some(StorageError::TooManyLayers(501))), "{error:?}");
}

#[test]
fn a_tree_of_many_directories_finds_the_records_of_each() {
    // The search for the end of a directory doubles its steps: 1 to 40 entries around each border.
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let names: Vec<String> = (1..=40).flat_map(|d| (0..d).map(move |f| format!("{d:02}/{f:02}"))).collect();
    let files = names.iter().map(|name| file(name, name));
    let layer = layer(&fixture.store, files);
    let tree = fixture.store.tree(&[layer.diff_id]).unwrap();
    for d in 1..=40 {
        assert_eq!(tree.children(Path::new(&format!("{d:02}"))).count(), d, "{d}");
    }
    assert_eq!(tree.walk(Path::new("")).count(), 1 + 40 + names.len());
}
