//! Running other programs to their end and capturing their output.

use crate::run::{Case, RunError};
use parking_lot::Mutex;
use std::process::{Command, ExitStatus, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio_util::sync::CancellationToken;

/// A finished program and its output.
pub(super) struct FinishedCommand {
    pub(super) status: ExitStatus,
    lines: Vec<(jiff::Timestamp, Vec<u8>)>,
}

/// Runs a command to its end; `None` if it was stopped.
pub(super) async fn finish(command: Command, stop: &CancellationToken) -> Result<Option<FinishedCommand>, RunError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let start = |error| RunError::Start { program: program.clone(), error };
    let mut child = command.spawn().map_err(start)?;
    let lines = Mutex::new(Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        // Background processes may hold the pipes open. The output ends when they exit.
        let (out, err) = tokio::join!(listen(stdout, &lines), listen(stderr, &lines));
        out.and(err)?;
        child.wait().await
    };
    let status = tokio::select! {
        status = ended => status.map_err(start)?,
        () = stop.cancelled() => return Ok(None),
    };
    Ok(Some(FinishedCommand { status, lines: lines.into_inner() }))
}

/// Collects each line with the time of its arrival.
async fn listen(
    from: Option<impl AsyncRead + Unpin>,
    lines: &Mutex<Vec<(jiff::Timestamp, Vec<u8>)>>,
) -> std::io::Result<()> {
    let Some(from) = from else { return Ok(()) };
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        lines.lock().push((jiff::Timestamp::now(), line));
    }
}

impl FinishedCommand {
    /// Fails unless an untimed build succeeded.
    pub(super) fn prepared(&self, case: &Case) -> Result<(), RunError> {
        let failed = || RunError::Prepare { case: case.to_string(), code: self.status.code(), output: self.tail() };
        self.status.success().then_some(()).ok_or_else(failed)
    }

    /// The last lines of the output.
    pub(super) fn tail(&self) -> String {
        let last = &self.lines[self.lines.len().saturating_sub(12)..];
        let lines: Vec<_> = last.iter().map(|(_, line)| String::from_utf8_lossy(line).trim_end().to_owned()).collect();
        lines.join("\n").trim().to_owned()
    }

    /// The whole output with a time before each line. JSON lines have their own times and stay as they are.
    pub(super) fn log(&self) -> Vec<u8> {
        let mut log = Vec::new();
        for (at, line) in &self.lines {
            if !line.starts_with(b"{") {
                log.extend_from_slice(format!("{at:.6} ").as_bytes());
            }
            log.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                log.push(b'\n');
            }
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str) -> FinishedCommand {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        finish(command, &CancellationToken::new()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn lines_of_both_streams_have_their_times() {
        let ended =
            sh("echo warning >&2; echo Step 1/1 : FROM scratch; sleep 1; echo ' ---> '; printf '{\"vertexes\":[]}'")
                .await;
        let log = String::from_utf8(ended.log()).unwrap();
        let (of_stderr, lines): (Vec<_>, Vec<_>) = log.lines().partition(|line| line.ends_with("warning"));
        let at = |line: &str| line.split_once(' ').unwrap().0.parse::<jiff::Timestamp>().unwrap();
        assert!(lines[0].ends_with("Z Step 1/1 : FROM scratch") && lines[1].ends_with("Z  ---> "), "{log}");
        assert!(at(lines[1]).duration_since(at(lines[0])).as_millis() >= 100, "{log}");
        assert_eq!(lines[2], "{\"vertexes\":[]}");
        // The order of lines from different streams is not defined.
        assert!(of_stderr.len() == 1 && of_stderr[0].ends_with("Z warning"), "{log}");
    }

    #[tokio::test]
    async fn the_end_of_the_output_is_reported() {
        let ended = sh("seq 100 >&2; exit 3").await;
        assert_eq!(ended.status.code(), Some(3));
        let tail = ended.tail();
        assert!(tail.ends_with("99\n100") && !tail.contains("80"), "{tail}");
    }

    #[tokio::test]
    async fn stopping_kills_the_program() {
        let stop = CancellationToken::new();
        stop.cancel();
        let mut command = Command::new("sleep");
        command.arg("100");
        assert!(finish(command, &stop).await.unwrap().is_none());
    }
}
