//! Unpacks a tar of a context into a directory, and never outside of it.
//!
//! Every path is resolved by the kernel below the directory's descriptor (openat2(2)). So a link of the archive cannot lead
//! out, and a member costs one walk along its path, however deep it is.

use crate::error_chain::causes;
use buildscope_storage::{Allowance, open_resolved};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
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
    let mut archive = tar::Archive::new(from);
    let mut directories = BTreeMap::new();
    let mut newest = None;
    for member in archive.entries()? {
        let mut member = member?;
        let name = member.path()?.into_owned();
        let refused = |why: &str| io::Error::other(format!("`{}` {why}", name.display()));
        if name.components().any(|part| part == Component::ParentDir) {
            return Err(refused("leads out of the archive"));
        }
        let path = relative(&name);
        let mode = Mode::from_raw_mode(member.header().mode()? & 0o7777);
        let time = modified(&mut member)?;
        newest = newest.max(Some(time.tv_sec));
        let made = match member.header().entry_type() {
            // Directories come last: a mode may forbid writing to the directory, and writing changes its time.
            tar::EntryType::Directory => {
                directories.insert(path, (mode, time));
                continue;
            }
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
                return Err(refused("is a device or a pipe; a context can have files, directories and links only"));
            }
            // A name that is nothing but the directory itself.
            _ if path.as_os_str().is_empty() => continue,
            tar::EntryType::Symlink => root.symlink(&path, &link(&member)?, time),
            tar::EntryType::Link => root.hard_link(&path, &link(&member)?),
            // The size of a sparse file includes its holes, which are written.
            _ => allowance.take(member.size()).and_then(|()| root.file(&path, &mut member, mode, time)),
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

fn link(member: &tar::Entry<'_, impl Read>) -> io::Result<PathBuf> {
    let target = member.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
    Ok(target.into_owned())
}

fn explained(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) {
        return "a link leads out of the archive".into();
    }
    causes(error)
}

/// The directory that is unpacked to.
struct Root(OwnedFd);

impl Root {
    fn open(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(dir, flags, Mode::empty())?))
    }

    /// Opens an existing directory. Links are followed, but not out of the root.
    fn existing(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        open_resolved(&self.0, path, flags | OFlags::DIRECTORY, resolve)
    }

    /// Opens a directory, and makes it and those above it if they are missing. Looks upwards from the path, so that a directory below an
    /// existing one takes three system calls, however deep it is.
    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        match (self.existing(path, OFlags::PATH), path.parent(), path.file_name()) {
            (Err(Errno::NOENT), Some(above), Some(name)) => {
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

    fn file(&self, path: &Path, content: &mut impl Read, mode: Mode, time: Timespec) -> io::Result<()> {
        let (parent, name) = self.vacate(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)?);
        io::copy(content, &mut file)?;
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

/// The modification time of a member: the pax record `mtime` if there is one (POSIX, "pax Header Block"), else the
/// header's field, in which GNU tar writes times before 1970 as negative numbers.
fn modified(member: &mut tar::Entry<'_, impl Read>) -> io::Result<Timespec> {
    let mut time = Timespec { tv_sec: member.header().mtime()? as i64, tv_nsec: 0 };
    for record in member.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        if let (Ok("mtime"), Ok(value)) = (record.key(), record.value())
            && let Some(found) = decimal(value)
        {
            time = found;
        }
    }
    Ok(time)
}

/// Seconds with a decimal fraction, such as `-12.5`. Digits after the ninth are dropped.
fn decimal(text: &str) -> Option<Timespec> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: i64 = digits.parse().ok()?;
    Some(if whole.starts_with('-') && nanos > 0 {
        // -12.5 is half a second after -13.
        Timespec { tv_sec: seconds.checked_sub(1)?, tv_nsec: 1_000_000_000 - nanos }
    } else {
        Timespec { tv_sec: seconds, tv_nsec: nanos }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_testing::sparse_petabyte;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::time::{Duration, Instant};

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

    #[test]
    fn deep_directories_take_no_cubic_time() {
        let paths: Vec<String> = (1..=1900).map(|depth| vec!["d"; depth].join("/")).collect();
        let directories: Vec<_> = paths.iter().map(|path| (path.as_str(), DIRECTORY, "")).collect();
        let deepest = format!("{}/f", paths[1899]);
        for file in [None, Some((&*deepest, FILE, ""))] {
            let folder = tempfile::tempdir().unwrap();
            let members: Vec<_> = directories.iter().copied().chain(file).collect();
            let begun = Instant::now();
            unpack(&*archive(&members), folder.path(), Allowance::of(0)).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
            assert!(folder.path().join(&paths[1899]).exists());
            assert_eq!(folder.path().join(&deepest).exists(), file.is_some());
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
