//! The errors of expansion, and the limits that some of them report.

/// The error of a word that cannot be expanded. Positions are byte offsets in the word.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExpandError {
    /// A quote that is never closed.
    #[error("unexpected end of statement while looking for matching {}", if *quote == '"' { "double-quote" } else { "single-quote" })]
    Unterminated {
        /// The quote character, `'` or `"`.
        quote: char,
        /// The position of the opening quote.
        at: usize,
    },
    /// `${` without `}`.
    #[error("syntax error: missing '}}'")]
    MissingBrace {
        /// The position of the `$`.
        at: usize,
    },
    /// `${name/pattern` without the second `/`.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash {
        /// The position of the `$`.
        at: usize,
    },
    /// A substitution without a name: `${}`, `${:`, `${{`.
    #[error("syntax error: bad substitution")]
    BadSubstitution {
        /// The position of the `$`.
        at: usize,
    },
    /// A modifier that does not exist.
    #[error("unsupported modifier ({modifier}) in substitution")]
    UnsupportedModifier {
        /// The modifier as written.
        modifier: String,
        /// The position of the `$`.
        at: usize,
    },
    /// `${name?message}` if `name` is not set.
    #[error("{name}: {message}")]
    Required {
        /// The name of the variable.
        name: String,
        /// The message in the Dockerfile.
        message: String,
        /// The position of the `$`.
        at: usize,
    },
    /// A pattern with an unknown escape.
    #[error("invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'")]
    BadPattern {
        /// The pattern as written.
        pattern: String,
        /// The escaped character, or nothing if the pattern ends with the backslash.
        escaped: String,
        /// The position of the `$`.
        at: usize,
    },
    /// Substitutions that are nested more than [`MAX_DEPTH`] deep.
    #[error("substitutions are nested too deeply (more than {MAX_DEPTH})")]
    TooDeep {
        /// The position of the `$`.
        at: usize,
    },
    /// A result of more than [`MAX_LENGTH`] bytes.
    #[error("the result is too long (more than {} KiB)", MAX_LENGTH >> 10)]
    TooLong {
        /// The position of the `$`.
        at: usize,
    },
    /// A pattern that would take more than [`MAX_WORK`] comparisons.
    #[error("the pattern takes too long for a value of {length} bytes")]
    TooMuchWork {
        /// The length of the value in bytes.
        length: usize,
        /// The position of the `$`.
        at: usize,
    },
}

/// The maximum length of an expanded word in bytes. Linux limits one environment variable to 128 KiB (execve(2)). Variables
/// that contain others can double in every line, so some limit is needed.
pub const MAX_LENGTH: usize = 1 << 20;

/// The maximum number of comparisons of one pattern, its length times the length of the value. They take about 0.1 s.
pub const MAX_WORK: usize = 1 << 26;

/// The maximum nesting of `${a:-${b:-...}}`. It bounds the stack, and no handwritten file comes near it.
pub const MAX_DEPTH: usize = 100;

impl ExpandError {
    /// Returns the position of the error: a byte offset in the word.
    pub fn at(&self) -> usize {
        match self {
            Self::Unterminated { at, .. }
            | Self::MissingBrace { at }
            | Self::MissingSlash { at }
            | Self::BadSubstitution { at }
            | Self::UnsupportedModifier { at, .. }
            | Self::Required { at, .. }
            | Self::BadPattern { at, .. }
            | Self::TooDeep { at }
            | Self::TooLong { at }
            | Self::TooMuchWork { at, .. } => *at,
        }
    }

    /// Returns advice on what to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::Unterminated { quote, .. } => format!("close it with {quote} or escape it with a backslash"),
            Self::MissingBrace { .. } => "close the substitution: `${name}`".into(),
            Self::MissingSlash { .. } => "write a replacement as `${name/pattern/replacement}`".into(),
            Self::BadSubstitution { .. } => "write a name after `${`, or `\\$` for a dollar sign".into(),
            Self::UnsupportedModifier { .. } => {
                "use one of the modifiers `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` and `//`".into()
            }
            Self::Required { name, .. } => {
                format!("set it: `--build-arg {name}=...`, or an ARG or ENV before this line")
            }
            Self::BadPattern { .. } => "in a pattern only `*`, `?`, `\\`, `/` and `}` may be escaped".into(),
            Self::TooDeep { .. } => "use ARG or ENV for the inner values".into(),
            Self::TooLong { .. } => "write long texts to a file, for example by a heredoc".into(),
            Self::TooMuchWork { .. } => "use a shorter pattern, or change the value in a RUN".into(),
        }
    }
}
