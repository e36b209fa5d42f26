//! The options of lint, such as `# check=skip=A,B;error=true;experimental=C`.

use super::{Family, Rule};
use crate::{Diagnostic, Dockerfile, Span, closest};
use std::collections::BTreeSet;

/// The choice of rules, and whether findings are errors.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// The rules that are skipped.
    pub skip: BTreeSet<Rule>,
    /// Whether all rules are skipped.
    pub skip_all: bool,
    /// Whether the performance family is skipped.
    pub skip_performance: bool,
    /// Whether findings are errors.
    pub error: bool,
    /// The experimental rules that are applied.
    pub experimental: BTreeSet<Rule>,
}

impl Options {
    /// Parses the value of a `check` directive or of `BUILDKIT_DOCKERFILE_CHECK`.
    ///
    /// # Errors
    /// A sentence for the user that names the unknown option or rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text, true)
    }

    /// Parses options. If not all rules must be known, the others are left out: BuildKit may have them.
    fn read(text: &str, known: bool) -> Result<Self, String> {
        let rule = |name: &str| match rule(name) {
            Err(_) if !known => Ok(None),
            found => found.map(Some),
        };
        let mut options = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| format!("invalid check option {part:?}: write key=value"))?;
            let (key, value) = (key.trim(), value.trim());
            match key {
                "skip" if value == "all" => options.skip_all = true,
                "skip" => {
                    for name in value.split(',').map(str::trim) {
                        match name {
                            "performance" => options.skip_performance = true,
                            name => options.skip.extend(rule(name)?),
                        }
                    }
                }
                "experimental" if value == "all" => {
                    let all = Rule::ALL.iter().filter(|rule| rule.family() == Family::Experimental);
                    options.experimental.extend(all);
                }
                "experimental" => {
                    for name in value.split(',').map(str::trim) {
                        options.experimental.extend(rule(name)?);
                    }
                }
                "error" => {
                    options.error = match value.to_ascii_lowercase().as_str() {
                        "true" | "1" | "t" => true,
                        "false" | "0" | "f" => false,
                        _ => {
                            return Err(format!("invalid check option error={value}: write error=true or error=false"));
                        }
                    }
                }
                key => {
                    let hint = closest(key, ["skip", "error", "experimental"]);
                    return Err(match hint {
                        Some(known) => format!("invalid check option {key:?} (did you mean {known}?)"),
                        None => format!("invalid check option {key:?}: use skip, error or experimental"),
                    });
                }
            }
        }
        Ok(options)
    }

    /// Returns the options of the `check` directive of a file, or the defaults if it has none. Unknown rules have no effect, as with
    /// BuildKit.
    ///
    /// # Errors
    /// An unknown option, at the position of the value.
    pub fn of_file(file: &Dockerfile<'_>) -> Result<Self, Diagnostic> {
        file.directive("check").map_or(Ok(Self::default()), |directive| {
            Self::read(&directive.value, false).map_err(|message| at(directive.value_span, message))
        })
    }

    /// Returns whether a rule is applied.
    pub fn applies(&self, rule: Rule) -> bool {
        !self.skip_all
            && !self.skip.contains(&rule)
            && match rule.family() {
                Family::Buildkit | Family::Build => true,
                Family::Experimental => self.experimental.contains(&rule),
                Family::Performance => !self.skip_performance,
            }
    }

    /// Combines two sets of options. A rule is skipped if either skips it, and an experimental rule is applied if
    /// either applies it.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            skip: self.skip.union(&other.skip).copied().collect(),
            skip_all: self.skip_all || other.skip_all,
            skip_performance: self.skip_performance || other.skip_performance,
            error: self.error || other.error,
            experimental: self.experimental.union(&other.experimental).copied().collect(),
        }
    }
}

fn at(span: Span, message: String) -> Diagnostic {
    Diagnostic::new(span, message).label("in this directive").help("write # check=skip=RuleName,OtherRule;error=true")
}

fn rule(name: &str) -> Result<Rule, String> {
    Rule::parse(name).ok_or_else(|| match closest(name, Rule::ALL.iter().map(|rule| rule.name())) {
        Some(known) => format!("unknown rule {name} (did you mean {known}?)"),
        None => format!("unknown rule {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_rules_are_skipped() {
        let options = Options::parse("skip=JSONArgsRecommended, StageNameCasing; error=true").unwrap();
        assert!(options.error && !options.applies(Rule::StageNameCasing) && options.applies(Rule::UndefinedVar));
        assert!(!Options::parse("skip=performance").unwrap().applies(Rule::RecursiveChown));
    }

    #[test]
    fn experimental_rules_apply_only_on_request() {
        assert!(!Options::default().applies(Rule::CopyIgnoredFile));
        assert!(Options::parse("experimental=all").unwrap().applies(Rule::CopyIgnoredFile));
    }

    #[test]
    fn a_misspelt_name_is_an_error_with_a_suggestion() {
        assert!(Options::parse("skip=StageNameCase").unwrap_err().contains("StageNameCasing"));
        assert!(Options::parse("skipp=all").unwrap_err().contains("skip"));
    }
}
