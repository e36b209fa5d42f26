//! Ways to keep a log that write a time before each line.

use super::{At, Times, Way, each, ways};
use std::fmt::Write;

/// Seconds by which the label of TAI64N is ahead of seconds since 1970: 2⁶² and ten leap seconds.
const TAI: u64 = (1 << 62) + 10;

pub(super) const WAYS: &[Way] = ways! {
    "as it is" Lost |lines| each(lines, |_, _| String::new());
    "RFC 3339" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}Z ", at.clock(), at.millis()));
    "RFC 3339 with nanoseconds" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}000000Z ", at.clock(), at.millis()));
    "RFC 3339 with an offset" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}+00:00 ", at.clock(), at.millis()));
    "a date with a blank and a comma" Fine |lines| each(lines, |_, at| format!("2026-03-01 {},{:03} ", at.clock(), at.millis()));
    "a date with slashes (Go's log)" Seconds |lines| each(lines, |_, at| format!("2026/03/01 {} ", at.clock()));
    "syslog" Seconds |lines| each(lines, |_, at| format!("Mar  1 {} ci-7 docker[4711]: ", at.clock()));
    "journalctl -o short-iso" Seconds |lines| each(lines, |_, at| format!("2026-03-01T{}+0000 ci-7 docker[4711]: ", at.clock()));
    "journalctl -o short-monotonic" Fine |lines| each(lines, |_, at| format!("[{:5}.{:03}000] ci-7 docker[4711]: ", 900 + at.0 / 1000, at.millis()));
    "a clock" Seconds |lines| each(lines, |_, at| format!("{}  ", at.clock()));
    "a clock with milliseconds" Fine |lines| each(lines, |_, at| format!("{}.{:03} ", at.clock(), at.millis()));
    "a clock in brackets" Seconds |lines| each(lines, |_, at| format!("[{}] ", at.clock()));
    "a clock of twelve hours" Seconds |lines| each(lines, |_, at| format!("{} AM ", at.clock()));
    "a clock past midnight" Fine |lines| each(lines, |_, at| {
        let millis = (86_395_000 + at.0) % 86_400_000;
        format!("{:02}:{:02}:{:02}.{:03} ", millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60, millis % 1000)
    });
    "ts %.s" Fine |lines| each(lines, |_, at| format!("{}.{:03}000 ", at.epoch(), at.millis()));
    "ts -s" Seconds |lines| each(lines, |_, at| format!("00:00:{:02} ", at.0 / 1000));
    "ts -i %.s" Fine |lines| {
        let mut out = String::new();
        let mut before = 0;
        for (at, text) in lines {
            writeln!(out, "00:00:{:02}.{:03}000 {text}", (at - before) / 1000, (at - before) % 1000).unwrap();
            before = *at;
        }
        out.into_bytes()
    };
    "milliseconds since 1970" Fine |lines| each(lines, |_, at| format!("{}{:03} ", at.epoch(), at.millis()));
    "seconds since the start" Fine |lines| each(lines, |_, at| format!("{}.{:03} ", at.0 / 1000, at.millis()));
    "seconds with a decimal comma" Fine |lines| each(lines, |_, at| format!("{},{:03} ", at.0 / 1000, at.millis()));
    "seconds with a unit" Fine |lines| each(lines, |_, at| format!("[{}.{}s] ", at.0 / 1000, at.millis() / 100));
    "dmesg" Fine |lines| each(lines, |_, at| format!("[{:5}.{:03}000] ", at.0 / 1000, at.millis()));
    "durations" Fine |lines| each(lines, |_, at| format!("[{}m{}.{:03}s] ", 1 + at.0 / 60_000, at.0 / 1000 % 60, at.millis()));
    "minutes and seconds" Seconds |lines| each(lines, |_, at| format!("{:02}:{:02} ", at.0 / 60_000, at.0 / 1000 % 60));
    "ts" Seconds |lines| each(lines, |_, at| format!("Mar 01 {} ", at.clock()));
    "tai64n" Fine |lines| each(lines, |_, at| format!("@{:016x}{:08x} ", TAI + at.epoch(), at.millis() * 1_000_000));
    "tai64nlocal" Fine |lines| each(lines, |_, at| format!("2026-03-01 {}.{:03}000000 ", at.clock(), at.millis()));
    "syslog of RFC 5424" Fine |lines| each(lines, |_, at| format!("<30>1 {} ci-7 docker 4711 - - ", at.rfc3339()));
    "glog" Fine |lines| each(lines, |number, at| format!("I0301 {}.{:03}456   4711 build.go:{}] ", at.clock(), at.millis(), 12 + number % 7));
    "log4j" Fine |lines| each(lines, |_, at| format!("2026-03-01 {},{:03} [main] INFO  org.example.Build - ", at.clock(), at.millis()));
    "Python's logging" Fine |lines| each(lines, |_, at| format!("2026-03-01 {},{:03} - docker.build - INFO - ", at.clock(), at.millis()));
    "Rust's env_logger" Seconds |lines| each(lines, |_, at| format!("[2026-03-01T{}Z INFO  ci::build] ", at.clock()));
    "Ruby's Logger" Fine |lines| each(lines, |_, at| format!("I, [2026-03-01T{}.{:03}456 #4711]  INFO -- : ", at.clock(), at.millis()));
    "Gradle --debug" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}+0000 [LIFECYCLE] [org.gradle.api.Task] ", at.clock(), at.millis()));
    "zerolog's console" Lost |lines| each(lines, |_, _| "10:00AM INF ".to_owned());
    "slog's text" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(out, "time={} level=INFO msg=\"{text}\" job=7", At(*at).rfc3339()).unwrap();
        }
        out.into_bytes()
    };
    "Kibana's table" Fine |lines| each(lines, |_, at| format!("Mar 1, 2026 @ {}.{:03}\t", at.clock(), at.millis()));
    "the common log format's date" Seconds |lines| each(lines, |_, at| format!("[01/Mar/2026:{} +0000] ", at.clock()));
    "date(1)" Seconds |lines| each(lines, |_, at| format!("Sun Mar  1 {} UTC 2026: ", at.clock()));
    "date(1) with the year before the zone" Seconds |lines| each(lines, |_, at| format!("Sun 01 Mar 2026 {} AM UTC: ", at.clock()));
    "underscores" Fine |lines| each(lines, |_, at| format!("2026-03-01_{}.{:03} ", at.clock(), at.millis()));
    "dashes in the time" Seconds |lines| each(lines, |_, at| format!("2026-03-01-{} ", at.clock().replace(':', "-")));
    "compact" Fine |lines| each(lines, |_, at| format!("20260301T{}.{:03}Z ", at.clock().replace(':', ""), at.millis()));
    "seconds since 1970" Seconds |lines| each(lines, |_, at| format!("{} ", at.epoch()));
    "nanoseconds since 1970" Fine |lines| each(lines, |number, at| format!("{} ", at.nanos(number)));
    "two times" Fine |lines| each(lines, |_, at| format!("{} [{}] ", at.rfc3339(), at.clock()));
};
