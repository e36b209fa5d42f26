//! The time of each line, from the times and numbers in the prefixes of all lines.

use super::super::instant::{Instant, SECOND};
use super::prefix::Cut;
use super::stamp::TimeOrigin;
use std::collections::HashSet;

/// Half a day. A time of the day that goes back by more than this has passed midnight.
const HALF_DAY: Instant = 43_200 * SECOND;

/// A column of times before fewer than one of this number of lines is not that of the log.
const RARE: usize = 5;

/// The times of the lines.
pub(crate) struct Times {
    pub(crate) at: Vec<Option<Instant>>,
    /// Whether the times are since 1970.
    pub(crate) dated: bool,
}

/// Finds the times in the texts before the lines.
pub(crate) fn times(cuts: &[Cut<'_>]) -> Times {
    let columns = cuts.iter().map(|cut| cut.stamps.len()).max().unwrap_or(0);
    let column = |column: usize| cuts.iter().map(move |cut| cut.stamps.get(column).copied());
    let distinct = |index: &usize| column(*index).flatten().map(|stamp| stamp.at).collect::<HashSet<_>>().len();
    let known = cuts.iter().filter(|cut| cut.known).count();
    let frequent = |index: &usize| column(*index).flatten().count() * RARE >= known;
    let fine = |index: &usize| column(*index).flatten().any(|stamp| stamp.at % SECOND != 0);
    // Of equal columns the first is used: later ones may be those of a program within the build.
    let best = (0..columns).rev().filter(frequent).max_by_key(|index| (distinct(index), fine(index)));
    if let Some(best) = best {
        let zoned = column(best).flatten().all(|stamp| stamp.origin == TimeOrigin::Zoned);
        let clock = column(best).flatten().all(|stamp| stamp.origin == TimeOrigin::Clock);
        let mut at: Vec<Option<Instant>> = column(best).map(|stamp| stamp.map(|stamp| stamp.at)).collect();
        if clock {
            continuous(&mut at);
        }
        let finer =
            (!fine(&best)).then(|| number_columns(cuts).find_map(|numbers| refined(&at, &numbers.at))).flatten();
        return Times { at: finer.unwrap_or(at), dated: zoned };
    }
    let first = number_columns(cuts).next();
    first.unwrap_or_else(|| Times { at: vec![None; cuts.len()], dated: false })
}

/// The times of each column of numbers that has times.
fn number_columns(cuts: &[Cut<'_>]) -> impl Iterator<Item = Times> {
    let columns = cuts.iter().map(|cut| cut.numbers.len()).max().unwrap_or(0);
    (0..columns).filter_map(|column| {
        let found = || cuts.iter().map(|cut| cut.numbers.get(column));
        let units = found().flatten().all(|number| number.has_unit);
        numbers(found().map(|number| number.map(|number| number.value)).collect(), units)
    })
}

/// Times of whole seconds, made finer by numbers that say the same: they have a fraction, and their distance to the times is always the
/// same, but for the second that was cut off.
fn refined(seconds: &[Option<Instant>], numbers: &[Option<Instant>]) -> Option<Vec<Option<Instant>>> {
    let both = || seconds.iter().zip(numbers).filter_map(|(&second, &number)| Some((second?, number?)));
    let distances = || both().map(|(second, number)| number - second);
    let (least, most) = (distances().min()?, distances().max()?);
    let fine = both().any(|(_, number)| number % SECOND != 0);
    let whole = both().count() == seconds.iter().flatten().count();
    // The time of a line is the number less their distance: at most a second after the time that is written.
    let shift = most - (most - least).min(SECOND);
    (fine && whole && most - least <= SECOND + SECOND / 10)
        .then(|| numbers.iter().map(|number| number.map(|number| number - shift)).collect())
}

/// Makes times of the day increase across midnight. Times that go back often are those since the previous line.
fn continuous(at: &mut [Option<Instant>]) {
    let known: Vec<Instant> = at.iter().flatten().copied().collect();
    let back = known.windows(2).filter(|pair| pair[1] < pair[0] && pair[0] - pair[1] < HALF_DAY).count();
    let on = known.windows(2).filter(|pair| pair[1] > pair[0]).count();
    // A log with its last line first goes back all the time.
    if back > 1 && back * 2 >= on && on * 2 >= back {
        let mut sum = 0;
        for at in at.iter_mut().flatten() {
            sum += *at;
            *at = sum;
        }
        return;
    }
    let (mut days, mut last) = (0, None);
    for at in at.iter_mut().flatten() {
        if last.is_some_and(|last| last - *at > HALF_DAY) {
            days += 1;
        }
        last = Some(*at);
        *at += days * 2 * HALF_DAY;
    }
}

/// Numbers as times: seconds, milliseconds, microseconds or nanoseconds since 1970, or seconds since the start. `None` if they are
/// something else, such as the numbers of the lines. The numbers are in units of 10⁻⁹; with `units`, they are durations.
fn numbers(mut values: Vec<Option<Instant>>, units: bool) -> Option<Times> {
    let known: Vec<Instant> = values.iter().flatten().copied().collect();
    let pairs = || known.windows(2);
    let ordered = pairs().filter(|pair| pair[1] >= pair[0]).count();
    if known.iter().min() == known.iter().max() || ordered * 10 < (known.len() - 1) * 9 {
        return None;
    }
    let powers = [
        (1_000_000_000, 1),
        (1_000_000_000_000, 1_000),
        (1_000_000_000_000_000, 1_000_000),
        (1_000_000_000_000_000_000, SECOND),
    ];
    let since_1970 =
        powers.into_iter().find(|(unit, _)| known.iter().all(|value| (*unit..unit * 10).contains(&(value / SECOND))));
    if let Some((_, divisor)) = since_1970 {
        values.iter_mut().flatten().for_each(|value| *value /= divisor);
        return Some(Times { at: values, dated: true });
    }
    // Numbers of lines grow by one from line to line, also where some lines are missing.
    let whole = known.iter().all(|value| value % SECOND == 0);
    let repeated = pairs().any(|pair| pair[0] == pair[1]);
    (units || !whole || repeated).then_some(Times { at: values, dated: false })
}

#[cfg(test)]
mod tests {
    use super::super::prefix::Prefixes;
    use super::*;

    /// The times of lines in milliseconds since the first.
    fn of(lines: &[&str]) -> (Vec<Option<i128>>, bool) {
        let prefixes = Prefixes::learn(lines.iter().copied());
        let cuts: Vec<_> = lines.iter().map(|line| prefixes.cut(line)).collect();
        let times = times(&cuts);
        let first = times.at.iter().flatten().next().copied().unwrap_or(0);
        (times.at.into_iter().map(|at| at.map(|at| (at - first) / 1_000_000)).collect(), times.dated)
    }

    #[test]
    fn columns_of_times_are_found() {
        for (first, second, dated) in [
            ("10:00:00 ", "10:00:01 ", false),
            ("23:59:59.5 ", "00:00:00.5 ", false),
            ("[  12.250000] ", "[  13.250000] ", false),
            ("1772359200 ", "1772359201 ", true),
            ("1772359200123 ", "1772359201123 ", true),
            ("1772359200.123 ", "1772359201.123 ", true),
            ("1772359200123456789 ", "1772359201123456789 ", true),
            ("0:05 ", "0:06 ", false),
            ("Mar  1 10:00:00 host docker[1]: ", "Mar  1 10:00:01 host docker[1]: ", false),
            (
                "time=\"2026-03-01T10:00:00Z\" level=info msg=\"",
                "time=\"2026-03-01T10:00:01Z\" level=info msg=\"",
                true,
            ),
            (
                "time=\"2026-03-01T10:00:00Z\" level=info msg=\"[build] ",
                "time=\"2026-03-01T10:00:01Z\" level=info msg=\"[build] ",
                true,
            ),
            ("build.log:1:10:00:00.5 ", "build.log:2:10:00:01.5 ", false),
            ("build.log:1:03/01/2026 10:00:00 AM ", "build.log:2:03/01/2026 10:00:01 AM ", false),
            ("1 2026-03-01T10:00:00Z ", "2 2026-03-01T10:00:01Z ", true),
            ("12.5s ", "13.5s ", false),
            // A coarse time before a fine one.
            ("[21:14:07] 2026-03-01T10:00:00.5Z ", "[21:14:08] 2026-03-01T10:00:01.5Z ", true),
            ("[1m5s] ", "[1m6s] ", false),
        ] {
            let lines = [format!("{first}#1 [internal] x"), format!("{second}#1 DONE 1.0s")];
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(of(&lines), (vec![Some(0), Some(1000)], dated), "{first}");
        }
    }

    #[test]
    fn finer_numbers_are_used_if_they_agree_with_the_times() {
        let log = |times: [&str; 3]| {
            let lines = times.map(|time| format!("{time}#1 DONE 1.0s"));
            of(&lines.iter().map(String::as_str).collect::<Vec<_>>()).0
        };
        let fine = vec![Some(0), Some(700), Some(1600)];
        assert_eq!(log(["10:00:00 1772359200.250 ", "10:00:00 1772359200.950 ", "10:00:01 1772359201.850 "]), fine);
        assert_eq!(log(["10:00:00 [ 12.250000] ", "10:00:00 [ 12.950000] ", "10:00:01 [ 13.850000] "]), fine);
        // Something else that grows.
        assert_eq!(log(["10:00:00 1.5 ", "10:00:01 6.5 ", "10:00:02 9.5 "]), [Some(0), Some(1000), Some(2000)]);
    }

    #[test]
    fn numbers_of_lines_are_no_times() {
        assert_eq!(of(&["1 #1 [internal] x", "2 #1 DONE 1.0s", "4 #2 [internal] y"]).0, [None, None, None]);
        assert_eq!(of(&["0 #1 [internal] x", "0 #1 DONE 1.0s", "4 #2 [internal] y"]).0, [Some(0), Some(0), Some(4000)]);
    }
}
