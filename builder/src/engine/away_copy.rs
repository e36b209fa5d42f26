//! Makes the layer of a COPY from a stage on the machine that has the layers of the stage, so that they are not fetched.

use super::BuildError;
use super::away::{draw, note_machine};
use super::blocking::blocking;
use super::step_context::StepContext;
use super::step_keys::StepFiles;
use super::step_runner::{StepInput, StepLayer, StepRunner};
use crate::plan::{self, CopyFrom, Op, Step};
use crate::remote::{DescribedCopy, DescribedWork, Description, Machines};
use buildscope_record::{DiffId, StepMachine};
use buildscope_schedule::Turn;
use std::time::Duration;

/// The time of a COPY of little on another machine, which takes one round trip more than a fetch. Layers that are fetched in less are copied
/// here. See docs/design/remote.md.
const ACTION: Duration = Duration::from_millis(18);

impl StepRunner {
    /// Copies on another machine. Returns the keys of the files, which stay there, and the layer. Returns `None` if it has to be done
    /// here: the layers are here, or the step fails and its error needs the files.
    pub(super) async fn copy_away(
        &self,
        input: StepInput<'_>,
        op: &plan::Copy,
        turn: &Turn,
    ) -> Result<Option<(StepFiles, StepLayer)>, BuildError> {
        let StepInput { ctx, step, below, probe, .. } = input;
        let (Some(machines), CopyFrom::Stage(from)) = (&self.machines, &op.from) else { return Ok(None) };
        let (from, store) = (ctx.results.of(*from), &self.engine.store);
        let below_read = if op.link { &[][..] } else { &below.layers };
        let sooner = |layers: &[DiffId]| {
            let fetch = machines.layers().fetch_time(layers, store);
            fetch.is_none_or(|fetch| fetch < ACTION + machines.round_trip())
        };
        let read = [&from.layers, below_read].concat();
        if op.add || !op.inline.is_empty() || sooner(&read) {
            // The layers of the COPYs that follow come at the same time.
            let next = next_sources(ctx, step).filter(|layers| sooner(layers)).flatten().copied();
            let wanted = [read, next.collect()].concat();
            blocking(|| self.fetch_made_away(&wanted, probe))?;
            return Ok(None);
        }
        let description = blocking(|| {
            self.fetch_base(ctx, from, probe)?;
            self.describe_copy(input, op, &from.layers, machines)
        })?;
        let Some(away) = self.send(input, &description, machines, turn).await? else { return Ok(None) };
        let (Some(layer), Some(selected)) = (away.account.layer(), away.account.selected) else { return Ok(None) };
        note_machine(ctx, step, StepMachine::on(&away.machine).after(self.failures(step)));
        if !away.is_cached {
            draw(probe, &away.account, &away.machine, away.times, away.queued);
        }
        let files = StepFiles { digest: Some(selected.digest), times: selected.times, ..StepFiles::default() };
        Ok(Some((files, if away.is_cached { StepLayer::Found(layer) } else { StepLayer::Ran(layer) })))
    }

    fn describe_copy(
        &self,
        StepInput { ctx, below, probe, .. }: StepInput<'_>,
        op: &plan::Copy,
        from: &[DiffId],
        machines: &Machines,
    ) -> Result<Description, BuildError> {
        self.fetch_base(ctx, below, probe)?;
        // The owner of a linked layer is looked up in the files below, too.
        let layers = [&*below.layers, from].concat();
        let work = DescribedWork::Copy(DescribedCopy::of(op, from, self.epoch));
        Ok(Description::of(work, &below.layers, self.sizes(&layers, machines, probe)?))
    }
}

/// The layers of the stages that the COPYs between a step and the next RUN of its stage read, as far as these stages have ended.
fn next_sources<'c>(ctx: &'c StepContext, step: &Step) -> impl Iterator<Item = &'c [DiffId]> {
    let stage = step.stage;
    let after = ctx.plan.steps().skip(step.id.index() + 1);
    let before_run = after.take_while(move |next| next.stage == stage && !matches!(next.op, Op::Run(_)));
    before_run.filter_map(|next| match &next.op {
        Op::Copy(plan::Copy { from: CopyFrom::Stage(from), .. }) => Some(&*ctx.results.finished(*from)?.layers),
        _ => None,
    })
}
