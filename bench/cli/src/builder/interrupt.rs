//! Signals that end a command (Ctrl-C, SIGTERM, a closed terminal, an alarm), so that it can clean up before.

use buildscope_storage::abandon_scratch;
use rustix::process::Signal;
use std::future::poll_fn;
use std::io;
use std::sync::{OnceLock, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The time that a cancelled build has to end. Steps end within some tenths of a second; other blocking work may not end at all.
pub(super) const GRACE: Duration = Duration::from_secs(4);
/// The most time to print the last message. Standard error may be a full pipe.
const MESSAGE: Duration = Duration::from_millis(500);

/// The time to remove unfinished files. The next build removes what is left.
const CLEANING: Duration = Duration::from_millis(300);

/// What else can end a process from outside: Ctrl-\, `timeout -s`, and `ulimit -t` (signal(7)).
const OTHERS: [Signal; 6] = [Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::ALARM, Signal::XCPU];

/// The first signal that asked this process to end.
static FIRST: OnceLock<SignalKind> = OnceLock::new();

/// The exit code of a command that failed after a signal asked it to end: docker's command and shells report the same.
pub(super) fn exit_code() -> Option<u8> {
    FIRST.get().and_then(|signal| u8::try_from(code(*signal)).ok())
}

/// Fires `cancel` at the first signal. At the second one, or `grace` after the first, the process ends with the exit code of a shell
/// for that signal. Steps end with their builder.
///
/// # Errors
/// Fails if no thread can be started. This function starts a thread with a runtime of its own, so blocking work of the command
/// does not delay it.
pub(super) fn watch(cancel: CancellationToken, grace: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::new()?
    };
    let watch = async move {
        let first = signals.next().await;
        // A command that ends because it is cancelled finds the signal here.
        let _ = FIRST.set(first);
        cancel.cancel();
        buildscope_sandbox::end_helpers();
        match tokio::time::timeout(grace, signals.next()).await {
            Ok(second) => {
                abandon_scratch(CLEANING);
                std::process::exit(code(second));
            }
            Err(_) => {
                abandon_scratch(CLEANING);
                let (printed, told) = mpsc::channel();
                thread::spawn(move || {
                    eprintln!("buildscope: stopped, because it waited for something that cannot be cancelled");
                    printed.send(())
                });
                let _ = told.recv_timeout(MESSAGE);
                std::process::exit(code(first));
            }
        }
    };
    let listen = move || {
        // A signal comes to any thread that does not block it.
        buildscope_sandbox::unblock_signals();
        runtime.block_on(watch);
    };
    thread::Builder::new().name("signals".into()).spawn(listen).map(drop)
}

/// The signals that ask this process to end.
struct Signals(Vec<(SignalKind, unix::Signal)>);

impl Signals {
    /// Starts to listen. A signal that the caller of this process has set to ignored (`nohup` does so with SIGHUP) stays ignored,
    /// except for SIGINT and SIGTERM.
    fn new() -> io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let others = OTHERS.map(|other| SignalKind::from_raw(other.as_raw())).into_iter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()].into_iter();
        let kinds = kinds.chain(others.filter(|kind| !ignores(&status, *kind)));
        kinds.map(|kind| Ok((kind, signal(kind)?))).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) -> SignalKind {
        poll_fn(|context| {
            let mut signals = self.0.iter_mut();
            match signals.find_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind)) {
                Some(kind) => Poll::Ready(kind),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// Whether the process with this `/proc/PID/status` ignores a signal: `SigIgn` is a set in hexadecimal, whose lowest bit is signal 1
/// (proc_pid_status(5)). Without procfs, no signal counts as ignored.
fn ignores(status: &str, signal: SignalKind) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or_default();
    set >> (signal.as_raw_value() - 1) & 1 == 1
}

/// The exit code of a process that a signal ended, as shells report it.
fn code(signal: SignalKind) -> i32 {
    128 + signal.as_raw_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first line is that of `nohup grep SigIgn /proc/self/status`, the second that of a shell that ignores SIGINT.
    #[test]
    fn nohup_ignores_hangups() {
        let hangup = SignalKind::hangup();
        assert!(ignores("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000002\n", hangup));
        assert!(!ignores("SigIgn:\t0000000000000002\n", hangup));
        assert!(ignores("SigIgn:\t0000000000000002\n", SignalKind::interrupt()));
        assert!(!ignores("Name:\tx\n", hangup));
    }
}
