//! `USER` to numbers and a home, in the image's own passwd and group files.
//!
//! The rules are docker's (moby's `user.GetExecUser`), as BuildKit applies them: a user without an explicit group is in
//! the groups whose member lists name it; with one, in that alone; `uid:gid` in numbers is taken as it is.

use super::RunError;
use buildscope_sandbox::Credentials;
use buildscope_storage::{StorageError, Tree};
use std::path::Path;

/// The largest passwd or group file that is read: larger ones are somebody's attack.
const LIMIT: u64 = 16 << 20;

/// Who a step runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) credentials: Credentials,
    pub(super) home: String,
}

/// A line of passwd.
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// A line of group.
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

pub(super) fn resolve(text: &str, tree: &Tree) -> Result<Identity, RunError> {
    let mut identity = find(text, &read(tree, "etc/passwd")?, &read(tree, "etc/group")?)?;
    // The primary group is also a supplementary one: else a process could drop out of it and past a file's
    // group bits (CVE-2022-2995).
    let Credentials { gid, groups, .. } = &mut identity.credentials;
    groups.retain(|group| group != gid);
    groups.insert(0, *gid);
    Ok(identity)
}

fn read(tree: &Tree, file: &str) -> Result<String, StorageError> {
    let path = tree.resolve(Path::new(file), true)?.path;
    let bytes = tree.read(&path, LIMIT)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn find(text: &str, passwd: &str, group: &str) -> Result<Identity, RunError> {
    // An empty `USER` is root, whose line is looked up, but need not be there.
    let (wanted, group_wanted) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let wanted = if wanted.is_empty() { "0" } else { wanted };
    let number = wanted.parse::<u32>().ok();
    let users = || passwd.lines().filter_map(user);
    let groups = || group.lines().filter_map(self::group);

    let user = users().find(|user| user.name == wanted || Some(user.uid) == number);
    let home = user.as_ref().map_or("", |user| user.home.as_str());
    let home = if home.is_empty() { "/" } else { home }.to_owned();
    // Both in numbers: nothing is looked up but the home, not even supplementary groups.
    if let (Some(uid), Some(Ok(gid))) = (number, group_wanted.map(str::parse)) {
        return Ok(Identity { credentials: Credentials { uid, gid, groups: Vec::new() }, home });
    }
    let (uid, gid) = match (&user, number) {
        (Some(user), _) => (user.uid, user.gid),
        (None, Some(uid)) => (uid, 0),
        (None, None) => return Err(RunError::UnknownUser(wanted.to_owned())),
    };
    let credentials = match group_wanted.filter(|group| !group.is_empty()) {
        Some(name) => {
            let number = name.parse().ok();
            let group = groups().find(|group| group.name == name || Some(group.gid) == number);
            let gid = group.map(|group| group.gid).or(number);
            Credentials { uid, gid: gid.ok_or_else(|| RunError::UnknownGroup(name.to_owned()))?, groups: Vec::new() }
        }
        None => {
            let member = |group: &Group| user.as_ref().is_some_and(|user| group.members.contains(&user.name));
            Credentials { uid, gid, groups: groups().filter(member).map(|group| group.gid).collect() }
        }
    };
    Ok(Identity { credentials, home })
}

fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.trim().split(':').collect();
    Some(User {
        name: (*fields.first()?).to_owned(),
        uid: fields.get(2)?.parse().ok()?,
        gid: fields.get(3)?.parse().ok()?,
        home: fields.get(5).copied().unwrap_or_default().to_owned(),
    })
}

fn group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.trim().split(':').collect();
    let members = fields.get(3).copied().unwrap_or_default();
    Some(Group {
        name: (*fields.first()?).to_owned(),
        gid: fields.get(2)?.parse().ok()?,
        members: members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:99:98::\n";
    const GROUP: &str = "root:x:0:\ndaemon:x:1:\nwheel:x:10:root,daemon2\nstaff:x:50:daemon,root\n";

    fn found(text: &str) -> (u32, u32, Vec<u32>, String) {
        let Identity { credentials: Credentials { uid, gid, groups }, home } = find(text, PASSWD, GROUP).unwrap();
        (uid, gid, groups, home)
    }

    /// The first three are BuildKit's answers in the conformance kit's `run-environment`.
    #[test]
    fn users_groups_and_homes_are_dockers() {
        assert_eq!(found(""), (0, 0, vec![10, 50], "/root".into()));
        assert_eq!(found("daemon"), (1, 1, vec![50], "/usr/sbin".into()));
        assert_eq!(found("4242"), (4242, 0, vec![], "/".into()));
        assert_eq!(found("1"), (1, 1, vec![50], "/usr/sbin".into()), "a number that passwd has");
        assert_eq!(found("nobody"), (99, 98, vec![], "/".into()), "no home in passwd");
        assert_eq!(found("daemon:wheel"), (1, 10, vec![], "/usr/sbin".into()));
        assert_eq!(found("daemon:77"), (1, 77, vec![], "/usr/sbin".into()));
        assert_eq!(found("0:0"), (0, 0, vec![], "/root".into()), "numbers: no supplementary groups");
        assert_eq!(found("5:6"), (5, 6, vec![], "/".into()));
    }

    #[test]
    fn unknown_names_are_errors_but_root_needs_no_file() {
        assert!(find("ghost", PASSWD, GROUP).unwrap_err().to_string().contains("user ghost"));
        assert!(find("daemon:ghosts", PASSWD, GROUP).unwrap_err().to_string().contains("group ghosts"));
        assert_eq!(find("", "", "").unwrap().credentials, Credentials::default());
    }
}
