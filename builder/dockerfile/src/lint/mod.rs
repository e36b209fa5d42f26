//! Lint: problems of a Dockerfile that are not errors.
//!
//! *Takes* a parsed Dockerfile and the known facts about the build. *Gives* findings, each with its rule, its position
//! and advice on what to write instead. *Must never know* the file system: the caller compiles the ignore file.

mod form;
mod options;
mod performance;
mod report;
mod rules;
mod stages;
mod stop;
mod triggers;
mod variables;

pub use options::Options;
pub use report::{broken, json};
pub use rules::{Family, Rule};
pub use stop::{Pass, Stop};

use super::{Broken, Diagnostic, Diagnostics, Dockerfile, Ignore, Instruction, Kind, Span};
use buildscope_commands::rules::{Facts, Nothing};
use std::collections::BTreeMap;

/// The known facts about the build besides the Dockerfile.
#[derive(Clone, Debug)]
pub struct LintContext<'a> {
    /// The values of `--build-arg` by name.
    pub build_args: BTreeMap<String, String>,
    /// The ignore file of the build context, if it is known.
    pub ignore: Option<&'a Ignore>,
    /// The known base images, by the name that FROM expands to.
    pub bases: BTreeMap<String, BaseImage>,
    /// The options besides those of the `check` directive of the file.
    pub options: Options,
    /// The known facts about the build context.
    pub facts: &'a dyn Facts,
    /// Whether a word is a valid image name. The grammar of image names is not this crate's; the default accepts every
    /// word that is not empty.
    pub is_image_name: fn(&str) -> bool,
    /// Returns the operating system and the architecture that a platform names, if it names a valid one. The grammar is
    /// not this crate's either; the default takes the words between slashes.
    pub platform_of: fn(&str) -> Option<[String; 2]>,
    /// The place at which BuildKit's front end stops, if the file has errors. Its rules report nothing that comes after.
    pub stop: Option<Stop>,
}

impl Default for LintContext<'_> {
    fn default() -> Self {
        Self {
            build_args: BTreeMap::new(),
            ignore: None,
            bases: BTreeMap::new(),
            options: Options::default(),
            facts: &Nothing,
            is_image_name: |word| !word.is_empty(),
            platform_of: |word| {
                let (os, rest) = word.split_once('/')?;
                Some([os.to_owned(), rest.split('/').next().unwrap_or(rest).to_owned()])
            },
            stop: None,
        }
    }
}

/// The known facts about a base image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BaseImage {
    /// The environment, each variable as `NAME=value`.
    pub env: Vec<String>,
    /// Whether the image sets a shell (`SHELL`).
    pub shell: bool,
}

/// A problem that a rule found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The rule that found the problem.
    pub rule: Rule,
    /// The problem and its position.
    pub diagnostic: Diagnostic,
    /// The first and the last line at which the problem is reported, counted from 1. `None` if it has no position in the
    /// file.
    pub lines: Option<(u32, u32)>,
}

impl Finding {
    /// Creates a finding of a rule at the lines of an instruction.
    pub fn new(rule: Rule, lines: (u32, u32), diagnostic: Diagnostic) -> Self {
        Self { rule, diagnostic: Diagnostic { warning: true, code: rule.name(), ..diagnostic }, lines: Some(lines) }
    }

    /// Creates a finding about the request, which has no position in the file.
    pub fn without_position(rule: Rule, diagnostic: Diagnostic) -> Self {
        Self { lines: None, ..Self::new(rule, (0, 0), diagnostic) }
    }

    /// The finding as BuildKit's progress shows it: `RULE: MESSAGE (line N)`.
    pub fn in_one_line(&self) -> String {
        let line = self.lines.map(|(first, _)| format!(" (line {first})")).unwrap_or_default();
        format!("{}: {}{line}", self.rule.name(), self.diagnostic.message)
    }
}

/// All findings of a file.
#[derive(Clone, Debug)]
pub struct Report {
    /// The findings in the order of the file.
    pub findings: Vec<Finding>,
    /// Whether findings are errors (`error=true`).
    pub error: bool,
}

impl Report {
    /// Returns the findings as printable diagnostics.
    pub fn diagnostics(&self, file: &Dockerfile<'_>) -> Diagnostics {
        Diagnostics::new(file.text, self.findings.iter().map(|finding| finding.diagnostic.clone()).collect())
    }
}

/// Collects findings, without those of rules that are skipped.
struct Linter<'a> {
    file: &'a Dockerfile<'a>,
    context: &'a LintContext<'a>,
    options: Options,
    /// The findings, each with the offset of the instruction at which BuildKit reports it.
    findings: Vec<(usize, Finding)>,
    /// The first error that the rules met.
    stop: Option<Stop>,
}

impl Linter<'_> {
    fn find(
        &mut self,
        rule: Rule,
        at: &Instruction<'_>,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.find_at(rule, at, at.lines, Diagnostic::new(span, message).help(help));
    }

    /// Adds a finding that is reported at other lines than those of its instruction.
    fn find_at(&mut self, rule: Rule, at: &Instruction<'_>, lines: (u32, u32), diagnostic: Diagnostic) {
        self.find_when(at.span.range().start, at.comments, Finding::new(rule, lines, diagnostic));
    }

    /// Adds a finding about an instruction with errors.
    fn find_broken(&mut self, rule: Rule, at: &Broken, lines: (u32, u32), message: String, help: &str) {
        let diagnostic = Diagnostic::new(at.keyword_span, message).help(help);
        self.find_when(at.keyword_span.range().start, at.comments, Finding::new(rule, lines, diagnostic));
    }

    /// Adds a finding that BuildKit reports at the instruction with this offset.
    fn find_when(&mut self, offset: usize, comments: (u32, u32), finding: Finding) {
        if self.options.applies(finding.rule) && !skipped(self.file, comments, finding.rule) {
            self.findings.push((offset, finding));
        }
    }

    /// Notes that BuildKit stops at an instruction.
    fn stops(&mut self, pass: Pass, at: &Instruction<'_>) {
        self.stops_with(Stop::at(pass, at.span.range().start));
    }

    fn stops_with(&mut self, stop: Stop) {
        self.stop = Some(self.stop.map_or(stop, |known| known.min(stop)));
    }
}

/// Returns whether a rule applies to an instruction: neither the `check` directive of the file nor a comment above the instruction
/// skips it.
pub fn applies_at(file: &Dockerfile<'_>, at: &Instruction<'_>, rule: Rule) -> bool {
    Options::of_file(file).is_ok_and(|options| options.applies(rule)) && !skipped(file, at.comments, rule)
}

/// Returns whether a comment `# check=skip=...` directly above an instruction skips the rule for this instruction.
fn skipped(file: &Dockerfile<'_>, comments: (u32, u32), rule: Rule) -> bool {
    file.comments_in(comments).iter().any(|span| {
        let comment = file.text[span.range()].trim_start_matches('#').trim_start();
        let options = comment.strip_prefix("check=").map(Options::parse);
        options.is_some_and(|options| {
            options.is_ok_and(|options| {
                options.skip_all || options.skip.contains(&rule) || {
                    options.skip_performance && rule.family() == Family::Performance
                }
            })
        })
    })
}

/// Applies all rules to a file.
///
/// # Errors
/// An invalid `check` directive.
pub fn run(file: &Dockerfile<'_>, context: &LintContext<'_>) -> Result<Report, Diagnostics> {
    let of_file = Options::of_file(file).map_err(|diagnostic| Diagnostics::new(file.text, vec![diagnostic]))?;
    let options = context.options.and(&of_file);
    let error = options.error;
    let mut linter = Linter { file, context, options, findings: Vec::new(), stop: None };
    let stages = triggers::stages(file);
    form::check(&mut linter, &stages);
    stages::check(&mut linter, &stages);
    variables::check(&mut linter, &stages);
    performance::check(&mut linter);
    let stop = context.stop.map(|stop| linter.stop.map_or(stop, |own| own.min(stop)));
    let reported = |(at, finding): &(usize, Finding)| {
        let of_buildkit = finding.rule.family().is_of_buildkit();
        !of_buildkit || stop.is_none_or(|stop| stop.comes_after(finding.rule, *at, file))
    };
    linter.findings.retain(reported);
    let mut findings: Vec<Finding> = linter.findings.into_iter().map(|(_, finding)| finding).collect();
    findings.sort_by_key(|finding| (finding.diagnostic.span.map(|span| span.start), finding.rule));
    Ok(Report { findings, error })
}

/// Returns the instructions of each stage, starting with its FROM.
fn by_stage<'f, 't>(file: &'f Dockerfile<'t>) -> impl Iterator<Item = &'f [Instruction<'t>]> {
    let instructions = &file.instructions;
    let first = instructions.iter().position(|found| matches!(found.kind, Kind::From(_))).unwrap_or(instructions.len());
    instructions[first..].chunk_by(|_, next| !matches!(next.kind, Kind::From(_)))
}

#[cfg(test)]
mod tests;
