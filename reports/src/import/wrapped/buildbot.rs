//! Buildbot's logs: the first letter of each line is that of its stream.

use super::super::marks;

/// The log without the letters; `None` if the lines do not begin with them.
pub(super) fn lines(text: &str) -> Option<String> {
    let lines = || text.lines().filter(|line| !line.is_empty());
    if lines().next().is_none() || !lines().all(|line| line.starts_with(['o', 'e', 'h'])) {
        return None;
    }
    let inner: String = lines().map(|line| format!("{}\n", &line[1..])).collect();
    let begun = |text: &str| text.lines().filter(|line| matches!(marks::find(line), Some((0, _)))).count();
    (begun(&inner) > begun(text)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_taken_off_where_builders_lines_are_behind_them() {
        assert_eq!(lines("hdocker build\no#1 [internal] x\no\n").as_deref(), Some("docker build\n#1 [internal] x\n\n"));
        assert_eq!(lines("one\nhello\n"), None);
    }
}
