//! Lowers single instructions: what each does, and how it changes the scope of its stage.

use super::config::ConfigChange;
use super::graph::{CopyFrom, Op};
use super::history::{CreatedBy, quoted_list};
use super::lowering::{Lowered, Lowering};
use super::run::RunLowering;
use super::scope::Scope;
use super::sources::SourceResolver;
use super::words::{expanded, out_of_range, unexpandable};
use super::{arguments, copy, signal};
use buildscope_dockerfile::lint::{Finding, Rule};
use buildscope_dockerfile::{
    self as dockerfile, Argument, Command, Diagnostic, Health, Id, Instruction, Kind, Pair, Ports, Text, Word, clean,
    duration,
};
use buildscope_oci::Healthcheck;
use std::sync::Arc;

impl Lowering<'_> {
    fn word(&mut self, word: &Word<'_>, scope: &Scope) -> Option<String> {
        expanded(&self.context.expander, word, scope, &mut self.diagnostics)
    }

    /// Lowers one instruction of a live stage. Returns `None` if it has errors.
    pub(super) fn instruction(
        &mut self,
        stage: usize,
        instruction: &Instruction<'_>,
        scope: &mut Scope,
    ) -> Option<Lowered> {
        match &instruction.kind {
            Kind::From(_) => None,
            Kind::Arg(arguments) => self.arg(arguments, scope),
            Kind::Env(pairs) => self.env(pairs, scope),
            Kind::Label(pairs) => self.label(pairs, scope),
            Kind::Run(run) => Some(self.run(stage, run, scope)),
            Kind::Copy(copy) => self.copy(stage, copy, instruction.lines, scope),
            Kind::Workdir(word) => self.workdir(word, scope),
            Kind::User(word) => self.user(word, scope),
            Kind::Cmd(command) => Some(cmd(command, scope)),
            Kind::Entrypoint(command) => Some(entrypoint(command, scope)),
            Kind::Shell(words) => Some(shell(words, scope)),
            Kind::Expose(words) => self.expose(words, scope),
            Kind::Volume(words) => self.volume(words, scope),
            Kind::Stopsignal(word) => self.stop_signal(word, scope),
            Kind::Healthcheck(health) => {
                let (check, history) = healthcheck(health);
                scope.config.push(ConfigChange::Healthcheck(check));
                Some(Lowered::config(history))
            }
            Kind::Maintainer(word) => {
                scope.config.push(ConfigChange::Author(word.text.to_string()));
                Some(Lowered::config(format!("MAINTAINER {}", word.text)))
            }
            Kind::Onbuild(onbuild) => {
                scope.config.push(ConfigChange::OnBuild(onbuild.text.clone()));
                // BuildKit writes no history entry for triggers.
                Some(Lowered { op: Op::Config, history: CreatedBy::None, sources: Vec::new() })
            }
        }
    }

    fn env(&mut self, pairs: &[Pair<'_>], scope: &mut Scope) -> Option<Lowered> {
        let pairs = self.pairs(pairs, scope)?;
        let mut history = String::from("ENV");
        for (name, value) in &pairs {
            scope.set_env(name, value);
            history += &format!(" {name}={value}");
        }
        Some(Lowered::config(history))
    }

    fn label(&mut self, pairs: &[Pair<'_>], scope: &mut Scope) -> Option<Lowered> {
        let pairs = self.pairs(pairs, scope)?;
        let history = pairs.iter().fold(String::from("LABEL"), |text, (name, value)| format!("{text} {name}={value}"));
        scope.config.push(ConfigChange::Labels(pairs));
        Some(Lowered::config(history))
    }

    fn run(&mut self, stage: usize, run: &dockerfile::Run<'_>, scope: &Scope) -> Lowered {
        let mut sources = SourceResolver::new(stage, &self.stages, &self.ends);
        let lowering = RunLowering::new(scope, self.context, &mut sources, &mut self.diagnostics);
        let (op, history) = lowering.lower(run);
        Lowered { op: Op::Run(op), history, sources: sources.steps }
    }

    fn copy(&mut self, stage: usize, copy: &dockerfile::Copy<'_>, lines: (u32, u32), scope: &Scope) -> Option<Lowered> {
        let mut sources = SourceResolver::new(stage, &self.stages, &self.ends);
        let from = match copy.from() {
            None => CopyFrom::Context,
            Some(word) => sources.resolve(word, &word.text, &mut self.diagnostics)?,
        };
        let expander = &self.context.expander;
        let mut warnings = Vec::new();
        let (op, history) = copy::lower(copy, from, scope, expander, &mut self.diagnostics, &mut warnings)?;
        let findings = warnings.into_iter().map(|found| Finding::new(Rule::EmptyCopySource, lines, found));
        self.warnings.extend(findings);
        Some(Lowered { op: Op::Copy(op), history, sources: sources.steps })
    }

    fn workdir(&mut self, word: &Word<'_>, scope: &mut Scope) -> Option<Lowered> {
        let path = self.word(word, scope)?;
        scope.workdir = workdir(&scope.workdir, &path);
        scope.config.push(ConfigChange::WorkingDir(scope.workdir.clone()));
        let history = CreatedBy::Text(format!("WORKDIR {}", scope.workdir).into());
        // The root directory always exists.
        let op = match &*scope.workdir {
            "/" => Op::Config,
            path => Op::Workdir { path: clean(path), user: scope.user.clone() },
        };
        Some(Lowered { op, history, sources: Vec::new() })
    }

    fn user(&mut self, word: &Word<'_>, scope: &mut Scope) -> Option<Lowered> {
        let user = self.word(word, scope)?;
        if let Err(error) = Id::check_owner(&user) {
            self.diagnostics.push(out_of_range(word, "user", &user, &error));
            return None;
        }
        scope.user.clone_from(&user);
        let history = format!("USER {user}");
        scope.config.push(ConfigChange::User(user));
        Some(Lowered::config(history))
    }

    fn volume(&mut self, words: &[Word<'_>], scope: &mut Scope) -> Option<Lowered> {
        let mut paths = Vec::with_capacity(words.len());
        for word in words {
            let path = self.word(word, scope)?;
            if path.is_empty() {
                self.blank(word, "VOLUME");
                return None;
            }
            paths.push(path);
        }
        let history = format!("VOLUME [{}]", paths.join(" "));
        scope.config.push(ConfigChange::Volumes(paths));
        Some(Lowered::config(history))
    }

    fn stop_signal(&mut self, word: &Word<'_>, scope: &mut Scope) -> Option<Lowered> {
        let name = self.word(word, scope)?;
        if !signal::is_signal(&name) {
            let names: Vec<String> = signal::names().collect();
            self.diagnostics.push(
                Diagnostic::new(word.span, format!("Invalid signal: {name}"))
                    .label("not a signal")
                    .help("write a name such as SIGTERM, or a number")
                    .did_you_mean(&name, names.iter().map(String::as_str)),
            );
            return None;
        }
        let history = format!("STOPSIGNAL {name}");
        scope.config.push(ConfigChange::StopSignal(name));
        Some(Lowered::config(history))
    }

    fn arg(&mut self, arguments: &[Argument<'_>], scope: &mut Scope) -> Option<Lowered> {
        let mut history = String::from("ARG");
        for argument in arguments {
            let name = &*argument.name.text;
            let value = match (self.context.request.build_args.get(name), &argument.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.word(default, scope)?),
                (None, None) => self.context.globals.get(name).cloned(),
            };
            if let Some(value) = &value
                && !arguments::UNSEEN.contains(&name)
            {
                scope.set_argument(name, value);
            }
            scope.declared.push(Text::from(&*argument.name.text));
            history.push(' ');
            history += name;
            if let Some(value) = value {
                history.push('=');
                history += &value;
            }
        }
        Some(Lowered::config(history))
    }

    /// Expands names and values with the variables that are set before the instruction.
    fn pairs(&mut self, pairs: &[Pair<'_>], scope: &Scope) -> Option<Vec<(String, String)>> {
        let mut expanded = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let name = self.word(&pair.name, scope);
            let value = self.word(&pair.value, scope);
            let name = name?;
            if name.is_empty() {
                self.blank(&pair.name, "a name");
                return None;
            }
            expanded.push((name, value?));
        }
        Some(expanded)
    }

    fn expose(&mut self, words: &[Word<'_>], scope: &mut Scope) -> Option<Lowered> {
        let mut sorted: Vec<&Word<'_>> = words.iter().collect();
        // BuildKit sorts the words before it expands them, and its history shows them in this order.
        sorted.sort_by(|a, b| a.text.cmp(&b.text));
        let mut ports = Vec::new();
        for word in sorted {
            let specs = match self.context.expander.words(&word.text, scope) {
                Ok(specs) => specs,
                Err(error) => {
                    self.diagnostics.push(unexpandable(word, &error));
                    return None;
                }
            };
            for spec in specs {
                match Ports::parse(&spec) {
                    Ok(found) => ports.push(found),
                    Err(error) => {
                        self.diagnostics.push(
                            Diagnostic::new(word.span, error)
                                .label("invalid port")
                                .help("write EXPOSE 80, 53/udp or 7000-7003"),
                        );
                        return None;
                    }
                }
            }
        }
        let ports: Arc<[Ports]> = ports.into();
        scope.config.push(ConfigChange::Expose(Arc::clone(&ports)));
        Some(Lowered { op: Op::Config, history: CreatedBy::Expose(ports), sources: Vec::new() })
    }

    fn blank(&mut self, word: &Word<'_>, what: &str) {
        self.diagnostics.push(
            Diagnostic::new(word.span, format!("{what} can not be an empty string"))
                .label("expands to nothing")
                .help("set the variable before this line, or give a default: ${NAME:-value}"),
        );
    }
}

/// Resolves a path relative to a directory.
pub(super) fn join(directory: &str, path: &str) -> String {
    clean(&if path.starts_with('/') { path.to_owned() } else { format!("/{directory}/{path}") })
}

/// Returns the working directory after a WORKDIR, as BuildKit does: an absolute path is kept as written, a relative one
/// is joined and cleaned, and an empty one changes nothing.
pub(super) fn workdir(current: &str, path: &str) -> String {
    match path {
        "" => current.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => join(current, path),
    }
}

/// Returns the program and its arguments. For the shell form, the program is the shell.
fn words(command: &Command<'_>, scope: &Scope) -> Vec<String> {
    match command {
        Command::Exec(words) => words.iter().map(|word| word.text.to_string()).collect(),
        Command::Shell(word) => scope.with_shell(&word.text),
    }
}

fn cmd(command: &Command<'_>, scope: &mut Scope) -> Lowered {
    let args = words(command, scope);
    let history = format!("CMD {}", quoted_list(&args));
    scope.cmd_set = true;
    scope.config.push(ConfigChange::Cmd(args));
    Lowered::config(history)
}

fn entrypoint(command: &Command<'_>, scope: &mut Scope) -> Lowered {
    let args = words(command, scope);
    let history = format!("ENTRYPOINT {}", quoted_list(&args));
    scope.config.push(ConfigChange::Entrypoint(args, !scope.cmd_set));
    Lowered::config(history)
}

fn shell(words: &[Word<'_>], scope: &mut Scope) -> Lowered {
    let args: Vec<String> = words.iter().map(|word| word.text.to_string()).collect();
    let history = format!("SHELL [{}]", args.join(" "));
    scope.shell = Some(args.clone().into());
    scope.config.push(ConfigChange::Shell(args));
    Lowered::config(history)
}

fn healthcheck(health: &Health<'_>) -> (Healthcheck, String) {
    let (test, times, retries) = match health {
        Health::None => (vec!["NONE".to_owned()], [std::time::Duration::ZERO; 4], 0),
        Health::Command { command, interval, timeout, start_period, start_interval, retries } => {
            let test = match command {
                Command::Shell(word) => vec!["CMD-SHELL".to_owned(), word.text.to_string()],
                Command::Exec(words) => {
                    std::iter::once("CMD".to_owned()).chain(words.iter().map(|word| word.text.to_string())).collect()
                }
            };
            (test, [*interval, *timeout, *start_period, *start_interval], *retries)
        }
    };
    let shown = times.map(duration::show);
    let history = format!(
        "HEALTHCHECK {{Test:[{}] Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{retries}}}",
        test.join(" "),
        shown[0],
        shown[1],
        shown[2],
        shown[3]
    );
    let nanos = |time: std::time::Duration| i64::try_from(time.as_nanos()).ok().filter(|nanos| *nanos != 0);
    let check = Healthcheck {
        test,
        interval: nanos(times[0]),
        timeout: nanos(times[1]),
        start_period: nanos(times[2]),
        start_interval: nanos(times[3]),
        retries: (retries != 0).then_some(retries),
    };
    (check, history)
}
