//! Constraints on semantic versions, as `semvercmp` reads them: `>= 1.2, < 2 || ~3.1`, `^1.4`, `1.x`, `1.2 - 1.4`.

use semver::{BuildMetadata, Prerelease, Version};

/// Whether a version satisfies a constraint.
///
/// # Errors
/// The version or the constraint is invalid.
pub(crate) fn satisfies(version: &str, constraint: &str) -> Result<bool, String> {
    let Partial { version: given, .. } = Partial::parse(version)
        .filter(|partial| partial.parts > 0)
        .ok_or_else(|| format!("\"{version}\" is not a semantic version"))?;
    let constraint = with_ranges(constraint)?;
    let mut satisfied = false;
    for alternative in constraint.split("||") {
        let bounds = bounds(alternative)?;
        // A prerelease satisfies only constraints that name one themselves.
        let prereleases = bounds.iter().any(|bound| !bound.partial.version.pre.is_empty());
        let eligible = given.pre.is_empty() || prereleases;
        satisfied |= eligible && bounds.iter().all(|bound| bound.allows(&given));
    }
    Ok(satisfied)
}

/// A version whose last parts may be absent or `x`.
struct Partial {
    version: Version,
    /// The number of parts, from 0 to 3.
    parts: usize,
}

impl Partial {
    fn parse(text: &str) -> Option<Partial> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, ""), |(text, build)| (text, build));
        let (numbers, pre) = text.split_once('-').map_or((text, ""), |(numbers, pre)| (numbers, pre));
        let mut values = [0; 3];
        let mut parts = 0;
        let mut wild = false;
        for (index, number) in numbers.split('.').enumerate() {
            let value = values.get_mut(index)?;
            if matches!(number, "x" | "X" | "*") {
                wild = true;
            } else if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
                *value = number.parse().ok()?;
                parts += usize::from(!wild);
            } else {
                return None;
            }
        }
        let [major, minor, patch] = values;
        let mut version = Version::new(major, if parts > 1 { minor } else { 0 }, if parts > 2 { patch } else { 0 });
        if parts == 0 {
            version.major = 0;
        }
        version.pre = Prerelease::new(pre).ok()?;
        version.build = BuildMetadata::new(build).ok()?;
        Some(Partial { version, parts })
    }
}

struct Bound {
    operator: Operator,
    partial: Partial,
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// The operators in the order in which they are tried: longer ones first.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("=", Operator::Equal),
];

/// Rewrites `1.2 - 1.4` as `>=1.2 <=1.4`.
fn with_ranges(constraint: &str) -> Result<String, String> {
    let range = regex::Regex::new(r"([^\s,|]+)\s+-\s+([^\s,|]+)").map_err(|error| error.to_string())?;
    Ok(range.replace_all(constraint, ">=$1 <=$2 ").into_owned())
}

fn bounds(text: &str) -> Result<Vec<Bound>, String> {
    let failed = || format!("\"{}\" is not a constraint on versions", text.trim());
    let mut bounds = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        let partial = Partial::parse("*").ok_or_else(failed)?;
        return Ok(vec![Bound { operator: Operator::Equal, partial }]);
    }
    while !rest.is_empty() {
        let operator = OPERATORS.iter().find(|(written, _)| rest.starts_with(written));
        let (written, operator) = operator.map_or(("", Operator::Equal), |(written, operator)| (*written, *operator));
        rest = rest[written.len()..].trim_start();
        let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
        bounds.push(Bound { operator, partial: Partial::parse(&rest[..end]).ok_or_else(failed)? });
        rest = rest[end..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Ok(bounds)
}

impl Bound {
    fn allows(&self, given: &Version) -> bool {
        let (bound, parts) = (&self.partial.version, self.partial.parts);
        let order = given.cmp_precedence(bound);
        let same_major = parts == 0 || given.major == bound.major;
        let same_minor = parts < 2 || given.minor == bound.minor;
        let tilde = || order.is_ge() && same_major && same_minor;
        match self.operator {
            Operator::Equal if parts < 3 => tilde(),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual if parts < 3 => parts > 0 && !(same_major && same_minor),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater => match parts {
                0 => false,
                1 => given.major > bound.major,
                2 => (given.major, given.minor) > (bound.major, bound.minor),
                _ => order.is_gt(),
            },
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => match parts {
                0 => true,
                1 => given.major <= bound.major,
                2 => (given.major, given.minor) <= (bound.major, bound.minor),
                _ => order.is_le(),
            },
            // `~0.0.0` is any version from 0.0.0.
            Operator::Tilde => order.is_ge() && (parts == 3 && *bound == Version::new(0, 0, 0) || tilde()),
            Operator::Caret => {
                order.is_ge()
                    && match (bound.major, bound.minor) {
                        _ if parts == 0 => true,
                        (major, _) if major > 0 || parts == 1 => given.major == major,
                        (_, minor) if minor > 0 || parts == 2 => given.major == 0 && given.minor == minor,
                        _ => given.major == 0 && given.minor == 0 && given.patch == bound.patch,
                    }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::satisfies;

    /// From the documentation of the reference's library (Masterminds/semver 3): hyphens, wildcards, tilde and caret.
    #[test]
    fn constraints_follow_the_documented_ranges() {
        for (constraint, inside, outside) in [
            ("1.2 - 1.4.5", vec!["1.2.0", "1.4.5"], vec!["1.1.9", "1.4.6"]),
            ("1.2.x", vec!["1.2.0", "1.2.9"], vec!["1.3.0"]),
            (">= 1.2.x", vec!["1.2.0", "2.0.0"], vec!["1.1.9"]),
            ("<= 2.x", vec!["2.9.9"], vec!["3.0.0"]),
            ("*", vec!["1.2.3"], vec!["1.2.3-rc1"]),
            ("~1.2.3", vec!["1.2.3", "1.2.9"], vec!["1.3.0", "1.2.2"]),
            ("~1", vec!["1.9.0"], vec!["2.0.0"]),
            ("^1.2.3", vec!["1.2.3", "1.9.0"], vec!["2.0.0", "1.2.2"]),
            ("^0.2.3", vec!["0.2.9"], vec!["0.3.0"]),
            ("^0.0.3", vec!["0.0.3"], vec!["0.0.4"]),
            ("^0", vec!["0.9.9"], vec!["1.0.0"]),
            (">= 1.0, < 2.0 || >= 3.0, < 4", vec!["1.5.0", "3.5.0"], vec!["2.5.0", "4.0.0"]),
            ("!= 1.x", vec!["2.0.0"], vec!["1.7.0"]),
            (">1.2.3-beta.1", vec!["1.2.3-beta.2"], vec!["1.2.3-alpha"]),
        ] {
            for version in inside {
                assert_eq!(satisfies(version, constraint), Ok(true), "{version} {constraint}");
            }
            for version in outside {
                assert_eq!(satisfies(version, constraint), Ok(false), "{version} {constraint}");
            }
        }
        assert!(satisfies("abc", ">1").is_err());
        assert!(satisfies("1.0.0", "> abc").is_err());
    }
}
