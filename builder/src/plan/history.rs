//! `created_by` of the image's history, as BuildKit writes it.

use super::chain::Chain;
use super::environment::Environment;
use buildscope_dockerfile::{Ports, Text};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// What the history says about a step; `to_string` is the text. Cheap to clone.
#[derive(Clone, Default, Debug, PartialEq)]
pub enum CreatedBy {
    /// Nothing: the step has no entry.
    #[default]
    None,
    /// This.
    Text(Text),
    /// EXPOSE: a range is one word until someone wants to read it.
    Expose(Arc<[Ports]>),
    /// RUN, with the build arguments it saw in front of its command.
    Run {
        /// The command's words.
        args: Vec<String>,
        /// Build arguments, in the order of their declaration.
        declared: Chain<Text>,
        /// Where their values are.
        env: Environment,
    },
}

impl CreatedBy {
    /// Whether the step has an entry.
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

/// Go's `%q` of a list of strings: `["a" "b"]`.
pub(super) fn quoted_list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "))
}

/// Go's `strconv.Quote`.
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
