//! Recursive changes of owner or mode, which store every file a second time.

use super::copies::{destination, is_setting};
use super::split::elements;
use super::{Edit, InstructionChange};
use crate::file::File;
use crate::keyword::Keyword;
use crate::touches::{touches, within};
use std::fmt;

/// A `chown -R` or `chmod -R` of files in earlier layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecursiveChange {
    /// The RUN.
    pub run: usize,
    /// The program that makes the change.
    pub program: Changer,
    /// The owner or the mode.
    pub value: String,
    /// The first of the directories that it changes.
    pub path: String,
    /// The COPY instructions that write files there, nearest last.
    pub copies: Vec<usize>,
    /// Whether the RUN does nothing else.
    pub alone: bool,
    /// The change; empty if it is not certain that the files get the same owners.
    pub edits: Vec<Edit>,
}

/// A program that changes the owner or the mode of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changer {
    /// Changes owners.
    Chown,
    /// Changes groups.
    Chgrp,
    /// Changes modes.
    Chmod,
}

impl Changer {
    /// The program of this name.
    fn of(program: &str) -> Option<Self> {
        [Self::Chown, Self::Chgrp, Self::Chmod].into_iter().find(|changer| changer.name() == program)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Chown => "chown",
            Self::Chgrp => "chgrp",
            Self::Chmod => "chmod",
        }
    }
}

impl fmt::Display for Changer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The recursive changes of a file, in order.
pub fn recursive_changes(file: &File<'_>) -> Vec<RecursiveChange> {
    (0..file.steps.len()).flat_map(|run| in_run(file, run)).collect()
}

fn in_run(file: &File<'_>, step: usize) -> Vec<RecursiveChange> {
    let Some(run) = &file.steps[step].run else { return Vec::new() };
    let start = file.steps[step].folder.as_deref().unwrap_or("/");
    let commands: Vec<_> = run.elements.iter().flat_map(|element| &element.commands).collect();
    let mut found = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        let Some(program) = Changer::of(command.program()) else { continue };
        let options: Vec<_> =
            command.arguments().iter().filter(|word| word.is_option() && !is_mode(&word.text)).collect();
        let recursive = options
            .iter()
            .any(|word| word.text == "--recursive" || !word.text.starts_with("--") && word.text.contains('R'));
        let mut plain = command.arguments().iter().filter(|word| !word.is_option() || is_mode(&word.text));
        let Some(value) = plain.next().filter(|_| recursive) else { continue };
        let targets: Vec<_> = plain.collect();
        let Some(paths) = touches(command, start) else { continue };
        let paths: Vec<String> = paths.into_iter().skip(1).collect();
        // Files that the same RUN makes are stored once.
        let made = |path: &String| commands[..at].iter().any(|other| makes(other, start, path));
        let Some(path) = paths.iter().find(|path| !made(path)) else { continue };
        let copies = copies_into(file, step, path);
        if program == Changer::Chown && is_made_later(file, step, &copies, &value.text) {
            continue;
        }
        let alone = commands.len() == 1 && run.elements.len() == 1;
        let mut change = RecursiveChange {
            run: step,
            program,
            value: value.text.clone(),
            path: path.clone(),
            copies,
            alone,
            edits: Vec::new(),
        };
        if alone
            && program == Changer::Chown
            && value.literal
            && paths.len() == 1
            && targets.iter().all(|target| target.literal)
            && options.len() == 1
        {
            change.edits = edits(file, &change).unwrap_or_default();
        }
        found.push(change);
    }
    found
}

/// Whether the owner may be created after the first of the copies, so that a COPY cannot name it.
fn is_made_later(file: &File<'_>, step: usize, copies: &[usize], owner: &str) -> bool {
    let named = |part: &str| !part.is_empty() && part != "root" && !part.bytes().all(|byte| byte.is_ascii_digit());
    let Some(&first) = copies.first().filter(|_| owner.split(':').any(named)) else { return false };
    let makes_users = |step: usize| {
        let Some(run) = &file.steps[step].run else { return false };
        let makers = ["useradd", "adduser", "groupadd", "addgroup", "usermod", "groupmod"];
        let mut commands = run.elements.iter().flat_map(|element| &element.commands);
        !run.understood
            || commands.any(|command| makers.contains(&command.program()))
            || run.script.contains("/etc/passwd")
    };
    file.before(step).take_while(|&other| other > first).chain([step]).any(makes_users)
}

/// Whether a word that looks like an option is a mode: `-w`, `-x`.
fn is_mode(word: &str) -> bool {
    word.len() > 1 && word[1..].bytes().all(|byte| b"rwxst,ugoa+=-".contains(&byte)) && word != "-s"
}

/// Whether a command makes files below a path.
fn makes(command: &crate::Invocation, start: &str, path: &str) -> bool {
    let related = |other: &String| within(other, path) || within(path, other) && other != "/";
    match touches(command, start) {
        Some(paths) => paths.iter().any(related),
        // An archive, a clone, a build: any command that names the directory.
        None => command.words.iter().any(|word| word.text.contains(path.trim_end_matches('/'))),
    }
}

fn copies_into(file: &File<'_>, step: usize, path: &str) -> Vec<usize> {
    let mut copies: Vec<usize> = file
        .before(step)
        .filter(|&other| {
            let other = &file.steps[other];
            (other.instruction.is(Keyword::Copy) || other.instruction.is(Keyword::Add))
                && destination(other)
                    .is_some_and(|target| within(&target, path) || within(path, &target) && target != "/")
        })
        .collect();
    copies.reverse();
    copies
}

/// Adds the flag to each COPY, and a chown of the directory alone, which may have existed before.
fn edits(file: &File<'_>, change: &RecursiveChange) -> Option<Vec<Edit>> {
    let copies: Vec<usize> =
        change.copies.iter().copied().filter(|&copy| file.steps[copy].instruction.flag("chown").is_none()).collect();
    let first = *copies.first()?;
    // A RUN between them may make the user or the files.
    let steps: Vec<usize> = file.before(change.run).take_while(|&step| step > first).collect();
    let settled = steps.iter().all(|&step| {
        let step = &file.steps[step];
        is_setting(step) || step.instruction.is(Keyword::Copy) || step.instruction.is(Keyword::Add)
    });
    // Files that an earlier RUN made in the directory would keep their owner.
    let made = file.before(first).any(|step| {
        let step = &file.steps[step];
        step.run.as_ref().is_some_and(|run| {
            run.elements
                .iter()
                .flat_map(|element| &element.commands)
                .any(|command| makes(command, step.folder.as_deref().unwrap_or("/"), &change.path))
        })
    });
    let numeric =
        change.value.split(':').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let plain = |copy: &usize| {
        let instruction = &file.steps[*copy].instruction;
        let inside = destination(&file.steps[*copy]).is_some_and(|target| within(&target, &change.path));
        inside
            && instruction.json().is_none()
            && instruction.is(Keyword::Copy)
            && (numeric || instruction.flag("link").is_none())
    };
    let single = elements(&file.steps[change.run]).is_some_and(|texts| texts.len() == 1);
    if !settled || made || !copies.iter().all(plain) || !single || change.value.ends_with(':') {
        return None;
    }
    // Without a group, chown keeps the group root, while COPY uses the id of the user.
    let owner = if change.value.contains(':') { change.value.clone() } else { format!("{}:0", change.value) };
    if owner.starts_with(':') {
        return None;
    }
    let mut edits: Vec<Edit> = copies
        .iter()
        .map(|&step| Edit { step, change: InstructionChange::Flags(format!("--chown={owner}")) })
        .collect();
    let option = file.steps[change.run].instruction.rest.split_whitespace().find(|word| word.starts_with('-'))?;
    edits.push(Edit {
        step: change.run,
        change: InstructionChange::Word { from: option.to_owned(), to: String::new() },
    });
    Some(edits)
}
