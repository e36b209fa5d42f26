//! Instructions, each with its own type. Words are not expanded, because only the plan knows the variables.

use super::flags::Flags;
use super::{Heredoc, Keyword, Pair, Span, Word};
use std::time::Duration;

/// One instruction of a Dockerfile.
#[derive(Clone, PartialEq, Debug)]
pub struct Instruction<'t> {
    /// The instruction with its arguments.
    pub kind: Kind<'t>,
    /// The position of the keyword.
    pub keyword_span: Span,
    /// The position from the keyword to the last character, heredocs included.
    pub span: Span,
    /// The first and the last line, counted from 1.
    pub lines: (u32, u32),
    /// The range of comments directly above the instruction, as indices of [`Dockerfile::comments`](super::Dockerfile).
    pub comments: (u32, u32),
    /// The last line of the continuation, before any heredocs, if there is a blank line within it.
    pub blank_inside: Option<u32>,
}

impl Instruction<'_> {
    /// Returns the keyword.
    pub fn keyword(&self) -> Keyword {
        match &self.kind {
            Kind::From(_) => Keyword::From,
            Kind::Arg(_) => Keyword::Arg,
            Kind::Env(_) => Keyword::Env,
            Kind::Label(_) => Keyword::Label,
            Kind::Run(_) => Keyword::Run,
            Kind::Copy(copy) if copy.add => Keyword::Add,
            Kind::Copy(_) => Keyword::Copy,
            Kind::Workdir(_) => Keyword::Workdir,
            Kind::User(_) => Keyword::User,
            Kind::Cmd(_) => Keyword::Cmd,
            Kind::Entrypoint(_) => Keyword::Entrypoint,
            Kind::Shell(_) => Keyword::Shell,
            Kind::Expose(_) => Keyword::Expose,
            Kind::Volume(_) => Keyword::Volume,
            Kind::Stopsignal(_) => Keyword::Stopsignal,
            Kind::Healthcheck(_) => Keyword::Healthcheck,
            Kind::Maintainer(_) => Keyword::Maintainer,
            Kind::Onbuild(_) => Keyword::Onbuild,
        }
    }
}

/// An instruction with its arguments.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind<'t> {
    /// Starts a stage.
    From(Box<From<'t>>),
    /// Declares build arguments.
    Arg(Vec<Argument<'t>>),
    /// Sets environment variables.
    Env(Vec<Pair<'t>>),
    /// Sets labels.
    Label(Vec<Pair<'t>>),
    /// Runs a process.
    Run(Run<'t>),
    /// Copies files into the image (COPY and ADD).
    Copy(Copy<'t>),
    /// Sets the working directory and creates it.
    Workdir(Word<'t>),
    /// Sets the user.
    User(Word<'t>),
    /// Sets the default command.
    Cmd(Command<'t>),
    /// Sets the program that gets the default command as its arguments.
    Entrypoint(Command<'t>),
    /// Sets the shell of the shell form.
    Shell(Vec<Word<'t>>),
    /// Documents ports.
    Expose(Vec<Word<'t>>),
    /// Declares volumes.
    Volume(Vec<Word<'t>>),
    /// Sets the signal that stops a container.
    Stopsignal(Word<'t>),
    /// Sets the health check.
    Healthcheck(Box<Health<'t>>),
    /// Names the author.
    Maintainer(Word<'t>),
    /// Stores an instruction for builds that use this image as their base.
    Onbuild(Box<Onbuild<'t>>),
}

/// `FROM [--platform=P] [--after=STAGE] IMAGE [AS NAME]`.
#[derive(Clone, PartialEq, Debug)]
pub struct From<'t> {
    /// The value of `--platform`.
    pub platform: Option<Word<'t>>,
    /// The value of `--after`: an earlier stage that must be built before this one starts. This is buildah's flag.
    pub after: Option<Word<'t>>,
    /// The base image or stage.
    pub base: Word<'t>,
    /// The name of the stage as written.
    pub name: Option<Word<'t>>,
    /// The word `AS` as written.
    pub as_word: Option<Word<'t>>,
}

/// One `NAME[=DEFAULT]` of ARG.
#[derive(Clone, PartialEq, Debug)]
pub struct Argument<'t> {
    /// The name of the build argument.
    pub name: Word<'t>,
    /// The default value.
    pub default: Option<Word<'t>>,
}

/// A command, in one of its two forms.
#[derive(Clone, PartialEq, Debug)]
pub enum Command<'t> {
    /// A text that the shell runs.
    Shell(Word<'t>),
    /// A program and its arguments, which run without a shell.
    Exec(Box<[Word<'t>]>),
}

/// `RUN`.
#[derive(Clone, PartialEq, Debug)]
pub struct Run<'t> {
    pub(super) flags: Flags<'t>,
    /// The command.
    pub command: Command<'t>,
    /// The heredocs of the command.
    pub heredocs: Box<[Heredoc]>,
}

impl<'t> Run<'t> {
    /// Returns the values of `--mount` as written.
    pub fn mounts(&self) -> impl Iterator<Item = &Word<'t>> {
        self.flags.values("mount")
    }

    /// Returns the value of `--network`.
    pub fn network(&self) -> Option<&Word<'t>> {
        self.flags.value("network")
    }

    /// Returns the value of `--security`.
    pub fn security(&self) -> Option<&Word<'t>> {
        self.flags.value("security")
    }

    /// Returns the values of `--device`.
    pub fn devices(&self) -> impl Iterator<Item = &Word<'t>> {
        self.flags.values("device")
    }
}

/// `COPY` and `ADD`.
#[derive(Clone, PartialEq, Debug)]
pub struct Copy<'t> {
    /// Whether the instruction is ADD.
    pub add: bool,
    /// Whether the arguments are written as a JSON array.
    pub json: bool,
    pub(super) flags: Flags<'t>,
    /// The sources, then the destination.
    pub(super) words: Box<[Word<'t>]>,
    /// The heredocs: files whose content is in the Dockerfile.
    pub heredocs: Box<[Heredoc]>,
}

impl<'t> Copy<'t> {
    /// Returns the sources: paths, patterns and URLs.
    pub fn sources(&self) -> &[Word<'t>] {
        &self.words[..self.words.len() - 1]
    }

    /// Returns the destination.
    pub fn destination(&self) -> &Word<'t> {
        // A COPY is only made with at least one word, and the last word is the destination.
        &self.words[self.words.len() - 1]
    }

    /// Returns the value of `--from`.
    pub fn from(&self) -> Option<&Word<'t>> {
        self.flags.value("from")
    }

    /// Returns the value of `--chown`.
    pub fn chown(&self) -> Option<&Word<'t>> {
        self.flags.value("chown")
    }

    /// Returns the value of `--chmod`.
    pub fn chmod(&self) -> Option<&Word<'t>> {
        self.flags.value("chmod")
    }

    /// Returns whether `--link` is set.
    pub fn link(&self) -> bool {
        self.flags.switch("link").unwrap_or(false)
    }

    /// Returns whether `--parents` is set.
    pub fn parents(&self) -> bool {
        self.flags.switch("parents").unwrap_or(false)
    }

    /// Returns the values of `--exclude`.
    pub fn exclude(&self) -> impl Iterator<Item = &Word<'t>> {
        self.flags.values("exclude")
    }

    /// Returns the value of `--checksum`.
    pub fn checksum(&self) -> Option<&Word<'t>> {
        self.flags.value("checksum")
    }

    /// Returns the value of `--unpack`, if it is given.
    pub fn unpack(&self) -> Option<bool> {
        self.flags.switch("unpack")
    }

    /// Returns whether `--keep-git-dir` is set.
    pub fn keep_git_dir(&self) -> bool {
        self.flags.switch("keep-git-dir").unwrap_or(false)
    }
}

/// `HEALTHCHECK`.
#[derive(Clone, PartialEq, Debug)]
pub enum Health<'t> {
    /// Removes the check of the base image.
    None,
    /// Checks with a command. A time of zero means docker's default.
    Command {
        /// The command that checks the container.
        command: Command<'t>,
        /// The time between checks (`--interval`).
        interval: Duration,
        /// The time after which a check has failed (`--timeout`).
        timeout: Duration,
        /// The time after the start in which failures do not count (`--start-period`).
        start_period: Duration,
        /// The time between checks during the start period (`--start-interval`).
        start_interval: Duration,
        /// The number of failures after which the container is unhealthy (`--retries`). 0 means docker's default.
        retries: i64,
    },
}

/// `ONBUILD`.
#[derive(Clone, PartialEq, Debug)]
pub struct Onbuild<'t> {
    /// The trigger as the image stores it: on one line, followed by its heredocs.
    pub text: String,
    /// The instruction that is triggered.
    pub instruction: Instruction<'t>,
}
