//! The files that a COPY selects.

use super::{Kit, op};
use crate::plan::{Copy, CopyFrom};
use crate::steps::copy::CopyError;
use std::os::unix::fs::symlink;

#[test]
fn a_directory_is_copied_without_itself() {
    let mut kit = Kit::new();
    kit.directory("d/empty", 0o700).write_mode("d/f", "f", 0o600).directory("d", 0o711);
    kit.copy(&op(&["d"], "/new")).copy(&op(&["d/f"], "/plain")).copy(&op(&["d/f"], "/in/it/"));
    let expected =
        ["755 in/", "755 in/it/", "600 in/it/f=f", "755 new/", "700 new/empty/", "600 new/f=f", "600 plain=f"];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn only_links_named_by_a_source_are_followed() {
    let kit = &mut Kit::new();
    kit.write("file", "x").write("dir/in", "i");
    symlink("file", kit.path("to-file")).unwrap();
    symlink("dir", kit.path("to-dir")).unwrap();
    symlink("../../../../file", kit.path("tree/up")).unwrap();
    symlink("/etc/passwd", kit.path("outside")).unwrap();
    kit.copy(&op(&["to-file"], "/a/"))
        .copy(&op(&["to-dir"], "/b"))
        .copy(&op(&["tree"], "/t"))
        .copy(&op(&["tree/up"], "/up"));
    let expected =
        ["755 a/", "644 a/to-file=x", "755 b/", "644 b/in=i", "755 t/", "777 t/up -> ../../../../file", "644 up=x"];
    assert_eq!(kit.lines(), expected);
    assert!(matches!(kit.try_copy(&op(&["outside"], "/o")), Err(CopyError::LeadsOut { .. })));
}

/// The directory before the first wildcard has to exist. `--parents` filters the whole source, so nothing has to.
#[test]
fn a_pattern_needs_its_directory() {
    let mut kit = Kit::new();
    kit.write("s/x/one.c", "1");
    kit.copy(&op(&["s/*.jar", "s/x/*/*.c", "no*/*.c"], "/d/")).copy(&op(&["/*/no*"], "/d/"));
    assert_eq!(kit.lines(), Vec::<String>::new());
    let error = kit.try_copy(&op(&["sx/*.c"], "/d/")).unwrap_err();
    assert!(matches!(&error, CopyError::NotFound { source_path, .. } if source_path == "sx/*.c"), "{error}");
    assert!(error.to_string().contains("did you mean `s`"), "{error}");
    for missing in ["s/y/*.c", "s/y/**/one.c", "s/x/y/z?"] {
        let tried = kit.try_copy(&op(&[missing], "/d/"));
        assert!(matches!(tried, Err(CopyError::NotFound { .. })), "{missing}: {tried:?}");
    }
    let parents = Copy { parents: true, ..op(&["sx/*.c"], "/d/") };
    assert!(kit.try_copy(&parents).is_ok());
}

#[test]
fn patterns_match_names_and_may_match_nothing() {
    let mut kit = Kit::new();
    kit.write("a.txt", "a")
        .write("b.txt", "b")
        .write("c.md", "c")
        .write("s/x/one.c", "1")
        .write("s/y/two.c", "2")
        .write("arr[0].txt", "r");
    kit.copy(&op(&["*.txt", "missing*"], "/t/"))
        .copy(&op(&["s/*/*.c"], "/c/"))
        .copy(&op(&["arr[[]0].txt"], "/one"))
        .copy(&op(&["no*"], "/no/"));
    let expected = [
        "755 c/",
        "644 c/one.c=1",
        "644 c/two.c=2",
        "644 one=r",
        "755 t/",
        "644 t/a.txt=a",
        "644 t/arr[0].txt=r",
        "644 t/b.txt=b",
    ];
    assert_eq!(kit.lines(), expected);
    assert!(matches!(kit.try_copy(&op(&["[x-"], "/")), Err(CopyError::BadPattern(_))));
}

#[test]
fn a_missing_source_gets_a_suggestion() {
    let mut kit = Kit::new();
    kit.write("src/main.rs", "");
    let error = kit.try_copy(&op(&["src/mian.rs"], "/")).unwrap_err().to_string();
    assert_eq!(error, "`src/mian.rs` not found in the build context; did you mean `src/main.rs`?");
    let error = kit.try_copy(&op(&["../outside"], "/")).unwrap_err().to_string();
    assert_eq!(error, "`../outside` not found in the build context");
}

#[test]
fn dot_and_slash_mean_the_whole_context() {
    for source in [".", "/", "./", ""] {
        let mut kit = Kit::new();
        kit.write("f", "f");
        kit.copy(&op(&[source], "sub/"));
        assert_eq!(kit.lines(), ["755 sub/", "644 sub/f=f"], "{source}");
    }
}

#[test]
fn excludes_are_relative_to_each_source() {
    let mut kit = Kit::new();
    kit.write("src/a/x.txt", "ax")
        .write("src/a/y.md", "ay")
        .write("src/b/deep/z", "z")
        .directory("src/c", 0o700)
        .write("src/c/x.txt", "cx");
    let exclude = |patterns: &[&str], source: &str, to: &str| Copy {
        exclude: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..op(&[source], to)
    };
    kit.copy(&exclude(&["**", "!a/x.txt"], "src", "/two/")).copy(&exclude(&["b/deep", "*/*.txt"], "src", "/one"));
    kit.copy(&exclude(&["*.md"], "src/a/*", "/flat/"));
    let expected = [
        "755 flat/",
        "644 flat/x.txt=ax",
        "755 one/",
        "755 one/a/",
        "644 one/a/y.md=ay",
        "755 one/b/",
        "700 one/c/",
        "755 two/",
        "755 two/a/",
        "644 two/a/x.txt=ax",
    ];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn heredocs_become_files() {
    let mut kit = Kit::new();
    let inline = vec![("a.txt".into(), "A\n".into()), ("b.txt".into(), "B\n".into())];
    kit.copy(&Copy { inline: inline.clone(), from: CopyFrom::Empty, ..op(&[], "/out/") });
    kit.copy(&Copy { inline: inline[..1].to_vec(), from: CopyFrom::Empty, ..op(&[], "/renamed") });
    assert_eq!(kit.lines(), ["755 out/", "644 out/a.txt=A\n", "644 out/b.txt=B\n", "644 renamed=A\n"]);
}
