//! Decides which command the time belongs to in which only the shell works.

use super::activity::Piece;
use super::owner::Owner;
use super::shell::Unit;
use buildscope_record::Nanos;
use std::collections::BTreeSet;

/// How a shell runs its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Once, in the order of the text.
    Once,
    /// Repeatedly, in a loop.
    Cycle,
}

/// The longest time that a shell takes between two commands.
const MOMENT: Nanos = Nanos(5_000_000);

/// A time between two processes of a shell.
pub(super) struct Gap<'a> {
    pub(super) units: &'a [Unit],
    pub(super) order: Order,
    /// The commands that have, or may have, processes.
    pub(super) started: &'a BTreeSet<usize>,
    /// The owner of the process that started last, and of the one that starts next.
    pub(super) last: Owner,
    pub(super) coming: Owner,
}

impl Gap<'_> {
    /// The owner of a piece of the gap. `length` is the length of the whole gap.
    pub(super) fn owner(&self, length: Nanos, piece: &Piece) -> Owner {
        let builtin = self.between(Unit::is_builtin);
        let both = self.last != Owner::Shell && self.last == self.coming;
        if both && (self.order == Order::Once || builtin.is_empty()) {
            return self.last;
        }
        if length < MOMENT {
            let long: Vec<usize> = builtin.iter().copied().filter(|&unit| self.units[unit].work.is_long()).collect();
            return match (&long[..], &builtin[..]) {
                ([one], _) | (_, [one]) => Owner::Unit(*one),
                _ if self.repeats(self.last) => self.last,
                _ => Owner::Shell,
            };
        }
        let loops = || {
            let around = [self.last, self.coming].into_iter().filter(|&owner| self.repeats(owner));
            around.filter_map(Owner::ends).flat_map(|(first, last)| [first, last]).collect::<Vec<_>>()
        };
        // A program without a process may be part of the shell (busybox), and may take the shell longer than a moment.
        let own = || self.between(|unit| !unit.is_builtin());
        self.busy(piece)
            .or_else(|| several(&self.between(|unit| unit.work.is_long())))
            .or_else(|| several(&loops()))
            .or_else(|| several(&own()))
            .or_else(|| several(&builtin))
            .unwrap_or(Owner::Shell)
    }

    /// The commands between the two processes for which the shell may do for long what it did in this piece.
    pub(super) fn busy(&self, piece: &Piece) -> Option<Owner> {
        several(&self.between(|unit| {
            (piece.computes > Nanos::ZERO && unit.work.computes) || (piece.waits > Nanos::ZERO && unit.work.waits)
        }))
    }

    /// Whether it may be a loop.
    fn repeats(&self, owner: Owner) -> bool {
        owner.ends().is_some_and(|(first, last)| self.units[first..=last].iter().any(|unit| unit.repeats))
    }

    /// The commands between the two processes that have no process themselves, in order.
    fn between(&self, wanted: impl Fn(&Unit) -> bool) -> Vec<usize> {
        let (first, count) = (self.last.ends().map_or(0, |(first, _)| first + 1), self.units.len());
        let wanted = |unit: &usize| wanted(&self.units[*unit]) && !self.started.contains(unit);
        match (self.order, self.coming.ends().map(|(_, last)| last)) {
            (Order::Cycle, Some(coming)) if coming < first => (first..count).chain(0..coming).filter(wanted).collect(),
            (_, coming) => (first..coming.unwrap_or(count)).filter(wanted).collect(),
        }
    }
}

/// The owner of a time that belongs to one of these units.
fn several(units: &[usize]) -> Option<Owner> {
    match units {
        [] => None,
        [first, .., last] if first == last => Some(Owner::Unit(*first)),
        [one] => Some(Owner::Unit(*one)),
        // The end of a loop's body and its start are not adjacent in the text.
        [first, .., last] if first > last => Some(Owner::Shell),
        [first, .., last] => Some(Owner::Several(*first, *last)),
    }
}
