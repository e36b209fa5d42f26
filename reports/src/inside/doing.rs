//! What a tool does between the lines that it prints.

use super::Activity;
use super::tools::Says;

/// The activity of a tool after a line, if that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doing {
    now: Option<Activity>,
    /// The activity that continues after the end of the current one.
    interrupted: Option<Activity>,
}

impl Doing {
    /// What the tool did until this line.
    pub(super) fn until(self, line: Says) -> Option<Activity> {
        match line {
            Says::Ended(activity) => Some(activity),
            Says::Begins(_) | Says::Interrupts(_) => self.now,
        }
    }

    /// The activity after this line.
    pub(super) fn after(self, line: Says) -> Self {
        match line {
            Says::Begins(activity) => Self { now: Some(activity), interrupted: None },
            Says::Interrupts(activity) => {
                let interrupted = self.interrupted.or(self.now.filter(|now| *now != activity));
                Self { now: Some(activity), interrupted }
            }
            Says::Ended(_) => Self { now: self.interrupted, interrupted: None },
        }
    }

    pub(super) fn now(self) -> Option<Activity> {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Compile, Download, Test};

    /// A plugin of Maven downloads what it needs, several files at a time, before it compiles.
    #[test]
    fn an_activity_continues_after_what_interrupted_it() {
        let lines = [
            (Says::Begins(Compile), None, Some(Compile)),
            (Says::Interrupts(Download), Some(Compile), Some(Download)),
            (Says::Interrupts(Download), Some(Download), Some(Download)),
            (Says::Ended(Download), Some(Download), Some(Compile)),
            (Says::Begins(Test), Some(Compile), Some(Test)),
            (Says::Ended(Test), Some(Test), None),
        ];
        let mut doing = Doing::default();
        for (line, until, after) in lines {
            assert_eq!(doing.until(line), until, "{line:?}");
            doing = doing.after(line);
            assert_eq!(doing.now(), after, "{line:?}");
        }
    }
}
