//! Dependencies that a log does not show: on the step before in the same stage, on the stages that the text names, on the build
//! context for copies from it, and among the builder's own work in the order in which it was shown.
//!
//! Takes time that is linear in the number of steps.

use super::draft::{Draft, DraftId, DraftStep};
use super::names;
use crate::index::Indexed;
use std::collections::HashMap;

/// A stage of one target on one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct StageKey<'s> {
    target: Option<&'s str>,
    platform: Option<&'s str>,
    stage: &'s str,
}

impl<'s> StageKey<'s> {
    fn of(step: &'s DraftStep) -> Option<Self> {
        let (target, platform) = (step.target.as_deref(), step.platform.as_deref());
        Some(Self { target, platform, stage: step.stage.as_deref()? })
    }
}

/// The platforms of a vertex: `linux/amd64->arm64` runs on the first for the second.
fn platforms(platform: Option<&str>) -> (&str, String) {
    let platform = platform.unwrap_or_default();
    match platform.split_once("->") {
        Some((host, target)) if target.contains('/') && !target.starts_with("arm") => (host, target.to_owned()),
        Some((host, target)) => (host, format!("{}/{target}", host.split('/').next().unwrap_or_default())),
        None => (platform, platform.to_owned()),
    }
}

/// The most of the builder's own vertices at the same time that the first step of each stage needs. The limit keeps the number of edges
/// linear.
const AT_ONCE: usize = 16;

/// The builder's own work of a target so far.
#[derive(Default)]
struct Loaded {
    /// The last vertices: several only if they ran at the same time.
    last: Vec<DraftId>,
    /// The needs of these vertices.
    before: Vec<DraftId>,
}

/// The stages of a draft, and the builder's own work so far.
struct Guess<'s> {
    steps: &'s Indexed<DraftId, DraftStep>,
    /// The steps of each stage, sorted by their number.
    stages: HashMap<StageKey<'s>, Vec<DraftId>>,
    /// The stages of each target by their name in lower case.
    named: HashMap<(Option<&'s str>, String), Vec<StageKey<'s>>>,
    /// The last step of each stage, by target.
    ends: HashMap<Option<&'s str>, Vec<DraftId>>,
    /// The first transfer of the build context, by target.
    contexts: HashMap<Option<&'s str>, DraftId>,
    /// The last of the builder's own work before the first stage, by target.
    loaded: HashMap<Option<&'s str>, Loaded>,
    /// The last export, by target.
    exported: HashMap<Option<&'s str>, DraftId>,
    /// The last time that a result was loaded into docker, by target.
    imported: HashMap<Option<&'s str>, DraftId>,
}

/// Adds the guessed needs to the steps of a draft.
pub(crate) fn guess_needs(draft: &mut Draft) {
    let mut guess = Guess::new(&draft.steps);
    let needs: Vec<Vec<DraftId>> = draft.steps.indices().map(|step| guess.needs(step)).collect();
    for (step, needs) in draft.steps.iter_mut().zip(needs) {
        step.needs.extend(needs);
    }
    if draft.order().len() < draft.steps.len() {
        // In a cycle, the edge from a later line to an earlier one is wrong.
        for id in draft.steps.indices() {
            draft.steps[id].needs.retain(|&need| need < id);
        }
    }
}

/// Orders each step after the one before it in the log: the builder runs one step at a time.
pub(crate) fn in_turn(draft: &mut Draft) {
    for (before, id) in draft.steps.indices().zip(draft.steps.indices().skip(1)) {
        let step = &mut draft.steps[id];
        if !step.needs.contains(&before) {
            step.after.push(before);
        }
    }
}

impl<'s> Guess<'s> {
    fn new(steps: &'s Indexed<DraftId, DraftStep>) -> Self {
        let mut stages: HashMap<StageKey<'_>, Vec<DraftId>> = HashMap::new();
        let mut contexts = HashMap::new();
        for (id, step) in steps.entries() {
            if let Some(key) = StageKey::of(step) {
                stages.entry(key).or_default().push(id);
            } else if step.text.contains("load build context") {
                contexts.entry(step.target.as_deref()).or_insert(id);
            }
        }
        let mut keys: Vec<StageKey<'_>> = stages.keys().copied().collect();
        keys.sort_unstable();
        let mut named: HashMap<_, Vec<StageKey<'_>>> = HashMap::new();
        let mut ends: HashMap<_, Vec<DraftId>> = HashMap::new();
        for key in keys {
            let Some(own) = stages.get_mut(&key) else { continue };
            own.sort_by_key(|&id| (steps[id].number, id));
            named.entry((key.target, key.stage.to_ascii_lowercase())).or_default().push(key);
            ends.entry(key.target).or_default().extend(own.last());
        }
        Self {
            steps,
            stages,
            named,
            ends,
            contexts,
            loaded: HashMap::new(),
            exported: HashMap::new(),
            imported: HashMap::new(),
        }
    }

    fn needs(&mut self, id: DraftId) -> Vec<DraftId> {
        let step = &self.steps[id];
        let target = step.target.as_deref();
        let mut needs = Vec::new();
        if let Some(key) = StageKey::of(step) {
            let before = self.before(key, id);
            if before.is_none() {
                let loaded = self.loaded.get(&target).or_else(|| self.loaded.get(&None));
                needs.extend(loaded.into_iter().flat_map(|loaded| loaded.last.iter().rev().take(AT_ONCE)));
            }
            needs.extend(before);
            let sources = names::sources(&step.instruction, &step.text);
            needs.extend(sources.iter().filter_map(|name| self.last_of(key, name)));
            if names::copies_context(&step.instruction, &step.text) {
                needs.extend(self.contexts.get(&target).or_else(|| self.contexts.get(&None)));
            }
        } else if names::uses_result(&step.text) {
            if step.text.contains("importing") {
                // While the result is written.
                match self.imported.insert(target, id) {
                    Some(earlier) => needs.push(earlier),
                    None => needs.extend(self.ends_of(target)),
                }
            } else {
                needs.extend(self.exported.get(&target).or_else(|| self.exported.get(&None)));
            }
        } else if names::is_export(&step.text) {
            match self.exported.insert(target, id) {
                Some(earlier) => needs.push(earlier),
                None => needs.extend(self.ends_of(target)),
            }
        } else {
            let asks =
                |id: DraftId| self.steps[id].text.contains("load metadata") || self.steps[id].text.contains("[auth]");
            let Loaded { last, before } = self.loaded.entry(target).or_default();
            // The metadata of all bases is requested at the same time.
            if !(asks(id) && last.iter().all(|&other| asks(other))) {
                *before = std::mem::take(last);
            }
            needs.extend(&*before);
            last.push(id);
        }
        needs.retain(|&other| other != id);
        needs
    }

    /// The previous step in the stage. The first steps of a stage that is built for several platforms may be common to all.
    fn before(&self, key: StageKey<'_>, id: DraftId) -> Option<DraftId> {
        let number = self.steps[id].number;
        let siblings = &self.stages[&key];
        let index = siblings.partition_point(|&other| (self.steps[other].number, other) < (number, id));
        if let Some(before) = index.checked_sub(1) {
            return Some(siblings[before]);
        }
        let (host, _) = platforms(key.platform);
        let mut shared = self.same_name(key.target, key.stage).filter(|other| other.platform == Some(host));
        // Steps with the same number are the same instruction on the other platform.
        let shared = self.stages.get(shared.next().filter(|other| **other != key)?)?;
        let earlier = shared.partition_point(|&other| self.steps[other].number < number);
        earlier.checked_sub(1).map(|before| shared[before])
    }

    fn same_name(&self, target: Option<&'s str>, name: &str) -> impl Iterator<Item = &StageKey<'s>> {
        self.named.get(&(target, name.to_ascii_lowercase())).into_iter().flatten()
    }

    /// The last step of the stage with that name, on the platform from which a step of `key` takes it.
    fn last_of(&self, key: StageKey<'s>, name: &str) -> Option<DraftId> {
        let name = if name.parse::<u32>().is_ok() { format!("stage-{name}") } else { name.to_owned() };
        let direct = self.named.get(&(key.target, name.to_ascii_lowercase()));
        let stages = direct.or_else(|| self.named.get(&(key.target, name.trim_start_matches("stage-").to_owned())))?;
        let (host, wanted) = platforms(key.platform);
        let fits = |stage: &&StageKey<'_>| {
            let (stage_host, stage_wanted) = platforms(stage.platform);
            (stage.platform == key.platform, stage_wanted == wanted, stage_host == host)
        };
        let best = stages.iter().rev().max_by_key(fits)?;
        self.stages[best].last().copied()
    }

    /// The steps that an export waits for: the last ones of the stages of its target, or of all stages.
    fn ends_of(&self, target: Option<&'s str>) -> Vec<DraftId> {
        match self.ends.get(&target).filter(|_| target.is_some()) {
            Some(ends) => ends.clone(),
            // Only the first such export has these edges, so that their number stays linear.
            None if self.exported.len() <= 1 => self.ends.values().flatten().copied().collect(),
            None => Vec::new(),
        }
    }
}
