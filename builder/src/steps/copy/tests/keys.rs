//! The content key of a copy, and which files it reads again.

use super::{Kit, NOW, file, op};
use crate::plan::{Copy, CopyFrom};
use crate::sources::{Context, IgnoreVerdict};
use crate::steps::copy::{CopyOrigin, FileCount, ListOrSummary, Selection, Summary, copy};
use buildscope_record::{Digest, Probe};
use buildscope_storage::{Content, Entry};
use std::fs;
use std::path::Path;

#[test]
fn the_key_covers_everything_in_the_layer() {
    let kit = Kit::new();
    kit.write("d/a", "a").write("d/b", "b");
    let whole = op(&["d"], "/x/");
    let before = kit.key(&whole);
    let times = kit.select(&whole).unwrap().times(None);
    assert_eq!(kit.select(&whole).unwrap().times(None), times);
    let touch = fs::File::options().write(true).open(kit.path("d/a")).unwrap();
    touch.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(kit.key(&whole), before, "times are not part of the key");
    assert_ne!(kit.select(&whole).unwrap().times(None), times, "they have a digest of their own");
    let octal = Copy { chmod: Some("644".into()), ..whole.clone() };
    let octal_before = kit.key(&octal);
    kit.write_mode("d/a", "a", 0o600);
    assert_ne!(kit.key(&whole), before, "modes are part of the key");
    assert_eq!(kit.key(&octal), octal_before, "except with --chmod");
    kit.write("d/a", "a");
    assert_eq!(kit.key(&whole), before);
    kit.write("d/a", "c");
    assert_ne!(kit.key(&whole), before, "content is part of the key");
    kit.write("d/a", "a");
    fs::remove_file(kit.path("d/b")).unwrap();
    fs::write(kit.path("d/c"), "b").unwrap();
    assert_ne!(kit.key(&whole), before, "names are part of the key");
    fs::remove_file(kit.path("d/c")).unwrap();
    kit.write("d/b", "a");
    let apart = kit.key(&whole);
    fs::remove_file(kit.path("d/b")).unwrap();
    fs::hard_link(kit.path("d/a"), kit.path("d/b")).unwrap();
    assert_ne!(kit.key(&whole), apart, "hard links are part of the key");
    let mut selection = kit.select(&whole).unwrap();
    selection.digest(&whole, kit.store.blobs(), &Probe::disabled()).unwrap();
    let files: Vec<_> = selection.files().collect();
    assert_eq!(files, [("d/a".into(), Digest::of("a")), ("d/b".into(), Digest::of("a"))]);
    let count = |files, bytes| FileCount { files, bytes };
    assert_eq!(selection.by_top(), [("d".to_owned(), count(2, 2))].into());
    kit.write("e", "long");
    let all = kit.select(&op(&["."], "/x")).unwrap();
    assert_eq!(all.by_top(), [("d".to_owned(), count(2, 2)), ("e".to_owned(), count(1, 4))].into());
}

/// More than one batch of files, names of one file in two directories, links, a fifo, and a file next to directories.
fn varied(kit: &Kit) {
    for number in 0..1200 {
        kit.write_mode(
            &format!("top/d{}/f{number}", number % 7),
            format!("content {}", number % 50),
            0o600 + number % 8,
        );
    }
    kit.write("top/alone", "alone").directory("top/empty", 0o700);
    fs::hard_link(kit.path("top/d0/f0"), kit.path("top/z")).unwrap();
    fs::hard_link(kit.path("top/alone"), kit.path("top/d3/again")).unwrap();
    std::os::unix::fs::symlink("alone", kit.path("top/link")).unwrap();
    std::os::unix::fs::symlink("top", kit.path("way")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, kit.path("top/pipe"), 0o640.into()).unwrap();
}

fn or_summary(kit: &Kit, op: &Copy, most: usize) -> ListOrSummary {
    let none: Option<fn(&Path) -> IgnoreVerdict> = None;
    let context = Context::open(kit.context.path(), none, None).unwrap();
    Selection::or_summary(op, &CopyOrigin::Context(&context), most, &kit.store, &Probe::disabled()).unwrap()
}

#[test]
fn a_summary_has_the_digests_of_the_list() {
    let kit = Kit::new();
    varied(&kit);
    let ops = [
        op(&["top"], "/x/"),
        op(&["."], "/x"),
        op(&["way"], "/x/"),
        Copy { add: true, ..op(&["top/"], "/x/") },
        Copy { chmod: Some("u+x".into()), chown: Some("7:8".into()), ..op(&["./top"], "/x/") },
    ];
    for op in &ops {
        let ListOrSummary::Summary(Summary { digest, times, by_top }) = or_summary(&kit, op, 1000) else {
            panic!("{op:?} is listed");
        };
        let list = kit.select(op).unwrap();
        assert_eq!((digest, times), (kit.key(op), list.times(None)), "{op:?}");
        assert_eq!(by_top, list.by_top(), "{op:?}");
    }
    let count = FileCount {
        files: 1203,
        bytes: 5 * 2 + 9 + (0..1200).map(|n| format!("content {}", n % 50).len() as u64).sum::<u64>(),
    };
    let ListOrSummary::Summary(summary) = or_summary(&kit, &ops[0], 1000) else { panic!("it is listed") };
    assert_eq!(summary.by_top, [("top".to_owned(), count)].into());
}

#[test]
fn only_large_whole_directories_are_not_listed() {
    let kit = Kit::new();
    varied(&kit);
    let whole = op(&["top"], "/x/");
    for (op, most) in [
        (whole.clone(), 2000),
        (op(&["top", "way"], "/x/"), 10),
        (op(&["t*"], "/x/"), 10),
        (op(&["top/alone"], "/x/"), 0),
        (Copy { exclude: vec!["*.o".into()], ..whole.clone() }, 10),
        (Copy { parents: true, ..whole.clone() }, 10),
        (Copy { inline: vec![("name".into(), "text".into())], ..whole.clone() }, 10),
    ] {
        assert!(matches!(or_summary(&kit, &op, most), ListOrSummary::List(_)), "{op:?}");
    }
}

#[test]
fn files_are_named_by_their_paths_in_the_tree() {
    let kit = Kit::new();
    kit.write("d/a.txt", "a").write("d/b.txt", "b").write("d/c", "c");
    let files = |op: &Copy| {
        let mut selection = kit.select(op).unwrap();
        selection.digest(op, kit.store.blobs(), &Probe::disabled()).unwrap();
        selection.files().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(files(&op(&["./d/*.txt"], "/x/")), ["d/a.txt", "d/b.txt"]);
    assert_eq!(files(&op(&["/d/../d/c"], "/x")), ["d/c"]);
    let parents = |source: &str| Copy { parents: true, ..op(&[source], "/x/") };
    assert_eq!(files(&parents("d/*.txt")), ["d/a.txt", "d/b.txt"]);
    assert_eq!(files(&parents("d/./c")), ["d/c"]);
    // The part before the pivot is the whole path of the directory.
    assert_eq!(files(&parents("d/./*.txt")), ["d/a.txt", "d/b.txt"]);
}

#[test]
fn the_key_does_not_depend_on_other_files_of_the_stage() {
    let mut kit = Kit::new();
    kit.image([file("f")]);
    let of_stage = Copy { from: CopyFrom::Empty, ..op(&["f"], "/x") };
    let alone = kit.key(&of_stage);
    kit.layers.clear();
    kit.image([file("else"), file("f")]);
    assert_eq!(kit.key(&of_stage), alone, "other files of the layer are not part of the key");
    kit.image([Entry { uid: 1, ..file("f") }]);
    assert_ne!(kit.key(&of_stage), alone, "the owner is part of the key");
}

#[test]
fn an_edit_of_one_file_reads_one_file() {
    let mut kit = Kit::new();
    let memory = tempfile::tempdir().unwrap();
    kit.write("d/same", "same").write("d/edited", "before");
    std::thread::sleep(std::time::Duration::from_millis(30));
    let whole = op(&["d"], "/x/");
    let build = |kit: &Kit| {
        let context =
            Context::open(kit.context.path(), None::<fn(&Path) -> IgnoreVerdict>, Some(memory.path())).unwrap();
        let origin = CopyOrigin::Context(&context);
        let selection = Selection::of(&whole, &origin, &kit.store, &Probe::disabled()).unwrap();
        let items = selection.groups.iter().flat_map(|group| group.items.iter());
        let read =
            items.filter(|(entry, detail)| detail.host.is_some() && !matches!(entry.content(), Content::Blob { .. }));
        let read = read.count();
        let layer = copy(&whole, selection, &[], NOW, &kit.store, &Probe::disabled()).unwrap();
        (layer.diff_id, read)
    };
    let (first, read) = build(&kit);
    assert_eq!(read, 2);
    kit.write("d/edited", "after!");
    let (second, read) = build(&kit);
    assert_eq!(read, 1);
    kit.layers = vec![first];
    assert_eq!(kit.lines()[1..], ["644 x/edited=before", "644 x/same=same"]);
    kit.layers = vec![second];
    assert_eq!(kit.lines()[1..], ["644 x/edited=after!", "644 x/same=same"]);
    // The blobs are removed: the files are read from the context again.
    for blob in [first, second] {
        fs::remove_file(kit.store.blobs().path(blob)).unwrap();
    }
    assert!(build(&kit).1 >= 1);
}
