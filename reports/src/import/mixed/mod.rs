//! Separates the lines of builds that wrote to one log at the same time, for builders that announce each step with its number.
//!
//! *Takes* the lines of a log, what each line says about the state of its build, and the Dockerfiles that may have been built. *Gives* the
//! lines of each build. A line that several running builds may have written belongs to the one whose Dockerfile has the step, otherwise to
//! the one that wrote last.

pub(crate) mod buildah;
pub(crate) mod classic;

use super::draft::Draft;
use super::log::LogLine;
use std::collections::VecDeque;

/// The most concurrent builds that are distinguished.
pub(super) const MOST_AT_ONCE: usize = 16;

/// What the record of a build says whose lines are mixed with those of others.
pub(super) fn note(told_apart_by: &str) -> String {
    format!(
        "the lines of several builds are mixed: {told_apart_by} tell them apart, and some lines may be counted with the wrong one"
    )
}

/// What the record of such a build says if the log shows none of its steps. BuildKit executes equal steps of several builds once, and docker
/// 20.10 shows them in the log of one of these builds.
pub(super) const STEPS_ELSEWHERE: &str = "the log shows no step of this build that ran: an equal build ran at the same time, and its steps may be \
    those of both";

/// Whether each of these builds wrote at the same time as another, by the numbers of their first and last lines.
pub(super) fn are_mixed(spans: &[(usize, usize)]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|&index| spans[index].0);
    let mut mixed = vec![false; spans.len()];
    let mut before: Option<usize> = None;
    for (at, &index) in order.iter().enumerate() {
        let (first, last) = spans[index];
        let next = order.get(at + 1).is_some_and(|&next| spans[next].0 <= last);
        mixed[index] = next || before.is_some_and(|before| first <= before);
        before = before.max(Some(last));
    }
    mixed
}

/// A step that a line announces. Stages and steps are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced<'t> {
    pub(crate) stage: u32,
    /// The number of stages.
    pub(crate) stages: u32,
    pub(crate) number: u32,
    /// The number of steps in the stage.
    pub(crate) of: u32,
    pub(crate) text: &'t str,
}

/// How surely a build wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// Only if no other build did.
    Unlikely,
    Possible,
    Likely,
    /// Only a build in this state writes it.
    Sure,
}

/// A line that belongs to the same build as a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// The first step of a build.
    Start,
    /// The next sure line of a build that goes on.
    Next,
}

/// The state of a build, by the lines that it wrote so far.
pub(crate) trait BuildState: Default {
    /// Reads a line that announces a step.
    fn announced(text: &str) -> Option<Announced<'_>>;

    /// The instruction of a Dockerfile that a step executes.
    fn instruction<'f>(file: &'f [String], step: &Announced<'_>) -> Option<&'f String>;

    /// The later line that shows which build wrote this one.
    fn before(text: &str) -> Option<Before>;

    /// How surely the build announces this step next.
    fn expects(&self, step: &Announced<'_>) -> Fit;

    /// Whether builds write this line in the order in which they began to wait for it.
    fn is_in_turn(text: &str) -> bool;

    /// How surely the build wrote another line.
    fn fits(&self, text: &str) -> Fit;

    /// Takes a line of the build.
    fn add(&mut self, text: &str);
}

/// The lines of a build.
pub(crate) struct BuildLines<'l> {
    pub(crate) lines: Vec<&'l LogLine>,
    /// Whether another build wrote lines in between.
    pub(crate) is_mixed: bool,
}

impl BuildLines<'_> {
    /// The builds that a function reads from the lines. Their records say that lines were mixed.
    pub(crate) fn noted(self, read: impl Fn(&[&LogLine]) -> Vec<Draft>) -> Vec<Draft> {
        let mut drafts = read(&self.lines);
        drafts
            .iter_mut()
            .filter(|_| self.is_mixed)
            .for_each(|draft| draft.notes.push(note("the numbers and texts of steps")));
        drafts
    }
}

/// A build that wrote some of the lines.
struct Writer<'l, 'f, S> {
    state: S,
    lines: Vec<&'l LogLine>,
    /// The numbers of its first line, its last line, and the last line that is surely its own.
    first: usize,
    last: usize,
    sure: usize,
    /// The number of sure lines.
    known: usize,
    /// The Dockerfiles that have all steps so far.
    files: Vec<&'f [String]>,
}

impl<'l, S: BuildState> Writer<'l, '_, S> {
    fn has_file_with(&self, step: Option<&Announced<'_>>) -> bool {
        step.is_some_and(|step| self.files.iter().any(|file| has::<S>(file, step)))
    }

    fn add(&mut self, line: &'l LogLine, fit: Fit) {
        let text = line.text.trim_start();
        if let Some(step) = S::announced(text) {
            self.files.retain(|file| has::<S>(file, &step));
        }
        self.state.add(text);
        self.lines.push(line);
        self.last = line.number;
        if fit == Fit::Sure {
            self.sure = line.number;
            self.known += 1;
        }
    }
}

/// Separates the builds of a log. Builds one after the other stay together.
pub(crate) fn separated<'l, S: BuildState>(lines: Vec<&'l LogLine>, files: &[Vec<String>]) -> Vec<BuildLines<'l>> {
    let mut writers: Vec<Writer<'l, '_, S>> = Vec::new();
    let mut held = HeldLines::default();
    let mut current = 0;
    for &line in &lines {
        let text = line.text.trim_start();
        let step = S::announced(text);
        let fit = |writer: &Writer<'_, '_, S>| match &step {
            Some(step) => writer.state.expects(step),
            None => writer.state.fits(text),
        };
        let rank = |(index, writer): (usize, &Writer<'_, '_, S>)| {
            let fit = fit(writer);
            let turn = if S::is_in_turn(text) { usize::MAX - writer.last } else { writer.last };
            (fit > Fit::Unlikely, writer.has_file_with(step.as_ref()), fit, turn, index)
        };
        let recent = writers.len().saturating_sub(MOST_AT_ONCE);
        let best = writers.iter().enumerate().skip(recent).map(rank).max();
        let (fit, index) = best.map_or((Fit::Unlikely, current), |(.., fit, _, index)| (fit, index));
        let starts = step.is_some_and(|step| step.number == 1 || writers.is_empty()) && fit < Fit::Sure;
        let wanted = if starts { Before::Start } else { Before::Next };
        match S::before(text).filter(|_| fit < Fit::Sure) {
            Some(before) => {
                held.of(before).push_back(line);
                continue;
            }
            None if starts => {
                let files = files.iter().map(Vec::as_slice).collect();
                let number = line.number;
                writers.push(Writer {
                    state: S::default(),
                    lines: Vec::new(),
                    first: number,
                    last: number,
                    sure: number,
                    known: 0,
                    files,
                });
                current = writers.len() - 1;
            }
            None if fit > Fit::Unlikely => current = index,
            None => {}
        }
        let Some(writer) = writers.get_mut(current) else { continue };
        if (starts || fit == Fit::Sure)
            && let Some(before) = held.of(wanted).pop_front()
        {
            writer.add(before, Fit::Possible);
        }
        writer.add(line, if starts { Fit::Possible } else { fit });
    }
    if let Some(writer) = writers.get_mut(current) {
        held.rest().into_iter().for_each(|line| writer.add(line, Fit::Possible));
    }
    // A step may print what a build prints at its start.
    let count = writers.len();
    let mut before = 0;
    writers.retain(|writer| {
        let is_build = writer.known > 0 || writer.first >= before;
        before = before.max(writer.sure);
        is_build
    });
    let spans: Vec<(usize, usize)> = writers.iter().map(|writer| (writer.first, writer.sure)).collect();
    let mixed = are_mixed(&spans);
    if writers.len() == count && !mixed.contains(&true) {
        return vec![BuildLines { lines, is_mixed: false }];
    }
    let separate = |(writer, is_mixed): (Writer<'l, '_, S>, bool)| BuildLines { is_mixed, lines: writer.lines };
    writers.into_iter().zip(mixed).map(separate).collect()
}

/// Lines that belong to the same build as a later one.
#[derive(Default)]
struct HeldLines<'l> {
    start: VecDeque<&'l LogLine>,
    next: VecDeque<&'l LogLine>,
}

impl<'l> HeldLines<'l> {
    fn of(&mut self, before: Before) -> &mut VecDeque<&'l LogLine> {
        match before {
            Before::Start => &mut self.start,
            Before::Next => &mut self.next,
        }
    }

    /// All lines, in their order.
    fn rest(self) -> Vec<&'l LogLine> {
        let mut lines: Vec<_> = self.start.into_iter().chain(self.next).collect();
        lines.sort_by_key(|line| line.number);
        lines
    }
}

/// Whether a Dockerfile has this step.
fn has<S: BuildState>(file: &[String], step: &Announced<'_>) -> bool {
    S::instruction(file, step).is_some_and(|own| {
        let (mut own, mut shown) = (own.split_whitespace(), step.text.split_whitespace());
        let (keyword, named) = (own.next().unwrap_or_default(), shown.next().unwrap_or_default());
        keyword.eq_ignore_ascii_case(named) && own.eq(shown)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_that_wrote_at_the_same_time_are_mixed() {
        assert_eq!(are_mixed(&[(1, 4), (5, 9)]), [false, false], "one after the other");
        assert_eq!(are_mixed(&[(5, 9), (1, 5), (20, 30)]), [true, true, false]);
        assert_eq!(are_mixed(&[(1, 90), (10, 20), (30, 40), (91, 95)]), [true, true, true, false]);
        assert_eq!(are_mixed(&[(1, 4), (usize::MAX, 0)]), [false, false], "one wrote nothing");
    }
}
