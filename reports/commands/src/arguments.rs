//! The arguments of a command as options and plain words.

use crate::word::Word;

/// The arguments of a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments<'w> {
    /// The options by name, with the value of those that have one.
    options: Vec<(&'w str, Option<&'w str>)>,
    /// The other words.
    pub(crate) plain: Vec<&'w Word>,
}

impl<'w> Arguments<'w> {
    /// Reads arguments. Options of `valued` without `=` have their value in the next word.
    pub(crate) fn of(words: &'w [Word], valued: &[&str]) -> Self {
        let mut found = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let text = word.text.as_str();
            if text == "--" {
                found.plain.extend(words);
                break;
            }
            if !word.is_option() {
                found.plain.push(word);
                continue;
            }
            let (name, value) = match text.split_once('=') {
                Some((name, value)) if text.starts_with("--") => (name, Some(value)),
                _ if valued.contains(&text) => (text, words.next().map(|next| next.text.as_str())),
                // `-rfile`, `-C/dir`
                _ => match valued.iter().find(|short| short.len() == 2 && text.starts_with(**short)) {
                    Some(short) => (&text[..short.len()], Some(&text[short.len()..])),
                    None => (text, None),
                },
            };
            found.options.push((name, value));
        }
        found
    }

    /// The first plain word: a subcommand.
    pub(crate) fn action(&self) -> &'w str {
        self.plain.first().map_or("", |word| word.text.as_str())
    }

    /// The plain words after the subcommand.
    pub(crate) fn rest(&self) -> &[&'w Word] {
        self.plain.get(1..).unwrap_or_default()
    }

    /// Whether one of these options is given, and not turned off by its value: `--workspaces=false`.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|(name, value)| names.contains(name) && *value != Some("false"))
    }

    /// Whether one of these options is given, alone or among the letters of a short one: `-qy`.
    pub(crate) fn has_letter(&self, letter: char) -> bool {
        self.options.iter().any(|(name, _)| !name.starts_with("--") && name[1..].contains(letter))
    }

    /// The value of the first of these options that is given.
    pub(crate) fn value(&self, names: &[&str]) -> Option<&'w str> {
        self.options.iter().find(|(name, _)| names.contains(name)).and_then(|(_, value)| *value)
    }

    /// The values of these options.
    pub(crate) fn values(&self, names: &[&str]) -> impl Iterator<Item = &'w str> {
        self.options.iter().filter(|(name, _)| names.contains(name)).filter_map(|(_, value)| *value)
    }
}
