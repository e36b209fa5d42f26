//! Standard output, where results go.

use std::io::Write as _;

/// Writes a command's result. Errors are ignored: a closed pipe (`| head`) is not an error, and other failures of
/// standard output cannot be reported anywhere better.
pub(super) fn write_out(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
