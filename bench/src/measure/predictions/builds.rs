//! The builds that predictions are checked against: run, saved as records, or read from saved records.

use super::trial::TrialSetting;
use super::{PredictionPlan, seconds, trials};
use crate::measure::folders::CaseFolders;
use crate::measure::order::order;
use crate::measure::state::{empty_caches, give_base};
use crate::run::RunError;
use buildscope_record::Record;
use buildscope_workloads::{Scenario as CacheState, Workload};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// Builds shorter than this many seconds are repeated this many times more often: a disturbance is a larger part of
/// them.
const MORE: [(f64, u32); 2] = [(0.05, 9), (0.5, 3)];
/// The seed of the order of builds.
const SEED: u64 = 1;
/// The memory budget for the changes of a step. A disk's speed depends on what earlier builds removed (METHODOLOGY,
/// "What the numbers cannot say"), so the same work takes varying times.
const IN_MEMORY: &str = "2GB";
/// The file of the first build. The others are `SETTING-ROUND.json`, both as numbers.
const FIRST: &str = "first.json";

/// The builds of a workload.
pub(super) struct Builds {
    /// The first build, which fills the store with the base images. Its time is not used; the trials are chosen by
    /// it.
    pub(super) first: Record,
    /// The other builds, by setting and in the order of rounds.
    pub(super) of: Vec<Vec<Record>>,
}

impl Builds {
    /// Builds a workload under all its settings, interleaved and shuffled: disturbances of the machine and
    /// after-effects of earlier builds affect all settings equally.
    pub(super) fn make(plan: &PredictionPlan, workload: &Workload) -> Result<Self, RunError> {
        let folders = CaseFolders::make(&plan.scratch, &workload.name, workload, CacheState::Cold)?;
        let first = plan.build(workload, &folders, &TrialSetting::parallel())?;
        let (settings, _) = trials(&first);
        let mut of: Vec<Vec<Record>> = vec![Vec::new(); settings.len()];
        let more = MORE.iter().find(|(short, _)| seconds(first.wall) < *short).map_or(1, |(_, more)| *more);
        let runs = plan.runs * more;
        for round in order(settings.len(), runs, SEED) {
            for place_in in round {
                of[place_in].push(plan.build(workload, &folders, &settings[place_in])?);
            }
        }
        Ok(Self { first, of })
    }

    /// Writes the records to a folder.
    pub(super) fn keep(&self, folder: &Path) -> Result<(), RunError> {
        fs::create_dir_all(folder).map_err(RunError::io("create", folder))?;
        let write = |name: &str, record: &Record| {
            let path = folder.join(name);
            let file = File::create(&path).map_err(RunError::io("create", &path))?;
            record.write(file).map_err(|error| RunError::io("write", &path)(std::io::Error::other(error)))
        };
        write(FIRST, &self.first)?;
        for (setting, records) in self.of.iter().enumerate() {
            for (round, record) in records.iter().enumerate() {
                write(&format!("{setting}-{round}.json"), record)?;
            }
        }
        Ok(())
    }

    /// Reads saved records.
    pub(super) fn read(folder: &Path) -> Result<Self, RunError> {
        let first = read(&folder.join(FIRST))?;
        let (settings, _) = trials(&first);
        let rounds = |setting: usize| {
            (0..).map(move |round| folder.join(format!("{setting}-{round}.json"))).take_while(|path| path.exists())
        };
        let of = (0..settings.len()).map(|setting| rounds(setting).map(|path| read(&path)).collect());
        Ok(Self { of: of.collect::<Result<_, _>>()?, first })
    }
}

fn read(path: &Path) -> Result<Record, RunError> {
    let file = File::open(path).map_err(RunError::io("read", path))?;
    Record::read(file).map_err(|error| RunError::io("read", path)(std::io::Error::other(error)))
}

impl PredictionPlan {
    /// Runs one cold build and returns its record. Cache directories are emptied before it.
    fn build(&self, workload: &Workload, folders: &CaseFolders, setting: &TrialSetting) -> Result<Record, RunError> {
        finish(empty_caches(&self.binary, &folders.store), &workload.name)?;
        let path = self.scratch.join("record.json");
        let mut command = Command::new(if setting.alone { Path::new("taskset") } else { &self.binary });
        if setting.alone {
            command.args(["-c", "0"]).arg(&self.binary);
        }
        let policy = setting.policy.to_string();
        command.args(["build", "--no-cache", "--progress", "quiet", "--sync", "never", "--granularity", &policy]);
        command.args(["--jobs", &setting.jobs.to_string()]).arg("--record").arg(&path);
        command.env("BUILDSCOPE_KEEP_RECORDS", "none");
        if rustix::process::geteuid().is_root() {
            command.args(["--tmpfs-upper", IN_MEMORY]);
        }
        if let Some((selected, seconds)) = setting.delay {
            command.arg("--delay").arg(format!("{}={seconds}", selected.name()));
        }
        if setting.export {
            let image = self.scratch.join("image.tar");
            command.arg("--output").arg(format!("type=oci,compression=gzip,dest={}", image.display()));
        }
        for base in &workload.manifest.bases {
            give_base(&mut command, base, self.bases.as_deref());
        }
        command.arg("--root").arg(&folders.store).arg(&folders.context);
        finish(command, &workload.name)?;
        read(&path)
    }
}

/// Runs a command to its end. A failure is an error with the output of the command.
fn finish(mut command: Command, workload: &str) -> Result<(), RunError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| RunError::Start { program, error })?;
    if output.status.success() {
        return Ok(());
    }
    Err(RunError::Prepare {
        case: workload.to_owned(),
        code: output.status.code(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
