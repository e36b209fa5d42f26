//! Divides the time between two lines of a step's output.

use super::marks::LineMark;
use super::silent;
use crate::inside::Activity;
use crate::inside::shell::Unit;
use crate::inside::tools::Says;
use buildscope_record::Nanos;

/// The first and the last command of a row. Between the commands of a row of several, no line divides the time.
pub(super) type Span = (usize, usize);

/// The time between two lines. The first one may be the start of the step, the second one its end.
pub(super) struct Gap<'m> {
    pub(super) before: Option<&'m LineMark>,
    /// What the command of the first line does since then.
    pub(super) doing: Option<Activity>,
    pub(super) mark: Option<&'m LineMark>,
    pub(super) from: Nanos,
    pub(super) to: Nanos,
}

/// A part of such a time. Without a span, it belongs to no command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GapPart {
    pub(super) length: Nanos,
    pub(super) span: Option<Span>,
    pub(super) activity: Option<Activity>,
}

impl Gap<'_> {
    /// The parts in their order.
    pub(super) fn parts(&self, units: &[Unit]) -> Vec<GapPart> {
        let begun = GapPart {
            length: self.to.saturating_sub(self.from),
            span: self.before.and_then(|mark| mark.unit).map(|unit| (unit, unit)),
            activity: self.doing,
        };
        match self.mark.map(|mark| (mark, mark.unit.zip(mark.says))) {
            Some((mark, Some((unit, says)))) => self.until_line(units, begun, mark, unit, says),
            // A command starts, or no command can have printed the line.
            Some((_, None)) => vec![begun],
            None => vec![self.until_end(units, begun)],
        }
    }

    /// A command that prints nothing and the start of the next one share the time up to a line of that one. So does the command of the line
    /// before if that is not its last one: it may have gone on.
    fn until_line(&self, units: &[Unit], begun: GapPart, mark: &LineMark, unit: usize, says: Says) -> Vec<GapPart> {
        let length = begun.length;
        let ended = match says {
            Says::Ended(activity) => Some(activity),
            Says::Begins(_) | Says::Interrupts(_) => None,
        };
        let is_same = self.before.and_then(|before| before.unit) == Some(unit);
        let is_next = !is_same && self.before.is_none_or(|before| before.is_last);
        let silent = if is_same { Vec::new() } else { self.silent(units, unit) };
        let since_began = mark.began.map(|began| self.to.saturating_sub(began).min(length));
        let is_alone = silent.is_empty() && (is_next || is_same && self.doing.is_none_or(|doing| Some(doing) == ended));
        // The time that is the command's by what the line says.
        let own = match (ended, mark.lasted) {
            (Some(_), Some(lasted)) => lasted.min(length),
            (Some(_), None) if is_alone => length,
            _ if !silent.is_empty() => since_began.unwrap_or_default(),
            (Some(_), None) => since_began.unwrap_or(length),
            (None, _) => Nanos::ZERO,
        };
        let only = Some((unit, unit));
        let at_first = match (ended, mark.lasted) {
            (Some(_), Some(_)) => silent::activity(&units[unit]),
            (Some(ended), None) => Some(ended),
            (None, _) => silent::first_activity(&units[unit]),
        };
        let before = match &silent[..] {
            [_, ..] => self.shared(units, &silent, begun, Some((unit, at_first))),
            [] if is_next || is_same && ended.is_some() && self.doing.is_none() => {
                GapPart { span: only, activity: at_first, ..begun }
            }
            [] => begun,
        };
        let own = GapPart { length: own, span: only, activity: ended.or(at_first) };
        vec![GapPart { length: length - own.length, ..before }, own]
    }

    /// After the last line of a tool, a command that prints nothing runs, or the builder keeps what the step changed: docker's classic
    /// builder does that within the step.
    fn until_end(&self, units: &[Unit], begun: GapPart) -> GapPart {
        let silent = self.silent(units, units.len());
        let is_last = self.before.is_none_or(|before| before.is_last);
        if silent.is_empty() && !is_last {
            return begun;
        }
        self.shared(units, &silent, begun, None)
    }

    /// The commands that print nothing between the one of the first line and another one.
    fn silent(&self, units: &[Unit], until: usize) -> Vec<usize> {
        (self.next()..until).filter(|&unit| silent::takes_time(&units[unit])).collect()
    }

    /// The time that silent commands share, with the command of the first line if that may go on, and with the start of the next one.
    fn shared(
        &self,
        units: &[Unit],
        silent: &[usize],
        begun: GapPart,
        next: Option<(usize, Option<Activity>)>,
    ) -> GapPart {
        let goes_on = self.before.filter(|before| !before.is_last).and(begun.span);
        let own = goes_on.map(|(unit, _)| (unit, begun.activity));
        let all = silent.iter().map(|&unit| (unit, silent::activity(&units[unit])));
        let all: Vec<(usize, Option<Activity>)> = own.into_iter().chain(all).chain(next).collect();
        let span = all.first().zip(all.last()).map(|((first, _), (last, _))| (*first, *last));
        GapPart { span, activity: silent::common(all.into_iter().map(|(_, activity)| activity)), ..begun }
    }

    /// The command after the one of the first line.
    fn next(&self) -> usize {
        self.before.and_then(|mark| mark.unit).map_or(0, |unit| unit + 1)
    }
}
