//! The processes of a step in the form of the record, with sentences about what was not observed.

use crate::commands::StartedCommand;
use crate::forest::Inside;
use crate::run::ProgramRun;
use crate::{fold, sampled};
use buildscope_record::{Nanos, Observed, Processes, StackSamples};
use std::collections::HashMap;

/// One step's processes.
#[derive(Clone, Debug)]
pub struct StepProcesses {
    /// The process id of its first process, the one that the observed process started.
    pub init: u32,
    /// The observed processes.
    pub processes: Processes,
    /// The commands of the programs that the caller named.
    pub commands: Vec<StartedCommand>,
}

/// The processes of a step that has ended. `sampler` made the events if the kernel did not report them. `unseen` is what was not observed of
/// any step.
pub(crate) fn step(
    mut inside: Inside,
    sampler: Option<&sampled::Sampler>,
    unseen: &[String],
    at: impl Fn(u64) -> Nanos + Copy,
) -> StepProcesses {
    let (start, end) = (inside.start, inside.end);
    fold::fold_ended(&mut inside.runs, &mut inside.totals, end.unwrap_or(start) - start);
    let indices: HashMap<u32, u32> = inside.runs.keys().enumerate().map(|(index, &id)| (id, index as u32)).collect();
    let index = |id: u32| indices.get(&id).copied();
    let mut functions = Functions::default();
    let list = inside.runs.values().map(|run| {
        let mut process = run.process(at);
        (process.parent, process.replaces) = (run.parent.and_then(index), run.replaces.and_then(index));
        process.stacks = functions.stacks(run);
        process
    });
    let list = list.collect();
    let observed = if sampler.is_some() { Observed::Sampled } else { Observed::Events };
    StepProcesses {
        init: inside.init as u32,
        processes: Processes {
            list,
            functions: functions.names,
            folded: inside.totals.folded(at, index),
            lost: inside.lost.all,
            unseen: unseen_of(&inside, unseen),
            resolution: Nanos(sampler.map_or(0, |sampler| sampler.resolution(start, end.unwrap_or(u64::MAX)))),
            ..Processes::of(observed, at(start), at(end.unwrap_or(start)))
        },
        commands: Vec::new(),
    }
}

/// Sentences about what was not observed of a step.
fn unseen_of(inside: &Inside, of_any_step: &[String]) -> Vec<String> {
    let mut unseen = of_any_step.to_vec();
    if inside.hidden > 0 {
        let why = match inside.lost.of_processes {
            0 => "after they had executed set-uid programs: only root gets events of those, so /proc was sampled",
            _ => "after they had executed a program: the kernel dropped events, or it was set-uid",
        };
        unseen.push(format!("parts of what {} processes did {why}", inside.hidden));
    }
    if inside.lost.of_processes > 0 {
        let lost = inside.lost.of_processes;
        let why = format!("processes and their ends: the kernel dropped {lost} events that may be about them");
        // A view may show only the first sentences.
        unseen.insert(0, why);
    }
    unseen
}

/// The function names of a step, each of them once.
#[derive(Default)]
struct Functions {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Functions {
    /// The stacks of a process, the most frequent first.
    fn stacks(&mut self, run: &ProgramRun) -> Vec<StackSamples> {
        let mut stacks: Vec<StackSamples> = run
            .stacks
            .iter()
            .map(|(frames, &samples)| StackSamples {
                frames: frames.iter().map(|name| self.number(name)).collect(),
                samples,
            })
            .collect();
        stacks.sort_by(|a, b| b.samples.cmp(&a.samples).then_with(|| a.frames.cmp(&b.frames)));
        stacks
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}
