//! One word of a command.

/// A word, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text; expansions stay as written.
    pub text: String,
    /// Whether the command gets exactly this text: it has no expansion.
    pub literal: bool,
}

impl Word {
    /// A word as the shell's grammar gives it, with quotes.
    pub fn of(raw: &str) -> Self {
        let mut text = String::with_capacity(raw.len());
        let (mut literal, mut quote) = (true, None);
        let mut letters = raw.chars().peekable();
        while let Some(letter) = letters.next() {
            match (quote, letter) {
                (None, '\'' | '"') => quote = Some(letter),
                (Some(open), _) if letter == open => quote = None,
                (Some('\''), _) => text.push(letter),
                (None, '\\') => text.extend(letters.next().filter(|next| *next != '\n')),
                (Some(_), '\\') => match letters.peek() {
                    Some('$' | '`' | '"' | '\\') => text.extend(letters.next()),
                    _ => text.push(letter),
                },
                (_, '$' | '`') => {
                    literal = false;
                    text.push(letter);
                }
                (None, '*' | '?' | '[') => {
                    literal = false;
                    text.push(letter);
                }
                (None, '~') if text.is_empty() => {
                    literal = false;
                    text.push(letter);
                }
                _ => text.push(letter),
            }
        }
        Self { text, literal }
    }

    /// A word that is taken as it is.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), literal: true }
    }

    /// Whether the word is an option.
    pub(crate) fn is_option(&self) -> bool {
        self.text.len() > 1 && self.text.starts_with('-')
    }
}
