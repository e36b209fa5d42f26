//! Suggestions about compilers and tests.

use super::calls::Leaf;
use super::{Finding, StepHost};
use crate::inside::{Activity, CommandRow};
use buildscope_commands::Invocation;
use buildscope_record::Nanos;

/// A make that has fewer compilers at once, or uses fewer processors, runs one process at a time.
const ONE: f64 = 1.3;

/// Compilers that run one after the other.
pub(super) fn jobs(leaf: &Leaf<'_>, call: &Invocation, host: StepHost<'_>) -> Option<Finding> {
    let StepHost { processors, around, .. } = host;
    let row = leaf.row;
    let (builds, setting) = match call.program() {
        "make" | "gmake" => (true, "MAKEFLAGS"),
        "cmake" => (call.has("--build"), "CMAKE_BUILD_PARALLEL_LEVEL"),
        _ => (false, ""),
    };
    let set = call.variables.get(setting).or_else(|| around.variables.get(setting));
    let is_set = set.is_some_and(|value| {
        setting != "MAKEFLAGS"
            || value
                .split(' ')
                .any(|word| has_jobs(word) || !word.starts_with('-') && word.contains('j') && !word.contains('='))
    });
    let compile = row.activities.iter().find(|done| done.activity == Activity::Compile)?;
    // Compilers that wait for a processor of a loaded machine run at the same time, too.
    let at_once = compile.time.as_secs_f64() / compile.wall.as_secs_f64().max(f64::MIN_POSITIVE);
    let given = is_set || call.arguments().iter().any(|word| has_jobs(&word.text));
    if !builds || given || compile.count < 4 || processors < 2 || at_once > ONE || row.processors() > ONE {
        return None;
    }
    // What is not compiled runs one after the other in any case.
    let lanes = u64::from(processors).min(compile.count);
    let gain = Nanos(compile.cpu.0 / lanes * (lanes - 1));
    let change = with_jobs(&row.text);
    let text = format!(
        "`{}` runs one of its {} compilers at a time and uses {:.1} of {processors} processors: `{}`",
        row.text,
        compile.count,
        row.processors(),
        change.as_ref().map_or("make -j$(nproc)", |(_, new)| new.as_str())
    );
    let caveat = "the makefile must allow it, and other steps need processors too";
    let mut finding = Finding::at("make-jobs", leaf, gain, text, caveat);
    finding.change = change.filter(|_| leaf.is_written());
    Some(finding)
}

/// Whether a word is the option for parallel jobs, alone or among other letters (`-kj4`). The text after a letter with a value is that value.
fn has_jobs(word: &str) -> bool {
    if word.starts_with("--") {
        return word.starts_with("--jobs") || word.starts_with("--parallel");
    }
    let letters = word.strip_prefix('-').unwrap_or_default();
    letters.chars().take_while(|letter| !"CfIoWEl".contains(*letter)).any(|letter| letter == 'j')
}

/// Returns the text of a command, and the same with as many jobs as processors; `None` if the position of the option is not certain.
pub(super) fn with_jobs(command: &str) -> Option<(String, String)> {
    let words: Vec<&str> = command.split(' ').collect();
    let mut programs = (0..words.len()).filter(|&at| ["make", "gmake", "cmake"].contains(&words[at]));
    let program = programs.next().filter(|_| programs.next().is_none())?;
    // What is before the program must not be a part of its arguments or of a text.
    let is_assignment = |word: &&str| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let wrappers = ["env", "nice", "time", "exec", "command"];
    let is_known =
        |word: &&str| wrappers.contains(word) || is_assignment(word) && !word.contains(['"', '\'', '`', '$']);
    if !words[..program].iter().all(is_known) {
        return None;
    }
    let at = match words[program] {
        "cmake" => {
            // The directory comes first, and what follows `--` is for the tool that cmake starts.
            let folder = words.get(program + 2)?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
            let known = words[program + 1] == "--build" && !folder.starts_with('-') && folder.chars().all(plain);
            known.then_some(program + 3)?
        }
        _ => program + 1,
    };
    let option = if words[program] == "cmake" { "--parallel \"$(nproc)\"" } else { "-j\"$(nproc)\"" };
    let new: Vec<&str> = words[..at].iter().copied().chain([option]).chain(words[at..].iter().copied()).collect();
    Some((command.to_owned(), new.join(" ")))
}

/// Suggests a stage of its own for tests that delay the commands after them.
pub(super) fn tests_first(row: &CommandRow, after: &[&CommandRow]) -> Option<Finding> {
    let done = |row: &CommandRow, wanted: &[Activity]| -> Nanos {
        row.activities.iter().filter(|done| wanted.contains(&done.activity)).map(|done| done.time).sum()
    };
    let all: Nanos = row.activities.iter().map(|done| done.time + done.network).sum();
    let tests = done(row, &[Activity::Test]);
    let builds = |next: &&CommandRow| done(next, &[Activity::Link, Activity::Compile]).0 * 2 > next.wall.0;
    let mut next = after.iter().copied().filter(builds).peekable();
    let first = next.peek()?;
    let text = format!(
        "`{}` runs tests for {} before `{}`: run the tests in a stage of their own, which runs in parallel",
        row.text, row.wall, first.text
    );
    let caveat = "builds whose target does not need that stage do not run the tests";
    let delayed: Nanos = next.map(|next| next.wall).sum();
    (tests.0 * 2 > all.0).then(|| Finding::of("tests-first", row, row.wall.min(delayed), text, caveat))
}
