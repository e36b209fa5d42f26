//! The change of one step since the nearest earlier record that has it.

use crate::counterpart::Counterparts;
use buildscope_record::{Instruction, Record, Removal, Step, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The change of a step since the nearest earlier record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "kind", content = "names")]
pub enum Cause {
    /// No earlier record has such a step.
    New,
    /// The text of the instruction.
    Instruction,
    /// A setting before it: the instruction that was in force in the earlier build and the one that is now. One may be absent.
    Setting {
        /// `USER`, `WORKDIR` or `SHELL` with its words in the earlier build.
        before: Option<String>,
        /// The same now.
        now: Option<String>,
    },
    /// The values of variables in the text of the instruction, by name.
    Expansion(Vec<String>),
    /// The base image.
    Base {
        /// The image as the Dockerfile names it.
        image: String,
        /// The digest of its manifest in the earlier build.
        before: String,
        /// The digest of its manifest now.
        now: String,
    },
    /// Files of the context, by path.
    Files(Vec<String>),
    /// Files that the record does not name, because they are many.
    Content,
    /// Properties of files whose content stayed the same, each with its path: mode, owner, target of a link.
    Metadata(Vec<String>),
    /// Build arguments, by name.
    Arguments(Vec<String>),
    /// Environment variables, by name.
    Environment(Vec<String>),
    /// Options of the command that a RUN can see, such as `--add-host`.
    Options(Vec<String>),
    /// The content that is mounted or copied from another stage or image.
    Source,
    /// An instruction before it is new: its text.
    Inserted(String),
    /// An instruction before it is gone: its text.
    Removed(String),
    /// The order of the instructions: the text of one that is now on the other side of it.
    Moved(String),
    /// Only the parent: the state of the file system before the step.
    Parent,
    /// Only the times of files. The steps after it are not affected.
    Times,
    /// Nothing: the result was removed because it had not been used for a long time.
    Expired,
    /// Nothing: the result was removed to free space.
    Pruned,
    /// Nothing, and the result was never removed, but it is missing: another store, or a crash.
    Gone,
    /// Nothing: the cache was not used (`--no-cache`), or not for these stages (`--no-cache-filter`).
    Unasked(Vec<String>),
    /// The builder's own reason, of a record that is not compared with earlier ones.
    Recorded(String),
    /// The text of the instruction, which was this one in the earlier log. A log shows the values of variables.
    Text(String),
    /// Files that it copies or mounts, or nothing if its result was missing: a log does not say which.
    Unnamed,
    /// Nothing that a log shows: the result was missing, or a build argument changed that the text does not name.
    Missing,
    /// Nothing that a log shows, and no step of the build came from the cache.
    Uncached,
    /// The record does not contain the inputs of the step.
    Unknown,
}

impl Cause {
    /// Whether the cause lies before the step, if something before it changed.
    pub(super) fn follows(&self) -> bool {
        matches!(self, Self::Parent | Self::Source | Self::Unknown | Self::New | Self::Setting { .. })
    }

    /// Whether several steps with this cause are one miss.
    pub(super) fn is_shared(&self) -> bool {
        matches!(
            self,
            Self::Arguments(_)
                | Self::Environment(_)
                | Self::Options(_)
                | Self::Setting { .. }
                | Self::Gone
                | Self::Unasked(_)
                | Self::Uncached
        )
    }
}

/// Finds the change of a step since the nearest earlier record that has it. `earlier` starts with the oldest.
pub(super) fn cause(record: &Record, step: &Step, earlier: &[Counterparts<'_>]) -> Cause {
    // A result with this key was removed. Without the removal the step would have hit, regardless of changes since the nearest record.
    match step.cache.as_ref().and_then(|cache| cache.removed) {
        Some(Removal::Expired) => return Cause::Expired,
        Some(Removal::Pruned) => return Cause::Pruned,
        None => {}
    }
    if let Some(reason) = step.cache.as_ref().and_then(|cache| cache.miss.clone()).filter(|_| earlier.is_empty()) {
        return Cause::Recorded(reason);
    }
    let Some(now) = step.cache.as_ref().map(|cache| &cache.inputs).filter(|inputs| !inputs.is_empty()) else {
        return Cause::Unknown;
    };
    let nearest = earlier.iter().rev().find_map(|pairs| Some(EarlierStep { pairs, counterpart: pairs.of(step.id)? }));
    let Some(found) = nearest else { return Cause::New };
    let Some(before) = found.counterpart.cache.as_ref().map(|cache| &cache.inputs) else { return Cause::Unknown };
    let changes = Changes::new(now, before);
    if changes.has("base") {
        let name = step.stage.and_then(|stage| record.stages.get(stage.index())).map(|stage| stage.base.clone());
        let digest = |inputs: &Inputs| inputs.get("base").cloned().unwrap_or_default();
        return Cause::Base { image: name.unwrap_or_default(), before: digest(before), now: digest(now) };
    }
    match changes.own() {
        Cause::Instruction => of_text(record, step, &found),
        // Other files, because a variable names them.
        cause @ (Cause::Files(_) | Cause::Content | Cause::Metadata(_)) if changes.has("instruction") => {
            Some(of_text(record, step, &found)).filter(|text| matches!(text, Cause::Expansion(_))).unwrap_or(cause)
        }
        // An option of the instruction: `--chown`, `--chmod`.
        Cause::Metadata(properties) if properties.is_empty() && step.text != found.counterpart.text => {
            Cause::Instruction
        }
        // Other mounts.
        Cause::Source if step.text != found.counterpart.text => of_text(record, step, &found),
        cause => cause,
    }
}

/// Finds the change of a step's definition: its text, or the settings and variables on which the same text depends.
fn of_text(record: &Record, step: &Step, found: &EarlierStep<'_, '_>) -> Cause {
    let EarlierStep { pairs, counterpart } = found;
    let other = pairs.other();
    if step.text != counterpart.text {
        return Cause::Instruction;
    }
    // The text of a heredoc is not recorded, so a setting is the cause only if it differs.
    for setting in [Instruction::Shell, Instruction::User, Instruction::Workdir] {
        let (before, now) = (settings(other, counterpart, &setting), settings(record, step, &setting));
        if before != now {
            return Cause::Setting { before: before.last().cloned(), now: now.last().cloned() };
        }
    }
    let names = if step.text.contains("<<") { Vec::new() } else { variables(&step.text) };
    if names.is_empty() || step.instruction == Instruction::Run { Cause::Instruction } else { Cause::Expansion(names) }
}

/// The instructions of a kind that are in force at a step: those before it in its stage and in the stages that this starts from. All
/// WORKDIR instructions count, because each may be relative to the previous one.
fn settings(record: &Record, step: &Step, instruction: &Instruction) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut stage, mut until) = (step.stage, step.id);
    while let Some(id) = stage {
        let own = record.steps.iter().filter(|other| other.stage == Some(id) && other.id < until);
        let texts = own.filter(|other| other.instruction == *instruction).map(|other| other.text.clone());
        found.splice(0..0, texts);
        let base = record.stages.get(id.index()).map(|stage| stage.base.as_str()).unwrap_or_default();
        let parent = record.stages[..id.index()].iter().rev().find(|stage| stage.name.eq_ignore_ascii_case(base));
        (stage, until) = (parent.map(|stage| stage.id), StepId(u32::MAX));
    }
    if *instruction != Instruction::Workdir {
        found.drain(..found.len().saturating_sub(1));
    }
    found
}

/// The names of the variables in a text: `$NAME`, `${NAME}`, `${NAME:-…}`.
fn variables(text: &str) -> Vec<String> {
    let name = |rest: &str| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_owned())
    };
    let names: BTreeSet<String> = text.split('$').skip(1).filter_map(name).collect();
    names.into_iter().collect()
}

/// A step of the nearest earlier record that has it, with that record.
struct EarlierStep<'p, 'r> {
    pairs: &'p Counterparts<'r>,
    counterpart: &'p Step,
}

/// The reason why only the parent of a step changed, although no step before it did: an instruction was inserted, removed or moved.
pub(super) fn of_parent(record: &Record, step: &Step, earlier: &[Counterparts<'_>]) -> Cause {
    let found = earlier.iter().rev().find_map(|pairs| Some((pairs, pairs.of(step.id)?)));
    found.and_then(|(pairs, counterpart)| moved(record, step, pairs, counterpart)).unwrap_or(Cause::Parent)
}

type Inputs = BTreeMap<String, String>;

/// The inputs of a step that differ from its counterpart's.
struct Changes<'i> {
    now: &'i Inputs,
    before: &'i Inputs,
    names: BTreeSet<&'i str>,
}

impl<'i> Changes<'i> {
    fn new(now: &'i Inputs, before: &'i Inputs) -> Self {
        let names = now.keys().chain(before.keys()).filter(|name| now.get(*name) != before.get(*name));
        Self { now, before, names: names.map(String::as_str).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The names of changed inputs of a kind, without the kind.
    fn of(&self, kind: &str) -> Vec<String> {
        let names = self.names.iter().filter_map(|name| name.strip_prefix(kind));
        names.map(|name| name.trim_start_matches("./").to_owned()).collect()
    }

    /// The change of the step, without regard to the other steps of the stage. A layer has the times of its files, but they are part of no
    /// key that later steps depend on, so they count last.
    fn own(&self) -> Cause {
        let (files, arguments, variables) = (self.of("file:"), self.of("arg:"), self.of("env:"));
        let options = self.of("option:");
        let named = |inputs: &Inputs| inputs.keys().any(|name| name.starts_with("file:") || name.starts_with("entry:"));
        let mounted = |inputs: &Inputs| inputs.contains_key("content");
        if self.has("instruction") && mounted(self.now) != mounted(self.before) {
            // Its files come from a mount that one of the texts does not have.
            Cause::Instruction
        } else if self.has("content") && !(named(self.now) && named(self.before)) {
            Cause::Content
        } else if !files.is_empty() {
            Cause::Files(files)
        } else if self.has("content") {
            Cause::Metadata(self.properties())
        } else if !arguments.is_empty() {
            Cause::Arguments(arguments)
        } else if !variables.is_empty() {
            Cause::Environment(variables)
        } else if !options.is_empty() {
            Cause::Options(options)
        } else if self.has("instruction") {
            Cause::Instruction
        } else if self.has("from") || !self.of("mount:").is_empty() {
            Cause::Source
        } else if self.has("parent") {
            Cause::Parent
        } else if self.has("times") {
            Cause::Times
        } else if self.names.is_empty() {
            Cause::Gone
        } else {
            Cause::Unknown
        }
    }

    /// The properties of files that changed, in words. The record lists a property unless it is that of most files.
    fn properties(&self) -> Vec<String> {
        let value = |inputs: &Inputs, name: &str| inputs.get(name).cloned();
        let names = self.names.iter().filter_map(|name| Some((*name, name.strip_prefix("entry:")?)));
        names.map(|(name, path)| property(path, value(self.before, name), value(self.now, name))).collect()
    }
}

/// The change of a file: "mode of `run.sh` (0644, now 0755)". A value is `file 0755 0:0`, `directory 0700 0:0` or `link TARGET`.
fn property(path: &str, before: Option<String>, now: Option<String>) -> String {
    let path = path.trim_start_matches("./");
    let kind =
        before.as_ref().or(now.as_ref()).and_then(|value| value.split(' ').next()).unwrap_or_default().to_owned();
    let usual = match kind.as_str() {
        "file" => Some("file 0644 0:0"),
        "directory" => Some("directory 0755 0:0"),
        _ => None,
    };
    let (before, now) = (before.or(usual.map(str::to_owned)), now.or(usual.map(str::to_owned)));
    let (Some(before), Some(now)) = (before, now) else { return format!("`{path}`") };
    let [was, is] = [&before, &now].map(|value| value.split(' ').collect::<Vec<_>>());
    match (was.as_slice(), is.as_slice()) {
        ([_, mode, _], [_, other, _]) if mode != other => format!("mode of `{path}` ({mode}, now {other})"),
        ([_, _, owner], [_, _, other]) if owner != other => format!("owner of `{path}` ({owner}, now {other})"),
        (["link", ..], ["link", ..]) => format!("target of the link `{path}`"),
        _ => format!("`{path}`"),
    }
}

/// Finds the instruction of the stage that was inserted, removed or moved before a step whose parent changed. Only instructions with a
/// layer count: others do not change the file system.
fn moved(record: &Record, step: &Step, pairs: &Counterparts<'_>, counterpart: &Step) -> Option<Cause> {
    let other = pairs.other();
    let layers = |steps: &[Step], of: &Step| -> Vec<Step> {
        steps
            .iter()
            .filter(|step| step.stage == of.stage && step.id < of.id && step.instruction.adds_layer())
            .cloned()
            .collect()
    };
    let (now, before) = (layers(&record.steps, step), layers(&other.steps, counterpart));
    for inner in &now {
        match pairs.of(inner.id) {
            None => return Some(Cause::Inserted(inner.text.clone())),
            Some(was) if was.stage == counterpart.stage && was.id > counterpart.id => {
                return Some(Cause::Moved(inner.text.clone()));
            }
            Some(_) => {}
        }
    }
    for inner in &before {
        match pairs.back(inner.id) {
            None => return Some(Cause::Removed(inner.text.clone())),
            Some(is) if record.steps[is.index()].stage == step.stage && is > step.id => {
                return Some(Cause::Moved(inner.text.clone()));
            }
            Some(_) => {}
        }
    }
    let order = |steps: &[Step]| steps.iter().map(|step| step.text.clone()).collect::<Vec<_>>();
    let (now, before) = (order(&now), order(&before));
    let first = now.iter().zip(&before).position(|(is, was)| is != was)?;
    let same = now.len() == before.len() && now.iter().all(|text| before.contains(text));
    same.then(|| Cause::Moved(now[first].clone()))
}
