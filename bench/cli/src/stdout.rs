//! Standard output, where results go.

use std::io::Write as _;

/// Writes a command's result. A closed pipe (`| head`) is not an error, and there is no better place to report another
/// failure of standard output.
pub(super) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
