//! The waits of a step's programs. The known waits of some processes of a program are a model of the waits of the others.

use crate::blocked::ProgramWaits;
use crate::run::ProgramRun;
use foldhash::HashMap;

/// The most programs whose waits are kept.
const MOST: usize = 1000;

/// The programs of a step that ran in processes that have ended.
#[derive(Debug, Default)]
pub(crate) struct Programs(HashMap<String, ObservedProgram>);

#[derive(Debug, Default)]
struct ObservedProgram {
    executed: KindWaits,
    /// Forked copies that executed nothing: they often do something else.
    forked: KindWaits,
}

#[derive(Debug, Default)]
struct KindWaits {
    waits: ProgramWaits,
    /// The number of samples that were taken only because of these waits.
    samples: u32,
}

impl ObservedProgram {
    fn kind(&self, run: &ProgramRun) -> &KindWaits {
        if run.forked { &self.forked } else { &self.executed }
    }

    fn kind_mut(&mut self, run: &ProgramRun) -> &mut KindWaits {
        if run.forked { &mut self.forked } else { &mut self.executed }
    }
}

impl Programs {
    /// Adds the waits of a process that has ended.
    pub(crate) fn add(&mut self, run: &ProgramRun) {
        if let Some(program) = self.0.get_mut(&run.program) {
            program.kind_mut(run).waits += *run.waits();
        } else if self.0.len() < MOST {
            let mut program = ObservedProgram::default();
            program.kind_mut(run).waits = *run.waits();
            self.0.insert(run.program.clone(), program);
        }
    }

    /// Whether to sample a living process because too little is known about the waits of its program. Counts the sample.
    pub(crate) fn wants_sample(&mut self, run: &ProgramRun) -> bool {
        if run.has_sample() {
            return false;
        }
        let Some(program) = self.0.get_mut(&run.program) else { return false };
        let kind = program.kind_mut(run);
        let wanted = kind.waits.wants_sample(kind.samples);
        kind.samples += u32::from(wanted);
        wanted
    }

    /// The waits of processes like this one.
    pub(crate) fn like(&self, run: &ProgramRun) -> ProgramWaits {
        self.0.get(&run.program).map(|program| program.kind(run).waits).unwrap_or_default()
    }

    /// The waits of all processes of a program.
    pub(crate) fn of(&self, program: &str) -> ProgramWaits {
        let mut waits = ProgramWaits::default();
        if let Some(program) = self.0.get(program) {
            waits += program.executed.waits;
            waits += program.forked.waits;
        }
        waits
    }
}
