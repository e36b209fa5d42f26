//! The lines by which buildah announces its steps.

/// Parses `[2/5] STEP 3/4: COPY b .`, or the form without a stage if there is only one, as (stage, step, steps, text).
pub(crate) fn step(line: &str) -> Option<(u32, u32, u32, &str)> {
    let (stage, rest) = match line.strip_prefix('[') {
        Some(rest) => {
            let (numbers, rest) = rest.split_once("] ")?;
            (numbers.split_once('/')?.0.parse().ok()?, rest)
        }
        None => (1, line),
    };
    let (numbers, text) = rest.strip_prefix("STEP ")?.split_once(':')?;
    let (at, of) = numbers.trim().split_once('/').unwrap_or((numbers, "0"));
    Some((stage, at.trim().parse().ok()?, of.trim().parse().ok()?, text.trim()))
}
