//! A COPY of a directory of the build context, and the places of its files in the image.

use super::facts::Facts;
use super::path_pattern::matches;
use crate::file::{File, Step};
use crate::keyword::Keyword;
use crate::path::join;
use crate::touches::within;
use std::collections::BTreeSet;

/// A COPY of one directory of the build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopiedDirectory {
    /// The directory in the context; empty for all of it.
    pub(crate) source: String,
    /// The directory in the image.
    pub(crate) target: String,
    /// Whether the destination is written with its whole path.
    pub(crate) absolute: bool,
}

impl CopiedDirectory {
    /// The directory that an instruction copies; `None` if it copies something else, or to an unknown place. `listed` are the files of the
    /// context: without them, only a path that ends with a slash is known to be a directory.
    pub(crate) fn of(step: &Step<'_>, listed: Option<&BTreeSet<String>>) -> Option<Self> {
        if !is_plain(step) {
            return None;
        }
        let [source, target] = &step.words[..] else { return None };
        if !source.literal || !target.literal || source.text.contains("://") {
            return None;
        }
        let slash = source.text.ends_with('/');
        let folder = step.folder.as_deref()?;
        let source = join("", source.text.trim_start_matches('/'));
        if !source.is_empty() && !slash && !is_directory(&source, listed?) {
            return None;
        }
        Some(Self { source, target: join(folder, &target.text), absolute: target.text.starts_with('/') })
    }

    /// The path in the context of a file in the image; `None` if this COPY does not bring it.
    pub(crate) fn origin(&self, path: &str) -> Option<String> {
        if !within(path, &self.target) {
            return None;
        }
        let rest = path[self.target.trim_end_matches('/').len()..].trim_start_matches('/');
        Some(join(&self.source, rest))
    }
}

/// Whether an instruction copies files of the build context as they are.
fn is_plain(step: &Step<'_>) -> bool {
    let instruction = &step.instruction;
    let special = ["from", "parents", "exclude", "checksum", "unpack", "keep-git-dir"];
    (instruction.is(Keyword::Copy) || instruction.is(Keyword::Add))
        && !instruction.each_flag().any(|(name, _)| special.contains(&name))
        && !instruction.rest.contains("<<")
}

/// The path in the context of a file in the image, as a step finds it. `None` if no COPY of its stage is known to bring it.
pub(crate) fn origin(file: &File<'_>, step: usize, path: &str, facts: &dyn Facts) -> Option<String> {
    file.before(step).find_map(|at| {
        let (step, listed) = (&file.steps[at], facts.files(at));
        let tree = CopiedDirectory::of(step, listed).and_then(|tree| tree.origin(path));
        let has = |tree: &String| listed.is_some_and(|listed| listed.contains(tree));
        tree.filter(has).or_else(|| single(step, path, listed?))
    })
}

/// The path in the context of a file that a COPY names, by itself or by a pattern.
fn single(step: &Step<'_>, path: &str, listed: &BTreeSet<String>) -> Option<String> {
    let (target, sources) = step.words.split_last().filter(|_| is_plain(step))?;
    if !target.literal {
        return None;
    }
    let to = destination(step)?;
    // Variables are not expanded here, and of patterns only `*` is understood.
    let known = sources.iter().filter(|word| !word.text.contains(['$', '`', '?', '[']));
    let named = known.map(|word| join("", word.text.trim_start_matches('/')));
    let mut files = named.flat_map(|source| listed.iter().filter(move |file| matches(&source, file)));
    let goes_to = |file: &&String| {
        let name = file.rsplit('/').next().unwrap_or(file);
        to == path && !target.text.ends_with('/') && sources.len() == 1 || join(&to, name) == path
    };
    files.find(goes_to).cloned()
}

/// Whether a path is a directory of the context.
fn is_directory(path: &str, listed: &BTreeSet<String>) -> bool {
    let prefix = format!("{path}/");
    listed.range(prefix.clone()..).next().is_some_and(|file| file.starts_with(&prefix))
}

/// Whether a step copies a directory of the build context, or a pattern of it.
pub(crate) fn brings_directory(step: &Step<'_>, listed: Option<&BTreeSet<String>>) -> bool {
    let instruction = &step.instruction;
    let sources = &step.words[..step.words.len().saturating_sub(1)];
    // A name without a dot is taken as a directory, unless the files of the context show otherwise.
    let directory = |path: &str| {
        let path = join("", path.trim_start_matches('/'));
        path.is_empty() || listed.map_or(!path.contains('.'), |listed| is_directory(&path, listed))
    };
    (instruction.is(Keyword::Copy) || instruction.is(Keyword::Add))
        && instruction.flag("from").is_none()
        && sources.iter().any(|word| !word.literal || word.text.ends_with('/') || directory(&word.text))
}

/// The destination of any COPY or ADD, seen from its working directory.
pub(crate) fn destination(step: &Step<'_>) -> Option<String> {
    let target = step.words.last().filter(|word| word.literal)?;
    Some(join(step.folder.as_deref()?, &target.text))
}

/// Whether other steps may be moved across this one: it makes no files and runs nothing.
pub(crate) fn is_setting(step: &Step<'_>) -> bool {
    use Keyword::{
        Add, Arg, Cmd, Copy, Entrypoint, Env, Expose, From, Healthcheck, Label, Maintainer, Onbuild, Run, Shell,
        Stopsignal, User, Volume, Workdir,
    };
    step.instruction.kind.is_some_and(|keyword| match keyword {
        Env | Arg | Label | Expose | Cmd | Entrypoint | Healthcheck | Stopsignal | Maintainer | User => true,
        Add | Copy | From | Onbuild | Run | Shell | Volume | Workdir => false,
    })
}

/// Whether a directory contains paths of the system, so that a COPY to it may change any program.
pub(crate) fn is_of_system(target: &str) -> bool {
    target == "/"
        || ["/etc", "/usr", "/root", "/var", "/bin", "/sbin", "/lib", "/lib64"]
            .iter()
            .any(|folder| within(target, folder))
            && ![
                "/usr/src",
                "/var/www",
                "/usr/share/nginx",
                "/var/app",
                "/var/task",
                "/usr/app",
                "/usr/local/app",
                "/var/lib/app",
            ]
            .iter()
            .any(|folder| within(target, folder))
}

/// The steps between two steps of a stage.
pub(crate) fn between(file: &File<'_>, first: usize, last: usize) -> Vec<usize> {
    let mut found: Vec<usize> = file.before(last).take_while(|&step| step > first).collect();
    found.reverse();
    found
}
