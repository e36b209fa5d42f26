//! Instructions, one type each. Words are as written: expansion needs variables, and those are the plan's business.

use super::{Heredoc, Keyword, Pair, Span, Word};
use std::time::Duration;

/// One instruction of a Dockerfile.
#[derive(Clone, PartialEq, Debug)]
pub struct Instruction {
    /// What it says.
    pub kind: Kind,
    /// The keyword as written.
    pub written: Word,
    /// From the keyword to the last character, heredocs included.
    pub span: Span,
    /// First and last line, from 1.
    pub lines: (u32, u32),
    /// The comment lines directly above it.
    pub comments: Vec<Span>,
    /// A blank line stands within a continuation.
    pub blank_inside: bool,
}

impl Instruction {
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
pub enum Kind {
    /// Begins a stage.
    From(Box<From>),
    /// Declares build arguments.
    Arg(Vec<Argument>),
    /// Sets environment variables.
    Env(Vec<Pair>),
    /// Sets labels.
    Label(Vec<Pair>),
    /// Runs a process.
    Run(Box<Run>),
    /// COPY and ADD.
    Copy(Box<Copy>),
    /// Sets and makes the working directory.
    Workdir(Word),
    /// Sets the user.
    User(Word),
    /// Sets the default command.
    Cmd(Command),
    /// Sets what the default command is given to.
    Entrypoint(Command),
    /// Sets the shell of the shell form.
    Shell(Vec<Word>),
    /// Documents ports.
    Expose(Vec<Word>),
    /// Declares volumes.
    Volume(Vec<Word>),
    /// Sets the signal that stops a container.
    Stopsignal(Word),
    /// Sets the health check.
    Healthcheck(Box<Health>),
    /// Names the author.
    Maintainer(Word),
    /// Keeps an instruction for the builds that begin from this image.
    Onbuild(Box<Onbuild>),
}

/// `FROM [--platform=P] IMAGE [AS NAME]`.
#[derive(Clone, PartialEq, Debug)]
pub struct From {
    /// `--platform`.
    pub platform: Option<Word>,
    /// The image or stage.
    pub base: Word,
    /// The stage's name, as written.
    pub name: Option<Word>,
    /// `AS`, as written.
    pub as_word: Option<Word>,
}

/// One `NAME[=DEFAULT]` of ARG.
#[derive(Clone, PartialEq, Debug)]
pub struct Argument {
    /// The name.
    pub name: Word,
    /// The default.
    pub default: Option<Word>,
}

/// What is run.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Given to the shell.
    Shell(Word),
    /// A program and its arguments.
    Exec(Vec<Word>),
}

/// `RUN`.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// `--mount`, each as written.
    pub mounts: Vec<Word>,
    /// `--network`.
    pub network: Option<Word>,
    /// `--security`.
    pub security: Option<Word>,
    /// `--device`.
    pub devices: Vec<Word>,
    /// What is run.
    pub command: Command,
    /// Documents that the command mentions.
    pub heredocs: Vec<Heredoc>,
}

/// `COPY` and `ADD`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Copy {
    /// Whether it is ADD.
    pub add: bool,
    /// `--from`.
    pub from: Option<Word>,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`, each.
    pub exclude: Vec<Word>,
    /// `--checksum`.
    pub checksum: Option<Word>,
    /// `--unpack`.
    pub unpack: Option<bool>,
    /// `--keep-git-dir`.
    pub keep_git_dir: bool,
    /// Paths, patterns and URLs.
    pub sources: Vec<Word>,
    /// Files whose content stands in the Dockerfile.
    pub documents: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
    /// Whether the JSON form was used.
    pub json: bool,
}

/// `HEALTHCHECK`.
#[derive(Clone, PartialEq, Debug)]
pub enum Health {
    /// Takes back the base image's check.
    None,
    /// Checks by a command; an absent time is the default.
    Command {
        /// What is run.
        command: Command,
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
pub struct Onbuild {
    /// The trigger as it is kept in the image: on one line, with its documents behind it.
    pub text: String,
    /// What it triggers.
    pub instruction: Instruction,
}
