//! Resolves `--chown` and `USER` to ids with the image's own passwd and group files.

use super::super::accounts::{self, GROUP, PASSWD};
use super::CopyError;
use buildscope_dockerfile::{BadId, Id};
use buildscope_storage::Tree;

/// The owner of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The id of the user.
    pub uid: u32,
    /// The id of the group.
    pub gid: u32,
}

impl Owner {
    /// Resolves `text` (`user` or `user:group`, each a name or a number) in this image.
    ///
    /// Without a group, a named user gets the group in its passwd line, and a number is also the group (Dockerfile
    /// reference, "COPY --chown"). As in BuildKit, an empty half of `user:group` is root, and so is the name `root`, also in
    /// an image without a passwd file.
    ///
    /// # Errors
    /// If the image does not have the name. BuildKit uses root then, which would hide a typing error.
    pub fn find(text: &str, tree: &Tree) -> Result<Self, CopyError> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let bad = |file| move |error| CopyError::BadId { text: text.into(), file, error };
        let unknown =
            |kind, name: &str, file| CopyError::UnknownOwner { kind, name: name.into(), file, text: text.into() };
        let number = |name: &str| match name {
            "" | "root" => Ok(Some(Id::default())),
            name => accounts::number(name).map_err(bad(None)),
        };
        let (uid, users_group) = match number(user)? {
            Some(id) => (id, Ok(id)),
            None => {
                let ids = column(tree, PASSWD, user, [2, 3])?;
                let [uid, gid] = ids.ok_or_else(|| unknown("user", user, PASSWD))?;
                (uid.map_err(bad(Some(PASSWD)))?, gid)
            }
        };
        let gid = match group {
            None => users_group.map_err(bad(Some(PASSWD)))?,
            Some(group) => match number(group)? {
                Some(id) => id,
                None => match column(tree, GROUP, group, [2])? {
                    Some([gid]) => gid.map_err(bad(Some(GROUP)))?,
                    None => return Err(unknown("group", group, GROUP)),
                },
            },
        };
        Ok(Self { uid: uid.get(), gid: gid.get() })
    }
}

/// The ids in these columns of the line that starts with `name`. An invalid id is only an error if its line is used.
fn column<const N: usize>(
    tree: &Tree,
    file: &str,
    name: &str,
    columns: [usize; N],
) -> Result<Option<[Result<Id, BadId>; N]>, CopyError> {
    let Some(text) = accounts::read(tree, file)? else { return Ok(None) };
    Ok(text.lines().find_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let found = fields[0] == name && columns.iter().all(|column| fields.len() > *column);
        found.then(|| columns.map(|column| fields[column].parse()))
    }))
}
