//! Helper programs that the builder starts on this machine: not steps, but git, ssh-agent, slirp4netns and their like.

use crate::sys;
use std::io;
use std::process::{Command, Output};

/// The variables that a helper gets: where programs and temporary files are. The rest of the environment could change what
/// it does, and with it the image: a home directory with configuration, `GIT_*`, `APT_CONFIG`, `NOTIFY_SOCKET`, a language.
const KEPT: [&str; 2] = ["PATH", "TMPDIR"];

/// Creates a command for a helper program, which gets nothing of this process's environment but [`KEPT`].
pub fn helper(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", "/dev/null").env("LC_ALL", "C.UTF-8");
    command.envs(KEPT.into_iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
    command
}

/// Makes a helper end with the thread that starts it (SIGTERM), and so with a builder that is killed. The thread must wait for the helper.
pub fn end_with_this_thread(command: &mut Command) {
    sys::end_with_this_thread(command);
}

/// Runs a helper to its end and returns its output. If the builder is killed meanwhile, the helper ends too (SIGTERM).
///
/// # Errors
/// If the program cannot be started.
pub fn output(command: &mut Command) -> io::Result<Output> {
    end_with_this_thread(command);
    // This thread waits for the program, so it cannot end before it does.
    command.output()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn a_helper_ends_with_the_thread_that_started_it() {
        let start = || {
            let mut command = helper("sleep");
            end_with_this_thread(command.arg("1000"));
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert!(output(&mut helper("true")).unwrap().status.success());
    }

    #[test]
    fn a_helper_gets_only_its_own_environment() {
        // cargo sets many more variables for a test.
        let output = helper("env").output().unwrap();
        let names: Vec<String> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name.to_owned()))
            .collect();
        assert!(names.contains(&"PATH".to_owned()) && names.contains(&"HOME".to_owned()), "{names:?}");
        assert!(names.iter().all(|name| ["HOME", "LC_ALL", "PATH", "TMPDIR"].contains(&&**name)), "{names:?}");
    }
}
