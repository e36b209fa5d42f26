//! Installs after a COPY of sources that they do not need: each edit of a source runs them again.

use super::copies::{CopiedDirectory, between, destination, is_of_system, is_setting};
use super::evidence::{own_scripts, shows_scripts};
use super::facts::Facts;
use super::manifests::{manifests_in, reaches_system, taken_over};
use super::split::{Split, split_before};
use super::{Edit, InstructionChange};
use crate::Invocation;
use crate::file::{File, Run, Step};
use crate::keyword::Keyword;
use crate::path::join;
use crate::touches::{touches, within};
use crate::usage::{DependencyFile, Hooks, Needs, Presence, Tool, Usage, Work};
use std::collections::{BTreeMap, BTreeSet};

/// The most directories that a change copies one by one. A longer change helps less than it costs to read.
const MOST_FOLDERS: usize = 12;

/// An install that needs less than what is copied before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// The COPY.
    pub copy: usize,
    /// The RUN.
    pub run: usize,
    /// The tool that installs.
    pub tool: Tool,
    /// The possible change.
    pub kind: ReorderKind,
    /// The files of the context that the install needs, as written in a COPY; empty if it needs no file.
    pub files: Vec<String>,
    /// The directories of the context that it needs besides, as the scripts `mvnw` and `gradlew` do.
    pub folders: Vec<String>,
    /// The change; empty if it is not certain that the build works with it.
    pub edits: Vec<Edit>,
    /// Whether `edits` is empty because the texts of `files` are unknown: they may name other parts of the project.
    pub unread: bool,
}

/// A change of the file that moves an install before a COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReorderKind {
    /// The whole RUN moves before the COPY.
    Whole,
    /// The install moves, and the rest of the RUN stays. The text is the install's.
    Part(String),
    /// A command that fetches the dependencies is added before the COPY.
    Fetch(String),
    /// The dependencies cannot be fetched by one command.
    Hard,
}

/// The files of a COPY that a command needs.
enum NeededFiles {
    Nothing,
    Files(Vec<DependencyFile>),
    Any,
}

/// The installs of a file that could run before a COPY, in order.
pub fn late_installs(file: &File<'_>, facts: &dyn Facts) -> Vec<Reorder> {
    let mut found: Vec<Reorder> = Vec::new();
    let late = (0..file.steps.len()).filter_map(|run| late_install(file, run, facts));
    for reorder in late.filter(|reorder| !needs_more(file, reorder, facts)) {
        // The next command finds the dependencies that this one fetched.
        let again = |other: &Reorder| {
            let fetched = matches!(other.kind, ReorderKind::Fetch(_) | ReorderKind::Hard);
            fetched && (other.copy, other.tool, &other.files) == (reorder.copy, reorder.tool, &reorder.files)
        };
        if !matches!(reorder.kind, ReorderKind::Fetch(_) | ReorderKind::Hard) || !found.iter().any(again) {
            found.push(reorder);
        }
    }
    found
}

/// Whether the install needs more than its files: by their texts, or because the COPY writes settings of the system.
fn needs_more(file: &File<'_>, reorder: &Reorder, facts: &dyn Facts) -> bool {
    if reorder.files.is_empty() {
        return destination(&file.steps[reorder.copy]).is_some_and(|target| target == "/");
    }
    let usages = file.steps[reorder.run].run.iter().flat_map(|run| &run.usages);
    let mut own = usages.filter(|(_, _, usage)| usage.tool == reorder.tool);
    own.any(|(_, _, usage)| own_scripts(usage, &reorder.files, facts) == Some(true))
}

/// Whether a RUN only installs, and needs nothing of the build context.
pub fn needs_nothing_before(file: &File<'_>, run: usize) -> bool {
    let Some(found) = file.steps[run].run.as_ref().filter(|found| found.understood) else { return false };
    let installs = found.usages.iter().any(|(_, _, usage)| usage.work == Work::Install);
    let commands = found.elements.iter().flat_map(|element| &element.commands);
    let mut others = commands.filter(|command| !found.usages.iter().any(|(_, other, _)| other == *command));
    installs
        && found.usages.iter().all(|(_, _, usage)| usage.needs == Needs::Nothing)
        && others.all(|command| touches(command, file.steps[run].folder.as_deref().unwrap_or("/")).is_some())
}

fn late_install(file: &File<'_>, run: usize, facts: &dyn Facts) -> Option<Reorder> {
    let step = &file.steps[run];
    let found = step.run.as_ref().filter(|found| !found.elements.is_empty())?;
    if !found.usages.iter().any(|(_, _, usage)| matches!(usage.work, Work::Install | Work::Build)) {
        return None;
    }
    let mut before: Vec<usize> = file.before(run).collect();
    before.reverse();
    let mut trees =
        before.into_iter().filter_map(|step| Some((step, CopiedDirectory::of(&file.steps[step], facts.files(step))?)));
    trees.find_map(|(copy, tree)| after_copy(file, run, found, copy, &tree, facts))
}

/// Whether an install after this COPY could run before it.
fn after_copy(
    file: &File<'_>,
    run: usize,
    found: &Run,
    copy: usize,
    tree: &CopiedDirectory,
    facts: &dyn Facts,
) -> Option<Reorder> {
    let (mut reorder, manifests) = match reach_of_run(file, run, found, tree) {
        NeededFiles::Nothing => whole(found, Vec::new())?,
        NeededFiles::Files(files) => whole(found, files)?,
        NeededFiles::Any => part_or_fetch(file, run, found, tree)?,
    };
    (reorder.copy, reorder.run) = (copy, run);
    // A COPY of a part of the context that the install does not need may be intended.
    if manifests.is_empty() && !tree.source.is_empty() || already_installed(file, &reorder) {
        return None;
    }
    let listed = facts.files(copy);
    // Modules that are part of the sources are not fetched.
    let vendored = |files: &BTreeSet<String>| files.iter().any(|file| file.ends_with("vendor/modules.txt"));
    if reorder.tool == Tool::Go && listed.is_some_and(vendored) {
        return None;
    }
    let present = manifests_in(&manifests, tree, listed)?;
    for path in &present {
        let named = if path.ends_with('/') { &mut reorder.folders } else { &mut reorder.files };
        // Two commands of a RUN may need the same file.
        if !named.contains(path) {
            named.push(path.clone());
        }
    }
    if let (Some(files), true) = (listed, movable(file, &reorder, tree, facts)) {
        let harmless = !manifests.is_empty() || !is_of_system(&tree.target) || !reaches_system(files, tree);
        if harmless && !taken_over(files, tree, &manifests, &present, reorder.tool) {
            reorder.edits = edits(file, &reorder, tree, &present).unwrap_or_default();
            if !reorder.edits.is_empty() && !needs_no_other_part(file, &reorder, facts) {
                reorder.edits.clear();
                reorder.unread = reorder.files.iter().any(|file| facts.text(file).is_none());
            }
        }
    }
    Some(reorder)
}

fn draft(tool: Tool, kind: ReorderKind) -> Reorder {
    Reorder { copy: 0, run: 0, tool, kind, files: Vec::new(), folders: Vec::new(), edits: Vec::new(), unread: false }
}

/// The whole RUN moves.
fn whole(found: &Run, files: Vec<DependencyFile>) -> Option<(Reorder, Vec<DependencyFile>)> {
    let installs = |usage: &&Usage| usage.work == Work::Install;
    let usages = || found.usages.iter().map(|(_, _, usage)| usage).filter(installs);
    // The tool that needs files names the advice.
    let usage = usages().find(|usage| matches!(usage.needs, Needs::Files(_))).or_else(|| usages().next())?;
    Some((draft(usage.tool, ReorderKind::Whole), files))
}

/// A part of the RUN moves, or a command is added.
fn part_or_fetch(
    file: &File<'_>,
    run: usize,
    found: &Run,
    tree: &CopiedDirectory,
) -> Option<(Reorder, Vec<DependencyFile>)> {
    let step = &file.steps[run];
    let start = step.folder.as_deref()?;
    let mut files = Vec::new();
    let mut tool = None;
    let mut end = 0;
    for (at, element) in found.elements.iter().enumerate() {
        let mut needed = Vec::new();
        let mut installs = None;
        let fits = !element.opaque
            && element.commands.iter().all(|command| match reach(found, command, start, tree) {
                NeededFiles::Nothing => true,
                NeededFiles::Files(more) => {
                    needed.extend(more);
                    true
                }
                NeededFiles::Any => false,
            });
        if !fits {
            break;
        }
        for (_, _, usage) in
            found.usages.iter().filter(|(element, _, usage)| *element == at && usage.work == Work::Install)
        {
            installs = Some(usage.tool);
        }
        files.extend(needed);
        if installs.is_some() {
            tool = installs;
            end = at + 1;
        } else if tool.is_some()
            && found.usages.iter().any(|(element, _, usage)| *element == at && usage.work == Work::Clean)
        {
            end = at + 1;
        }
    }
    let rest =
        found.usages.iter().filter(|(element, _, _)| *element >= end).map(|(_, command, usage)| (command, usage));
    // A layer of its own would keep what the rest of the RUN removes.
    if rest.into_iter().any(|(command, usage)| usage.work == Work::Clean && removes_packages(command)) {
        return None;
    }
    if let (Some(tool), Some(Split { first, .. })) = (tool, split_before(step, end)) {
        return Some((draft(tool, ReorderKind::Part(first)), files));
    }
    // The first command that compiles the sources, if it can fetch its dependencies alone.
    let (_, command, usage) =
        found.usages.iter().find(|(_, _, usage)| !usage.offline && matches!(usage.needs, Needs::Sources(Some(_))))?;
    let Needs::Sources(Some(fetch)) = &usage.needs else { return None };
    // A mount keeps the fetched files, and hides the files of layers at its place.
    let mounted = step.instruction.cache_mounts();
    if usage.caches.iter().any(|cache| mounted.iter().any(|target| within(&cache.target, target))) {
        return None;
    }
    let base = join(start, usage.folder.as_deref()?);
    let files = absolute(&fetch.files, &base);
    tree.origin(&base)?;
    let kind = match &fetch.command {
        Some(text) => {
            let moved =
                command.folder.as_deref().filter(|folder| !folder.is_empty()).map(|folder| format!("cd {folder} && "));
            let plain = |(name, value): &(&String, &String)| {
                value.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./:,=@".contains(letter))
                    && *name != "PATH"
            };
            let variables: String =
                command.variables.iter().filter(plain).map(|(name, value)| format!("{name}={value} ")).collect();
            ReorderKind::Fetch(format!("{}{variables}{text}", moved.unwrap_or_default()))
        }
        None => ReorderKind::Hard,
    };
    Some((draft(usage.tool, kind), files))
}

fn absolute(files: &[DependencyFile], base: &str) -> Vec<DependencyFile> {
    let folder = |path: &str| if path.ends_with('/') { "/" } else { "" };
    files
        .iter()
        .map(|file| DependencyFile { path: join(base, &file.path) + folder(&file.path), presence: file.presence })
        .collect()
}

/// The files of a COPY that a RUN needs.
fn reach_of_run(file: &File<'_>, run: usize, found: &Run, tree: &CopiedDirectory) -> NeededFiles {
    let Some(start) = file.steps[run].folder.as_deref() else { return NeededFiles::Any };
    if !found.understood {
        return NeededFiles::Any;
    }
    let mut files = Vec::new();
    for command in found.elements.iter().flat_map(|element| &element.commands) {
        match reach(found, command, start, tree) {
            NeededFiles::Nothing => {}
            NeededFiles::Files(more) => files.extend(more),
            NeededFiles::Any => return NeededFiles::Any,
        }
    }
    if files.is_empty() { NeededFiles::Nothing } else { NeededFiles::Files(files) }
}

fn reach(found: &Run, command: &Invocation, start: &str, tree: &CopiedDirectory) -> NeededFiles {
    let Some((_, _, usage)) = found.usages.iter().find(|(_, other, _)| other == command) else {
        // A shell that runs the output of a download, from a site that is known for its installer.
        if installer_script(found, command) {
            return NeededFiles::Nothing;
        }
        let related = |path: &String| within(path, &tree.target) || within(&tree.target, path);
        return match touches(command, start) {
            Some(paths) if !paths.iter().any(related) => NeededFiles::Nothing,
            _ => NeededFiles::Any,
        };
    };
    let written = command.reads.iter().chain(&command.writes);
    let elsewhere = |path: &str| !within(path, &tree.target);
    if written.clone().any(|word| {
        !word.literal || !elsewhere(&join(&join(start, command.folder.as_deref().unwrap_or("")), &word.text))
    }) {
        return NeededFiles::Any;
    }
    match &usage.needs {
        Needs::Nothing if usage.tool == Tool::Download => download(command, start, tree),
        Needs::Nothing => NeededFiles::Nothing,
        Needs::Files(files) => match &usage.folder {
            Some(folder) => {
                let files = absolute(files, &join(start, folder));
                let needed =
                    |file: &DependencyFile| file.presence == Presence::Required || file.presence == Presence::Usual;
                if files.iter().filter(|file| needed(file)).all(|file| tree.origin(&file.path).is_some()) {
                    NeededFiles::Files(files)
                } else {
                    // The files come from elsewhere, and the project may use copied files.
                    NeededFiles::Any
                }
            }
            None => NeededFiles::Any,
        },
        Needs::Sources(_) => NeededFiles::Any,
    }
}

/// A download needs nothing, unless it writes to the copied directory.
fn download(command: &Invocation, start: &str, tree: &CopiedDirectory) -> NeededFiles {
    let Some(folder) = command.folder.as_deref().map(|folder| join(start, folder)) else { return NeededFiles::Any };
    let local = command.arguments().iter().filter(|word| !word.is_option() && !word.text.contains("://"));
    let inside = local
        .filter(|word| word.text.starts_with('/'))
        .any(|word| within(&word.text, &tree.target) || within(&tree.target, &word.text));
    // Without an absolute path, its files go to the directory in which it runs.
    let options = || command.arguments().iter().filter(|word| word.is_option() && !word.text.starts_with("--"));
    let prints = match command.program() {
        "curl" => !options().any(|word| word.text.contains(['o', 'O'])),
        "wget" => options().any(|word| word.text.ends_with("O-")) || command.has("-"),
        _ => false,
    };
    let absolute = command.arguments().iter().any(|word| word.text.starts_with('/'));
    if inside || !prints && !absolute && within(&folder, &tree.target) {
        NeededFiles::Any
    } else {
        NeededFiles::Nothing
    }
}

/// Whether a command runs the installer of a well-known tool, which reads nothing of the directory that it is started in.
fn installer_script(found: &Run, command: &Invocation) -> bool {
    const SITES: &[&str] = &[
        "sh.rustup.rs",
        "static.rust-lang.org/rustup",
        "astral.sh/uv",
        "install.python-poetry.org",
        "deb.nodesource.com",
        "rpm.nodesource.com",
        "raw.githubusercontent.com/nvm-sh",
        "bun.sh/install",
        "get.pnpm.io",
        "deno.land/install.sh",
        "get.docker.com",
        "get.sdkman.io",
        "bootstrap.pypa.io",
        "get.helm.sh",
        "getcomposer.org/installer",
        "raw.githubusercontent.com/helm/helm",
        "cli.github.com",
    ];
    let runs = matches!(command.program(), "sh" | "bash" | "python3" | "python" | "php");
    let from_pipe = command.piped && command.arguments().iter().all(|word| word.literal && !word.text.contains('/'));
    runs && from_pipe
        && found.usages.iter().any(|(_, download, _)| {
            download.arguments().iter().any(|word| SITES.iter().any(|site| word.text.contains(site)))
        })
}

/// Whether an earlier step installed with the same tool: then the order is right.
fn already_installed(file: &File<'_>, reorder: &Reorder) -> bool {
    let (run, tool) = (reorder.run, reorder.tool);
    // The dependencies of a build may also be fetched between the COPY and the build.
    let end = if matches!(reorder.kind, ReorderKind::Fetch(_) | ReorderKind::Hard) { run } else { reorder.copy };
    let Some(stage) = file.steps[run].stage else { return true };
    let family = file.family(stage);
    let same = |step: &usize| file.steps[*step].stage.is_some_and(|stage| family.contains(&stage));
    let installs = |step: usize| {
        let run = file.steps[step].run.as_ref();
        run.is_some_and(|run| {
            run.usages.iter().any(|(_, _, usage)| {
                usage.tool == tool && usage.work == Work::Install && matches!(usage.needs, Needs::Files(_))
            })
        })
    };
    let folders = tool.installs_into();
    let copied = |step: usize| {
        let instruction = &file.steps[step].instruction;
        instruction.is(Keyword::Copy)
            && instruction.flag("from").is_some()
            && instruction
                .words()
                .iter()
                .any(|word| folders.iter().any(|folder| word.text.trim_end_matches('/').ends_with(folder)))
    };
    // A build before the COPY, in the same folder, can only fetch.
    let own = build_folders(file, run, tool);
    let fetches = |step: usize| build_folders(file, step, tool).iter().any(|folder| own.contains(folder));
    (0..end).filter(same).any(installs)
        || file.before(run).any(copied)
        || !own.is_empty() && (0..reorder.copy).filter(same).any(fetches)
}

/// The folders in which a step builds with this tool.
fn build_folders(file: &File<'_>, step: usize, tool: Tool) -> Vec<String> {
    let Step { folder: Some(start), run: Some(run), .. } = &file.steps[step] else { return Vec::new() };
    let builds =
        run.usages.iter().map(|(_, _, usage)| usage).filter(|usage| usage.tool == tool && usage.work == Work::Build);
    builds.filter_map(|usage| Some(join(start, usage.folder.as_deref()?))).collect()
}

/// Whether the COPY may move to the place after the RUN, by the instructions and the project's own scripts.
fn movable(file: &File<'_>, reorder: &Reorder, tree: &CopiedDirectory, facts: &dyn Facts) -> bool {
    let (copy, run) = (reorder.copy, reorder.run);
    let steps = between(file, copy, run);
    let mut keyword = steps.iter().map(|&step| (step, &file.steps[step]));
    let passes = keyword.all(|(at, step)| {
        if is_setting(step) {
            return true;
        }
        if step.instruction.is(Keyword::Workdir) {
            return tree.absolute;
        }
        if step.instruction.is(Keyword::Copy) || step.instruction.is(Keyword::Add) {
            let Some(target) = destination(step) else { return false };
            return !within(&target, &tree.target) && !within(&tree.target, &target);
        }
        step.run.as_ref().is_some_and(|found| {
            found.understood && matches!(reach_of_run(file, at, found, tree), NeededFiles::Nothing)
        })
    });
    if !passes || reorder.kind == ReorderKind::Hard || !facts.is_complete() {
        return false;
    }
    // A fetch is put directly before the COPY.
    if matches!(reorder.kind, ReorderKind::Fetch(_)) && steps.iter().any(|&step| !is_setting(&file.steps[step])) {
        return false;
    }
    true
}

/// Whether the install needs no other part of the project, by the texts of its files or by its output.
fn needs_no_other_part(file: &File<'_>, reorder: &Reorder, facts: &dyn Facts) -> bool {
    let found = file.steps[reorder.run].run.as_ref();
    let usages = found.into_iter().flat_map(|found| &found.usages).map(|(_, _, usage)| usage);
    let reads = |usage: &&Usage| {
        usage.tool == reorder.tool && !matches!(usage.needs, Needs::Nothing)
            || usage.work == Work::Install && matches!(usage.needs, Needs::Files(_))
    };
    usages.filter(reads).all(|usage| {
        let shown = facts.output(reorder.run).map(|lines| lines.iter().any(|line| shows_scripts(usage.tool, line)));
        match own_scripts(usage, &reorder.files, facts) {
            Some(scripts) => shown != Some(true) && (!scripts || usage.hooks == Hooks::None),
            // These tools print the scripts that they run last. The names of the files show what else they may need.
            None if matches!(usage.tool, Tool::Npm | Tool::Yarn | Tool::Pnpm | Tool::Bun) => match usage.hooks {
                Hooks::None => true,
                Hooks::Shown => shown == Some(false),
                Hooks::Hidden => false,
            },
            None => false,
        }
    })
}

/// Whether a command of a package manager removes packages.
fn removes_packages(command: &Invocation) -> bool {
    const ACTIONS: [&str; 5] = ["purge", "remove", "autoremove", "del", "erase"];
    command.arguments().iter().any(|word| ACTIONS.contains(&word.text.as_str()))
}

/// The change of the file.
fn edits(file: &File<'_>, reorder: &Reorder, tree: &CopiedDirectory, present: &[String]) -> Option<Vec<Edit>> {
    if present.iter().any(|path| path.contains([' ', '"', '\'', '$', '[', '*', '?', '\\'])) {
        return None;
    }
    let copy = &file.steps[reorder.copy].instruction;
    let flags = if copy.flags.is_empty() { String::new() } else { format!("{} ", copy.flags) };
    // Files of one directory are copied together.
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in present {
        let folder =
            if path.ends_with('/') { path.as_str() } else { path.rsplit_once('/').map_or("", |(folder, _)| folder) };
        folders.entry(folder).or_default().push(path);
    }
    if folders.len() > MOST_FOLDERS {
        return None;
    }
    let written = &copy.words();
    let target = written.last()?.text.trim_end_matches('/');
    let destination_of = |folder: &str| {
        let inner = folder.strip_prefix(&tree.source).unwrap_or(folder).trim_matches('/');
        let base = if target == "." || target.is_empty() && !tree.absolute { "." } else { target };
        if inner.is_empty() { format!("{base}/") } else { format!("{base}/{inner}/") }
    };
    let mut lines: Vec<String> = folders
        .iter()
        .map(|(folder, files)| format!("COPY {flags}{} {}", files.join(" "), destination_of(folder)))
        .collect();
    let run = &file.steps[reorder.run].instruction;
    let run_flags = if run.flags.is_empty() { String::new() } else { format!("{} ", run.flags) };
    let mut edits = Vec::new();
    match &reorder.kind {
        ReorderKind::Whole => {
            if !lines.is_empty() {
                edits.push(Edit { step: reorder.copy, change: InstructionChange::Before(lines) });
            }
            edits.push(Edit { step: reorder.copy, change: InstructionChange::MoveAfter(reorder.run) });
        }
        ReorderKind::Part(_) => {
            let found = file.steps[reorder.run].run.as_ref()?;
            let end = found.elements.len();
            let split = (1..end)
                .rev()
                .filter_map(|at| split_before(&file.steps[reorder.run], at))
                .find(|split| matches!(&reorder.kind, ReorderKind::Part(first) if *first == split.first))?;
            if !lines.is_empty() {
                edits.push(Edit { step: reorder.copy, change: InstructionChange::Before(lines) });
            }
            // The COPY moves between the two parts.
            let parts = vec![
                format!("RUN {run_flags}{}", split.first),
                copy_text(copy),
                format!("RUN {run_flags}{}", split.rest),
            ];
            edits.push(Edit { step: reorder.copy, change: InstructionChange::Remove });
            edits.push(Edit { step: reorder.run, change: InstructionChange::Lines(parts) });
        }
        ReorderKind::Fetch(command) => {
            lines.push(format!("RUN {run_flags}{command}"));
            edits.push(Edit { step: reorder.copy, change: InstructionChange::Before(lines) });
        }
        ReorderKind::Hard => {}
    }
    Some(edits)
}

fn copy_text(copy: &crate::Instruction<'_>) -> String {
    let flags = if copy.flags.is_empty() { String::new() } else { format!("{} ", copy.flags) };
    format!("{} {flags}{}", copy.keyword, copy.rest)
}
