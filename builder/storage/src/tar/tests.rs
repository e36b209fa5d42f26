//! Compares the reader with other readers: Python's `tarfile` and the crate `tar`.

use super::{Member, MemberKind, Reader};
use crate::StorageError;
use proptest::prelude::*;
use proptest::sample::select;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

/// The parts of a member on which two readers must agree.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    name: String,
    kind: MemberKind,
    link: String,
    content: String,
}

fn ours(archive: &[u8]) -> Result<Vec<Seen>, StorageError> {
    let mut reader = Reader::new(archive);
    std::iter::from_fn(|| reader.read_member().transpose())
        .map(|member| member.map(|member| seen(&member, archive)))
        .collect()
}

fn seen(member: &Member, archive: &[u8]) -> Seen {
    let content = &archive[member.offset as usize..(member.offset + member.stored) as usize];
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let is_link = matches!(member.kind, MemberKind::Symlink | MemberKind::HardLink);
    let link = if is_link { text(&member.link) } else { String::new() };
    // Python removes the slash of a directory.
    let name = text(&member.name).trim_end_matches('/').to_owned();
    Seen { name, kind: member.kind, link, content: text(content) }
}

/// A Python program that writes and reads archives. It prints a line `archive HEX` for each, then a line per member.
const PYTHON: &str = r#"
import io, sys, tarfile
def names(length):
    for slash in (-1, 97, 98, 99, 100, 154, 155, 156, 200):
        if slash < length - 1:
            name = ["n"] * length
            if slash >= 0: name[slash] = "/"
            if length > 150 and slash != 50: name[50] = "/"
            yield "".join(name)
for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
    for length in (1, 98, 99, 100, 101, 155, 156, 255, 256, 257):
        for name in names(length):
            for kind in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
                out = io.BytesIO()
                try:
                    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
                        inner = io.BytesIO()
                        with tarfile.open(fileobj=inner, mode="w") as smuggled:
                            smuggled.addfile(tarfile.TarInfo("smuggled"))
                        member = tarfile.TarInfo(name)
                        member.type = kind
                        data = inner.getvalue()[:1024] if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else b""
                        member.size = len(data)
                        if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE): member.linkname = name[::-1]
                        tar.addfile(member, io.BytesIO(data))
                        tar.addfile(tarfile.TarInfo("after"))
                except ValueError:
                    continue
                print("archive", out.getvalue()[:8192].hex())
                out.seek(0)
                # Python before 3.14 decides by the truncated name where a long one follows old headers.
                old = kind == tarfile.AREGTYPE and length > 100
                for member in tarfile.open(fileobj=out, format=format) if not old else ():
                    kinds = {b"0": "File", b"\0": "File", b"5": "Directory", b"2": "Symlink", b"1": "HardLink"}
                    data = tarfile.open(fileobj=io.BytesIO(out.getvalue())).extractfile(member) if member.isreg() else None
                    print("member", kinds[member.type], member.name or ".", member.linkname or ".", (data.read() if data else b"").hex() or ".")
                if old:
                    print("member File", name, ".", data.hex())
                    print("member File after . .")
"#;

#[test]
fn python_reads_the_same_members() {
    let python = Command::new("python3").arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = python.expect("python3, which scripts/setup installs");
    python.stdin.take().unwrap().write_all(PYTHON.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut archives = 0;
    for block in text.split("archive ").skip(1) {
        let (archive, members) = block.split_once('\n').unwrap();
        let archive = hex::decode(archive).unwrap();
        let field = |text: &str| if text == "." { String::new() } else { text.to_owned() };
        let theirs = members.lines().map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let kind = match fields[1] {
                "File" => MemberKind::File,
                "Directory" => MemberKind::Directory,
                "Symlink" => MemberKind::Symlink,
                _ => MemberKind::HardLink,
            };
            let content = String::from_utf8(hex::decode(field(fields[4])).unwrap()).unwrap();
            Seen { name: field(fields[2]), kind, link: field(fields[3]), content }
        });
        assert_eq!(ours(&archive).unwrap(), theirs.collect::<Vec<_>>());
        archives += 1;
    }
    assert!(archives > 500, "{archives}");
}

/// The encoding of long names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// Truncated in the header, and complete in a header before it.
    Gnu,
    Pax,
    /// Split into prefix and name if possible.
    Ustar,
    /// A header without magic.
    V7,
}

/// The magic and version of headers.
const USTAR: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

#[derive(Clone, Debug)]
struct Written {
    name: String,
    flag: u8,
    link: String,
    content: Vec<u8>,
    format: Format,
}

impl Written {
    fn append(&self, out: &mut Vec<u8>) {
        let name = self.name.as_bytes();
        let mut prefix: &[u8] = &[];
        let mut rest = name;
        match self.format {
            Format::Gnu if name.len() > 100 => {
                RawHeader::of(b"././@LongLink", b'L', GNU).append(&[name, b"\0"].concat(), out);
            }
            Format::Pax => {
                let mut length = name.len() + " path=\n".len();
                length += (length + 3).to_string().len();
                assert_eq!(format!("{length} path={}\n", self.name).len(), length);
                RawHeader::of(b"pax", b'x', USTAR).append(format!("{length} path={}\n", self.name).as_bytes(), out);
            }
            Format::Ustar if name.len() > 100 => {
                if let Some(slash) = (name.len() - 101..156.min(name.len() - 1)).find(|&at| at > 0 && name[at] == b'/')
                {
                    (prefix, rest) = (&name[..slash], &name[slash + 1..]);
                }
            }
            _ => {}
        }
        let magic = match self.format {
            Format::Gnu => GNU,
            Format::Pax | Format::Ustar => USTAR,
            Format::V7 => b"",
        };
        RawHeader { link: self.link.as_bytes(), prefix, ..RawHeader::of(rest, self.flag, magic) }
            .append(&self.content, out);
    }
}

/// The fields of a header as bytes, which may be invalid.
struct RawHeader<'a> {
    name: &'a [u8],
    flag: u8,
    link: &'a [u8],
    prefix: &'a [u8],
    magic: &'a [u8],
}

impl<'a> RawHeader<'a> {
    fn of(name: &'a [u8], flag: u8, magic: &'a [u8]) -> Self {
        Self { name, flag, link: b"", prefix: b"", magic }
    }

    fn append(&self, content: &[u8], out: &mut Vec<u8>) {
        let mut header = [0; 512];
        let mut put = |at: usize, bytes: &[u8], most: usize| {
            let length = bytes.len().min(most);
            header[at..at + length].copy_from_slice(&bytes[..length]);
        };
        put(0, self.name, 100);
        put(100, b"0000644\0", 8);
        put(108, b"0000000\0", 8);
        put(116, b"0000000\0", 8);
        put(124, format!("{:011o}\0", content.len()).as_bytes(), 12);
        put(136, b"00000001750\0", 12);
        put(148, b"        ", 8);
        put(156, &[self.flag], 1);
        put(157, self.link, 100);
        put(257, self.magic, 8);
        put(345, self.prefix, 155);
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
}

fn end(mut out: Vec<u8>) -> Vec<u8> {
    out.extend_from_slice(&[0; 1024]);
    out
}

fn written() -> impl Strategy<Value = Written> {
    let length = prop_oneof![1..4usize, 97..104usize, 153..158usize, 254..259usize];
    let name = (length, prop::collection::vec(0..260usize, 0..6)).prop_map(|(length, slashes)| {
        let mut name = vec![b'n'; length];
        slashes.into_iter().filter(|at| (1..length).contains(at)).for_each(|at| name[at] = b'/');
        String::from_utf8(name).unwrap()
    });
    let format = select(&[Format::Gnu, Format::Pax, Format::Ustar, Format::V7][..]);
    let content = prop_oneof![
        Just(Vec::new()),
        Just(b"text".to_vec()),
        // Data that looks like a member.
        Just({
            let mut inner = Vec::new();
            RawHeader::of(b"smuggled", b'0', USTAR).append(b"", &mut inner);
            inner
        }),
    ];
    (name, format, select(&[0, b'0', b'5', b'2', b'1'][..]), content).prop_map(|(name, format, flag, content)| {
        let is_link = matches!(flag, b'1' | b'2');
        // A V7 header whose name ends in a slash is a directory, which has no data. The crate does not know this rule.
        let name = if flag == 0 { name.trim_end_matches('/').to_owned() } else { name };
        let content = if matches!(flag, 0 | b'0') { content } else { Vec::new() };
        Written { name, flag, link: if is_link { "target".into() } else { String::new() }, content, format }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn another_reader_reads_the_same_members(written in prop::collection::vec(written(), 1..5)) {
        let mut archive = Vec::new();
        written.iter().for_each(|member| member.append(&mut archive));
        let archive = end(archive);
        let mut other = tar::Archive::new(&*archive);
        let theirs = other.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let kind = match entry.header().entry_type() {
                tar::EntryType::Regular => MemberKind::File,
                tar::EntryType::Directory => MemberKind::Directory,
                tar::EntryType::Symlink => MemberKind::Symlink,
                tar::EntryType::Link => MemberKind::HardLink,
                other => panic!("{other:?}"),
            };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let name = text(&entry.path_bytes());
            // A V7 header whose truncated name ends in a slash.
            let kind = if entry.header().as_bytes()[156] == 0 && name.ends_with('/') { MemberKind::Directory } else { kind };
            let link = entry.link_name_bytes().map(|name| text(&name)).unwrap_or_default();
            let mut content = String::new();
            std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
            Seen { name: name.trim_end_matches('/').to_owned(), kind, link, content }
        });
        let theirs: Vec<Seen> = theirs.collect();
        // If truncation turns a V7 file into a directory, Go and Python continue inside its data, the crate after it.
        prop_assume!(!theirs.iter().any(|seen| seen.kind == MemberKind::Directory && !seen.content.is_empty()));
        prop_assert_eq!(ours(&archive).unwrap(), theirs);
    }

    #[test]
    fn a_changed_byte_does_not_panic(start in prop::collection::vec(written(), 0..3), at in 0..3000usize, byte: u8) {
        let mut archive = Vec::new();
        start.iter().for_each(|member| member.append(&mut archive));
        let mut archive = end(archive);
        let at = at % archive.len();
        archive[at] = byte;
        let _ = ours(&archive).map(|members| members.len());
    }
}

#[test]
fn a_v7_directory_has_a_name_ending_in_a_slash() {
    // As in Go 1.19's archive/tar.
    let long = |end: &str| format!("{}/{end}", "d".repeat(99));
    for format in [Format::Gnu, Format::Pax] {
        for (name, flag, kind) in [
            ("d/".to_owned(), 0, MemberKind::Directory),
            ("d/".to_owned(), b'0', MemberKind::File),
            (long("file"), 0, MemberKind::File),
            (long("file"), b'0', MemberKind::File),
            (long("dir/"), 0, MemberKind::Directory),
            (long("dir"), b'5', MemberKind::Directory),
        ] {
            let mut archive = Vec::new();
            let content = if kind == MemberKind::File { b"text".to_vec() } else { Vec::new() };
            Written { name: name.clone(), flag, link: String::new(), content, format }.append(&mut archive);
            let members = ours(&end(archive)).unwrap();
            assert_eq!(members.iter().map(|seen| seen.kind).collect::<Vec<_>>(), [kind], "{name} {flag} {format:?}");
        }
    }
}

#[test]
fn all_sparse_formats_of_gnu_tar_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("f")).unwrap();
    // More than four pieces: GNU tar's old format continues its map in blocks after the header, which have no checksum.
    let offsets: Vec<u64> = (0..30).map(|piece| piece << 20).collect();
    offsets.iter().for_each(|&offset| file.write_all_at(&[b'x'; 4096], offset).unwrap());
    file.set_len(30 << 20).unwrap();
    for arguments in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let mut tar = Command::new("tar");
        tar.current_dir(folder.path()).args(["--sparse", "-cf", "out.tar"]).args(arguments).arg("f");
        assert!(tar.status().unwrap().success());
        let archive = std::fs::read(folder.path().join("out.tar")).unwrap();
        let mut reader = Reader::new(&*archive);
        let member = reader.read_member().unwrap().unwrap();
        let sparse = member.sparse.as_ref().expect("the file is sparse");
        assert_eq!((&*member.name, sparse.size), (&b"f"[..], 30 << 20), "{arguments:?}");
        let found: Vec<u64> = sparse.pieces.iter().map(|piece| piece.offset).collect();
        assert_eq!(found, offsets, "{arguments:?}");
        for piece in &sparse.pieces {
            let start = (member.offset + piece.stored) as usize;
            assert!(
                archive[start..start + piece.length as usize].starts_with(&[b'x'; 4096]),
                "{arguments:?} {piece:?}"
            );
        }
        assert!(reader.read_member().unwrap().is_none(), "{arguments:?}");
    }
}

/// The sizes and revisions are those of linux/capability.h; docker and the kernel refuse the same values (EINVAL).
#[test]
fn invalid_capabilities_are_rejected() {
    let value = |magic: u32, size: usize| [&magic.to_le_bytes()[..], &[0; 32]].concat()[..size].to_vec();
    let (revision1, revision2, revision3) = (0x0100_0000, 0x0200_0000, 0x0300_0000);
    for (value, expected) in [
        (value(revision2, 20), Some(1)),
        (value(revision2 + 1, 20), Some(1)),
        (value(revision3 + 1, 24), Some(1)),
        (Vec::new(), Some(0)),
        (value(revision1, 12), None),
        (value(revision2, 24), None),
        (value(revision3, 20), None),
        (value(revision2 + 2, 20), None),
        (value(9, 20), None),
        (value(revision2, 3), None),
    ] {
        let record = [b" SCHILY.xattr.security.capability=", &*value, b"\n"].concat();
        let extended = [(record.len() + 2).to_string().as_bytes(), &record].concat();
        let mut archive = Vec::new();
        RawHeader::of(b"pax", b'x', USTAR).append(&extended, &mut archive);
        RawHeader::of(b"f", b'0', USTAR).append(b"", &mut archive);
        match (Reader::new(&*archive).read_member(), expected) {
            (Ok(Some(member)), Some(count)) => assert_eq!(member.xattrs.len(), count, "{value:?}"),
            (Err(error), None) => {
                assert!(error.to_string().contains("invalid security.capability of \"f\""), "{error}");
            }
            (read, _) => panic!("{value:?}: {read:?}"),
        }
    }
}

#[test]
fn an_owner_of_minus_one_is_rejected() {
    let mut archive = Vec::new();
    for (id, refused) in [(4_294_967_294_u64, false), (4_294_967_295, true), (4_294_967_296, true)] {
        archive.clear();
        let record = format!(" uid={id}\n");
        let extended = format!("{}{record}", record.len() + 2);
        RawHeader::of(b"pax", b'x', USTAR).append(extended.as_bytes(), &mut archive);
        RawHeader::of(b"f", b'0', USTAR).append(b"", &mut archive);
        let mut reader = Reader::new(&*archive);
        match reader.read_member() {
            Ok(Some(member)) => assert!(!refused && u64::from(member.uid) == id),
            other => assert!(refused && other.unwrap_err().to_string().contains("is not a valid id"), "{id}"),
        }
    }
}

/// The bytes of an extended header with one record (POSIX.1-2024, pax, "pax Extended Header").
fn record(keyword: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", keyword.as_bytes(), b"=", value, b"\n"].concat();
    let length =
        (1..8).map(|digits| rest.len() + digits).find(|length| length.to_string().len() + rest.len() == *length);
    [length.unwrap().to_string().into_bytes(), rest].concat()
}

/// Go's reader does not apply records for all following members, nor do docker, BuildKit, buildah and umoci, which use it. Applied to
/// each member, one attribute of a megabyte and 20,000 members would take 20 GB.
#[test]
fn records_for_all_members_have_no_effect() {
    let mut archive = Vec::new();
    for (keyword, value) in [("path", &b"other"[..]), ("uid", b"7"), ("SCHILY.xattr.user.x", b"y")] {
        RawHeader::of(b"global", b'g', USTAR).append(&record(keyword, value), &mut archive);
    }
    RawHeader::of(b"name", b'0', USTAR).append(b"", &mut archive);
    let member = Reader::new(&*archive).read_member().unwrap().unwrap();
    assert_eq!((&*member.name, member.uid, member.xattrs.len()), (&b"name"[..], 0, 0));
}

/// What members take in memory besides their data has a limit: zeros compress well.
#[test]
fn names_and_attributes_have_a_limit() {
    let refused = |keyword: &str, size: usize| {
        let (mut one, value) = (Vec::new(), vec![b'a'; size]);
        RawHeader::of(b"pax", b'x', USTAR).append(&record(keyword, &value), &mut one);
        RawHeader::of(b"f", b'0', USTAR).append(b"", &mut one);
        let mut reader = Reader::new(Repeated { bytes: one, at: 0 });
        let failed = std::iter::from_fn(|| reader.read_member().transpose()).position(|member| match member {
            Ok(_) => false,
            Err(error) => error.to_string().contains("of its members take more than"),
        });
        failed.unwrap()
    };
    // The attribute's name has six letters.
    assert_eq!(refused("SCHILY.xattr.user.x", 1_000_000), (64 << 20) / 1_000_006);
    assert_eq!(refused("path", 1_000_000), (256 << 20) / 1_000_000);
}

/// The same bytes again and again.
struct Repeated {
    bytes: Vec<u8>,
    at: usize,
}

impl std::io::Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.bytes.len() - self.at);
        buffer[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at = (self.at + length) % self.bytes.len();
        Ok(length)
    }
}
