//! The lines of buildah about its steps.

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

/// The number of stages of the build, by the line that announces a step.
pub(crate) fn stages(line: &str) -> u32 {
    let number = || line.strip_prefix('[')?.split_once(']')?.0.split_once('/')?.1.parse().ok();
    number().unwrap_or(1)
}

/// Whether a line says that the build failed. Versions of buildah and podman write it in upper or lower case.
pub(crate) fn is_error(words: &str) -> bool {
    words.starts_with("Error:") || words.starts_with("error: building at") || words.starts_with("error building")
}

/// A line without the numbers of stage and step before its text.
pub(crate) fn without_numbers(words: &str) -> &str {
    words.trim_start_matches(|c: char| "[]/0123456789 ".contains(c))
}
