//! Times as people and programs write them before the lines of a log.

use super::super::instant::{Instant, SECOND};

/// Seconds in a day.
const DAY: Instant = 86_400;

/// The reference of a written time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimeOrigin {
    /// A date with a time zone: nanoseconds since 1970.
    Zoned,
    /// A date without a zone or without a year.
    Local,
    /// The time of the day, or the time since the start in the same form.
    Clock,
}

/// A written time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Nanoseconds since the origin.
    pub(crate) at: Instant,
    pub(crate) origin: TimeOrigin,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads the time at the start of a text. Returns its length in bytes too.
pub(crate) fn read(text: &str) -> Option<(usize, Stamp)> {
    let mut cursor = Cursor { text, at: 0 };
    let stamp = cursor.stamp()?;
    let boundary = !text[cursor.at..].starts_with(|c: char| c.is_ascii_alphanumeric());
    boundary.then_some((cursor.at, stamp))
}

/// Reads a text that is a time and nothing else.
pub(crate) fn whole(text: &str) -> Option<Stamp> {
    read(text.trim()).filter(|&(length, _)| length == text.trim().len()).map(|(_, stamp)| stamp)
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Runs the parser, and returns to its start if it finds nothing.
    fn maybe<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let at = self.at;
        let found = parse(self);
        if found.is_none() {
            self.at = at;
        }
        found
    }

    /// A number of `from` to `to` digits that no further digit follows.
    fn digits(&mut self, from: usize, to: usize) -> Option<Instant> {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value = (from..=to).contains(&length).then(|| rest[..length].parse().ok()).flatten()?;
        self.at += length;
        Some(value)
    }

    /// A number of exactly that many digits. More digits may follow.
    fn exactly(&mut self, count: usize) -> Option<Instant> {
        let digits = self.rest().get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.at += count;
        digits.parse().ok()
    }

    fn spaces(&mut self) -> bool {
        let before = self.at;
        while self.eat(" ") {}
        self.at > before
    }

    /// A name of a list by its first three letters, written out or not.
    fn name(&mut self, names: &[&str]) -> Option<usize> {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = rest[..length].to_ascii_lowercase();
        let found = names.iter().position(|name| word.starts_with(name)).filter(|_| (3..=9).contains(&length))?;
        self.at += length;
        Some(found)
    }

    fn stamp(&mut self) -> Option<Stamp> {
        if let Some(at) = self.maybe(Self::tai64n) {
            return Some(Stamp { at, origin: TimeOrigin::Zoned });
        }
        if let Some(stamp) = self.maybe(Self::in_a_row) {
            return Some(stamp);
        }
        let day_name = self.maybe(|cursor| {
            cursor.name(&DAYS)?;
            cursor.eat(",");
            cursor.spaces().then_some(())
        });
        let date = self.maybe(|cursor| {
            let date = cursor.date()?;
            let separated = ["T", ", ", " at ", " @ ", " ", ":", "_", "-"].iter().any(|word| cursor.eat(word));
            cursor.spaces();
            // The day must be followed by a time of the day.
            (separated && cursor.rest().starts_with(|c: char| c.is_ascii_digit())).then_some(date)
        });
        if day_name.is_some() && date.is_none() {
            return None;
        }
        let time = self.time(date.is_some())?;
        let Some((year, month, day)) = date else { return Some(Stamp { at: time, origin: TimeOrigin::Clock }) };
        let zone = self.zone();
        let written = year.or_else(|| {
            self.maybe(|cursor| {
                let spaced = cursor.spaces();
                cursor.digits(4, 4).filter(|year| spaced && (1970..2200).contains(year))
            })
        });
        let zone = zone.or_else(|| self.zone());
        let seconds = days(written.unwrap_or(2000), month, day)? * DAY;
        let origin = if written.is_some() && zone.is_some() { TimeOrigin::Zoned } else { TimeOrigin::Local };
        Some(Stamp { at: (seconds - zone.unwrap_or(0)) * SECOND + time, origin })
    }

    /// `@` and 24 hexadecimal digits: seconds since 1970 in TAI, counted from 2⁶², and nanoseconds (multilog, s6-log).
    fn tai64n(&mut self) -> Option<Instant> {
        /// The seconds by which TAI is ahead of UTC, without the leap seconds that the label leaves out.
        const AHEAD: Instant = 10;
        let digits = self.rest().strip_prefix('@')?.get(..24)?;
        let label = Instant::from_str_radix(digits.get(..16)?, 16).ok()? - (1 << 62);
        let nanos = Instant::from_str_radix(digits.get(16..)?, 16).ok()?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && label > AHEAD && nanos < SECOND;
        self.at += 25;
        plain.then_some((label - AHEAD) * SECOND + nanos)
    }

    /// A date and a time in 14 digits, as `date +%Y%m%d%H%M%S` writes them, and perhaps a fraction or three digits of milliseconds.
    fn in_a_row(&mut self) -> Option<Stamp> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if !matches!(length, 14 | 17) {
            return None;
        }
        let (year, month, day) = (self.exactly(4)?, self.exactly(2)?, self.exactly(2)?);
        let (hour, minute, second) = (self.exactly(2)?, self.exactly(2)?, self.exactly(2)?);
        if !(1970..2200).contains(&year) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let fraction = if length == 14 {
            let separated =
                |cursor: &mut Self| (cursor.eat(".") || cursor.eat(",")).then(|| cursor.fraction()).flatten();
            self.maybe(separated)
        } else {
            self.fraction()
        };
        let zone = self.zone();
        let seconds = days(year, month, day)? * DAY + hour * 3600 + minute * 60 + second - zone.unwrap_or(0);
        let origin = if zone.is_some() { TimeOrigin::Zoned } else { TimeOrigin::Local };
        Some(Stamp { at: seconds * SECOND + fraction.unwrap_or(0), origin })
    }

    /// A date as year, month and day. The year may be missing.
    fn date(&mut self) -> Option<(Option<Instant>, Instant, Instant)> {
        let year_first = self.maybe(|cursor| {
            let year = cursor.digits(4, 4)?;
            let (month, day) = cursor.pair(&["-", "/", "."])?;
            Some((Some(year), month, day))
        });
        let compact = |cursor: &mut Self| {
            let (year, month, day) = (cursor.exactly(4)?, cursor.exactly(2)?, cursor.exactly(2)?);
            (!cursor.rest().starts_with(|c: char| c.is_ascii_digit()) && (1970..2200).contains(&year)).then_some((
                Some(year),
                month,
                day,
            ))
        };
        let month_first = |cursor: &mut Self| {
            let month = cursor.name(&MONTHS)?;
            let spaced = cursor.spaces() || cursor.eat("-") || cursor.eat("/");
            let day = cursor.digits(1, 2).filter(|_| spaced)?;
            let year = cursor.maybe(|cursor| {
                let separated = cursor.eat(", ") || cursor.eat(" ") || cursor.eat("-") || cursor.eat("/");
                cursor.digits(4, 4).filter(|_| separated)
            });
            Some((year, month as Instant + 1, day))
        };
        let day_first = |cursor: &mut Self| {
            let day = cursor.digits(1, 2)?;
            let separator = [" ", "-", "/"].into_iter().find(|separator| cursor.eat(separator))?;
            let month = cursor.name(&MONTHS)?;
            let year = cursor.maybe(|cursor| {
                let separated = cursor.eat(separator);
                cursor.digits(4, 4).filter(|_| separated)
            });
            Some((year, month as Instant + 1, day))
        };
        let year_last = |cursor: &mut Self| {
            let first = cursor.digits(1, 2)?;
            let separator = ["/", ".", "-"].into_iter().find(|separator| cursor.eat(separator))?;
            let second = cursor.digits(1, 2)?;
            let year = cursor.maybe(|cursor| if cursor.eat(separator) { cursor.digits(4, 4) } else { None })?;
            // Only the United States write the month first, with slashes.
            let month_first = separator == "/" && first <= 12;
            let (month, day) = if month_first { (first, second) } else { (second, first) };
            Some((Some(year), month, day))
        };
        year_first
            .or_else(|| self.maybe(compact))
            .or_else(|| self.maybe(month_first))
            .or_else(|| self.maybe(day_first))
            .or_else(|| self.maybe(year_last))
    }

    /// A separator, the month, the separator again, and the day.
    fn pair(&mut self, separators: &[&str]) -> Option<(Instant, Instant)> {
        let separator = separators.iter().find(|separator| self.eat(separator))?;
        let month = self.digits(1, 2)?;
        let day = if self.eat(separator) { self.digits(1, 2).or_else(|| self.exactly(2))? } else { return None };
        Some((month, day))
    }

    /// Whether a whole time begins here, so that the number and the colon before it are those of a line, as `grep -n` writes them.
    fn is_behind_a_number(&self) -> bool {
        let mut behind = Cursor { text: self.text, at: self.at };
        let dated = behind.maybe(Self::date).is_some_and(|(year, ..)| year.is_some());
        let mut bytes = self.rest().bytes();
        let form = "00:00:00".bytes().all(|wanted| {
            bytes.next().is_some_and(|byte| if wanted == b':' { byte == b':' } else { byte.is_ascii_digit() })
        });
        let clock = form && !bytes.next().is_some_and(|byte| byte.is_ascii_digit());
        dated || clock
    }

    /// The time of the day in nanoseconds.
    fn time(&mut self, dated: bool) -> Option<Instant> {
        let compact = |cursor: &mut Self| {
            let (hour, minute, second) = (cursor.exactly(2)?, cursor.exactly(2)?, cursor.exactly(2)?);
            (!cursor.rest().starts_with(|c: char| c.is_ascii_digit())).then_some((hour, minute, second))
        };
        let colons = |cursor: &mut Self| {
            let hour = cursor.digits(1, 3)?;
            if !cursor.eat(":") || !dated && cursor.is_behind_a_number() {
                return None;
            }
            let minute = cursor.digits(2, 2)?;
            match cursor.maybe(|cursor| if cursor.eat(":") { cursor.digits(2, 2) } else { None }) {
                Some(second) => Some((hour, minute, second)),
                // The numbers of lines are before more of them: `10:10:2026-03-01`.
                None if cursor
                    .rest()
                    .strip_prefix(':')
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) =>
                {
                    None
                }
                // Two parts are minutes and seconds, as programs write the time since the start.
                None if !dated => Some((0, hour, minute)),
                None => None,
            }
        };
        // Names of files have no colons: `2026-03-01-10-00-00`.
        let dashes = |cursor: &mut Self| {
            let hour = cursor.digits(2, 2)?;
            let minute = if cursor.eat("-") { cursor.digits(2, 2)? } else { return None };
            let second = if cursor.eat("-") { cursor.digits(2, 2)? } else { return None };
            Some((hour, minute, second))
        };
        let colons = |cursor: &mut Self| {
            let found = cursor.maybe(colons);
            if found.is_none() && dated { cursor.maybe(dashes) } else { found }
        };
        let (hour, minute, second) = self.maybe(colons).or_else(|| if dated { self.maybe(compact) } else { None })?;
        if second > 60 || (minute > 59 && hour > 0) || (dated && hour > 24) {
            return None;
        }
        let fraction = self.maybe(|cursor| {
            let separated = cursor.eat(".") || cursor.eat(",") || (dated && cursor.eat(":"));
            separated.then(|| cursor.fraction()).flatten()
        });
        let half = self.maybe(|cursor| {
            cursor.spaces();
            let half = cursor.rest().get(..2)?.to_ascii_uppercase();
            let whole = !cursor.rest()[2..].starts_with(|c: char| c.is_ascii_alphanumeric());
            cursor.at += 2;
            (whole && (half == "AM" || half == "PM") && (1..=12).contains(&hour)).then_some(half)
        });
        let hour = match half.as_deref() {
            Some("PM") if hour < 12 => hour + 12,
            Some("AM") if hour == 12 => 0,
            _ => hour,
        };
        Some((hour * 3600 + minute * 60 + second) * SECOND + fraction.unwrap_or(0))
    }

    /// The digits after a decimal point, in nanoseconds.
    fn fraction(&mut self) -> Option<Instant> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let digits = &self.rest()[..length.min(9)];
        let value: Instant = digits.parse().ok()?;
        self.at += length;
        Some(value * Instant::pow(10, 9 - digits.len() as u32))
    }

    /// The offset of a time zone from UTC in seconds.
    fn zone(&mut self) -> Option<Instant> {
        let offset = |cursor: &mut Self| {
            cursor.spaces();
            let sign = if cursor.eat("+") {
                1
            } else if cursor.eat("-") {
                -1
            } else {
                return None;
            };
            let hours = cursor.exactly(2)?;
            cursor.eat(":");
            let minutes = cursor.exactly(2)?;
            (!cursor.rest().starts_with(|c: char| c.is_ascii_digit())).then_some(sign * (hours * 3600 + minutes * 60))
        };
        let named = |cursor: &mut Self| {
            cursor.spaces();
            let found = ["UTC", "GMT", "Z", "z"].iter().any(|zone| cursor.eat(zone));
            (found && !cursor.rest().starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(0)
        };
        let found = self.maybe(offset).or_else(|| self.maybe(named))?;
        // Go writes both: `+0000 UTC`.
        self.maybe(named);
        Some(found)
    }
}

/// The days from 1970 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: Instant, month: Instant, day: Instant) -> Option<Instant> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01T10:00:00Z.
    const TEN: Instant = 1_772_359_200 * SECOND;

    #[test]
    fn dates_with_a_zone_are_instants() {
        for text in [
            "2026-03-01T10:00:00Z",
            "2026-03-01T10:00:00.000000000Z",
            "2026-03-01 10:00:00 +0000 UTC",
            "2026-03-01T11:00:00+01:00",
            "2026-03-01T11:00:00+0100",
            "2026/03/01 10:00:00 UTC",
            "Sun Mar  1 10:00:00 UTC 2026",
            "Sun, 01 Mar 2026 10:00:00 GMT",
            "01/Mar/2026:10:00:00 +0000",
            "20260301T100000Z",
            "20260301100000Z",
            "@4000000069a40e2a00000000",
        ] {
            assert_eq!(whole(text), Some(Stamp { at: TEN, origin: TimeOrigin::Zoned }), "{text}");
        }
        assert_eq!(whole("2019-08-08 20:20:56.496686392 +0000 UTC").unwrap().at % SECOND, 496_686_392);
    }

    #[test]
    fn dates_without_a_zone_keep_their_distances() {
        let at = |text: &str| whole(text).unwrap_or_else(|| panic!("{text}"));
        for (earlier, later, seconds) in [
            ("2026-03-01 10:00:00,123", "2026-03-01 10:00:01,123", 1),
            ("Mar  1 23:59:59", "Mar  2 00:00:01", 2),
            ("03/01/2026 9:59:00 AM", "03/01/2026 1:00:00 PM", 10_860),
            ("01.03.2026 10:00:00", "02.03.2026 10:00:00", 86_400),
            ("01-Mar-2026 10:00:00", "01-Mar-2026 10:01:00", 60),
            ("Mar 1, 2026 11:59:59 PM", "Mar 2, 2026 12:00:00 AM", 1),
            ("20260301 10:00:00", "20260301 10:00:30", 30),
            ("2026-03-01-10-00-00", "2026-03-01-10-00-30", 30),
            ("Mar 1, 2026 @ 10:00:00.000", "Mar 2, 2026 @ 10:00:00.000", 86_400),
            ("20260301095959", "20260301100001", 2),
            ("20260301095959.250", "20260301100001.250", 2),
            ("20260301095959250", "20260301100001250", 2),
        ] {
            assert_eq!(
                (at(later).at - at(earlier).at, at(earlier).origin),
                (seconds * SECOND, TimeOrigin::Local),
                "{earlier}"
            );
        }
    }

    #[test]
    fn clocks_are_times_of_the_day_or_since_the_start() {
        let clock = |text: &str| whole(text).filter(|stamp| stamp.origin == TimeOrigin::Clock).map(|stamp| stamp.at);
        assert_eq!(clock("10:00:00.5"), Some(36_000 * SECOND + SECOND / 2));
        assert_eq!(clock("10:00:00,500"), Some(36_000 * SECOND + SECOND / 2));
        assert_eq!(clock("01:05"), Some(65 * SECOND));
        assert_eq!(clock("100:00:00"), Some(360_000 * SECOND));
        assert_eq!(clock("1:00:00 PM"), Some(46_800 * SECOND));
        // The number of a line is before them.
        for behind in [
            "10:10:2026-03-01 10:00:00",
            "3:01/01/2026 10:00:00",
            "3:01.01.2026 10:00:00",
            "3:10:00:00.5",
            "12:10:00:00",
        ] {
            assert_eq!(read(behind), None, "{behind}");
        }
        for text in [
            "20261301100000",
            "17723592001234",
            "10",
            "10:0",
            "2026-03-01",
            "10:00:00x",
            "1.5",
            "abc",
            "",
            "12:75:99",
            "2026-13-01T10:00:00Z",
            "é",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
