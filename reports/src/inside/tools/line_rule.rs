//! A rule about a line of output: its beginning, what it says, and which commands print it.

use super::{Activity, duration};
use buildscope_record::Nanos;

/// The meaning of a line of output.
pub(super) struct LineRule {
    /// The start of the line after its spaces; a `*` in it stands for any text.
    pub(super) pattern: &'static str,
    pub(super) says: Says,
    /// Commands with one of these words do not print the line.
    pub(super) unless: &'static str,
    /// The commands that print the line: the program, and words that the command has; empty if those of the family do.
    pub(super) by: &'static [&'static str],
    /// A word that the command has rather than not.
    pub(super) word: LineWord,
    pub(super) order: Order,
    duration: LineDuration,
}

/// The place of a line among those of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inside) enum Order {
    /// Before the line at the end, if the tool has one.
    Any,
    /// At the end, once.
    Last,
    /// At the end, perhaps after another line at the end.
    AfterLast,
    /// Perhaps several times, of which the last one is at the end.
    Each,
    /// After another line of the command, also after one at the end.
    Follows,
}

impl Order {
    /// Whether the tool may have ended with this line.
    pub(in crate::inside) fn is_end(self) -> bool {
        matches!(self, Self::Last | Self::AfterLast | Self::Each)
    }
}

/// What the first duration in a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineDuration {
    /// Nothing.
    None,
    /// How long the activity lasted that has ended.
    OfActivity,
    /// How long the tool has run, without its start.
    OfTool,
}

/// A word of the command that printed a line.
pub(super) enum LineWord {
    None,
    /// This one, which may be the end of a path.
    Is(&'static str),
    /// The one at this place of the line.
    At(usize),
}

/// The change of a tool's activity that a line of output shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inside) enum Says {
    /// The activity starts.
    Begins(Activity),
    /// The activity starts, and the one before it continues after its end.
    Interrupts(Activity),
    /// The activity has ended.
    Ended(Activity),
}

impl Says {
    /// The activity that starts or has ended.
    pub(in crate::inside) fn activity(self) -> Activity {
        match self {
            Self::Begins(activity) | Self::Interrupts(activity) | Self::Ended(activity) => activity,
        }
    }
}

const fn line_rule(pattern: &'static str, says: Says) -> LineRule {
    LineRule {
        pattern,
        says,
        unless: "",
        by: &[],
        word: LineWord::None,
        order: Order::Any,
        duration: LineDuration::None,
    }
}

pub(super) const fn begins(pattern: &'static str, activity: Activity) -> LineRule {
    line_rule(pattern, Says::Begins(activity))
}

pub(super) const fn interrupts(pattern: &'static str, activity: Activity) -> LineRule {
    line_rule(pattern, Says::Interrupts(activity))
}

pub(super) const fn ended(pattern: &'static str, activity: Activity) -> LineRule {
    line_rule(pattern, Says::Ended(activity))
}

impl LineRule {
    /// Commands with one of these words do not print the line.
    pub(super) const fn unless(self, unless: &'static str) -> Self {
        Self { unless, ..self }
    }

    /// Only these commands print the line.
    pub(super) const fn by(self, by: &'static [&'static str]) -> Self {
        Self { by, ..self }
    }

    /// The command has the word at this place of the line rather than not.
    pub(super) const fn named(self, place: usize) -> Self {
        Self { word: LineWord::At(place), ..self }
    }

    /// The command has this word rather than not.
    pub(super) const fn with(self, word: &'static str) -> Self {
        Self { word: LineWord::Is(word), ..self }
    }

    /// The tool prints the line at its end.
    pub(super) const fn last(self) -> Self {
        Self { order: Order::Last, ..self }
    }

    /// The tool prints the line at its end, perhaps after another one.
    pub(super) const fn after_last(self) -> Self {
        Self { order: Order::AfterLast, ..self }
    }

    /// The tool may print the line several times, at last at its end.
    pub(super) const fn each(self) -> Self {
        Self { order: Order::Each, ..self }
    }

    /// A command prints it only after another one of its lines.
    pub(super) const fn follows(self) -> Self {
        Self { order: Order::Follows, ..self }
    }

    /// The first duration of the line is that of the activity that has ended.
    pub(super) const fn timed(self) -> Self {
        Self { duration: LineDuration::OfActivity, ..self }
    }

    /// The first duration of the line is the time that the tool took.
    pub(super) const fn took(self) -> Self {
        Self { duration: LineDuration::OfTool, ..self }
    }

    /// The duration in a line, if it says this.
    pub(super) fn duration(&self, of: LineDuration, line: &str) -> Option<Nanos> {
        if self.duration == of { duration::named(line) } else { None }
    }

    /// Whether a line begins with the pattern.
    pub(super) fn fits(&self, line: &str) -> bool {
        fits(self.pattern, line)
    }
}

/// Whether a line begins with a pattern.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    parts.all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_beginning_of_a_line() {
        assert!(fits("(*) Installing ", "(12/30) Installing musl (1.2)"));
        assert!(fits("Get:", "Get:1 http://x") && !fits("Get:", "xGet:1"));
        assert!(!fits("[*%] Linking ", "[ 50%] Building C object"));
    }
}
