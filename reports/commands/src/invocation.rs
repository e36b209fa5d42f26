//! A command as a shell starts it, and the wrappers around it.

use crate::word::Word;
use std::collections::BTreeMap;

/// A command with its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The program and its arguments; there is at least the program.
    pub words: Vec<Word>,
    /// The variables that the text sets for the command.
    pub variables: BTreeMap<String, String>,
    /// The directory, relative to the directory at the start of the text unless it is absolute; `None` if it depends on an expansion.
    pub folder: Option<String>,
    /// The files that are redirected to its input.
    pub reads: Vec<Word>,
    /// The files to which its output is redirected.
    pub writes: Vec<Word>,
    /// Whether its input comes from another command (a pipe).
    pub piped: bool,
    /// Whether its input is a heredoc.
    pub document: bool,
    /// Whether it always runs if all commands before it succeed.
    pub certain: bool,
    /// The user that a wrapper changes to.
    pub user: Option<String>,
}

/// The program that a command starts in the end.
#[derive(Debug)]
pub(crate) enum StartedProgram {
    /// A program.
    Command(Invocation),
    /// A shell with this text.
    Text {
        /// The text.
        text: String,
        /// The shell.
        command: Invocation,
    },
    /// Nothing: a wrapper without a command.
    Nothing,
}

/// A program that runs the command in its arguments.
struct Wrapper {
    names: &'static [&'static str],
    /// Its options that have their value in the next word.
    valued: &'static [&'static str],
    /// The number of arguments before the command.
    arguments: usize,
}

const fn wrapper(names: &'static [&'static str], valued: &'static [&'static str], arguments: usize) -> Wrapper {
    Wrapper { names, valued, arguments }
}

const WRAPPERS: &[Wrapper] = &[
    wrapper(&["sudo", "doas"], &["-u", "-g", "-C", "-D", "-h", "-p", "-r", "-t", "-T", "-U", "--user", "--group"], 0),
    wrapper(&["env"], &["-u", "--unset", "-C", "--chdir"], 0),
    wrapper(&["time"], &["-f", "-o", "--format", "--output"], 0),
    wrapper(&["nice"], &["-n", "--adjustment"], 0),
    wrapper(&["ionice"], &["-c", "-n", "--class", "--classdata"], 0),
    wrapper(
        &[
            "nohup",
            "setsid",
            "exec",
            "command",
            "builtin",
            "unbuffer",
            "eatmydata",
            "fakeroot",
            "catchsegv",
            "noglob",
            "chronic",
        ],
        &["-a"],
        0,
    ),
    wrapper(&["linux32", "linux64", "setarch"], &[], 0),
    wrapper(&["timeout"], &["-k", "-s", "--kill-after", "--signal"], 1),
    wrapper(&["stdbuf"], &["-i", "-o", "-e"], 0),
    wrapper(&["taskset"], &["-p"], 1),
    wrapper(&["chrt"], &[], 1),
    wrapper(&["gosu", "su-exec"], &[], 1),
    wrapper(&["setpriv", "chpst"], &["-u", "--reuid", "--regid", "--groups"], 0),
    wrapper(&["flock"], &["-w", "-E", "--timeout", "--wait", "--conflict-exit-code"], 1),
    wrapper(&["proxychains", "proxychains4", "torsocks", "numactl"], &["-f"], 0),
    wrapper(&["xvfb-run"], &["-n", "-s", "-e", "-f", "-p", "-w", "--server-args"], 0),
    wrapper(&["dbus-run-session", "tini", "dumb-init", "catatonit"], &["-e", "-p"], 0),
    wrapper(
        &["xargs"],
        &["-n", "-I", "-L", "-P", "-d", "-a", "-s", "-E", "--max-args", "--max-procs", "--delimiter", "--arg-file"],
        0,
    ),
    wrapper(&["retry"], &["-t", "-d", "-r"], 0),
    wrapper(&["busybox", "toybox", "corepack", "asdf-exec"], &[], 0),
    wrapper(&["distcc", "icecc"], &[], 0),
    wrapper(&["faketime"], &[], 1),
    wrapper(&["strace", "ltrace"], &["-o", "-e", "-s", "-p", "-P", "-E"], 0),
    wrapper(&["bear", "intercept-build", "scan-build", "compiledb"], &["-o", "--output"], 0),
];

const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "rbash", "mksh"];

impl Invocation {
    /// A program with its arguments, without a shell around it.
    pub fn exec(words: Vec<Word>) -> Self {
        Self {
            words,
            variables: BTreeMap::new(),
            folder: Some(String::new()),
            reads: Vec::new(),
            writes: Vec::new(),
            piped: false,
            document: false,
            certain: true,
            user: None,
        }
    }

    /// The name of the program without its directory.
    pub fn program(&self) -> &str {
        let text = &self.words[0].text;
        text.rsplit('/').next().unwrap_or(text)
    }

    /// The directory of a program that is written with one.
    pub(crate) fn program_folder(&self) -> Option<&str> {
        self.words[0].text.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// The arguments.
    pub fn arguments(&self) -> &[Word] {
        &self.words[1..]
    }

    /// Whether an argument is exactly this.
    pub fn has(&self, argument: &str) -> bool {
        self.arguments().iter().any(|word| word.text == argument)
    }

    /// The program that the command starts, without wrappers and without shells that run a text.
    pub(crate) fn unwrapped(mut self, document: Option<String>) -> StartedProgram {
        // Each round removes at least one word.
        loop {
            if self.words.is_empty() {
                return StartedProgram::Nothing;
            }
            let program = self.program().to_owned();
            if SHELLS.contains(&program.as_str()) {
                return self.shell(document);
            }
            if matches!(program.as_str(), "su" | "runuser") {
                match self.switched() {
                    Ok(started) => return started,
                    Err(rest) => self = *rest,
                }
                continue;
            }
            if !self.take_off(&program) {
                return StartedProgram::Command(self);
            }
        }
    }

    /// Removes a wrapper. Returns whether there was one.
    fn take_off(&mut self, program: &str) -> bool {
        if let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&program)) {
            // `busybox --install`, `corepack enable` are commands of their own.
            let own = ["enable", "disable", "prepare", "install", "use", "cache", "hydrate", "pack", "up"];
            if program == "corepack"
                && self.words.get(1).is_none_or(|word| own.contains(&word.text.as_str()) || word.is_option())
            {
                return false;
            }
            if matches!(program, "command" | "xargs" | "busybox" | "toybox")
                && self
                    .words
                    .get(1)
                    .is_none_or(|word| matches!(word.text.as_str(), "-v" | "-V" | "--install" | "--list"))
            {
                return false;
            }
            if program == "exec" && self.words.len() == 1 {
                return false;
            }
            self.skip_wrapper(program, wrapper);
            return true;
        }
        let second = self.words.get(1).map(|word| word.text.as_str());
        let skip = match (program, second) {
            ("bundle", Some("exec")) | ("poetry" | "pipenv" | "pdm" | "rye" | "hatch", Some("run")) => 2,
            ("mise" | "asdf" | "nvm" | "direnv" | "volta", Some("exec" | "run" | "x")) => {
                match self.words.iter().position(|word| word.text == "--") {
                    Some(at) => at + 1,
                    None => 2,
                }
            }
            ("conda" | "mamba" | "micromamba", Some("run")) => {
                let valued = ["-n", "-p", "--name", "--prefix", "--cwd"];
                self.after_options(2, &valued)
            }
            ("npx" | "bunx", _) | ("npm", Some("exec" | "x")) => {
                let at = self.after_options(
                    if program == "npm" { 2 } else { 1 },
                    &["-p", "--package", "-w", "--workspace", "--prefix", "--cache", "--registry"],
                );
                let name = self.words.get(at).map_or("", |word| word.text.as_str());
                if !["pnpm", "yarn", "npm", "bun"].contains(&name.split('@').next().unwrap_or(name)) {
                    return false;
                }
                at
            }
            ("rustup", Some("run")) => 3,
            ("xx-cargo" | "xx-go" | "xx-apt" | "xx-apt-get" | "xx-apk", _) => {
                let name = program.trim_start_matches("xx-").to_owned();
                if name == "apk" {
                    // `xx-*` commands install into the root of the target platform.
                    self.words.insert(1, Word::plain("--root=/sysroot"));
                }
                self.words[0].text = name;
                return true;
            }
            ("scl", Some("enable")) => match self.words.iter().position(|word| word.text == "--") {
                Some(at) => at + 1,
                None => return false,
            },
            _ => return false,
        };
        self.words.drain(..skip.min(self.words.len()));
        // `npx pnpm@9 install`
        if let Some(first) = self.words.first_mut()
            && let Some((name, _)) = first.text.clone().split_once('@')
            && !name.is_empty()
        {
            first.text = name.to_owned();
        }
        true
    }

    fn skip_wrapper(&mut self, program: &str, wrapper: &Wrapper) {
        let mut at = 1;
        let mut arguments = wrapper.arguments;
        while let Some(word) = self.words.get(at) {
            let text = word.text.clone();
            if text == "--" {
                at += 1;
                break;
            }
            if word.is_option() {
                let valued = wrapper.valued.contains(&text.as_str());
                let value = if valued { self.words.get(at + 1).map(|word| word.text.clone()) } else { None };
                match (text.as_str(), &value) {
                    ("-u" | "--user", Some(user)) if matches!(program, "sudo" | "doas" | "chpst") => {
                        self.user = Some(user.clone())
                    }
                    ("--reuid", Some(user)) => self.user = Some(user.clone()),
                    (option, _) if option.starts_with("--reuid=") => {
                        self.user = option.split_once('=').map(|(_, user)| user.to_owned());
                    }
                    ("-C" | "--chdir", Some(folder)) if program == "env" => {
                        self.folder = Some(crate::path::join(self.folder.as_deref().unwrap_or(""), folder))
                    }
                    _ => {}
                }
                at += if valued { 2 } else { 1 };
                continue;
            }
            let assignment = text.split_once('=').filter(|(name, _)| is_name(name));
            if let (Some((name, value)), "env" | "sudo" | "doas") = (assignment, program) {
                self.variables.insert(name.to_owned(), value.to_owned());
                at += 1;
                continue;
            }
            if arguments > 0 {
                arguments -= 1;
                if matches!(program, "gosu" | "su-exec") {
                    self.user = Some(text);
                }
                at += 1;
                continue;
            }
            break;
        }
        self.words.drain(..at.min(self.words.len()));
        // The words that follow come from the input.
        if program == "xargs" && !self.words.is_empty() {
            self.words.push(Word { text: "$@".into(), literal: false });
        }
    }

    /// The place of the first word from `from` on that is not an option.
    pub(crate) fn after_options(&self, from: usize, valued: &[&str]) -> usize {
        let mut at = from;
        while let Some(word) = self.words.get(at).filter(|word| word.is_option()) {
            if word.text == "--" {
                return at + 1;
            }
            at += if valued.contains(&word.text.as_str()) { 2 } else { 1 };
        }
        at
    }

    /// Reads the call of a shell: its text is after `-c`, in a heredoc, or in a file.
    fn shell(mut self, document: Option<String>) -> StartedProgram {
        let mut at = 1;
        while let Some(word) =
            self.words.get(at).filter(|word| word.text.starts_with(['-', '+']) && word.text.len() > 1)
        {
            let letters = word.text.trim_start_matches(['-', '+']);
            let long = word.text.starts_with("--");
            if !long && letters.contains('c') && word.text.starts_with('-') {
                // Options may follow: `bash -c -e 'text'`.
                let text = self.words[at + 1..].iter().find(|word| !word.is_option()).map(|word| word.text.clone());
                return match text {
                    Some(text) => StartedProgram::Text { text, command: self },
                    None => StartedProgram::Command(self),
                };
            }
            // `-o pipefail`, `--rcfile FILE`
            let valued = !long && letters.ends_with(['o', 'O']) || matches!(letters, "rcfile" | "init-file");
            at += if valued { 2 } else { 1 };
        }
        match (self.words.get(at), document) {
            // `sh ./gradlew build`: a wrapper script whose file is not executable.
            (Some(script), _)
                if ["gradlew", "mvnw"].iter().any(|name| script.text.rsplit('/').next() == Some(name)) =>
            {
                self.words.drain(..at);
                StartedProgram::Command(self)
            }
            (None, Some(text)) => {
                self.document = false;
                StartedProgram::Text { text, command: self }
            }
            _ => StartedProgram::Command(self),
        }
    }

    /// The command in `su user -c text` or `runuser -u user -- command`, or what remains without one.
    fn switched(mut self) -> Result<StartedProgram, Box<Self>> {
        let position = |names: &[&str]| self.words.iter().position(|word| names.contains(&word.text.as_str()));
        if let Some(at) = position(&["-c", "--command"])
            && let Some(text) = self.words.get(at + 1).map(|word| word.text.clone())
        {
            let named = self.words[1..].iter().find(|word| !word.is_option() && word.text != "-" && word.text != text);
            self.user = named.map(|word| word.text.clone());
            return Ok(StartedProgram::Text { text, command: self });
        }
        if let Some(at) = position(&["-u", "--user"]) {
            self.user = self.words.get(at + 1).map(|word| word.text.clone());
            let skip = self.after_options(1, &["-u", "--user", "-g", "--group"]);
            self.words.drain(..skip);
            return Err(Box::new(self));
        }
        Ok(StartedProgram::Command(self))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
