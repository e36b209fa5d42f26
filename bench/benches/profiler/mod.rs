//! `cargo bench -- --profile-time 5` writes a flame graph for each benchmark: criterion's `Profiler` with pprof.
//! (pprof's own criterion feature needs an old version of criterion.)

use buildscope_bench::sampling;
use criterion::Criterion;
use criterion::profiler::Profiler;
use std::fs::File;
use std::path::Path;

#[derive(Default)]
struct Flamegraph(Option<sampling::Profiler>);

impl Profiler for Flamegraph {
    fn start_profiling(&mut self, _benchmark: &str, _folder: &Path) {
        self.0 = Some(sampling::Profiler::start().expect("only one profiler runs at a time"));
    }

    fn stop_profiling(&mut self, benchmark: &str, folder: &Path) {
        let Some(profiler) = self.0.take() else { return };
        let write = || -> Result<(), Box<dyn std::error::Error>> {
            std::fs::create_dir_all(folder)?;
            profiler.finish()?.flamegraph(File::create(folder.join("flamegraph.svg"))?)?;
            Ok(())
        };
        if let Err(error) = write() {
            eprintln!("no flamegraph of {benchmark}: {error}");
        }
    }
}

/// The configuration of criterion for all groups.
pub(crate) fn criterion() -> Criterion {
    Criterion::default().with_profiler(Flamegraph::default()).configure_from_args()
}
