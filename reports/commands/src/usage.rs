//! The usage of a tool by a command that installs or builds: the tool, the files that it needs, and the directories that it caches.

use crate::invocation::Invocation;
use std::collections::BTreeMap;
use std::rc::Rc;

macro_rules! tools {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// A tool that installs packages or builds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Tool {
            $($(#[$doc])* $variant,)+
        }

        impl Tool {
            /// The common name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

tools! {
    /// Debian's and Ubuntu's package manager.
    Apt = "apt";
    /// Alpine's package manager.
    Apk = "apk";
    /// Fedora's package manager.
    Dnf = "dnf";
    /// The small form of dnf in minimal images.
    Microdnf = "microdnf";
    /// The package manager of older Red Hat systems.
    Yum = "yum";
    /// openSUSE's package manager.
    Zypper = "zypper";
    /// Arch Linux's package manager.
    Pacman = "pacman";
    /// Node's package manager.
    Npm = "npm";
    /// Yarn, classic or modern.
    Yarn = "yarn";
    /// pnpm.
    Pnpm = "pnpm";
    /// Bun.
    Bun = "bun";
    /// Deno.
    Deno = "deno";
    /// Python's package manager.
    Pip = "pip";
    /// uv.
    Uv = "uv";
    /// Poetry.
    Poetry = "poetry";
    /// Pipenv.
    Pipenv = "pipenv";
    /// PDM.
    Pdm = "pdm";
    /// conda, mamba and micromamba.
    Conda = "conda";
    /// RubyGems.
    Gem = "gem";
    /// Bundler.
    Bundler = "bundler";
    /// PHP's package manager.
    Composer = "composer";
    /// Go's command.
    Go = "go";
    /// Rust's package manager.
    Cargo = "cargo";
    /// Rust's toolchain manager.
    Rustup = "rustup";
    /// Maven.
    Maven = "maven";
    /// Gradle.
    Gradle = "gradle";
    /// sbt.
    Sbt = "sbt";
    /// .NET's command.
    Dotnet = "dotnet";
    /// Elixir's build tool.
    Mix = "mix";
    /// Haskell's stack.
    Stack = "stack";
    /// Haskell's cabal.
    Cabal = "cabal";
    /// ccache.
    Ccache = "ccache";
    /// Make, ninja, CMake, meson and compilers.
    Native = "make";
    /// Conan.
    Conan = "conan";
    /// vcpkg.
    Vcpkg = "vcpkg";
    /// Swift's package manager.
    Swift = "swift";
    /// Dart's and Flutter's package manager.
    Dart = "dart";
    /// Helm.
    Helm = "helm";
    /// Extensions of PHP, in the official image or by pecl.
    PhpExtensions = "docker-php-ext-install";
    /// Perl's package managers.
    Cpan = "cpan";
    /// R's packages.
    R = "R";
    /// OCaml's package manager.
    Opam = "opam";
    /// Lua's package manager.
    Luarocks = "luarocks";
    /// Clojure's Leiningen.
    Leiningen = "lein";
    /// Clojure's command.
    Clojure = "clojure";
    /// Erlang's build tool.
    Rebar = "rebar3";
    /// Zig.
    Zig = "zig";
    /// Pixi.
    Pixi = "pixi";
    /// Hatch and Rye.
    Hatch = "hatch";
    /// A download: curl, wget, `git clone`.
    Download = "download";
}

impl Tool {
    /// Whether it installs packages of the operating system, which every other tool may need.
    pub(crate) fn is_system(self) -> bool {
        matches!(self, Self::Apt | Self::Apk | Self::Dnf | Self::Microdnf | Self::Yum | Self::Zypper | Self::Pacman)
    }

    /// The directories in the project that an install of this tool fills. A later COPY of the same names would replace what was
    /// installed.
    pub(crate) fn installs_into(self) -> &'static [&'static str] {
        match self {
            Self::Npm | Self::Yarn | Self::Pnpm | Self::Bun => &["node_modules"],
            Self::Deno => &["node_modules", "vendor"],
            Self::Uv | Self::Poetry | Self::Pdm | Self::Pipenv | Self::Pip => &[".venv", "venv"],
            Self::Bundler | Self::Composer | Self::Go => &["vendor"],
            Self::Cargo | Self::Maven | Self::Sbt => &["target"],
            Self::Gradle => &["build", ".gradle"],
            Self::Dotnet => &["obj", "bin"],
            Self::Mix => &["deps", "_build"],
            Self::Swift => &[".build"],
            Self::Dart => &[".dart_tool"],
            Self::Stack => &[".stack-work"],
            Self::Cabal => &["dist-newstyle"],
            Self::Helm => &["charts"],
            Self::Leiningen => &["target"],
            Self::Clojure => &[".cpcache"],
            Self::Rebar => &["_build"],
            Self::Zig => &["zig-cache", ".zig-cache", "zig-out"],
            Self::Pixi => &[".pixi"],
            _ => &[],
        }
    }
}

/// The usage of a tool by a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The tool.
    pub tool: Tool,
    /// The kind of work.
    pub work: Work,
    /// The files of the build context that it needs.
    pub needs: Needs,
    /// The directory that its paths start from, relative to that of the RUN unless it is absolute; `None` if an expansion decides.
    pub folder: Option<String>,
    /// The directories that make its next run shorter. Of a command that fetches lists of packages, those lists.
    pub caches: Vec<Cache>,
    /// The option or variable that turns the caches off.
    pub cacheless: Option<Cacheless>,
    /// Whether it downloads nothing.
    pub offline: bool,
    /// Whether it runs scripts of the project.
    pub hooks: Hooks,
    /// What it does with the packages that only the development of the project needs.
    pub development: Development,
}

/// What a command does with the packages that only the development of a project needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Development {
    /// It neither installs nor deletes them, or this is unknown.
    Untouched,
    /// It installs them.
    Installed,
    /// It leaves them out, and deletes those that are installed.
    LeftOut,
}

/// Whether a command runs scripts of the project, which may need any file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// It runs no scripts of the project.
    None,
    /// It runs the scripts of the project, and its output shows them.
    Shown,
    /// It runs the scripts of the project, and its output does not show them.
    Hidden,
}

/// The kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It prepares an install: package lists, a setting.
    Prepare,
    /// It installs packages.
    Install,
    /// It compiles, tests or runs the sources, and may install packages for that.
    Build,
    /// It removes caches or packages.
    Clean,
}

/// The files of the build context that a command needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// No files: the arguments name the packages.
    Nothing,
    /// Only these files.
    Files(Vec<DependencyFile>),
    /// The sources.
    Sources(Option<Prefetch>),
}

/// A command that fetches the dependencies of the sources, with some files alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefetch {
    /// The files that list the dependencies.
    pub files: Vec<DependencyFile>,
    /// The command; `None` if the tool has none that always works.
    pub command: Option<String>,
}

/// A file that lists dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyFile {
    /// The path from the directory of the command; `*` in the last part stands for any text.
    pub path: String,
    /// Whether the file certainly exists.
    pub presence: Presence,
}

/// The certainty that a file exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The command fails without it.
    Required,
    /// Most projects have it: a lock file.
    Usual,
    /// Some projects have it: a setting. It is a directory if the path ends with a slash.
    Possible,
}

/// A directory to keep between builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The directory.
    pub target: String,
    /// Whether two processes may use it at a time.
    pub sharing: Sharing,
    /// The kind of content.
    pub content: Content,
}

/// Whether two builds may use a cache at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The tool allows it.
    Shared,
    /// The tool does not allow it, or its locks are outside of the directory.
    Locked,
}

/// The content of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Copies of installed packages: no later command needs them.
    Downloads,
    /// Files that later commands of the tool read: each of them needs the same mount.
    Store,
    /// Compiled objects.
    Objects,
}

/// The reason why a tool does not use its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cacheless {
    /// An option of the command.
    Option(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
}

/// The environment of the image for a command.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment. Steps without an ENV between them share it.
    pub variables: Rc<BTreeMap<String, String>>,
    /// The home directory of the user; `None` if unknown.
    pub home: Option<String>,
    /// Whether the user is root.
    pub root: bool,
    /// The name of the base image without registry and tag; empty if unknown.
    pub image: String,
    /// The tag of the base image.
    pub tag: String,
}

impl Surroundings {
    /// The value of a variable for a command.
    pub(crate) fn variable<'a>(&'a self, command: &'a Invocation, name: &str) -> Option<&'a str> {
        command
            .variables
            .get(name)
            .or_else(|| self.variables.get(name))
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether a variable is set to a true value.
    pub(crate) fn is_on(&self, command: &Invocation, name: &str) -> bool {
        self.variable(command, name).is_some_and(|value| !matches!(value, "0" | "false" | "no" | "off"))
    }

    /// The home directory for a command.
    pub(crate) fn home(&self, command: &Invocation) -> Option<String> {
        match &command.user {
            Some(user) if user == "root" || user == "0" => Some("/root".into()),
            Some(_) => None,
            None => command.variables.get("HOME").cloned().or_else(|| self.home.clone()),
        }
    }

    /// The directory that a variable names, or one below the home directory.
    pub(crate) fn below_home(&self, command: &Invocation, variables: &[&str], path: &str) -> Option<String> {
        for name in variables {
            if let Some(value) = self.variable(command, name) {
                let literal = value.starts_with('/') && !value.contains('$');
                return literal.then(|| value.trim_end_matches('/').to_owned());
            }
        }
        Some(format!("{}/{path}", self.home(command)?))
    }
}

impl DependencyFile {
    pub(crate) fn required(path: impl Into<String>) -> Self {
        Self { path: path.into(), presence: Presence::Required }
    }

    pub(crate) fn usual(path: impl Into<String>) -> Self {
        Self { path: path.into(), presence: Presence::Usual }
    }

    pub(crate) fn possible(path: impl Into<String>) -> Self {
        Self { path: path.into(), presence: Presence::Possible }
    }
}

impl Cache {
    pub(crate) fn new(target: impl Into<String>, content: Content, sharing: Sharing) -> Self {
        Self { target: target.into(), sharing, content }
    }

    /// The flag of RUN that mounts the cache.
    pub fn flag(&self) -> String {
        let sharing = if self.sharing == Sharing::Locked { ",sharing=locked" } else { "" };
        format!("--mount=type=cache,target={}{sharing}", self.target)
    }
}

impl Usage {
    pub(crate) fn new(tool: Tool, work: Work, needs: Needs, command: &Invocation) -> Self {
        Self {
            tool,
            work,
            needs,
            folder: command.folder.clone(),
            caches: Vec::new(),
            cacheless: None,
            offline: false,
            hooks: Hooks::None,
            development: Development::Untouched,
        }
    }

    /// Makes its paths relative to a directory that an option names.
    pub(crate) fn at(mut self, folder: Option<&str>) -> Self {
        if let Some(folder) = folder {
            let literal = !folder.contains(['$', '`', '*']);
            self.folder = self.folder.filter(|_| literal).map(|base| crate::path::join(&base, folder));
        }
        self
    }

    pub(crate) fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    pub(crate) fn caching(mut self, caches: impl IntoIterator<Item = Option<Cache>>) -> Self {
        self.caches.extend(caches.into_iter().flatten());
        self
    }
}
