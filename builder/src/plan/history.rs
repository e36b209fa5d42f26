//! The `created_by` entries of the image history, as BuildKit writes them.

use super::chain::Chain;
use super::environment::Environment;
use buildscope_dockerfile::{Ports, Text};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The entry of a step in the image history. `to_string` returns the text. It is cheap to clone.
#[derive(Clone, Default, Debug, PartialEq)]
pub enum CreatedBy {
    /// The step has no entry.
    #[default]
    None,
    /// The text of the entry.
    Text(Text),
    /// The entry of an EXPOSE. Ranges of ports are only listed port by port when the text is written.
    Expose(Arc<[Ports]>),
    /// The entry of a RUN, which lists its build arguments before its command.
    Run {
        /// The program and its arguments.
        args: Vec<String>,
        /// The names of the build arguments, in the order of their declaration.
        declared: Chain<Text>,
        /// The environment with the values of the build arguments.
        env: Environment,
    },
}

impl CreatedBy {
    /// Returns whether the step has an entry.
    pub fn is_some(&self) -> bool {
        *self != Self::None
    }
}

impl fmt::Display for CreatedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Expose(ports) => {
                let ports: Vec<String> = ports.iter().flat_map(Ports::each).collect();
                write!(f, "EXPOSE [{}]", ports.join(" "))
            }
            Self::Run { args, declared, env } => {
                f.write_str("RUN ")?;
                let names: indexmap::IndexSet<&Text> = declared.oldest_first().collect();
                if !names.is_empty() {
                    let variables = env.variables();
                    write!(f, "|{} ", names.len())?;
                    for name in names {
                        let value = variables.iter().find(|variable| variable.name == *name);
                        write!(f, "{name}={} ", value.map_or("", |variable| &variable.value))?;
                    }
                }
                write!(f, "{} # buildkit", args.join(" "))
            }
        }
    }
}

/// Formats a list of strings as Go's `%q` does: `["a" "b"]`.
pub(super) fn quoted_list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "))
}

/// Quotes a text as Go's `strconv.Quote` does.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\u{7}' => out += "\\a",
            '\u{8}' => out += "\\b",
            '\u{c}' => out += "\\f",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\u{b}' => out += "\\v",
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
