//! Extended attributes of host files: selecting those that belong to an image, reading and setting them.

use super::StorageError;
use super::error::IoContext;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The attribute with a file's capabilities (capabilities(7), "File capabilities").
pub const CAPABILITY: &str = "security.capability";

/// The beginnings of the names of overlayfs's marks, and of those that an ordinary user may write.
pub(crate) const TRUSTED_MARKS: &[u8] = b"trusted.overlay.";
pub(crate) const USER_MARKS: &[u8] = b"user.overlay.";

/// Whether the kernel takes `value` for a file's capabilities: revisions 2 and 3, each with its size (linux/capability.h,
/// `vfs_cap_data` and `vfs_ns_cap_data`). The lowest bit of the first word is a flag.
pub(crate) fn is_capability(value: &[u8]) -> bool {
    let Some(magic) = value.first_chunk().map(|word| u32::from_le_bytes(*word) & !1) else { return false };
    matches!((magic, value.len()), (0x0200_0000, 20) | (0x0300_0000, 24))
}

/// Whether an attribute is part of an image: capabilities, access lists and `user.` attributes are, those of security modules and
/// overlayfs are not.
pub(crate) fn belongs(name: &[u8]) -> bool {
    let user = name.starts_with(b"user.") && !name.starts_with(USER_MARKS) && !name.starts_with(b"user.fuseoverlayfs.");
    let known: [&[u8]; 3] = [CAPABILITY.as_bytes(), b"system.posix_acl_access", b"system.posix_acl_default"];
    user || known.contains(&name)
}

/// The names of a file's attributes. Listing them takes one system call; asking for each possible attribute would take many.
pub(crate) struct AttributeNames(Vec<u8>);

impl AttributeNames {
    /// The attribute names of the file itself. Symlinks are not followed.
    pub(crate) fn of(path: &Path) -> Result<Self, StorageError> {
        let mut names = [0; 4096];
        match rustix::fs::llistxattr(path, &mut names[..]) {
            Err(rustix::io::Errno::NOTSUP) => Ok(Self(Vec::new())),
            Ok(length) => Ok(Self(names[..length].to_vec())),
            Err(rustix::io::Errno::RANGE) => {
                let mut all = vec![0; 64 << 10]; // XATTR_LIST_MAX
                let length = rustix::fs::llistxattr(path, &mut all[..]).context("list the attributes of", path)?;
                all.truncate(length);
                Ok(Self(all))
            }
            Err(error) => Err(error).context("list the attributes of", path),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == 0).filter(|name| !name.is_empty())
    }

    /// Whether the file has the attribute `name`.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.iter().any(|have| have == name)
    }

    /// The values of the attributes for whose names `wanted` is true.
    pub(crate) fn read(
        &self,
        path: &Path,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StorageError> {
        let mut attributes = BTreeMap::new();
        for name in self.iter().filter(|name| wanted(name)) {
            if let Some(value) = get(path, name)? {
                attributes.insert(name.to_vec(), value);
            }
        }
        Ok(attributes)
    }
}

/// All attributes of the file itself. Symlinks are not followed.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StorageError> {
    AttributeNames::of(path)?.read(path, |_| true)
}

/// The value of one attribute; `None` if the file does not have it.
pub(crate) fn get(path: &Path, name: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    let name = OsStr::from_bytes(name);
    let mut value = vec![0; 256];
    loop {
        match rustix::fs::lgetxattr(path, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP) => return Ok(None),
            Err(rustix::io::Errno::RANGE) if value.len() < 64 << 10 => value.resize(64 << 10, 0), // XATTR_SIZE_MAX
            Err(error) => return Err(error).context("read an attribute of", path),
        }
    }
}

/// Sets an attribute. If the file system or missing privileges do not allow it, the file stays without it, as with other image tools.
pub(crate) fn set(path: &Path, name: &[u8], value: &[u8]) -> Result<(), StorageError> {
    use rustix::io::Errno;
    match rustix::fs::lsetxattr(path, OsStr::from_bytes(name), value, rustix::fs::XattrFlags::empty()) {
        Err(Errno::NOTSUP | Errno::PERM) if !name.starts_with(TRUSTED_MARKS) && !name.starts_with(USER_MARKS) => Ok(()),
        set => set.context("set an attribute of", path),
    }
}
