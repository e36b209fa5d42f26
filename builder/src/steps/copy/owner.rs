//! `--chown` and `USER`: names to numbers, in the image's own files.

use super::CopyError;
use buildscope_storage::Tree;
use std::path::Path;

/// The largest passwd or group file that is read: larger ones are somebody's attack.
const LIMIT: u64 = 16 << 20;

/// A user and a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// The owner that `text` (`user`, `user:group`, names or numbers) means in this image.
    ///
    /// Without a group, a named user has the group of its passwd line, a number is also the group's (Dockerfile
    /// reference, "COPY --chown").
    ///
    /// # Errors
    /// A name that the image does not have. BuildKit takes root then, which hides a typing error in the worst way.
    pub fn find(text: &str, tree: &Tree) -> Result<Self, CopyError> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let unknown =
            |kind, name: &str, file| CopyError::UnknownOwner { kind, name: name.into(), file, text: text.into() };
        if user.is_empty() {
            return Err(CopyError::BadOwner(text.into()));
        }
        let mut owner = match user.parse() {
            Ok(id) => Self { uid: id, gid: id },
            Err(_) => {
                let ids = column(tree, "etc/passwd", user, [2, 3])?;
                let [uid, gid] = ids.ok_or_else(|| unknown("user", user, "/etc/passwd"))?;
                Self { uid, gid }
            }
        };
        if let Some(group) = group.filter(|group| !group.is_empty()) {
            owner.gid = match group.parse() {
                Ok(id) => id,
                Err(_) => match column(tree, "etc/group", group, [2])? {
                    Some([gid]) => gid,
                    None => return Err(unknown("group", group, "/etc/group")),
                },
            };
        }
        Ok(owner)
    }
}

/// The numbers in these columns of the line that begins with `name`.
fn column<const N: usize>(
    tree: &Tree,
    file: &str,
    name: &str,
    columns: [usize; N],
) -> Result<Option<[u32; N]>, CopyError> {
    let path = tree.resolve(Path::new(file), true)?.path;
    let Some(bytes) = tree.read(&path, LIMIT)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().find_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let mut numbers = [0; N];
        for (number, column) in numbers.iter_mut().zip(columns) {
            *number = fields.get(column)?.parse().ok()?;
        }
        (fields[0] == name).then_some(numbers)
    }))
}
