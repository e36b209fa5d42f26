//! Whose is a time in which only the shell is at work?

use super::lane::Piece;
use super::shell::Unit;
use buildscope_record::Nanos;
use std::collections::BTreeSet;

/// Whose an instant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A command.
    Unit(usize),
    /// One of the commands from the first to the last of these; it is not known which.
    Several(usize, usize),
    /// The shell, which is between commands.
    Shell,
}

/// How often a shell comes to commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Once, one after the other.
    Once,
    /// Again and again: they are in a loop.
    Cycle,
}

/// Between two commands a shell takes less time than this.
const MOMENT: Nanos = Nanos(5_000_000);

/// A time between two processes of a shell.
pub(super) struct Gap<'a> {
    pub(super) units: &'a [Unit],
    pub(super) order: Order,
    /// The commands that have processes.
    pub(super) started: &'a BTreeSet<usize>,
    /// The command of the process that started last, and of the one that starts next.
    pub(super) last: Option<usize>,
    pub(super) coming: Option<usize>,
}

impl Gap<'_> {
    /// Whose a piece of it is. All of it is of this length.
    pub(super) fn owner(&self, length: Nanos, piece: &Piece) -> Owner {
        let builtin = self.between(Unit::is_builtin);
        if let Some(unit) = self.last.filter(|&unit| Some(unit) == self.coming)
            && (self.order == Order::Once || builtin.is_empty())
        {
            return Owner::Unit(unit);
        }
        if length < MOMENT {
            let long: Vec<usize> = builtin.iter().copied().filter(|&unit| self.units[unit].work.is_long()).collect();
            return match (&long[..], &builtin[..]) {
                ([one], _) | (_, [one]) => Owner::Unit(*one),
                _ => self.last.filter(|&unit| self.units[unit].repeats).map_or(Owner::Shell, Owner::Unit),
            };
        }
        let loops = || {
            let around = [self.last, self.coming].into_iter().flatten();
            around.filter(|&unit| self.units[unit].repeats).collect::<Vec<_>>()
        };
        // A program that was never started may be part of the shell (busybox), which then takes more than a moment for it.
        let own = || self.between(|unit| !unit.is_builtin());
        self.busy(piece)
            .or_else(|| several(&self.between(|unit| unit.work.is_long())))
            .or_else(|| several(&loops()))
            .or_else(|| several(&own()))
            .or_else(|| several(&builtin))
            .unwrap_or(Owner::Shell)
    }

    /// The commands between the two processes that may take long for what the shell did in this piece.
    pub(super) fn busy(&self, piece: &Piece) -> Option<Owner> {
        several(&self.between(|unit| {
            (piece.computes > Nanos::ZERO && unit.work.computes) || (piece.waits > Nanos::ZERO && unit.work.waits)
        }))
    }

    /// The commands between the two processes that have none, in order.
    fn between(&self, wanted: impl Fn(&Unit) -> bool) -> Vec<usize> {
        let (first, count) = (self.last.map_or(0, |last| last + 1), self.units.len());
        let wanted = |unit: &usize| wanted(&self.units[*unit]) && !self.started.contains(unit);
        match (self.order, self.coming) {
            (Order::Cycle, Some(coming)) if coming < first => (first..count).chain(0..coming).filter(wanted).collect(),
            (_, coming) => (first..coming.unwrap_or(count)).filter(wanted).collect(),
        }
    }
}

/// The owner of a time that is one of these units'.
fn several(units: &[usize]) -> Option<Owner> {
    match units {
        [] => None,
        [one] => Some(Owner::Unit(*one)),
        // The end of a loop's body and its beginning are not one piece of the text.
        [first, .., last] if first > last => Some(Owner::Shell),
        [first, .., last] => Some(Owner::Several(*first, *last)),
    }
}
