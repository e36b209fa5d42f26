//! Runs a command, passes its output on, and keeps each line with its time.
//!
//! A signal that ends this process is passed to the command first, so that what is known until then can be recorded.

use super::{interrupt, rawjson};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A line of the command's output, and when it came.
pub(super) type Line = (jiff::Timestamp, Vec<u8>);

/// The form of the command's output.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text,
    /// BuildKit's `rawjson`, which is shown as text.
    Json,
}

/// Where the command's standard output goes. Its standard error stays what it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Output {
    Standard,
    Error,
}

/// Runs the command to its end. Returns how it ended and what it printed.
///
/// # Errors
/// Fails if the command cannot be started.
pub(super) fn run(command: &mut Command, form: Form, output: Output) -> io::Result<(ExitStatus, Vec<Line>)> {
    let cancel = CancellationToken::new();
    interrupt::watch(cancel.clone(), Duration::MAX)?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let (stdout, stderr) = (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
    let lines = Mutex::new(Vec::new());
    let keep = |line| lines.lock().push((jiff::Timestamp::now(), line));
    let (keep, process) = (&keep, &process);
    let status = std::thread::scope(|scope| {
        scope.spawn(|| pass_signal_on(&cancel, process));
        scope.spawn(move || {
            let mut to: Box<dyn Write> = match output {
                Output::Standard => Box::new(io::stdout()),
                Output::Error => Box::new(io::stderr()),
            };
            stdout.map(|from| pass_on(&from, process, &mut to, form, keep))
        });
        scope.spawn(move || stderr.map(|from| pass_on(&from, process, &mut io::stderr(), form, keep)));
        let status = child.wait();
        cancel.cancel();
        status
    })?;
    Ok((status, lines.into_inner()))
}

/// Passes output through immediately, and keeps its lines. It ends when all copies of the pipe are closed, or when the command has ended and
/// nothing is left in the pipe: a daemon that the command started may keep its copy for ever.
fn pass_on(from: &OwnedFd, process: &OwnedFd, to: &mut dyn Write, form: Form, keep: &dyn Fn(Vec<u8>)) {
    let end = |line: Vec<u8>, to: &mut dyn Write| {
        if matches!(form, Form::Json) {
            let _ = to.write_all(&rawjson::shown(&line)).and_then(|()| to.flush());
        }
        keep(line);
    };
    let mut rest = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut watched = [PollFd::new(from, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) if watched[0].revents().is_empty() => break,
            Err(error) if error != Errno::INTR => break,
            Err(_) => continue,
            Ok(_) => {}
        }
        let length = match read(from.as_fd(), &mut buffer) {
            Err(Errno::INTR) => continue,
            Ok(length) if length > 0 => length,
            _ => break,
        };
        // A closed output does not stop the build.
        if matches!(form, Form::Text) {
            let _ = to.write_all(&buffer[..length]).and_then(|()| to.flush());
        }
        for piece in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
            rest.extend_from_slice(piece);
            if rest.ends_with(b"\n") {
                end(std::mem::take(&mut rest), to);
            }
        }
    }
    if !rest.is_empty() {
        end(rest, to);
    }
}

/// Waits for a signal to this process, and sends it to the command, too.
fn pass_signal_on(cancel: &CancellationToken, process: &OwnedFd) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(cancel.cancelled());
    let number = interrupt::exit_code().map(|code| i32::from(code) - 128);
    let Some(signal) = number.and_then(Signal::from_named_raw) else { return };
    // The terminal sends these to all processes in its foreground, and some programs end at once when they get the second one.
    let is_of_terminal = [Signal::INT, Signal::QUIT, Signal::HUP].contains(&signal) && is_in_foreground();
    if !is_of_terminal {
        // A command that has just ended needs no signal.
        let _ = pidfd_send_signal(process, signal);
    }
}

/// Whether this process belongs to the foreground of its terminal.
fn is_in_foreground() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|tty| rustix::termios::tcgetpgrp(&tty).is_ok_and(|group| group == rustix::process::getpgrp()))
}
