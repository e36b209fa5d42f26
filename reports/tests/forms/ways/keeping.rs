//! Ways to keep a log: terminals and their recordings, encodings, compressed files, and text around the log.

use super::{At, Times, Way, each, text, ways};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;

fn utf16(lines: &[(u64, String)], unit: fn(u16) -> [u8; 2], mark: &str) -> Vec<u8> {
    let text = text(each(lines, |_, at| format!("{} ", at.rfc3339()))).replace('\n', "\r\n");
    format!("{mark}{text}").encode_utf16().flat_map(unit).collect()
}

/// The lines as a terminal gets them, each in two parts.
fn shown(lines: &[(u64, String)]) -> Vec<(f64, String)> {
    let mut out = Vec::new();
    for (at, text) in lines {
        let seconds = *at as f64 / 1000.0;
        let middle = text.char_indices().nth(5).map_or(text.len(), |(at, _)| at);
        out.push((seconds, text[..middle].to_owned()));
        out.push((seconds, format!("{}\r\n", &text[middle..])));
    }
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// GitHub's raw log of one step.
fn github(lines: &[(u64, String)]) -> Vec<u8> {
    [b"\xef\xbb\xbf".to_vec(), each(lines, |_, at| format!("2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis()))]
        .concat()
}

/// A zip archive of these files.
fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) const WAYS: &[Way] = ways! {
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
    "script" Lost |lines| {
        let mut out = String::from("Script started on 2026-03-01 10:00:00+00:00 [TERM=\"xterm-256color\" TTY=\"/dev/pts/1\" COLUMNS=\"120\" LINES=\"40\"]\r\n\u{1b}[?2004h\u{1b}]0;ci@ci-7: ~\u{7}ci@ci-7:~$ docker build .\r\n\u{1b}[?2004l\r");
        lines.iter().for_each(|(_, text)| write!(out, "{text}\u{1b}[K\r\n").unwrap());
        (out + "\r\nScript done on 2026-03-01 10:00:40+00:00 [COMMAND_EXIT_CODE=\"0\"]\n").into_bytes()
    };
    "asciinema, version 1" Fine |lines| {
        let mut before = 0.0;
        let stdout: Vec<_> = shown(lines).into_iter().map(|(at, text)| {
            let delay = at - before;
            before = at;
            json!([delay, text])
        }).collect();
        serde_json::to_vec(&json!({"version": 1, "width": 80, "height": 24, "duration": before, "command": "/bin/sh", "title": "", "env": {}, "stdout": stdout})).unwrap()
    };
    "asciinema, version 2" Fine |lines| {
        let mut out = json!({"version": 2, "width": 80, "height": 24, "timestamp": 1_772_359_200, "env": {"SHELL": "/bin/sh"}}).to_string() + "\n[0.0, \"i\", \"x\"]\n";
        shown(lines).into_iter().for_each(|(at, text)| writeln!(out, "{}", json!([at, "o", text])).unwrap());
        out.into_bytes()
    };
    "asciinema, version 3" Fine |lines| {
        let mut out = json!({"version": 3, "term": {"cols": 80, "rows": 24, "type": "xterm-256color"}, "timestamp": 1_772_359_200, "command": "docker build ."}).to_string() + "\n# a comment\n";
        let mut before = 0.0;
        for (at, text) in shown(lines) {
            writeln!(out, "{}", json!([at - before, "o", text])).unwrap();
            before = at;
        }
        (out + "[0.5, \"x\", \"0\"]\n").into_bytes()
    };
    "gzip" Fine |lines| gzip(&each(lines, |_, at| format!("{} ", at.rfc3339())));
    "gzip of JSON lines" Fine |lines| gzip(&super::objects(lines, |at, text| json!({"log": format!("{text}\n"), "stream": "stderr", "time": at.rfc3339()})));
    "zstd" Fine |lines| ruzstd::encoding::compress_to_vec(each(lines, |_, at| format!("{} ", at.rfc3339())).as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    "tar and gzip" Fine |lines| {
        let content = each(lines, |_, at| format!("{} ", at.rfc3339()));
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in [("logs/README.txt", b"logs of a job\n".as_slice()), ("logs/build.log", &content)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        }
        gzip(&tar.into_inner().unwrap())
    };
    "zip" Fine |lines| zipped(&[("build.log", &each(lines, |_, at| format!("{} ", at.rfc3339())))]);
    "GitHub's archive of logs" Fine |lines| {
        let (set_up, build, post) = (b"2026-03-01T09:59:01.0000000Z Current runner version: '2.311.0'\n".as_slice(), github(lines), b"2026-03-01T10:09:00.0000000Z Cleaning up orphan processes\n".as_slice());
        let whole = [set_up, build.as_slice(), post].concat();
        zipped(&[("0_build.txt", &whole), ("build/1_Set up job.txt", set_up), ("build/2_Build and push.txt", &build), ("build/3_Complete job.txt", post)])
    };
    "GitHub's archive without whole jobs" Fine |lines| {
        let build = github(lines);
        zipped(&[("build/1_Set up job.txt", b"2026-03-01T09:59:01.0000000Z Current runner version: '2.311.0'\n"), ("build/10_Build and push.txt", &build), ("build/11_Complete job.txt", b"2026-03-01T10:09:00.0000000Z Cleaning up orphan processes\n")])
    };
    "Markdown" Lost |lines| {
        let out = "The build is slow:\n\n<details><summary>log</summary>\n\n```console\n$ docker build .\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "```\n\n</details>\n").into_bytes()
    };
    "a preformatted page" Lost |lines| {
        let mut out = String::from("<html><head><title>log</title><style>.b { color: blue }</style></head><body>\n<pre>\n");
        for (_, text) in lines {
            writeln!(out, "<span class=\"b\">{}</span>", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")).unwrap();
        }
        (out + "</pre></body></html>\n").into_bytes()
    };
    "a line of a page each" Lost |lines| {
        let mut out = String::from("<table>\n");
        for (number, (_, text)) in lines.iter().enumerate() {
            writeln!(out, "<tr><td class=\"num\">{}</td><td>{}</td></tr>", number + 1, text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")).unwrap();
        }
        (out + "</table>\n").into_bytes()
    };
    "empty lines between" Lost |lines| text(each(lines, |_, _| String::new())).replace('\n', "\n\n").into_bytes();
    "YAML" Lost |lines| {
        let out = "job: build\nstatus: success\nlog: |\n".to_owned();
        (out + &text(each(lines, |_, _| "  ".to_owned()))).into_bytes()
    };
    "the environment of a shell" Lost |lines| {
        let out = "+ docker build .\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "real\t0m12.345s\nuser\t0m0.120s\nsys\t0m0.080s\n").into_bytes()
    };
};
