//! The names of the instructions.

/// A Dockerfile instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Keyword {
    /// `ADD`
    Add,
    /// `ARG`
    Arg,
    /// `CMD`
    Cmd,
    /// `COPY`
    Copy,
    /// `ENTRYPOINT`
    Entrypoint,
    /// `ENV`
    Env,
    /// `EXPOSE`
    Expose,
    /// `FROM`
    From,
    /// `HEALTHCHECK`
    Healthcheck,
    /// `LABEL`
    Label,
    /// `MAINTAINER`
    Maintainer,
    /// `ONBUILD`
    Onbuild,
    /// `RUN`
    Run,
    /// `SHELL`
    Shell,
    /// `STOPSIGNAL`
    Stopsignal,
    /// `USER`
    User,
    /// `VOLUME`
    Volume,
    /// `WORKDIR`
    Workdir,
}

impl Keyword {
    /// All keywords.
    pub const ALL: [Self; 18] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::Healthcheck,
        Self::Label,
        Self::Maintainer,
        Self::Onbuild,
        Self::Run,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// Returns the name in upper case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }

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
        for keyword in Keyword::ALL {
            assert_eq!(Keyword::parse(keyword.name()), Some(keyword));
            assert_eq!(Keyword::parse(&keyword.name().to_lowercase()), Some(keyword));
        }
        for other in ["", "R", "RNU", "AND", "COPI", "SHELF", "STOPSIGNAM", "RÜN"] {
            assert_eq!(Keyword::parse(other), None, "{other}");
        }
    }
}
