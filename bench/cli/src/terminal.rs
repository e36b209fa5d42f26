//! The size and the colours of text for a stream.

use buildscope_reports::render;
use std::io::IsTerminal;
#[cfg(unix)]
use std::os::fd::AsFd as Stream;
#[cfg(windows)]
use std::os::windows::io::AsHandle as Stream;

/// The style for a stream. The width is COLUMNS or that of the terminal (100 otherwise), and the height LINES or that of the terminal, but
/// at least 24. Colours are used if the terminal has them, or if CLICOLOR_FORCE requests them for a pipe.
pub(super) fn style_of(stream: &(impl IsTerminal + Stream)) -> render::Style {
    let default = render::Style::default();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let terminal = stream.is_terminal();
    let number = |name| variable(name).and_then(|value| value.parse::<usize>().ok()).filter(|&number| number > 0);
    let seen = terminal_size::terminal_size_of(stream).filter(|_| terminal);
    let width = number("COLUMNS").or(seen.map(|(width, _)| width.0.into())).unwrap_or(default.width);
    let height = number("LINES").or(seen.map(|(_, height)| height.0.into())).unwrap_or_default().max(default.height);
    // https://no-color.org and https://bixense.com/clicolors
    let forced = variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let colours = variable("NO_COLOR").is_none() && (terminal || forced);
    render::Style { width, height, colours, ..default }
}
