//! Cache keys: what a step's result depends on, by name.
//!
//! A definition key is the digest of its inputs, and the inputs are all there is to it: a record that has
//! both can say which input made a step miss. Steps that change only the configuration have the key of
//! what is below them, so what does not see a variable does not depend on it.

use super::graph::{Base, Copy, CopyFrom, MountKind, Op, Run, Step};
use buildscope_record::{Digest, StepId, StepKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Raised when the meaning of a key changes: results of earlier versions are then not found.
const VERSION: &str = "1";

/// A step's place in the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The digest of the inputs.
    pub digest: StepKey,
    /// What went into it: name to value digest or short text.
    pub inputs: BTreeMap<String, String>,
}

/// The key of a step.
///
/// `key_of` gives the keys of the steps it depends on; `parent` is the step it goes on from. `content` is the
/// digest of what it takes from a context (files of COPY and ADD, or of bind mounts), which alone this module
/// cannot know; it must be given for every step that reads a context.
pub fn definition_key(
    step: &Step,
    parent: Option<StepId>,
    key_of: &dyn Fn(StepId) -> StepKey,
    content: Option<Digest>,
) -> Key {
    let inherited = match &step.op {
        Op::From(Base::Stage(from)) => Some(*from),
        Op::Config | Op::Pruned => parent,
        _ => None,
    };
    if let Some(from) = inherited {
        return Key { digest: key_of(from), inputs: [("parent".to_owned(), key_of(from).to_string())].into() };
    }
    let mut inputs = Inputs(BTreeMap::new());
    let mut instruction = json!({ "version": VERSION });
    match &step.op {
        Op::From(base) => instruction["from"] = inputs.base(base),
        Op::Workdir { path, user } => instruction["workdir"] = json!([path, user]),
        Op::Copy(copy) => instruction["copy"] = inputs.copy(copy, key_of),
        Op::Run(run) => instruction["run"] = inputs.run(run, key_of),
        Op::Config | Op::Pruned => {}
    }
    inputs.add("instruction", text(&instruction));
    if let (true, Some(parent)) = (needs_parent(&step.op), parent) {
        inputs.add("parent", key_of(parent).to_string());
    }
    if let Some(content) = content {
        inputs.add("content", content.to_string());
    }
    let Inputs(inputs) = inputs;
    // Names and values are written as JSON: no value can be mistaken for another name.
    Key { digest: StepKey::of(json!(inputs).to_string()), inputs }
}

fn text(value: &Value) -> String {
    Digest::of(value.to_string()).to_string()
}

/// Whether the step's layer depends on the files below it. A COPY with `--link` does so only if a name in its `--chown`
/// is looked up in them.
fn needs_parent(op: &Op) -> bool {
    let Op::Copy(copy) = op else { return true };
    let by_name = copy.chown.as_deref().is_some_and(|chown| chown.contains(|c: char| !c.is_ascii_digit() && c != ':'));
    !copy.link || by_name
}

/// The inputs of a key, by name. Each method adds those of one kind of operation, and returns what of it goes into the
/// input `instruction`.
struct Inputs(BTreeMap<String, String>);

impl Inputs {
    fn add(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    fn base(&mut self, base: &Base) -> Value {
        match base {
            // Has the key of that stage.
            Base::Stage(_) => Value::Null,
            Base::Scratch => json!("scratch"),
            Base::Image(image) => {
                self.add("base", image.manifest.to_string());
                json!("image")
            }
            Base::Context(name) => {
                self.add("context", name.clone());
                json!("context")
            }
        }
    }

    fn copy(&mut self, copy: &Copy, key_of: &dyn Fn(StepId) -> StepKey) -> Value {
        self.add("from", source(&copy.from, key_of));
        json!({
            "add": copy.add,
            "sources": copy.sources,
            "inline": copy.inline,
            "destination": copy.destination,
            "workdir": copy.workdir,
            "chown": copy.chown,
            "chmod": copy.chmod,
            "link": copy.link,
            "parents": copy.parents,
            "exclude": copy.exclude,
            "checksum": copy.checksum,
            "unpack": copy.unpack,
            "keep_git_dir": copy.keep_git_dir,
        })
    }

    fn run(&mut self, run: &Run, key_of: &dyn Fn(StepId) -> StepKey) -> Value {
        for (i, mount) in run.mounts.iter().enumerate() {
            self.add(&format!("mount:{i}"), text(&json!([mount.target, kind(&mount.kind, key_of)])));
        }
        let variables = run.env.variables();
        for variable in &variables {
            let kind = if variable.argument { "arg" } else { "env" };
            self.add(&format!("{kind}:{}", variable.name), Digest::of(&*variable.value).to_string());
        }
        json!({
            "args": run.args,
            // A process sees their order.
            "variables": variables.iter().map(|variable| &*variable.name).collect::<Vec<_>>(),
            "workdir": run.workdir,
            "user": run.user,
            "network": run.network,
            "insecure": run.insecure,
            "devices": run.devices,
            "hostname": run.hostname,
        })
    }
}

fn source(from: &CopyFrom, key_of: &dyn Fn(StepId) -> StepKey) -> String {
    match from {
        CopyFrom::Context => "context".into(),
        CopyFrom::NamedContext(name) => format!("context:{name}"),
        CopyFrom::Stage(step) => format!("step:{}", key_of(*step)),
        CopyFrom::Image(image) => format!("image:{}", image.manifest),
        CopyFrom::Empty => "empty".into(),
    }
}

/// A mount without what must not count: values of secrets, sockets.
fn kind(kind: &MountKind, key_of: &dyn Fn(StepId) -> StepKey) -> Value {
    match kind {
        MountKind::Bind { from, source: path, writable } => json!(["bind", source(from, key_of), path, writable]),
        MountKind::Cache { id, sharing, from, readonly, mode, uid, gid } => {
            let from = from.as_ref().map(|(from, path)| (source(from, key_of), path));
            json!(["cache", id, sharing, from, readonly, mode, uid, gid])
        }
        other => json!(other),
    }
}
