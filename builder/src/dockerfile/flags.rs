//! The `--flags` of an instruction.

use super::{Diagnostic, Node, Word};

/// What a flag takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    /// `--name=value`, once.
    Value,
    /// `--name=value`, any number of times.
    Values,
    /// `--name`, `--name=true`, `--name=false`.
    Switch,
}

/// The flags of one instruction, checked against what it knows.
pub(super) struct Flags {
    found: Vec<(&'static str, Word)>,
}

impl Flags {
    /// Reads the flags; every fault is reported.
    pub(super) fn read(node: &Node, known: &[(&'static str, Takes)], faults: &mut Vec<Diagnostic>) -> Self {
        let mut found: Vec<(&'static str, Word)> = Vec::new();
        for flag in &node.flags {
            let text = flag.text.strip_prefix("--").unwrap_or(&flag.text);
            let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let Some(&(name, takes)) = known.iter().find(|(known, _)| *known == name) else {
                let keyword = node.keyword.to_ascii_uppercase();
                let mut fault = Diagnostic::new(flag.span, format!("unknown flag: --{name}"))
                    .label(format!("{keyword} has no such flag"))
                    .did_you_mean(name, known.iter().map(|(name, _)| *name));
                if fault.help.is_none() {
                    fault = fault.help(match known {
                        [] => format!("{keyword} takes no flags; write `--` before a word that begins with two dashes"),
                        known => format!(
                            "{keyword} takes {}",
                            known.iter().map(|(name, _)| format!("--{name}")).collect::<Vec<_>>().join(", ")
                        ),
                    });
                }
                faults.push(fault);
                continue;
            };
            if takes != Takes::Values && found.iter().any(|(other, _)| *other == name) {
                faults.push(
                    Diagnostic::new(flag.span, format!("duplicate flag specified: --{name}"))
                        .label("the second one")
                        .help("remove one of them"),
                );
                continue;
            }
            let value = match (takes, value) {
                (Takes::Switch, None) => "true",
                (Takes::Switch, Some(value)) if value.eq_ignore_ascii_case("true") => "true",
                (Takes::Switch, Some(value)) if value.eq_ignore_ascii_case("false") => "false",
                (Takes::Switch, Some(value)) => {
                    faults.push(
                        Diagnostic::new(flag.span, format!("expecting boolean value for flag --{name}, not: {value}"))
                            .label("neither true nor false")
                            .help(format!("write --{name} or --{name}=false")),
                    );
                    continue;
                }
                (_, Some(value)) => value,
                (_, None) => {
                    faults.push(
                        Diagnostic::new(flag.span, format!("missing a value on flag: --{name}"))
                            .label("no value")
                            .help(format!("write --{name}=value")),
                    );
                    continue;
                }
            };
            found.push((name, Word { text: value.into(), span: flag.span }));
        }
        Self { found }
    }

    /// The value of a flag that is given once.
    pub(super) fn value(&mut self, name: &str) -> Option<Word> {
        let at = self.found.iter().position(|(found, _)| *found == name)?;
        Some(self.found.remove(at).1)
    }

    /// The values of a flag that may be given often.
    pub(super) fn values(&mut self, name: &str) -> Vec<Word> {
        if self.found.is_empty() {
            return Vec::new();
        }
        self.found.extract_if(.., |(found, _)| *found == name).map(|(_, word)| word).collect()
    }

    /// The state of a switch, if it is given.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        self.value(name).map(|word| word.text == "true")
    }
}
