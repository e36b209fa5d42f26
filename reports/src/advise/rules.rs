//! The rules. Each looks for one problem.

use super::case::{AdviceCase, about};
use super::context::unused_context;
use super::installing::{cache_mount, copy_before_install, late_copy, split_run};
use super::parts::independent_parts;
use super::suggestion::Advice;
use crate::counterpart::Counterparts;
use crate::dialect::{self, CacheMounts};
use crate::inside::Inside;
use crate::inside::advice::{Finding, StageStep, StepHost, findings};
use crate::needless::NeedlessWait;
use crate::steps::StepExplanation;
use crate::whatif::{ChangeKind, RankedChange, Scenario, Selector};
use crate::wording::{percent, quote, quote_located};
use buildscope_commands::rules::{
    CacheAdvice, Changer, Edit, InstructionChange, RecursiveChange, merged, missing_caches, recursive_changes,
};
use buildscope_commands::{Cache, words_at};
use buildscope_record::{DriverName, Instruction, Nanos, Outcome, Phase, WaitKind};

type Rule = fn(&AdviceCase<'_>) -> Vec<Advice>;

/// All rules. Their order decides between advice of the same gain.
pub(super) const ALL: [Rule; 15] = [
    copy_before_install,
    late_copy,
    cache_mount,
    recursive_chown,
    many_small_runs,
    split_run,
    independent_parts,
    needless_order,
    bottleneck,
    unused_context,
    compression,
    base_pull,
    commands_inside,
    pressure,
    slower_than_before,
];

/// A recursive chown copies every file into a new layer.
fn recursive_chown(case: &AdviceCase<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    let changes = recursive_changes(case.file);
    for run in case.runs() {
        let own = |change: &&RecursiveChange| change.run == run.id.index() && change.program == Changer::Chown;
        let Some(change) = changes.iter().find(own) else { continue };
        let size = run.layer.map(|layer| format!(" of {}", layer.bytes)).unwrap_or_default();
        let text = format!(
            "let COPY set the owner (`--chown={}`) instead of {}: its layer{size} holds the files a second time",
            change.value,
            quote_located(run)
        );
        // The directory itself keeps a chown of its own.
        let fixed = [Phase::SandboxSetup, Phase::SandboxTeardown];
        let stays = run.phases.iter().filter(|row| row.name.is_one_of(&fixed)).map(|row| row.wall).sum();
        let gain = run.drag.saturating_sub(stays);
        let advice = about(run, "recursive-chown", gain, text, "only for files that a COPY brings");
        found.push(case.edited(advice, change.edits.clone()));
    }
    found
}

/// Consecutive RUNs that are mostly overhead: each has its own sandbox and its own layer.
fn many_small_runs(case: &AdviceCase<'_>) -> Vec<Advice> {
    let process = |step: &StepExplanation| -> Nanos {
        step.phases.iter().filter(|row| row.name == Phase::Process).map(|row| row.work).sum()
    };
    let steps: Vec<&StepExplanation> = case.ran().collect();
    let rows = steps.chunk_by(|a, b| {
        a.stage == b.stage && [a, b].iter().all(|step| step.instruction == Instruction::Run) && b.id.0 == a.id.0 + 1
    });
    let advice = rows.filter(|row| row.len() >= 3 && row[0].instruction == Instruction::Run).filter_map(|row| {
        let overhead: Nanos =
            row.iter().filter(|step| step.on_path).map(|step| step.own.saturating_sub(process(step))).sum();
        let gain = Nanos(overhead.0 / row.len() as u64 * (row.len() as u64 - 1));
        let text = format!(
            "merge the {} RUNs from {} on: {overhead} of their time is spent on sandboxes and layers, not on their commands",
            row.len(),
            quote_located(row[0])
        );
        (case.worth(gain) && gain.0 > case.analysis.record.wall.0 / 10).then(|| {
            let caveat = "one changed command then runs them all again";
            let advice = about(row[0], "many-small-runs", gain, text, caveat);
            let steps: Vec<usize> = row.iter().map(|step| step.id.index()).collect();
            let Some(merged) = merged(case.file, &steps) else { return advice };
            let (last, others) = (steps[steps.len() - 1], &steps[..steps.len() - 1]);
            let gone = others.iter().map(|&step| Edit { step, change: InstructionChange::Remove });
            let whole = Edit { step: last, change: InstructionChange::Lines(vec![format!("RUN {merged}")]) };
            case.edited(advice, gone.chain([whole]).collect())
        })
    });
    advice.collect()
}

/// The order of the policy delays steps that could run.
fn needless_order(case: &AdviceCase<'_>) -> Vec<Advice> {
    let Some(needless) = NeedlessWait::longest(case.analysis).filter(|needless| case.worth(needless.lost)) else {
        return Vec::new();
    };
    let step = &case.analysis.steps[needless.step.index()];
    let record = case.analysis.record;
    let present = record.options.policy.unwrap_or_default();
    let Some(change) = dialect::less_order(&record.source.tool, present) else { return Vec::new() };
    let text = format!("{change}: {}", needless.sentence(case.analysis));
    vec![about(step, "needless-order", needless.lost, text, "steps that run at once share processors, disk and memory")]
}

/// Advice about slots and locks, from the ranking.
fn bottleneck(case: &AdviceCase<'_>) -> Vec<Advice> {
    let advice = |change: &RankedChange| match change.kind {
        ChangeKind::UnlimitedSlots { .. } => Some(of_build("slots", change, case)),
        ChangeKind::SharedCacheMounts => Some(locked_cache_mount(case, change)),
        _ => None,
    };
    case.ranked.changes.iter().filter_map(advice).collect()
}

/// A change as advice for the build as a whole.
fn of_build(rule: &str, change: &RankedChange, case: &AdviceCase<'_>) -> Advice {
    Advice {
        rule: rule.into(),
        text: change.kind.sentence(&case.analysis.steps, &case.analysis.record.source.tool),
        gain: change.gain,
        caveat: change.kind.caveat().into(),
        step: None,
        line: None,
        column: None,
        diff: Vec::new(),
        edits: Vec::new(),
    }
}

/// Names the step that waited longest for the lock of a cache mount.
fn locked_cache_mount(case: &AdviceCase<'_>, change: &RankedChange) -> Advice {
    const RULE: &str = "locked-cache-mount";
    let record = case.analysis.record;
    let whole = of_build(RULE, change, case);
    let waited = |step: &&StepExplanation| -> Nanos {
        let waits = record.waits.iter().filter(|wait| wait.step == step.id && wait.kind == WaitKind::Lock);
        waits.map(|wait| wait.end.saturating_sub(wait.start)).sum()
    };
    let locking: Vec<_> = case.ran().filter(|step| !record.steps[step.id.index()].locks.is_empty()).collect();
    let Some(worst) = locking.iter().copied().max_by_key(waited) else { return whole };
    let text = format!("{}: {} waited {} for a lock", whole.text, quote_located(worst), waited(&worst));
    let shared = |step: &&StepExplanation| step.text.contains("sharing=locked");
    let edits = locking.iter().copied().filter(shared).flat_map(|step| {
        let mounts =
            step.text.split_whitespace().filter(|word| word.starts_with("--mount=") && word.contains("sharing=locked"));
        mounts.map(|mount| {
            let to = mount.replace("sharing=locked", "sharing=shared");
            Edit { step: step.id.index(), change: InstructionChange::Word { from: mount.to_owned(), to } }
        })
    });
    case.edited(about(worst, RULE, whole.gain, text, &whole.caveat), edits.collect())
}

/// Compression that takes a large part of the build.
fn compression(case: &AdviceCase<'_>) -> Vec<Advice> {
    let spent = percent(case.phases(&[Phase::Compress]), case.analysis.record.wall);
    let mut spans = case.analysis.record.spans.iter().filter(|span| span.phase == Phase::Compress);
    let (times, text, caveat) = if spans.all(|span| span.name.as_deref() == Some("zstd")) {
        (
            f64::INFINITY,
            format!("do not compress a local result: {spent} of the build is compression, though with zstd"),
            "an upper bound: larger results take longer to write",
        )
    } else {
        (
            4.0,
            format!(
                "compress with zstd or a lower level, or not at all for a local result: {spent} of the build is compression"
            ),
            "assumes that it is four times faster; old clients read only gzip",
        )
    };
    let gain = case.gain(&Scenario { faster: vec![(Selector::Phase(Phase::Compress), times)], ..Scenario::default() });
    let advice = Advice {
        rule: "compression".into(),
        text,
        gain,
        caveat: caveat.into(),
        step: None,
        line: None,
        column: None,
        diff: Vec::new(),
        edits: Vec::new(),
    };
    if case.worth(gain) { vec![advice] } else { Vec::new() }
}

/// Base images that are fetched and unpacked first.
fn base_pull(case: &AdviceCase<'_>) -> Vec<Advice> {
    const FETCHING: [Phase; 3] = [Phase::Resolve, Phase::Pull, Phase::Unpack];
    let spent = case.phases(&FETCHING);
    // Each remedy with the parts that it makes shorter. A base of this machine needs no mirror.
    let remedies: [(&str, &[Phase]); 3] = [
        ("a local mirror", &[Phase::Pull]),
        ("a smaller base", &[Phase::Pull, Phase::Unpack]),
        ("a pinned digest", &[Phase::Resolve]),
    ];
    let useful = remedies.iter().filter(|(_, phases)| case.phases(phases).0 > spent.0 / 10);
    let text = format!(
        "wait less for base images ({}): the build waited {} of its time for them",
        useful.map(|(remedy, _)| *remedy).collect::<Vec<_>>().join(", "),
        percent(spent, case.analysis.record.wall)
    );
    let caveat = "an upper bound; no gain on a machine that already has them";
    let fetched = |step: &&StepExplanation| -> Nanos {
        step.phases.iter().filter(|row| row.name.is_one_of(&FETCHING)).map(|row| row.work).sum()
    };
    let worst = case.analysis.steps.iter().max_by_key(fetched).filter(|step| fetched(step) > Nanos::ZERO);
    let advice = Advice {
        rule: "base-pull".into(),
        text,
        gain: spent,
        caveat: caveat.into(),
        step: worst.map(|step| step.id),
        line: worst.and_then(|step| step.source).map(|source| source.line),
        column: None,
        diff: Vec::new(),
        edits: Vec::new(),
    };
    if spent.0 > case.analysis.record.wall.0 / 10 && case.worth(spent) { vec![advice] } else { Vec::new() }
}

/// Advice from the processes inside a step.
fn commands_inside(case: &AdviceCase<'_>) -> Vec<Advice> {
    let record = case.analysis.record;
    // These drivers mount an overlayfs that does not sync.
    let syncs = !matches!(record.options.driver, Some(DriverName::Erofs | DriverName::Overlay));
    let steps: Vec<_> = case.ran().filter_map(|step| Some((step, step.inside.as_ref()?))).collect();
    let missing = match CacheMounts::of(&record.source.tool) {
        CacheMounts::Known => missing_caches(case.file, case.facts),
        CacheMounts::With(_) | CacheMounts::Unknown => Vec::new(),
    };
    let mut found = Vec::new();
    for (at, &(step, inside)) in steps.iter().enumerate().filter(|(_, (step, _))| case.worth(step.drag)) {
        let before = of_stage(step, &steps[..at]);
        let after = of_stage(step, &steps[at + 1..]);
        let around = &case.file.steps[step.id.index()].around;
        let host = StepHost { processors: record.host.cpus.unwrap_or(1), syncs, around };
        let findings = findings(StageStep { before: &before, inside, after: &after }, host);
        found.extend(findings.into_iter().filter_map(|finding| inside_step(case, step, &missing, finding)));
    }
    found
}

/// The insides of those steps that are of the same stage.
fn of_stage<'c>(step: &StepExplanation, others: &[(&StepExplanation, &'c Inside)]) -> Vec<&'c Inside> {
    others.iter().filter(|(other, _)| other.stage == step.stage).map(|(_, inside)| *inside).collect()
}

/// What is found inside a step as advice; `None` if the Dockerfile has it already.
fn inside_step(
    case: &AdviceCase<'_>,
    step: &StepExplanation,
    missing: &[CacheAdvice],
    finding: Finding,
) -> Option<Advice> {
    let run = step.id.index();
    let is_cached = finding.cache.as_ref().is_some_and(|cache| has_cache(&step.text, &cache.target));
    // dpkg reads it from a file.
    let is_set = |text: &str| text.contains("force-unsafe-io");
    let is_unsafe = finding.rule == "unsafe-io"
        && case.analysis.steps[..run].iter().any(|before| before.stage == step.stage && is_set(&before.text));
    if is_cached || is_unsafe {
        return None;
    }
    let of_cache = |advice: &&CacheAdvice| {
        let has = |cache: &Cache| advice.caches.iter().any(|other| other.target == cache.target);
        advice.run == run && finding.cache.as_ref().is_some_and(has)
    };
    let mount = missing.iter().find(of_cache);
    let mut conditions = vec![finding.caveat];
    conditions.extend(mount.iter().flat_map(|advice| advice.also.iter().cloned()));
    if let (Some(_), CacheMounts::With(builder)) = (&finding.cache, CacheMounts::of(&case.analysis.record.source.tool))
    {
        conditions.push(builder.to_owned());
    }
    let caveat = conditions.join("; ");
    let advice = about(step, finding.rule, finding.gain.min(step.drag), finding.text, &caveat);
    let line = finding.place.map(|place| place.line).or(advice.line);
    let advice = Advice { line, column: finding.place.map(|place| place.column), ..advice };
    let change = finding.change.and_then(|(old, new)| replaced(step, &case.texts[run], &old, &new));
    let edits: Vec<Edit> = match mount {
        Some(mount) => mount.edits.clone(),
        None => change.into_iter().collect(),
    };
    Some(if edits.is_empty() { advice } else { case.edited(advice, edits) })
}

/// Whether a RUN has a cache mount for this directory, a directory that contains it, or one of another user's that ends like it.
fn has_cache(run: &str, folder: &str) -> bool {
    let end = format!("{}/", folder.strip_prefix("/root").unwrap_or(folder));
    buildscope_commands::Instruction::read(run).cache_mounts().into_iter().any(|target| {
        let target = format!("{}/", target.trim_matches(['"', '\'']).trim_end_matches('/'));
        target.contains(&end) || folder.starts_with(&target)
    })
}

/// The change that replaces words of a step, if its text has them once. A string in a JSON array has no shell around it.
fn replaced(step: &StepExplanation, text: &str, old: &str, new: &str) -> Option<Edit> {
    step.source?;
    if buildscope_commands::Instruction::read(&step.text).json().is_some() {
        return None;
    }
    let once = |words: &str| words_at(text, words).count() == 1;
    let (mut old, mut new) = (old, new);
    if !once(old) {
        return None;
    }
    // The unchanged words at the end may be on another line of the Dockerfile.
    while let (Some((before, last)), Some((other, same))) = (old.rsplit_once(' '), new.rsplit_once(' '))
        && last == same
        && once(before)
    {
        (old, new) = (before, other);
    }
    Some(Edit { step: step.id.index(), change: InstructionChange::Word { from: old.to_owned(), to: new.to_owned() } })
}

/// Steps that wait for processors or disks, and processors that are idle.
fn pressure(case: &AdviceCase<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    // The replay knows only the contention of the build's own steps: waits for other programs cannot be changed here.
    let cpus = case.analysis.record.host.cpus.map(f64::from);
    let own_contention =
        cpus.map_or(Nanos::ZERO, |cpus| case.gain(&Scenario { cores: Some(cpus * 2.0), ..Scenario::default() }));
    for step in case.ran().filter(|step| step.on_path && case.worth(step.drag)) {
        let Some(used) = step.resources else { continue };
        let mut add = |rule: &str, waited: Nanos, most: Nanos, what: &str, remedy: &str| {
            let gain = waited.min(step.drag).min(most);
            if waited.0 > step.own.0 / 5 && case.worth(gain) {
                let text = format!(
                    "{} waited {waited} for {what} ({} of its time): {remedy}",
                    quote_located(step),
                    percent(waited, step.own)
                );
                found.push(about(
                    step,
                    rule,
                    gain,
                    text,
                    "an upper bound: pressure says that some task waited, not all",
                ));
            }
        };
        add("cpu-pressure", used.cpu_pressure, own_contention, "a processor", "more processors");
        add(
            "io-pressure",
            used.io_pressure,
            step.drag,
            "the disk",
            "a store on tmpfs or a faster disk, or fewer files",
        );
    }
    let bounds = &case.analysis.bounds;
    if let (Some(share), Some(cpus)) = (bounds.cpu_use, case.analysis.record.host.cpus)
        && share * f64::from(cpus) < 1.2
        && cpus > 4
        && bounds.parallelism < 1.5
    {
        let text = format!(
            "{cpus} processors, but {:.1} in use on average: the build is one chain of steps; independent stages would use more of them",
            share * f64::from(cpus)
        );
        let longest = case.ran().map(|step| step.own).max().unwrap_or(Nanos::ZERO);
        let gain = bounds.achieved.saturating_sub(longest + bounds.outside);
        found.push(Advice {
            rule: "idle-processors".into(),
            text,
            gain,
            caveat: "an upper bound, reached only if the steps do not need each other".into(),
            step: None,
            line: None,
            column: None,
            diff: Vec::new(),
            edits: Vec::new(),
        });
    }
    found
}

/// Steps that took much longer than in most earlier records.
fn slower_than_before(case: &AdviceCase<'_>) -> Vec<Advice> {
    const RECORDS: usize = 3;
    let mut found = Vec::new();
    if case.earlier.len() < RECORDS {
        return found;
    }
    let between = |earlier| Counterparts::between(case.analysis.record, earlier);
    let earlier: Vec<_> = case.earlier.iter().map(between).collect();
    for step in case.ran().filter(|step| case.worth(step.drag)) {
        let others = earlier.iter().filter_map(|earlier| earlier.of(step.id));
        let ran = others.filter(|other| other.outcome == Outcome::Executed && other.text == step.text);
        let mut before: Vec<u64> = ran.filter_map(|other| Some(other.end?.saturating_sub(other.start?).0)).collect();
        if before.len() < RECORDS {
            continue;
        }
        before.sort_unstable();
        let median = Nanos(before[before.len() / 2]);
        if step.duration.0 > median.0.saturating_mul(3) / 2 {
            let text = format!(
                "{} took {}, {:.1} times the {median} of {} earlier builds",
                quote(&step.text),
                step.duration,
                step.duration.0 as f64 / median.0.max(1) as f64,
                before.len()
            );
            found.push(about(
                step,
                "slower-than-before",
                step.duration.saturating_sub(median).min(step.drag),
                text,
                "assumes that the machine was equally busy in those builds",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::has_cache;

    #[test]
    fn a_mount_of_the_same_directory_is_a_cache() {
        let pip = |run: &str| has_cache(run, "/root/.cache/pip");
        assert!(pip("RUN --network=host --mount=type=cache,target=/root/.cache/pip pip install x"));
        assert!(pip("RUN --mount=type=cache,id=a,dst=\"/root/.cache\" pip install x"));
        assert!(pip("RUN --mount=target=/home/app/.cache/pip/,type=cache,uid=7 pip install x"));
        assert!(!pip("RUN --mount=type=cache,target=/root/.cache/pip-tools pip install x"));
        assert!(!pip("RUN --mount=type=tmpfs,target=/root/.cache/pip pip install x"));
        assert!(!pip("RUN echo --mount=type=cache,target=/root/.cache/pip && pip install x"));
        assert!(has_cache("RUN --mount=type=cache,target=/var/lib/apt/lists apt-get update", "/var/lib/apt/lists"));
        assert!(has_cache("RUN --mount=type=cache,target=/var/lib/apt apt-get update", "/var/lib/apt/lists"));
    }
}
