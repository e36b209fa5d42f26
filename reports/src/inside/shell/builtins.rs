//! The builtins of a shell, and whether they may take long.

/// The activities that may take the shell long in a command for which it starts no process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShellWork {
    /// The shell computes, as in a loop.
    pub(crate) computes: bool,
    /// The shell waits for input or for a background job.
    pub(crate) waits: bool,
}

impl ShellWork {
    pub(crate) const COMPUTES: Self = Self { computes: true, waits: false };
    pub(crate) const WAITS: Self = Self { computes: false, waits: true };
    pub(crate) const ANY: Self = Self { computes: true, waits: true };

    /// Whether the command may take long.
    pub(crate) fn is_long(self) -> bool {
        self != Self::default()
    }
}

impl std::ops::BitOr for ShellWork {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self { computes: self.computes || other.computes, waits: self.waits || other.waits }
    }
}

/// Returns the work of a command of this name; `None` if it is a program.
pub(crate) fn work(name: &str) -> Option<ShellWork> {
    match name {
        "read" | "wait" => Some(ShellWork::WAITS),
        "mapfile" | "readarray" => Some(ShellWork::ANY),
        name => MOMENTARY.contains(&name).then(ShellWork::default),
    }
}

/// Builtins that take a shell only a moment (POSIX.1-2024, "Special Built-In Utilities" and "Utilities" that shells build in).
const MOMENTARY: &[&str] = &[
    ":", "[", "alias", "bg", "bind", "break", "caller", "cd", "command", "compgen", "complete", "continue", "declare",
    "dirs", "disown", "echo", "enable", "exit", "export", "false", "fg", "getopts", "hash", "help", "history", "jobs",
    "kill", "let", "local", "popd", "print", "printf", "pushd", "pwd", "readonly", "return", "set", "shift", "shopt",
    "suspend", "test", "times", "trap", "true", "type", "typeset", "ulimit", "umask", "unalias", "unset",
];
