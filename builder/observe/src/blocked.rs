//! Blocked time by cause. The cause of a wait is known if a sample was taken during it; the other waits stay open until the end of the
//! step, and are then divided like the known ones.

use crate::wait::{DiskCall, Wait};
use buildscope_record::{Blocked, Cause, Nanos, Synced};

/// Waits by cause, and waits of unknown cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    known: Blocked,
    open: Nanos,
    /// The number of waits with a sample.
    sampled: u32,
    /// The waits for a disk whose call is known.
    disk: DiskWaits,
    /// How many waits without a sample each of them stands for. A sample hits a long wait more probably than a short one.
    weights: DiskWaits,
}

/// Waits for a disk, and those of them that sync a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct DiskWaits {
    all: Nanos,
    synced: Synced,
}

impl DiskWaits {
    fn add(&mut self, length: Nanos, call: DiskCall) {
        self.all += length;
        match call {
            DiskCall::SyncDatabase => self.synced.database += length,
            DiskCall::SyncFile => self.synced.files += length,
            DiskCall::Other => {}
        }
    }

    /// The part that syncs files of waits like these.
    fn of(&self, waits: Nanos) -> Synced {
        self.synced.part(waits, self.all)
    }
}

impl std::ops::AddAssign for DiskWaits {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.synced += other.synced;
    }
}

/// The waits of a program, with and without running children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgramWaits {
    alone: Waits,
    with_children: Waits,
}

/// Whether a process has running children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    Alone,
    WithChildren,
}

impl Company {
    pub(crate) fn of(has_children: bool) -> Self {
        if has_children { Self::WithChildren } else { Self::Alone }
    }

    /// The most probable cause of a wait without a sample.
    pub(crate) fn likely_cause(self) -> Cause {
        match self {
            Self::Alone => Cause::Unknown,
            Self::WithChildren => Cause::Child,
        }
    }
}

/// The number of samples from which on the waits of a program are a model of the open waits of each of its processes.
const ENOUGH: u32 = 3;
/// A wait of this length has a sample: it is the longest pause between readings. A shorter one is hit in proportion to its length, so the hit
/// one stands for waits of the rest of this time.
const SURELY_SAMPLED: Nanos = Nanos(20_000_000);

impl Waits {
    fn total(&self) -> Nanos {
        self.known.total() + self.open
    }

    /// The waits whose causes the open ones have: those of the process, or of the whole program.
    fn model(&self, program: &Self) -> Self {
        if self.sampled > 0 {
            *self
        } else if program.sampled >= ENOUGH {
            *program
        } else {
            Self::default()
        }
    }

    /// Divides the open waits in proportion to the known ones. Without known waits, they get the cause `otherwise`.
    fn resolved(mut self, program: &Self, otherwise: Cause) -> Blocked {
        let model = self.model(program).known;
        let whole = model.total();
        let mut left = self.open;
        for cause in Cause::ALL {
            let part = u128::from(self.open.0) * u128::from(model[cause].0);
            let part = Nanos(part.checked_div(u128::from(whole.0)).unwrap_or(0) as u64);
            self.known[cause] += part;
            left = left.saturating_sub(part);
        }
        self.known[otherwise] += left;
        self.known
    }

    /// The part of the resolved waits for a disk that syncs files. `None` if no call is known.
    fn synced(&self, program: &Self, disk: Nanos) -> Option<Synced> {
        let model = self.model(program);
        let others = if model.weights.all > Nanos::ZERO { model.weights } else { model.disk };
        let seen = self.disk.all.min(disk);
        let mut synced = self.disk.of(seen);
        synced += others.of(disk - seen);
        (model.disk.all > Nanos::ZERO).then_some(synced)
    }

    /// Removes a part of the waits, from all causes in proportion.
    fn without(mut self, part: Nanos, of: Nanos) -> Self {
        let rest = |time: Nanos| {
            let gone = (u128::from(time.0) * u128::from(part.0)).checked_div(u128::from(of.0)).unwrap_or(0);
            Nanos(time.0 - gone as u64)
        };
        for cause in Cause::ALL {
            self.known[cause] = rest(self.known[cause]);
        }
        self.open = rest(self.open);
        self
    }
}

impl std::ops::AddAssign for Waits {
    fn add_assign(&mut self, other: Self) {
        for cause in Cause::ALL {
            self.known[cause] += other.known[cause];
        }
        self.open += other.open;
        self.sampled = self.sampled.saturating_add(other.sampled);
        self.disk += other.disk;
        self.weights += other.weights;
    }
}

impl ProgramWaits {
    /// Adds a wait, with its sample if there is one.
    pub(crate) fn add(&mut self, company: Company, length: Nanos, sample: Option<Wait>) {
        let waits = match company {
            Company::Alone => &mut self.alone,
            Company::WithChildren => &mut self.with_children,
        };
        let Some(Wait { cause, disk }) = sample else {
            waits.open += length;
            return;
        };
        waits.known[cause] += length;
        waits.sampled = waits.sampled.saturating_add(1);
        if let Some(call) = disk {
            waits.disk.add(length, call);
            waits.weights.add(SURELY_SAMPLED.saturating_sub(length), call);
        }
    }

    pub(crate) fn total(&self) -> Nanos {
        self.alone.total() + self.with_children.total()
    }

    /// Removes a part in which the process did not wait.
    pub(crate) fn without(self, part: Nanos) -> Self {
        let of = self.total();
        Self { alone: self.alone.without(part, of), with_children: self.with_children.without(part, of) }
    }

    /// Whether another sample is worth its cost after this many samples.
    pub(crate) fn wants_sample(&self, samples: u32) -> bool {
        const LONG: u64 = 2_000_000;
        const FIRST: u64 = 32;
        // A sample costs tens of microseconds.
        const EACH: u64 = 50_000_000;
        let open = self.alone.open.0 + self.with_children.open.0;
        open > LONG && u64::from(samples) < FIRST + open / EACH
    }

    /// All waits by cause.
    pub(crate) fn resolved(&self, program: &Self) -> Blocked {
        let mut blocked = self.alone.resolved(&program.alone, Company::Alone.likely_cause());
        let with_children = self.with_children.resolved(&program.with_children, Company::WithChildren.likely_cause());
        for cause in Cause::ALL {
            blocked[cause] += with_children[cause];
        }
        blocked
    }

    /// The waits for a disk that sync files, as a part of the resolved ones. `None` if nothing is known of them.
    pub(crate) fn synced(&self, program: &Self) -> Option<Synced> {
        let parts = [(&self.alone, &program.alone), (&self.with_children, &program.with_children)];
        let parts = parts.map(|(own, program)| own.synced(program, own.resolved(program, Cause::Unknown).disk));
        parts.into_iter().flatten().reduce(|mut sum, part| {
            sum += part;
            sum
        })
    }
}

impl std::ops::AddAssign for ProgramWaits {
    fn add_assign(&mut self, other: Self) {
        self.alone += other.alone;
        self.with_children += other.with_children;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Company::{Alone, WithChildren};

    const MS: Nanos = Nanos(1_000_000);

    fn waits(list: &[(Company, u64, Option<Cause>)]) -> ProgramWaits {
        let mut waits = ProgramWaits::default();
        for &(company, length, cause) in list {
            waits.add(company, Nanos(length * MS.0), cause.map(Wait::from));
        }
        waits
    }

    #[test]
    fn open_waits_are_divided_like_the_sampled_ones_of_the_process() {
        let waits = waits(&[(Alone, 3, Some(Cause::Disk)), (Alone, 1, Some(Cause::Lock)), (Alone, 8, None)]);
        let blocked = waits.resolved(&ProgramWaits::default());
        assert_eq!(blocked, Blocked { disk: Nanos(9 * MS.0), lock: Nanos(3 * MS.0), ..Blocked::default() });
    }

    #[test]
    fn a_process_without_samples_waits_like_its_program() {
        let open = waits(&[(Alone, 8, None), (WithChildren, 4, None)]);
        let sampled = |count| waits(&vec![(Alone, 1, Some(Cause::Lock)); count]);
        let expected = Blocked { lock: Nanos(8 * MS.0), child: Nanos(4 * MS.0), ..Blocked::default() };
        assert_eq!(open.resolved(&sampled(3)), expected);
        let expected = Blocked { unknown: Nanos(8 * MS.0), child: Nanos(4 * MS.0), ..Blocked::default() };
        assert_eq!(open.resolved(&sampled(2)), expected, "two samples are too few");
    }

    /// A test runner waits for the answers of its server, not for the server's end.
    #[test]
    fn a_process_with_children_waits_for_them_unless_samples_say_otherwise() {
        let none = ProgramWaits::default();
        assert_eq!(waits(&[(WithChildren, 5, None)]).resolved(&none).child, Nanos(5 * MS.0));
        let runner = waits(&[(WithChildren, 5, None), (WithChildren, 1, Some(Cause::Network))]);
        assert_eq!(runner.resolved(&none), Blocked { network: Nanos(6 * MS.0), ..Blocked::default() });
    }

    fn disk(length: u64, call: DiskCall) -> (Nanos, Option<Wait>) {
        (Nanos(length * MS.0), Some(Wait { cause: Cause::Disk, disk: Some(call) }))
    }

    /// Readings every 20 ms hit a tenth of the syncs of 2 ms, half of those of 10 ms, and all waits of 40 ms. So 10 s each are 500 hits of both
    /// kinds of syncs, and 9 s of the first and 5 s of the second have no sample.
    #[test]
    fn short_syncs_are_not_fewer_because_samples_hit_long_ones() {
        let mut waits = ProgramWaits::default();
        for _ in 0..500 {
            for (length, sample) in [disk(2, DiskCall::SyncFile), disk(10, DiskCall::SyncDatabase)] {
                waits.add(Alone, length, sample);
            }
        }
        let (length, sample) = disk(40, DiskCall::Other);
        (0..50).for_each(|_| waits.add(Alone, length, sample));
        waits.add(Alone, Nanos(14_000 * MS.0), None);
        let nothing = ProgramWaits::default();
        assert_eq!(waits.resolved(&nothing).disk, Nanos(22_000 * MS.0));
        let synced = Synced { files: Nanos(10_000 * MS.0), database: Nanos(10_000 * MS.0) };
        assert_eq!(waits.synced(&nothing), Some(synced));
        let mut like_it = ProgramWaits::default();
        like_it.add(Alone, Nanos(14 * MS.0), None);
        let synced = Synced { files: Nanos(9 * MS.0), database: Nanos(5 * MS.0) };
        assert_eq!(like_it.synced(&waits), Some(synced));
        assert_eq!(like_it.synced(&nothing), None);
    }

    #[test]
    fn missing_wait_time_is_taken_from_all_kinds() {
        let waits = waits(&[(Alone, 6, Some(Cause::Sleep)), (Alone, 2, None), (WithChildren, 4, None)]);
        let rest = waits.without(Nanos(3 * MS.0));
        assert_eq!((waits.total(), rest.total()), (Nanos(12 * MS.0), Nanos(9 * MS.0)));
        assert_eq!(rest.resolved(&ProgramWaits::default()).child, Nanos(3 * MS.0));
    }
}
