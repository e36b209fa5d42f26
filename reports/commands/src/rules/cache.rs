//! Installs and builds without their caches: each run downloads or compiles everything again.

use super::facts::Facts;
use super::removals::{removes_more, removes_only, words_that_remove};
use super::split::without;
use super::yarn;
use super::{Edit, InstructionChange};
use crate::Invocation;
use crate::file::{File, Run, Step};
use crate::keyword::Keyword;
use crate::path::join;
use crate::script::Join;
use crate::source::word_changed;
use crate::touches::{touches, within};
use crate::usage::{Cache, Cacheless, Content, Needs, Tool, Usage, Work};
use std::collections::HashSet;

/// A RUN that would be shorter with cache mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheAdvice {
    /// The RUN.
    pub run: usize,
    /// The tool of the caches.
    pub tool: Tool,
    /// The caches that are not mounted.
    pub caches: Vec<Cache>,
    /// Further changes without which the mounts have no effect, each as a clause.
    pub also: Vec<String>,
    /// The change of the file; empty if it is not certain that the build works with it.
    pub edits: Vec<Edit>,
}

/// The RUNs of a file that lack cache mounts, in order.
pub fn missing_caches(file: &File<'_>, facts: &dyn Facts) -> Vec<CacheAdvice> {
    let mut found = Vec::new();
    for step in 0..file.steps.len() {
        let Some(run) = &file.steps[step].run else { continue };
        let mut seen: Vec<Tool> = Vec::new();
        for (_, _, usage) in &run.usages {
            if matches!(usage.work, Work::Install | Work::Build)
                && !usage.caches.is_empty()
                && !seen.contains(&usage.tool)
            {
                seen.push(usage.tool);
                found.extend(missing(file, step, run, usage.tool, facts));
            }
        }
    }
    found
}

fn missing(file: &File<'_>, step: usize, run: &Run, tool: Tool, facts: &dyn Facts) -> Option<CacheAdvice> {
    let here = &file.steps[step];
    // Another user cannot write to a mount that belongs to root, and its number is not always known.
    if !here.around.root {
        return None;
    }
    let isolated = here.instruction.flag("network") == Some("none") || offline(file, here, tool);
    let mut caches = caches_of(run, tool);
    if tool == Tool::Yarn
        && let Some(known) = yarn::caches(file, step, run, facts)
    {
        caches = known;
    }
    if isolated {
        caches.retain(|cache| cache.content == Content::Objects);
    }
    caches.retain(|cache| !must_be_empty(here, run, &cache.target) && !removes_more(here, run, &cache.target));
    let mounted = here.instruction.cache_mounts();
    let all = caches.len();
    caches.retain(|cache| !mounted.iter().any(|target| target.contains('$') || is_same_place(&cache.target, target)));
    let objects = caches.iter().any(|cache| cache.content == Content::Objects);
    if caches.is_empty() || caches.len() < all && !objects {
        return None;
    }
    if caches.iter().any(|cache| cache.content == Content::Store) && needed_later(tool) {
        return None;
    }
    let mut advice = CacheAdvice { run: step, tool, caches, also: Vec::new(), edits: Vec::new() };
    let mut edits = edits(file, step, run, &mut advice);
    let store = |cache: &Cache| cache.content == Content::Store;
    if edits.is_none() && objects && advice.caches.iter().any(store) {
        // Caches that only this RUN reads can always be mounted.
        advice.caches.retain(|cache| !store(cache));
        advice.also.clear();
        edits = self::edits(file, step, run, &mut advice);
    }
    if edits.is_none() && advice.caches.iter().any(store) {
        advice.also.push(format!(
            "give every RUN of {} the same mount, unless a later step or the image itself reads the directory",
            tool.name()
        ));
    }
    if facts.is_complete() && !advice.caches.is_empty() {
        advice.edits = edits.unwrap_or_default();
    }
    (!advice.caches.is_empty()).then_some(advice)
}

/// The caches of the commands of a tool in a RUN.
fn caches_of(run: &Run, tool: Tool) -> Vec<Cache> {
    let mut caches: Vec<Cache> = Vec::new();
    for (_, _, usage) in &run.usages {
        let works = usage.tool == tool && matches!(usage.work, Work::Install | Work::Build);
        for cache in usage.caches.iter().filter(|_| works) {
            if !caches.contains(cache) {
                caches.push(cache.clone());
            }
        }
    }
    caches
}

/// Whether a RUN clones into a directory that a mount would fill.
fn must_be_empty(step: &Step<'_>, run: &Run, mount: &str) -> bool {
    let mut commands = run.elements.iter().flat_map(|element| &element.commands);
    commands.any(|command| {
        let target = command.arguments().last().filter(|word| word.literal && !word.text.contains(':'));
        command.program() == "git"
            && command.has("clone")
            && target.is_some_and(|target| {
                let start = step.folder.as_deref().unwrap_or("/");
                within(mount, &join(&join(start, command.folder.as_deref().unwrap_or("")), &target.text))
            })
    })
}

/// Whether programs find their packages in the store of this tool when they run.
fn needed_later(tool: Tool) -> bool {
    matches!(tool, Tool::Yarn | Tool::Deno | Tool::Dart | Tool::Conan | Tool::Helm)
}

/// Whether a command of the tool in the same family of stages uses files of an earlier one, which must then stay in the image.
fn offline(file: &File<'_>, step: &Step<'_>, tool: Tool) -> bool {
    let family = step.stage.map(|stage| file.family(stage)).unwrap_or_default();
    let members = file.steps.iter().filter(|step| step.stage.is_some_and(|stage| family.contains(&stage)));
    let mut usages = members.filter_map(|step| step.run.as_ref()).flat_map(|run| &run.usages);
    usages.any(|(_, command, usage)| {
        let frozen = usage.tool == Tool::Cargo && command.has("--frozen")
            || usage.tool == Tool::Dotnet && (command.has("--no-restore") || command.has("--no-build"));
        usage.tool == tool && (usage.offline || frozen)
    })
}

/// Whether a mount is at the directory of a cache, also with another home directory.
fn is_same_place(cache: &str, mount: &str) -> bool {
    let name =
        |path: &str| path.trim_end_matches('/').rsplit('/').next().map(|name| name.trim_start_matches('.').to_owned());
    let above = cache.rsplit_once('/').and_then(|(above, _)| name(above));
    let known = name(mount).filter(|name| name.len() > 2);
    within(cache, mount) || within(mount, cache) || known.is_some() && (known == name(cache) || known == above)
}

/// The change that adds the mounts. Removes the caches that cannot be added from the list.
fn edits(file: &File<'_>, step: usize, run: &Run, advice: &mut CacheAdvice) -> Option<Vec<Edit>> {
    let here = &file.steps[step];
    let mut change = Changes::default();
    match advice.tool {
        Tool::Apt => apt(file, step, run, advice, &mut change),
        Tool::Apk => {}
        Tool::Microdnf | Tool::Zypper => change.uncertain = true,
        _ => {}
    }
    cacheless(run, advice, &mut change);
    // Commands that empty the caches again.
    let emptying: Vec<usize> = (0..run.elements.len()).filter(|&at| empties(here, run, at, advice)).collect();
    for &at in &emptying {
        let text = run.script.get(run.elements[at].span.clone()).unwrap_or_default();
        advice.also.push(format!("leave out `{}`, which empties it", text.trim()));
    }
    let targets: Vec<&str> = advice.caches.iter().map(|cache| cache.target.as_str()).collect();
    let apart = |command: &Invocation| emptying.iter().any(|&at| run.elements[at].commands.contains(command));
    let removed = words_that_remove(here, run, &targets, apart);
    for (word, certain) in &removed {
        advice.also.push(format!("leave out `{word}` where it is removed, which empties the cache or fails"));
        change.words.push((word.clone(), String::new()));
        change.uncertain |= !certain;
    }
    if change.uncertain {
        return None;
    }
    if advice.caches.iter().any(|cache| cache.content == Content::Store) {
        return store(file, step, run, advice).filter(|_| emptying.is_empty() && removed.is_empty());
    }
    let flags: Vec<String> = advice.caches.iter().map(Cache::flag).collect();
    if !emptying.is_empty() || change.words.iter().any(|(from, _)| !once_a_word(run, from)) {
        // The instruction is rewritten without them.
        let mut text = without(here, &emptying)?;
        for (from, to) in &change.words {
            text = word_changed(&text, from, to);
        }
        let given =
            if here.instruction.flags.is_empty() { String::new() } else { format!(" {}", here.instruction.flags) };
        let line = format!("RUN{given} {} {}{text}", flags.join(" "), change.prefix);
        return Some(vec![Edit { step, change: InstructionChange::Lines(vec![line]) }]);
    }
    let mut edits = vec![Edit { step, change: InstructionChange::Flags(flags.join(" ")) }];
    for (from, to) in change.words {
        edits.push(Edit { step, change: InstructionChange::Word { from, to } });
    }
    if !change.prefix.is_empty() {
        edits.push(Edit { step, change: InstructionChange::Prefix(change.prefix) });
    }
    Some(edits)
}

/// The changes besides the mounts.
#[derive(Default)]
struct Changes {
    prefix: String,
    words: Vec<(String, String)>,
    uncertain: bool,
}

/// Debian's and Ubuntu's images have a setting that empties apt's cache after each install.
fn apt(file: &File<'_>, step: usize, run: &Run, advice: &mut CacheAdvice, change: &mut Changes) {
    // With the lists in a mount, an install without its own update would find no lists.
    let updates = |run: &Run| {
        let update = run.usages.iter().position(|(_, _, usage)| usage.tool == Tool::Apt && usage.work == Work::Prepare);
        let install =
            run.usages.iter().position(|(_, _, usage)| usage.tool == Tool::Apt && usage.work == Work::Install);
        install.is_none_or(|install| update.is_some_and(|update| update < install))
    };
    let family = file.steps[step].stage.map(|stage| file.family(stage)).unwrap_or_default();
    let members = file.steps.iter().filter(|step| step.stage.is_some_and(|stage| family.contains(&stage)));
    let every = members.filter_map(|step| step.run.as_ref()).all(updates);
    if !every || !updates(run) {
        advice.caches.retain(|cache| cache.target != "/var/lib/apt/lists");
    }
    let also = "remove /etc/apt/apt.conf.d/docker-clean, which empties the directory in Debian's images";
    let removed = run.script.contains("docker-clean") || run.script.contains("Keep-Downloaded-Packages");
    if removed {
        return;
    }
    advice.also.push(also.to_owned());
    let apt = run.usages.iter().any(|(_, command, usage)| usage.tool == Tool::Apt && command.program() == "apt");
    change.prefix = if apt {
        "rm -f /etc/apt/apt.conf.d/docker-clean && echo 'Binary::apt::APT::Keep-Downloaded-Packages \"true\";' > /etc/apt/apt.conf.d/keep-cache && ".to_owned()
    } else {
        "rm -f /etc/apt/apt.conf.d/docker-clean && ".to_owned()
    };
    // In `a || b && c`, a text before it would change the meaning of the rest.
    let joined = run.elements.iter().any(|element| element.join == Join::Other);
    change.uncertain |= !run.on_line || joined;
    // Without the mount, a later install would leave its packages in /var/cache/apt.
    let stage = file.steps[step].stage;
    let later = file.steps[step + 1..].iter().filter(|step| step.stage.is_some_and(|stage| family.contains(&stage)));
    let bare = |later: &Step<'_>| {
        later.run.as_ref().is_some_and(|run| {
            run.usages.iter().any(|(_, _, usage)| usage.tool == Tool::Apt && usage.work == Work::Install)
        }) && later.instruction.cache_mounts().is_empty()
    };
    if later.into_iter().any(bare) && stage.is_some() {
        advice.also.push("give each later apt install the same mounts".to_owned());
    }
}

/// The options and variables that turn the cache off.
fn cacheless(run: &Run, advice: &mut CacheAdvice, change: &mut Changes) {
    let usages: Vec<&(usize, Invocation, Usage)> =
        run.usages.iter().filter(|(_, _, usage)| usage.tool == advice.tool).collect();
    let Some(off) = usages.iter().find_map(|(_, _, usage)| usage.cacheless) else { return };
    match (off, advice.tool) {
        (Cacheless::Variable(name), _) => {
            advice.also.push(format!("unset {name}, which turns the cache off"));
            change.uncertain = true;
        }
        (Cacheless::Option("keepcache"), Tool::Dnf | Tool::Yum) => {
            advice.also.push("keep the packages with `--setopt=keepcache=1`".to_owned());
            let programs: Vec<&str> = usages.iter().map(|(_, command, _)| command.words[0].text.as_str()).collect();
            let mut named: Vec<&str> = Vec::new();
            for program in programs {
                if !named.contains(&program) {
                    named.push(program);
                    change.words.push((program.to_owned(), format!("{program} --setopt=keepcache=1")));
                }
            }
        }
        (Cacheless::Option("keepcache"), _) => {
            advice.also.push("keep the packages with `--setopt=keepcache=1`".to_owned())
        }
        (Cacheless::Option("keep-packages"), _) => {
            advice.also.push("keep the packages with `zypper modifyrepo --keep-packages --all`".to_owned());
        }
        (Cacheless::Option(option), Tool::Apk) => {
            advice.also.push(format!("write `--update-cache` for `{option}`"));
            change.words.push((option.to_owned(), "--update-cache".to_owned()));
        }
        (Cacheless::Option(option), _) => {
            advice.also.push(format!("leave out `{option}`"));
            change.words.push((option.to_owned(), String::new()));
        }
    }
}

/// Whether an element does nothing but empty the caches.
fn empties(step: &Step<'_>, run: &Run, at: usize, advice: &CacheAdvice) -> bool {
    let element = &run.elements[at];
    let targets: Vec<&str> = advice.caches.iter().map(|cache| cache.target.as_str()).collect();
    !element.commands.is_empty()
        && element.commands.iter().all(|command| {
            let cleans = run
                .usages
                .iter()
                .any(|(_, other, usage)| other == command && usage.tool == advice.tool && cleans_cache(command, usage));
            cleans || removes_only(step, command, &targets)
        })
}

/// Whether a command empties the cache of its tool, as opposed to removing packages.
fn cleans_cache(command: &Invocation, usage: &Usage) -> bool {
    let first = command.arguments().iter().find(|word| !word.is_option()).map_or("", |word| word.text.as_str());
    usage.work == Work::Clean
        && match usage.tool {
            Tool::Apt => matches!(first, "clean" | "autoclean" | "distclean"),
            Tool::Apk => first == "cache",
            Tool::Pacman => true,
            Tool::Pnpm => first == "store" && command.has("prune"),
            _ => matches!(first, "clean" | "cache" | "clean-all" | "clear-cache" | "clearcache" | "cc"),
        }
}

/// Whether a word is never in quotes, so that it can be replaced in the text.
fn once_a_word(run: &Run, word: &str) -> bool {
    let quoted = format!("\"{word}\"");
    !run.script.contains(&quoted) && !run.script.contains(&format!("'{word}'"))
}

/// The change for caches that later commands read: every RUN of the family of stages that may need them gets the mount. `None` if
/// something outside of these RUNs may need them.
fn store(file: &File<'_>, step: usize, run: &Run, advice: &CacheAdvice) -> Option<Vec<Edit>> {
    if !matches!(
        advice.tool,
        Tool::Go | Tool::Cargo | Tool::Maven | Tool::Gradle | Tool::Sbt | Tool::Stack | Tool::Cabal | Tool::Dotnet
    ) {
        return None;
    }
    let stage = file.steps[step].stage?;
    let family = file.family(stage);
    if !run.understood {
        return None;
    }
    // Another stage takes the directory, or the image itself has it and may run the tool.
    let targets: Vec<&str> = advice.caches.iter().map(|cache| cache.target.as_str()).collect();
    let numbers: HashSet<String> = family.iter().map(usize::to_string).collect();
    let names: HashSet<&str> = family.iter().filter_map(|&member| file.stages[member].name.as_deref()).collect();
    let takes = |other: &Step<'_>| {
        let instruction = &other.instruction;
        let from = instruction.flag("from").or_else(|| instruction.flags.contains("from=").then_some(""));
        let Some(from) = from else { return false };
        if from.is_empty() {
            return true;
        }
        if !names.contains(from.to_lowercase().as_str()) && !numbers.contains(from) {
            return false;
        }
        let words = instruction.words();
        let sources = &words[..words.len().saturating_sub(1)];
        sources.iter().any(|word| {
            let path = join("/", &word.text);
            !word.literal || targets.iter().any(|target| within(target, &path) || within(&path, target))
        })
    };
    if file.steps.iter().any(takes)
        || family.contains(&(file.stages.len() - 1)) && !runs_without_tool(file, advice.tool)
    {
        return None;
    }
    // Before the first RUN that shows the tool, `make` in the same directory may have filled the store, which a mount would hide.
    let shows =
        |run: &Run| run.usages.iter().any(|(_, _, usage)| usage.tool == advice.tool && usage.work != Work::Clean);
    let own = |step: &&Step<'_>| step.stage.is_some_and(|stage| family.contains(&stage));
    let first = file.steps.iter().filter(own).find(|step| step.run.as_ref().is_some_and(shows));
    let workplace = first.and_then(|step| step.folder.as_deref()).filter(|folder| *folder != "/");
    let mut edits = Vec::new();
    let mut begun = false;
    for (other, at) in file.steps.iter().zip(0..) {
        let Some(found) = other.run.as_ref().filter(|_| other.stage.is_some_and(|stage| family.contains(&stage)))
        else {
            continue;
        };
        let uses = shows(found);
        begun |= uses || workplace.is_some() && other.folder.as_deref() == workplace && !is_aside(found);
        if !begun || !uses && is_aside(found) {
            continue;
        }
        // An unknown build may run the tool, and then needs its files.
        let wanted = if uses { caches_of(found, advice.tool) } else { advice.caches.clone() };
        let mounted = other.instruction.cache_mounts();
        let missing = wanted.iter().filter(|cache| {
            !must_be_empty(other, found, &cache.target) && !mounted.iter().any(|target| within(&cache.target, target))
        });
        let flags: Vec<String> = missing.map(Cache::flag).collect();
        if !other.around.root || other.instruction.flag("network") == Some("none") {
            return None;
        }
        if !flags.is_empty() {
            let cleans = |(_, command, usage): &(usize, Invocation, Usage)| {
                usage.tool == advice.tool && cleans_cache(command, usage)
            };
            if at != step
                && (found.usages.iter().any(cleans) || !words_that_remove(other, found, &targets, |_| false).is_empty())
            {
                return None;
            }
            edits.push(Edit { step: at, change: InstructionChange::Flags(flags.join(" ")) });
        }
    }
    Some(edits)
}

/// Whether a RUN only installs packages of the system or named packages, or only moves files.
fn is_aside(run: &Run) -> bool {
    let known = |command: &Invocation| {
        let usage = run.usages.iter().find(|(_, other, _)| other == command).map(|(_, _, usage)| usage);
        match usage {
            Some(usage) => usage.tool.is_system() || usage.tool == Tool::Download || usage.needs == Needs::Nothing,
            None => touches(command, "/").is_some(),
        }
    };
    run.understood && run.elements.iter().flat_map(|element| &element.commands).all(known)
}

/// Whether the image's own command is known and is not the tool, a shell or a script.
fn runs_without_tool(file: &File<'_>, tool: Tool) -> bool {
    let Some(stage) = file.stages.last() else { return false };
    let commands: Vec<_> = stage
        .steps
        .iter()
        .map(|&step| &file.steps[step].instruction)
        .filter(|instruction| instruction.is(Keyword::Cmd) || instruction.is(Keyword::Entrypoint))
        .collect();
    let programs = match tool {
        Tool::Go => &["go", "air", "dlv"][..],
        Tool::Cargo => &["cargo"][..],
        _ => return false,
    };
    !commands.is_empty()
        && commands.iter().all(|instruction| {
            let words: Vec<String> = match instruction.json() {
                Some(words) => words,
                None => return false,
            };
            words.iter().all(|word| {
                let name = word.rsplit('/').next().unwrap_or(word);
                !programs.contains(&name)
                    && !matches!(name, "sh" | "bash" | "make" | "npm" | "just")
                    && !name.ends_with(".sh")
            })
        })
}
