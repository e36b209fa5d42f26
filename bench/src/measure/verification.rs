//! Checks a build of a run: it must give the image that the workload expects, and run no steps that should have been cached.

use super::builds::tag;
use super::child::finish;
use super::folders::CaseFolders;
use super::planned::StepCache;
use super::{Image, Plan, PlannedCase, Runner, check_image};
use crate::run::RunError;
use buildscope_record::{Instruction, Outcome, Record};
use buildscope_workloads::{Bake, Scenario, Workload};
use std::fs;
use std::path::Path;
use tokio_util::sync::CancellationToken;

impl Plan {
    /// Checks the image of a build, outside of the measured time. The same build runs again from the cache and
    /// exports the image.
    pub(super) async fn check(
        &self,
        planned: &PlannedCase,
        folders: &CaseFolders,
        workload: &Workload,
        record: &Path,
        stop: &CancellationToken,
    ) -> Result<Option<String>, RunError> {
        let PlannedCase { case, runner } = planned;
        if matches!(case.scenario, Scenario::Warm | Scenario::Imported)
            && runner.is_buildscope()
            && let Some(ran) = executed(record)
        {
            return Ok(Some(format!("a build with all steps cached ran `{ran}`")));
        }
        if workload.manifest.expect.is_empty() {
            return Ok(None);
        }
        let archive = self.archive();
        let command = match runner {
            Runner::Peer(peer) if !peer.can_be_checked() => return Ok(None),
            Runner::Peer(peer) => peer.save(&tag(case), &archive),
            Runner::Buildscope(_) => {
                let mut command = self.command(planned, folders, StepCache::Use);
                let output = format!("type=oci,dest={}", archive.display());
                match &workload.manifest.bake {
                    None => command.arg("--output").arg(output),
                    Some(Bake { checked }) => {
                        command.arg("--allow").arg(format!("fs.write={}", archive.display()));
                        command.arg("--set").arg(format!("{checked}.output={output}"))
                    }
                };
                Some(command)
            }
        };
        if let Some(command) = command {
            let Some(ended) = finish(command, stop).await? else { return Ok(None) };
            if !ended.status.success() {
                return Ok(Some(format!("the image cannot be exported: {}", ended.tail())));
            }
        }
        let mut expect = workload.manifest.expect.clone();
        let fewer = matches!(runner, Runner::Peer(peer) if peer.leaves_out_empty_layers());
        if fewer || case.scenario == Scenario::Base {
            expect.image.layers = None; // the changed base has an additional layer
        }
        let faults = Image::read(&archive).map(|image| check_image(&image, &expect));
        Ok(match faults {
            Ok(faults) if faults.is_empty() => None,
            Ok(faults) => Some(faults.join("; ")),
            Err(error) => Some(format!("the image cannot be read: {error}")),
        })
    }
}

/// The first RUN, COPY or ADD instruction that a build executed although its result should have been cached.
fn executed(record: &Path) -> Option<String> {
    let record: Record = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    record
        .steps
        .into_iter()
        .find(|step| {
            step.outcome == Outcome::Executed && (step.instruction.copies() || step.instruction == Instruction::Run)
        })
        .map(|step| step.text)
}
