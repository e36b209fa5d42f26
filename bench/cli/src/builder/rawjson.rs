//! Asks docker for its build log as JSON, which has exact times, and shows that log as text.

use base64::Engine as _;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// The programs whose builds can be printed as JSON.
const PROGRAMS: [&str; 2] = ["docker", "buildctl"];

/// The command with `--progress=rawjson`, if it is a build of a program that knows this form and no form was asked for.
pub(super) fn requested(command: &[String]) -> Option<Vec<String>> {
    let at = option_index(command)?;
    let help = Command::new(&command[0]).args(&command[1..at]).arg("--help").output().ok()?;
    let knows = |text: &[u8]| String::from_utf8_lossy(text).contains("rawjson");
    (knows(&help.stdout) || knows(&help.stderr)).then(|| with_option(command, at))
}

/// The index at which the option belongs: after `build` or `bake`.
fn option_index(command: &[String]) -> Option<usize> {
    let program = Path::new(command.first()?).file_name().and_then(OsStr::to_str)?;
    let at = command.iter().position(|word| word == "build" || word == "bake")? + 1;
    let asked = command[at..].iter().any(|word| word.starts_with("--progress") || word == "-q" || word == "--quiet");
    (PROGRAMS.contains(&program) && !asked).then_some(at)
}

fn with_option(command: &[String], at: usize) -> Vec<String> {
    let mut command = command.to_vec();
    command.insert(at, "--progress=rawjson".into());
    command
}

/// A line of such a log as text: the steps that begin, were cached or failed, and what they print. A line of another kind
/// stays as it is.
pub(super) fn shown(line: &[u8]) -> Vec<u8> {
    let Ok(status) = serde_json::from_slice::<serde_json::Value>(line) else { return line.to_vec() };
    let list = |name: &str| status[name].as_array().into_iter().flatten();
    let mut text = String::new();
    for vertex in list("vertexes") {
        let name = vertex["name"].as_str().unwrap_or_default();
        match (vertex["error"].as_str().filter(|error| !error.is_empty()), &vertex["started"], &vertex["completed"]) {
            (Some(error), ..) => text += &format!("ERROR {name}: {error}\n"),
            _ if vertex["cached"] == true => text += &format!("CACHED {name}\n"),
            (None, started, completed) if !started.is_null() && completed.is_null() => text += &format!("{name}\n"),
            _ => {}
        }
    }
    let mut shown = text.into_bytes();
    for log in list("logs") {
        let data = log["data"].as_str().and_then(|data| base64::engine::general_purpose::STANDARD.decode(data).ok());
        shown.extend(data.unwrap_or_default());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_option_follows_the_subcommand() {
        let with = |text: &str| option_index(&words(text)).map(|at| with_option(&words(text), at).join(" "));
        assert_eq!(with("docker build -t x .").as_deref(), Some("docker build --progress=rawjson -t x ."));
        assert_eq!(
            with("/usr/bin/docker -H unix:///s buildx build .").as_deref(),
            Some("/usr/bin/docker -H unix:///s buildx build --progress=rawjson .")
        );
        assert_eq!(with("docker buildx bake all").as_deref(), Some("docker buildx bake --progress=rawjson all"));
        assert_eq!(with("docker build --progress=plain ."), None);
        assert_eq!(with("docker build -q ."), None);
        assert_eq!(with("buildah build ."), None);
        assert_eq!(with("make image"), None);
    }

    #[test]
    fn a_status_is_shown_as_text() {
        let line = br#"{"vertexes":[{"name":"[2/3] RUN make","started":"2026-01-02T03:04:05Z"},{"name":"[1/3] FROM a","cached":true}],
            "logs":[{"data":"Z2NjIC1jIHguYwo="}]}"#;
        assert_eq!(shown(line), b"[2/3] RUN make\nCACHED [1/3] FROM a\ngcc -c x.c\n");
        assert_eq!(shown(b"done\n"), b"done\n");
    }
}
