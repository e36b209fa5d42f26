//! The `--flags` of an instruction.

use super::{Diagnostic, Node, Word};

/// The kind of value that a flag takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    /// `--name=value`, once.
    Value,
    /// `--name=value`, any number of times.
    Values,
    /// `--name`, `--name=true`, `--name=false`.
    Switch,
}

/// The flags of one instruction, checked against those that it knows. Most instructions have no flags, and then this
/// allocates no memory.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Flags<'t>(Box<[(&'static str, Word<'t>)]>);

impl<'t> Flags<'t> {
    /// Reads the flags of an instruction and adds every error to `diagnostics`.
    pub(super) fn read(node: &Node<'t>, known: &[(&'static str, Takes)], diagnostics: &mut Vec<Diagnostic>) -> Self {
        if node.flags.is_empty() {
            return Self::default();
        }
        let mut found: Vec<(&'static str, Word<'t>)> = Vec::with_capacity(node.flags.len());
        for flag in &node.flags {
            let text = flag.text.strip_prefix("--").unwrap_or(&flag.text);
            let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let Some(&(name, takes)) = known.iter().find(|(known, _)| *known == name) else {
                let keyword = node.keyword.to_ascii_uppercase();
                let mut diagnostic = Diagnostic::new(flag.span, format!("unknown flag: --{name}"))
                    .label(format!("{keyword} has no such flag"))
                    .did_you_mean(name, known.iter().map(|(name, _)| *name));
                if diagnostic.help.is_none() {
                    diagnostic = diagnostic.help(match known {
                        [] => format!("{keyword} takes no flags; write `--` before a word that starts with two dashes"),
                        known => format!(
                            "{keyword} takes {}",
                            known.iter().map(|(name, _)| format!("--{name}")).collect::<Vec<_>>().join(", ")
                        ),
                    });
                }
                diagnostics.push(diagnostic);
                continue;
            };
            if takes != Takes::Values && found.iter().any(|(other, _)| *other == name) {
                diagnostics.push(
                    Diagnostic::new(flag.span, format!("duplicate flag specified: --{name}"))
                        .label("the second one")
                        .help("remove one of them"),
                );
                continue;
            }
            let value = match (takes, value) {
                (Takes::Switch, None) => "true".into(),
                (Takes::Switch, Some(value)) if value.eq_ignore_ascii_case("true") => "true".into(),
                (Takes::Switch, Some(value)) if value.eq_ignore_ascii_case("false") => "false".into(),
                (Takes::Switch, Some(value)) => {
                    diagnostics.push(
                        Diagnostic::new(flag.span, format!("expecting boolean value for flag --{name}, not: {value}"))
                            .label("neither true nor false")
                            .help(format!("write --{name} or --{name}=false")),
                    );
                    continue;
                }
                (_, Some(value)) => flag.part(flag.text.len() - value.len(), flag.text.len()),
                (_, None) => {
                    diagnostics.push(
                        Diagnostic::new(flag.span, format!("missing a value on flag: --{name}"))
                            .label("no value")
                            .help(format!("write --{name}=value")),
                    );
                    continue;
                }
            };
            found.push((name, Word { text: value, span: flag.span }));
        }
        Self(found.into())
    }

    /// Returns the value of a flag that may be given once.
    pub(super) fn value(&self, name: &str) -> Option<&Word<'t>> {
        self.values(name).next()
    }

    /// Returns the values of a flag that may be given more than once.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &Word<'t>> {
        self.0.iter().filter(move |(found, _)| *found == name).map(|(_, word)| word)
    }

    /// Returns the state of a switch, if it is given.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.value(name).map(|word| word.text == "true")
    }
}
