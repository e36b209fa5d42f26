//! Ways to keep a log: schedulers, databases, editors and chats; tables, boxes and lists around its lines.

use super::{At, Times, Way, each, text, ways};
use std::fmt::Write;

/// Each line as a function writes it.
fn written(lines: &[(u64, String)], line: impl Fn(&At, &str) -> String) -> String {
    lines.iter().fold(String::new(), |out, (at, text)| out + &line(&At(*at), text) + "\n")
}

fn plain(lines: &[(u64, String)]) -> String {
    written(lines, |_, text| text.to_owned())
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#x27;")
}

/// The length of the longest line in characters.
fn width(lines: &[(u64, String)]) -> usize {
    lines.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0)
}

fn date(at: &At) -> String {
    format!("2026-03-01 {}.{:03}", at.clock(), at.millis())
}

pub(super) const WAYS: &[Way] = ways! {
    "Airflow" Fine |lines| each(lines, |_, at| format!("[2026-03-01T{}.{:03}+0000] {{docker.py:276}} INFO - ", at.clock(), at.millis()));
    "Celery" Fine |lines| each(lines, |_, at| format!("[2026-03-01 {},{:03}: INFO/ForkPoolWorker-1] ", at.clock(), at.millis()));
    "Puppet" Lost |lines| each(lines, |_, _| "Notice: /Stage[main]/Main/Exec[docker build]/returns: ".to_owned());
    "Dev Containers" Fine |lines| each(lines, |_, at| format!("[{} ms] ", at.0 + 12));
    "a platform's console" Seconds |lines| each(lines, |_, at| format!("[2026-03-01 {}] │ ", at.clock()));
    "annotate-output" Seconds |lines| each(lines, |number, at| format!("{} {}: ", at.clock(), if number % 3 == 0 { 'E' } else { 'O' }));
    "grep -Hn" Lost |lines| each(lines, |number, _| format!("logs/build.log:{}:", number + 1));
    "MySQL's table" Fine |lines| {
        let width = width(lines);
        let border = format!("+{}+{}+\n", "-".repeat(25), "-".repeat(width + 2));
        let rows = written(lines, |at, text| format!("| {} | {text:width$} |", date(at)));
        format!("{border}| at                      | {:width$} |\n{border}{rows}{border}{} rows in set (0.01 sec)\n", "line", lines.len()).into_bytes()
    };
    "psql's table" Fine |lines| {
        let rows = written(lines, |at, text| format!(" {}+00 | {text}", date(at)));
        format!("             at             | line\n----------------------------+------\n{rows}({} rows)\n\n", lines.len()).into_bytes()
    };
    "Markdown's table" Fine |lines| {
        let rows = written(lines, |at, text| format!("| {} | {} |", at.rfc3339(), text.replace('|', "\\|")));
        format!("| time | line |\n|---|---|\n{rows}").into_bytes()
    };
    "a box" Lost |lines| {
        let width = width(lines);
        let rows = written(lines, |_, text| format!("│ {text:width$} │"));
        format!("╭─ docker build {}╮\n{rows}╰{}╯\n", "─".repeat(width.saturating_sub(12)), "─".repeat(width + 2)).into_bytes()
    };
    "ClickHouse's table" Fine |lines| {
        let width = width(lines);
        let rows = lines.iter().enumerate().map(|(number, (at, text))| format!("{:2}. │ {} │ {text:width$} │\n", number + 1, date(&At(*at))));
        let border = "─".repeat(width + 2);
        format!("    ┌─at──────────────────────┬{border}┐\n{}    └─────────────────────────┴{border}┘\n", rows.collect::<String>()).into_bytes()
    };
    "a chat's code" Lost |lines| format!("ci-bot APP  10:00 AM\nthe build is slow:\n```{}```\nthanks\n", plain(lines)).into_bytes();
    "a column that spaces fill" Lost |lines| written(lines, |_, text| format!("{text:120}")).into_bytes();
    "SQL's inserts" Fine |lines| written(lines, |at, text| format!("INSERT INTO logs VALUES (7,'{}','{}');", date(at), text.replace('\'', "''"))).into_bytes();
    "a list of YAML" Lost |lines| {
        let rows = written(lines, |_, text| format!("  - '{}'", text.replace('\'', "''")));
        format!("stdout_lines:\n{rows}").into_bytes()
    };
    "a quoted text of YAML" Lost |lines| format!("job: build\nlog: {}\n", serde_json::to_string(&plain(lines)).unwrap()).into_bytes();
    "a list of HTML" Lost |lines| format!("<ol>\n{}</ol>\n", written(lines, |_, text| format!("<li>{}</li>", html(text)))).into_bytes();
    "line breaks of HTML" Fine |lines| written(lines, |at, text| format!("{} {}<BR/>", at.rfc3339(), html(text))).into_bytes();
    "a page with dates" Seconds |lines| {
        let mut out = String::from("<html><body><div>");
        for (number, (at, text)) in lines.iter().enumerate() {
            let (number, clock, text) = (number + 1, At(*at).clock(), html(text));
            writeln!(out, "<div><span class=\"n\">{number}</span><span>Sun, 01 Mar 2026 {clock} GMT</span> {text}</div>").unwrap();
        }
        (out + "</div></body></html>\n").into_bytes()
    };
    "a file with a hole" Fine |lines| [vec![0; 4096], each(lines, |_, at| format!("{} ", at.rfc3339()))].concat();
    "supervisord" Fine |lines| written(lines, |at, text| format!("{} DEBG 'build' stderr output:\n{text}\n", date(at).replace('.', ","))).into_bytes();
    "a time at the end" Fine |lines| written(lines, |at, text| format!("{text} [{}]", at.rfc3339())).into_bytes();
    "a time at the end, in parentheses" Fine |lines| written(lines, |at, text| format!("{text} ({})", date(at))).into_bytes();
    "a clock at the end" Seconds |lines| written(lines, |at, text| format!("{text}   {}", at.clock())).into_bytes();
    "a chat" Seconds |lines| written(lines, |at, text| format!("ci-bot  {} AM\n{text}", at.clock())).into_bytes();
    "PowerShell's record of the first line" Fine |lines| {
        let log = text(each(lines, |_, at| format!("{} ", at.rfc3339())));
        let (first, rest) = log.split_once('\n').unwrap();
        let (head, tail) = first.split_at(30);
        let record = format!(
            "docker.exe : {head}\n{tail}\nAt C:\\ci\\build.ps1:3 char:1\n+ docker build . 2>&1 | Tee-Object log\n+ ~~~~~~~~~~~~~~~~~~~\n    + CategoryInfo          : NotSpecified: ({head}:String) [], RemoteException\n    + FullyQualifiedErrorId : NativeCommandError\n \n"
        );
        (record + rest).replace('\n', "\r\n").into_bytes()
    };
};
