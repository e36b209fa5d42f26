//! Clocks that were set back while a log was written.

use super::LogLine;
use crate::import::instant::{Instant, SECOND};
use crate::import::marks::{self, Mark};
use std::collections::HashMap;

/// A clock that goes back by more than this was set. Lines of several programs may be out of order by less.
const SET_BACK: Instant = 60 * SECOND;

/// A log whose times go back more often is not in the order of its times.
const MOST: usize = 3;

/// The times of one source of lines.
#[derive(Default)]
struct SourceClock {
    latest: Option<Instant>,
    /// What is added to its times since they went back.
    offset: Instant,
    /// The first line after that, until a line of the same build follows it.
    back: Option<usize>,
}

/// Lets the times go on from the latest one where the clock of a source was set back within a build. Returns the numbers of the first lines
/// after that.
pub(super) fn mend(lines: &mut [LogLine]) -> Vec<usize> {
    // Most logs are in the order of their times. What their lines mean takes longer to find out.
    if !go_back(lines) {
        return Vec::new();
    }
    let mut clocks: HashMap<Option<usize>, SourceClock> = HashMap::new();
    let (mut found, mut jumps) = (Vec::new(), 0);
    let mut times = Vec::with_capacity(lines.len());
    for line in lines.iter() {
        let Some(at) = line.at else {
            times.push(None);
            continue;
        };
        let clock = clocks.entry(line.stream).or_default();
        let mark = marks::find(&line.text);
        if matches!(mark, Some((_, Mark::RawJson | Mark::Kaniko))) {
            // They have times of their own.
            return Vec::new();
        }
        if mark.is_some() && marks::starts_build(&line.text) {
            *clock = SourceClock::default();
        }
        let mut now = at + clock.offset;
        if let Some(latest) = clock.latest.filter(|latest| now < latest - SET_BACK) {
            jumps += 1;
            clock.offset += latest - now;
            clock.back = Some(line.number);
            now = latest;
        }
        if mark.is_some() || marks::follows_a_step(&line.text) {
            found.extend(clock.back.take());
        }
        clock.latest = clock.latest.max(Some(now));
        times.push(Some(now));
    }
    if jumps == 0 || jumps > MOST {
        return Vec::new();
    }
    lines.iter_mut().zip(times).for_each(|(line, at)| line.at = at);
    found
}

/// Whether the times of a source go back by so much that its clock may have been set.
fn go_back(lines: &[LogLine]) -> bool {
    let mut latest: HashMap<Option<usize>, Instant> = HashMap::new();
    lines.iter().filter_map(|line| Some((line.stream, line.at?))).any(|(stream, at)| {
        let latest = latest.entry(stream).or_insert(at);
        let goes_back = at < *latest - SET_BACK;
        *latest = at.max(*latest);
        goes_back
    })
}

#[cfg(test)]
mod tests {
    use super::super::Log;

    fn seconds(text: &str) -> (Vec<i128>, usize) {
        let log = Log::read(text);
        let first = log.lines.iter().find_map(|line| line.at).unwrap_or(0);
        (log.lines.iter().filter_map(|line| Some((line.at? - first) / 1_000_000_000)).collect(), log.set_back.len())
    }

    #[test]
    fn times_go_on_where_a_clock_was_set_back_within_a_build() {
        let log = |times: [&str; 4]| {
            let [a, b, c, d] = times;
            format!("{a} #1 [1/2] RUN a\n{b} #1 DONE 5.0s\n{c} #2 [2/2] RUN b\n{d} #2 DONE 4.0s\n")
        };
        let hour = log(["2026-10-25 02:59:50", "2026-10-25 02:59:55", "2026-10-25 02:00:01", "2026-10-25 02:00:05"]);
        assert_eq!(seconds(&hour), (vec![0, 5, 5, 9], 1));
        let day = log(["2026-03-02T10:00:00Z", "2026-03-02T10:00:05Z", "2026-03-01T10:00:06Z", "2026-03-01T10:00:10Z"]);
        assert_eq!(seconds(&day), (vec![0, 5, 5, 9], 1));
        // Lines that two programs wrote at the same time.
        let near =
            log(["2026-03-02T10:00:00Z", "2026-03-02T10:00:05Z", "2026-03-02T10:00:04Z", "2026-03-02T10:00:10Z"]);
        assert_eq!(seconds(&near), (vec![0, 5, 4, 10], 0));
    }

    #[test]
    fn another_build_has_its_own_times() {
        let log = "2026-03-02T10:00:00Z #1 [1/1] RUN a\n2026-03-02T10:00:05Z #1 DONE 5.0s\n\
                   2026-03-01T10:00:00Z #1 [1/1] RUN b\n2026-03-01T10:00:07Z #1 DONE 7.0s\n";
        assert_eq!(seconds(log), (vec![0, 5, -86_400, -86_393], 0));
    }
}
