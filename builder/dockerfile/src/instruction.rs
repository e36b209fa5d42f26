//! Instructions, one type each. Words are as written: expansion needs variables, and those are the plan's business.

use super::flags::Flags;
use super::{Heredoc, Keyword, Pair, Span, Word};
use std::time::Duration;

/// One instruction of a Dockerfile.
#[derive(Clone, PartialEq, Debug)]
pub struct Instruction<'t> {
    /// What it says.
    pub kind: Kind<'t>,
    /// The place of the keyword.
    pub keyword_span: Span,
    /// From the keyword to the last character, heredocs included.
    pub span: Span,
    /// First and last line, from 1.
    pub lines: (u32, u32),
    /// Which of the file's comments stand directly above it: the first, and one past the last.
    pub comments: (u32, u32),
    /// A blank line stands within a continuation.
    pub blank_inside: bool,
}

impl Instruction<'_> {
    /// Its keyword.
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

/// The instructions.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind<'t> {
    /// Begins a stage.
    From(Box<From<'t>>),
    /// Declares build arguments.
    Arg(Vec<Argument<'t>>),
    /// Sets environment variables.
    Env(Vec<Pair<'t>>),
    /// Sets labels.
    Label(Vec<Pair<'t>>),
    /// Runs a process.
    Run(Run<'t>),
    /// COPY and ADD.
    Copy(Copy<'t>),
    /// Sets and makes the working directory.
    Workdir(Word<'t>),
    /// Sets the user.
    User(Word<'t>),
    /// Sets the default command.
    Cmd(Command<'t>),
    /// Sets what the default command is given to.
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
    /// Keeps an instruction for the builds that begin from this image.
    Onbuild(Box<Onbuild<'t>>),
}

/// `FROM [--platform=P] IMAGE [AS NAME]`.
#[derive(Clone, PartialEq, Debug)]
pub struct From<'t> {
    /// `--platform`.
    pub platform: Option<Word<'t>>,
    /// The image or stage.
    pub base: Word<'t>,
    /// The stage's name, as written.
    pub name: Option<Word<'t>>,
    /// `AS`, as written.
    pub as_word: Option<Word<'t>>,
}

/// One `NAME[=DEFAULT]` of ARG.
#[derive(Clone, PartialEq, Debug)]
pub struct Argument<'t> {
    /// The name.
    pub name: Word<'t>,
    /// The default.
    pub default: Option<Word<'t>>,
}

/// What is run.
#[derive(Clone, PartialEq, Debug)]
pub enum Command<'t> {
    /// Given to the shell.
    Shell(Word<'t>),
    /// A program and its arguments.
    Exec(Box<[Word<'t>]>),
}

/// `RUN`.
#[derive(Clone, PartialEq, Debug)]
pub struct Run<'t> {
    pub(super) flags: Flags<'t>,
    /// What is run.
    pub command: Command<'t>,
    /// Documents that the command mentions.
    pub heredocs: Box<[Heredoc]>,
}

impl<'t> Run<'t> {
    /// `--mount`, each as written.
    pub fn mounts(&self) -> impl Iterator<Item = &Word<'t>> {
        self.flags.values("mount")
    }

    /// `--network`.
    pub fn network(&self) -> Option<&Word<'t>> {
        self.flags.value("network")
    }

    /// `--security`.
    pub fn security(&self) -> Option<&Word<'t>> {
        self.flags.value("security")
    }

    /// `--device`, each.
    pub fn devices(&self) -> impl Iterator<Item = &Word<'t>> {
        self.flags.values("device")
    }
}

/// `COPY` and `ADD`.
#[derive(Clone, PartialEq, Debug)]
pub struct Copy<'t> {
    /// Whether it is ADD.
    pub add: bool,
    /// Whether the JSON form was used.
    pub json: bool,
    pub(super) flags: Flags<'t>,
    /// The sources, then the destination.
    pub(super) words: Box<[Word<'t>]>,
    /// Files whose content stands in the Dockerfile.
    pub documents: Box<[Heredoc]>,
}

impl<'t> Copy<'t> {
    /// Paths, patterns and URLs.
    pub fn sources(&self) -> &[Word<'t>] {
        &self.words[..self.words.len() - 1]
    }

    /// Where to.
    pub fn destination(&self) -> &Word<'t> {
        // It is made of words of which one at least is there: the last.
        &self.words[self.words.len() - 1]
    }

    /// `--from`.
    pub fn from(&self) -> Option<&Word<'t>> {
        self.flags.value("from")
    }

    /// `--chown`.
    pub fn chown(&self) -> Option<&Word<'t>> {
        self.flags.value("chown")
    }

    /// `--chmod`.
    pub fn chmod(&self) -> Option<&Word<'t>> {
        self.flags.value("chmod")
    }

    /// `--link`.
    pub fn link(&self) -> bool {
        self.flags.switch("link").unwrap_or(false)
    }

    /// `--parents`.
    pub fn parents(&self) -> bool {
        self.flags.switch("parents").unwrap_or(false)
    }

    /// `--exclude`, each.
    pub fn exclude(&self) -> impl Iterator<Item = &Word<'t>> {
        self.flags.values("exclude")
    }

    /// `--checksum`.
    pub fn checksum(&self) -> Option<&Word<'t>> {
        self.flags.value("checksum")
    }

    /// `--unpack`.
    pub fn unpack(&self) -> Option<bool> {
        self.flags.switch("unpack")
    }

    /// `--keep-git-dir`.
    pub fn keep_git_dir(&self) -> bool {
        self.flags.switch("keep-git-dir").unwrap_or(false)
    }
}

/// `HEALTHCHECK`.
#[derive(Clone, PartialEq, Debug)]
pub enum Health<'t> {
    /// Takes back the base image's check.
    None,
    /// Checks by a command; an absent time is the default.
    Command {
        /// What is run.
        command: Command<'t>,
        /// `--interval`.
        interval: Duration,
        /// `--timeout`.
        timeout: Duration,
        /// `--start-period`.
        start_period: Duration,
        /// `--start-interval`.
        start_interval: Duration,
        /// `--retries`.
        retries: i64,
    },
}

/// `ONBUILD`.
#[derive(Clone, PartialEq, Debug)]
pub struct Onbuild<'t> {
    /// The trigger as it is kept in the image: on one line, with its documents behind it.
    pub text: String,
    /// What it triggers.
    pub instruction: Instruction<'t>,
}
