//! The shell line of a RUN as commands.

/// The commands of a RUN's shell line, separated by `&&`, `;`, `|` and `||`.
pub(super) fn commands(text: &str) -> impl Iterator<Item = &str> {
    let line = text.split_once(' ').map_or("", |(_, rest)| rest);
    // The flags of RUN come before its first command.
    line.split(['&', ';', '|']).map(|command| {
        let words = command.trim();
        let flags = words.split_whitespace().take_while(|word| word.starts_with("--"));
        let skipped = flags.last().and_then(|last| words.find(last).map(|at| at + last.len())).unwrap_or(0);
        words[skipped..].trim_start()
    })
}

/// Prefixes of commands that clean up after an install. They belong in the layer of the install.
pub(super) const CLEANING: [&str; 6] =
    ["rm ", "apt-get clean", "apt-get autoremove", "npm cache", "pip cache", "yarn cache"];

/// The commands of a RUN of the plain form `a && b && c` without flags. `None` for any other form.
pub(super) fn chain(text: &str) -> Option<Vec<&str>> {
    let line = text.strip_prefix("RUN ")?.trim();
    let plain = !line.starts_with("--")
        && !line.starts_with('[')
        && !line.contains([';', '|', '\n', '\\', '(', '{', '"', '\'']);
    let parts: Vec<&str> = line.split("&&").map(str::trim).collect();
    (plain && !line.contains("<<") && parts.iter().all(|part| !part.is_empty() && !part.contains('&'))).then_some(parts)
}

/// Several RUNs as one. `None` if they are not plain, or if a directory, a variable or an exit of one would affect the next.
pub(super) fn merged(texts: &[&str]) -> Option<String> {
    let mut commands = Vec::new();
    for text in texts {
        commands.extend(chain(text)?);
    }
    let leaks =
        |command: &&str| ["cd ", "export ", "set ", "exec ", "exit"].iter().any(|begin| command.starts_with(begin));
    (!commands.iter().any(leaks)).then(|| format!("RUN {}", commands.join(" && ")))
}

/// The owner and the paths of a recursive chown.
pub(super) fn chown(text: &str) -> Option<(&str, Vec<&str>)> {
    let command = commands(text).find(|command| command.starts_with("chown "))?;
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let recursive = words
        .iter()
        .any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('R') || *word == "--recursive");
    let mut plain = words.into_iter().filter(|word| !word.starts_with('-'));
    let owner = plain.next().filter(|_| recursive)?;
    Some((owner, plain.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_merged_where_that_changes_nothing() {
        assert_eq!(merged(&["RUN a", "RUN b && c"]).as_deref(), Some("RUN a && b && c"));
        assert_eq!(merged(&["RUN cd /x", "RUN b"]), None);
        assert_eq!(merged(&["RUN a || b", "RUN c"]), None);
        assert_eq!(merged(&["RUN --network=none a", "RUN c"]), None);
    }

    #[test]
    fn a_recursive_chown_is_recognised() {
        assert_eq!(chown("RUN useradd app && chown -R app:app /app /data"), Some(("app:app", vec!["/app", "/data"])));
        assert_eq!(chown("RUN chown app /app"), None);
    }
}
