//! Bounds the size of a step with many processes: the shortest ones become totals by program and parent.

use crate::blocked::ProgramWaits;
use crate::programs::Programs;
use crate::run::{ProgramRun, ProgramRuns};
use buildscope_record::{ByteSize, Folded, Nanos, ProcessTime, is_container_runtime};
use foldhash::HashSet;
use std::collections::BTreeMap;

/// The number of processes of a step above which they are folded, down to half of it.
pub(crate) const MOST: usize = 4000;
/// The most totals by program and parent. All others become one total.
const MOST_TOTALS: usize = 1000;
/// The length below which a process is folded together with its children, in nanoseconds.
const SHORT: u64 = 100_000_000;
/// The name of the total of all programs without a total of their own.
const OTHERS: &str = "(others)";

/// The folded processes, by parent and program.
#[derive(Debug, Default)]
pub(crate) struct Totals(BTreeMap<(Option<u32>, String), Total>);

#[derive(Clone, Copy, Debug)]
struct Total {
    count: u64,
    replacing: u64,
    start: u64,
    end: u64,
    duration: u64,
    failed: u64,
    read: u64,
    written: u64,
    peak_memory: u64,
    time: ProcessTime,
    waits: ProgramWaits,
}

impl Total {
    fn of(run: &ProgramRun) -> Self {
        Self {
            count: 1,
            replacing: u64::from(run.replaces.is_some()),
            start: run.start,
            end: run.end.unwrap_or(run.start),
            duration: run.duration(),
            failed: u64::from(run.usage.exit.is_some_and(|code| code != 0)),
            read: run.read().unwrap_or(0),
            written: run.written().unwrap_or(0),
            peak_memory: run.usage.peak_memory.unwrap_or(0),
            time: run.time,
            waits: *run.waits(),
        }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.replacing += other.replacing;
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.duration += other.duration;
        self.failed += other.failed;
        self.read += other.read;
        self.written += other.written;
        self.peak_memory = self.peak_memory.max(other.peak_memory);
        self.time += other.time;
        self.waits += other.waits;
    }
}

impl Totals {
    fn add(&mut self, parent: Option<u32>, program: String, total: Total) {
        let room = self.0.len() < MOST_TOTALS || self.0.contains_key(&(parent, program.clone()));
        let key = if room { (parent, program) } else { (None, OTHERS.to_owned()) };
        self.0.entry(key).and_modify(|sum| sum.add(total)).or_insert(total);
    }

    /// Whether that process has totals below it.
    fn is_below(&self, id: u32) -> bool {
        self.0.range((Some(id), String::new())..(Some(id + 1), String::new())).next().is_some()
    }

    /// Moves the totals below a folded process to its parent.
    fn move_up(&mut self, from: u32, to: Option<u32>) {
        let below = (Some(from), String::new())..(Some(from + 1), String::new());
        let keys: Vec<_> = self.0.range(below).map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(total) = self.0.remove(&key) {
                self.add(to, key.1, total);
            }
        }
    }

    /// Resolves the causes of their waits, by the known waits of their programs.
    pub(crate) fn resolve(&mut self, programs: &Programs) {
        for ((_, program), total) in &mut self.0 {
            let like = programs.of(program);
            total.time.blocked = total.waits.resolved(&like);
            total.time.synced = total.waits.synced(&like);
        }
    }

    /// Returns the totals in the form of the record.
    pub(crate) fn folded(&self, at: impl Fn(u64) -> Nanos, index: impl Fn(u32) -> Option<u32>) -> Vec<Folded> {
        let folded = |((parent, program), total): (&(Option<u32>, String), &Total)| Folded {
            parent: parent.and_then(&index),
            program: program.clone(),
            count: total.count,
            replacing: total.replacing,
            start: at(total.start),
            end: at(total.end),
            duration: Nanos(total.duration),
            failed: total.failed,
            read: ByteSize(total.read),
            written: ByteSize(total.written),
            peak_memory: ByteSize(total.peak_memory),
            time: total.time,
        };
        self.0.iter().map(folded).collect()
    }
}

/// Folds the processes of a step that has ended. Where some had to be folded before, those that are too short to be seen in any view become
/// totals as well, so that the record stays small.
pub(crate) fn fold_ended(runs: &mut ProgramRuns, totals: &mut Totals, wall: u64) {
    /// The part of a step that is too small to be seen.
    const PART: u64 = 2000;
    fold(runs, totals, MOST / 2, u64::MAX);
    if !totals.0.is_empty() {
        fold(runs, totals, MOST / 8, wall / PART);
    }
}

/// The programs that a container runtime executed, each of them the first of a container, and those that they executed in their own place.
/// Where the whole machine is observed, these tell which step a process belongs to.
fn of_containers(runs: &ProgramRuns) -> HashSet<u32> {
    let mut found = HashSet::default();
    for (&id, run) in runs {
        let before = run.replaces.filter(|before| found.contains(before)).is_some();
        let by_runtime = run.replaces.or(run.parent).and_then(|other| runs.get(&other)).is_some_and(|other| {
            let in_its_place = run.replaces.is_some() && !other.forked;
            is_container_runtime(&other.program, in_its_place.then_some(other.threads))
        });
        if before || by_runtime && !run.forked {
            found.insert(id);
        }
    }
    found
}

/// Folds the shortest ended processes without children, until at most `most` are left, or only those of at least `long` nanoseconds. The
/// programs of containers are kept, but no more than a quarter of [`MOST`].
pub(crate) fn fold(runs: &mut ProgramRuns, totals: &mut Totals, most: usize, long: u64) {
    let kept = Some(of_containers(runs)).filter(|kept| kept.len() <= MOST / 4).unwrap_or_default();
    while runs.len() > most {
        let mut needed: HashSet<u32> = HashSet::default();
        for run in runs.values() {
            needed.extend(run.parent.iter().chain(&run.replaces));
        }
        let foldable = |(&id, run): (&u32, &ProgramRun)| {
            let leaf = run.end.is_some() && !needed.contains(&id) && !kept.contains(&id);
            // A short process whose children are folded explains nothing about them, but would need its own totals.
            let useless = run.duration() < SHORT && totals.is_below(id);
            let duration = if useless { 0 } else { run.duration() };
            (leaf && duration < long).then_some((duration, id))
        };
        let mut leaves: Vec<(u64, u32)> = runs.iter().map(|(id, run)| (id, &**run)).filter_map(foldable).collect();
        if leaves.is_empty() {
            return;
        }
        leaves.sort_unstable();
        // The longest leaf is left for the next round: by then its parent may be the shorter one. So are those for whose parents new totals
        // would be needed, which move up when the parents are folded.
        let few = (leaves.len() / 2).max(1).min(runs.len() - most);
        let room = totals.0.len() + MOST_TOTALS / 2;
        for &(_, id) in &leaves[..few] {
            if totals.0.len() >= room {
                break;
            }
            let Some(run) = runs.remove(&id) else { continue };
            totals.move_up(id, run.parent);
            let total = Total::of(&run);
            totals.add(run.parent, run.program, total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::What;
    use crate::forest::Forest;
    use crate::forest::tests::{event, executed, forked};

    #[test]
    fn a_hundred_thousand_processes_stay_few_and_their_sums_whole() {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sh")]);
        let count = 100_000;
        for number in 0..count {
            let (pid, ms) = (100 + number, 1 + 10 * number as u64);
            let program = if number == 700 { "long" } else { ["true", "cat", "sed"][number as usize % 3] };
            let long = if number == 700 { 9 } else { 2 };
            forest.take([
                forked(ms, pid, 11),
                event(ms, pid, What::In),
                executed(ms, pid, program),
                event(ms + long, pid, What::Exited),
            ]);
        }
        forest.finish(20_000_000);
        let step = &forest.steps[0];
        assert!(step.runs.len() <= MOST, "{}", step.runs.len());
        let folded = step.totals.folded(Nanos, Some);
        assert_eq!(folded.len(), 3);
        let sum: u64 = folded.iter().map(|folded| folded.count).sum::<u64>() + step.runs.len() as u64;
        assert_eq!(sum, count as u64 + 1);
        let cpu = folded.iter().map(|folded| folded.time.cpu.0).sum::<u64>()
            + step.runs.values().filter(|run| run.program != "sh").map(|run| run.time.cpu.0).sum::<u64>();
        assert_eq!(cpu, (2 * (count as u64 - 1) + 9) * 1_000_000);
        assert!(step.runs.values().any(|run| run.program == "long"), "what is long is kept");
        assert!(folded.iter().all(|folded| folded.parent == Some(0)));
    }

    /// Each copy of the shell works for 3 ms before it executes a program in its own place.
    #[test]
    fn a_program_that_replaces_another_counts_as_one() {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sh")]);
        let count = 10_000;
        for number in 0..count {
            let (pid, ms) = (100 + number, 1 + 10 * number as u64);
            forest.take([
                forked(ms, pid, 11),
                event(ms, pid, What::In),
                executed(ms + 3, pid, "true"),
                event(ms + 4, pid, What::Exited),
            ]);
        }
        forest.finish(1_000_000);
        let step = &forest.steps[0];
        let folded = step.totals.folded(Nanos, Some);
        let runs = folded.iter().map(|folded| folded.count).sum::<u64>() + step.runs.len() as u64;
        assert_eq!(runs, 2 * count as u64 + 1);
        let kept = step.runs.values().filter(|run| run.replaces.is_none()).count() as u64;
        assert_eq!(folded.iter().map(Folded::processes).sum::<u64>() + kept, count as u64 + 1);
    }

    /// Each of the programs takes 2 ms. Of 20 s, that is a five-thousandth, and of 2 s half a hundredth.
    #[test]
    fn programs_that_no_view_shows_are_few_in_the_record() {
        let ended = |wall_ms, count: usize| {
            let mut forest = Forest::new(1);
            forest.take([forked(0, 10, 1), forked(0, 11, 10), executed(0, 11, "sh")]);
            for pid in 100..100 + count as i32 {
                forest.take([forked(1, pid, 11), executed(1, pid, "true"), event(3, pid, What::Exited)]);
            }
            forest.finish(wall_ms);
            let step = &mut forest.steps[0];
            fold_ended(&mut step.runs, &mut step.totals, wall_ms * 1_000_000);
            let folded: u64 = step.totals.folded(Nanos, Some).iter().map(|folded| folded.count).sum();
            (step.runs.len(), folded)
        };
        assert_eq!(ended(20_000, 10_000), (500, 9_501));
        assert_eq!(ended(2_000, 10_000).0, 2_000, "a view of a step of 2 s can show them");
        assert_eq!(ended(20_000, 1_000), (1_001, 0), "nothing had to be folded before");
    }

    /// Of a machine, every process is seen; a step of a millisecond is recognised by its shell.
    #[test]
    fn the_programs_of_containers_are_kept() {
        let mut forest = Forest::of_machine(0);
        let start =
            |ms, pid, parent, name| [forked(ms, pid, parent), event(ms, pid, What::In), executed(ms, pid, name)];
        // The runtime works for longer than a process that executes a program at once.
        forest.take(start(0, 10, 1, "runc").into_iter().chain([forked(5, 11, 10), event(5, 11, What::In)]));
        forest.take([executed(9, 11, "sh"), executed(10, 11, "true"), event(11, 11, What::Exited)]);
        forest.take(start(20, 12, 1, "crun").into_iter().chain(start(21, 13, 12, "sh")));
        forest.take([event(22, 13, What::Exited), event(23, 12, What::Exited)]);
        for number in 0..10_000 {
            let (pid, ms) = (100 + number, 30 + 10 * number as u64);
            forest.take(start(ms, pid, 1, "cc1").into_iter().chain([event(ms + 3, pid, What::Exited)]));
        }
        forest.finish(200_000);
        let kept = |program: &str| forest.steps[0].runs.values().filter(|run| run.program == program).count();
        assert_eq!(["sh", "true"].map(kept), [2, 1]);
        assert!(kept("cc1") <= MOST);
    }

    #[test]
    fn children_of_a_folded_process_go_to_its_parent() {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "make")]);
        for number in 0..20_000 {
            let (sh, cc, ms) = (100 + 2 * number, 101 + 2 * number, 1 + 10 * number as u64);
            forest.take([
                forked(ms, sh, 11),
                event(ms, sh, What::In),
                executed(ms, sh, "sh"),
                forked(ms, cc, sh),
                event(ms, cc, What::In),
                executed(ms, cc, "cc"),
                event(ms + 3, cc, What::Exited),
                event(ms + 4, sh, What::Exited),
            ]);
        }
        forest.finish(1_000_000);
        let step = &forest.steps[0];
        let folded = step.totals.folded(Nanos, Some);
        let kept = |program: &str| step.runs.values().filter(|run| run.program == program).count() as u64;
        for program in ["sh", "cc"] {
            let count: u64 = folded.iter().filter(|folded| folded.program == program).map(|folded| folded.count).sum();
            assert_eq!(count + kept(program), 20_000, "{program}");
        }
        let parents_kept =
            folded.iter().all(|folded| folded.parent.is_none_or(|parent| step.runs.contains_key(&parent)));
        assert!(parents_kept, "totals hang on a process that is there");
    }
}
