//! The machines that ran the steps of a build with other machines, and the reasons why steps stayed on the builder's.

use buildscope_record::{Instruction, Nanos, Outcome, Phase, Record, Step, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The steps that one machine ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineSteps {
    /// Another machine, as its server names it; `None` for the machine of the builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The reason why these steps ran on the machine of the builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_here: Option<String>,
    /// The steps.
    pub steps: Vec<StepId>,
    /// The sum of their times.
    pub time: Nanos,
    /// The part of it in which they waited for a worker.
    pub queued: Nanos,
    /// The facts in one sentence.
    pub sentence: String,
}

/// The machines of a build: first the others by name, then the builder's with a row for each reason. Empty if the build had no other
/// machines.
pub(crate) fn machines(record: &Record) -> Vec<MachineSteps> {
    let mut groups: BTreeMap<(bool, &str), Vec<&Step>> = BTreeMap::new();
    let ran = record.steps.iter().filter(|step| matches!(step.outcome, Outcome::Executed | Outcome::Failed));
    for step in ran {
        let Some(ran_on) = &step.ran_on else { continue };
        match (&ran_on.machine, &ran_on.why_here) {
            (Some(machine), _) => groups.entry((false, machine)).or_default().push(step),
            (None, Some(why)) => groups.entry((true, why)).or_default().push(step),
            (None, None) => {}
        }
    }
    groups.into_iter().map(|((is_here, name), steps)| group(record, is_here, name, &steps)).collect()
}

/// What went wrong on servers for a step.
fn failures(step: &Step) -> impl Iterator<Item = &str> {
    step.ran_on.iter().flat_map(|ran_on| &ran_on.failures).map(String::as_str)
}

fn group(record: &Record, is_here: bool, name: &str, steps: &[&Step]) -> MachineSteps {
    let length = |step: &&Step| Some(step.end?.saturating_sub(step.start?));
    let time: Nanos = steps.iter().filter_map(length).sum();
    let waits = record.spans.iter().filter(|span| {
        span.phase == Phase::Queue
            && span.name.as_deref() == Some(name)
            && steps.iter().any(|step| span.step == Some(step.id))
    });
    let queued: Nanos = waits.map(|span| span.end.saturating_sub(span.start)).sum();
    let count = match steps {
        [_] => "1 step".to_owned(),
        several => format!("{} steps", several.len()),
    };
    let sentence = if is_here {
        let example = steps.iter().find(|step| step.instruction == Instruction::Run).or(steps.first());
        let example = example.map(|step| step.text.as_str()).unwrap_or_default();
        let such = if steps.len() > 1 { ", such as" } else { "," };
        format!("the builder's machine ran {count} in {time}{such} `{example}`: {name}")
    } else if queued > Nanos::ZERO {
        format!("{name} ran {count} in {time}, of which {queued} was the wait for a worker")
    } else {
        format!("{name} ran {count} in {time}")
    };
    let failures: Vec<&str> =
        steps.iter().flat_map(|step| failures(step)).filter(|text| !name.contains(text)).collect();
    let sentence = match failures[..] {
        [] => sentence,
        [failure] => format!("{sentence}; an attempt on a server failed before: {failure}"),
        [.., last] => format!("{sentence}; {} attempts on servers failed before, at last: {last}", failures.len()),
    };
    MachineSteps {
        machine: (!is_here).then(|| name.to_owned()),
        why_here: is_here.then(|| name.to_owned()),
        steps: steps.iter().map(|step| step.id).collect(),
        time,
        queued,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{Synthetic, ms};
    use buildscope_record::StepMachine;

    #[test]
    fn each_machine_and_each_reason_has_a_row() {
        let mut made = Synthetic::default();
        let stage = made.stage("s");
        let from = made.step(stage, "FROM busybox", 0..0);
        let [a, b, c, d] =
            [(0, 400), (0, 500), (500, 700), (700, 800)].map(|(start, end)| made.step(stage, "RUN make", start..end));
        made.data(from, a).span(b, Phase::Queue, 0..100);
        made.with(|record| {
            record.steps[a.index()].ran_on = Some(StepMachine::on("w1"));
            record.steps[b.index()].ran_on = Some(StepMachine::on("w1"));
            record.steps[c.index()].ran_on = Some(StepMachine::here("it has a secret"));
            record.steps[d.index()].ran_on = Some(StepMachine::on("w2").after(vec!["w1 went away".into()]));
            record
                .spans
                .iter_mut()
                .filter(|span| span.phase == Phase::Queue)
                .for_each(|span| span.name = Some("w1".into()));
        });
        let found = machines(&made.finish(800));
        let rows: Vec<_> = found.iter().map(|row| (row.steps.clone(), row.time, row.queued)).collect();
        assert_eq!(rows, [(vec![a, b], ms(900), ms(100)), (vec![d], ms(100), ms(0)), (vec![c], ms(200), ms(0))]);
        let sentences: Vec<&str> = found.iter().map(|row| &*row.sentence).collect();
        assert_eq!(
            sentences,
            [
                "w1 ran 2 steps in 900 ms, of which 100 ms was the wait for a worker",
                "w2 ran 1 step in 100 ms; an attempt on a server failed before: w1 went away",
                "the builder's machine ran 1 step in 200 ms, `RUN make`: it has a secret",
            ]
        );
        assert_eq!(machines(&Synthetic::default().finish(1)), []);
    }
}
