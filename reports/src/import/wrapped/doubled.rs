//! Logs in which each line is twice: a terminal and a file at once, two handlers of one logger.

use super::count_marks;

/// How many pairs of lines a log has at least.
const FEWEST: usize = 4;

/// The log with each line once; `None` unless each line is twice, and not one line again and again.
pub(super) fn lines(text: &str) -> Option<String> {
    let all: Vec<&str> = text.lines().collect();
    let pairs: Vec<&[&str]> = all.chunks(2).collect();
    let twice = pairs.iter().all(|pair| matches!(pair, [one, other] if one == other));
    let single = pairs.windows(2).any(|two| two[0][0] != two[1][0]);
    let once = || pairs.iter().map(|pair| format!("{}\n", pair[0])).collect::<String>();
    (pairs.len() >= FEWEST && twice && single).then(once).filter(|text| count_marks(text) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_once() {
        let log = "STEP 1/2: FROM a\nSTEP 2/2: RUN b\nb\n--> 0123456789a\n";
        let doubled: String = log.lines().map(|line| format!("{line}\n{line}\n")).collect();
        assert_eq!(lines(&doubled).as_deref(), Some(log));
        for other in [log, "x\nx\nx\nx\nx\nx\nx\nx\n", "STEP 1/1: RUN b\nSTEP 1/1: RUN b\n", ""] {
            assert_eq!(lines(other), None, "{other}");
        }
    }
}
