//! Live progress on a terminal: one line per running step, finished steps above them.

use super::moved::{self, Sum};
use super::names::Names;
use buildscope_builder::engine::{Event, Progress};
use buildscope_record::{Outcome, StepId};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::{OwoColorize, Stream, Style};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The number of lines of a failed step that are shown again at the end.
const TAIL: usize = 20;

/// The view.
#[derive(Debug)]
pub(super) struct Tty {
    bars: MultiProgress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    running: HashMap<StepId, Running>,
    tasks: HashMap<String, ProgressBar>,
    /// The progress of each image transfer.
    sums: HashMap<String, Sum>,
}

#[derive(Debug)]
struct Running {
    bar: ProgressBar,
    tail: VecDeque<String>,
}

impl Tty {
    pub(super) fn new() -> Self {
        Self { bars: MultiProgress::new(), state: Mutex::default() }
    }

    fn bar(&self, name: &str) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>6} {wide_msg:.dim}");
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn write_line(&self, line: &str) {
        // A closed terminal must not fail the build.
        let _ = self.bars.println(line);
    }
}

impl Progress for Tty {
    fn event(&self, event: Event) {
        let mut state = self.state.lock();
        match event {
            Event::Planned(plan) => {
                super::warnings(&plan).for_each(|warning| self.write_line(&warning));
                state.names = Names::of(&plan);
            }
            Event::Warning(warning) => self.write_line(&format!("warning: {warning}")),
            Event::Started(step) => {
                let bar = self.bar(state.names.get(step));
                state.running.insert(step, Running { bar, tail: VecDeque::new() });
            }
            Event::Line { step, line, .. } => {
                let Some(running) = state.running.get_mut(&step) else { return };
                let line = String::from_utf8_lossy(&line).into_owned();
                running.bar.set_message(line.clone());
                running.tail.push_back(line);
                if running.tail.len() > TAIL {
                    running.tail.pop_front();
                }
            }
            Event::Finished { outcome: Outcome::Pruned, .. } => {}
            Event::Finished { step, outcome, error } => {
                let running = state.running.remove(&step);
                let seconds = running.as_ref().map_or(0.0, |running| running.bar.elapsed().as_secs_f64());
                if let Some(running) = &running {
                    running.bar.finish_and_clear();
                }
                let name = state.names.get(step);
                match outcome {
                    Outcome::Cached | Outcome::Joined => {
                        self.write_line(&format!("✓ {name} {}", colour("cached", Style::new().cyan())))
                    }
                    Outcome::Executed | Outcome::Pruned => self
                        .write_line(&format!("✓ {name} {}", colour(&format!("{seconds:.1}s"), Style::new().green()))),
                    Outcome::Cancelled => {
                        self.write_line(&format!("- {name} {}", colour("cancelled", Style::new().yellow())))
                    }
                    Outcome::Failed => {
                        for line in running.iter().flat_map(|running| &running.tail) {
                            self.write_line(&format!("  {line}"));
                        }
                        self.write_line(&format!(
                            "✗ {name} {}",
                            colour(&error.unwrap_or_default(), Style::new().red())
                        ));
                    }
                }
            }
            Event::Transfer(moved) => {
                let name = moved::title(&moved);
                let State { tasks, sums, .. } = &mut *state;
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
                self.write_line(&format!("✓ {name} {}", colour(&format!("{seconds:.1}s"), Style::new().green())));
            }
        }
    }
}

/// Colours a text if the terminal (and `NO_COLOR`) allows it.
fn colour(text: &str, style: Style) -> String {
    text.if_supports_color(Stream::Stderr, |text| text.style(style)).to_string()
}
