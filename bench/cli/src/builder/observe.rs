//! `buildscope observe`: another builder's build, with the processes inside its steps.
//!
//! The command runs unchanged. Its output is passed through and read as a build log. Meanwhile the machine's
//! processes are observed; those of each RUN are found by the script that its shell receives.

use super::passing::{self, Form, Line, Output};
use super::rawjson;
use super::scheduling;
use super::scripts::Scripts;
use crate::output::{is_stdout, style_of_result};
use crate::{Failure, builds, destination, write_message, write_text};
use buildscope_builder::engine::host;
use buildscope_observe::{Observer, StartedCommand};
use buildscope_record::{Host, Instruction, Nanos, Outcome, Record, Step};
use buildscope_reports::{explain, import, inside, render};
use clap::Args;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Run another builder, and record its build; as root, with the processes inside the steps
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where the record is written [default: the explanation is printed]. If the command builds more than once, the second record has `-2`
    /// before the extension
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The command that builds, with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The programs that build. The wrapped command may start them, in any directory.
const BUILDERS: [&str; 7] = ["docker", "docker-buildx", "buildx", "buildctl", "nerdctl", "buildah", "podman"];

const EXAMPLES: &str = "Examples:
  buildscope observe -- docker build --no-cache .
  buildscope observe --record b.json -- buildah build --layers . && buildscope explain b.json";

/// Runs the command and explains its build.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.record {
        destination::check_result("--record", path)?;
    }
    let observer = Observer::of_machine(scheduling::set, &BUILDERS);
    if let Err(error) = &observer {
        let message = format!("the machine's processes cannot be observed: {error}");
        write_message(&format!("{message}. The build goes on without"));
    }
    let (epoch, began) = (Instant::now(), jiff::Timestamp::now());
    let command = rawjson::requested(&arguments.command);
    let form = if command.is_some() { Form::Json } else { Form::Text };
    let command = command.unwrap_or(arguments.command);
    let (program, rest) = command.split_first().ok_or_else(|| Failure::usage(miette!("no command")))?;
    // The explanation belongs to the standard output.
    let output =
        if arguments.record.as_deref().is_some_and(|path| !is_stdout(path)) { Output::Standard } else { Output::Error };
    let ended = passing::run(Command::new(program).args(rest), form, output);
    let (status, lines) = ended.into_diagnostic().wrap_err_with(|| program.clone()).map_err(Failure::Usage)?;
    let seen = observer.map(|observer| observer.finish(epoch)).unwrap_or_default();
    let ended =
        || if status.success() { Ok(()) } else { Err(Failure::failed(miette!("{program} ended with {status}"))) };
    let machine = seen.first().map(|seen| &seen.processes);
    let own = StartedCommand { directory: std::env::current_dir().unwrap_or_default(), arguments: command.clone() };
    let scripts = Scripts::of(seen.iter().flat_map(|seen| &seen.commands).chain([&own]));
    let imported = match import::builds_of(&log(&lines), scripts.files()) {
        // A command that fails early says why itself, and prints no build.
        Err(_) if !status.success() => return ended(),
        // The build itself has succeeded.
        Err(error) => {
            write_message(&format!("no build is recorded: the command's output cannot be read: {error}"));
            return Ok(());
        }
        Ok(imported) => imported,
    };
    let mut records = imported.into_records();
    if let Some(machine) = machine {
        let mut taken = inside::Taken::default();
        let attach = |record: &mut Record| {
            let zero = zero(record, &lines, began);
            let found = inside::attach(record, machine, zero, &mut taken, |step| scripts.find(step));
            set_host(record, found);
            found
        };
        let found: usize = records.iter_mut().map(attach).sum();
        let count = |is: &dyn Fn(&Step) -> bool| {
            records.iter().flat_map(|record| &record.steps).filter(|step| is(step)).count()
        };
        let ran = count(&inside::ran);
        let cached = count(&|step| step.instruction == Instruction::Run && step.outcome == Outcome::Cached);
        write_message(&said_of_steps(found, ran, cached));
    }
    show(&records, arguments.record.as_deref());
    ended()
}

/// Steps whose processes were found ran on this machine. What the builder's store is on is unknown.
fn set_host(record: &mut Record, found: usize) {
    if found > 0 && record.host == Host::default() {
        record.host = Host { filesystem: None, ..host(Path::new("/")) };
    }
}

/// The number of steps whose processes were found, in words. A cached step has no processes.
fn said_of_steps(found: usize, ran: usize, cached: usize) -> String {
    let cached = if cached > 0 { format!("; {cached} cached") } else { String::new() };
    if ran == 0 && !cached.is_empty() {
        return format!("no RUN step ran{cached}");
    }
    format!("processes of {found} of {ran} RUN steps were found{cached}")
}

/// Writes or explains the builds of the command. A script may build more than once: each build but the first has a file with its number.
/// The build is done, so a record that cannot be written does not fail it.
fn show(records: &[Record], file: Option<&Path>) {
    for (record, number) in records.iter().zip(1..) {
        let heading = format!("build {number} of {}", records.len());
        match file {
            Some(first) => {
                let path = numbered(first, number);
                match builds::write_record(Some(&path), record) {
                    Err(failure) => write_message(&format!(
                        "warning: no record is written: {failure}. The build is not affected; free space or name another file, and \
                         observe the next one"
                    )),
                    Ok(()) if records.len() > 1 => write_message(&format!("{heading}: {}", path.display())),
                    Ok(()) => {}
                }
            }
            None => {
                let explanation = render::text(&explain(record), style_of_result(None));
                write_text(&if records.len() > 1 { format!("{heading}\n{explanation}\n") } else { explanation });
            }
        }
    }
}

/// The file of a build: `b.json`, `b-2.json`. The standard output gets all of them.
fn numbered(first: &Path, number: usize) -> PathBuf {
    let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    if number == 1 || first.as_os_str() == "-" {
        return first.to_owned();
    }
    let (stem, end) = (text(first.file_stem()), text(first.extension()));
    let end = if end.is_empty() { end } else { format!(".{end}") };
    first.with_file_name(format!("{stem}-{number}{end}"))
}

/// Formats the output for an importer: each line after its time, except JSON lines of a builder that prints JSON, which have their own times.
fn log(lines: &[Line]) -> Vec<u8> {
    // Clients print notices of their own first: `time="..." level=warning msg="..."`.
    let is_notice = |line: &[u8]| line.starts_with(b"time=\"") || line.trim_ascii().is_empty();
    let first = lines.iter().map(|(_, line)| &**line).find(|line| !is_notice(line));
    let json = first.is_some_and(|line| line.starts_with(b"{"));
    let line = |(time, line): &Line| match line.starts_with(b"{") && json {
        true => line.clone(),
        false => [time.to_string().as_bytes(), b" ", line].concat(),
    };
    lines.iter().flat_map(line).collect()
}

/// The start of the record on the observer's clock.
fn zero(record: &Record, lines: &[Line], began: jiff::Timestamp) -> Nanos {
    let recorded = record.started.as_deref().and_then(|text| text.parse().ok());
    let first: Option<jiff::Timestamp> = recorded.or_else(|| lines.first().map(|(time, _)| *time));
    let since = first.map_or(0, |first| first.as_nanosecond() - began.as_nanosecond());
    Nanos(u64::try_from(since).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times are for the importer. A step may print JSON, too.
    #[test]
    fn lines_have_times_unless_the_builder_prints_json() {
        let log = |lines: &[&str]| {
            let timed: Vec<Line> =
                lines.iter().map(|line| (jiff::Timestamp::UNIX_EPOCH, line.as_bytes().to_vec())).collect();
            String::from_utf8(log(&timed)).unwrap()
        };
        let (notice, vertex) = ("time=\"t\" level=warning msg=\"no fsverity\"\n", "{\"vertexes\":[]}\n");
        assert_eq!(log(&[vertex, vertex]), [vertex, vertex].concat());
        assert_eq!(
            log(&[notice, "\n", vertex]),
            format!("1970-01-01T00:00:00Z {notice}1970-01-01T00:00:00Z \n{vertex}")
        );
        assert_eq!(
            log(&[notice, "#1 x\n", vertex]),
            [notice, "#1 x\n", vertex].map(|line| format!("1970-01-01T00:00:00Z {line}")).concat()
        );
    }
}
