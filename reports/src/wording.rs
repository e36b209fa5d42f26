//! The names of steps and shares in sentences.

use crate::steps::StepExplanation;
use buildscope_record::Nanos;

/// The longest part of a step's text that a sentence quotes, in characters.
const LONGEST_QUOTE: usize = 60;

/// The text of a step on one line, shortened, in backquotes.
pub(crate) fn quote(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("`{}…`", one_line[..end].trim_end()),
        None => format!("`{one_line}`"),
    }
}

/// The quoted text of a step with its stage and its line in the Dockerfile.
pub(crate) fn quote_located(step: &StepExplanation) -> String {
    let stage = step.stage.as_ref().map(|stage| format!("stage {stage}"));
    let line = step.source.map(|source| format!("line {}", source.line));
    let location: Vec<_> = [stage, line].into_iter().flatten().collect();
    if location.is_empty() { quote(&step.text) } else { format!("{} ({})", quote(&step.text), location.join(", ")) }
}

/// A share in percent, with one decimal if it is below 10 % or close to 100 %.
pub(crate) fn percent(part: Nanos, whole: Nanos) -> String {
    if whole == Nanos::ZERO {
        return "0 %".to_owned();
    }
    let percent = part.0 as f64 * 100.0 / whole.0 as f64;
    match percent {
        0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p if p < 9.95 || (99.0..99.95).contains(&p) => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}
