//! The activity of a shell itself over time.

use buildscope_record::{Nanos, Process, Timeline};

/// A shell's life and what it did in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane<'a> {
    pub(super) life: (Nanos, Nanos),
    /// Where the timeline begins.
    start: Nanos,
    timeline: Option<&'a Timeline>,
}

/// A time in which a shell was at work, by what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// It ran on a processor, or could have.
    pub(super) computes: Nanos,
    /// It waited for something other than what it had started.
    pub(super) waits: Nanos,
    /// It is not known what it did.
    pub(super) open: Nanos,
}

impl Piece {
    pub(super) fn length(&self) -> Nanos {
        self.computes + self.waits + self.open
    }

    /// A time in which it did what this letter of a timeline says.
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
    /// Of a shell that ran as this process, and lived for that long.
    pub(super) fn of(process: &'a Process, life: (Nanos, Nanos)) -> Self {
        Self { life, start: process.start, timeline: process.timeline.as_ref() }
    }

    /// Of one of which only the life is known.
    pub(super) fn silent(life: (Nanos, Nanos)) -> Self {
        Self { life, start: life.0, timeline: None }
    }

    /// The same for another part of its life.
    pub(super) fn during(self, life: (Nanos, Nanos)) -> Self {
        Self { life, ..self }
    }

    /// What it did in an interval, in pieces of one kind.
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
