//! Suggestions about package managers and downloads.

use super::calls::{Leaf, words};
use super::{Finding, StepHost};
use crate::inside::{Activity, CommandRow};
use buildscope_commands::{Cacheless, Development, Invocation, Tool, Usage, Work, recognise};
use buildscope_record::{Nanos, Synced};

/// Lists of packages, which a command of its own fetches.
pub(super) fn lists(leaf: &Leaf<'_>, call: &Invocation, host: StepHost<'_>) -> Option<Finding> {
    let usage = recognise(call, host.around).filter(|usage| usage.work == Work::Prepare)?;
    let cache = usage.caches.into_iter().next()?;
    let waited = leaf.row.spent.blocked.network;
    let text = format!(
        "`{}` waits {waited} for the network: keep the lists in a cache mount (`{}`), or start from an image that has the packages",
        leaf.row.text,
        cache.flag()
    );
    let caveat = "the network may answer faster another time; each RUN that installs packages needs the same mount";
    let finding = Finding::at("package-lists", leaf, waited, text, caveat);
    Some(Finding { cache: Some(cache), ..finding })
}

/// The syncs of dpkg.
pub(super) fn unsafe_io(leaf: &Leaf<'_>, host: StepHost<'_>) -> Option<Finding> {
    let row = leaf.row;
    let dpkg = row.programs.iter().filter(|program| program.program.starts_with("dpkg"));
    let has_it = ["unsafe-io", "eatmydata"].iter().any(|word| row.text.contains(word));
    if !host.syncs || has_it || dpkg.clone().next().is_none() {
        return None;
    }
    let synced = dpkg.filter_map(|program| program.synced).reduce(|mut sum, synced| {
        sum += synced;
        sum
    });
    let (waited, subject, caveat) = match synced {
        Some(Synced { files, database }) => {
            (files, "until files are on the disk", format!("dpkg still syncs its own database, which took {database}"))
        }
        None => {
            let bound = "an upper bound: dpkg syncs its own database in any case, and reads";
            (row.spent.blocked.disk, "for the disk", bound.to_owned())
        }
    };
    let direct = leaf.calls.iter().any(|call| call.program() == "dpkg");
    let option = if direct { "--force-unsafe-io" } else { "-o Dpkg::Options::=--force-unsafe-io" };
    let text =
        format!("`{}` waits {waited} {subject}: in an image, dpkg need not sync each file (`{option}`)", row.text);
    let mut finding = Finding::at("unsafe-io", leaf, waited, text, &caveat);
    if leaf.is_written() {
        finding.change = with_unsafe_io(&row.text);
    }
    Some(finding)
}

/// Returns the words of a command from the program to its verb, and the same words with an option for dpkg. `None` if a quote or an
/// expansion may change the words.
fn with_unsafe_io(command: &str) -> Option<(String, String)> {
    let all: Vec<&str> = command.split(' ').collect();
    let first = all.iter().position(|word| ["apt-get", "apt", "dpkg"].contains(word))?;
    let verbs: &[&str] = match all[first] {
        "dpkg" => &["-i", "--install", "--unpack", "--configure"],
        _ => &["install", "upgrade", "dist-upgrade", "full-upgrade"],
    };
    let verb = first + all[first..].iter().position(|word| verbs.contains(word))?;
    let plain = |word: &&str| !word.contains(['"', '\'', '$', '`', '\\', ';', '&', '|']);
    let option = if all[first] == "dpkg" { "--force-unsafe-io" } else { "-o Dpkg::Options::=--force-unsafe-io" };
    let rest = all[first + 1..=verb].join(" ");
    let between = all[first + 1..verb].iter();
    between.clone().all(plain).then(|| (all[first..=verb].join(" "), format!("{} {option} {rest}", all[first])))
}

/// Compiled packages. The cache has also what their compilation needs and what was downloaded; the installation remains.
pub(super) fn wheels(leaf: &Leaf<'_>, call: &Invocation, host: StepHost<'_>) -> Option<Finding> {
    let row = leaf.row;
    let usage = recognise(call, host.around)?;
    let keeps = matches!(usage.tool, Tool::Pip | Tool::Uv | Tool::Poetry | Tool::Pipenv | Tool::Pdm);
    if !keeps || usage.work != Work::Install || usage.tool == Tool::Pip && is_local(call) {
        return None;
    }
    if usage.tool == Tool::Pip && runs_setup(row) {
        return wheel_first(leaf);
    }
    row.activities.iter().find(|done| done.activity == Activity::Compile)?;
    let all: Nanos = row.activities.iter().map(|done| done.time + done.network).sum();
    let cached = [Activity::Compile, Activity::Configure, Activity::Download];
    let saved = row.activities.iter().filter(|done| cached.contains(&done.activity));
    let saved: Nanos = saved.map(|done| done.time + done.network).sum();
    let gain = (u128::from(row.wall.0) * u128::from(saved.0)).checked_div(u128::from(all.0)).unwrap_or(0);
    let cache = usage.caches.first().cloned();
    let without = match usage.cacheless {
        Some(Cacheless::Option(name) | Cacheless::Variable(name)) => format!(", without `{name}`"),
        None => String::new(),
    };
    let mount = match &cache {
        Some(cache) => format!(" (`{}`{without})", cache.flag()),
        None => without,
    };
    let text = format!(
        "`{}` compiles: keep {}'s wheels in a cache mount{mount}, or take packages that have a wheel for this platform",
        row.text,
        usage.tool.name(),
    );
    let has = |option: &str| call.arguments().iter().any(|word| word.text.starts_with(option));
    let caveat = if usage.tool == Tool::Pip && has("--no-binary") {
        "the first build fills the cache mount; pip before 23.1 keeps no wheels of what `--no-binary` names"
    } else {
        "the first build fills the cache mount"
    };
    let finding = Finding::at("compiled-wheels", leaf, Nanos(gain as u64), text, caveat);
    Some(Finding { cache, ..finding })
}

/// Whether pip runs `setup.py install`: it makes no wheel then.
fn runs_setup(row: &CommandRow) -> bool {
    let installs = |row: &CommandRow| row.activities.iter().any(|done| done.activity == Activity::Unpack);
    row.inner.iter().any(|inner| inner.text.contains("<pip-setuptools-caller>") && installs(inner) || runs_setup(inner))
}

/// Without the package `wheel`, a cache would only have what is downloaded.
fn wheel_first(leaf: &Leaf<'_>) -> Option<Finding> {
    let row = leaf.row;
    let repeated = [Activity::Compile, Activity::Configure, Activity::Download, Activity::Unpack];
    let repeated = row.activities.iter().filter(|done| repeated.contains(&done.activity));
    let gain = repeated.map(|done| done.time + done.network).sum::<Nanos>().min(row.wall);
    let text = format!(
        "`{}` keeps no wheels, because the package `wheel` is missing: install it before, and keep pip's wheels in a cache mount",
        row.text
    );
    let caveat = "the first build fills the cache mount; an upper bound, which includes the installation";
    Some(Finding::at("compiled-wheels", leaf, gain, text, caveat))
}

/// Whether pip installs only directories, of whose wheels it keeps none.
fn is_local(call: &Invocation) -> bool {
    let listed = call.arguments().iter().any(|word| {
        word.text.starts_with("-r") || word.text.starts_with("--requirement") || word.text.starts_with("--group")
    });
    let named = words(call);
    let packages = named.iter().skip_while(|word| !matches!(**word, "install" | "wheel")).skip(1);
    let is_path = |word: &&str| word.starts_with(['.', '/']) && !word.ends_with(".gz");
    !listed && packages.clone().next().is_some() && packages.copied().all(|word| is_path(&word))
}

/// A download that nothing else in the step runs next to.
pub(super) fn download(leaf: &Leaf<'_>, call: &Invocation) -> Option<Finding> {
    let sends = ["-T", "--upload-file", "-d", "--data", "-F", "--form", "--post-data", "--post-file"];
    let fetches = match call.program() {
        "curl" | "wget" | "aria2c" => !sends.iter().any(|option| call.has(option)),
        "git" => words(call).first().is_some_and(|verb| ["clone", "fetch", "pull", "submodule", "lfs"].contains(verb)),
        _ => false,
    };
    let waited = leaf.row.spent.blocked.network;
    let text = format!(
        "`{}` waits {waited} for the network: download in a stage of its own, which runs in parallel, or with ADD",
        leaf.row.text
    );
    let caveat = "only if other stages have work in that time";
    (fetches && waited.0 * 2 >= leaf.row.wall.0).then(|| Finding::at("download", leaf, waited, text, caveat))
}

/// Suggests to leave out development packages that a later command deletes. `before` are the commands of earlier steps, `earlier` those of
/// this one.
pub(super) fn pruned(
    before: &[&CommandRow],
    earlier: &[&Leaf<'_>],
    prune: &Leaf<'_>,
    host: StepHost<'_>,
) -> Option<Finding> {
    let usages =
        |calls: &[Invocation]| -> Vec<Usage> { calls.iter().filter_map(|call| recognise(call, host.around)).collect() };
    // Yarn deletes them by an install without them.
    let deletes = |usage: &Usage| {
        usage.development == Development::LeftOut && (usage.work == Work::Clean || usage.tool == Tool::Yarn)
    };
    let tool = usages(&prune.calls).into_iter().find(deletes)?.tool;
    let installs = |calls: &[Invocation]| {
        usages(calls).iter().any(|usage| usage.tool == tool && usage.development == Development::Installed)
    };
    let here = earlier.iter().rev().find(|leaf| installs(&leaf.calls)).map(|leaf| leaf.row);
    // The texts of other steps are read where they matter.
    let install = here.or_else(|| before.iter().rev().copied().find(|row| installs(&Leaf::of(row, None).calls)))?;
    let text = format!(
        "`{}` takes {} to delete packages that `{}` installed, and both read every file: install without development packages in another stage, and copy from it",
        prune.row.text, prune.row.wall, install.text
    );
    let caveat = "the other stage downloads the packages once more, in parallel, and copying them takes time";
    Some(Finding::at("install-then-prune", prune, prune.row.wall, text, caveat))
}
