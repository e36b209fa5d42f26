//! Suggestions from the inside of a step. Each finding names the command, its gain and what it depends on.

use super::{Activity, CommandRow, Inside, RowKind, SourcePlace};
use buildscope_record::Nanos;

/// A suggestion about one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// The time by which the step could be shorter.
    pub(crate) gain: Nanos,
    /// The suggestion.
    pub(crate) text: String,
    /// The condition under which the gain holds.
    pub(crate) caveat: &'static str,
    /// The place of the command in the Dockerfile.
    pub(crate) place: Option<SourcePlace>,
    /// Words of the command, and what to write instead if that is certain to work.
    pub(crate) change: Option<(String, String)>,
    /// The directory for which it suggests a cache mount: with such a mount it is not given.
    pub(crate) cache: Option<&'static str>,
}

impl Finding {
    fn of(rule: &'static str, row: &CommandRow, gain: Nanos, text: String, caveat: &'static str) -> Self {
        Self { rule, gain, text, caveat, place: row.source, change: None, cache: None }
    }
}

/// The smallest gain that is worth a suggestion.
const LEAST: Nanos = Nanos(500_000_000);
/// A make that has fewer compilers at once, or uses fewer processors, runs one process at a time.
const ONE: f64 = 1.3;

/// What a step ran on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepHost {
    /// The number of processors.
    pub(crate) processors: u32,
    /// Whether a program that syncs a file waits for the disk. It does not on an overlayfs with the option `volatile`.
    pub(crate) syncs: bool,
}

/// Returns the suggestions for the commands of a step.
pub(crate) fn findings(inside: &Inside, host: StepHost) -> Vec<Finding> {
    let commands: Vec<&CommandRow> = inside.rows.iter().filter(|row| row.kind == RowKind::Command).collect();
    let alone = commands
        .iter()
        .flat_map(|row| [package_lists(row), unsafe_io(row, host), jobs(row, host), wheels(row), download(row)]);
    let together = (0..commands.len()).flat_map(|at| {
        let (before, rest) = commands.split_at(at);
        [pruned(before, rest[0]), tests_first(rest[0], &rest[1..])]
    });
    alone.chain(together).flatten().filter(|finding| finding.gain >= LEAST).collect()
}

fn runs(row: &CommandRow, words: &[&str]) -> bool {
    words.iter().all(|word| row.text.split_whitespace().any(|one| one == *word || one.rsplit('/').next() == Some(word)))
}

fn package_lists(row: &CommandRow) -> Option<Finding> {
    let update = runs(row, &["apt-get", "update"]) || runs(row, &["apt", "update"]) || runs(row, &["apk", "update"]);
    let waited = row.spent.blocked.network;
    let text = format!(
        "`{}` waits {waited} for the network: keep the lists in a cache mount (`--mount=type=cache,target=/var/lib/apt`), or start from an image that has the packages",
        row.text
    );
    let caveat = "the network may answer faster another time";
    let finding = Finding::of("package-lists", row, waited, text, caveat);
    update.then_some(Finding { cache: Some("/var/lib/apt"), ..finding })
}

fn unsafe_io(row: &CommandRow, host: StepHost) -> Option<Finding> {
    let dpkg = host.syncs && row.programs.iter().any(|program| program.program.starts_with("dpkg"));
    let waited = row.spent.blocked.disk;
    let text = format!(
        "`{}` waits {waited} for the disk: in an image, dpkg need not sync each file (`-o Dpkg::Options::=--force-unsafe-io`)",
        row.text
    );
    let mut finding = Finding::of("unsafe-io", row, waited, text, "some of these waits may be reads");
    finding.change = with_unsafe_io(&row.text);
    dpkg.then_some(finding)
}

/// Returns the words of a command from `apt-get` to its verb, and the same words with an option for dpkg. `None` if the command has the
/// option, or if a quote or an expansion may change the words.
fn with_unsafe_io(command: &str) -> Option<(String, String)> {
    if command.contains("unsafe-io") {
        return None;
    }
    let words: Vec<&str> = command.split(' ').collect();
    let first = words.iter().position(|word| *word == "apt-get")?;
    let verb = words.iter().position(|word| ["install", "upgrade", "dist-upgrade"].contains(word))?;
    let between = words.get(first + 1..verb)?;
    let plain = |word: &&str| !word.contains(['"', '\'', '$', '`', '\\', ';', '&', '|']);
    let old = words[first..=verb].join(" ");
    let rest = words[first + 1..=verb].join(" ");
    between.iter().all(plain).then(|| (old, format!("apt-get -o Dpkg::Options::=--force-unsafe-io {rest}")))
}

fn jobs(row: &CommandRow, StepHost { processors, .. }: StepHost) -> Option<Finding> {
    let parallel = ["-j", "--jobs", "--parallel"];
    let has_jobs = row.text.split_whitespace().any(|word| parallel.iter().any(|option| word.starts_with(option)));
    let builds = runs(row, &["make"]) || runs(row, &["cmake", "--build"]);
    let compile = row.activities.iter().find(|done| done.activity == Activity::Compile)?;
    // Compilers that wait for a processor of a loaded machine run at the same time, too.
    let at_once = compile.time.as_secs_f64() / compile.wall.as_secs_f64().max(f64::MIN_POSITIVE);
    if !builds || has_jobs || compile.count < 4 || processors < 2 || at_once > ONE || row.processors() > ONE {
        return None;
    }
    let gain = Nanos(row.spent.processor.0 / u64::from(processors) * u64::from(processors - 1));
    let change = with_jobs(&row.text);
    let text = format!(
        "`{}` runs one of its {} compilers at a time and uses {:.1} of {processors} processors: `{}`",
        row.text,
        compile.count,
        row.processors(),
        change.as_deref().unwrap_or("make -j$(nproc)")
    );
    let caveat = "the makefile must allow it, and other steps need processors too";
    let mut finding = Finding::of("make-jobs", row, gain, text, caveat);
    finding.change = change.map(|new| (row.text.clone(), new));
    Some(finding)
}

/// Returns the command with as many jobs as processors; `None` if the position of the option is not certain.
fn with_jobs(command: &str) -> Option<String> {
    if let Some(rest) = command.strip_prefix("make").filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
        return Some(format!("make -j\"$(nproc)\"{rest}"));
    }
    // The directory comes first, and what follows `--` is for the tool that cmake starts.
    let words = command.strip_prefix("cmake --build ")?;
    let (folder, rest) = words.split_at(words.find(' ').unwrap_or(words.len()));
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
    let known = !folder.is_empty() && !folder.starts_with('-') && folder.chars().all(plain);
    known.then(|| format!("cmake --build {folder} --parallel \"$(nproc)\"{rest}"))
}

/// Compiled packages. The cache has also what their compilation needs and what was downloaded; the installation remains.
fn wheels(row: &CommandRow) -> Option<Finding> {
    let (tool, folder) = match ["uv", "pip", "pip3"].into_iter().find(|tool| runs(row, &[tool, "install"]))? {
        "uv" => ("uv", "/root/.cache/uv"),
        _ => ("pip", "/root/.cache/pip"),
    };
    row.activities.iter().find(|done| done.activity == Activity::Compile)?;
    let all: Nanos = row.activities.iter().map(|done| done.time + done.network).sum();
    let cached = [Activity::Compile, Activity::Configure, Activity::Download];
    let saved = row.activities.iter().filter(|done| cached.contains(&done.activity));
    let saved: Nanos = saved.map(|done| done.time + done.network).sum();
    let gain = (u128::from(row.wall.0) * u128::from(saved.0)).checked_div(u128::from(all.0)).unwrap_or(0);
    let uncached = row.text.split_whitespace().find(|word| ["--no-cache-dir", "--no-cache"].contains(word));
    let text = format!(
        "`{}` compiles: keep {tool}'s wheels in a cache mount (`--mount=type=cache,target={folder}`{}), or take packages that have a wheel for this platform",
        row.text,
        uncached.map_or_else(String::new, |option| format!(", without `{option}`")),
    );
    let finding =
        Finding::of("compiled-wheels", row, Nanos(gain as u64), text, "the first build fills the cache mount");
    Some(Finding { cache: Some(folder), ..finding })
}

fn download(row: &CommandRow) -> Option<Finding> {
    let fetches = ["curl", "wget", "git"].iter().any(|program| runs(row, &[program]));
    let waited = row.spent.blocked.network;
    let text = format!(
        "`{}` waits {waited} for the network: download in a stage of its own, which runs in parallel, or with ADD",
        row.text
    );
    let caveat = "only if other stages have work in that time";
    (fetches && waited.0 * 2 >= row.wall.0).then(|| Finding::of("download", row, waited, text, caveat))
}

/// Suggests to leave out development packages that a later command deletes.
fn pruned(before: &[&CommandRow], prune: &CommandRow) -> Option<Finding> {
    let tool = ["npm", "pnpm"].into_iter().find(|tool| runs(prune, &[tool, "prune"]))?;
    let installs = |row: &&&CommandRow| ["ci", "install", "i"].iter().any(|verb| runs(row, &[tool, verb]));
    let install = before.iter().rev().find(installs)?;
    let text = format!(
        "`{}` takes {} to delete packages that `{}` installed, and both read every file: install without development packages in another stage, and copy from it",
        prune.text, prune.wall, install.text
    );
    Some(Finding::of(
        "install-then-prune",
        prune,
        prune.wall,
        text,
        "the other stage downloads the packages once more, in parallel",
    ))
}

/// Suggests a stage of its own for tests that delay the commands after them.
fn tests_first(row: &CommandRow, after: &[&CommandRow]) -> Option<Finding> {
    let done = |row: &CommandRow, wanted: &[Activity]| -> Nanos {
        row.activities.iter().filter(|done| wanted.contains(&done.activity)).map(|done| done.time).sum()
    };
    let all: Nanos = row.activities.iter().map(|done| done.time + done.network).sum();
    let tests = done(row, &[Activity::Test]);
    let next = after.iter().find(|next| done(next, &[Activity::Link, Activity::Compile]).0 * 2 > next.wall.0)?;
    let text = format!(
        "`{}` runs tests for {} before `{}`: run the tests in a stage of their own, which runs in parallel",
        row.text, row.wall, next.text
    );
    let caveat = "builds whose target does not need that stage do not run the tests";
    (tests.0 * 2 > all.0).then(|| Finding::of("tests-first", row, row.wall.min(next.wall), text, caveat))
}

#[cfg(test)]
mod tests {
    use super::super::{ActivityRow, ProgramRow, Spent};
    use super::*;
    use buildscope_record::{Blocked, Observed};

    fn row(text: &str, wall: u64, spent: Spent, cpu: u64) -> CommandRow {
        CommandRow { wall: Nanos(wall), cpu: Nanos(cpu), spent, processes: 1, ..CommandRow::of(RowKind::Command, text) }
    }

    fn inside(rows: Vec<CommandRow>) -> Inside {
        let wall = rows.iter().map(|row| row.wall).sum();
        Inside { observed: Observed::Events, resolution: Nanos::ZERO, wall, rows, processes: 1, unseen: Vec::new() }
    }

    fn found(row: CommandRow) -> Vec<(&'static str, u64)> {
        findings(&inside(vec![row]), HOST).into_iter().map(|finding| (finding.rule, finding.gain.0)).collect()
    }

    const SECOND: u64 = 1_000_000_000;
    const HOST: StepHost = StepHost { processors: 8, syncs: true };

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
        assert_eq!(unsafe_io(&install, StepHost { syncs: false, ..HOST }), None);
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
    fn a_change_is_suggested_only_where_it_works() {
        let disk = Blocked { disk: Nanos(3 * SECOND), ..Blocked::default() };
        let mut install = row("apt-get install -y gcc", 4 * SECOND, waits(disk), SECOND);
        install.programs.push(ProgramRow { program: "dpkg".into(), count: 3, time: Nanos(1), cpu: Nanos(1) });
        let mut change = |text: &str| {
            install.text = text.into();
            unsafe_io(&install, HOST).unwrap().change
        };
        let option = "apt-get -o Dpkg::Options::=--force-unsafe-io";
        let expected = |old: &str, rest: &str| Some((old.to_owned(), format!("{option} {rest}")));
        assert_eq!(change("apt-get install -y gcc"), expected("apt-get install", "install"));
        assert_eq!(
            change("DEBIAN_FRONTEND=noninteractive apt-get -qy upgrade"),
            expected("apt-get -qy upgrade", "-qy upgrade")
        );
        assert_eq!(change("apt-get $options install gcc"), None);
        assert_eq!(change(&format!("{option} install gcc")), None);
        assert_eq!(change("apt install gcc"), None);
    }

    fn does(text: &str, wall: u64, activity: Activity) -> CommandRow {
        let time = Nanos(wall * SECOND);
        let done = ActivityRow { activity, count: 1, wall: time, time, network: Nanos::ZERO, cpu: time };
        CommandRow { activities: vec![done], ..row(text, wall * SECOND, Spent::default(), 0) }
    }

    fn found_in(rows: Vec<CommandRow>) -> Vec<(&'static str, u64)> {
        findings(&inside(rows), HOST).into_iter().map(|finding| (finding.rule, finding.gain.0 / SECOND)).collect()
    }

    #[test]
    fn advice_depends_on_the_order_of_commands() {
        let install = || does("npm ci", 9, Activity::Unpack);
        let prune = || does("npm prune --omit=dev", 3, Activity::Unpack);
        assert_eq!(found_in(vec![install(), prune()]), [("install-then-prune", 3)]);
        assert_eq!(found_in(vec![prune(), install()]), []);
        let (test, link) = (|| does("./run-tests", 5, Activity::Test), || does("gcc -o x *.o", 4, Activity::Link));
        assert_eq!(found_in(vec![test(), link()]), [("tests-first", 4)]);
        assert_eq!(found_in(vec![link(), test()]), []);
    }

    /// Two packages without a wheel took 19.8 s, and with wheels in a cache mount 3.9 s.
    #[test]
    fn a_cache_of_wheels_saves_all_but_the_installation() {
        let done = |activity, seconds: u64| ActivityRow {
            activity,
            count: 1,
            wall: Nanos(seconds * SECOND),
            time: Nanos(seconds * SECOND),
            network: Nanos::ZERO,
            cpu: Nanos::ZERO,
        };
        let compiles = |text: &str| {
            let activities =
                [(Activity::Compile, 5), (Activity::Configure, 2), (Activity::Download, 1), (Activity::Unpack, 2)];
            let activities = activities.map(|(activity, seconds)| done(activity, seconds)).to_vec();
            CommandRow { activities, ..row(text, 20 * SECOND, Spent::default(), 0) }
        };
        let finding = wheels(&compiles("pip install --no-cache-dir ujson")).unwrap();
        assert_eq!(finding.gain, Nanos(16 * SECOND));
        assert!(finding.text.contains("/root/.cache/pip`, without `--no-cache-dir`)"), "{}", finding.text);
        let finding = wheels(&compiles("uv pip install ujson")).unwrap();
        assert!(
            finding.text.contains("keep uv's wheels in a cache mount (`--mount=type=cache,target=/root/.cache/uv`)")
        );
        assert_eq!(wheels(&compiles("python setup.py install")), None);
    }

    #[test]
    fn a_make_of_one_job_is_found() {
        let busy = Spent { processor: Nanos(8 * SECOND), ..Spent::default() };
        let compiled = ActivityRow {
            activity: Activity::Compile,
            count: 84,
            wall: Nanos(8 * SECOND),
            time: Nanos(8 * SECOND),
            network: Nanos::ZERO,
            cpu: Nanos(8 * SECOND),
        };
        let mut make = row("make all", 8 * SECOND, busy, 8 * SECOND);
        make.activities.push(compiled);
        assert_eq!(found(make.clone()), [("make-jobs", 7 * SECOND)]);
        // Two at a time, which share a processor with other programs.
        let mut two = make.clone();
        two.activities[0].time = Nanos(16 * SECOND);
        assert_eq!(found(two), []);
        assert_eq!(jobs(&make, HOST).unwrap().change.unwrap().1, "make -j\"$(nproc)\" all");
        make.text = "make -j4 all".into();
        assert_eq!(found(make.clone()), []);
        make.text = "cmake --build out --target all".into();
        let finding = jobs(&make, HOST).unwrap();
        assert_eq!(finding.change.unwrap().1, "cmake --build out --parallel \"$(nproc)\" --target all");
        assert!(finding.text.ends_with("`cmake --build out --parallel \"$(nproc)\" --target all`"), "{}", finding.text);
        make.text = "cmake --build out --parallel 2".into();
        assert_eq!(found(make), []);
        assert_eq!(with_jobs("cmake --build \"$out\""), None);
        assert_eq!(with_jobs("cmake --build .").as_deref(), Some("cmake --build . --parallel \"$(nproc)\""));
    }
}
