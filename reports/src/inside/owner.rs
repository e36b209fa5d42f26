//! To whom an instant or a process of a step belongs.

/// A command, several of which it is one, or the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A command.
    Unit(usize),
    /// An unknown one of the commands from the first index to the last.
    Several(usize, usize),
    /// The shell, between two commands.
    Shell,
}

impl Owner {
    /// An unknown one of the commands from the first to the last, or the only one.
    pub(super) fn of(first: usize, last: usize) -> Self {
        if first == last { Self::Unit(first) } else { Self::Several(first, last) }
    }

    /// The first and the last command that it may be; `None` for the shell.
    pub(super) fn ends(self) -> Option<(usize, usize)> {
        match self {
            Self::Unit(unit) => Some((unit, unit)),
            Self::Several(first, last) => Some((first, last)),
            Self::Shell => None,
        }
    }
}
