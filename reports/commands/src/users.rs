//! The users that an image has, as far as its Dockerfile shows them.

use crate::invocation::Invocation;
use crate::usage::Surroundings;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    /// The number, if it is given.
    pub(crate) id: Option<String>,
    /// The home directory.
    pub(crate) home: String,
}

impl User {
    /// The user that a command makes.
    pub(crate) fn made_by(command: &Invocation) -> Option<Self> {
        if !matches!(command.program(), "useradd" | "adduser") {
            return None;
        }
        let (mut id, mut home, mut plain) = (None, None, Vec::new());
        let mut words = command.arguments().iter();
        while let Some(word) = words.next() {
            let (name, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
            let mut next =
                || if value.is_empty() { words.next().map(|word| word.text.clone()) } else { Some(value.to_owned()) };
            match name {
                "-u" | "--uid" => id = next(),
                "-d" | "--home-dir" | "--home" | "-h" => home = next(),
                "-g" | "--gid" | "-G" | "--groups" | "-s" | "--shell" | "-c" | "--comment" | "--gecos"
                | "--ingroup" | "-k" => drop(next()),
                _ if word.is_option() => {}
                _ => plain.push(word.text.clone()),
            }
        }
        let name = plain.first()?.clone();
        let home = home.unwrap_or_else(|| format!("/home/{name}"));
        Some(Self { name, id, home })
    }
}

/// Reads a USER instruction.
pub(crate) fn change(around: &mut Surroundings, users: &[User], text: &str) {
    let name = text.split(':').next().unwrap_or_default().trim();
    let root = matches!(name, "root" | "0" | "");
    let found = users.iter().find(|user| user.name == name || user.id.as_deref() == Some(name));
    let home = if root { Some("/root".to_owned()) } else { found.map(|user| user.home.clone()) };
    around.root = root;
    around.home = around.variables.get("HOME").cloned().or(home);
}
