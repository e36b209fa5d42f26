//! Removes the wrapping of services and programs around a whole log: JSON of collectors, recordings of terminals, journals, pages, mails,
//! broken lines.
//!
//! *Takes* text. *Gives* the lines of the log, each after its time. *Must never know* the forms of times and names before a line in other
//! logs.

mod above;
mod broken;
mod buildbot;
mod cast;
mod collector;
mod columns;
mod cri;
mod doubled;
mod edges;
mod encoded;
mod entries;
mod fields;
mod gitlab;
mod joined;
mod journal;
mod literals;
mod mail;
mod page;
mod pieces;
mod powershell;
mod quoted;
mod rubydebug;
mod suffix;
mod table;
mod teamcity;
mod trailing;
mod xml;
mod yaml;

use super::log::terminal;
use super::marks;
use std::borrow::Cow;

/// Spaces at which no line is broken: pages have them, and browsers write "10:00 AM" with one.
const UNBREAKABLE: [char; 2] = ['\u{a0}', '\u{202f}'];

/// The log in a text, without its wrapping, and with plain spaces.
pub(super) fn unwrapped(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if text.contains(UNBREAKABLE) {
        text = Cow::Owned(text.replace(UNBREAKABLE, " "));
    }
    // A byte order mark in the middle: of a file that was appended, or behind a terminal's sequence.
    if text.contains('\u{feff}') {
        text = Cow::Owned(text.replace('\u{feff}', ""));
    }
    // A comma in the machine-readable output of packer.
    if text.contains("%!(PACKER_COMMA)") {
        text = Cow::Owned(text.replace("%!(PACKER_COMMA)", ","));
    }
    // Carriage returns as line ends of old systems. Otherwise a carriage return starts a line that is drawn again.
    if !text.trim_end().contains('\n') && text.contains('\r') {
        text = Cow::Owned(text.replace('\r', "\n"));
    }
    // A recording or a collector may contain a log that another program had wrapped.
    for _ in 0..4 {
        let Some(inner) = once(&text) else { break };
        text = Cow::Owned(inner);
    }
    text
}

fn once(text: &str) -> Option<String> {
    let forms: [fn(&str) -> Option<String>; 34] = [
        mail::lines,
        powershell::lines,
        xml::lines,
        xml::rows,
        quoted::cdata,
        quoted::percent,
        quoted::cat,
        quoted::literal,
        cast::lines,
        journal::lines,
        page::lines,
        teamcity::lines,
        rubydebug::lines,
        cri::lines,
        gitlab::lines,
        broken::lines,
        suffix::lines,
        fields::lines,
        collector::lines,
        pieces::lines,
        quoted::literals,
        literals::lines,
        yaml::lines,
        table::lines,
        table::headless,
        buildbot::lines,
        edges::lines,
        columns::lines,
        above::lines,
        trailing::lines,
        encoded::lines,
        doubled::lines,
        joined::lines,
        quoted::escaped,
    ];
    forms.into_iter().find_map(|form| form(text))
}

/// The number of lines in a text that only builders write.
fn count_marks(text: &str) -> usize {
    text.lines().filter(|line| marks::find(&terminal::plain(line)).is_some()).count()
}
