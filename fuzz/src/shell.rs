//! Texts of RUN instructions.

use buildscope_commands::{Script, Surroundings, recognise};
use buildscope_reports::inside;
use std::ops::Range;

/// Checks that commands are at places of the text, whatever their meaning is.
pub(crate) fn shell(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let is_place = |span: &Range<usize>| text.get(span.clone()).is_some();
    if let Some(script) = Script::read(text) {
        assert!(script.elements.iter().all(|element| is_place(&element.span)));
        for command in script.commands() {
            let _ = recognise(command, &Surroundings::default());
        }
    }
    let commands = inside::fuzzing::commands(text);
    assert!(!commands.is_empty() && commands.iter().all(is_place));
}
