//! Steps of one stage that wait for each other although neither needs the other.

use crate::file::{File, Run};
use crate::touches::{touches, within};
use crate::usage::{Needs, Tool, Work};

/// A RUN that waits for an earlier one of its stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedlessChain {
    /// The earlier RUN.
    pub first: usize,
    /// The RUN that waits for it.
    pub second: usize,
    /// The tools of the two.
    pub tools: (Tool, Tool),
}

/// The first needless chain of each stage.
pub fn needless_chains(file: &File<'_>) -> Vec<NeedlessChain> {
    let mut found = Vec::new();
    for stage in &file.stages {
        let runs: Vec<usize> = stage.steps.iter().copied().filter(|&step| file.steps[step].run.is_some()).collect();
        // Only neighbours count: a step between them may need the first and make files that the second needs.
        found.extend(runs.windows(2).find_map(|pair| chain(file, pair[0], pair[1])));
    }
    found
}

fn chain(file: &File<'_>, first: usize, second: usize) -> Option<NeedlessChain> {
    let (earlier, later) = (file.steps[first].run.as_ref()?, file.steps[second].run.as_ref()?);
    let between = file.before(second).take_while(|&step| step > first);
    let quiet = between.into_iter().all(|step| super::copies::is_setting(&file.steps[step]));
    if !quiet || !earlier.understood || !later.understood {
        return None;
    }
    let tools = match (downloads(earlier), downloads(later)) {
        (true, true) => (Tool::Download, Tool::Download),
        (false, false) => (project_install(earlier)?, project_install(later)?),
        _ => return None,
    };
    let download = tools == (Tool::Download, Tool::Download);
    if !download && (tools.0 == tools.1 || tools.0.installs_into() == tools.1.installs_into() || names(earlier, later))
    {
        return None;
    }
    // They must not write to the same place.
    let (one, other) = (paths(file, first, earlier), paths(file, second, later));
    let shared = one.iter().any(|path| other.iter().any(|other| within(path, other) || within(other, path)));
    (!download || !shared).then_some(NeedlessChain { first, second, tools })
}

/// Whether a RUN only downloads.
fn downloads(run: &Run) -> bool {
    !run.usages.is_empty()
        && run.usages.iter().all(|(_, _, usage)| usage.tool == Tool::Download && usage.needs == Needs::Nothing)
        && run
            .elements
            .iter()
            .flat_map(|element| &element.commands)
            .all(|command| run.usages.iter().any(|(_, other, _)| other == command) || touches(command, "/").is_some())
}

/// The tool of a RUN that only installs the dependencies that files of the project list.
fn project_install(run: &Run) -> Option<Tool> {
    let mut tool = None;
    for (_, _, usage) in &run.usages {
        match (&usage.needs, usage.work) {
            (Needs::Files(_), Work::Install) if tool.is_none_or(|found| found == usage.tool) => tool = Some(usage.tool),
            (_, Work::Clean) => {}
            _ => return None,
        }
    }
    let known = |command: &crate::Invocation| {
        run.usages.iter().any(|(_, other, _)| other == command) || touches(command, "/").is_some()
    };
    tool.filter(|_| run.elements.iter().flat_map(|element| &element.commands).all(known))
}

/// Whether a word of the earlier RUN names a program of the later one.
fn names(earlier: &Run, later: &Run) -> bool {
    let programs = later.elements.iter().flat_map(|element| &element.commands).map(|command| command.program());
    let mut programs = programs.filter(|program| program.len() > 1);
    let words: Vec<&str> = earlier
        .elements
        .iter()
        .flat_map(|element| &element.commands)
        .flat_map(|command| command.arguments())
        .map(|word| word.text.as_str())
        .collect();
    programs.any(|program| {
        words.iter().any(|word| {
            word.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').any(|part| part == program)
        })
    })
}

/// The absolute paths in a RUN, and the directories that it changes to.
fn paths(file: &File<'_>, step: usize, run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    for command in run.elements.iter().flat_map(|element| &element.commands) {
        let words = command.words[1..].iter().chain(&command.writes);
        found.extend(words.filter(|word| word.text.starts_with('/')).map(|word| word.text.clone()));
        if let Some(folder) = command.folder.as_deref().filter(|folder| !folder.is_empty()) {
            found.push(crate::path::join(file.steps[step].folder.as_deref().unwrap_or("/"), folder));
        }
    }
    found
}
