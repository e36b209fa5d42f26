//! The lines by which the classic builder announces its steps.

/// Parses `Step 3/21 : COPY a .`, and `Step 3 : COPY a .` of docker before 1.13.
pub(crate) fn step(line: &str) -> Option<(u32, u32, &str)> {
    let (numbers, text) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (at, of) = numbers.trim().split_once('/').unwrap_or((numbers, "0"));
    Some((at.trim().parse().ok()?, of.trim().parse().ok()?, text.trim()))
}
