//! The forms in which systemd's journal is written.

use super::{At, Times, Way, each, objects, ways};
use serde_json::json;
use std::fmt::Write;

fn micros(at: &At) -> String {
    format!("{}{:03}000", at.epoch(), at.millis())
}

pub(super) const WAYS: &[Way] = ways! {
    "journalctl -o json" Fine |lines| objects(lines, |at, text| json!({"__REALTIME_TIMESTAMP": micros(at), "__MONOTONIC_TIMESTAMP": format!("{}", 900_000_000 + at.0 * 1000), "_PID": "4711", "PRIORITY": "6", "MESSAGE": text}));
    "journalctl -o json of bytes" Fine |lines| objects(lines, |at, text| json!({"__REALTIME_TIMESTAMP": micros(at), "_PID": "4711", "MESSAGE": format!("\u{1b}[0m{text}").as_bytes()}));
    "journalctl -o json-pretty" Fine |lines| {
        let entries = lines.iter().map(|(at, text)| serde_json::to_string_pretty(&json!({"__REALTIME_TIMESTAMP": micros(&At(*at)), "_COMM": "dockerd", "MESSAGE": text})).unwrap());
        entries.collect::<Vec<_>>().join("\n").into_bytes()
    };
    "journalctl -o json-seq" Fine |lines| {
        let entries = lines.iter().map(|(at, text)| format!("\u{1e}{}\n", json!({"__REALTIME_TIMESTAMP": micros(&At(*at)), "MESSAGE": text})));
        entries.collect::<String>().into_bytes()
    };
    "journalctl -o json-sse" Fine |lines| {
        let entries = lines.iter().map(|(at, text)| format!("data: {}\n\n", json!({"__REALTIME_TIMESTAMP": micros(&At(*at)), "MESSAGE": text})));
        entries.collect::<String>().into_bytes()
    };
    "journalctl -o export" Fine |lines| {
        let mut out = Vec::new();
        for (number, (at, text)) in lines.iter().enumerate() {
            let at = At(*at);
            let head = format!("__CURSOR=s=1d;i={number:x};b=2e\n__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=2e\nPRIORITY=6\nSYSLOG_IDENTIFIER=docker\n", micros(&at), 900_000_000 + at.0 * 1000);
            out.extend(head.as_bytes());
            // A text with other characters than printable ones is written as bytes behind their number.
            if number % 3 == 1 {
                out.extend(b"MESSAGE\n");
                out.extend((text.len() as u64).to_le_bytes());
                out.extend(text.as_bytes());
                out.push(b'\n');
            } else {
                out.extend(format!("MESSAGE={text}\n").as_bytes());
            }
            out.extend(b"_PID=4711\n\n");
        }
        out
    };
    "journalctl -o verbose" Fine |lines| {
        let mut out = String::new();
        for (number, (at, text)) in lines.iter().enumerate() {
            let at = At(*at);
            writeln!(out, "Sun 2026-03-01 {}.{:03}456 UTC [s=1d;i={number:x};b=2e;m=3f;t=4a;x=5b]\n    _BOOT_ID=2e\n    PRIORITY=6\n    MESSAGE={text}\n    _PID=4711", at.clock(), at.millis()).unwrap();
        }
        out.into_bytes()
    };
    "journalctl -o cat" Lost |lines| each(lines, |_, _| String::new());
    "journalctl -o short-precise" Fine |lines| each(lines, |_, at| format!("Mar 01 {}.{:03}456 ci-7 docker[4711]: ", at.clock(), at.millis()));
    "journalctl -o short-iso-precise" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}456+0000 ci-7 docker[4711]: ", at.clock(), at.millis()));
    "journalctl -o short-full" Seconds |lines| each(lines, |_, at| format!("Sun 2026-03-01 {} UTC ci-7 docker[4711]: ", at.clock()));
    "journalctl -o short-unix" Fine |lines| each(lines, |_, at| format!("{}.{:03}456 ci-7 docker[4711]: ", at.epoch(), at.millis()));
    "journalctl -o with-unit" Seconds |lines| each(lines, |_, at| format!("Sun 2026-03-01 {} UTC ci-7 ci-build.service[4711]: ", at.clock()));
    "journalctl with its head" Seconds |lines| {
        let mut out = String::from("-- Journal begins at Thu 2026-01-01 00:00:00 UTC, ends at Sun 2026-03-01 11:00:00 UTC. --\nMar 01 09:59:59 ci-7 systemd[1]: Started ci-build.service - builds images.\n");
        for (at, text) in lines {
            writeln!(out, "Mar 01 {} ci-7 ci[4711]: {text}", At(*at).clock()).unwrap();
        }
        out.into_bytes()
    };
};
