//! The names of the instructions.

/// Declares each keyword once: its variant and its name.
macro_rules! keywords {
    ($($keyword:ident = $name:literal),+ $(,)?) => {
        /// A Dockerfile instruction.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Keyword {
            $(#[doc = concat!("`", $name, "`")] $keyword,)+
        }

        impl Keyword {
            /// All keywords.
            pub const ALL: &'static [Self] = &[$(Self::$keyword),+];

            /// Returns the name in upper case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$keyword => $name),+ }
            }
        }
    };
}

keywords! {
    Add = "ADD",
    Arg = "ARG",
    Cmd = "CMD",
    Copy = "COPY",
    Entrypoint = "ENTRYPOINT",
    Env = "ENV",
    Expose = "EXPOSE",
    From = "FROM",
    Healthcheck = "HEALTHCHECK",
    Label = "LABEL",
    Maintainer = "MAINTAINER",
    Onbuild = "ONBUILD",
    Run = "RUN",
    Shell = "SHELL",
    Stopsignal = "STOPSIGNAL",
    User = "USER",
    Volume = "VOLUME",
    Workdir = "WORKDIR",
}

impl Keyword {
    /// Returns the keyword with this name, which may be in any case.
    #[inline]
    pub fn parse(word: &str) -> Option<Self> {
        // The length and the first letters leave one candidate.
        let keyword = match (word.len(), word.as_bytes().first()?.to_ascii_uppercase()) {
            (3, b'A') if word.as_bytes()[1].eq_ignore_ascii_case(&b'D') => Self::Add,
            (3, b'A') => Self::Arg,
            (3, b'C') => Self::Cmd,
            (3, b'E') => Self::Env,
            (3, b'R') => Self::Run,
            (4, b'C') => Self::Copy,
            (4, b'F') => Self::From,
            (4, b'U') => Self::User,
            (5, b'L') => Self::Label,
            (5, b'S') => Self::Shell,
            (6, b'E') => Self::Expose,
            (6, b'V') => Self::Volume,
            (7, b'O') => Self::Onbuild,
            (7, b'W') => Self::Workdir,
            (10, b'E') => Self::Entrypoint,
            (10, b'M') => Self::Maintainer,
            (10, b'S') => Self::Stopsignal,
            (11, b'H') => Self::Healthcheck,
            _ => return None,
        };
        keyword.name().eq_ignore_ascii_case(word).then_some(keyword)
    }
}

#[cfg(test)]
mod tests {
    use super::Keyword;

    #[test]
    fn keywords_parse_in_any_case() {
        for &keyword in Keyword::ALL {
            assert_eq!(Keyword::parse(keyword.name()), Some(keyword));
            assert_eq!(Keyword::parse(&keyword.name().to_lowercase()), Some(keyword));
        }
        for other in ["", "R", "RNU", "AND", "COPI", "SHELF", "STOPSIGNAM", "RÜN"] {
            assert_eq!(Keyword::parse(other), None, "{other}");
        }
    }
}
