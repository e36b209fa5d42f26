//! Resolves `USER` to ids and a home directory with the image's own passwd and group files.
//!
//! The rules are docker's (moby's `user.GetExecUser`), as BuildKit applies them. A user without an explicit group is in
//! all groups whose member lists name it. A user with an explicit group is only in that one. A numeric `uid:gid` is
//! used as it is.

use super::super::accounts::{self, GROUP, PASSWD};
use super::RunError;
use buildscope_dockerfile::{BadId, Id};
use buildscope_sandbox::Credentials;
use buildscope_storage::Tree;

/// The user and groups that a step runs as, and its home directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) credentials: Credentials,
    pub(super) home: String,
}

/// A line of passwd. An invalid id is only an error if the line is used.
struct User {
    name: String,
    uid: Result<Id, BadId>,
    gid: Result<Id, BadId>,
    home: String,
}

/// A line of the group file.
struct GroupLine {
    name: String,
    gid: Result<Id, BadId>,
    members: Vec<String>,
}

pub(super) fn resolve(text: &str, tree: &Tree) -> Result<Identity, RunError> {
    let read = |file| accounts::read(tree, file).map(Option::unwrap_or_default);
    let mut identity = find(text, &read(PASSWD)?, &read(GROUP)?)?;
    // The primary group must also be a supplementary one. Otherwise a process could leave the group and so evade the
    // group bits of a file (CVE-2022-2995).
    let Credentials { gid, groups, .. } = &mut identity.credentials;
    groups.retain(|group| group != gid);
    groups.insert(0, *gid);
    Ok(identity)
}

fn find(text: &str, passwd: &str, group: &str) -> Result<Identity, RunError> {
    // An empty `USER` is root. Its line in passwd is looked up, but may be missing.
    let (wanted, group_wanted) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let wanted = if wanted.is_empty() { "0" } else { wanted };
    let bad = |file: Option<&'static str>| move |error| RunError::BadId { user: text.to_owned(), file, error };
    let id = |id: Result<Id, BadId>, file| id.map(Id::get).map_err(bad(Some(file)));
    let number = accounts::number(wanted).map_err(bad(None))?;
    let group_number =
        group_wanted.and_then(|group| accounts::number(group).transpose()).transpose().map_err(bad(None))?;
    let groups = || group.lines().filter_map(self::group);

    let has_id = |line: &Result<Id, BadId>, number: Option<Id>| number.is_some_and(|id| line.as_ref() == Ok(&id));
    let user = passwd.lines().filter_map(self::user).find(|user| user.name == wanted || has_id(&user.uid, number));
    let home = user.as_ref().map_or("", |user| user.home.as_str());
    let home = if home.is_empty() { "/" } else { home }.to_owned();
    // If both are numbers, only the home is looked up, not even supplementary groups.
    if let (Some(uid), Some(gid)) = (number, group_number) {
        return Ok(Identity { credentials: Credentials { uid: uid.get(), gid: gid.get(), groups: Vec::new() }, home });
    }
    let (uid, gid) = match (&user, number) {
        (Some(user), _) => (id(user.uid.clone(), PASSWD)?, user.gid.clone()),
        (None, Some(uid)) => (uid.get(), Ok(Id::default())),
        (None, None) => return Err(RunError::UnknownUser(wanted.to_owned())),
    };
    let credentials = match group_wanted.filter(|group| !group.is_empty()) {
        Some(name) => {
            let group = groups().find(|group| group.name == name || has_id(&group.gid, group_number));
            let gid = group.map(|group| group.gid).or(group_number.map(Ok));
            let gid = gid.ok_or_else(|| RunError::UnknownGroup(name.to_owned()))?;
            Credentials { uid, gid: id(gid, GROUP)?, groups: Vec::new() }
        }
        None => {
            let member = |group: &GroupLine| user.as_ref().is_some_and(|user| group.members.contains(&user.name));
            let groups = groups().filter(member).map(|group| id(group.gid, GROUP));
            Credentials { uid, gid: id(gid, PASSWD)?, groups: groups.collect::<Result<_, _>>()? }
        }
    };
    Ok(Identity { credentials, home })
}

fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.trim().split(':').collect();
    Some(User {
        name: (*fields.first()?).to_owned(),
        uid: fields.get(2)?.parse(),
        gid: fields.get(3)?.parse(),
        home: fields.get(5).copied().unwrap_or_default().to_owned(),
    })
}

fn group(line: &str) -> Option<GroupLine> {
    let fields: Vec<&str> = line.trim().split(':').collect();
    let members = fields.get(3).copied().unwrap_or_default();
    Some(GroupLine {
        name: (*fields.first()?).to_owned(),
        gid: fields.get(2)?.parse(),
        members: members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD_LINES: &str =
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nguest:x:99:98::\n";
    const GROUP_LINES: &str = "root:x:0:\ndaemon:x:1:\nwheel:x:10:root,daemon2\nstaff:x:50:daemon,root\n";

    fn found(text: &str) -> (u32, u32, Vec<u32>, String) {
        let Identity { credentials: Credentials { uid, gid, groups }, home } =
            find(text, PASSWD_LINES, GROUP_LINES).unwrap();
        (uid, gid, groups, home)
    }

    #[test]
    fn ids_out_of_range_are_never_root() {
        // For setresuid(2), 4294967295 means no change. runc: "uids and gids must be in range 0-2147483647".
        let failed = |text, passwd, group| match find(text, passwd, group) {
            Err(RunError::BadId { file, error, .. }) => (file, error.to_string().contains("2147483647")),
            other => panic!("{text}: {other:?}"),
        };
        for text in ["4294967295", "2147483648", "daemon:4294967295", "0:4294967295", "4294967295:0"] {
            assert_eq!(failed(text, PASSWD_LINES, GROUP_LINES), (None, true), "{text}");
        }
        let passwd = "root:x:0:0::/:\nbig:x:4294967295:5::\nbiggroup:x:5:4294967295::\nword:x:a:b::\n";
        let group = "root:x:0:\nhuge:x:4294967295:\nmany:x:4294967295:root2\n";
        assert_eq!(failed("big", passwd, group), (Some(PASSWD), true));
        assert_eq!(failed("biggroup", passwd, group), (Some(PASSWD), true));
        assert_eq!(failed("word", passwd, group), (Some(PASSWD), false));
        assert_eq!(failed("root:huge", passwd, group), (Some(GROUP), true));
        assert_eq!(failed("root2", "root2:x:7:7::\n", group), (Some(GROUP), true));
        // Invalid lines that are not used do no harm.
        assert_eq!(find("", passwd, group).unwrap().credentials, Credentials::default());
        assert_eq!(find("2147483647:6", passwd, group).unwrap().credentials.uid, 2_147_483_647);
    }

    /// The first three are BuildKit's results for the case `run-environment` of the conformance kit.
    #[test]
    fn users_groups_and_homes_agree_with_docker() {
        assert_eq!(found(""), (0, 0, vec![10, 50], "/root".into()));
        assert_eq!(found("daemon"), (1, 1, vec![50], "/usr/sbin".into()));
        assert_eq!(found("4242"), (4242, 0, vec![], "/".into()));
        assert_eq!(found("1"), (1, 1, vec![50], "/usr/sbin".into()), "a number that passwd has");
        assert_eq!(found("guest"), (99, 98, vec![], "/".into()), "no home in passwd");
        assert_eq!(found("daemon:wheel"), (1, 10, vec![], "/usr/sbin".into()));
        assert_eq!(found("daemon:77"), (1, 77, vec![], "/usr/sbin".into()));
        assert_eq!(found("0:0"), (0, 0, vec![], "/root".into()), "numbers: no supplementary groups");
        assert_eq!(found("5:6"), (5, 6, vec![], "/".into()));
    }

    #[test]
    fn unknown_names_are_errors() {
        assert!(find("ghost", PASSWD_LINES, GROUP_LINES).unwrap_err().to_string().contains("user ghost"));
        assert!(find("daemon:ghosts", PASSWD_LINES, GROUP_LINES).unwrap_err().to_string().contains("group ghosts"));
        assert_eq!(find("", "", "").unwrap().credentials, Credentials::default());
    }
}
