//! How much sooner a step ends without some of its commands, where background jobs run.
//!
//! *Takes* the times of the commands and jobs. *Gives* the saving. An instant belongs to one command, but a shell that waits for a job waits
//! until its end, however soon it begins to wait. So a command in front of that wait may have time and save none.

use super::share::{Moment, Shares, Span};
use super::shell::Unit;
use super::{CommandRow, Inside};
use buildscope_record::Nanos;
use std::collections::HashMap;

/// The range of a command in the text, by which its row is found.
type Place = (usize, usize);

/// The times of a step's commands, and its background jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Savings {
    stretches: Vec<Stretch>,
    jobs: Vec<Job>,
}

/// A time of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    place: Option<Place>,
    from: Nanos,
    to: Nanos,
    /// Whether the shell waits for jobs.
    waits: bool,
    /// Whether the shell has waited for the jobs until now since the stretch before this one (`wait`).
    joined: bool,
}

/// A background job.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    place: Option<Place>,
    start: Nanos,
    end: Nanos,
}

/// The most stretches times jobs. A step with more has savings like one without jobs: each command saves its time.
const MOST: usize = 20_000;

impl Savings {
    /// The times of a step's commands. `place` returns the place of the row that has a command.
    pub(super) fn of(
        units: &[Unit],
        spans: &[Span],
        shares: &Shares,
        place: impl Fn(super::owner::Owner) -> Option<Place>,
    ) -> Self {
        let is_job = |span: &&Span| span.owner.ends().is_some_and(|(first, _)| units[first].background);
        let jobs: Vec<Job> = spans
            .iter()
            .filter(is_job)
            .map(|span| Job { place: place(span.owner), start: span.start, end: span.end })
            .collect();
        let jobs = if jobs.len().saturating_mul(shares.moments.len()) > MOST { Vec::new() } else { jobs };
        let mut reached = 0;
        let stretch = |moment: &Moment| {
            let first = moment.owner.ends().map_or(reached, |(first, _)| first).max(reached);
            let joined = units[reached..first].iter().any(|unit| unit.is_builtin() && unit.work.waits);
            reached = first;
            let (from, to) = moment.time;
            Stretch { place: place(moment.owner), from, to, waits: moment.waits, joined }
        };
        let mut stretches: Vec<Stretch> = shares.moments.iter().map(stretch).collect();
        if jobs.is_empty() {
            stretches.dedup_by(|next, before| {
                let continues = before.place == next.place && before.to == next.from;
                before.to = if continues { next.to } else { before.to };
                continues
            });
        }
        Self { stretches, jobs }
    }

    pub(super) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether the command with this place is a background job.
    pub(super) fn is_job(&self, place: Place) -> bool {
        self.jobs.iter().any(|job| job.place == Some(place))
    }

    /// The times of the commands, and of the shell between them, in order.
    pub(super) fn times(&self) -> impl Iterator<Item = (Option<Place>, Nanos, Nanos)> {
        self.stretches.iter().map(|stretch| (stretch.place, stretch.from, stretch.to))
    }

    /// The time by which the step is shorter if these shares, from 0 to 1, of the commands take no time.
    fn without(&self, gone: impl Fn(Place) -> f64) -> Nanos {
        let saved = self.saved_after(gone).last().copied().unwrap_or(0.0);
        Nanos(saved.max(0.0).round() as u64)
    }

    /// That time at the end of each time of a command, in nanoseconds. It falls where the shell waits longer than it did.
    pub(super) fn saved_after(&self, gone: impl Fn(Place) -> f64) -> Vec<f64> {
        let share = |place: Option<Place>| place.map_or(0.0, &gone).clamp(0.0, 1.0);
        let length = |from: Nanos, to: Nanos| to.saturating_sub(from).0 as f64;
        // How much sooner than it did each job ends: it starts sooner, and is shorter.
        let mut sooner: HashMap<usize, f64> = HashMap::new();
        let (mut saved, mut found) = (0.0_f64, Vec::with_capacity(self.stretches.len()));
        for (number, stretch) in self.stretches.iter().enumerate() {
            for (index, job) in self.jobs.iter().enumerate().filter(|(_, job)| job.start <= stretch.from) {
                sooner.entry(index).or_insert(saved + share(job.place) * length(job.start, job.end));
            }
            let after_jobs = |at: Nanos, saved: f64| {
                let ended = sooner.iter().filter(|(index, _)| self.jobs[**index].end <= at);
                ended.map(|(&index, sooner)| length(self.jobs[index].end, at) + sooner).fold(saved, f64::min)
            };
            if stretch.joined {
                saved = after_jobs(stretch.from, saved);
            }
            if stretch.waits {
                saved += length(stretch.from, stretch.to);
                // The jobs for which the shell waits end no later than the wait.
                let goes_on = self.stretches.get(number + 1).is_some_and(|next| next.waits && next.from == stretch.to);
                if !goes_on {
                    saved = after_jobs(stretch.to, saved);
                }
            } else {
                saved += share(stretch.place) * length(stretch.from, stretch.to);
            }
            found.push(saved);
        }
        found
    }
}

impl Inside {
    /// The time by which the step is shorter if these shares, from 0 to 1, of the commands in its rows take no time.
    pub(super) fn saved(&self, gone: impl Fn(&CommandRow) -> f64) -> Nanos {
        if !self.savings.has_jobs() {
            return self.rows.iter().map(|row| Nanos((row.wall.0 as f64 * gone(row)).round() as u64)).sum();
        }
        let of_place = |place| self.rows.iter().find(|row| row.place == Some(place)).map_or(0.0, &gone);
        self.savings.without(of_place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::activity::Lane;
    use super::super::gap::Order;
    use super::super::owner::Owner;
    use super::super::share::divide;
    use super::super::shell::units;
    use super::*;
    use buildscope_record::Process;

    /// The savings of a step of this length, without each of the commands in turn. `jobs` are start, end and command.
    fn saved(text: &str, jobs: &[(u64, u64, usize)], length: u64, gone: &[usize]) -> u64 {
        let units = units(text);
        let spans = jobs.iter().map(|&(start, end, unit)| Span {
            start: Nanos(start),
            end: Nanos(end),
            owner: Owner::Unit(unit),
        });
        let spans: Vec<Span> = spans.collect();
        let process = Process::default();
        let lane = Lane::of(&process, (Nanos(0), Nanos(length)));
        let shares = divide(&units, &spans, (Nanos(0), Nanos(length)), Order::Once, &lane);
        let place = |owner: Owner| owner.ends().map(|(first, _)| (units[first].span.start, units[first].span.end));
        let savings = Savings::of(&units, &spans, &shares, place);
        let is_gone = |place: Place| gone.iter().any(|&unit| units[unit].span.start == place.0);
        savings.without(|place| f64::from(u8::from(is_gone(place)))).0
    }

    #[test]
    fn a_wait_lasts_until_the_job_ends() {
        let text = "job & front; wait; last";
        let jobs = [(0, 15, 0), (0, 9, 1), (15, 19, 3)];
        let saved = |gone: &[usize]| saved(text, &jobs, 19, gone);
        assert_eq!((saved(&[1]), saved(&[0]), saved(&[3])), (0, 6, 4));
        assert_eq!((saved(&[0, 1]), saved(&[1, 3])), (15, 4));
    }

    #[test]
    fn a_job_that_ended_before_the_wait_limits_the_saving() {
        let text = "job & front; wait; last";
        assert_eq!(saved(text, &[(0, 15, 0), (0, 20, 1), (20, 30, 3)], 30, &[1]), 5);
        assert_eq!(saved(text, &[(0, 15, 0), (0, 20, 1), (20, 30, 3)], 30, &[0]), 0);
        assert_eq!(saved("server & test1; last", &[(0, 30, 0), (0, 20, 1), (20, 30, 2)], 30, &[1]), 20);
    }

    #[test]
    fn the_shell_waits_for_the_last_of_several_jobs() {
        let text = "a & b & wait";
        let jobs = [(0, 10, 0), (0, 15, 1)];
        assert_eq!((saved(text, &jobs, 15, &[0]), saved(text, &jobs, 15, &[1])), (0, 5));
        assert_eq!(saved(text, &jobs, 15, &[0, 1]), 15);
    }

    #[test]
    fn a_job_starts_sooner_without_what_is_before_it() {
        let jobs = [(0, 10, 0), (10, 30, 1), (10, 15, 2), (30, 32, 4)];
        let saved = |gone: &[usize]| saved("a; job & b; wait; c", &jobs, 32, gone);
        assert_eq!((saved(&[0]), saved(&[2]), saved(&[0, 2]), saved(&[1])), (10, 0, 10, 15));
    }
}
