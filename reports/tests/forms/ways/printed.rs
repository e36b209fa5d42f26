//! Logs as other programs print or send them: literals, reports of tests, mails, times of other countries, monitors of builds.

use super::{At, Times, Way, each, objects, text, ways};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;

fn rfc3339(lines: &[(u64, String)]) -> String {
    text(each(lines, |_, at| format!("{} ", at.rfc3339())))
}

/// The log as a mail encodes it (RFC 2045): lines of at most 76 characters.
fn quoted_printable(log: &str) -> String {
    let mut out = String::new();
    for line in log.lines() {
        let mut column = 0;
        for byte in line.bytes() {
            let plain = (b' '..=b'~').contains(&byte) && byte != b'=';
            let written = if plain { char::from(byte).to_string() } else { format!("={byte:02X}") };
            if column + written.len() > 75 {
                out += "=\n";
                column = 0;
            }
            column += written.len();
            out += &written;
        }
        out.push('\n');
    }
    out
}

/// The log with all but RFC 3986's unreserved characters encoded.
fn percent(log: &str, space: &str) -> String {
    let encoded = |byte: u8| match byte {
        b' ' => space.to_owned(),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    log.bytes().map(encoded).collect()
}

/// Lines behind a time of twelve hours.
fn twelve_hours(at: &At) -> String {
    format!("{}.{:03}", at.clock(), at.millis())
}

pub(super) const WAYS: &[Way] = ways! {
    "bzip2" Fine |lines| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        encoder.write_all(rfc3339(lines).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    "JSON in colours" Fine |lines| {
        let json = objects(lines, |at, text| json!({"level": "info", "time": at.rfc3339(), "message": text}));
        String::from_utf8(json).unwrap().lines().map(|line| format!("\x1b[36m{line}\x1b[0m\x1b[K\n")).collect::<String>().into_bytes()
    };
    "a page behind other lines" Fine |lines| {
        let log = rfc3339(lines).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("The log of the job:\n\n```\n<html><body><pre>\n{log}</pre></body></html>\n```\n").into_bytes()
    };
    "byte order marks of parts" Fine |lines| {
        let (first, second) = lines.split_at(lines.len() / 2);
        format!("\x1b[0m\u{feff}{}\u{feff}{}", rfc3339(first), rfc3339(second)).into_bytes()
    };
    "cat -A" Fine |lines| rfc3339(lines).replace('\n', "^M$\n").into_bytes();
    "bytes that Python prints" Fine |lines| {
        let log = rfc3339(lines).replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
        let escaped: String = log.chars().map(|character| match character {
            ' '..='~' => character.to_string(),
            _ => character.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        }).collect();
        format!("b'{escaped}'\n").into_bytes()
    };
    "JUnit's XML" Fine |lines| format!(
        "<?xml version=\"1.0\"?>\n<testsuite name=\"ci\"><testcase name=\"build\" time=\"9\"><system-out><![CDATA[{}]]></system-out></testcase></testsuite>\n",
        rfc3339(lines)
    ).into_bytes();
    "a mail" Fine |lines| format!(
        "Subject: the build\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n{}",
        quoted_printable(&rfc3339(lines))
    ).into_bytes();
    "a part of an address" Fine |lines| percent(&rfc3339(lines), "%20").into_bytes();
    "a field of a form" Fine |lines| format!("job=7&log={}", percent(&rfc3339(lines), "+")).into_bytes();
    "a command of GitHub's runner" Fine |lines| {
        format!("::debug::{}\n", rfc3339(lines).replace('%', "%25").replace('\n', "%0A")).into_bytes()
    };
    "spaces of a page" Fine |lines| rfc3339(lines).replace(' ', "\u{a0}").into_bytes();
    "a browser's time" Fine |lines| each(lines, |_, at| format!("3/1/2026, {}\u{202f}AM ", twelve_hours(at)));
    "a Japanese date" Fine |lines| each(lines, |_, at| format!("2026年3月1日 {} ", twelve_hours(at)));
    "a Chinese time of twelve hours" Seconds |lines| each(lines, |_, at| format!("2026/3/1 上午{} ", at.clock()));
    "a French date" Seconds |lines| each(lines, |_, at| format!("1 mars 2026 à {} ", at.clock()));
    "a German date" Fine |lines| each(lines, |_, at| format!("1. März 2026 {},{:03}: ", at.clock(), at.millis()));
    "Harness" Fine |lines| objects(lines, |at, text| json!({"level": "INFO", "out": format!("{text}\n"), "time": at.rfc3339(), "args": null}));
    "Drone" Seconds |lines| {
        let entry = |(number, (at, text)): (usize, &(u64, String))| json!({"pos": number, "out": format!("{text}\n"), "time": at / 1000});
        serde_json::to_vec(&lines.iter().enumerate().map(entry).collect::<Vec<_>>()).unwrap()
    };
    "fluent-bit's standard output" Fine |lines| {
        let mut out = String::new();
        for (number, (at, text)) in lines.iter().enumerate() {
            let at = At(*at);
            writeln!(out, "[{number}] docker.0: [[{}.{:03}456789, {{}}], {{\"log\"=>{}}}]", at.epoch(), at.millis(), json!(text)).unwrap();
        }
        out.into_bytes()
    };
    "asciinema, version 3" Fine |lines| {
        let mut out = String::from("{\"version\":3,\"term\":{\"cols\":200,\"rows\":50}}\n");
        let mut last = 0;
        for (at, text) in lines {
            writeln!(out, "{}", json!([(at - last) as f64 / 1000.0, "o", format!("{text}\r\n")])).unwrap();
            last = *at;
        }
        out.into_bytes()
    };
    "Terraform" Fine |lines| each(lines, |_, at| format!("{} \u{1b}[0m\u{1b}[1mnull_resource.build (local-exec):\u{1b}[0m ", at.rfc3339()));
    "Spring" Fine |lines| each(lines, |_, at| format!("{}  INFO 4711 --- [    build-1] com.example.Builder  : ", at.rfc3339()));
    "a Jira issue" Fine |lines| format!("h3. The build is slow\n{{noformat:title=build.log}}\n{}{{noformat}}\n", rfc3339(lines)).into_bytes();
    "a patch" Fine |lines| format!(
        "diff --git a/build.log b/build.log\nnew file mode 100644\n--- /dev/null\n+++ b/build.log\n@@ -0,0 +1,{} @@\n{}",
        lines.len(),
        text(each(lines, |_, at| format!("+{} ", at.rfc3339())))
    ).into_bytes();
};
