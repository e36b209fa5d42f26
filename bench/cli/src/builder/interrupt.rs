//! Ctrl-C and SIGTERM during a command that cleans up when it is interrupted.

use std::io;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The time that a cancelled build has to end. Steps end within some tenths of a second; other blocking work may not end at all.
pub(super) const GRACE: Duration = Duration::from_secs(4);
/// The time to print the last message. Standard error may be a full pipe.
const MESSAGE: Duration = Duration::from_millis(100);

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
        Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? }
    };
    let watch = async move {
        let first = signals.next().await;
        cancel.cancel();
        match tokio::time::timeout(grace, signals.next()).await {
            Ok(second) => std::process::exit(code(second)),
            Err(_) => {
                thread::spawn(|| {
                    eprintln!("buildscope: stopped, because it waited for something that cannot be cancelled")
                });
                thread::sleep(MESSAGE);
                std::process::exit(code(first));
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(watch)).map(drop)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        }
    }
}

/// The exit code of a process that a signal ended, as shells report it.
fn code(signal: SignalKind) -> i32 {
    128 + signal.as_raw_value()
}
