//! Functions of time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ZonedDateTime, tz::Offset};

use super::{
    Function,
    arguments::{integer, take, text},
    exact,
};
use crate::value::{Number, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("timestamp", 0, |_| {
        let now = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC);
        Ok(Value::String(rfc3339(&now)))
    }),
    exact("timeadd", 2, |a| {
        let [time, duration] = take(a)?;
        let sum = parse(&text(time)?)?.checked_add(parse_duration(&text(duration)?)?);
        sum.map(|sum| Value::String(rfc3339(&sum))).map_err(|error| error.to_string())
    }),
    exact("formatdate", 2, |a| {
        let [pattern, time] = take(a)?;
        format(&text(pattern)?, &parse(&text(time)?)?).map(Value::String)
    }),
    exact("formattimestamp", 2, |a| {
        let [pattern, time] = take(a)?;
        let time = match time {
            Value::String(time) => parse(&time)?,
            number @ Value::Number(_) => unix(integer(number)?)?,
            _ => return Err("a timestamp or a number of seconds is required".into()),
        };
        match text(pattern)?.as_str() {
            "X" => Ok(Value::String(time.timestamp().as_second().to_string())),
            pattern => format(pattern, &time).map(Value::String),
        }
    }),
    exact("unixtimestampparse", 1, |a| {
        let [seconds] = take(a)?;
        let time = unix(integer(seconds)?)?;
        let week = time.date().iso_week_date();
        let number = |value: i64| Value::Number(Number::from(value));
        Ok(Value::Object(BTreeMap::from([
            ("year".into(), number(time.year().into())),
            ("year_day".into(), number(time.day_of_year().into())),
            ("day".into(), number(time.day().into())),
            ("month".into(), number(time.month().into())),
            ("month_name".into(), Value::from(MONTHS[time.month() as usize - 1])),
            ("weekday".into(), number(time.weekday().to_sunday_zero_offset().into())),
            ("weekday_name".into(), Value::from(weekday(&time))),
            ("hour".into(), number(time.hour().into())),
            ("minute".into(), number(time.minute().into())),
            ("second".into(), number(time.second().into())),
            ("rfc3339".into(), Value::String(rfc3339(&time))),
            ("iso_year".into(), number(week.year().into())),
            ("iso_week".into(), number(week.week().into())),
        ])))
    }),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn weekday(time: &ZonedDateTime) -> &'static str {
    DAYS[time.weekday().to_sunday_zero_offset() as usize]
}

fn unix(seconds: i64) -> Result<ZonedDateTime, String> {
    let time = Timestamp::from_second(seconds).map_err(|error| error.to_string())?;
    Ok(time.to_zoned_datetime(jiff::tz::TimeZone::UTC))
}

/// Reads RFC 3339, and keeps the offset from UTC.
fn parse(text: &str) -> Result<ZonedDateTime, String> {
    let failed = || format!("\"{text}\" is not a timestamp of RFC 3339, such as 2026-11-28T12:00:00Z");
    let numeric = text.strip_suffix('Z').map_or_else(|| text.to_owned(), |local| format!("{local}+00:00"));
    ZonedDateTime::strptime("%Y-%m-%dT%H:%M:%S%.f%:z", &numeric).map_err(|_| failed())
}

fn offset(time: &ZonedDateTime, colon: bool) -> String {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    let colon = if colon { ":" } else { "" };
    format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
}

fn zone(time: &ZonedDateTime) -> String {
    if time.offset() == Offset::UTC { "Z".into() } else { offset(time, true) }
}

fn rfc3339(time: &ZonedDateTime) -> String {
    format!("{}{}", time.strftime("%Y-%m-%dT%H:%M:%S"), zone(time))
}

/// Reads a duration as Go writes it: `1h30m`, `-1.5s`, `300ms`.
fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let failed = || format!("\"{text}\" is not a duration, such as 1h30m or -10s");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(failed());
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(failed)?;
        let count: f64 = rest[..digits].parse().map_err(|_| failed())?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        nanoseconds += count
            * match &rest[..unit_end] {
                "h" => 3.6e12,
                "m" => 6e10,
                "s" => 1e9,
                "ms" => 1e6,
                "us" | "µs" | "μs" => 1e3,
                "ns" => 1.0,
                _ => return Err(failed()),
            };
        rest = &rest[unit_end..];
    }
    let seconds = if negative { -nanoseconds } else { nanoseconds } / 1e9;
    SignedDuration::try_from_secs_f64(seconds).map_err(|_| failed())
}

/// Writes a time by a pattern of repeated letters. Text in single quotes is literal.
fn format(pattern: &str, time: &ZonedDateTime) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (literal, after) = literal(rest)?;
            text.push_str(&literal);
            rest = after;
        } else if first.is_ascii_alphabetic() {
            let end = rest.find(|c| c != first).unwrap_or(rest.len());
            text.push_str(&verb(&rest[..end], time)?);
            rest = &rest[end..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(text)
}

/// A quoted part, in which two quotes mean one, and the text after it.
fn literal(text: &str) -> Result<(String, &str), String> {
    if let Some(after) = text.strip_prefix("''") {
        return Ok(("'".into(), after));
    }
    let mut content = String::new();
    let mut rest = &text[1..];
    loop {
        let (before, after) = rest.split_once('\'').ok_or("a quote ' in the pattern is not closed")?;
        content.push_str(before);
        match after.strip_prefix('\'') {
            Some(more) => {
                content.push('\'');
                rest = more;
            }
            None => return Ok((content, after)),
        }
    }
}

fn verb(verb: &str, time: &ZonedDateTime) -> Result<String, String> {
    let twelve = |hour: i8| if hour % 12 == 0 { 12 } else { hour % 12 };
    let half = |morning: &str, evening: &str| if time.hour() < 12 { morning } else { evening }.to_owned();
    Ok(match verb {
        "YY" => format!("{:02}", time.year() % 100),
        "YYYY" => format!("{:04}", time.year()),
        "M" => time.month().to_string(),
        "MM" => format!("{:02}", time.month()),
        "MMM" => MONTHS[time.month() as usize - 1][..3].to_owned(),
        "MMMM" => MONTHS[time.month() as usize - 1].to_owned(),
        "D" => time.day().to_string(),
        "DD" => format!("{:02}", time.day()),
        "EEE" => weekday(time)[..3].to_owned(),
        "EEEE" => weekday(time).to_owned(),
        "h" => time.hour().to_string(),
        "hh" => format!("{:02}", time.hour()),
        "H" => twelve(time.hour()).to_string(),
        "HH" => format!("{:02}", twelve(time.hour())),
        "AA" => half("AM", "PM"),
        "aa" => half("am", "pm"),
        "m" => time.minute().to_string(),
        "mm" => format!("{:02}", time.minute()),
        "s" => time.second().to_string(),
        "ss" => format!("{:02}", time.second()),
        "Z" => zone(time),
        "ZZZ" if time.offset() == Offset::UTC => "UTC".into(),
        "ZZZ" | "ZZZZ" => offset(time, false),
        "ZZZZZ" => offset(time, true),
        _ => return Err(format!("\"{verb}\" is not a part of a date; put text in single quotes")),
    })
}
