//! Rules about variables that are used but not declared.

use super::{Linter, Rule};
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

/// The variables that are set at a point of a stage.
#[derive(Clone, Default)]
struct Known {
    values: BTreeMap<Text, String>,
    /// Whether the variables of the base image are known.
    base_known: bool,
    /// Whether this stage, or a stage that it is based on, has a WORKDIR.
    workdir_set: bool,
}

pub(super) fn check(linter: &mut Linter<'_>) {
    let file = linter.file;
    let expander = Expander::new(file.escape);
    let mut globals: BTreeMap<Text, String> =
        PREDEFINED.iter().map(|name| (Text::from(*name), "linux/amd64".to_owned())).collect();
    let mut defaults = globals.clone();
    for instruction in &file.instructions {
        let Kind::Arg(arguments) = &instruction.kind else { break };
        for argument in arguments {
            let name = &argument.name.text;
            let expanded = |with: &BTreeMap<Text, String>| {
                argument.default.as_ref().map(|word| expander.word(&word.text, with).unwrap_or_default())
            };
            let default = expanded(&defaults);
            let value = linter.context.build_args.get(&**name).cloned().or_else(|| expanded(&globals));
            if let Some(default) = default {
                defaults.insert(Text::from(&**name), default);
            }
            globals.insert(Text::from(&**name), value.unwrap_or_default());
        }
    }
    let mut ends: BTreeMap<String, Known> = BTreeMap::new();
    for stage in super::by_stage(file) {
        let Kind::From(from) = &stage[0].kind else { continue };
        for word in [Some(&from.base), from.platform.as_ref()].into_iter().flatten() {
            let Ok(found) = expander.expand(&word.text, &globals) else { continue };
            for name in found.unmatched {
                let known = globals.keys().map(|name| &**name);
                let hint = closest(&name, known).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default();
                linter.find(
                    Rule::UndefinedArgInFrom,
                    &stage[0],
                    word.span,
                    format!("FROM uses {name}, which is not declared by an ARG above the first FROM{hint}"),
                    format!("add ARG {name} above the first FROM"),
                );
            }
        }
        let with_defaults = expander.word(&from.base.text, &defaults).unwrap_or_default();
        let valid = with_defaults == "scratch"
            || (linter.context.is_image_name)(&with_defaults)
            || ends.contains_key(&*with_defaults);
        // BuildKit has one rule for a name that an ARG without a default leaves incomplete and for one that is written wrongly.
        if !valid {
            let base = &from.base.text;
            let (what, help) = if base.contains('$') {
                let what = format!("without build arguments, FROM {base} does not name a valid image");
                (what, "give the ARG above the first FROM a default".to_owned())
            } else {
                (format!("FROM {base} does not name a valid image"), format!("write {}", base.to_lowercase()))
            };
            linter.find(Rule::InvalidDefaultArgInFrom, &stage[0], from.base.span, what, help);
        }
        let base = expander.word(&from.base.text, &globals).unwrap_or_default();
        let mut known = match ends.get(&base) {
            Some(end) => end.clone(),
            None => base_image(linter, &base),
        };
        for instruction in &stage[1..] {
            instruction_words(linter, &expander, instruction, &mut known, &globals);
        }
        if let Some(name) = &from.name {
            ends.insert(name.to_lowercase(), known);
        }
    }
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
    match &instruction.kind {
        Kind::Copy(copy) => {
            used.extend([copy.chown(), copy.chmod(), copy.checksum()].into_iter().flatten());
            used.extend(copy.exclude().chain(copy.sources()).chain([copy.destination()]));
            for document in copy.heredocs.iter().filter(|document| document.expand) {
                let word = Word { text: document.text(), span: document.span };
                report(linter, &Expander::heredoc(), instruction, &word, known);
            }
        }
        Kind::Env(pairs) | Kind::Label(pairs) => used.extend(pairs.iter().flat_map(|pair| [&pair.name, &pair.value])),
        Kind::Workdir(word) => {
            workdir(linter, expander, instruction, word, known);
            used.push(word);
        }
        Kind::User(word) | Kind::Stopsignal(word) => used.push(word),
        Kind::Volume(words) => used.extend(words),
        Kind::Run(run) => {
            for value in run.mounts().flat_map(mount::values) {
                report(linter, expander, instruction, &value, known);
            }
        }
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
    for word in used {
        report(linter, expander, instruction, word, known);
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
                if let Some(word) = argument.default.as_ref().filter(|_| given.is_none()) {
                    report(linter, expander, instruction, word, known);
                }
                let default =
                    argument.default.as_ref().map(|word| expander.word(&word.text, &known.values).unwrap_or_default());
                let value = given.or(default).or_else(|| globals.get(&**name).cloned());
                // An argument may be declared without a value, because the caller can set it.
                known.values.insert(Text::from(&**name), value.unwrap_or_default());
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
    let unknown = !known.base_known && !expanded.unmatched.is_empty();
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

fn report(linter: &mut Linter<'_>, expander: &Expander, instruction: &Instruction<'_>, word: &Word<'_>, known: &Known) {
    if !word.contains('$') {
        return;
    }
    let unmatched = match expander.expand(&word.text, &known.values) {
        Ok(found) => found.unmatched,
        // `${x:?text}` reports the missing variable itself.
        Err(_) => BTreeSet::new(),
    };
    for name in unmatched {
        if !known.base_known && OFTEN_SET.contains(&&*name) {
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
}
