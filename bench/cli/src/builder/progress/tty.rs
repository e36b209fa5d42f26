//! Live progress on a terminal: one line per running step, finished steps above them. Of several that run, the one that the end
//! waits for has a mark.

use super::critical::Critical;
use super::last_state;
use super::moved::{self, TransferSum};
use super::names::PlanNames;
use crate::builds::Expected;
use buildscope_builder::engine::{Event, Progress};
use buildscope_record::{Outcome, StepId};
use buildscope_reports::render::neutralised;
use buildscope_reports::render::table::cut;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::{OwoColorize, Stream, Style};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

/// The number of lines of a failed step that are shown again at the end.
const TAIL: usize = 20;

/// The mark of the running step that the end waits for: the critical path so far.
const CRITICAL: &str = "▸ ";

/// The view.
#[derive(Debug)]
pub(super) struct Tty {
    bars: MultiProgress,
    /// The first line: the elapsed time, how many steps are done, and how long the build usually takes.
    header: ProgressBar,
    usual: String,
    state: Mutex<Screen>,
}

#[derive(Debug, Default)]
struct Screen {
    names: PlanNames,
    critical: Critical,
    /// The step that has the mark.
    marked: Option<StepId>,
    /// The number of steps, and of those that are done.
    steps: usize,
    done: usize,
    running: HashMap<StepId, Running>,
    tasks: HashMap<String, ProgressBar>,
    /// The progress of each image transfer.
    sums: HashMap<String, TransferSum>,
}

#[derive(Debug)]
struct Running {
    bar: ProgressBar,
    tail: VecDeque<String>,
}

impl Tty {
    pub(super) fn new(expected: Option<Expected>) -> Self {
        let bars = MultiProgress::new();
        let style = ProgressStyle::with_template("{spinner} building {elapsed} {wide_msg}");
        let header = bars.add(ProgressBar::new_spinner());
        header.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        header.enable_steady_tick(Duration::from_millis(100));
        let usual = expected.map(usual).unwrap_or_default();
        Self { bars, header, usual, state: Mutex::default() }
    }

    /// Writes a finished step. The name is cut, so that the line fits the terminal.
    fn write_step(&self, mark: char, name: &str, end: &str, style: Style) {
        let room = columns().saturating_sub(end.width() + 4).max(20);
        self.write_line(&format!("{mark} {} {}", cut(name, room), colour(end, style)));
    }

    fn count(&self, state: &Screen) {
        self.header.set_message(format!(" {} of {} steps{}", state.done, state.steps, self.usual));
    }

    fn bar(&self, name: &str) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>6} {wide_msg:.dim}");
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(prefix("", name, columns()));
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Moves the mark to the step that the end waits for now.
    fn mark(&self, state: &mut Screen) {
        let step = state.critical.step();
        if step == state.marked {
            return;
        }
        for (step, mark) in [(state.marked, ""), (step, CRITICAL)] {
            let Some((step, running)) = step.and_then(|step| Some((step, state.running.get(&step)?))) else { continue };
            running.bar.set_prefix(prefix(mark, state.names.get(step), columns()));
        }
        state.marked = step;
    }

    /// Replaces the line of a running step by one that says how the step ended.
    fn finished(&self, state: &mut Screen, step: StepId, outcome: Outcome, error: Option<&str>) {
        state.done += 1;
        self.count(state);
        let running = state.running.remove(&step);
        state.critical.end(step);
        self.mark(state);
        let seconds = running.as_ref().map_or(0.0, |running| running.bar.elapsed().as_secs_f64());
        if let Some(running) = &running {
            running.bar.finish_and_clear();
        }
        let name = state.names.get(step);
        match outcome {
            Outcome::Cached | Outcome::Joined => self.write_step('✓', name, "cached", Style::new().cyan()),
            Outcome::Executed | Outcome::Pruned => {
                self.write_step('✓', name, &format!("{seconds:.1}s"), Style::new().green())
            }
            Outcome::Cancelled => self.write_step('-', name, "cancelled", Style::new().yellow()),
            Outcome::Failed => {
                for line in running.iter().flat_map(|running| &running.tail) {
                    self.write_line(&format!("  {line}"));
                }
                self.write_line(&format!("✗ {name} {}", colour(error.unwrap_or_default(), Style::new().red())));
            }
        }
    }

    fn write_line(&self, line: &str) {
        // A closed terminal must not fail the build.
        let _ = self.bars.println(neutralised(line));
    }
}

impl Progress for Tty {
    fn event(&self, event: Event) {
        let mut state = self.state.lock();
        match event {
            Event::Planned(plan) => {
                super::warnings(&plan).for_each(|warning| self.write_line(&warning));
                state.names = PlanNames::of(&plan);
                state.critical = Critical::of(&plan);
                state.steps += plan.graph.node_count();
                self.count(&state);
            }
            Event::Warning(warning) => self.write_line(&format!("warning: {warning}")),
            Event::Started(step) => {
                let bar = self.bar(state.names.get(step));
                state.running.insert(step, Running { bar, tail: VecDeque::new() });
                state.critical.start(step);
                self.mark(&mut state);
            }
            Event::Line { step, line, .. } => {
                let Some(running) = state.running.get_mut(&step) else { return };
                let line = neutralised(last_state(&String::from_utf8_lossy(&line))).into_owned();
                running.bar.set_message(line.clone());
                running.tail.push_back(line);
                if running.tail.len() > TAIL {
                    running.tail.pop_front();
                }
            }
            Event::Finished { outcome: Outcome::Pruned, .. } => {
                state.steps = state.steps.saturating_sub(1);
                self.count(&state);
            }
            Event::Finished { step, outcome, error } => self.finished(&mut state, step, outcome, error.as_deref()),
            Event::Transfer(moved) => {
                let name = moved::title(&moved);
                let Screen { tasks, sums, .. } = &mut *state;
                let bar = tasks.entry(name.clone()).or_insert_with(|| self.bar(&name));
                let sum = sums.entry(name.clone()).or_default();
                let all = sum.add(&moved);
                bar.set_message(sum.line());
                if all {
                    bar.finish_and_clear();
                    tasks.remove(&name);
                }
            }
            Event::Task { name, done: false } => {
                let bar = self.bar(&name);
                state.tasks.insert(name, bar);
            }
            Event::Task { name, done: true } => {
                let Some(bar) = state.tasks.remove(&name) else { return };
                let seconds = bar.elapsed().as_secs_f64();
                bar.finish_and_clear();
                self.write_step('✓', &name, &format!("{seconds:.1}s"), Style::new().green());
            }
        }
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.header.finish_and_clear();
    }
}

/// The width of the terminal.
fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(usize::MAX, |(width, _)| width.0.into())
}

/// The mark and the name of a running step, cut so that its line has room for the elapsed time and its last line of output.
fn prefix(mark: &str, name: &str, columns: usize) -> String {
    let room = (columns / 3 * 2).max(20);
    cut(&neutralised(&format!("{mark}{name}")), room)
}

/// "; usually 12.0 s (10.0 s to 14.5 s)"
fn usual(expected: Expected) -> String {
    let [first, third] = expected.quartiles;
    format!("; usually {} ({first} to {third})", expected.median)
}

/// Colours a text if the terminal (and `NO_COLOR`) allows it.
fn colour(text: &str, style: Style) -> String {
    text.if_supports_color(Stream::Stderr, |text| text.style(style)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_step_fits_the_terminal() {
        let name = "[deps 4/4] RUN echo installing && sleep 6 && mkdir -p node_modules && echo lib > node_modules/lib";
        for columns in [40, 80, 100] {
            let shown = prefix(CRITICAL, name, columns);
            // The spinner, the elapsed time of six columns, and the spaces between.
            assert!(shown.starts_with("▸ [deps 4/4] RUN") && shown.width() + 10 <= columns, "{columns}: {shown}");
        }
        assert_eq!(prefix("", name, usize::MAX), name);
    }
}
