//! The ways in which people keep a log: what CI services, collectors, terminals and editors put around its lines.

mod clocks;
mod collectors;
mod journal;
mod keeping;
mod printed;
mod services;
mod tools;

use super::builds::Line;
use std::fmt::Write;

/// What a way keeps of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// Milliseconds or finer.
    Fine,
    /// Whole seconds.
    Seconds,
    /// None.
    Lost,
}

/// A way to keep a log.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) times: Times,
    pub(crate) keep: fn(&[Line]) -> Vec<u8>,
}

/// A time on 2026-03-01 from 10:00:00 on.
struct At(u64);

impl At {
    fn clock(&self) -> String {
        let seconds = 36_000 + self.0 / 1000;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    fn millis(&self) -> u64 {
        self.0 % 1000
    }

    /// Seconds since 1970.
    fn epoch(&self) -> u64 {
        1_772_359_200 + self.0 / 1000
    }

    fn rfc3339(&self) -> String {
        format!("2026-03-01T{}.{:03}Z", self.clock(), self.millis())
    }

    /// Nanoseconds since 1970, different for each line.
    fn nanos(&self, number: usize) -> String {
        format!("{}{:03}{number:06}", self.epoch(), self.millis())
    }
}

/// Each line after what a function writes before it.
fn each(lines: &[Line], before: impl Fn(usize, &At) -> String) -> Vec<u8> {
    let mut out = String::new();
    for (number, (at, text)) in lines.iter().enumerate() {
        writeln!(out, "{}{text}", before(number, &At(*at))).unwrap();
    }
    out.into_bytes()
}

/// Each line as a JSON object.
fn objects(lines: &[Line], object: impl Fn(&At, &str) -> serde_json::Value) -> Vec<u8> {
    let lines: Vec<String> = lines.iter().map(|(at, text)| object(&At(*at), text).to_string()).collect();
    (lines.join("\n") + "\n").into_bytes()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// All ways.
pub(crate) fn all() -> impl Iterator<Item = &'static Way> {
    [clocks::WAYS, services::WAYS, collectors::WAYS, journal::WAYS, keeping::WAYS, printed::WAYS, tools::WAYS]
        .into_iter()
        .flatten()
}

macro_rules! ways {
    ($($name:literal $times:ident $keep:expr;)+) => {
        &[$(Way { name: $name, times: Times::$times, keep: $keep }),+]
    };
}
use ways;
