//! Helper programs that the builder starts on this machine: not steps, but git, ssh-agent, slirp4netns and their like.

use crate::sys;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

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

/// Runs a helper to its end and returns its output. The processes that it leaves are ended (SIGKILL). If the builder is killed meanwhile,
/// the helper and everything that it started end too: git leaves a connection to programs of its own.
///
/// # Errors
/// If the program cannot be started, or if [`end_helpers`] has been called.
pub fn output(command: &mut Command) -> io::Result<Output> {
    let _group = Group::of(command)?;
    command.output()
}

/// Runs a helper whose output is read while it runs. Otherwise like [`output`].
///
/// # Errors
/// If the program cannot be started, or if [`end_helpers`] has been called.
pub fn read_output<T>(command: &mut Command, read: impl FnOnce(ChildStdout) -> T) -> io::Result<(T, ExitStatus)> {
    let _group = Group::of(command)?;
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    // If `read` ends early, the program ends with its next write.
    let found = read(output);
    Ok((found, child.wait()?))
}

/// Ends the helpers that run now (SIGKILL). Later ones do not start.
pub fn end_helpers() {
    let mut groups = GROUPS.lock();
    groups.ended = true;
    groups.leaders.iter().for_each(|leader| end(*leader));
}

static GROUPS: Mutex<Groups> = Mutex::new(Groups { ended: false, leaders: Vec::new() });

/// The process groups of the helpers that run now.
struct Groups {
    ended: bool,
    leaders: Vec<Pid>,
}

/// A process group, which ends with this value, and with this process even if it is killed.
struct Group(Child);

impl Group {
    /// Creates a group for a command that has not been started.
    fn of(command: &mut Command) -> io::Result<Self> {
        // The leader reads from a pipe of this process until the pipe ends.
        let mut leader = helper("sh");
        leader.args(["-c", "read -r end; kill -s KILL 0"]).stdin(Stdio::piped());
        leader.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut groups = GROUPS.lock();
        if groups.ended {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let leader = leader.spawn()?;
        let pid = Pid::from_child(&leader);
        groups.leaders.push(pid);
        command.process_group(pid.as_raw_nonzero().get());
        Ok(Self(leader))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let leader = Pid::from_child(&self.0);
        // Until the leader has been waited for, no other process has its id.
        end(leader);
        GROUPS.lock().leaders.retain(|other| *other != leader);
        // It was killed.
        let _ = self.0.wait();
    }
}

fn end(leader: Pid) {
    // Fails only if all processes of the group have ended.
    let _ = kill_process_group(leader, Signal::KILL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
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
    }

    /// The processes of a group share the write end of a pipe, which ends with the last of them.
    #[test]
    fn what_a_helper_leaves_is_ended() {
        let (read, write) = io::pipe().unwrap();
        let mut command = helper("sh");
        command.args(["-c", "sleep 1000 > /dev/null & echo started"]).stderr(write);
        let started = output(&mut command).unwrap();
        drop(command);
        assert_eq!(started.stdout, b"started\n");
        let patience = rustix::time::Timespec { tv_sec: 30, tv_nsec: 0 };
        let mut ends = [PollFd::new(&read, PollFlags::IN)];
        assert_eq!(poll(&mut ends, Some(&patience)).unwrap(), 1);
        assert_eq!(ends[0].revents(), PollFlags::HUP);
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
