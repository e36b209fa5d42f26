//! What the inside of a step suggests. Each finding names the command, its gain and what it depends on.

use super::{Activity, CommandRow, Inside, RowKind};
use buildscope_record::Nanos;

/// A suggestion about one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// How much shorter the step could be.
    pub(crate) gain: Nanos,
    /// The suggestion.
    pub(crate) text: String,
    /// What it depends on.
    pub(crate) caveat: &'static str,
}

/// Less than this is not worth a suggestion.
const LEAST: Nanos = Nanos(500_000_000);
/// A make that uses fewer processors than this runs one process at a time.
const ONE: f64 = 1.3;

/// What the commands of a step suggest, on a machine of so many processors.
pub(crate) fn findings(inside: &Inside, processors: u32) -> Vec<Finding> {
    let commands = inside.rows.iter().filter(|row| row.kind == RowKind::Command);
    commands
        .flat_map(|row| [package_lists(row), unsafe_io(row), jobs(row, processors), wheels(row), download(row)])
        .flatten()
        .filter(|finding| finding.gain >= LEAST)
        .collect()
}

fn runs(row: &CommandRow, words: &[&str]) -> bool {
    words.iter().all(|word| row.text.split_whitespace().any(|one| one == *word || one.rsplit('/').next() == Some(word)))
}

fn package_lists(row: &CommandRow) -> Option<Finding> {
    let update = runs(row, &["apt-get", "update"]) || runs(row, &["apt", "update"]) || runs(row, &["apk", "update"]);
    let waited = row.spent.blocked.network;
    update.then(|| Finding {
        rule: "package-lists",
        gain: waited,
        text: format!(
            "`{}` waits {waited} for the network: keep the lists in a cache mount (`--mount=type=cache,target=/var/lib/apt`), or start from an image that has the packages",
            row.text
        ),
        caveat: "the network may answer faster another time",
    })
}

fn unsafe_io(row: &CommandRow) -> Option<Finding> {
    let dpkg = row.programs.iter().any(|program| program.program.starts_with("dpkg"));
    let waited = row.spent.blocked.disk;
    dpkg.then(|| Finding {
        rule: "unsafe-io",
        gain: waited,
        text: format!("`{}` waits {waited} for the disk: dpkg need not sync each file of an image (`-o Dpkg::Options::=--force-unsafe-io`)", row.text),
        caveat: "some of the waits may be for reading",
    })
}

fn jobs(row: &CommandRow, processors: u32) -> Option<Finding> {
    let make = runs(row, &["make"])
        && !row.text.split_whitespace().any(|word| word.starts_with("-j") || word.starts_with("--jobs"));
    let units: u64 =
        row.activities.iter().filter(|done| done.activity == Activity::Compile).map(|done| done.count).sum();
    if !make || units < 4 || processors < 2 || row.processors() > ONE {
        return None;
    }
    let gain = Nanos(row.spent.processor.0 / u64::from(processors) * u64::from(processors - 1));
    Some(Finding {
        rule: "make-jobs",
        gain,
        text: format!(
            "`{}` uses {:.1} of {processors} processors for {units} compiler runs: `make -j$(nproc)`",
            row.text,
            row.processors()
        ),
        caveat: "the makefile must allow it, and other steps need processors too",
    })
}

fn wheels(row: &CommandRow) -> Option<Finding> {
    let pip = runs(row, &["pip", "install"]) || runs(row, &["pip3", "install"]) || runs(row, &["uv", "install"]);
    let compile = row.activities.iter().find(|done| done.activity == Activity::Compile)?;
    let all: Nanos = row.activities.iter().map(|done| done.time + done.network).sum();
    let part = |time: Nanos| (u128::from(row.wall.0) * u128::from(time.0)).checked_div(u128::from(all.0)).unwrap_or(0);
    pip.then(|| Finding {
        rule: "compiled-wheels",
        gain: Nanos(part(compile.time) as u64),
        text: format!(
            "`{}` compiles: keep pip's wheels in a cache mount (`--mount=type=cache,target=/root/.cache/pip`), or take packages that have a wheel for this platform",
            row.text
        ),
        caveat: "the first build fills the cache mount",
    })
}

fn download(row: &CommandRow) -> Option<Finding> {
    let fetches = ["curl", "wget", "git"].iter().any(|program| runs(row, &[program]));
    let waited = row.spent.blocked.network;
    (fetches && waited.0 * 2 >= row.wall.0).then(|| Finding {
        rule: "download",
        gain: waited,
        text: format!(
            "`{}` waits {waited} for the network: fetch it in a stage of its own, which runs meanwhile, or with ADD",
            row.text
        ),
        caveat: "it helps where other stages have work in that time",
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ActivityRow, ProgramRow, Spent};
    use super::*;
    use buildscope_record::{Blocked, Observed};

    fn row(text: &str, wall: u64, spent: Spent, cpu: u64) -> CommandRow {
        CommandRow {
            kind: RowKind::Command,
            text: text.into(),
            place: None,
            wall: Nanos(wall),
            drag: Nanos::ZERO,
            cpu: Nanos(cpu),
            spent,
            processes: 1,
            programs: Vec::new(),
            activities: Vec::new(),
        }
    }

    fn found(row: CommandRow) -> Vec<(&'static str, u64)> {
        let inside =
            Inside { observed: Observed::Events, wall: row.wall, rows: vec![row], processes: 1, unseen: Vec::new() };
        findings(&inside, 8).into_iter().map(|finding| (finding.rule, finding.gain.0)).collect()
    }

    const SECOND: u64 = 1_000_000_000;

    fn waits(blocked: Blocked) -> Spent {
        Spent { processor: Nanos(SECOND), blocked, ..Spent::default() }
    }

    #[test]
    fn waits_of_package_managers_are_found() {
        let network = Blocked { network: Nanos(7 * SECOND), ..Blocked::default() };
        assert_eq!(found(row("apt-get update", 8 * SECOND, waits(network), SECOND)), [("package-lists", 7 * SECOND)]);
        let mut install = row(
            "apt-get install -y gcc",
            4 * SECOND,
            waits(Blocked { disk: Nanos(3 * SECOND), ..Blocked::default() }),
            SECOND,
        );
        assert_eq!(found(install.clone()), [], "nothing says that it was dpkg that waited");
        install.programs.push(ProgramRow { program: "dpkg".into(), count: 3, time: Nanos(1), cpu: Nanos(1) });
        assert_eq!(found(install), [("unsafe-io", 3 * SECOND)]);
        assert_eq!(
            found(row(
                "apt-get update",
                SECOND,
                waits(Blocked { network: Nanos(SECOND / 10), ..Blocked::default() }),
                1
            )),
            []
        );
    }

    #[test]
    fn a_make_of_one_job_is_found() {
        let busy = Spent { processor: Nanos(8 * SECOND), ..Spent::default() };
        let compiled = ActivityRow {
            activity: Activity::Compile,
            count: 84,
            time: Nanos(8 * SECOND),
            network: Nanos::ZERO,
            cpu: Nanos(8 * SECOND),
        };
        let mut make = row("make all", 8 * SECOND, busy, 8 * SECOND);
        make.activities.push(compiled);
        assert_eq!(found(make.clone()), [("make-jobs", 7 * SECOND)]);
        make.text = "make -j4 all".into();
        assert_eq!(found(make), []);
    }
}
