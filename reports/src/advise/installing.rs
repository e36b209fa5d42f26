//! Rules about installs: the copies before them, the stages that they wait for, and their caches.

use super::case::{Case, about, takes_all, words};
use super::installs::{Needs, installer, installs, offline, only_installs};
use super::suggestion::Advice;
use crate::steps::StepExplanation;
use crate::wording::quote_located;
use buildscope_record::{Nanos, Outcome};
use std::collections::BTreeSet;

/// `COPY . .` before an install: any changed file makes the install run again.
pub(super) fn copy_before_install(case: &Case<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut fetched = BTreeSet::new();
    for run in case.ran().filter(|step| step.instruction == "RUN" && case.worth(step.drag)) {
        let Some((_, needs)) = installs(&run.text) else { continue };
        let before = case.analysis.steps[..run.id.index()].iter().filter(|step| step.stage == run.stage);
        let Some(copy) = before.filter(|step| step.outcome != Outcome::Pruned).find(|step| takes_all(step)) else {
            continue;
        };
        let alone = only_installs(&run.text);
        // The destination and the flags of the copy.
        let flags = copy.text.split_whitespace().skip(1).take_while(|word| word.starts_with("--"));
        let flags: String = flags.map(|flag| format!("{flag} ")).collect();
        let into = words(&copy.text).last().filter(|into| *into != ".").unwrap_or("./");
        let into = if into.ends_with('/') { into.to_owned() } else { format!("{into}/") };
        let manifests = |files: &[String]| {
            let there: Vec<&str> = files.iter().map(String::as_str).filter(|file| case.has(copy, file)).collect();
            (!there.is_empty()).then(|| format!("COPY {flags}{} {into}", there.join(" ")))
        };
        let (gone, kept, back) = (format!("-{}", copy.text), format!(" {}", run.text), format!("+{}", copy.text));
        let (how, diff) = match &needs {
            Needs::Files(files) => {
                let diff = manifests(files).map(|copy| vec![gone, format!("+{copy}"), kept, back]);
                (format!("copy {} alone before {}, and the rest after it", files.join(" "), quote_located(run)), diff)
            }
            Needs::Nothing => (
                format!("copy the sources after {}, which needs none of them", quote_located(run)),
                Some(vec![gone, kept, back]),
            ),
            // The install of the project itself, without dependencies.
            Needs::Sources(_, None) if !run.text.contains("cargo ") => continue,
            Needs::Sources(files, None) => {
                let how =
                    "compile the dependencies alone before the sources are copied (with a stub of them, or cargo-chef)";
                (format!("{how}: {} say what {} needs", files.join(" "), quote_located(run)), None)
            }
            // The dependencies that one command fetched are there for the next.
            Needs::Sources(_, Some(fetch)) if alone && !fetched.insert((copy.id, *fetch)) => continue,
            Needs::Sources(files, Some(fetch)) => {
                let fetched = |copy| vec![gone, format!("+{copy}"), format!("+RUN {fetch}"), back, kept];
                let how = format!("copy {} and `{fetch}` before the sources are copied for", files.join(" "));
                (format!("{how} {}", quote_located(run)), manifests(files).map(fetched))
            }
        };
        let text = format!("{how}: then that is in the cache when only other files of the context change");
        let caveat = match needs {
            Needs::Sources(..) => "an upper bound: what compiles the sources themselves runs again in any case",
            _ => "gained when the sources change and the dependencies do not",
        };
        let mut advice = about(run, "copy-before-install", run.drag, text, caveat);
        // The other commands of the RUN may need the sources.
        advice.diff = diff.filter(|_| alone).unwrap_or_default();
        found.push(advice);
    }
    found
}

/// An install after a copy from another stage waits for that stage, even if it needs nothing from it.
pub(super) fn late_copy(case: &Case<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    for run in case.ran().filter(|step| step.instruction == "RUN" && case.worth(step.drag)) {
        let needs_none = matches!(installs(&run.text), Some((_, Needs::Nothing)));
        if !needs_none || !only_installs(&run.text) || run.text.contains("from=") {
            continue;
        }
        let before = case.analysis.steps[..run.id.index()].iter().rev().filter(|step| step.stage == run.stage);
        // From the RUN upwards: the copies that it could be moved before.
        let copies: Vec<_> =
            before.take_while(|step| step.instruction == "COPY" && step.text.contains("--from=")).collect();
        let Some(first) = copies.last() else { continue };
        let ready = case.analysis.steps[..first.id.index()].iter().rev().filter(|step| step.stage == run.stage);
        let ready = ready.filter_map(|step| Some(step.start? + step.duration)).next().unwrap_or(Nanos::ZERO);
        let waited = first.start.unwrap_or(Nanos::ZERO).saturating_sub(ready);
        let gain = waited.min(run.drag);
        if !case.worth(gain) {
            continue;
        }
        let text = format!(
            "install before copying from other stages: {} could run while they are built, instead of {waited} later",
            quote_located(run)
        );
        let caveat = "only where it needs nothing of what is copied; steps that run at once share processors";
        let mut advice = about(run, "late-copy", gain, text, caveat);
        let copies: Vec<_> = copies.iter().rev().map(|copy| &copy.text).collect();
        let gone = copies.iter().map(|text| format!("-{text}"));
        advice.diff =
            gone.chain([format!(" {}", run.text)]).chain(copies.iter().map(|text| format!("+{text}"))).collect();
        found.push(advice);
    }
    found
}

/// An install without a cache mount downloads and compiles everything again.
pub(super) fn cache_mount(case: &Case<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    let without = |step: &&StepExplanation| {
        step.instruction == "RUN" && !step.text.contains("type=cache") && !offline(&step.text) && case.worth(step.drag)
    };
    for run in case.ran().filter(without) {
        let Some(installer) = installer(&run.text).filter(|installer| !installer.cache.is_empty()) else { continue };
        let sharing = if installer.locked { ",sharing=locked" } else { "" };
        let mount = format!("--mount=type=cache,target={}{sharing}", installer.cache);
        let text = format!(
            "give {} a cache mount: what it downloads or compiles is then there the next time it runs",
            quote_located(run)
        );
        let caveat = if installer.locked {
            "an upper bound, gained from the second run on; Debian's images empty it until /etc/apt/apt.conf.d/docker-clean is removed"
        } else {
            "an upper bound, gained from the second run on; the directory is that of root"
        };
        let mut advice = about(run, "cache-mount", run.drag, text, caveat);
        let rest = run.text.split_once(' ').map_or("", |(_, rest)| rest);
        advice.diff = vec![format!("-{}", run.text), format!("+RUN {mount} {rest}")];
        found.push(advice);
    }
    found
}
