//! Text from outside, as it is shown.

use buildscope_record::{redacted, redacted_in_place};
use buildscope_reports::render::neutralised;

/// Checks that no control character but those of colours is left, and that the second pass changes nothing.
pub(crate) fn shown(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let once = redacted(&text);
    assert_eq!(redacted(&once), once);
    assert_eq!(redacted_in_place(&text).chars().count(), text.chars().count());
    let safe = neutralised(&once);
    assert_eq!(neutralised(&safe), safe);
    let controls = safe.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert!(controls.clone().all(|c| c == '\u{1b}'));
    assert_eq!(controls.count(), safe.matches("\u{1b}[").count());
}
