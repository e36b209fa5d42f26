//! What services and programs wrap around a log as a whole: JSON of collectors, recordings of terminals, journals, pages.
//!
//! *Takes* text. *Gives* the lines of the log, each behind its time. *Must never know* how times and names before a line look in other
//! logs.

mod buildbot;
mod cast;
mod collector;
mod cri;
mod entries;
mod journal;
mod page;
mod rubydebug;
mod teamcity;

use super::log::terminal;
use super::marks;
use std::borrow::Cow;

/// The log in a text, without what is wrapped around it.
pub(super) fn unwrapped(text: &str) -> Cow<'_, str> {
    // A recording or a collector may hold what another program had wrapped.
    let mut text = Cow::Borrowed(text);
    for _ in 0..3 {
        let Some(inner) = once(&text) else { break };
        text = Cow::Owned(inner);
    }
    text
}

fn once(text: &str) -> Option<String> {
    let forms: [fn(&str) -> Option<String>; 8] = [
        cast::lines,
        journal::lines,
        page::lines,
        teamcity::lines,
        rubydebug::lines,
        cri::lines,
        collector::lines,
        buildbot::lines,
    ];
    forms.into_iter().find_map(|form| form(text))
}

/// How many lines of a text only builders write.
fn count_marks(text: &str) -> usize {
    text.lines().filter(|line| marks::find(&terminal::plain(line)).is_some()).count()
}
