//! The activity of a shell itself over time.

use buildscope_record::{Nanos, Process, Timeline};

/// The lifetime of a shell, with its activity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane<'a> {
    pub(super) life: (Nanos, Nanos),
    /// The start of the timeline.
    start: Nanos,
    timeline: Option<&'a Timeline>,
}

/// The working time of a shell, by activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// Time on a processor, or waiting for one.
    pub(super) computes: Nanos,
    /// Time waiting for something other than a child process.
    pub(super) waits: Nanos,
    /// Time of unknown activity.
    pub(super) open: Nanos,
}

impl Piece {
    pub(super) fn length(&self) -> Nanos {
        self.computes + self.waits + self.open
    }

    /// A time with the activity of this letter of a timeline.
    fn of(letter: Option<char>, length: Nanos) -> Self {
        match letter {
            Some('c' | 'r') => Self { computes: length, ..Self::default() },
            Some('d' | 'n' | 'l' | 's') => Self { waits: length, ..Self::default() },
            _ => Self { open: length, ..Self::default() },
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let kinds = |piece: &Self| [piece.computes, piece.waits, piece.open].map(|part| part > Nanos::ZERO);
        kinds(self) == kinds(other)
    }
}

impl std::ops::AddAssign for Piece {
    fn add_assign(&mut self, other: Self) {
        self.computes += other.computes;
        self.waits += other.waits;
        self.open += other.open;
    }
}

impl<'a> Lane<'a> {
    /// The activity of a shell with this process and this lifetime.
    pub(super) fn of(process: &'a Process, life: (Nanos, Nanos)) -> Self {
        Self { life, start: process.start, timeline: process.timeline.as_ref() }
    }

    /// A shell of which only the lifetime is known.
    pub(super) fn silent(life: (Nanos, Nanos)) -> Self {
        Self { life, start: life.0, timeline: None }
    }

    /// The same activity in another part of the lifetime.
    pub(super) fn during(self, life: (Nanos, Nanos)) -> Self {
        Self { life, ..self }
    }

    /// Divides an interval into pieces of one activity each.
    pub(super) fn pieces(&self, (from, to): (Nanos, Nanos)) -> Vec<Piece> {
        let Some(timeline) = self.timeline.filter(|timeline| timeline.every > Nanos::ZERO) else {
            return vec![Piece::of(None, to - from)];
        };
        let mut pieces: Vec<Piece> = Vec::new();
        let mut at = from;
        let parts = (0..).zip(timeline.states.chars());
        let ends = parts.map(|(part, letter)| (self.start + Nanos(timeline.every.0 * (part + 1)), Some(letter)));
        for (end, letter) in ends.chain([(to, None)]) {
            let end = end.min(to);
            if end > at {
                let piece = Piece::of(letter, end - at);
                match pieces.last_mut().filter(|last| last.is_like(&piece)) {
                    Some(last) => *last += piece,
                    None => pieces.push(piece),
                }
                at = end;
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_an_interval_sum_to_it() {
        let timeline = Timeline { every: Nanos(10), states: "ccrlwc".into() };
        let process = Process { start: Nanos(100), timeline: Some(timeline), ..Process::default() };
        let lane = Lane::of(&process, (Nanos(100), Nanos(200)));
        let computes = |length| Piece { computes: Nanos(length), ..Piece::default() };
        let waits = |length| Piece { waits: Nanos(length), ..Piece::default() };
        let open = |length| Piece { open: Nanos(length), ..Piece::default() };
        assert_eq!(
            lane.pieces((Nanos(105), Nanos(170))),
            [computes(25), waits(10), open(10), computes(10), open(10)],
            "the timeline ends at 160"
        );
        assert_eq!(lane.pieces((Nanos(131), Nanos(139))), [waits(8)]);
        let silent = Process::default();
        assert_eq!(Lane::of(&silent, (Nanos(0), Nanos(9))).pieces((Nanos(2), Nanos(9))), [open(7)]);
    }
}
