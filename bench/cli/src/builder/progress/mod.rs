//! The progress of a running build on standard error.
//!
//! *Takes* the builder's events. *Gives* lines: live ones on a terminal, BuildKit's plain format, or its raw JSON, so
//! that tools for BuildKit's output also read ours.

mod critical;
mod mode;
mod moved;
mod names;
mod plain;
mod rawjson;
mod tty;

pub(crate) use mode::ProgressMode;

use crate::builds::Expected;
use buildscope_builder::engine::Progress;
use buildscope_builder::plan::Plan;
use std::sync::Arc;

/// The view for a mode. [`ProgressMode::Auto`] must have been resolved before. `expected` is called if the view shows how
/// long earlier builds took.
pub(super) fn view(mode: ProgressMode, expected: impl FnOnce() -> Option<Expected>) -> Arc<dyn Progress> {
    match mode {
        ProgressMode::Tty => Arc::new(tty::Tty::new(expected())),
        ProgressMode::Plain | ProgressMode::Auto => Arc::new(plain::Plain::new(std::io::stderr())),
        ProgressMode::Rawjson => Arc::new(rawjson::RawJson::new(std::io::stderr())),
        ProgressMode::Quiet => Arc::new(()),
    }
}

/// The part of a line that a terminal shows after all carriage returns: the last state of a progress bar.
fn last_state(line: &str) -> &str {
    line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default()
}

/// The warnings about the request, one line each.
fn warnings(plan: &Plan) -> impl Iterator<Item = String> {
    plan.warnings.iter().map(|warning| format!("warning: {}", warning.in_one_line()))
}
