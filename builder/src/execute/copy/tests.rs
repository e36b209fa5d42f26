//! COPY, ADD and WORKDIR over small images: what BuildKit makes of the same (measured, or its reference's words).

use super::{CopyError, Origin, Selection, copy};
use crate::execute::workdir::workdir;
use crate::plan::{Copy, CopyFrom};
use crate::source::{Context, Verdict};
use crate::storage::{Content, Entry, EntryKind, Store, StoreOptions, Timestamp};
use buildscope_record::{Digest, Probe};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: Timestamp = Timestamp { seconds: 1_700_000_000, nanos: 0 };

/// A store, a context and an image in the making.
struct Kit {
    store: Store,
    context: tempfile::TempDir,
    layers: Vec<Digest>,
    _root: tempfile::TempDir,
}

impl Kit {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), StoreOptions::default()).unwrap();
        Self { store, context: tempfile::tempdir().unwrap(), layers: Vec::new(), _root: root }
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.context.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        self.write_mode(path, content, 0o644)
    }

    fn write_mode(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> &Self {
        fs::write(self.path(path), content).unwrap();
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn directory(&self, path: &str, mode: u32) -> &Self {
        fs::create_dir_all(self.path(path)).unwrap();
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Gives the image a layer with these entries.
    fn image(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut layer = self.store.layer_builder();
        for mut entry in entries {
            let text: Arc<[u8]> = Arc::from(entry.path.as_os_str().as_encoded_bytes());
            if let EntryKind::File { size } = &mut entry.kind {
                *size = text.len() as u64;
            }
            layer.push(entry, Content::Bytes(text));
        }
        self.layers.push(layer.finish(&Probe::disabled()).unwrap().diff_id);
    }

    fn text(&mut self, path: &str, text: &str) {
        let mut layer = self.store.layer_builder();
        let entry = Entry { kind: EntryKind::File { size: text.len() as u64 }, ..Entry::directory(path) };
        layer.push(entry, Content::Bytes(text.as_bytes().into()));
        self.layers.push(layer.finish(&Probe::disabled()).unwrap().diff_id);
    }

    fn select(&self, op: &Copy) -> Result<Selection, CopyError> {
        let context = Context::open(self.context.path(), None::<fn(&Path) -> Verdict>, None).unwrap();
        let origin = match &op.from {
            CopyFrom::Context => Origin::Context(&context),
            _ => Origin::Layers(self.store.tree(&self.layers).unwrap()),
        };
        Selection::of(op, &origin, &self.store, &Probe::disabled())
    }

    fn try_copy(&mut self, op: &Copy) -> Result<(), CopyError> {
        let selection = self.select(op)?;
        let layer = copy(op, &selection, &self.layers, NOW, &self.store, &Probe::disabled())?;
        self.layers.push(layer.diff_id);
        Ok(())
    }

    fn copy(&mut self, op: &Copy) -> &mut Self {
        self.try_copy(op).unwrap();
        self
    }

    fn key(&self, op: &Copy) -> Digest {
        self.select(op).unwrap().digest(op, self.store.blobs(), &Probe::disabled()).unwrap()
    }

    /// The whole image, a line a path.
    fn lines(&self) -> Vec<String> {
        let tree = self.store.tree(&self.layers).unwrap();
        let line = |entry: Entry| {
            let Entry { path, kind, mode, uid, gid, .. } = entry;
            let what = match kind {
                EntryKind::Directory => "/".into(),
                EntryKind::File { .. } => {
                    format!("={}", String::from_utf8_lossy(&tree.read(&path, 1 << 20).unwrap().unwrap()))
                }
                EntryKind::Symlink { target } => format!(" -> {}", target.display()),
                EntryKind::HardLink { target } => format!(" == {}", target.display()),
                EntryKind::Fifo => "|".into(),
                other => format!("{other:?}"),
            };
            let owner = if (uid, gid) == (0, 0) { String::new() } else { format!(" {uid}:{gid}") };
            format!("{mode:o}{owner} {}{what}", path.display())
        };
        let entries = tree.walk(Path::new("")).map(|(entry, _)| entry);
        entries.filter(|entry| !entry.path.as_os_str().is_empty()).map(line).collect()
    }
}

fn op(sources: &[&str], destination: &str) -> Copy {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    Copy { sources, ..Copy::of(CopyFrom::Context, "", destination) }
}

fn add(sources: &[&str], destination: &str) -> Copy {
    Copy { add: true, ..op(sources, destination) }
}

fn dir(path: &str, mode: u32) -> Entry {
    Entry { mode, ..Entry::directory(path) }
}

fn file(path: &str) -> Entry {
    Entry { kind: EntryKind::File { size: 0 }, mode: 0o644, ..Entry::directory(path) }
}

fn link(path: &str, to: &str) -> Entry {
    Entry { kind: EntryKind::Symlink { target: to.into() }, mode: 0o777, ..Entry::directory(path) }
}

#[test]
fn a_directory_gives_its_contents_and_a_file_itself() {
    let mut kit = Kit::new();
    kit.directory("d/empty", 0o700).write_mode("d/f", "f", 0o600).directory("d", 0o711);
    kit.copy(&op(&["d"], "/new")).copy(&op(&["d/f"], "/plain")).copy(&op(&["d/f"], "/in/it/"));
    let expected =
        ["755 in/", "755 in/it/", "600 in/it/f=f", "755 new/", "700 new/empty/", "600 new/f=f", "600 plain=f"];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn directories_that_are_there_keep_their_metadata_below_the_destination_they_get_the_source_s() {
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

#[test]
fn links_of_the_destination_are_followed_inside_the_image() {
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
fn a_directory_over_something_else_is_an_error_and_the_reverse() {
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
fn a_link_that_a_source_names_is_followed_one_inside_is_copied() {
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
    assert!(matches!(kit.try_copy(&op(&["outside"], "/o")), Err(CopyError::NotFound { .. })));
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
fn what_is_not_there_is_named_with_what_is_like_it() {
    let mut kit = Kit::new();
    kit.write("src/main.rs", "");
    let error = kit.try_copy(&op(&["src/mian.rs"], "/")).unwrap_err().to_string();
    assert_eq!(error, "`src/mian.rs` not found in the build context; did you mean `src/main.rs`?");
    let error = kit.try_copy(&op(&["../outside"], "/")).unwrap_err().to_string();
    assert_eq!(error, "`../outside` not found in the build context");
}

#[test]
fn the_whole_context_is_meant_by_a_dot_a_slash_and_nothing() {
    for source in [".", "/", "./", ""] {
        let mut kit = Kit::new();
        kit.write("f", "f");
        kit.copy(&op(&[source], "sub/"));
        assert_eq!(kit.lines(), ["755 sub/", "644 sub/f=f"], "{source}");
    }
}

#[test]
fn owners_are_those_of_the_image() {
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
    for (text, name) in [("ghost", "ghost"), ("lp:nobody", "nobody")] {
        let error = kit.try_copy(&Copy { chown: Some(text.into()), ..op(&["f"], "/f") }).unwrap_err();
        assert!(matches!(&error, CopyError::UnknownOwner { name: unknown, .. } if unknown == name), "{error}");
    }
}

#[test]
fn modes_are_set_and_changed() {
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
fn parents_are_kept_from_the_pivot_on() {
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
fn a_linked_layer_knows_nothing_of_what_is_below() {
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
    // Without its first name, the file is still one file.
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
fn heredocs_are_files() {
    let mut kit = Kit::new();
    let inline = vec![("a.txt".into(), "A\n".into()), ("b.txt".into(), "B\n".into())];
    kit.copy(&Copy { inline: inline.clone(), from: CopyFrom::Empty, ..op(&[], "/out/") });
    kit.copy(&Copy { inline: inline[..1].to_vec(), from: CopyFrom::Empty, ..op(&[], "/renamed") });
    assert_eq!(kit.lines(), ["755 out/", "644 out/a.txt=A\n", "644 out/b.txt=B\n", "644 renamed=A\n"]);
}

/// A member of a test archive: name, type flag, mode, link target, content.
type Member<'a> = (&'a str, u8, u32, &'a str, &'a str);

/// A tar, by the words of POSIX.1-1988 (ustar), so that what is written is not ours.
fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, mode, link, content) in members {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        header[108..116].copy_from_slice(b"0000005\0");
        header[116..124].copy_from_slice(b"0000006\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"12334447000\0");
        header[148..156].fill(b' ');
        header[156] = *kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

#[test]
fn archives_are_known_by_their_content() {
    let mut kit = Kit::new();
    let plain =
        tar(&[("d/", b'5', 0o750, "", ""), ("d/one", b'0', 0o4711, "", "one"), ("d/two", b'1', 0o4711, "d/one", "")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&plain).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    let zstd = zstd::encode_all(&*plain, 1).unwrap();
    kit.write("plain.bin", &plain).write("gz", gzip.finish().unwrap()).write("bz2", bzip2.finish().unwrap());
    kit.write("xz", xz.finish().unwrap())
        .write("zst", zstd)
        .write("not.tar", "text")
        .write("empty.tar", [0; 1024])
        .write("nothing", "");
    for name in ["plain.bin", "gz", "bz2", "xz", "zst"] {
        kit.layers.clear();
        kit.copy(&add(&[name], "/to"));
        let expected = ["755 to/", "750 5:6 to/d/", "4711 5:6 to/d/one=one", "4711 5:6 to/d/two == to/d/one"];
        assert_eq!(kit.lines(), expected, "{name}");
    }
    kit.layers.clear();
    kit.copy(&Copy { chown: Some("7:8".into()), ..add(&["gz"], "/o") });
    assert_eq!(kit.lines()[..2], ["755 7:8 o/", "750 7:8 o/d/"]);
    kit.layers.clear();
    kit.copy(&add(&["not.tar", "empty.tar", "nothing"], "/n/"))
        .copy(&Copy { unpack: Some(false), ..add(&["gz"], "/n/") });
    let names: Vec<String> = kit.lines().iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["755 n/", "644 n/empty.tar", "644 n/gz", "644 n/not.tar", "644 n/nothing"]);
}

#[test]
fn an_archive_replaces_and_merges() {
    let mut kit = Kit::new();
    kit.image([dir("was-dir", 0o755), file("was-dir/f"), file("was-file"), dir("stays", 0o700), file("stays/old")]);
    let members = [
        ("was-dir", b'0', 0o600, "", "now a file"),
        ("was-file/", b'5', 0o711, "", ""),
        ("stays/", b'5', 0o711, "", ""),
        ("stays/new", b'0', 0o600, "", "n"),
        ("linked", b'1', 0o600, "stays/old", ""),
    ];
    kit.write("a.tar", tar(&members));
    kit.copy(&add(&["a.tar"], "/"));
    let expected = [
        "644 linked=stays/old",
        "711 5:6 stays/",
        "600 5:6 stays/new=n",
        "644 stays/old == linked",
        "600 5:6 was-dir=now a file",
        "711 5:6 was-file/",
    ];
    assert_eq!(kit.lines(), expected);
}

#[test]
fn nothing_of_an_archive_leaves_its_directory() {
    let mut kit = Kit::new();
    kit.image([dir("etc", 0o755), file("etc/passwd"), dir("in", 0o755)]);
    let members = [
        ("../../etc/passwd", b'0', 0o600, "", "up"),
        ("/etc/shadow", b'0', 0o600, "", "abs"),
        ("link", b'2', 0o777, "/etc", ""),
        ("link/through", b'0', 0o600, "", "t"),
        ("up", b'2', 0o777, "../../..", ""),
        ("up/over", b'0', 0o600, "", "o"),
    ];
    kit.write("a.tar", tar(&members));
    kit.copy(&add(&["a.tar"], "/in/"));
    let outside: Vec<String> = kit.lines().into_iter().filter(|line| !line.contains(" in/")).collect();
    assert_eq!(outside, ["755 etc/", "644 etc/passwd=etc/passwd"]);
    let inside =
        ["755 in/", "755 in/etc/", "600 5:6 in/etc/passwd=up", "600 5:6 in/etc/shadow=abs", "600 5:6 in/etc/through=t"];
    assert_eq!(kit.lines()[2..7], inside);
    assert!(kit.lines().contains(&"600 5:6 in/over=o".to_owned()));
    kit.write("b.tar", tar(&[("x", b'1', 0o600, "../../etc/hosts", "")]));
    assert!(matches!(kit.try_copy(&add(&["b.tar"], "/in/")), Err(CopyError::Archive { .. })));
    // Docker leaves out what an archive says of its root, even where it calls it a file.
    let before = kit.lines();
    kit.write("c.tar", tar(&[(".", b'0', 0o600, "", ""), ("", b'0', 0o600, "", ""), ("./", b'5', 0o700, "", "")]));
    kit.copy(&add(&["c.tar"], "/in/"));
    assert_eq!(kit.lines(), before);
}

#[test]
fn a_name_that_would_remove_is_refused() {
    let mut kit = Kit::new();
    kit.write("d/.wh.passwd", "");
    assert!(matches!(kit.try_copy(&op(&["d"], "/etc/")), Err(CopyError::WhiteoutName(_))));
}

#[test]
fn the_key_is_what_reaches_the_layer() {
    let kit = Kit::new();
    kit.write("d/a", "a").write("d/b", "b");
    let whole = op(&["d"], "/x/");
    let before = kit.key(&whole);
    let times = kit.select(&whole).unwrap().times(None);
    assert_eq!(kit.select(&whole).unwrap().times(None), times);
    let touch = fs::File::options().write(true).open(kit.path("d/a")).unwrap();
    touch.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(kit.key(&whole), before, "times are not part of it");
    assert_ne!(kit.select(&whole).unwrap().times(None), times, "they have a digest of their own");
    let octal = Copy { chmod: Some("644".into()), ..whole.clone() };
    let octal_before = kit.key(&octal);
    kit.write_mode("d/a", "a", 0o600);
    assert_ne!(kit.key(&whole), before, "modes are");
    assert_eq!(kit.key(&octal), octal_before, "but not where they are set");
    kit.write("d/a", "a");
    assert_eq!(kit.key(&whole), before);
    kit.write("d/a", "c");
    assert_ne!(kit.key(&whole), before, "content is");
    kit.write("d/a", "a");
    fs::remove_file(kit.path("d/b")).unwrap();
    fs::write(kit.path("d/c"), "b").unwrap();
    assert_ne!(kit.key(&whole), before, "names are");
    fs::remove_file(kit.path("d/c")).unwrap();
    kit.write("d/b", "a");
    let apart = kit.key(&whole);
    fs::remove_file(kit.path("d/b")).unwrap();
    fs::hard_link(kit.path("d/a"), kit.path("d/b")).unwrap();
    assert_ne!(kit.key(&whole), apart, "link structure is");
    let mut selection = kit.select(&whole).unwrap();
    selection.digest(&whole, kit.store.blobs(), &Probe::disabled()).unwrap();
    let files: Vec<_> = selection.files().collect();
    assert_eq!(files, [("d/a".into(), Digest::of("a")), ("d/b".into(), Digest::of("a"))]);
    assert_eq!(selection.by_top(), [("d".to_owned(), (2, 2))].into());
    kit.write("e", "long");
    let all = kit.select(&op(&["."], "/x")).unwrap();
    assert_eq!(all.by_top(), [("d".to_owned(), (2, 2)), ("e".to_owned(), (1, 4))].into());
}

#[test]
fn a_file_of_a_stage_has_the_key_of_its_content() {
    let mut kit = Kit::new();
    kit.image([file("f")]);
    let of_stage = Copy { from: CopyFrom::Empty, ..op(&["f"], "/x") };
    let alone = kit.key(&of_stage);
    kit.layers.clear();
    kit.image([file("else"), file("f")]);
    assert_eq!(kit.key(&of_stage), alone, "whatever else is in its layer");
    kit.image([Entry { uid: 1, ..file("f") }]);
    assert_ne!(kit.key(&of_stage), alone, "its owner is part of it");
}

#[test]
fn an_edit_of_one_file_reads_one_file() {
    let mut kit = Kit::new();
    let memory = tempfile::tempdir().unwrap();
    kit.write("d/same", "same").write("d/edited", "before");
    std::thread::sleep(std::time::Duration::from_millis(30));
    let whole = op(&["d"], "/x/");
    let build = |kit: &Kit| {
        let context = Context::open(kit.context.path(), None::<fn(&Path) -> Verdict>, Some(memory.path())).unwrap();
        let origin = Origin::Context(&context);
        let selection = Selection::of(&whole, &origin, &kit.store, &Probe::disabled()).unwrap();
        let layer = copy(&whole, &selection, &[], NOW, &kit.store, &Probe::disabled()).unwrap();
        let read = |item: &super::select::Item| !matches!(item.content, Content::Blob { .. });
        let items = selection.groups.iter().flat_map(|group| &group.items);
        (layer.diff_id, items.filter(|item| item.identity.is_some() && read(item)).count())
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
    // The blob that has it goes away: the file is still there.
    for blob in [first, second] {
        fs::remove_file(kit.store.blobs().path(&blob)).unwrap();
    }
    assert!(build(&kit).1 >= 1);
}

#[test]
fn checksums_are_checked() {
    let mut kit = Kit::new();
    kit.write("f", "abc");
    let checked = |checksum: String| Copy { checksum: Some(checksum), ..add(&["f"], "/f") };
    kit.copy(&checked(Digest::of("abc").to_string()));
    assert!(matches!(kit.try_copy(&checked(Digest::of("abd").to_string())), Err(CopyError::Checksum { .. })));
}

/// Answers one request for each text.
fn serve(answers: Vec<Vec<u8>>) -> String {
    use std::io::{BufRead, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            let head = format!(
                "HTTP/1.1 200 OK\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                answer.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    address
}

#[test]
fn a_file_of_the_web_is_its_owner_s_and_as_old_as_the_server_says() {
    let mut kit = Kit::new();
    let archive = tar(&[("f", b'0', 0o640, "", "in")]);
    let host = serve(vec![b"hello".to_vec(), archive.clone(), archive, b"x".to_vec()]);
    let add = |path: &str, to: &str| Copy { from: CopyFrom::Empty, ..add(&[&format!("{host}{path}")], to) };
    kit.copy(&add("/a/hello.txt?x=1", "/web/")).copy(&add("/a.tar", "/plain"));
    kit.copy(&Copy { unpack: Some(true), ..add("/b.tar", "/unpacked") });
    let wrong = Copy { checksum: Some(Digest::of("y").to_string()), ..add("/x", "/x") };
    assert!(matches!(kit.try_copy(&wrong), Err(CopyError::Checksum { .. })));
    assert!(matches!(kit.try_copy(&add("/", "/dir/")), Err(CopyError::Nameless(_))));
    let lines = kit.lines();
    assert!(lines[0].starts_with("600 plain="), "{}", lines[0]);
    assert_eq!(lines[1..], ["755 unpacked/", "640 5:6 unpacked/f=in", "755 web/", "600 web/hello.txt=hello"]);
    let tree = kit.store.tree(&kit.layers).unwrap();
    assert_eq!(tree.lookup(Path::new("web/hello.txt")).unwrap().mtime.seconds, 784_111_777);
}

#[test]
fn working_directories_belong_to_the_user_and_stay_where_they_are() {
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
