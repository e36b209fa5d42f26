//! Rules about variables that are used but not declared.

use super::triggers::Stage;
use super::{Linter, Pass, Rule, Stop};
use crate::{Expander, Instruction, Kind, PREDEFINED, Text, Word, closest, mount};
use std::collections::{BTreeMap, BTreeSet};

/// The variables that official images set. If the base image is not known, these are not reported as undefined.
const OFTEN_SET: [&str; 31] = [
    "PATH",
    "HOME",
    "GOPATH",
    "GOROOT",
    "GOLANG_VERSION",
    "GOTOOLCHAIN",
    "NODE_VERSION",
    "YARN_VERSION",
    "PYTHON_VERSION",
    "PYTHON_PIP_VERSION",
    "PYTHON_SHA256",
    "LANG",
    "LC_ALL",
    "JAVA_HOME",
    "JAVA_VERSION",
    "MAVEN_HOME",
    "GRADLE_HOME",
    "RUBY_VERSION",
    "GEM_HOME",
    "BUNDLE_APP_CONFIG",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUST_VERSION",
    "PHP_INI_DIR",
    "PHP_VERSION",
    "NGINX_VERSION",
    "PG_MAJOR",
    "PGDATA",
    "CATALINA_HOME",
    "DOTNET_VERSION",
    "ASPNET_VERSION",
];

/// The build arguments that steps do not see.
const UNSEEN: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// The variables that are set at a point of a stage.
#[derive(Clone, Default)]
struct Known {
    values: BTreeMap<Text, String>,
    /// The arguments that are declared and have no value.
    declared: BTreeSet<Text>,
    /// Whether the variables of the base image are known.
    base_known: bool,
    /// Whether this stage, or a stage that it is based on, has a WORKDIR.
    workdir_set: bool,
}

/// The arguments above the first FROM.
struct Globals {
    values: BTreeMap<Text, String>,
    declared: BTreeSet<Text>,
    /// The values without build arguments. `None` if a default cannot be expanded.
    defaults: Option<BTreeMap<Text, String>>,
    /// Whether a value cannot be expanded.
    broken: bool,
}

impl Globals {
    fn of(linter: &Linter<'_>, expander: &Expander) -> Self {
        let mut values: BTreeMap<Text, String> =
            PREDEFINED.iter().map(|name| (Text::from(*name), "linux/amd64".to_owned())).collect();
        let mut declared: BTreeSet<Text> = values.keys().cloned().collect();
        let mut defaults = Some(values.clone());
        let mut broken = false;
        for instruction in &linter.file.instructions {
            let Kind::Arg(arguments) = &instruction.kind else { break };
            for argument in arguments {
                let name = Text::from(&*argument.name.text);
                if let (Some(word), Some(known)) = (&argument.default, &mut defaults) {
                    match expander.word(&word.text, known) {
                        Ok(value) => drop(known.insert(name.clone(), value)),
                        Err(_) => defaults = None,
                    }
                }
                let given = linter.context.build_args.get(&*name).cloned();
                let default = argument.default.as_ref().filter(|_| given.is_none());
                let default = default.map(|word| expander.word(&word.text, &values));
                broken |= matches!(default, Some(Err(_)));
                let value = given.or_else(|| default.map(Result::unwrap_or_default));
                declared.insert(name.clone());
                values.extend(value.map(|value| (name, value)));
            }
        }
        Self { values, declared, defaults, broken }
    }
}

pub(super) fn check(linter: &mut Linter<'_>, stages: &[Stage<'_, '_>]) {
    let expander = Expander::new(linter.file.escape);
    let globals = Globals::of(linter, &expander);
    if let Some(defaults) = &globals.defaults {
        default_bases(linter, &expander, stages, defaults);
    }
    if globals.broken {
        linter.stops_with(Stop::after(Pass::File));
    }
    for stage in stages {
        if !from_words(linter, &expander, stage, &globals) {
            linter.stops(Pass::Stages, stage.from_line);
            break;
        }
    }
    let mut ends: BTreeMap<String, Known> = BTreeMap::new();
    for stage in stages {
        let from = stage.from;
        let base = expander.word(&from.base.text, &globals.values).unwrap_or_default();
        let mut known = match ends.get(&base) {
            Some(end) => end.clone(),
            None => base_image(linter, &base),
        };
        for instruction in stage.instructions() {
            instruction_words(linter, &expander, instruction, &mut known, &globals.values);
        }
        if let Some(name) = &from.name {
            ends.insert(name.to_lowercase(), known);
        }
    }
}

/// Reports a FROM that names no valid image without build arguments, up to the first one that cannot be expanded.
fn default_bases(
    linter: &mut Linter<'_>,
    expander: &Expander,
    stages: &[Stage<'_, '_>],
    defaults: &BTreeMap<Text, String>,
) {
    let mut names = BTreeSet::new();
    for stage in stages {
        let base = &stage.from.base;
        let Ok(expanded) = expander.word(&base.text, defaults) else { return };
        let valid = expanded == "scratch" || (linter.context.is_image_name)(&expanded) || names.contains(&*expanded);
        // BuildKit has one rule for a name that an ARG without a default leaves incomplete and for one that is written wrongly.
        if !valid {
            let text = &base.text;
            let (what, help) = if text.contains('$') {
                let what = format!("without build arguments, FROM {text} does not name a valid image");
                (what, "give the ARG above the first FROM a default".to_owned())
            } else {
                (format!("FROM {text} does not name a valid image"), format!("write {}", text.to_lowercase()))
            };
            linter.find(Rule::InvalidDefaultArgInFrom, stage.from_line, base.span, what, help);
        }
        names.extend(stage.from.name.as_ref().map(|name| name.to_lowercase()));
    }
}

/// Reports the undeclared arguments of a FROM. Returns whether its words can be expanded and have valid values.
fn from_words(linter: &mut Linter<'_>, expander: &Expander, stage: &Stage<'_, '_>, globals: &Globals) -> bool {
    let from = stage.from;
    for word in [Some(&from.base), from.platform.as_ref()].into_iter().flatten() {
        let (expanded, error) = expander.expand_until_error(&word.text, &globals.values);
        for name in expanded.unmatched.into_iter().filter(|name| !globals.declared.contains(&**name)) {
            let known = globals.declared.iter().map(|name| &**name);
            let hint = closest(&name, known).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default();
            linter.find(
                Rule::UndefinedArgInFrom,
                stage.from_line,
                word.span,
                format!("FROM uses {name}, which is not declared by an ARG above the first FROM{hint}"),
                format!("add ARG {name} above the first FROM"),
            );
        }
        let is_platform = !std::ptr::eq(word, &from.base);
        let invalid = is_platform && (linter.context.platform_of)(&expanded.text).is_none();
        if error.is_some() || expanded.text.is_empty() || invalid {
            return false;
        }
    }
    true
}

fn base_image(linter: &Linter<'_>, base: &str) -> Known {
    let mut known = Known { base_known: base == "scratch", ..Known::default() };
    known.values.insert("PATH".into(), "/".into());
    let Some(image) = linter.context.bases.get(base) else { return known };
    known.base_known = true;
    for entry in &image.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        known.values.insert(name.into(), value.into());
    }
    known
}

fn instruction_words(
    linter: &mut Linter<'_>,
    expander: &Expander,
    instruction: &Instruction<'_>,
    known: &mut Known,
    globals: &BTreeMap<Text, String>,
) {
    let mut used: Vec<&Word<'_>> = Vec::new();
    let mut mounts: Vec<Word<'_>> = Vec::new();
    match &instruction.kind {
        Kind::Copy(copy) => {
            used.extend([copy.chown(), copy.chmod(), copy.checksum()].into_iter().flatten());
            // The patterns of `--exclude` are not expanded.
            used.extend(copy.sources().iter().chain([copy.destination()]));
        }
        Kind::Env(pairs) | Kind::Label(pairs) => used.extend(pairs.iter().flat_map(|pair| [&pair.name, &pair.value])),
        Kind::Workdir(word) => {
            workdir(linter, expander, instruction, word, known);
            used.push(word);
        }
        Kind::User(word) | Kind::Stopsignal(word) => used.push(word),
        Kind::Volume(words) => used.extend(words),
        Kind::Run(run) => mounts.extend(run.mounts().flat_map(mount::values)),
        // A default may use the arguments before it in its line, as below.
        Kind::Arg(_) => {}
        // BuildKit expands the ports of EXPOSE by a path of its own, which reports no variables.
        Kind::Expose(_) => {}
        // FROM has rules of its own. The words of the others are not expanded, or only when a container or another build uses them.
        Kind::From(_)
        | Kind::Cmd(_)
        | Kind::Entrypoint(_)
        | Kind::Shell(_)
        | Kind::Healthcheck(_)
        | Kind::Maintainer(_)
        | Kind::Onbuild(_) => {}
    }
    let mut expands = used.into_iter().chain(&mounts).all(|word| report(linter, expander, instruction, word, known));
    if let Kind::Copy(copy) = &instruction.kind {
        // Heredocs come after all words.
        let mut documents = copy.heredocs.iter().filter(|document| document.expand);
        expands = expands
            && documents.all(|document| {
                let word = Word { text: document.text(), span: document.span };
                report(linter, &Expander::heredoc(), instruction, &word, known)
            });
    }
    if !expands {
        linter.stops(Pass::Commands, instruction);
    }
    match &instruction.kind {
        Kind::Env(pairs) => {
            let expand = |word: &Word<'_>| expander.word(&word.text, &known.values).unwrap_or_default();
            let set: Vec<(String, String)> =
                pairs.iter().map(|pair| (expand(&pair.name), expand(&pair.value))).collect();
            known.values.extend(set.into_iter().map(|(name, value)| (name.into(), value)));
        }
        Kind::Arg(arguments) => {
            for argument in arguments {
                let name = &argument.name.text;
                let given = linter.context.build_args.get(&**name).cloned();
                // The default of an argument that the caller sets is not expanded.
                if let Some(word) = argument.default.as_ref().filter(|_| given.is_none() && expands)
                    && !report(linter, expander, instruction, word, known)
                {
                    expands = false;
                    linter.stops(Pass::Commands, instruction);
                }
                let default =
                    argument.default.as_ref().map(|word| expander.word(&word.text, &known.values).unwrap_or_default());
                // An argument may be declared without a value, because the caller can set it.
                known.declared.insert(Text::from(&**name));
                let value = given.or(default).or_else(|| globals.get(&**name).cloned());
                known.values.extend(value.map(|value| (Text::from(&**name), value)));
            }
        }
        _ => {}
    }
}

/// Reports a first WORKDIR that is relative after expansion, unless it begins with variables of an unknown base.
fn workdir(
    linter: &mut Linter<'_>,
    expander: &Expander,
    instruction: &Instruction<'_>,
    word: &Word<'_>,
    known: &mut Known,
) {
    if std::mem::replace(&mut known.workdir_set, true) {
        return;
    }
    let Ok(expanded) = expander.expand(&word.text, &known.values) else { return };
    let of_base = |name: &String| !known.declared.contains(&**name);
    let unknown = !known.base_known && expanded.unmatched.iter().any(of_base);
    if !unknown && !expanded.text.starts_with('/') {
        linter.find(
            Rule::WorkdirRelativePath,
            instruction,
            word.span,
            format!("WORKDIR {} depends on the working directory of the base image", word.text),
            format!("write WORKDIR /{}", word.text.trim_start_matches(['"', '\''])),
        );
    }
}

/// Reports the undefined variables of a word. Returns whether it can be expanded.
fn report(
    linter: &mut Linter<'_>,
    expander: &Expander,
    instruction: &Instruction<'_>,
    word: &Word<'_>,
    known: &Known,
) -> bool {
    if !word.contains(['$', '"', '\'']) {
        return true;
    }
    let (expanded, error) = expander.expand_until_error(&word.text, &known.values);
    for name in expanded.unmatched {
        if (!known.base_known && OFTEN_SET.contains(&&*name))
            || known.declared.contains(&*name)
            || UNSEEN.contains(&&*name)
        {
            continue;
        }
        let names = known.values.keys().map(|name| &**name);
        let hint = closest(&name, names).map(|known| format!(" (did you mean ${known}?)")).unwrap_or_default();
        linter.find(
            Rule::UndefinedVar,
            instruction,
            word.span,
            format!("${name} is not set here{hint}"),
            format!("add ARG {name} or ENV {name}=value above, or write \\${name} for the text itself"),
        );
    }
    error.is_none()
}
