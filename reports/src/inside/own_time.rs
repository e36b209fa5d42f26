//! Divides the time and the resources of the shell itself among its commands.

use super::activity::Piece;
use super::owner::Owner;
use buildscope_record::{Cause, Nanos, Process, ProcessTime};
use std::collections::BTreeMap;

/// The time of a process itself, without its children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnTime {
    pub(super) running: Nanos,
    pub(super) time: ProcessTime,
}

impl std::ops::AddAssign for OwnTime {
    fn add_assign(&mut self, other: Self) {
        self.running += other.running;
        self.time += other.time;
    }
}

impl OwnTime {
    pub(super) fn of(process: &Process) -> Self {
        Self { running: process.running(), time: process.time }
    }

    /// Divides the shell's time among the owners of these intervals: its processor time by the intervals in which it computed, its waits by
    /// those in which it waited. Rounding errors, and everything without intervals, belong to the shell.
    pub(super) fn divide(self, times: &BTreeMap<Owner, Piece>) -> BTreeMap<Owner, Self> {
        let works = weights(times, |piece| piece.computes + piece.open);
        let waits = weights(times, |piece| piece.waits + piece.open);
        let mut rest = self;
        let mut parts = BTreeMap::new();
        for &owner in times.keys().filter(|&&owner| owner != Owner::Shell) {
            let part = self.part(works[&owner], waits[&owner]);
            rest = rest.without(&part);
            parts.insert(owner, part);
        }
        parts.insert(Owner::Shell, rest);
        parts
    }

    fn part(&self, works: (Nanos, Nanos), waits: (Nanos, Nanos)) -> Self {
        let part = |time: Nanos, (part, whole): (Nanos, Nanos)| {
            Nanos((u128::from(time.0) * u128::from(part.0)).checked_div(whole.0.into()).unwrap_or(0) as u64)
        };
        let mut time = ProcessTime {
            cpu: part(self.time.cpu, works),
            user: part(self.time.user, works),
            system: part(self.time.system, works),
            runnable: part(self.time.runnable, works),
            ..ProcessTime::default()
        };
        for cause in Cause::ALL.into_iter().filter(|&cause| cause != Cause::Child) {
            time.blocked[cause] = part(self.time.blocked[cause], waits);
        }
        time.synced = self.time.synced.map(|synced| synced.part(waits.0, waits.1));
        Self { running: part(self.running, works), time }
    }

    fn without(&self, other: &Self) -> Self {
        let mut time = ProcessTime {
            cpu: self.time.cpu.saturating_sub(other.time.cpu),
            user: self.time.user.saturating_sub(other.time.user),
            system: self.time.system.saturating_sub(other.time.system),
            runnable: self.time.runnable.saturating_sub(other.time.runnable),
            ..ProcessTime::default()
        };
        for cause in Cause::ALL {
            time.blocked[cause] = self.time.blocked[cause].saturating_sub(other.time.blocked[cause]);
        }
        time.synced = self.time.synced.map(|synced| synced.without(other.time.synced.unwrap_or_default()));
        Self { running: self.running.saturating_sub(other.running), time }
    }
}

/// The weight of each owner, and the sum. If no interval is of the wanted kind, all intervals count.
fn weights(times: &BTreeMap<Owner, Piece>, kind: impl Fn(&Piece) -> Nanos) -> BTreeMap<Owner, (Nanos, Nanos)> {
    let whole: Nanos = times.values().map(&kind).sum();
    if whole == Nanos::ZERO {
        let whole = times.values().map(Piece::length).sum();
        return times.iter().map(|(&owner, piece)| (owner, (piece.length(), whole))).collect();
    }
    times.iter().map(|(&owner, piece)| (owner, (kind(piece), whole))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shell ran for 60 in a loop and waited for 20 of another command's 30; its activity in the other 10 is unknown.
    #[test]
    fn shell_activity_belongs_to_the_commands_at_that_time() {
        let mut time = ProcessTime { cpu: Nanos(70), runnable: Nanos(7), ..ProcessTime::default() };
        (time.blocked.lock, time.blocked.child) = (Nanos(30), Nanos(500));
        let own = OwnTime { running: Nanos(70), time };
        let times = BTreeMap::from([
            (Owner::Unit(0), Piece { computes: Nanos(60), ..Piece::default() }),
            (Owner::Unit(1), Piece { waits: Nanos(20), open: Nanos(10), ..Piece::default() }),
        ]);
        let parts = own.divide(&times);
        let part = |owner| {
            let OwnTime { running, time } = parts[&owner];
            (running.0, time.cpu.0, time.runnable.0, time.blocked.lock.0, time.blocked.child.0)
        };
        assert_eq!(part(Owner::Unit(0)), (60, 60, 6, 0, 0));
        assert_eq!(part(Owner::Unit(1)), (10, 10, 1, 30, 0));
        assert_eq!(part(Owner::Shell), (0, 0, 0, 0, 500));
        assert_eq!(own.divide(&BTreeMap::new())[&Owner::Shell], own, "a shell that was never alone keeps it");
    }
}
