//! Standard output and files, where results go, and standard error, where messages go.
//!
//! Text may quote what comes from outside: logs, names, lines of a Dockerfile. Text for people is
//! [neutralised](render::neutralised), also in a pipe, whose end is often a terminal. In JSON documents, control characters are
//! written as JSON escapes, which changes no string. Credentials in addresses are left out everywhere.

use crate::Failure;
use crate::terminal::style_of;
use buildscope_record::{escaped_json, redacted};
use buildscope_reports::render;
use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

/// The first error of writing a result.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Writes a result for people. [`finish`] reports an error.
pub(super) fn write_text(text: &str) {
    write_out(&shown(text));
}

/// Writes a command's result, which may be a document for programs. [`finish`] reports an error.
pub(super) fn write_out(text: &str) {
    print(&document(text));
}

fn print(text: &str) {
    let text = if io::stdout().is_terminal() { render::neutralised(text) } else { Cow::Borrowed(text) };
    note(io::stdout().write_all(text.as_bytes()));
}

/// A document without credentials. JSON has escapes for C0 controls (RFC 8259, 7), so a text with some is for people, in colours.
fn document(text: &str) -> Cow<'_, str> {
    fn safe(text: &str) -> Cow<'_, str> {
        let acts = |c: char| c.is_ascii_control() && !matches!(c, '\n' | '\t');
        if text.contains(acts) { render::neutralised(text) } else { escaped_json(text) }
    }
    match redacted(text) {
        Cow::Borrowed(text) => safe(text),
        Cow::Owned(text) => Cow::Owned(safe(&text).into_owned()),
    }
}

/// Whether a path names standard output: `-`, as for other programs. `./-` is a file.
pub(super) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// The file that a result goes to; `None` is standard output, which `-` names, too.
pub(super) fn file_of_result(file: Option<&Path>) -> Option<&Path> {
    file.filter(|path| !is_stdout(path))
}

/// The flag whose file is standard output, if there is one. That file takes the place of what the command prints otherwise.
///
/// # Errors
/// If several flags name standard output.
pub(super) fn flag_of_stdout<'f>(
    files: impl IntoIterator<Item = (&'static str, Option<&'f Path>)>,
) -> Result<Option<&'static str>, Failure> {
    let flags = files.into_iter().filter(|(_, path)| path.is_some_and(is_stdout)).map(|(flag, _)| flag);
    match flags.collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [flag] => Ok(Some(flag)),
        ref several => Err(Failure::usage(miette!(
            help = "give a file (`./-` for one of this name) to all but one",
            "{} -: only one of them can go to standard output",
            several.join(" - ")
        ))),
    }
}

/// The style for a command's result: that of standard output, or the default for a file.
pub(super) fn style_of_result(file: Option<&Path>) -> render::Style {
    match file_of_result(file) {
        Some(_) => render::Style::default(),
        None => style_of(&io::stdout()),
    }
}

/// A text for people with lines that fit the terminal. A pipe gets them whole.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    let width = style_of(&io::stdout()).width;
    if io::stdout().is_terminal() { render::text::folded(text, width).into() } else { text.into() }
}

/// Writes a help text or the version, with the colours of a terminal.
pub(super) fn write_help(help: &clap::Error) {
    note(help.print());
}

/// Writes why a command line is invalid, and returns the exit code. The message quotes the command line, which a script may have
/// put together from other texts.
pub(super) fn report_usage(error: &clap::Error) -> ExitCode {
    let text = error.render();
    let coloured = style_of(&io::stderr()).colours;
    let text = if coloured { text.ansi().to_string() } else { text.to_string() };
    write_message(text.trim_end());
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Writes a command's result to a file, or to standard output.
pub(super) fn write_result(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    match file_of_result(file) {
        Some(path) => write_file(path, document(text).as_bytes()),
        None => {
            write_out(text);
            Ok(())
        }
    }
}

/// Writes a text that another program reads, as it is, to a file or to standard output.
pub(super) fn write_exact(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    match file_of_result(file) {
        Some(path) => write_file(path, text),
        None => {
            print(text);
            Ok(())
        }
    }
}

/// Writes a file that the user named.
pub(super) fn write_file(path: &Path, text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let written = write_whole(path, |mut file| file.write_all(text.as_ref()));
    written.into_diagnostic().wrap_err_with(|| format!("cannot write {}", path.display())).map_err(Failure::Usage)
}

/// Creates a file and calls `write` with it. A file that cannot be written whole, on a full disk for example, is removed. A link
/// stays: `/dev/stdout` is one.
pub(super) fn write_whole<E: From<io::Error>>(path: &Path, write: impl FnOnce(File) -> Result<(), E>) -> Result<(), E> {
    let written = write(File::create(path)?);
    // A pipe, a device or a link stays.
    if written.is_err() && fs::symlink_metadata(path).is_ok_and(|file| file.is_file()) {
        let _ = fs::remove_file(path);
    }
    written
}

/// Writes a message to standard error, and ends the line.
pub(super) fn write_message(text: &str) {
    let text = shown(text);
    // There is nowhere to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Text for people, which is often shown on a terminal, now or later.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    match redacted(text) {
        Cow::Borrowed(text) => render::neutralised(text),
        Cow::Owned(text) => Cow::Owned(render::neutralised(&text).into_owned()),
    }
}

/// Writes what is still buffered.
///
/// # Errors
/// If a result could not be written whole: a full disk, for example. A closed pipe (`| head`) is not an error.
pub(super) fn finish() -> Result<(), Failure> {
    note(io::stdout().flush());
    match FAILED.get() {
        Some(error) => Err(Failure::Internal(miette!("cannot write to standard output: {error}"))),
        None => Ok(()),
    }
}

fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The first error is the cause of the others.
        let _ = FAILED.set(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_its_colours_and_json_gets_escapes() {
        for (text, written) in [
            ("\x1b[1mThe build\x1b[0m took 2 s\n", "\x1b[1mThe build\x1b[0m took 2 s\n"),
            ("\x1b[2mRUN a\u{202e}\x1b[0m \x1b]0;title\x07", "\x1b[2mRUN a\\u{202e}\x1b[0m \\u{1b}]0;title\\u{7}"),
            ("{\"a\": \"\\u001b[1m\u{202e}\"}\n", "{\"a\": \"\\u001b[1m\\u202e\"}\n"),
        ] {
            assert_eq!(document(text), written);
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_whole_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        let half = write_whole(&path, |mut file| {
            file.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(half.is_err() && !path.exists());
        write_whole(&path, |mut file| file.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        // Like `/dev/stdout` whose disk is full.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_whole(&link, |_| Err(io::Error::other("the disk is full"))).unwrap_err();
        assert!(fs::symlink_metadata(&link).is_ok());
        // A device stays.
        assert!(write_file(Path::new("/dev/full"), "x").is_err() && Path::new("/dev/full").exists());
    }
}
