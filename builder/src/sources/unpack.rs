//! Unpacks a tar of a context into a directory, and never outside of it.
//!
//! Every path is resolved by the kernel below the directory's descriptor (openat2(2)). So a link of the archive cannot lead
//! out, and a member costs one walk along its path, however deep it is. The members are read as those of layers are.

use crate::error_chain::causes;
use buildscope_storage::tar::{MemberKind, Reader, Sparse};
use buildscope_storage::{Allowance, MAX_IMPLIED, StorageError, open_resolved};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The mode of directories that the archive does not contain.
const DIRECTORY_MODE: u32 = 0o755;

/// Unpacks a tar into a directory. In a context, all files belong to root (Dockerfile reference, "COPY"). Modes and times
/// are the archive's. The files may have as many bytes as the allowance has left. Returns the latest time of a member, in seconds since
/// 1970; `None` for an archive without members.
///
/// # Errors
/// If the archive cannot be read, a member leads out of the directory, or has another kind than file, directory and link.
pub(super) fn unpack(from: impl Read, dir: &Path, mut allowance: Allowance) -> io::Result<Option<i64>> {
    let root = Root::open(dir)?;
    let mut reader = Reader::without_owners(from);
    let mut directories = BTreeMap::new();
    let mut newest = None;
    while let Some(member) = reader.read_member().map_err(unreadable)? {
        let name = Path::new(OsStr::from_bytes(&member.name));
        let refused = |why: &str| io::Error::other(format!("`{}` {why}", name.display()));
        if name.components().any(|part| part == Component::ParentDir) {
            return Err(refused("leads out of the archive"));
        }
        let path = relative(name);
        let mode = Mode::from_raw_mode(member.mode);
        let time = Timespec { tv_sec: member.mtime.seconds, tv_nsec: member.mtime.nanos.into() };
        newest = newest.max(Some(time.tv_sec));
        let link = Path::new(OsStr::from_bytes(&member.link));
        let made = match member.kind {
            // Directories come last: a mode may forbid writing to the directory, and writing changes its time.
            MemberKind::Directory => {
                directories.insert(path, (mode, time));
                root.allowed.set(root.allowed.get() + 1);
                continue;
            }
            MemberKind::Char | MemberKind::Block | MemberKind::Fifo => {
                return Err(refused("is a device or a pipe; a context can have files, directories and links only"));
            }
            // A name that is nothing but the directory itself.
            _ if path.as_os_str().is_empty() => continue,
            MemberKind::Symlink | MemberKind::HardLink if member.link.is_empty() => {
                return Err(refused("is a link without a target"));
            }
            MemberKind::Symlink => root.symlink(&path, link, time),
            MemberKind::HardLink => root.hard_link(&path, link),
            MemberKind::File => {
                let size = member.sparse.as_ref().map_or(member.stored, |sparse| sparse.size);
                // Holes count: other steps may write them.
                allowance.take(size).and_then(|()| {
                    root.file(&path, mode, time, |file| content(&mut reader.data(), member.sparse.as_ref(), file))
                })
            }
        };
        made.map_err(|error| refused(&format!("cannot be unpacked: {}", explained(&error))))?;
    }
    for path in directories.keys() {
        let made = root.directory(path);
        made.map_err(|error| io::Error::other(format!("`{}` cannot be unpacked: {error}", path.display())))?;
    }
    // Deepest first: the mode of a directory may forbid access to those in it.
    for (path, (mode, time)) in directories.iter().rev() {
        root.finish_directory(path, *mode, *time)?;
    }
    Ok(newest)
}

/// Writes the content of a member to a new file.
fn content(data: &mut impl Read, sparse: Option<&Sparse>, file: &mut File) -> io::Result<()> {
    let Some(Sparse { size, pieces }) = sparse else { return io::copy(data, file).map(drop) };
    for piece in pieces {
        file.seek(io::SeekFrom::Start(piece.offset))?;
        io::copy(&mut data.take(piece.length), file)?;
    }
    file.set_len(*size)
}

fn unreadable(error: StorageError) -> io::Error {
    match error {
        StorageError::BadLayer { offset, reason } => io::Error::other(format!("{reason} (byte {offset})")),
        StorageError::Io { error, .. } => error,
        other => io::Error::other(other),
    }
}

fn explained(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) {
        return "a link leads out of the archive".into();
    }
    causes(error)
}

/// The directory that is unpacked to.
struct Root {
    fd: OwnedFd,
    /// The number of directories that may still be made.
    allowed: Cell<usize>,
}

impl Root {
    fn open(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(dir, flags, Mode::empty())?, allowed: Cell::new(MAX_IMPLIED) })
    }

    /// Opens an existing directory. Links are followed, but not out of the root.
    fn existing(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        open_resolved(&self.fd, path, flags | OFlags::DIRECTORY, resolve)
    }

    /// Opens a directory, and makes it and those above it if they are missing. Looks upwards from the path, so that a directory below an
    /// existing one takes three system calls, however deep it is.
    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        match (self.existing(path, OFlags::PATH), path.parent(), path.file_name()) {
            (Err(Errno::NOENT), Some(above), Some(name)) => {
                let over =
                    || io::Error::other(format!("there are more than {MAX_IMPLIED} directories without a member"));
                self.allowed.set(self.allowed.get().checked_sub(1).ok_or_else(over)?);
                match rustix::fs::mkdirat(&self.directory(above)?, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
                    // A link to nothing.
                    Ok(()) | Err(Errno::EXIST) => Ok(self.existing(path, OFlags::PATH)?),
                    Err(error) => Err(error.into()),
                }
            }
            (opened, ..) => Ok(opened?),
        }
    }

    /// Opens the directory of a new entry, and removes an existing file of its name.
    fn vacate<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p Path)> {
        let parent = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let name = Path::new(path.file_name().unwrap_or_default());
        match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok((parent, name)),
            Err(error) => Err(error.into()),
        }
    }

    fn file(
        &self,
        path: &Path,
        mode: Mode,
        time: Timespec,
        content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let (parent, name) = self.vacate(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)?);
        content(&mut file)?;
        rustix::fs::fchmod(&file, mode)?;
        Ok(rustix::fs::futimens(&file, &times(time))?)
    }

    fn symlink(&self, path: &Path, target: &Path, time: Timespec) -> io::Result<()> {
        let (parent, name) = self.vacate(path)?;
        rustix::fs::symlinkat(target, &parent, name)?;
        Ok(rustix::fs::utimensat(&parent, name, &times(time), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Gives a file of the archive a further name. The target is relative to the root of the archive.
    fn hard_link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let target: PathBuf = target.components().filter(|part| *part != Component::RootDir).collect();
        let directory = self.existing(target.parent().unwrap_or(Path::new("")), OFlags::PATH)?;
        let file = Path::new(target.file_name().unwrap_or_default());
        if rustix::fs::statat(&directory, file, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return Err(io::Error::other(format!("it is a hard link to `{}`, which does not exist", target.display())));
        }
        let target_path = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let name = Path::new(path.file_name().unwrap_or_default());
        match rustix::fs::linkat(&directory, file, &target_path, name, AtFlags::empty()) {
            Err(Errno::EXIST) if path != target => {
                let (parent, name) = self.vacate(path)?;
                Ok(rustix::fs::linkat(&directory, file, &parent, name, AtFlags::empty())?)
            }
            Err(Errno::EXIST) => Ok(()),
            linked => Ok(linked?),
        }
    }

    fn finish_directory(&self, path: &Path, mode: Mode, time: Timespec) -> io::Result<()> {
        let directory = self.existing(path, OFlags::RDONLY)?;
        // The mode of the root is not the archive's: the builder must be able to read it.
        if !path.as_os_str().is_empty() {
            rustix::fs::fchmod(&directory, mode)?;
        }
        Ok(rustix::fs::futimens(&directory, &times(time))?)
    }
}

fn times(time: Timespec) -> Timestamps {
    Timestamps { last_access: time, last_modification: time }
}

/// The name of a member without a leading `/` or `.`: names in an archive are relative to it.
fn relative(name: &Path) -> PathBuf {
    name.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_testing::sparse_petabyte;
    use std::fs;
    use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn members_of_an_archive_keep_their_times() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut append = |name: &str, kind, mtime: u64, pax: Option<&str>| {
            if let Some(value) = pax {
                archive.append_pax_extensions([("mtime", value.as_bytes())]).unwrap();
            }
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(0o755);
            header.set_mtime(mtime);
            header.set_size(0);
            archive.append_data(&mut header, name, io::empty()).unwrap();
        };
        append("d", tar::EntryType::Directory, 7, None);
        append("d/zero", tar::EntryType::Regular, 0, None);
        append("d/before", tar::EntryType::Regular, 5, Some("-1000"));
        append("d/half", tar::EntryType::Regular, 5, Some("-12.5"));
        append("d/later", tar::EntryType::Regular, 5, Some("8589934597.25"));
        let folder = tempfile::tempdir().unwrap();
        unpack(&*archive.into_inner().unwrap(), folder.path(), Allowance::of(0)).unwrap();
        let time = |name: &str| {
            let found = fs::symlink_metadata(folder.path().join(name)).unwrap();
            (found.mtime(), found.mtime_nsec())
        };
        assert_eq!((time("d"), time("d/zero"), time("d/before")), ((7, 0), (0, 0), (-1000, 0)));
        assert_eq!((time("d/half"), time("d/later")), ((-13, 500_000_000), (8_589_934_597, 250_000_000)));
    }

    /// A member: its name, its kind, and the target of a link.
    type Given<'a> = (&'a str, tar::EntryType, &'a str);

    fn archive(members: &[Given<'_>]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, kind, link) in members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(if *kind == tar::EntryType::Directory { 0o750 } else { 0o640 });
            header.set_mtime(1);
            header.set_size(if *kind == tar::EntryType::Regular { 4 } else { 0 });
            if link.is_empty() {
                let content: &[u8] = if *kind == tar::EntryType::Regular { b"text" } else { b"" };
                archive.append_data(&mut header, name, content).unwrap();
            } else {
                archive.append_link(&mut header, name, link).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const DIRECTORY: tar::EntryType = tar::EntryType::Directory;
    const SYMLINK: tar::EntryType = tar::EntryType::Symlink;
    const LINK: tar::EntryType = tar::EntryType::Link;

    #[test]
    fn links_within_the_archive_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let members = [
            ("real/sub", DIRECTORY, ""),
            ("real/sub/inner", FILE, ""),
            ("through", SYMLINK, "real/sub"),
            ("through/file", FILE, ""),
            ("again", LINK, "through/file"),
            ("again", LINK, "again"),
            ("real/sub/inner", SYMLINK, "../../again"),
            ("closed", DIRECTORY, ""),
            ("closed/file", FILE, ""),
        ];
        // The first directory member makes `real/sub` only at the end, so a file comes first.
        unpack(&*archive(&[&[("real/sub/first", FILE, "")], &members[..]].concat()), folder.path(), Allowance::of(0))
            .unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(fs::read(path("real/sub/file")).unwrap(), b"text");
        let inode = |name: &str| fs::metadata(path(name)).unwrap().ino();
        assert_eq!(inode("again"), inode("real/sub/file"));
        assert_eq!(fs::read_link(path("real/sub/inner")).unwrap(), Path::new("../../again"), "replaced");
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("closed"), mode("closed/file"), mode("real")), (0o750, 0o640, 0o755));
        assert_eq!(fs::metadata(path("real/sub")).unwrap().mtime(), 1);
    }

    #[test]
    fn nothing_is_written_outside_of_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        let absolute = outside.to_str().unwrap().to_owned();
        let secret = outside.join("secret").to_str().unwrap().to_owned();
        for members in [
            &[("up", SYMLINK, "../out"), ("up/file", FILE, "")][..],
            &[("up", SYMLINK, &*absolute), ("up/file", FILE, "")],
            &[("up", SYMLINK, "../out"), ("up", DIRECTORY, "")],
            &[("up", SYMLINK, "../out"), ("up/new", DIRECTORY, "")],
            &[("up", SYMLINK, "../out"), ("copy", LINK, "up/secret")],
            &[("copy", LINK, "../out/secret")],
            &[("copy", LINK, &*secret)],
        ] {
            fs::create_dir(&inside).unwrap();
            unpack(&*archive(members), &inside, Allowance::of(0)).unwrap_err();
            assert!(!inside.join("copy").exists());
            let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["secret"], "{members:?}");
            fs::remove_dir_all(&inside).unwrap();
        }
    }

    /// The processor time of this thread. Other programs do not change it much.
    fn processor_time() -> Duration {
        rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
    }

    #[test]
    fn deep_directories_take_no_cubic_time() {
        let paths: Vec<String> = (1..=1900).map(|depth| vec!["d"; depth].join("/")).collect();
        let directories: Vec<_> = paths.iter().map(|path| (path.as_str(), DIRECTORY, "")).collect();
        let deepest = format!("{}/f", paths[1899]);
        for file in [None, Some((&*deepest, FILE, ""))] {
            let folder = tempfile::tempdir().unwrap();
            let members: Vec<_> = directories.iter().copied().chain(file).collect();
            let begun = processor_time();
            unpack(&*archive(&members), folder.path(), Allowance::of(0)).unwrap();
            let took = processor_time() - begun;
            assert!(took < Duration::from_secs(20), "{took:?}");
            assert!(folder.path().join(&paths[1899]).exists());
            assert_eq!(folder.path().join(&deepest).exists(), file.is_some());
        }
    }

    /// GNU tar's formats for sparse files have the content of the file and nothing else.
    #[test]
    fn sparse_files_have_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        fs::create_dir(&made).unwrap();
        let file = File::create(made.join("sparse")).unwrap();
        file.write_all_at(b"start", 0).unwrap();
        file.write_all_at(b"middle", 1 << 20).unwrap();
        file.set_len(3 << 20).unwrap();
        let expected = fs::read(made.join("sparse")).unwrap();
        for format in [&["--format=gnu"][..], &["--format=pax"], &["--format=pax", "--sparse-version=0.0"]] {
            let tar =
                Command::new("tar").args(format).args(["-S", "-c", "-C"]).arg(&made).arg("sparse").output().unwrap();
            let out = tempfile::tempdir_in(&folder).unwrap();
            unpack(&*tar.stdout, out.path(), Allowance::of(0)).unwrap();
            assert!(
                tar.stdout.len() < 1 << 20 && fs::read(out.path().join("sparse")).unwrap() == expected,
                "{format:?}"
            );
        }
    }

    /// A hole of the archive would be written to the disk.
    #[test]
    fn a_sparse_file_of_petabytes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = unpack(&*sparse_petabyte(), folder.path(), Allowance::of(2048)).unwrap_err();
        assert!(error.to_string().contains("decompression bomb"), "{error}");
    }
}
