//! Dividing a step's time among its commands, so that each instant belongs to one of them.

use super::shell::Unit;
use buildscope_record::Nanos;
use std::collections::BTreeSet;

/// A process of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) unit: Option<usize>,
}

/// Whose time is how long; it sums to the step's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) units: Vec<Nanos>,
    pub(super) shell: Nanos,
    pub(super) unattributed: Nanos,
}

/// Between two commands a shell takes less time than this.
const MOMENT: Nanos = Nanos(5_000_000);

/// How long at least one of these intervals lasts.
pub(super) fn union(mut spans: Vec<(Nanos, Nanos)>) -> Nanos {
    spans.sort_unstable();
    let (mut sum, mut until) = (Nanos::ZERO, Nanos::ZERO);
    for (from, to) in spans {
        sum += to.saturating_sub(from.max(until));
        until = until.max(to);
    }
    sum
}

/// Divides the time from `start` to `end`. An instant with several living processes belongs to the one that started last. An instant
/// with none belongs to the loop around it, or to the built-in commands between its neighbours, else to the shell. Outside of the
/// shell's `life` it is unattributed.
pub(super) fn divide(units: &[Unit], spans: &[Span], (start, end): (Nanos, Nanos), life: (Nanos, Nanos)) -> Shares {
    let started: BTreeSet<usize> = spans.iter().filter_map(|span| span.unit).collect();
    let mut shares = Shares { units: vec![Nanos::ZERO; units.len()], shell: Nanos::ZERO, unattributed: Nanos::ZERO };
    let mut points: Vec<(Nanos, bool, usize)> = Vec::new();
    for (index, span) in spans.iter().enumerate().filter(|(_, span)| span.start < span.end.min(end)) {
        points.extend([(span.start, true, index), (span.end, false, index)]);
    }
    points.sort_unstable();
    let mut living: BTreeSet<(Nanos, usize)> = BTreeSet::new();
    let (mut at, mut last) = (start, None);
    let mut rest = points.iter().peekable();
    loop {
        let next = rest.peek().map_or(end, |(time, ..)| *time).clamp(at, end);
        if next > at {
            match living.last() {
                Some(&(_, index)) => match spans[index].unit {
                    Some(unit) => shares.units[unit] += next - at,
                    None => shares.shell += next - at,
                },
                None => {
                    let coming = rest.clone().find(|(_, begins, _)| *begins).map(|&(_, _, index)| spans[index].unit);
                    shares.gap(units, &started, (at, next), (last.flatten(), coming.flatten()), life);
                }
            }
            at = next;
        }
        let Some(&(_, begins, index)) = rest.next() else { break };
        let key = (spans[index].start, index);
        if begins {
            living.insert(key);
            last = Some(spans[index].unit);
        } else {
            living.remove(&key);
        }
    }
    shares
}

impl Shares {
    fn gap(
        &mut self,
        units: &[Unit],
        started: &BTreeSet<usize>,
        (from, to): (Nanos, Nanos),
        (last, coming): (Option<usize>, Option<usize>),
        life: (Nanos, Nanos),
    ) {
        let within = to.min(life.1).saturating_sub(from.max(life.0));
        self.unattributed += to - from - within;
        if let Some(unit) = last.filter(|&unit| Some(unit) == coming) {
            self.units[unit] += within;
            return;
        }
        let between =
            last.map_or(0, |unit| unit + 1)..coming.unwrap_or(units.len()).max(last.map_or(0, |unit| unit + 1));
        let builtin = between.clone().find(|&unit| units[unit].is_builtin());
        // A program that was never started may be part of the shell (busybox), which then takes more than a moment for it.
        let own = between.clone().find(|&unit| !units[unit].is_builtin() && !started.contains(&unit));
        match own.filter(|_| within >= MOMENT).or(builtin).or(last.filter(|&unit| units[unit].repeats)) {
            Some(unit) => self.units[unit] += within,
            None => self.shell += within,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shell::units;
    use super::*;

    fn divided(text: &str, spans: &[(u64, u64, Option<usize>)]) -> (Vec<u64>, u64, u64) {
        let spans: Vec<_> =
            spans.iter().map(|&(start, end, unit)| Span { start: Nanos(start), end: Nanos(end), unit }).collect();
        let shares = divide(&units(text), &spans, (Nanos(0), Nanos(100)), (Nanos(5), Nanos(95)));
        let sum = shares.units.iter().copied().sum::<Nanos>() + shares.shell + shares.unattributed;
        assert_eq!(sum, Nanos(100), "{shares:?}");
        (shares.units.iter().map(|part| part.0).collect(), shares.shell.0, shares.unattributed.0)
    }

    #[test]
    fn each_instant_belongs_to_one() {
        assert_eq!(divided("a; b", &[(10, 40, Some(0)), (50, 90, Some(1))]), (vec![30, 40], 20, 10));
    }

    #[test]
    fn what_began_last_has_the_instant() {
        assert_eq!(divided("server & test", &[(10, 90, Some(0)), (20, 60, Some(1))]), (vec![40, 40], 10, 10));
    }

    #[test]
    fn gaps_belong_to_loops_and_builtins() {
        assert_eq!(divided("for i in 1 2; do cc; done", &[(10, 20, Some(0)), (30, 90, Some(0))]).0, [85]);
        assert_eq!(divided("a; cd /x; b", &[(10, 40, Some(0)), (60, 90, Some(2))]), (vec![30, 20, 30], 10, 10));
        assert_eq!(divided("while :; do x=1; done", &[]).0, [90]);
    }

    #[test]
    fn processes_outside_of_the_step_count_only_inside() {
        let spans = [
            Span { start: Nanos(0), end: Nanos(3), unit: Some(0) },
            Span { start: Nanos(200), end: Nanos(300), unit: Some(0) },
        ];
        let shares = divide(&units("a"), &spans, (Nanos(0), Nanos(100)), (Nanos(0), Nanos(100)));
        assert_eq!((shares.units[0], shares.shell), (Nanos(3), Nanos(97)));
    }
}
