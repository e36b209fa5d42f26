//! Rules about slow builds, as far as the text shows the cause.

use super::tools::{self, Tool};
use super::{Linter, Rule};
use crate::{Instruction, Kind, Run, Span, clean};

/// The parts of names of arguments whose values change at every build.
const CHANGING: [&str; 10] =
    ["commit", "sha", "revision", "rev", "timestamp", "date", "cachebust", "cache_bust", "buildnumber", "vcs_ref"];

pub(super) fn check(linter: &mut Linter<'_>) {
    let file = linter.file;
    for stage in super::by_stage(file) {
        let steps: Vec<Step<'_>> = stage.iter().map(Step::of).collect();
        copy_before_install(linter, &steps);
        cache_busting(linter, stage);
        chains(linter, &steps);
        cache_mounts(linter, &steps);
        recursive(linter, &steps);
    }
}

/// An instruction, and the shell script if it is a RUN.
struct Step<'a> {
    instruction: &'a Instruction<'a>,
    run: Option<(&'a Run<'a>, String)>,
}

impl<'a> Step<'a> {
    fn of(instruction: &'a Instruction<'_>) -> Self {
        let run = match &instruction.kind {
            Kind::Run(run) => Some((run, tools::text(run))),
            _ => None,
        };
        Self { instruction, run }
    }

    fn tools(&self) -> Vec<Tool> {
        let commands = self.run.iter().flat_map(|(_, text)| tools::commands(text));
        commands.filter_map(|words| tools::tool(&words)).collect()
    }

    fn has_cache_mount(&self) -> bool {
        self.run.as_ref().is_some_and(|(run, _)| run.mounts().any(|mount| mount.contains("type=cache")))
    }

    fn copies_everything(&self) -> bool {
        match &self.instruction.kind {
            Kind::Copy(copy) => {
                copy.from().is_none()
                    && copy.sources().iter().any(|source| matches!(&*source.text, "." | "./" | "*" | "/"))
            }
            _ => false,
        }
    }
}

/// Returns the span of the keyword, which is enough to identify a long instruction.
fn head(instruction: &Instruction<'_>) -> Span {
    instruction.keyword_span
}

fn copy_before_install(linter: &mut Linter<'_>, steps: &[Step<'_>]) {
    let Some(at) = steps.iter().position(Step::copies_everything) else { return };
    // An install before this COPY shows that the manifests are copied separately.
    if steps[..at].iter().flat_map(Step::tools).any(|tool| !tool.manifests.is_empty()) {
        return;
    }
    let after = steps[at..].iter().filter(|step| !step.has_cache_mount());
    let Some((step, tool)) = after
        .flat_map(|step| step.tools().into_iter().map(move |tool| (step, tool)))
        .find(|(_, tool)| !tool.manifests.is_empty())
    else {
        return;
    };
    let copy = steps[at].instruction;
    let line = step.instruction.lines.0;
    linter.find(
        Rule::CopyBeforeInstall,
        copy,
        copy.span,
        format!(
            "everything is copied before {} fetches dependencies in line {line}: each edit fetches them again",
            tool.name
        ),
        format!("write COPY {} ./ and the RUN that installs first, then COPY . .", tool.manifests),
    );
}

fn cache_busting(linter: &mut Linter<'_>, stage: &[Instruction<'_>]) {
    for (at, instruction) in stage.iter().enumerate() {
        let Kind::Arg(arguments) = &instruction.kind else { continue };
        for argument in arguments {
            let name = argument.name.to_lowercase();
            // An argument with a default is a pinned version.
            let pinned = argument.default.as_ref().is_some_and(|default| !default.trim_matches(['"', '\'']).is_empty());
            let parts: Vec<&str> = name.split('_').collect();
            let changing = CHANGING.iter().any(|part| parts.contains(part) || name == *part)
                || matches!(&*name, "version" | "app_version" | "build_number" | "build_id" | "build_version");
            if pinned || !changing {
                continue;
            }
            let uses = |instruction: &Instruction<'_>| {
                mentions(&linter.file.text[instruction.span.range()], &argument.name.text)
            };
            let after = &stage[at + 1..];
            let first_use = after.iter().position(uses);
            let between = &after[..first_use.unwrap_or(after.len())];
            let runs = between.iter().filter(|found| matches!(found.kind, Kind::Run(_))).count();
            if runs == 0 {
                continue;
            }
            let help = match first_use {
                Some(used) => format!("move it down to line {}, where it is used", after[used].lines.0),
                None => "remove it: nothing in this stage uses it".into(),
            };
            linter.find(
                Rule::CacheBustingOrder,
                instruction,
                argument.name.span,
                format!(
                    "{} changes at every build, so {runs} RUN below it run again although they do not use it",
                    argument.name.text
                ),
                help,
            );
        }
    }
}

/// Returns whether a text uses `$NAME` or `${NAME`.
fn mentions(text: &str, name: &str) -> bool {
    memchr::memchr_iter(b'$', text.as_bytes()).any(|at| {
        let rest = text[at + 1..].trim_start_matches('{');
        rest.strip_prefix(name).is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

fn chains(linter: &mut Linter<'_>, steps: &[Step<'_>]) {
    let fetches = |step: &&Step<'_>| {
        step.run.as_ref().is_some_and(|(_, text)| tools::commands(text).iter().any(|words| tools::downloads(words)))
            && step.tools().is_empty()
    };
    let downloads: Vec<&Step<'_>> = steps.iter().filter(fetches).collect();
    if let [first, second, ..] = &*downloads {
        linter.find(
            Rule::NeedlessChain,
            second.instruction,
            head(second.instruction),
            format!("this download waits for the one in line {}, which it does not need", first.instruction.lines.0),
            "give each download a stage of its own (FROM base AS fetch-a) and COPY --from it: stages run in parallel",
        );
    }
    let managers: Vec<(&Step<'_>, Tool)> = steps
        .iter()
        .filter_map(|step| match &*step.tools() {
            // A system package manager does not count, because the other managers need its packages.
            [tool] if !tool.manifests.is_empty() => Some((step, *tool)),
            _ => None,
        })
        .collect();
    if let Some(pair) = managers.windows(2).find(|pair| pair[0].1 != pair[1].1) {
        let ((first, earlier), (second, later)) = (&pair[0], &pair[1]);
        linter.find(
            Rule::NeedlessChain,
            second.instruction,
            head(second.instruction),
            format!(
                "{} waits for {} in line {}, which it does not need",
                later.name, earlier.name, first.instruction.lines.0
            ),
            format!("run {} in a stage of its own and COPY --from it: stages run in parallel", later.name),
        );
    }
}

fn cache_mounts(linter: &mut Linter<'_>, steps: &[Step<'_>]) {
    for step in steps.iter().filter(|step| !step.has_cache_mount()) {
        let Some((_, text)) = &step.run else { continue };
        let fetching = tools::commands(text).into_iter().filter(|words| !tools::offline(words));
        let Some(tool) = fetching.filter_map(|words| tools::tool(&words)).next() else { continue };
        let extra = if tool.name == "apt" { " (and remove the rm -rf /var/lib/apt/lists)" } else { "" };
        linter.find(
            Rule::MissingCacheMount,
            step.instruction,
            head(step.instruction),
            format!("{} has no cache mount, so this step downloads everything again whenever it runs", tool.name),
            format!("write RUN {} ...{extra}", tool.mounts()),
        );
    }
}

fn recursive(linter: &mut Linter<'_>, steps: &[Step<'_>]) {
    for (at, step) in steps.iter().enumerate() {
        let Some((_, text)) = &step.run else { continue };
        let commands = tools::commands(text);
        let changes = commands.iter().enumerate().filter_map(|(i, words)| Some((i, tools::recursive_change(words)?)));
        for (i, (program, value, paths)) in changes {
            // Files that the same RUN created are stored only once.
            let made_here =
                |path: &&str| commands[..i].iter().flatten().any(|word| word.contains(path.trim_end_matches('/')));
            let Some(path) = paths.iter().find(|path| !made_here(path)) else { continue };
            let copied = steps[..at].iter().rev().find_map(|earlier| match &earlier.instruction.kind {
                Kind::Copy(copy) => {
                    let (from, to) = (clean(path), clean(&copy.destination().text));
                    let related =
                        from.starts_with(&*to) || to.starts_with(&*from) || !copy.destination().starts_with('/');
                    related.then_some(earlier.instruction)
                }
                _ => None,
            });
            let flag = if program == "chown" { "--chown" } else { "--chmod" };
            let instead = match copied {
                Some(copy) => {
                    format!(
                        "write {} {flag}={value} in line {}, and remove this {program}",
                        copy.keyword().name(),
                        copy.lines.0
                    )
                }
                None => format!("run {program} in the RUN that creates the files, or only on the files that need it"),
            };
            linter.find(
                Rule::RecursiveChown,
                step.instruction,
                step.instruction.span,
                format!("{program} -R {path} stores every file below it a second time"),
                instead,
            );
        }
    }
}
