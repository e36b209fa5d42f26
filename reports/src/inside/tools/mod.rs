//! What processes of known tools do, in the words of a Dockerfile's author: download, unpack, compile.
//!
//! A rule names programs and, where one program does several things, an argument. A process without a rule does what its
//! parent does. One file a family of tools.

mod apk;
mod apt;
mod archive;
mod c;
mod cargo;
mod configure;
mod fetch;
mod git;
mod go;
mod npm;
mod python;

use buildscope_record::Process;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// It brings something from the network, and checks what it brought.
    Download,
    /// It takes files out of an archive or package.
    Unpack,
    /// It finds out what the machine has.
    Configure,
    /// It translates source text.
    Compile,
    /// It joins what was compiled.
    Link,
    /// It runs tests.
    Test,
    /// It runs what packages bring along to be run.
    Scripts,
    /// It decides what is to be done.
    Plan,
}

impl Activity {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Unpack => "unpack",
            Self::Configure => "configure",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Test => "test",
            Self::Scripts => "package scripts",
            Self::Plan => "plan",
        }
    }
}

/// What programs of these names do.
pub(super) struct Rule {
    /// Names; one that ends in `*` stands for all that begin so.
    programs: &'static [&'static str],
    /// An argument that has to be there, or to be in one; any, where it is empty.
    argument: &'static str,
    activity: Activity,
}

const fn rule(programs: &'static [&'static str], argument: &'static str, activity: Activity) -> Rule {
    Rule { programs, argument, activity }
}

/// The first rule that fits decides.
const FAMILIES: &[&[Rule]] = &[
    apt::RULES,
    apk::RULES,
    python::RULES,
    npm::RULES,
    cargo::RULES,
    go::RULES,
    c::RULES,
    configure::RULES,
    git::RULES,
    fetch::RULES,
    archive::RULES,
];

/// What a process does, as far as its own name and arguments say.
pub(super) fn activity(process: &Process) -> Option<Activity> {
    FAMILIES.iter().flat_map(|rules| rules.iter()).find(|rule| rule.fits(process)).map(|rule| rule.activity)
}

impl Rule {
    fn fits(&self, process: &Process) -> bool {
        let named = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => process.program.starts_with(start),
            None => process.program == **pattern,
        };
        self.programs.iter().any(named)
            && (self.argument.is_empty() || process.arguments.iter().any(|argument| argument.contains(self.argument)))
    }
}

#[cfg(test)]
fn of(command: &str) -> Option<Activity> {
    let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let program = arguments[0].rsplit('/').next().unwrap_or_default().to_owned();
    activity(&Process { program, arguments, ..Process::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_no_family_do_nothing_known() {
        assert_eq!(of("my-own-tool --all"), None);
        assert_eq!(of("sh -c true"), None);
    }
}
