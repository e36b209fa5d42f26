//! Finds the directory that keeps a user from a program or from the working directory of a step.

use buildscope_sandbox::Credentials;
use buildscope_storage::{EntryKind, Tree};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The first directory on the way to one of the paths that the user may not search, and its mode. The directories on the
/// way are those of the path as written, and those to which its symbolic links lead.
pub(super) fn closed<'p>(
    paths: impl IntoIterator<Item = &'p Path>,
    tree: &Tree,
    user: &Credentials,
) -> Option<(PathBuf, u32)> {
    paths.into_iter().find_map(|path| {
        let mut prefixes: Vec<&Path> = path.ancestors().collect();
        prefixes.reverse();
        let mut seen = BTreeSet::new();
        prefixes.into_iter().find_map(|prefix| {
            let resolved = tree.resolve(prefix).ok()?.path;
            let mut above: Vec<&Path> = resolved.ancestors().collect();
            above.reverse();
            above.into_iter().find_map(|directory| {
                let entry = tree.lookup(directory).filter(|_| seen.insert(directory.to_owned()))?;
                let closed =
                    entry.kind == EntryKind::Directory && !may_search(entry.mode, (entry.uid, entry.gid), user);
                closed.then(|| (Path::new("/").join(directory), entry.mode))
            })
        })
    })
}

/// Whether the user may look up names in a directory (path_resolution(7)).
fn may_search(mode: u32, (uid, gid): (u32, u32), user: &Credentials) -> bool {
    let class = match user {
        user if user.uid == 0 => return true,
        user if user.uid == uid => 6,
        user if user.gid == gid || user.groups.contains(&gid) => 3,
        _ => 0,
    };
    mode >> class & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_open_for_its_owner_its_group_and_others_apart() {
        let user = |uid, gid, groups: &[u32]| Credentials { uid, gid, groups: groups.to_vec() };
        for (mode, who, open) in [
            (0o700, user(0, 0, &[]), true),
            (0o700, user(7, 9, &[]), true),
            (0o077, user(7, 8, &[]), false),
            (0o710, user(1, 8, &[]), true),
            (0o710, user(1, 9, &[8]), true),
            (0o710, user(1, 9, &[]), false),
            (0o701, user(1, 9, &[]), true),
            (0o701, user(1, 8, &[]), false),
        ] {
            assert_eq!(may_search(mode, (7, 8), &who), open, "{mode:o} {who:?}");
        }
    }
}
