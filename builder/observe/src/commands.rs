//! The whole command lines of programs that the caller names, with their directories. A record has the beginnings of arguments only.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// A program that was started: what it was given, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedCommand {
    /// Its directory when it was read, soon after its start.
    pub directory: PathBuf,
    /// All of its arguments, up to 64 KiB. Bytes that are not UTF-8 are replaced.
    pub arguments: Vec<String>,
}

/// The programs whose commands are kept, and their commands so far.
#[derive(Debug, Default)]
pub(crate) struct StartedCommands {
    programs: &'static [&'static str],
    list: Vec<StartedCommand>,
}

impl StartedCommands {
    /// A script starts fewer builds.
    const MOST: usize = 1000;
    /// The most bytes of a command. A step may give any program the name of a builder and megabytes of arguments.
    const LONGEST: u64 = 64 << 10;

    pub(crate) fn of(programs: &'static [&'static str]) -> Self {
        Self { programs, list: Vec::new() }
    }

    pub(crate) fn wants(&self, program: &str) -> bool {
        self.programs.contains(&program) && self.list.len() < Self::MOST
    }

    /// Reads the command of a process from `/proc`. Returns whether it is there: the process may be gone, or the kernel may not have copied its
    /// arguments yet.
    pub(crate) fn read(&mut self, pid: i32) -> bool {
        let mut bytes = Vec::new();
        let file = File::open(format!("/proc/{pid}/cmdline"));
        let read = file.and_then(|file| file.take(Self::LONGEST).read_to_end(&mut bytes));
        let directory = std::fs::read_link(format!("/proc/{pid}/cwd"));
        let (Ok(1..), Ok(directory)) = (read, directory) else { return false };
        let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes).split(|&byte| byte == 0);
        let arguments = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        self.list.push(StartedCommand { directory, arguments });
        true
    }

    pub(crate) fn finish(self) -> Vec<StartedCommand> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_testing::until;
    use std::process::{Command, Stdio};

    #[test]
    fn a_command_is_read_whole_with_its_directory() {
        let long = "x".repeat(5000);
        let mut child = Command::new("sh");
        // `read` returns only when the pipe is closed.
        child.args(["-c", "read line", &long, ""]).current_dir("/").stdin(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut commands = StartedCommands::of(&["sh"]);
        assert!(commands.wants("sh") && !commands.wants("bash"));
        // The start of a program is known before the kernel has copied its arguments.
        until("the arguments are there", || commands.read(child.id() as i32));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!commands.read(child.id() as i32));
        let arguments = ["sh", "-c", "read line", &long, ""].map(str::to_owned).to_vec();
        assert_eq!(commands.finish(), [StartedCommand { directory: "/".into(), arguments }]);
    }
    #[test]
    fn a_command_of_many_bytes_is_cut() {
        let long = "x".repeat(100_000);
        let mut child = Command::new("sh");
        let mut child = child.args(["-c", "read line", &long, "last"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut commands = StartedCommands::of(&["sh"]);
        until("the arguments are there", || commands.read(child.id() as i32));
        drop(child.stdin.take());
        child.wait().unwrap();
        let arguments = commands.finish().swap_remove(0).arguments;
        assert_eq!(arguments[..3], ["sh", "-c", "read line"]);
        // The words before it have 16 bytes with their ends.
        assert_eq!((arguments.len(), arguments[3].len()), (4, 65_536 - 16));
    }
}
