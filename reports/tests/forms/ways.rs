//! The ways in which people keep a log: what CI services, collectors, terminals and editors put around its lines.

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

fn utf16(lines: &[Line], unit: fn(u16) -> [u8; 2], mark: &str) -> Vec<u8> {
    let text =
        text(each(lines, |_, at| format!("2026-03-01T{}.{:03}Z ", at.clock(), at.millis()))).replace('\n', "\r\n");
    format!("{mark}{text}").encode_utf16().flat_map(unit).collect()
}

macro_rules! ways {
    ($($name:literal $times:ident $keep:expr;)+) => {
        &[$(Way { name: $name, times: Times::$times, keep: $keep }),+]
    };
}

/// All ways.
pub(crate) const WAYS: &[Way] = ways! {
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
    "seconds with a unit" Fine |lines| each(lines, |_, at| format!("[{}.{}s] ", at.0 / 1000, at.millis() / 100));
    "dmesg" Fine |lines| each(lines, |_, at| format!("[{:5}.{:03}000] ", at.0 / 1000, at.millis()));
    "durations" Fine |lines| each(lines, |_, at| format!("[{}m{}.{:03}s] ", 1 + at.0 / 60_000, at.0 / 1000 % 60, at.millis()));
    "minutes and seconds" Seconds |lines| each(lines, |_, at| format!("{:02}:{:02} ", at.0 / 60_000, at.0 / 1000 % 60));
    "GitHub's raw log" Fine |lines| {
        let mut out = String::from("\u{feff}2026-03-01T09:59:59.0000000Z ##[group]Run docker build .\n2026-03-01T09:59:59.1000000Z HEAD is now at 1a2b3c4 #1234 fix the login page\n2026-03-01T09:59:59.1000000Z #1235 another line of the history\n");
        out += &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis())));
        (out + "2026-03-01T10:09:00.0000000Z ##[group]Post Run\n").into_bytes()
    };
    "gh run view --log" Fine |lines| {
        let mut out = String::from("build\tSet up job\t2026-03-01T09:59:01.0000000Z Current runner version: '2.311.0'\nbuild\tSet up job\t2026-03-01T09:59:02.0000000Z #9 is not a vertex\n");
        out += &text(each(lines, |_, at| format!("build\tBuild and push\t2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis())));
        (out + "build\tPost\t2026-03-01T10:09:00.0000000Z done\n").into_bytes()
    };
    "GitLab with time stamps" Fine |lines| {
        let mut out = String::from("2026-03-01T09:59:00.000000Z 00O Running with gitlab-runner 16.9.1\n2026-03-01T09:59:00.100000Z 00O section_start:1772359140:step_script\r\u{1b}[0K\u{1b}[0K\u{1b}[36;1mExecuting\u{1b}[0;m\n");
        out += &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}000Z 01E ", at.clock(), at.millis())));
        (out + "2026-03-01T10:00:30.000000Z 00O section_end:1772359230:step_script\r\u{1b}[0K\n").into_bytes()
    };
    "GitLab" Lost |lines| {
        let out = "\u{1b}[0KRunning with gitlab-runner 16.9.1\u{1b}[0;m\nsection_start:1772359140:step_script\r\u{1b}[0K\u{1b}[36;1mExecuting\u{1b}[0;m\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "section_end:1772359230:step_script\r\u{1b}[0K\n\u{1b}[32;1mJob succeeded\u{1b}[0;m\n").into_bytes()
    };
    "Jenkins with its Timestamper" Fine |lines| each(lines, |_, at| format!("[2026-03-01T{}.{:03}Z] ", at.clock(), at.millis()));
    "Azure Pipelines" Fine |lines| {
        let out = "2026-03-01T09:59:59.0000000Z ##[section]Starting: Docker\n".to_owned();
        (out + &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis())))).into_bytes()
    };
    "TeamCity" Seconds |lines| each(lines, |_, at| format!("[{}] :\t [Step 1/2] ", at.clock()));
    "Bamboo" Seconds |lines| each(lines, |_, at| format!("build\t01-Mar-2026 {}\t", at.clock()));
    "Buildkite" Fine |lines| each(lines, |_, at| format!("\u{1b}_bk;t={}{:03}\u{7}", at.epoch(), at.millis()));
    "Buildkite without escapes" Fine |lines| each(lines, |_, at| format!("_bk;t={}{:03}\u{7}", at.epoch(), at.millis()));
    "Cloud Build" Lost |lines| each(lines, |_, _| "Step #0 - \"build\": ".to_owned());
    "Drone's command" Lost |lines| each(lines, |number, _| format!("[build:{number}] "));
    "Drone's interface" Seconds |lines| {
        let entries: Vec<_> = lines.iter().enumerate().map(|(pos, (at, text))| serde_json::json!({"pos": pos, "out": format!("{text}\n"), "time": at / 1000})).collect();
        serde_json::to_vec(&entries).unwrap()
    };
    "kubectl logs --timestamps --prefix" Fine |lines| each(lines, |_, at| format!("[pod/build-7f9c4/kaniko] 2026-03-01T{}.{:03}000000Z ", at.clock(), at.millis()));
    "Kubernetes (CRI)" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}000000Z stderr F ", at.clock(), at.millis()));
    "docker compose" Lost |lines| each(lines, |_, _| "web-1  | ".to_owned());
    "docker's json-file" Fine |lines| objects(lines, |at, text| serde_json::json!({"log": format!("{text}\n"), "stream": "stderr", "time": format!("2026-03-01T{}.{:03}000000Z", at.clock(), at.millis())}));
    "a collector's message" Fine |lines| objects(lines, |at, text| serde_json::json!({"@timestamp": format!("2026-03-01T{}.{:03}Z", at.clock(), at.millis()), "kubernetes": {"pod": "ci-7", "labels": {"app": "ci"}}, "message": text}));
    "journalctl -o json" Fine |lines| objects(lines, |at, text| serde_json::json!({"__REALTIME_TIMESTAMP": format!("{}{:03}000", at.epoch(), at.millis()), "_PID": "4711", "PRIORITY": "6", "MESSAGE": text}));
    "CloudWatch's events" Fine |lines| {
        let events: Vec<_> = lines.iter().map(|(at, text)| serde_json::json!({"timestamp": At(*at).epoch() * 1000 + at % 1000, "message": text})).collect();
        serde_json::to_vec_pretty(&serde_json::json!({"events": events, "nextToken": "f/1"})).unwrap()
    };
    "Ansible's stdout_lines" Lost |lines| {
        let texts: Vec<&String> = lines.iter().map(|(_, text)| text).collect();
        serde_json::to_vec_pretty(&serde_json::json!({"changed": true, "stdout_lines": texts})).unwrap()
    };
    "logfmt" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let at = At(*at);
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(out, "time=\"2026-03-01T{}.{:03}Z\" level=info msg=\"{text}\"", at.clock(), at.millis()).unwrap();
        }
        out.into_bytes()
    };
    "CSV" Fine |lines| {
        let mut out = String::from("date,host,message\n");
        for (at, text) in lines {
            let at = At(*at);
            writeln!(out, "2026-03-01T{}.{:03}Z,ci-7,\"{}\"", at.clock(), at.millis(), text.replace('"', "\"\"")).unwrap();
        }
        out.into_bytes()
    };
    "colours" Lost |lines| {
        let mut out = String::new();
        lines.iter().for_each(|(_, text)| writeln!(out, "\u{1b}[34m{text}\u{1b}[0m").unwrap());
        out.into_bytes()
    };
    "colours without their escapes" Lost |lines| {
        let mut out = String::new();
        lines.iter().for_each(|(_, text)| writeln!(out, "[34m{text}[0m").unwrap());
        out.into_bytes()
    };
    "script (CRLF and redrawn lines)" Lost |lines| {
        let mut out = String::from("Script started on 2026-03-01\r\n");
        lines.iter().for_each(|(_, text)| write!(out, "pulling 10%\rpulling 90%\r{text}\r\n").unwrap());
        out.into_bytes()
    };
    "CRLF" Fine |lines| text(each(lines, |_, at| format!("2026-03-01T{}.{:03}Z ", at.clock(), at.millis()))).replace('\n', "\r\n").into_bytes();
    "a byte order mark" Lost |lines| [b"\xef\xbb\xbf".to_vec(), each(lines, |_, _| String::new())].concat();
    "UTF-16, little end first" Fine |lines| utf16(lines, u16::to_le_bytes, "\u{feff}");
    "UTF-16, big end first" Fine |lines| utf16(lines, u16::to_be_bytes, "\u{feff}");
    "UTF-16 without a mark" Fine |lines| utf16(lines, u16::to_le_bytes, "");
    "indentation" Lost |lines| each(lines, |_, _| "        ".to_owned());
    "a quotation" Lost |lines| each(lines, |_, _| "> ".to_owned());
    "numbers of lines" Lost |lines| each(lines, |number, _| format!("{:4} ", number + 117));
    "numbers of lines and times" Fine |lines| each(lines, |number, at| format!("{:4}\t2026-03-01T{}.{:03}Z ", number + 117, at.clock(), at.millis()));
    "other programs' lines between" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let at = At(*at);
            writeln!(out, "2026-03-01T{}.{:03}Z {text}", at.clock(), at.millis()).unwrap();
            writeln!(out, "2026-03-01T{}.{:03}Z #77 is an issue, time=\"x\" level=warning", at.clock(), at.millis()).unwrap();
        }
        out.into_bytes()
    };
    "warnings first" Lost |lines| {
        let out = "WARNING: No output specified with docker-container driver. Build result will only remain in the build cache.\ntime=\"2026-03-01T09:00:00Z\" level=warning msg=\"current commit information was not captured\"\n{\"a\": 1}\n".to_owned();
        (out + &text(each(lines, |_, _| String::new()))).into_bytes()
    };
    "the last line first" Fine |lines| {
        let text = text(each(lines, |_, at| format!("2026-03-01T{}.{:03}Z ", at.clock(), at.millis())));
        text.lines().rev().collect::<Vec<_>>().join("\n").into_bytes()
    };
    "a head without end" Fine |lines| {
        let out = "2026-03-01T08:00:00.000Z long before\n".repeat(50);
        (out + &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}Z ", at.clock(), at.millis())))).into_bytes()
    };
};
