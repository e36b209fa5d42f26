//! Divides a step's time among its commands, so that each instant belongs to one of them.

use super::activity::{Lane, Piece};
use super::gap::{Gap, Order};
use super::owner::Owner;
use super::shell::Unit;
use buildscope_record::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// A process of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) owner: Owner,
}

/// The time of each owner. The sum is the step's time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) walls: BTreeMap<Owner, Nanos>,
    /// The part of the time in which only the shell worked.
    pub(super) own: BTreeMap<Owner, Piece>,
    pub(super) unattributed: Nanos,
    /// The times in their order, without those that are unattributed.
    pub(super) moments: Vec<Moment>,
}

/// A time of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) owner: Owner,
    pub(super) time: (Nanos, Nanos),
    /// Whether only background jobs live, for which the shell waits.
    pub(super) waits: bool,
}

/// The length of the union of these intervals.
pub(super) fn union(mut spans: Vec<(Nanos, Nanos)>) -> Nanos {
    spans.sort_unstable();
    let (mut sum, mut until) = (Nanos::ZERO, Nanos::ZERO);
    for (from, to) in spans {
        sum += to.saturating_sub(from.max(until));
        until = until.max(to);
    }
    sum
}

/// The parts of an interval that are in none of these.
pub(super) fn without(mut spans: Vec<(Nanos, Nanos)>, (start, end): (Nanos, Nanos)) -> Vec<(Nanos, Nanos)> {
    spans.sort_unstable();
    let (mut parts, mut until) = (Vec::new(), start);
    for (from, to) in spans.into_iter().chain([(end, end)]) {
        if until < from.min(end) {
            parts.push((until, from.min(end)));
        }
        until = until.max(to);
    }
    parts
}

/// Divides the time from `start` to `end`. An instant with several living processes belongs to the one that started last. An instant
/// without one is a [`Gap`], and so is one in which the shell computes while only background jobs live. Outside of the shell's `life` it is
/// unattributed.
pub(super) fn divide(
    units: &[Unit],
    spans: &[Span],
    (start, end): (Nanos, Nanos),
    order: Order,
    lane: &Lane<'_>,
) -> Shares {
    let may_have = |span: &Span| span.owner.ends().map_or(0..0, |(first, last)| first..last + 1);
    let started: BTreeSet<usize> = spans.iter().flat_map(may_have).filter(|&unit| !units[unit].is_builtin()).collect();
    let mut shares = Shares::default();
    let mut points: Vec<(Nanos, bool, usize)> = Vec::new();
    for (index, span) in spans.iter().enumerate().filter(|(_, span)| span.start < span.end.min(end)) {
        points.extend([(span.start, true, index), (span.end, false, index)]);
    }
    points.sort_unstable();
    // A signal's trap may interrupt any command, so it says nothing about those before and after it.
    let is_in_order = |owner: Owner| !matches!(owner, Owner::Unit(unit) if !units[unit].action.is_empty());
    let starts = points.iter().filter(|(_, begins, _)| *begins).map(|&(_, _, index)| spans[index].owner);
    let starts: Vec<Owner> = starts.filter(|&owner| is_in_order(owner)).collect();
    let mut living: BTreeSet<(Nanos, usize)> = BTreeSet::new();
    let (mut at, mut begun) = (start, 0_usize);
    let changes = points.iter().map(|&(time, begins, index)| (time, Some((begins, index))));
    for (time, change) in changes.chain([(end, None)]) {
        let next = time.clamp(at, end);
        if next > at {
            let last = begun.checked_sub(1).map_or(Owner::Shell, |last| starts[last]);
            let coming = starts.get(begun).copied().unwrap_or(Owner::Shell);
            let gap = Gap { units, order, started: &started, last, coming };
            let on_top = living.last().map(|&(_, index)| spans[index].owner);
            shares.interval((at, next), on_top, &gap, lane);
            at = next;
        }
        let Some((begins, index)) = change else { break };
        let key = (spans[index].start, index);
        if begins {
            living.insert(key);
            begun += usize::from(is_in_order(spans[index].owner));
        } else {
            living.remove(&key);
        }
    }
    shares
}

impl Shares {
    /// The time of an owner.
    pub(super) fn of(&self, owner: Owner) -> Nanos {
        self.walls.get(&owner).copied().unwrap_or_default()
    }

    /// Divides an interval in which no process starts or ends. `on_top` is the owner of the living process that started last.
    fn interval(&mut self, (from, to): (Nanos, Nanos), on_top: Option<Owner>, gap: &Gap<'_>, lane: &Lane<'_>) {
        match on_top {
            Some(own @ Owner::Unit(unit)) if gap.units[unit].background => {
                let mut at = from;
                for piece in lane.pieces((from, to)) {
                    match gap.busy(&piece).filter(|_| piece.computes > Nanos::ZERO) {
                        Some(owner) => self.shell_at_work(owner, at, piece),
                        None => self.add(own, (at, at + piece.length()), true),
                    }
                    at += piece.length();
                }
            }
            Some(owner) => self.add(owner, (from, to), false),
            None => {
                let (first, last) = (from.max(lane.life.0), to.min(lane.life.1));
                let length = last.saturating_sub(first);
                self.unattributed += to - from - length;
                let mut at = first;
                for piece in lane.pieces((first, first + length)) {
                    self.shell_at_work(gap.owner(length, &piece), at, piece);
                    at += piece.length();
                }
            }
        }
    }

    fn add(&mut self, owner: Owner, time: (Nanos, Nanos), waits: bool) {
        *self.walls.entry(owner).or_default() += time.1 - time.0;
        self.moments.push(Moment { owner, time, waits });
    }

    fn shell_at_work(&mut self, owner: Owner, at: Nanos, piece: Piece) {
        self.add(owner, (at, at + piece.length()), false);
        *self.own.entry(owner).or_default() += piece;
    }
}

/// Scales weights so that they sum to `wall` exactly.
pub(super) fn fit(weights: &[Nanos], wall: Nanos) -> Vec<Nanos> {
    let equal = weights.iter().all(|weight| weight.0 == 0);
    let weight = |weight: &Nanos| if equal { 1 } else { u128::from(weight.0) };
    let total: u128 = weights.iter().map(weight).sum();
    let part = |one: &Nanos| (u128::from(wall.0) * weight(one)).checked_div(total).unwrap_or(0) as u64;
    let mut parts: Vec<Nanos> = weights.iter().map(|one| Nanos(part(one))).collect();
    let rest = wall.saturating_sub(parts.iter().copied().sum());
    if let Some(largest) = parts.iter_mut().max() {
        *largest += rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::shell::units;
    use super::*;
    use buildscope_record::{Process, Timeline};

    #[test]
    fn the_rest_of_an_interval_is_what_nothing_covers() {
        let of = |spans: &[(u64, u64)]| {
            let spans = spans.iter().map(|&(from, to)| (Nanos(from), Nanos(to))).collect();
            without(spans, (Nanos(10), Nanos(50))).into_iter().map(|(from, to)| (from.0, to.0)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), [(10, 50)]);
        assert_eq!(of(&[(30, 40), (0, 15), (20, 35), (45, 99)]), [(15, 20), (40, 45)]);
        assert_eq!(of(&[(0, 60)]), []);
    }

    #[test]
    fn parts_sum_to_the_whole() {
        let fitted = |weights: &[u64], wall| {
            let weights: Vec<Nanos> = weights.iter().copied().map(Nanos).collect();
            fit(&weights, Nanos(wall)).into_iter().map(|part| part.0).collect::<Vec<_>>()
        };
        assert_eq!(fitted(&[1, 1, 1], 100), [33, 33, 34]);
        assert_eq!(fitted(&[0, 0], 10), [5, 5]);
        assert_eq!(fitted(&[10, 30], 4), [1, 3]);
        assert_eq!(fitted(&[], 4), Vec::<u64>::new());
    }

    /// Divides 100 ns. Returns the commands with their times, the shell's time and the unattributed time.
    fn divided(text: &str, spans: &[(u64, u64, Option<usize>)]) -> (Vec<u64>, u64, u64) {
        let process = Process::default();
        let shares = shares(text, spans, &Lane::of(&process, (Nanos(5), Nanos(95))), 100);
        let units = (0..units(text).len()).map(|unit| shares.of(Owner::Unit(unit)).0);
        (units.collect(), shares.of(Owner::Shell).0, shares.unattributed.0)
    }

    fn shares(text: &str, spans: &[(u64, u64, Option<usize>)], lane: &Lane<'_>, end: u64) -> Shares {
        let spans: Vec<_> = spans
            .iter()
            .map(|&(start, end, unit)| Span {
                start: Nanos(start),
                end: Nanos(end),
                owner: unit.map_or(Owner::Shell, Owner::Unit),
            })
            .collect();
        let shares = divide(&units(text), &spans, (Nanos(0), Nanos(end)), Order::Once, lane);
        assert_eq!(shares.walls.values().copied().sum::<Nanos>() + shares.unattributed, Nanos(end), "{shares:?}");
        shares
    }

    /// Returns the parts of the text with their times in milliseconds. `states` are the shell's activities, one for each 10 ms.
    fn timed(text: &str, spans: &[(u64, u64, Option<usize>)], states: &str) -> Vec<(String, u64)> {
        const MS: u64 = 1_000_000;
        let timeline = Timeline { every: Nanos(10 * MS), states: states.into() };
        let timeline = Some(timeline).filter(|timeline| !timeline.states.is_empty());
        let process = Process { timeline, ..Process::default() };
        let spans: Vec<_> = spans.iter().map(|&(start, end, unit)| (start * MS, end * MS, unit)).collect();
        let shares = shares(text, &spans, &Lane::of(&process, (Nanos(0), Nanos(100 * MS))), 100 * MS);
        let units = units(text);
        let text = |owner: &Owner| match *owner {
            Owner::Unit(unit) => text[units[unit].span.clone()].to_owned(),
            Owner::Several(first, last) => text[units[first].span.start..units[last].span.end].to_owned(),
            Owner::Shell => "shell".to_owned(),
        };
        shares.walls.iter().map(|(owner, wall)| (text(owner), wall.0 / MS)).collect()
    }

    fn row(text: &str, wall: u64) -> (String, u64) {
        (text.to_owned(), wall)
    }

    #[test]
    fn each_instant_belongs_to_one() {
        assert_eq!(divided("a; b", &[(10, 40, Some(0)), (50, 90, Some(1))]), (vec![30, 40], 20, 10));
    }

    #[test]
    fn an_instant_belongs_to_the_latest_start() {
        assert_eq!(divided("server & test", &[(10, 90, Some(0)), (20, 60, Some(1))]), (vec![40, 40], 10, 10));
    }

    #[test]
    fn gaps_belong_to_loops_and_builtins() {
        assert_eq!(divided("for i in 1 2; do cc; done", &[(10, 20, Some(0)), (30, 90, Some(0))]).0, [85]);
        assert_eq!(divided("a; cd /x; b", &[(10, 40, Some(0)), (60, 90, Some(2))]), (vec![30, 20, 30], 10, 10));
        assert_eq!(divided("while :; do x=1; done", &[]).0, [90]);
    }

    #[test]
    fn the_time_of_a_shell_belongs_to_commands_that_may_take_long() {
        let count = "while [ $i -lt 9 ]; do i=$((i+1)); done";
        let sleep = |unit| [(60, 100, Some(unit))];
        for before in ["i=0", "set -eu; i=0", "cd /; [ -d x ]; i=0", "log() { echo; }; i=0"] {
            let text = format!("{before}; {count}; exec sleep 1");
            let last = units(&text).len() - 1;
            assert_eq!(timed(&text, &sleep(last), ""), [row(count, 60), row("exec sleep 1", 40)], "{text}");
        }
        let function = format!("f() {{ {count}; }}; i=0; f a; sleep 1");
        assert_eq!(timed(&function, &sleep(2), ""), [row("f a", 60), row("sleep 1", 40)]);
        let case = format!("i=0; case $i in 0) {count};; *) false;; esac; sleep 1");
        assert_eq!(timed(&case, &sleep(3), ""), [row(count, 60), row("sleep 1", 40)]);
        let arithmetic = "i=0; for ((;i<9;i++)); do :; done; sleep 1";
        assert_eq!(timed(arithmetic, &sleep(2), "")[0], row("for ((;i<9;i++)); do :; done", 60));
        assert_eq!(
            timed("x=1; read y < /fifo; sleep 1", &sleep(2), ""),
            [row("read y < /fifo", 60), row("sleep 1", 40)]
        );
    }

    #[test]
    fn activity_of_the_shell_separates_a_loop_from_a_wait() {
        let text = "x=1; read y < /fifo; while [ $x ]; do x=$y; done; sleep 1";
        let expected = [row("read y < /fifo", 20), row("while [ $x ]; do x=$y; done", 40), row("sleep 1", 40)];
        assert_eq!(timed(text, &[(60, 100, Some(3))], "llrccc"), expected);
    }

    #[test]
    fn time_of_unknown_commands_belongs_to_their_enclosing_text() {
        let loops = "while a=$a; do :; done; x=1; until b=$b; do :; done";
        let text = format!("{loops}; sleep 1");
        let expected = [row("sleep 1", 40), row(loops, 60)];
        assert_eq!(timed(&text, &[(60, 100, Some(3))], "cccccc"), expected);
    }

    #[test]
    fn a_loop_computes_while_a_background_job_runs() {
        let text = "sleep 1 & while [ $i ]; do i=; done; wait";
        let expected = [row("sleep 1", 70), row("while [ $i ]; do i=; done", 30)];
        assert_eq!(timed(text, &[(0, 100, Some(0))], "scccssssss"), expected);
    }

    /// The loop of the shell goes on after the action.
    #[test]
    fn the_action_of_a_signals_trap_does_not_end_a_command() {
        let text = "trap 'b' TERM; a; while :; do x=1; done; c";
        let spans = [(0, 20, Some(1)), (40, 60, Some(0)), (90, 100, Some(3))];
        let expected = [row("trap 'b' TERM", 20), row("a", 20), row("while :; do x=1; done", 50), row("c", 10)];
        assert_eq!(timed(text, &spans, ""), expected);
    }

    #[test]
    fn processes_outside_of_the_step_count_only_inside() {
        let shares = shares(
            "a",
            &[(0, 3, Some(0)), (200, 300, Some(0))],
            &Lane::of(&Process::default(), (Nanos(0), Nanos(100))),
            100,
        );
        assert_eq!((shares.of(Owner::Unit(0)), shares.of(Owner::Shell)), (Nanos(3), Nanos(97)));
    }
}
