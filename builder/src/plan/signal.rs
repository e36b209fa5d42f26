//! The signals of STOPSIGNAL, by name or number.

use buildscope_sandbox::signal_names;

/// Returns whether a text is a signal: a number other than zero, or a name with or without `SIG`.
pub(super) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = |prefix: &str, most: u32| {
        name.strip_prefix(prefix).and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| (1..=most).contains(&n))
    };
    signal_names().any(|known| known == name)
        || ["RTMIN", "RTMAX"].contains(&name)
        || realtime("RTMIN+", 15)
        || realtime("RTMAX-", 14)
}

/// Returns the names that can be suggested.
pub(super) fn names() -> impl Iterator<Item = String> {
    signal_names().chain(["RTMIN"]).map(|name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn signals_are_names_or_numbers() {
        assert!(["9", "SIGKILL", "term", "SIGRTMIN+3", "RTMAX-14"].iter().all(|text| is_signal(text)));
        assert!(["0", "SIGNONE", "", "RTMIN+16"].iter().all(|text| !is_signal(text)));
    }
}
