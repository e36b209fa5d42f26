//! Totals of short processes, divided among the commands of a shell that may have started them.

use super::shell::{Name, Unit};
use buildscope_record::{ByteSize, Cause, Folded, Nanos, ProcessTime, Synced};

/// Divides a total among the loops that name its program, in proportion to their times. Without such a loop, all of it belongs to the first
/// command that names the program, or else to the first loop. `None` if there is neither.
pub(super) fn divide(units: &[Unit], folded: &Folded, wall: impl Fn(usize) -> Nanos) -> Vec<(Option<usize>, Folded)> {
    let owners = owners(units, &folded.program);
    let walls: Vec<u128> = owners.iter().map(|&unit| u128::from(wall(unit).0)).collect();
    let weights = if walls.iter().all(|&wall| wall == 0) { vec![1; walls.len()] } else { walls };
    let whole: u128 = weights.iter().sum();
    if owners.is_empty() {
        return vec![(None, folded.clone())];
    }
    let mut before = 0;
    let mut parts = Vec::with_capacity(owners.len());
    for (&unit, weight) in owners.iter().zip(weights) {
        parts.push((Some(unit), part(folded, (before, before + weight), whole)));
        before += weight;
    }
    parts
}

/// The commands that may have started processes of a program.
fn owners(units: &[Unit], program: &str) -> Vec<usize> {
    let named = |unit: &Unit| unit.names.iter().any(|name| matches!(name, Name::Is(one) if one.name == program));
    let loops: Vec<usize> = (0..units.len()).filter(|&unit| units[unit].repeats && named(&units[unit])).collect();
    if !loops.is_empty() {
        return loops;
    }
    let one = units.iter().position(named).or_else(|| units.iter().position(|unit| unit.repeats));
    one.into_iter().collect()
}

/// The part of a total from one share of the whole to another. All parts together are the total.
fn part(folded: &Folded, (from, to): (u128, u128), whole: u128) -> Folded {
    let number = |value: u64| {
        let up_to = |share: u128| (u128::from(value) * share / whole) as u64;
        up_to(to) - up_to(from)
    };
    let nanos = |time: Nanos| Nanos(number(time.0));
    let time = folded.time;
    let mut own = ProcessTime {
        cpu: nanos(time.cpu),
        user: nanos(time.user),
        system: nanos(time.system),
        runnable: nanos(time.runnable),
        ..ProcessTime::default()
    };
    for cause in Cause::ALL {
        own.blocked[cause] = nanos(time.blocked[cause]);
    }
    own.synced = time.synced.map(|synced| Synced { database: nanos(synced.database), files: nanos(synced.files) });
    Folded {
        count: number(folded.count),
        replacing: number(folded.replacing),
        duration: nanos(folded.duration),
        failed: number(folded.failed),
        read: ByteSize(number(folded.read.0)),
        written: ByteSize(number(folded.written.0)),
        time: own,
        ..folded.clone()
    }
}
