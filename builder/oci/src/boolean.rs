//! Booleans in flags, files and addresses of docker's tools.

/// Reads a boolean in one of the forms of Go's `strconv.ParseBool`. `None` if the text has none of these forms.
pub fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
