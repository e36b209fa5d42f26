//! The paths, owners and modes of copied files; and WORKDIR.

use super::{Kit, NOW, add, dir, file, link, op, tar, used};
use crate::plan::{Copy, CopyFrom};
use crate::steps::copy::CopyError;
use crate::steps::workdir::workdir;
use buildscope_record::Probe;
use buildscope_storage::Entry;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The parents of each part of a path must not be looked up again. 300 growing WORKDIRs took seconds of the processor.
#[test]
fn a_workdir_may_be_deep() {
    let mut kit = Kit::new();
    let deep = |depth: usize| vec!["dir"; depth].join("/");
    kit.image((1..=1000).map(|depth| dir(&deep(depth), 0o755)));
    let start = used();
    workdir(&format!("/{}", deep(1001)), "", &kit.layers, NOW, &kit.store, &Probe::disabled()).unwrap();
    let lasted = used() - start;
    assert!(lasted < Duration::from_secs(2), "{lasted:?}");
    // All parents of each directory take memory that grows with the square of the depth.
    let error = workdir(&"/d".repeat(2049), "", &kit.layers, NOW, &kit.store, &Probe::disabled()).unwrap_err();
    assert!(error.to_string().contains("at most 4095 bytes") && error.to_string().len() < 200, "{error}");
}

#[test]
fn only_directories_below_the_destination_get_new_metadata() {
    let mut kit = Kit::new();
    kit.image([Entry { uid: 3, gid: 4, ..dir("dst", 0o711) }, dir("dst/sub", 0o700), file("dst/sub/old")]);
    kit.write("src/sub/f", "f").write("src/new", "n").directory("src/sub", 0o755);
    kit.copy(&op(&["src"], "/dst"));
    let chown = Copy { chown: Some("8:9".into()), ..op(&["src/new"], "/fresh/dir/") };
    kit.copy(&chown);
    let expected = [
        "711 3:4 dst/",
        "644 dst/new=n",
        "755 dst/sub/",
        "644 dst/sub/f=f",
        "644 dst/sub/old=dst/sub/old",
        "755 8:9 fresh/",
        "755 8:9 fresh/dir/",
        "644 8:9 fresh/dir/new=n",
    ];
    assert_eq!(kit.lines(), expected);
}

/// As BuildKit, docker 20.10 and buildah 1.28 do, but for an equal file (see COMPATIBILITY.md).
#[test]
fn a_directory_that_gets_an_entry_has_the_time_of_the_step() {
    let mut kit = Kit::new();
    let paths = ["one", "two", "two/x", "deep", "deep/er", "over", "unpacked", "unpacked/x", "work", "same", "kept"];
    kit.image(paths.map(|path| dir(path, 0o755)).into_iter().chain([file("over/f"), file("same/f")]));
    kit.write("f", "f")
        .write("dir/top", "t")
        .write("dir/x/n", "n")
        .write("a.tar", tar(&[("x/n", b'0', 0o644, "", "n")]));
    kit.copy(&op(&["f"], "/one/"))
        .copy(&op(&["dir/"], "/two/"))
        .copy(&op(&["f"], "/deep/er/f"))
        .copy(&op(&["f"], "/over/f"));
    kit.copy(&add(&["a.tar"], "/unpacked/"));
    let layer = workdir("/work/new", "", &kit.layers, NOW, &kit.store, &Probe::disabled()).unwrap();
    kit.layers.push(layer.diff_id);
    // A file of the image over itself changes nothing.
    kit.copy(&Copy { from: CopyFrom::Empty, ..op(&["same/f"], "/same/") });
    let tree = kit.store.tree(&kit.layers).unwrap();
    let time = |path: &&str| tree.lookup(Path::new(path)).unwrap().mtime;
    let (changed, kept): (Vec<&str>, Vec<&str>) = paths.iter().partition(|path| time(path) == NOW);
    assert_eq!(changed, ["one", "two", "deep/er", "over", "unpacked/x", "work"]);
    assert_eq!(kept, ["two/x", "deep", "unpacked", "same", "kept"]);
    // The times of a copied directory are its source's.
    assert!(!kept.iter().any(|path| *path != "two/x" && time(path) != Entry::directory("").mtime));
}

#[test]
fn links_in_the_destination_stay_inside_the_image() {
    let mut kit = Kit::new();
    kit.image([
        dir("real", 0o755),
        link("abs", "/real"),
        link("out", "../../../real/up"),
        link("dangling", "/missing"),
    ]);
    kit.write("a", "a").write("d/e", "e");
    kit.copy(&op(&["a"], "/abs/a")).copy(&op(&["d"], "/abs")).copy(&op(&["a"], "/out/")).copy(&op(&["d"], "/dangling"));
    let expected = [
        "777 abs -> /real",
        "777 dangling -> /missing",
        "755 missing/",
        "644 missing/e=e",
        "777 out -> ../../../real/up",
        "755 real/",
        "644 real/a=a",
        "644 real/e=e",
        "755 real/up/",
        "644 real/up/a=a",
    ];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn a_directory_and_a_file_do_not_replace_each_other() {
    let mut kit = Kit::new();
    kit.image([file("f"), link("l", "/nowhere"), dir("d", 0o755)]);
    kit.write("a/f/x", "").write("b/l/x", "").write("c/d", "");
    for source in ["a", "b"] {
        assert!(matches!(kit.try_copy(&op(&[source], "/")), Err(CopyError::NotADirectory { .. })), "{source}");
    }
    assert!(matches!(kit.try_copy(&op(&["c"], "/")), Err(CopyError::IsADirectory(path)) if path == Path::new("d")));
    assert!(kit.try_copy(&op(&["c/d"], "/f/below")).is_err());
    assert_eq!(kit.layers.len(), 1);
}

#[test]
fn owner_names_come_from_the_image() {
    let mut kit = Kit::new();
    kit.text("etc/passwd", "root:x:0:0::/:/bin/sh\nlp:x:7:9::/:/bin/sh\n");
    kit.text("etc/group", "root:x:0:\nadm:x:4:lp\n");
    kit.write("f", "");
    for (text, owner) in
        [("1:2", "1:2"), ("1", "1:1"), ("lp", "7:9"), ("lp:adm", "7:4"), ("5:adm", "5:4"), ("lp:8", "7:8")]
    {
        kit.copy(&Copy { chown: Some(text.into()), ..op(&["f"], "/f") });
        assert!(kit.lines().contains(&format!("644 {owner} f=")), "{text}");
    }
    for (text, name) in [("ghost", "ghost"), ("lp:ghosts", "ghosts")] {
        let error = kit.try_copy(&Copy { chown: Some(text.into()), ..op(&["f"], "/f") }).unwrap_err();
        assert!(matches!(&error, CopyError::UnknownOwner { name: unknown, .. } if unknown == name), "{error}");
    }
    kit.text("etc/passwd", "root:x:0:0::/:/bin/sh\nbig:x:4294967295:1::/:/bin/sh\nlp:x:7:4294967295::/:/bin/sh\n");
    kit.text("etc/group", "adm:x:4294967295:lp\n");
    for (text, file) in [
        ("4294967295", None),
        ("1:2147483648", None),
        ("big", Some("/etc/passwd")),
        ("lp", Some("/etc/passwd")),
        ("1:adm", Some("/etc/group")),
    ] {
        let error = kit.try_copy(&Copy { chown: Some(text.into()), ..op(&["f"], "/f") }).unwrap_err();
        assert!(matches!(&error, CopyError::BadId { file: found, .. } if *found == file), "{text}: {error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    kit.copy(&Copy { chown: Some("lp:2147483647".into()), ..op(&["f"], "/f") });
    assert!(kit.lines().contains(&"644 7:2147483647 f=".to_owned()), "{:?}", kit.lines());
}

#[test]
fn chmod_sets_and_changes_modes() {
    let mut kit = Kit::new();
    kit.directory("d", 0o700).write_mode("d/f", "f", 0o600).write_mode("d/x", "x", 0o755).directory("d/sub", 0o750);
    let chmod = |mode: &str, source: &str, to: &str| Copy { chmod: Some(mode.into()), ..op(&[source], to) };
    kit.copy(&chmod("1777", "d", "/sticky/")).copy(&chmod("u+s,g+w", "d/x", "/id")).copy(&chmod("go-rwx", "d", "/b"));
    let expected = [
        "755 b/",
        "600 b/f=f",
        "700 b/sub/",
        "700 b/x=x",
        "4775 id=x",
        "1777 sticky/",
        "1777 sticky/f=f",
        "1777 sticky/sub/",
        "1777 sticky/x=x",
    ];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn parents_keeps_the_path_after_the_pivot() {
    let mut kit = Kit::new();
    kit.write("x/y/a.txt", "a")
        .write("x/y/b.md", "b")
        .write("x/z/a.txt", "z")
        .write("other/o", "o")
        .directory("x/y", 0o711);
    let parents = |sources: &[&str], to: &str| Copy { parents: true, ..op(sources, to) };
    kit.copy(&parents(&["./x/*/a.txt"], "/p/")).copy(&parents(&["x/./y/*.md"], "/q/")).copy(&parents(&["x/./z"], "/r"));
    let expected = [
        "755 p/",
        "755 p/x/",
        "711 p/x/y/",
        "644 p/x/y/a.txt=a",
        "755 p/x/z/",
        "644 p/x/z/a.txt=z",
        "755 q/",
        "711 q/y/",
        "644 q/y/b.md=b",
        "755 r/",
        "755 r/z/",
        "644 r/z/a.txt=z",
    ];
    assert_eq!(kit.lines(), expected);
    assert!(matches!(kit.try_copy(&parents(&["x/missing"], "/")), Err(CopyError::NotFound { .. })));
    kit.copy(&parents(&["x/missing*"], "/"));
}

#[test]
fn link_ignores_the_layers_below() {
    let mut kit = Kit::new();
    kit.image([dir("real", 0o755), link("alias", "/real"), dir("mode", 0o700)]);
    kit.write("a", "a").write("dir/in", "in");
    let linked = |source: &str, to: &str| Copy { link: true, ..op(&[source], to) };
    kit.copy(&linked("a", "/alias/a")).copy(&linked("dir/", "/mode/"));
    let expected = ["755 alias/", "644 alias/a=a", "755 mode/", "644 mode/in=in", "755 real/"];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn hard_links_stay_hard_links() {
    let mut kit = Kit::new();
    kit.write("one", "1");
    fs::create_dir(kit.path("sub")).unwrap();
    fs::hard_link(kit.path("one"), kit.path("sub/three")).unwrap();
    fs::hard_link(kit.path("one"), kit.path("two")).unwrap();
    kit.copy(&op(&["."], "/c/"));
    kit.copy(&Copy { from: CopyFrom::Empty, ..op(&["c"], "/d/") });
    // Without their first name, the other names are still one file.
    kit.copy(&Copy { from: CopyFrom::Empty, exclude: vec!["one".into()], ..op(&["c"], "/e/") });
    let expected = [
        "755 c/",
        "644 c/one=1",
        "755 c/sub/",
        "644 c/sub/three == c/one",
        "644 c/two == c/one",
        "755 d/",
        "644 d/one=1",
        "755 d/sub/",
        "644 d/sub/three == d/one",
        "644 d/two == d/one",
        "755 e/",
        "755 e/sub/",
        "644 e/sub/three=1",
        "644 e/two == e/sub/three",
    ];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn workdir_creates_missing_directories_for_the_user() {
    let mut kit = Kit::new();
    kit.text("etc/passwd", "daemon:x:2:3::/:/bin/sh\n");
    kit.image([Entry { uid: 3, gid: 3, ..dir("priv", 0o700) }, dir("real", 0o755), link("alias", "/real")]);
    for (path, user) in [("/priv", "daemon"), ("/alias/sub", ""), ("/a/b", "daemon"), ("/n", "33:34"), ("/g", "ghost")]
    {
        let layer = workdir(path, user, &kit.layers, NOW, &kit.store, &Probe::disabled()).unwrap();
        assert_eq!(layer.files == 0, path == "/priv", "{path}");
        kit.layers.push(layer.diff_id);
    }
    let lines: Vec<String> = kit.lines().into_iter().filter(|line| !line.contains("etc")).collect();
    let expected = [
        "755 2:3 a/",
        "755 2:3 a/b/",
        "777 alias -> /real",
        "755 g/",
        "755 33:34 n/",
        "700 3:3 priv/",
        "755 real/",
        "755 real/sub/",
    ];
    assert_eq!(lines, expected);
}
