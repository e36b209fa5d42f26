//! What a RUN removes of the directories that a cache mount would be at. A mount cannot be removed: `rm -rf` of it, or of a directory above
//! it, fails ("Device or resource busy"). Removing the files in it empties the cache.

use super::path_pattern::matches;
use crate::Invocation;
use crate::file::{Run, Step};
use crate::path::join;
use crate::source::word_changed;
use crate::usage::Surroundings;

/// The place of a removed path, seen from a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Below the mount.
    Inside,
    /// The mount itself.
    Mount,
    /// A directory above it that holds caches only: `/root/.cache`.
    Caches,
    /// Another directory above it.
    Above,
}

/// A path that a command of a RUN removes.
#[derive(Debug)]
struct Removed<'r> {
    command: &'r Invocation,
    word: &'r str,
    path: String,
    /// Whether the command keeps the directory itself: `find DIR -type f -delete`.
    keeps: bool,
}

impl Removed<'_> {
    fn place(&self, mount: &str) -> Option<Place> {
        let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let (removed, mount) = (parts(&self.path), parts(mount));
        if !removed.iter().zip(&mount).all(|(removed, mount)| matches(removed, mount)) {
            return None;
        }
        match removed.len().cmp(&mount.len()) {
            _ if self.keeps => (removed.len() >= mount.len()).then_some(Place::Inside),
            std::cmp::Ordering::Greater => Some(Place::Inside),
            std::cmp::Ordering::Equal => Some(Place::Mount),
            std::cmp::Ordering::Less => {
                let named = |name: &str| name.contains("cache") || name.len() > 1 && name.starts_with('.');
                let caches = match removed.as_slice() {
                    [.., folder, all] if all == "*" => named(folder),
                    [.., name] => named(name) || name == "pkg" || self.path == "/var/lib/apt",
                    [] => false,
                };
                Some(if caches { Place::Caches } else { Place::Above })
            }
        }
    }
}

/// The paths that a command removes; `None` for a path that an expansion decides.
fn removed<'r>(step: &Step<'_>, command: &'r Invocation) -> Vec<Option<Removed<'r>>> {
    const TESTS: [&str; 14] = [
        "-name",
        "-iname",
        "-path",
        "-ipath",
        "-wholename",
        "-regex",
        "-type",
        "-mtime",
        "-atime",
        "-mmin",
        "-size",
        "-user",
        "-empty",
        "-mindepth",
    ];
    let arguments = command.arguments();
    let (words, keeps): (Vec<_>, bool) = match command.program() {
        "rm" | "rmdir" => (arguments.iter().filter(|word| !word.is_option()).collect(), false),
        "find" if command.has("-delete") => (
            arguments.iter().take_while(|word| !word.is_option()).collect(),
            TESTS.iter().any(|test| command.has(test)),
        ),
        _ => (Vec::new(), false),
    };
    let start = step.folder.as_deref().unwrap_or("/");
    words
        .into_iter()
        .map(|word| {
            let text = expanded(&word.text, command, &step.around)?;
            let folder = if text.starts_with('/') { start.to_owned() } else { join(start, command.folder.as_deref()?) };
            Some(Removed { command, word: &word.text, path: join(&folder, &text), keeps })
        })
        .collect()
}

/// A word with the home directory and the variables that are known; `None` with others.
fn expanded(text: &str, command: &Invocation, around: &Surroundings) -> Option<String> {
    let text = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{}{rest}", around.home(command)?),
        _ => text.to_owned(),
    };
    let Some(at) = text.find('$') else { return (!text.contains('`')).then_some(text) };
    let rest = &text[at + 1..];
    let (name, after) = match rest.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            rest.split_at(end.unwrap_or(rest.len()))
        }
    };
    let value = match (around.variable(command, name), name) {
        (Some(value), _) if !value.contains('$') => value.to_owned(),
        (None, "HOME") => around.home(command)?,
        _ => return None,
    };
    (!after.contains(['$', '`'])).then(|| format!("{}{value}{after}", &text[..at]))
}

/// Whether a RUN removes a directory above a mount that holds more than caches.
pub(super) fn removes_more(step: &Step<'_>, run: &Run, mount: &str) -> bool {
    let commands = run.elements.iter().flat_map(|element| &element.commands);
    commands.flat_map(|command| removed(step, command)).flatten().any(|path| path.place(mount) == Some(Place::Above))
}

/// Whether a command removes nothing but these mounts or files in them.
pub(super) fn removes_only(step: &Step<'_>, command: &Invocation, mounts: &[&str]) -> bool {
    let paths = removed(step, command);
    let concerns = |path: &Option<Removed<'_>>| {
        path.as_ref().is_some_and(|path| mounts.iter().any(|mount| path.place(mount).is_some()))
    };
    !paths.is_empty() && paths.iter().all(concerns)
}

/// The words by which a RUN removes these mounts or files in them, in commands other than `apart`; each with whether the text shows it so
/// often, and not in another command.
pub(super) fn words_that_remove(
    step: &Step<'_>,
    run: &Run,
    mounts: &[&str],
    apart: impl Fn(&Invocation) -> bool,
) -> Vec<(String, bool)> {
    let commands = run.elements.iter().flat_map(|element| &element.commands).filter(|command| !apart(command));
    let paths: Vec<Removed<'_>> = commands.flat_map(|command| removed(step, command)).flatten().collect();
    let mut words: Vec<&str> = Vec::new();
    for path in &paths {
        if mounts.iter().any(|mount| path.place(mount).is_some()) && !words.contains(&path.word) {
            words.push(path.word);
        }
    }
    let often = |word: &str| paths.iter().filter(|path| path.word == word).count();
    // Without its last word a command may mean something else.
    let last = |word: &str| {
        paths
            .iter()
            .filter(|path| path.word == word)
            .any(|path| path.command.program() == "find" || removes_only(step, path.command, mounts))
    };
    let shown = |word: &str| word_changed(&run.script, word, "\0").matches('\0').count();
    words.into_iter().map(|word| (word.to_owned(), shown(word) == often(word) && !last(word))).collect()
}
