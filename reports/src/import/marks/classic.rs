//! The lines of the classic builder about its steps.

/// Parses `Step 3/21 : COPY a .`, and `Step 3 : COPY a .` of docker before 1.13.
pub(crate) fn step(line: &str) -> Option<(u32, u32, &str)> {
    let (numbers, text) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (at, of) = numbers.trim().split_once('/').unwrap_or((numbers, "0"));
    Some((at.trim().parse().ok()?, of.trim().parse().ok()?, text.trim()))
}

/// The container that was removed. docker 23 and later has a form of its own.
pub(crate) fn removed(words: &str) -> Option<&str> {
    let forms = ["Removing intermediate container ", "---> Removed intermediate container "];
    forms.iter().find_map(|form| words.strip_prefix(form)).map(str::trim)
}

/// Whether a line says that the base image's ONBUILD instructions are executed next.
pub(crate) fn triggers(words: &str) -> bool {
    words.strip_prefix("# Executing ").is_some_and(|rest| rest.contains(" build trigger"))
}

/// Whether a line says that the build failed.
pub(crate) fn fails(words: &str) -> bool {
    words.contains("returned a non-zero code:")
        || ["COPY failed:", "ADD failed:", "Error response from daemon:", "pull access denied", "manifest for "]
            .iter()
            .any(|start| words.starts_with(start))
}
