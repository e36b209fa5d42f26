//! Helper programs that the builder starts on this machine: not steps, but git, ssh-agent, slirp4netns and their like.

use std::process::Command;

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

#[cfg(test)]
mod tests {
    use super::*;

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
