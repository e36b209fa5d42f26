//! `--pprof`: samples the builder's own threads as often as the kernel can, 100 to 1000 times a second.

use crate::Failure;
use buildscope_bench::sampling::Profiler;
use miette::{IntoDiagnostic, WrapErr};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A running profile.
pub(super) struct Profile {
    profiler: Profiler,
    folder: PathBuf,
}

impl Profile {
    /// Starts sampling if a folder for the result is given.
    pub(super) fn start(folder: Option<&Path>) -> Result<Option<Self>, Failure> {
        let Some(folder) = folder else { return Ok(None) };
        let start = || {
            fs::create_dir_all(folder)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot create {}", folder.display()))?;
            Profiler::start().into_diagnostic().wrap_err("starting the profiler")
        };
        let profiler = start().map_err(Failure::Usage)?;
        Ok(Some(Self { profiler, folder: folder.to_owned() }))
    }

    /// Writes `flamegraph.svg` and `stacks.folded` (one line per stack, outermost frame first, with its samples).
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Self { profiler, folder } = self;
        let write = || {
            let report = profiler.finish().into_diagnostic()?;
            let svg = fs::File::create(folder.join("flamegraph.svg")).into_diagnostic()?;
            report.flamegraph(svg).into_diagnostic()?;
            let mut folded = String::new();
            for (stack, samples) in &report.data {
                let frames = stack.frames.iter().rev().flat_map(|frame| frame.iter().rev()).map(|symbol| symbol.name());
                let frames: Vec<_> = std::iter::once(stack.thread_name.clone()).chain(frames).collect();
                // Writing to a String cannot fail.
                let _ = writeln!(folded, "{} {samples}", frames.join(";"));
            }
            fs::write(folder.join("stacks.folded"), folded).into_diagnostic()
        };
        write().wrap_err_with(|| format!("cannot write the profile to {}", folder.display())).map_err(Failure::Internal)
    }
}
