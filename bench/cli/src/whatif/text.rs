//! Predictions as text.

use buildscope_record::{ByteSize, Nanos, Record};
use buildscope_reports::render::table::{Align, Cell, Table};
use buildscope_reports::whatif::{MAX_DRIFT, OnMachines, Prediction, Scenario, Verdict};
use std::fmt::Write as _;

/// The number of machines that are listed.
const MOST_ROWS: usize = 12;

/// One line for each setting. The columns of machines are there only if a setting has machines.
pub(super) fn format_settings(scenarios: &[Scenario], predictions: &[Prediction]) -> String {
    let machines = scenarios.iter().any(|scenario| scenario.machines.is_some());
    let first: &[&str] = if machines { &["machines", "bandwidth"] } else { &[] };
    let names: Vec<&str> = first.iter().copied().chain(["jobs", "cores", "wall", ""]).collect();
    let aligned: Vec<_> = (1..names.len()).map(|_| Align::Right).chain([Align::Left]).collect();
    let mut table = Table::new(aligned).flush();
    table.row(names.into_iter().map(Cell::from));
    for (scenario, prediction) in scenarios.iter().zip(predictions) {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let mut cells = Vec::new();
        if machines {
            cells.push(shown(scenario.machines.map(|machines| machines.count.to_string())));
            let bandwidth = scenario.machines.and_then(|machines| machines.bandwidth);
            cells.push(shown(bandwidth.map(|bandwidth| bandwidth.to_string())));
        }
        cells.push(shown(scenario.jobs.map(|jobs| jobs.to_string())));
        cells.push(shown(scenario.cores.map(|cores| cores.to_string())));
        cells.push(prediction.wall.to_string());
        let verdict = prediction.machines.as_ref().and_then(|on| on.verdict);
        let notes = [
            Some(change(prediction)),
            (!prediction.credible()).then(|| "unreliable".to_owned()),
            verdict.and_then(short).map(str::to_owned),
        ];
        cells.push(notes.into_iter().flatten().collect::<Vec<_>>().join("; "));
        table.row(cells.into_iter().map(Cell::from));
    }
    table.plain(100)
}

/// The reason why more machines do not pay, in a few words.
fn short(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Pays => None,
        Verdict::Path => Some("does not pay: the longest path"),
        Verdict::Data => Some("does not pay: the data"),
        Verdict::Cost => Some("does not pay: the cost of steps there"),
        Verdict::Stays => Some("does not pay: steps that stay here"),
    }
}

fn change(prediction: &Prediction) -> String {
    if prediction.measured == Nanos::ZERO {
        return "the record has no times".to_owned();
    }
    match prediction.speedup() {
        _ if prediction.wall == Nanos::ZERO => "nothing is left".to_owned(),
        speedup if speedup > 1000.0 => "more than 1000x faster".to_owned(),
        speedup if (speedup - 1.0).abs() < 0.005 => "no change".to_owned(),
        speedup if speedup > 1.0 => format!("{speedup:.2}x faster"),
        speedup => format!("{:.2}x slower", 1.0 / speedup),
    }
}

/// A prediction with its caveats, what each machine does, and the steps that change most.
pub(super) fn format_prediction(record: &Record, prediction: &Prediction) -> String {
    let Prediction { wall, measured, drift, .. } = prediction;
    let mut text = format!("{wall} instead of {measured} ({}).\n", change(prediction));
    if !prediction.credible() {
        let (percent, most) = (drift * 100.0, MAX_DRIFT * 100.0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "Unreliable: the replay of the unchanged build is {percent:.1} % off, more than {most:.0} %."
        );
    }
    if let Some(on) = &prediction.machines {
        text += &format_machines(on);
    }
    for caveat in &prediction.caveats {
        let _ = writeln!(text, "  caveat: {caveat}");
    }
    let mut moved: Vec<_> =
        record.steps.iter().zip(&prediction.steps).filter_map(|(step, times)| Some((step, (*times)?))).collect();
    moved.sort_by_key(|(step, (_, end))| std::cmp::Reverse(step.end.unwrap_or(*end).0.abs_diff(end.0)));
    for (step, (start, end)) in moved
        .iter()
        .take(5)
        .filter(|(step, (_, end))| step.end.is_some_and(|known| known.0.abs_diff(end.0) > measured.0 / 100))
    {
        let _ = writeln!(text, "  {start} .. {end}: {}", step.text);
    }
    text
}

/// The use of each machine, and whether more machines pay.
fn format_machines(on: &OnMachines) -> String {
    let OnMachines { machines, one, instant, free, path, uses, .. } = on;
    let moved = ByteSize(uses.iter().map(|machine| machine.fetched.0).sum());
    let mut text = String::new();
    let verdict = match on.verdict {
        None => String::new(),
        Some(Verdict::Pays) => format!("{machines} machines pay: one such machine takes {one}.\n"),
        Some(Verdict::Data) => format!(
            "{machines} machines do not pay because of the data: one takes {one}, and {moved} have to be fetched. If data moved in no time: {instant}.\n"
        ),
        Some(Verdict::Cost) => format!(
            "{machines} machines do not pay because of what steps and their results cost there: one takes {one}. Without that cost and with data that moves in no time: {free}.\n"
        ),
        Some(Verdict::Path) => format!(
            "{machines} machines do not pay because of the longest path: it takes {path} on any number of machines, and one takes {one}.\n"
        ),
        Some(Verdict::Stays) => format!(
            "{machines} machines do not pay because of the steps that stay on this one: one takes {one}, the longest path {path}.\n"
        ),
    };
    text += &verdict;
    if !on.stay.is_empty() {
        let reasons: Vec<_> = on.stay.iter().map(|(reason, steps)| format!("{} ({steps})", reason.name())).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "RUN steps that stay on this machine: {}.", reasons.join(", "));
    }
    let mut table = Table::new([Align::Left, Align::Right, Align::Right, Align::Right, Align::Right]);
    table.row(["machine", "steps", "busy", "fetches", "uploads"].map(Cell::from));
    let used = uses.iter().enumerate().filter(|(index, machine)| *index == 0 || machine.steps > 0);
    for (index, machine) in used.clone().take(MOST_ROWS) {
        let name = if index == 0 { "1 (this one)".to_owned() } else { (index + 1).to_string() };
        let (steps, busy) = (machine.steps.to_string(), machine.busy.to_string());
        let cells = [name, steps, busy, machine.fetched.to_string(), machine.uploaded.to_string()];
        table.row(cells.map(Cell::from));
    }
    text += &table.plain(100);
    let more = used.count().saturating_sub(MOST_ROWS);
    if more > 0 {
        let _ = writeln!(text, "  {more} more run steps too (--json has all).");
    }
    let idle = uses.iter().skip(1).filter(|machine| machine.steps == 0).count();
    if idle > 0 {
        let _ = writeln!(text, "  {idle} of them have nothing to do.");
    }
    text
}
