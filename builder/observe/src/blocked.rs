//! Blocked time by cause. The cause of a wait is known if a sample was taken during it; the other waits stay open until the end of the
//! step, and are then divided like the known ones.

use buildscope_record::{Blocked, Cause, Nanos};

/// Waits by cause, and waits of unknown cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    known: Blocked,
    open: Nanos,
    /// The number of waits with a sample.
    sampled: u32,
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

impl Waits {
    fn total(&self) -> Nanos {
        self.known.total() + self.open
    }

    /// Divides the open waits in proportion to the known ones of the process, or of the whole program. Without known waits, they get the
    /// cause `otherwise`.
    fn resolved(mut self, program: &Self, otherwise: Cause) -> Blocked {
        let model = if self.sampled > 0 {
            self.known
        } else if program.sampled >= ENOUGH {
            program.known
        } else {
            Blocked::default()
        };
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
    }
}

impl ProgramWaits {
    /// Adds a wait, with its cause if that is known.
    pub(crate) fn add(&mut self, company: Company, length: Nanos, cause: Option<Cause>) {
        let waits = match company {
            Company::Alone => &mut self.alone,
            Company::WithChildren => &mut self.with_children,
        };
        match cause {
            Some(cause) => {
                waits.known[cause] += length;
                waits.sampled = waits.sampled.saturating_add(1);
            }
            None => waits.open += length,
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
            waits.add(company, Nanos(length * MS.0), cause);
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

    #[test]
    fn missing_wait_time_is_taken_from_all_kinds() {
        let waits = waits(&[(Alone, 6, Some(Cause::Sleep)), (Alone, 2, None), (WithChildren, 4, None)]);
        let rest = waits.without(Nanos(3 * MS.0));
        assert_eq!((waits.total(), rest.total()), (Nanos(12 * MS.0), Nanos(9 * MS.0)));
        assert_eq!(rest.resolved(&ProgramWaits::default()).child, Nanos(3 * MS.0));
    }
}
