//! ADD of archives.

use super::{Kit, add, dir, file, op, tar, used};
use crate::plan::Copy;
use crate::steps::copy::CopyError;
use buildscope_testing::sparse_petabyte;
use std::io::Write;
use std::time::Duration;

#[test]
fn archives_are_recognised_by_content() {
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
fn an_archive_that_is_refused_is_not_copied_as_a_file() {
    let mut kit = Kit::new();
    // Its size has a letter, and the checksum is right.
    let mut bad = tar(&[("f", b'0', 0o644, "", "x")]);
    bad[124] = b'z';
    bad[148..156].fill(b' ');
    let sum: u32 = bad[..512].iter().map(|byte| u32::from(*byte)).sum();
    bad[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    kit.write("size.tar", &bad).write("type.tar", tar(&[("f", b'D', 0o644, "", "")]));
    for name in ["size.tar", "type.tar"] {
        let error = kit.try_copy(&add(&[name], "/")).unwrap_err();
        assert!(error.to_string().contains("cannot unpack"), "{error}");
    }
}

/// A zstd frame of one raw block, with a window of 1 GiB as `zstd --long=30` writes it (RFC 8878, 3.1.1).
fn with_a_large_window(content: &[u8]) -> Vec<u8> {
    let block = (content.len() as u32) << 3 | 1;
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (30 - 10) << 3], &block.to_le_bytes()[..3], content].concat()
}

/// An xz file with a dictionary of 1 GiB ("The .xz file format", 3.1 and 5.3.1).
fn with_a_large_dictionary(content: &[u8]) -> Vec<u8> {
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(content).unwrap();
    let mut file = xz.finish().unwrap();
    let header = &mut file[12..];
    let end = usize::from(header[0]) * 4;
    let at = header[..end].iter().position(|byte| *byte == 0x21).unwrap() + 2;
    // 2 * 2^(36 / 2 + 11)
    header[at] = 36;
    let mut sum = flate2::Crc::new();
    sum.update(&header[..end]);
    header[end..end + 4].copy_from_slice(&sum.sum().to_le_bytes());
    file
}

#[test]
fn an_archive_that_needs_much_memory_is_not_copied_as_a_file() {
    let mut kit = Kit::new();
    let archive = tar(&[("f", b'0', 0o644, "", "x")]);
    kit.write("zst", with_a_large_window(&archive)).write("xz", with_a_large_dictionary(&archive));
    for name in ["zst", "xz"] {
        let error = kit.try_copy(&add(&[name], "/")).unwrap_err();
        assert!(error.to_string().contains("cannot unpack") && error.to_string().contains("memory"), "{error}");
    }
    kit.write("zst", with_a_large_window(b"text")).write("xz", with_a_large_dictionary(b"text"));
    kit.copy(&add(&["zst", "xz"], "/d/"));
    let names: Vec<String> = kit.lines().iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["755 d/", "644 d/xz", "644 d/zst"]);
}

#[test]
fn an_archive_replaces_files_and_merges_directories() {
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
fn an_archive_cannot_write_outside_its_destination() {
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
    // Docker ignores an archive's entry for its own root, even if it is a file.
    let before = kit.lines();
    kit.write("c.tar", tar(&[(".", b'0', 0o600, "", ""), ("", b'0', 0o600, "", ""), ("./", b'5', 0o700, "", "")]));
    kit.copy(&add(&["c.tar"], "/in/"));
    assert_eq!(kit.lines(), before);
}

#[test]
fn whiteout_names_are_errors() {
    let mut kit = Kit::new();
    kit.write("d/.wh.passwd", "");
    assert!(matches!(kit.try_copy(&op(&["d"], "/etc/")), Err(CopyError::WhiteoutName(_))));
}

/// The time of a member must not depend on the members before it. Cubic time was ten seconds of the processor here.
#[test]
fn directories_of_an_archive_may_be_deep() {
    let mut kit = Kit::new();
    let names: Vec<String> = (1..=2000).map(|depth| "d/".repeat(depth)).collect();
    let named = |name| [("././@LongLink", b'L', 0, "", name), ("d/", b'5', 0o755, "", "")];
    let members: Vec<_> = names.iter().flat_map(|name| named(name.as_str())).collect();
    kit.write("deep.tar", tar(&members));
    let start = used();
    kit.copy(&add(&["deep.tar"], "/to/"));
    let lasted = used() - start;
    assert!(lasted < Duration::from_secs(3), "{lasted:?}");
    assert_eq!(kit.lines().len(), 2001);
}

/// Removing a directory must not look at all other names. It took a minute of the processor here.
#[test]
fn a_path_of_an_archive_may_change_its_kind_often() {
    let mut kit = Kit::new();
    let others: Vec<String> = (0..10_000).map(|number| format!("others/{number}")).collect();
    let mut members: Vec<_> = others.iter().map(|name| (name.as_str(), b'0', 0o644, "", "")).collect();
    for _ in 0..10_000 {
        members.extend([("x/", b'5', 0o755, "", ""), ("x/in", b'0', 0o644, "", ""), ("x", b'0', 0o600, "", "")]);
    }
    members.extend([("x/", b'5', 0o700, "", ""), ("x/last", b'0', 0o644, "", "")]);
    kit.write("odd.tar", tar(&members));
    let start = used();
    kit.copy(&add(&["odd.tar"], "/"));
    let lasted = used() - start;
    assert!(lasted < Duration::from_secs(10), "{lasted:?}");
    let lines = kit.lines();
    assert_eq!(lines.len(), 10_003);
    assert_eq!(lines[10_001..], ["700 5:6 x/", "644 5:6 x/last="]);
}

/// Its layer would be hashed for days.
#[test]
fn a_sparse_file_of_petabytes_is_refused() {
    let mut kit = Kit::new();
    kit.write("bomb.tar", sparse_petabyte());
    let error = kit.try_copy(&add(&["bomb.tar"], "/")).unwrap_err();
    assert!(error.to_string().contains("decompression bomb"), "{error}");
}
