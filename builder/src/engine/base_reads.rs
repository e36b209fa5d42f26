//! The bytes that processes of steps read of the base images that a build pulled. They show whether fetching the whole images was worth it.
//!
//! A thread counts them after the last step, because it takes some microseconds for each file. Images that were in the store before are
//! left out: builds from them may take only milliseconds.

use super::outcome::StepReport;
use super::solver::Solver;
use buildscope_record::{ByteSize, StepId};
use buildscope_sandbox::bytes_read;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The count of a build. All of its steps have ended.
pub(super) struct BaseReads(Vec<(StepId, JoinHandle<Option<ByteSize>>)>);

impl BaseReads {
    /// Starts to count.
    pub(super) fn start(solver: &Solver) -> Self {
        let bases = solver.ctx.results.bases().filter_map(|(step, image, layers)| {
            let images = &solver.part(step).runner.images;
            let mounts = images.has_pulled(image).then(|| solver.store().mounted(layers)).flatten()?;
            Some((step, std::thread::spawn(move || count(&mounts))))
        });
        Self(bases.collect())
    }

    /// Waits for the counts and adds them to the reports. A count that failed is unknown.
    pub(super) fn note(self, reports: &mut [StepReport]) {
        for (step, counting) in self.0 {
            let report = reports.get_mut(step.index());
            if let (Ok(read), Some(base)) = (counting.join(), report.and_then(|report| report.base.as_mut())) {
                base.read = read;
            }
        }
    }
}

/// The bytes that were read through the mounts of an image's layers.
fn count(mounts: &[Arc<OwnedFd>]) -> Option<ByteSize> {
    let read = mounts.iter().map(|mount| bytes_read(mount.as_fd())).sum::<io::Result<u64>>();
    read.ok().map(ByteSize)
}
